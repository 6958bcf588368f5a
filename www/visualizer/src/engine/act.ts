/** Does steps on the module. */

import { CONDS, type RawExports, type RawKmem } from 'kmem/raw';
import type { Names } from './names.ts';
import type { AllocStep, Cond, MakeStep, Place, Step } from './types.ts';

/** The answer that says a condition. */
function refusal(cond: Cond): number {
  return -CONDS.indexOf(cond);
}

/** Does steps on an instance. An answer is the module's: at least 0, or a condition's number below 0. */
export class Actor {
  private readonly memory: WebAssembly.Memory;
  private readonly exports: RawExports;

  constructor(
    { memory, exports }: RawKmem,
    private readonly names: Names,
  ) {
    this.memory = memory;
    this.exports = exports;
  }

  act(step: Exclude<Step, { op: 'wrong' }>): number {
    const { exports, names } = this;
    switch (step.op) {
      case 'make':
        return this.make(step);
      case 'alloc':
        return this.alloc(step);
      case 'ref':
        return exports.ref_alloc(names.get(step.from), step.size, step.align, Number(step.zero));
      case 'dup':
        return exports.cell_dup(this.cell(step.cell));
      case 'free':
        return exports.cell_free(this.cell(step.cell));
      case 'shred':
        return exports.cell_shred(this.cell(step.cell));
      case 'taint':
        return names.isStore(step.cell)
          ? exports.store_taint(names.get(step.cell))
          : exports.cell_taint(this.cell(step.cell));
      case 'zero':
        return exports.cell_zero(this.cell(step.cell));
      case 'up':
        return exports.ref_up(this.cell(step.cell));
      case 'down':
        return exports.ref_down(this.cell(step.cell));
      case 'guard':
        return exports.tree_guard(this.cell(step.cell), 1);
      case 'unguard':
        return exports.tree_guard(this.cell(step.cell), 0);
      case 'free children': {
        const node = this.node(step.cell);
        return node < 0 ? node : exports.tree_free_children(node);
      }
      case 'resize':
        return exports.cell_resize(this.cell(step.cell), step.size);
      case 'move': {
        const parent = this.node(step.parent);
        return parent < 0 ? parent : exports.tree_move(this.cell(step.cell), parent);
      }
      case 'mark':
        return exports.lin_mark(names.get(step.store));
      case 'rewind':
        return exports.lin_rewind(names.get(step.store), names.get(step.mark));
      case 'reset':
        return exports.store_reset(names.get(step.store));
      case 'destroy':
        return exports.store_destroy(names.get(step.store));
      case 'write':
        return this.write(step.cell, step.bytes.length, (payload) => payload.set(step.bytes));
      case 'fill':
        return this.write(step.cell, 0, (payload) => payload.fill(step.byte));
      case 'point': {
        const target = exports.cell_address(this.cell(step.target));
        if (target < 0) return target;
        const put = ({ buffer, byteOffset }: Uint8Array): void =>
          new DataView(buffer, byteOffset).setUint32(step.offset, target, true);
        return this.write(step.cell, step.offset + 4, put);
      }
    }
  }

  private cell(place: Place): number {
    const handle = this.names.get(place);
    return place.at < 0 ? handle : Math.max(0, this.exports.cell_at(handle, place.at));
  }

  /** A node: that of a tree is its root, which may have to be made and be refused. */
  private node(place: Place): number {
    return this.names.isStore(place) ? this.exports.tree_root(this.names.get(place)) : this.cell(place);
  }

  /** Writes to a payload, if it has at least so many bytes. */
  private write(place: Place, least: number, put: (payload: Uint8Array) => void): number {
    const cell = this.cell(place);
    const [at, size] = [this.exports.cell_address(cell), this.exports.cell_size(cell)];
    if (at < 0 || size < 0) return Math.min(at, size);
    if (size < least) return refusal('bad_size');
    put(new Uint8Array(this.memory.buffer, at, size));
    return 0;
  }

  private make(step: MakeStep): number {
    const { exports } = this;
    const source = step.source ? this.names.get(step.source) : 0;
    switch (step.kind) {
      case 'heap':
        return exports.heap_new(source, step.fixed);
      case 'lin':
        return exports.lin_new(source, step.fixed, step.capacity);
      case 'pool':
        return exports.pool_new(source, step.fixed, step.cell, step.align, step.cells, step.limit);
      case 'tree':
        return exports.tree_new(source, step.fixed);
    }
  }

  private alloc({ from, size, align, zero }: AllocStep): number {
    const [bytes, zeroed] = [Math.max(0, size), Number(zero)];
    return this.names.isStore(from)
      ? this.exports.alloc(this.names.get(from), bytes, align, zeroed)
      : this.exports.tree_alloc(this.cell(from), bytes, align, zeroed);
  }
}
