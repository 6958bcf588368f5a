/** Does a step on the module. */

import { CONDS, type RawKmem } from 'kmem/raw';
import type { Names } from './names.ts';
import type { AllocStep, Cond, MakeStep, Place, Step } from './types.ts';

/** The answer that says a condition. */
export function refusal(cond: Cond): number {
  return -CONDS.indexOf(cond);
}

/** Does a step. The answer is the module's: at least 0, or a condition's number below 0. */
export function act({ memory, exports }: RawKmem, names: Names, step: Exclude<Step, { op: 'wrong' }>): number {
  const store = (place: Place): number => names.get(place);
  const cell = (place: Place): number =>
    place.at < 0 ? names.get(place) : Math.max(0, exports.cell_at(names.get(place), place.at));
  /** A node: that of a tree is its root. */
  const node = (place: Place): number => (names.isStore(place) ? exports.tree_root(store(place)) : cell(place));
  /** Does something with what may itself be refused. */
  const on = (handle: number, action: (handle: number) => number): number => (handle < 0 ? handle : action(handle));
  /** Writes to a payload of at least so many bytes. */
  const write = (handle: number, least: number, put: (payload: Uint8Array) => void): number => {
    const [at, size] = [exports.cell_address(handle), exports.cell_size(handle)];
    if (at < 0 || size < 0) return Math.min(at, size);
    if (size < least) return refusal('bad_size');
    put(new Uint8Array(memory.buffer, at, size));
    return 0;
  };
  switch (step.op) {
    case 'make':
      return make(exports, step, step.source ? store(step.source) : 0);
    case 'alloc':
      return alloc(exports, step, names.isStore(step.from), cell(step.from));
    case 'ref':
      return exports.ref_alloc(store(step.from), step.size, step.align, Number(step.zero));
    case 'dup':
      return exports.cell_dup(cell(step.cell));
    case 'free':
      return exports.cell_free(cell(step.cell));
    case 'shred':
      return exports.cell_shred(cell(step.cell));
    case 'taint':
      return names.isStore(step.cell) ? exports.store_taint(store(step.cell)) : exports.cell_taint(cell(step.cell));
    case 'zero':
      return exports.cell_zero(cell(step.cell));
    case 'up':
      return exports.ref_up(cell(step.cell));
    case 'down':
      return exports.ref_down(cell(step.cell));
    case 'guard':
      return exports.tree_guard(cell(step.cell), 1);
    case 'unguard':
      return exports.tree_guard(cell(step.cell), 0);
    case 'free children':
      return on(node(step.cell), exports.tree_free_children);
    case 'resize':
      return exports.cell_resize(cell(step.cell), step.size);
    case 'move':
      return on(node(step.parent), (parent) => exports.tree_move(cell(step.cell), parent));
    case 'mark':
      return exports.lin_mark(store(step.store));
    case 'rewind':
      return exports.lin_rewind(store(step.store), names.get(step.mark));
    case 'reset':
      return exports.store_reset(store(step.store));
    case 'destroy':
      return exports.store_destroy(store(step.store));
    case 'write':
      return write(cell(step.cell), step.bytes.length, (payload) => payload.set(step.bytes));
    case 'fill':
      return write(cell(step.cell), 0, (payload) => payload.fill(step.byte));
    case 'point':
      return on(exports.cell_address(cell(step.target)), (target) =>
        write(cell(step.cell), step.offset + 4, (payload) =>
          new DataView(payload.buffer, payload.byteOffset).setUint32(step.offset, target, true),
        ),
      );
  }
}

function make(exports: RawKmem['exports'], step: MakeStep, source: number): number {
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

function alloc(exports: RawKmem['exports'], step: AllocStep, isStore: boolean, from: number): number {
  const [size, align, zeroed] = [Math.max(0, step.size), step.align, Number(step.zero)];
  return isStore ? exports.alloc(from, size, align, zeroed) : exports.tree_alloc(from, size, align, zeroed);
}
