/**
 * Runs a program on the module, and goes back and forth in it.
 *
 * The module's memory is all the state there is, beside what names hold. Going back puts an earlier copy of the memory
 * into a fresh instance and runs the steps from there again, which leaves the same bytes.
 */

import { CONDS, compile, instantiate, KmemError, type RawKmem } from 'kmem/raw';
import { Layouts } from '../model/fields.ts';
import { hashOf } from '../model/hash.ts';
import type { Look } from '../model/look.ts';
import { Actor } from './act.ts';
import { CheckPoints } from './checkpoints.ts';
import { Wrong } from './expr.ts';
import { Growing, Names } from './names.ts';
import { printName, printPlace } from './print.ts';
import { parse } from './script.ts';
import { Stores } from './stores.ts';
import type { Named, Outcome, Program, ScriptError, Step, StoreState } from './types.ts';
import { RESERVED } from './words.ts';

export interface MachineOptions {
  /** The module, if it is not the one that the package brings. */
  module?: WebAssembly.Module;
  /** Bytes that the module's memory may grow to. */
  maxBytes?: number;
  /** Bytes that copies of it may take. */
  budget?: number;
}

/** What came of a step that was not put to the module, or stopped it; other refusals are the module's numbers. */
const WRONG = -100;
const TRAP = -101;
/** Going forward by a copy is worth it where that saves so many steps. */
const WORTH_A_COPY = 2000;

/** So many steps in one go are many; where there are fewer, copies are so many times further apart. */
const LONG = 10_000;
const PATIENCE = 8;

/** The conditions in words. */
const MEANINGS = new Map(CONDS.map((cond) => [cond, cond ? new KmemError(cond).message : '']));

export class Machine implements Look {
  /** The module as it is at the present step: another one after going back. */
  raw: RawKmem;
  readonly layouts: Layouts;
  #program: Program;
  #present = 0;
  /** Steps that were run at least once. */
  #reached = 0;
  /** By step: what came of it. */
  readonly #results = new Growing(Float64Array);
  readonly #names = new Names();
  readonly #stores = new Stores(this);
  readonly #points: CheckPoints;
  #actor: Actor;
  /** What the module said when it last stopped. */
  #lastWords = '';

  /** A machine before the first step of a program. */
  static async create(program: Program, options: MachineOptions = {}): Promise<Machine> {
    return new Machine(program, options.module ?? (await compile()), options);
  }

  private constructor(
    program: Program,
    module: WebAssembly.Module,
    { maxBytes = 512 << 20, budget = 256 << 20 }: MachineOptions,
  ) {
    this.raw = instantiate(module, { maxBytes });
    this.layouts = new Layouts(this.raw);
    this.#points = new CheckPoints(module, maxBytes, budget);
    this.#actor = new Actor(this.raw, this.#names);
    this.#program = program;
    this.#names.use(program.names);
  }

  get program(): Program {
    return this.#program;
  }

  /** The script. */
  get text(): string {
    return this.#program.text;
  }

  /** Steps of the program. */
  get length(): number {
    return this.#program.length;
  }

  /** Steps that are done: the machine stands before step `present`. */
  get present(): number {
    return this.#present;
  }

  /** Bytes that copies of the memory take. */
  get copies(): number {
    return this.#points.bytes;
  }

  // --- back and forth -----------------------------------------------------------------------------

  /** Goes to where `target` steps are done; a step that stops the module is not passed. */
  seek(target: number): void {
    const to = Math.max(0, Math.min(Math.floor(target), this.length));
    const copy = this.#points.before(Math.min(to, this.#reached));
    if (to < this.#present || copy > this.#present + WORTH_A_COPY) this.#restore(copy);
    // A copy takes a while. Who waits for many steps does not notice it; in between frames it is put off.
    const patience = to - this.#present < LONG ? PATIENCE : 1;
    let due = this.#points.due(this.#present, this.raw, patience);
    while (this.#present < to && this.#run(this.#present)) {
      this.#present += 1;
      if (this.#present < due) continue;
      this.#points.add(this.#present, this.raw);
      due = this.#points.due(this.#present, this.raw, patience);
    }
  }

  #restore(step: number): void {
    this.raw = this.#points.restore(step);
    this.#actor = new Actor(this.raw, this.#names);
    this.#names.move(this.#present, step);
    this.#present = step;
  }

  /** Runs the next step; says whether the module is still running. */
  #run(i: number): boolean {
    const step = this.#program.step(i);
    const result = this.#result(step);
    const before = this.#results.get(i);
    if (i < this.#reached && result !== before && result !== TRAP && before !== TRAP) {
      throw new Error(`Step ${i + 1} did something else than before: kmem is not the same each time.`);
    }
    this.#results.set(i, result);
    this.#reached = Math.max(this.#reached, i + 1);
    if (result === TRAP) {
      // What is left of the instance is not to be trusted.
      const copy = this.#points.before(i);
      this.#restore(copy);
      this.seek(i);
      return false;
    }
    this.#note(i, step, result);
    return true;
  }

  #result(step: Step): number {
    if (step.op === 'wrong') return WRONG;
    try {
      return this.#actor.act(step);
    } catch (fault) {
      // A bug of the module, which says so, or memory that somebody wrote over.
      if (!(fault instanceof KmemError || fault instanceof WebAssembly.RuntimeError)) throw fault;
      this.#lastWords = fault.message;
      return TRAP;
    }
  }

  /** Notes what a step made and destroyed. */
  #note(i: number, step: Step, result: number): void {
    this.#names.pass(i);
    if (step.op === 'make') {
      // Also when it was refused the name is that of a store.
      this.#names.set(i, step.store, result < 0 ? this.#names.get(step.store) : result, 'store');
      if (result >= 0) this.#stores.add(i, step, result);
    } else if (result < 0) {
      return;
    } else if (step.op === 'alloc' || step.op === 'ref' || step.op === 'dup') {
      this.#names.set(i, step.to, result, 'cell');
    } else if (step.op === 'mark') {
      this.#names.set(i, step.to, result, 'mark');
    } else if (step.op === 'destroy') {
      this.#stores.remove(i, this.#names.get(step.store));
    }
  }

  // --- what is there ------------------------------------------------------------------------------

  /** The stores at the present step, in the order in which they were made. */
  get stores(): readonly StoreState[] {
    return this.#stores.at(this.#present);
  }

  store(name: string): StoreState | undefined {
    return this.stores.find((store) => store.name === name);
  }

  /** What came of a step; null if it was never run. */
  outcome(i: number): Outcome | null {
    if (i < 0 || i >= this.#reached) return null;
    const step = this.#program.step(i);
    const result = this.#results.get(i);
    const value = Math.max(0, result);
    if (step.op === 'wrong') return { what: 'wrong', expected: false, message: step.message, value };
    if (result === TRAP)
      return { what: 'trap', expected: false, message: `The module stopped: ${this.#lastWords}`, value };
    if (result >= 0) {
      const message = step.expect ? `Done, though ${step.expect} was expected.` : done(step, result);
      return { what: 'ok', expected: step.expect === null, message, value };
    }
    const cond = CONDS[-result] ?? 'fail_assert';
    return { what: cond, expected: cond === step.expect, message: MEANINGS.get(cond) ?? cond, value };
  }

  /** The name that holds a cell, as it is written in a script; '' if none does. */
  nameOf(cell: number): string {
    return this.#names.of(cell);
  }

  /** The name of the cell of a store whose payload begins at an address; '' if it has none. */
  nameAt(store: StoreState, payload: number): string {
    const cell = this.raw.exports.cell_at(store.handle, payload);
    return cell > 0 ? this.nameOf(cell) : '';
  }

  /** How a script names a cell of a store that is drawn: by its name, or as `p@0x10040`. */
  operand(store: StoreState, payload: number): string {
    return this.nameAt(store, payload) || `${printName(store.name)}@0x${payload.toString(16)}`;
  }

  /** Where the payload begins of what a name holds; 0 if there is nothing, or no longer. */
  address(name: string, index = -1): number {
    return Math.max(0, this.raw.exports.cell_address(this.#names.getNamed(name, index)));
  }

  /** Every name of a cell, and what it holds. */
  named(): Named[] {
    const all: Named[] = [];
    const { exports } = this.raw;
    this.#names.each((name, handle) => all.push({ name, handle, address: Math.max(0, exports.cell_address(handle)) }));
    return all;
  }

  /** A name that the script does not have yet: `c1`, `c2`, … */
  fresh(prefix: string): string {
    const taken = new Set(this.#program.names);
    for (let number = 1; ; number += 1) {
      const name = `${prefix}${number}`;
      if (!taken.has(name) && !RESERVED.has(name)) return name;
    }
  }

  /** The hash of the picture of all stores. */
  hash(): string {
    return hashOf(this, this.stores);
  }

  // --- going on by hand ---------------------------------------------------------------------------

  /** Puts a line behind the steps that are done, in place of all that followed them, and runs it. If it cannot be read, nothing is changed. */
  append(line: string): ScriptError[] {
    let before: string;
    try {
      before = this.#program.cut(this.#present);
    } catch (fault) {
      if (fault instanceof Wrong) return [{ line: 1, column: 1, message: fault.message }];
      throw fault;
    }
    const { program, errors } = parse(`${before}${before === '' ? '' : '\n'}${line}\n`);
    if (errors.length > 0) return errors;
    this.#points.dropAfter(this.#present);
    this.#stores.dropFrom(this.#present);
    this.#reached = this.#present;
    this.#program = program;
    this.#names.use(program.names);
    this.seek(program.length);
    return [];
  }
}

/** In words, that a step was done. */
function done(step: Step, value: number): string {
  switch (step.op) {
    case 'up':
      return `${value} references now.`;
    case 'down':
      return value === 0
        ? 'That was the last reference: the cell has gone.'
        : `${value === 1 ? '1 reference' : `${value} references`} left.`;
    case 'alloc':
    case 'ref':
    case 'dup':
      return `${printPlace(step.to)} has its cell.`;
    default:
      return 'Done.';
  }
}
