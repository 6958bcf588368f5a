/**
 * Memory in six kinds, with one vocabulary: kmem's stores and cells, in a WebAssembly memory of their own.
 *
 * Begin with {@link createKmem}.
 *
 * @packageDocumentation
 */
export { Cell, type CellOptions, Mark, RefCell, TreeCell } from './cell.js';
export { type Cond, KmemError } from './cond.js';
export { type Column, Inspection, type Kind, type Piece, type What } from './inspection.js';
export {
  createKmem,
  Kmem,
  type KmemOptions,
  type LinOptions,
  type PoolOptions,
  type RefOptions,
  type StoreOptions,
} from './kmem.js';
export { KIND, WHAT } from './raw.js';
export { Heap, Lin, Pool, type Stats, Store, Tree } from './store.js';
