/**
 * A program's steps, worked out when they are asked for.
 *
 * A script is a block of statements; a statement is an operation or a loop over a block. Nothing is written out:
 * how many steps a block has is counted, and a step is found by its number through the loops.
 */

import { DEEPEST, type Expr, type Turns, Wrong, whole } from './expr.ts';
import { ScriptFault } from './lexer.ts';
import { printStep, quote } from './print.ts';
import type { Program, Step } from './types.ts';

/** The most steps of a program. */
export const MOST_STEPS = 5_000_000;
/** The most steps that are written out one by one where a loop is cut. */
const MOST_WRITTEN = 20_000;
/** The most turns that are looked at one by one to count steps. */
const MOST_COUNTED = 2_000_000;

export interface Operation {
  is: 'operation';
  line: number;
  /** The sentence before it. */
  say: string;
  /** Where the sentence, or else the operation, begins in the script. */
  begin: number;
  make(turns: Turns): Step;
}

export interface Loop {
  is: 'loop';
  line: number;
  column: number;
  say: string;
  begin: number;
  /** Where the loop begins and ends in the script. */
  start: number;
  stop: number;
  depth: number;
  from: Expr;
  to: Expr;
  by: number;
  body: Block;
  /** The loop as it would be written if this were its last turn, counted from 0. */
  head: (last: number, turns: Turns) => string;
}

export type Statement = Operation | Loop;

export class Block {
  readonly statements: Statement[] = [];
  /** A sentence at the end, with nothing after it. */
  lastSay = '';
  /** Counters outside the block on which its length depends. */
  private reads = 0;
  /** Steps before each statement, if that does not depend on anything. */
  private starts: Float64Array | null = null;
  private sums = new Map<Loop, Sums>();

  constructor(readonly depth: number) {}

  /** After the last statement was put in. */
  close(count: Counter): this {
    const outside = (1 << this.depth) - 1;
    for (const statement of this.statements) {
      if (statement.is === 'loop')
        this.reads |= (statement.from.reads | statement.to.reads | statement.body.reads) & outside;
    }
    if (this.reads !== 0) return this;
    const starts = new Float64Array(this.statements.length + 1);
    this.statements.forEach((statement, i) => {
      starts[i + 1] = (starts[i] as number) + this.countAtFirst(statement, count);
    });
    this.starts = starts;
    return this;
  }

  private countAtFirst(statement: Statement, count: Counter): number {
    if (statement.is === 'operation') return 1;
    try {
      const steps = this.count(statement, count.turns, count);
      if (steps <= MOST_STEPS) return steps;
      throw new Wrong(`This loop makes more than ${MOST_STEPS.toLocaleString('en')} steps.`);
    } catch (fault) {
      if (fault instanceof Wrong) throw new ScriptFault(fault.message, statement);
      throw fault;
    }
  }

  /** How many steps the block has. */
  length(turns: Turns, count: Counter): number {
    if (this.starts) return this.starts[this.statements.length] as number;
    let sum = 0;
    for (const statement of this.statements) sum += this.count(statement, turns, count);
    return sum;
  }

  /** How many steps a statement of the block has. */
  count(statement: Statement, turns: Turns, count: Counter): number {
    if (statement.is === 'operation') return 1;
    const n = turnsOf(statement, turns);
    if (n === 0) return 0;
    if (statement.body.starts) return n * statement.body.length(turns, count);
    return this.sumsOf(statement, n, turns, count).at(n);
  }

  /** The statement that step `i` of the block is in, and the number of its first step. */
  find(i: number, turns: Turns, count: Counter): { at: number; start: number } {
    if (this.starts) {
      let [low, high] = [0, this.statements.length];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if ((this.starts[middle] as number) <= i) low = middle;
        else high = middle;
      }
      return { at: low, start: this.starts[low] as number };
    }
    let start = 0;
    for (let at = 0; ; at += 1) {
      const steps = this.count(this.statements[at] as Statement, turns, count);
      if (i < start + steps) return { at, start };
      start += steps;
    }
  }

  /** The turn of a loop of this block that its step `i` is in, and the number of that turn's first step. */
  findTurn(loop: Loop, i: number, turns: Turns, count: Counter): { turn: number; start: number } {
    if (loop.body.starts) {
      const steps = loop.body.length(turns, count);
      const turn = Math.floor(i / steps);
      return { turn, start: turn * steps };
    }
    return this.sumsOf(loop, turnsOf(loop, turns), turns, count).find(i);
  }

  private sumsOf(loop: Loop, n: number, turns: Turns, count: Counter): Sums {
    const kept = this.sums.get(loop);
    if (kept?.fits(turns, loop.depth)) return kept;
    count.look(n);
    const sums = new Sums(turns, loop.depth, n);
    for (let turn = 0; turn < n; turn += 1) {
      turns[loop.depth] = counterOf(loop, turn, turns);
      sums.add(loop.body.length(turns, count));
    }
    this.sums.set(loop, sums);
    return sums;
  }
}

/** Steps before each turn of a loop whose turns differ, for the turns of the loops around it. */
class Sums {
  private readonly starts: Float64Array;
  private readonly around: Float64Array;
  private filled = 0;

  constructor(turns: Turns, depth: number, n: number) {
    this.around = turns.slice(0, depth);
    this.starts = new Float64Array(n + 1);
  }

  fits(turns: Turns, depth: number): boolean {
    for (let d = 0; d < depth; d += 1) if (this.around[d] !== turns[d]) return false;
    return true;
  }

  add(steps: number): void {
    this.starts[this.filled + 1] = (this.starts[this.filled] as number) + steps;
    this.filled += 1;
  }

  at(turn: number): number {
    return this.starts[turn] as number;
  }

  find(i: number): { turn: number; start: number } {
    let [low, high] = [0, this.filled];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.at(middle) <= i) low = middle;
      else high = middle;
    }
    return { turn: low, start: this.at(low) };
  }
}

/** Keeps counting within bounds while a script is read. What was counted once can be counted again. */
export class Counter {
  readonly turns: Turns = new Float64Array(DEEPEST);
  private left = MOST_COUNTED;

  look(turns: number): void {
    this.left -= turns;
    if (this.left < 0) throw new Wrong('The loops turn too often to be counted.');
  }

  done(): void {
    this.left = Number.POSITIVE_INFINITY;
  }
}

/** How often a loop turns. */
export function turnsOf(loop: Loop, turns: Turns): number {
  const n = Math.floor((loop.to.of(turns) - loop.from.of(turns)) / loop.by) + 1;
  return n > 0 ? whole(n) : 0;
}

/** What the loop's counter is in a turn. */
export function counterOf(loop: Loop, turn: number, turns: Turns): number {
  return loop.from.of(turns) + turn * loop.by;
}

interface Frame {
  block: Block;
  at: number;
  /** The loop whose body the block is, which turn of it this is, and of how many. */
  loop: Loop | null;
  turn: number;
  of: number;
}

/** A place between steps, which goes from one to the next without searching. */
class Cursor {
  readonly turns: Turns = new Float64Array(DEEPEST);
  readonly frames: Frame[] = [];
  /** The step that the cursor is at. */
  i = -1;

  constructor(
    private readonly root: Block,
    private readonly count: Counter,
  ) {}

  /** The operation that step `i` is; its loops' counters are in `turns`. */
  go(i: number): Operation {
    if (i === this.i + 1 && this.i >= 0) this.advance();
    else if (i !== this.i) this.seek(i);
    this.i = i;
    const { block, at } = this.frames[this.frames.length - 1] as Frame;
    return block.statements[at] as Operation;
  }

  private seek(i: number): void {
    this.frames.length = 0;
    let block = this.root;
    let rest = i;
    let frame: Frame = { block, at: 0, loop: null, turn: 0, of: 1 };
    for (;;) {
      const found = block.find(rest, this.turns, this.count);
      frame.at = found.at;
      this.frames.push(frame);
      const statement = block.statements[found.at] as Statement;
      if (statement.is === 'operation') return;
      rest -= found.start;
      const { turn, start } = block.findTurn(statement, rest, this.turns, this.count);
      rest -= start;
      frame = { block: statement.body, at: 0, loop: statement, turn, of: turnsOf(statement, this.turns) };
      this.turns[statement.depth] = counterOf(statement, turn, this.turns);
      block = statement.body;
    }
  }

  private advance(): void {
    let frame = this.frames[this.frames.length - 1] as Frame;
    frame.at += 1;
    for (;;) {
      const statement = frame.block.statements[frame.at];
      if (statement === undefined) {
        frame = this.nextTurn();
      } else if (statement.is === 'operation') {
        return;
      } else if (frame.block.count(statement, this.turns, this.count) === 0) {
        frame.at += 1;
      } else {
        frame = { block: statement.body, at: 0, loop: statement, turn: 0, of: turnsOf(statement, this.turns) };
        this.turns[statement.depth] = counterOf(statement, 0, this.turns);
        this.frames.push(frame);
      }
    }
  }

  /** From the end of a body to its next turn, or to what follows the loop. */
  private nextTurn(): Frame {
    const frame = this.frames[this.frames.length - 1] as Frame;
    const loop = frame.loop as Loop;
    frame.turn += 1;
    if (frame.turn < frame.of) {
      frame.at = 0;
      this.turns[loop.depth] = counterOf(loop, frame.turn, this.turns);
      return frame;
    }
    this.frames.pop();
    const outer = this.frames[this.frames.length - 1] as Frame;
    outer.at += 1;
    return outer;
  }
}

/** A script that was read. */
export class BlockProgram implements Program {
  readonly length: number;
  private readonly running: Cursor;
  private readonly looking: Cursor;

  constructor(
    readonly text: string,
    readonly names: readonly string[],
    readonly root: Block,
    private readonly count: Counter,
  ) {
    this.length = root.length(count.turns, count);
    count.done();
    this.running = new Cursor(root, count);
    this.looking = new Cursor(root, count);
  }

  step(i: number): Step {
    const operation = this.running.go(this.within(i));
    try {
      return operation.make(this.running.turns);
    } catch (fault) {
      if (fault instanceof Wrong) return { op: 'wrong', line: operation.line, expect: null, message: fault.message };
      throw fault;
    }
  }

  line(i: number): number {
    return this.looking.go(this.within(i)).line;
  }

  say(i: number): string {
    if (i === this.length) return this.root.lastSay;
    this.looking.go(this.within(i));
    return this.sayHere();
  }

  told(i: number): string {
    if (i === this.length && this.root.lastSay !== '') return this.root.lastSay;
    if (this.length === 0) return '';
    this.looking.go(Math.min(this.within(i, 1), this.length - 1));
    // The operation's own sentence, or that of what stands before it, going out through the loops.
    const frames = this.looking.frames;
    for (let f = frames.length - 1; f >= 0; f -= 1) {
      const { block, at, turn } = frames[f] as Frame;
      const before = lastSay(block, at + 1, at);
      if (before !== '') return before;
      // In an earlier turn all of the body was told.
      const again = turn > 0 ? lastSay(block, block.statements.length) : '';
      if (again !== '') return again;
    }
    return '';
  }

  cut(i: number): string {
    if (i === this.length) return this.text.trimEnd();
    this.looking.go(this.within(i));
    const { block, at } = this.looking.frames[0] as Frame;
    const next = block.statements[at] as Statement;
    const before = this.text.slice(0, next.begin).trimEnd();
    if (next.is === 'operation') return before;
    const { turn } = this.looking.frames[1] as Frame;
    const { turns } = this.looking;
    const { start } = block.find(i, turns, this.count);
    const first = start + block.findTurn(next, i - start, turns, this.count).start;
    if (i - first > MOST_WRITTEN)
      throw new Wrong(
        `This is inside a turn of a loop, ${(i - first).toLocaleString('en')} steps from where the turn begins. Go to the beginning or the end of a turn.`,
      );
    const whole = this.text.slice(before.length, next.start) + next.head(turn - 1, turns);
    const lines = turn > 0 ? [before + whole] : [before];
    for (let step = first; step < i; step += 1) {
      const say = this.say(step);
      if (say !== '') lines.push(`say ${quote(say)}`);
      lines.push(printStep(this.step(step)));
    }
    return lines.join('\n');
  }

  private sayHere(): string {
    const frames = this.looking.frames;
    let say = '';
    for (let f = frames.length - 1; f >= 0; f -= 1) {
      const { block, at, turn } = frames[f] as Frame;
      // A loop that never turned leaves its sentence to what follows.
      let first = at;
      while (first > 0 && block.count(block.statements[first - 1] as Statement, this.looking.turns, this.count) === 0)
        first -= 1;
      const says = block.statements.slice(first, at + 1).map((statement) => statement.say);
      say = [...says, say].filter((sentence) => sentence !== '').join(' ');
      if (first > 0 || turn > 0) return say;
    }
    return say;
  }

  private within(i: number, beyond = 0): number {
    if (!(i >= 0 && i < this.length + beyond))
      throw new RangeError(`There is no step ${i}: the script has ${this.length}.`);
    return i;
  }
}

/** The latest sentence of the first `n` statements of a block, or of what is in them unless it is open. */
function lastSay(block: Block, n: number, open = -1): string {
  for (let at = n - 1; at >= 0; at -= 1) {
    const statement = block.statements[at] as Statement;
    const inside =
      statement.is === 'loop' && at !== open ? lastSay(statement.body, statement.body.statements.length) : '';
    if (inside !== '') return inside;
    if (statement.say !== '') return statement.say;
  }
  return '';
}
