/** What the names of a script hold, at the present step and back to the first. */

import { printName } from './print.ts';
import type { Place } from './types.ts';

/** Slots of the module's tables: a handle is a generation times this, plus the slot. */
const SLOTS = 2 ** 24;

/** What a name is of. */
export type Sort = 'cell' | 'store' | 'mark';

/** What one name holds: without an index, and by index. 0 is nothing. */
class Held {
  plain = 0;
  indexed = new Float64Array(0);
  sort: Sort = 'cell';

  constructor(readonly name: string) {}

  get(index: number): number {
    return index < 0 ? this.plain : (this.indexed[index] ?? 0);
  }

  set(index: number, handle: number): void {
    if (index < 0) {
      this.plain = handle;
      return;
    }
    if (index >= this.indexed.length) {
      const more = new Float64Array(Math.max(index + 1, 2 * this.indexed.length, 16));
      more.set(this.indexed);
      this.indexed = more;
    }
    this.indexed[index] = handle;
  }
}

export class Names {
  private readonly all: Held[] = [];
  private readonly byName = new Map<string, number>();
  /** The numbers of a program's names in `all`. */
  private ids: number[] = [];
  /** By step: which name got something else, at which index, and what it held and holds. */
  private readonly whose = new Growing(Int32Array);
  private readonly index = new Growing(Int32Array);
  private readonly old = new Growing(Float64Array);
  private readonly now = new Growing(Float64Array);
  /** By slot of the module's table of cells: the name (from 1) of the cell last handed out there, and its index. */
  private readonly holder = new Growing(Int32Array);
  private readonly holderIndex = new Growing(Int32Array);
  /** By step: what these were before. */
  private readonly oldHolder = new Growing(Int32Array);
  private readonly oldHolderIndex = new Growing(Int32Array);

  /** From now on, names are numbered as this program numbers them. */
  use(names: readonly string[]): void {
    this.ids = names.map((name) => {
      const known = this.byName.get(name);
      if (known !== undefined) return known;
      this.byName.set(name, this.all.length);
      return this.all.push(new Held(name)) - 1;
    });
  }

  get({ id, index }: Place): number {
    return this.held(id).get(index);
  }

  /** What a name holds that is asked for as text. */
  getNamed(name: string, index: number): number {
    return this.all[this.byName.get(name) ?? -1]?.get(index) ?? 0;
  }

  isStore({ id, at }: Place): boolean {
    return at < 0 && this.held(id).sort === 'store';
  }

  /** A step gives a name something else to hold. */
  set(step: number, { id, index }: Place, handle: number, sort: Sort): void {
    const whose = this.ids[id] as number;
    const held = this.all[whose] as Held;
    held.sort = sort;
    this.whose.set(step, whose + 1);
    this.index.set(step, index);
    this.old.set(step, held.get(index));
    this.now.set(step, handle);
    if (sort === 'cell') {
      const slot = handle % SLOTS;
      this.oldHolder.set(step, this.holder.get(slot));
      this.oldHolderIndex.set(step, this.holderIndex.get(slot));
    }
    this.redo(step);
  }

  /** A step changes no name. */
  pass(step: number): void {
    this.whose.set(step, 0);
  }

  /** Undoes the steps from `from` down to `to`, or does them again up to it. */
  move(from: number, to: number): void {
    for (let step = from - 1; step >= to; step -= 1) this.undo(step);
    for (let step = from; step < to; step += 1) this.redo(step);
  }

  private undo(step: number): void {
    const held = this.all[this.whose.get(step) - 1];
    if (!held) return;
    held.set(this.index.get(step), this.old.get(step));
    if (held.sort !== 'cell') return;
    const slot = this.now.get(step) % SLOTS;
    this.holder.set(slot, this.oldHolder.get(step));
    this.holderIndex.set(slot, this.oldHolderIndex.get(step));
  }

  private redo(step: number): void {
    const whose = this.whose.get(step);
    const held = this.all[whose - 1];
    if (!held) return;
    const [index, handle] = [this.index.get(step), this.now.get(step)];
    held.set(index, handle);
    if (held.sort !== 'cell') return;
    this.holder.set(handle % SLOTS, whose);
    this.holderIndex.set(handle % SLOTS, index);
  }

  /** The name that holds a cell, as it is written; '' if none does. */
  of(cell: number): string {
    const held = this.all[this.holder.get(cell % SLOTS) - 1];
    const index = this.holderIndex.get(cell % SLOTS);
    return held && held.get(index) === cell ? written(held.name, index) : '';
  }

  /** Visits every name of a cell. */
  each(visit: (name: string, handle: number) => void): void {
    for (const held of this.all) {
      if (held.sort !== 'cell') continue;
      for (let index = -1; index < held.indexed.length; index += 1) {
        if (held.get(index) !== 0) visit(written(held.name, index), held.get(index));
      }
    }
  }

  private held(id: number): Held {
    return this.all[this.ids[id] as number] as Held;
  }
}

function written(name: string, index: number): string {
  return index < 0 ? printName(name) : `${printName(name)}[${index}]`;
}

/** Numbers by step, for as many steps as there are. */
export class Growing<A extends Int8Array | Int32Array | Float64Array> {
  private array: A;

  constructor(private readonly type: new (length: number) => A) {
    this.array = new type(1024);
  }

  get(i: number): number {
    return this.array[i] ?? 0;
  }

  set(i: number, value: number): void {
    if (i >= this.array.length) {
      const more = new this.type(Math.max(i + 1, 2 * this.array.length));
      more.set(this.array as never);
      this.array = more;
    }
    this.array[i] = value;
  }
}
