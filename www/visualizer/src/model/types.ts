/**
 * What is drawn: typed arrays read from the module's memory.
 *
 * A model is given back to `read…` to be filled again; its arrays grow and are kept, so read `count`, not their length.
 * A cell is known by the address of its payload (`payloadAt`): hovering passes that on, and `index(address)` of any
 * model finds what contains an address, so a node and the heap cell that it lies in light up together.
 */

import { KIND, WHAT } from 'kmem/raw';

export { KIND, WHAT };

/** The kinds that are stores. */
export type StoreKind = 'heap' | 'lin' | 'pool' | 'tree';

/** What a cell of a pool is. */
export const POOL_STATE = { fresh: 0, used: 1, free: 2, shredded: 3, tainted: 4 } as const;

/** The names of `WHAT`, by number. */
export const WHAT_NAMES = Object.keys(WHAT) as (keyof typeof WHAT)[];

/** The kinds by number, as headers say them. */
export const KIND_NAMES = Object.keys(KIND) as (keyof typeof KIND)[];

/** What there is of each sort, counted from the pieces themselves. */
export interface Counters {
  /** Live cells; equals the store's own `live`. */
  live: number;
  /** Bytes in use; equals the store's own `bytes`. */
  bytes: number;
  /** Bytes held from the source; equals the store's own `held`. */
  held: number;
  /** Pieces of each sort, by `WHAT`. A pool's fresh cells are counted one by one. */
  pieces: Float64Array;
  /** Their bytes. */
  sizes: Float64Array;
}

/** A pool: blocks of cells, the oldest block first, so that a cell keeps its number as the pool grows. */
export interface PoolModel {
  readonly kind: 'pool';
  /** The store's handle. */
  store: number;
  /** Cells in all blocks, fresh ones too. */
  count: number;
  /** One `POOL_STATE` a cell. Only `from..to` is right after a read of a part. */
  state: Uint8Array;
  /** The part that was read last. */
  from: number;
  to: number;
  /** Blocks. */
  runs: number;
  /** By block: where it begins and how long it is; its first cell's address and number, and how many cells. */
  blockAt: Uint32Array;
  blockLen: Uint32Array;
  runAt: Uint32Array;
  runFirst: Uint32Array;
  runCount: Uint32Array;
  /** Bytes from cell to cell, of header, of payload. */
  stride: number;
  header: number;
  cellsz: number;
  /** Cell fronts: the most recently handed-out fresh cell, the most recently freed one; 0 for none. */
  top: number;
  bottom: number;
  /** Where cell `i` begins, header first. */
  address(i: number): number;
  /** Where its payload begins. */
  payloadAt(i: number): number;
  /** The cell that contains an address, or -1. */
  index(address: number): number;
  /** The fronts of the first `n` free cells, following the real links from `bottom`. */
  freeOrder(n: number): Uint32Array;
}

/** A tree: its nodes parent before children, siblings in order. Links are node numbers, -1 for none. */
export interface TreeModel {
  readonly kind: 'tree';
  store: number;
  /** Nodes, the root (number 0) too. 0 while the tree has no root yet. */
  count: number;
  /** Where the header begins. */
  at: Uint32Array;
  /** Bytes of payload. */
  size: Uint32Array;
  /** Bytes of the whole block, with header and alignment. */
  len: Uint32Array;
  parent: Int32Array;
  child: Int32Array;
  lastchild: Int32Array;
  prev: Int32Array;
  next: Int32Array;
  depth: Uint32Array;
  tainted: Uint8Array;
  /** The kind that the header says: 5, `tree`. */
  kindOf: Uint8Array;
  /** Whether the node has a record of its own: it is guarded, or was. */
  guarded: Uint8Array;
  /** Bytes of a node's header. */
  header: number;
  /** The most children of one node, and the greatest depth. */
  widest: number;
  deepest: number;
  /** Where the payload of node `i` begins. */
  payloadAt(i: number): number;
  /** The node whose header or payload contains an address, or -1. */
  index(address: number): number;
}

/** Where the nodes of a tree are drawn: x in widths of a node (siblings are 1 apart), y is the depth. */
export interface TreeLayout {
  count: number;
  x: Float64Array;
  /** 1 where the node is shown: no node above it is folded. */
  visible: Uint8Array;
  /** For a folded node: how many nodes below it are hidden. */
  hidden: Uint32Array;
  /** How many are shown, how far x goes (from 0), and the greatest depth shown. */
  shown: number;
  width: number;
  depth: number;
}

/** The pieces of a heap or a region, in the order of the walk: blocks one after the other, by address in each. */
export interface PiecesModel {
  readonly kind: 'heap' | 'lin';
  store: number;
  /** Pieces without the blocks themselves. */
  count: number;
  at: Uint32Array;
  len: Uint32Array;
  /** One `WHAT` a piece. */
  what: Uint8Array;
  /** What a used cell is used as, by `KIND_NAMES`. */
  kindOf: Uint8Array;
  block: Uint32Array;
  header: Uint32Array;
  payload: Uint32Array;
  tainted: Uint8Array;
  /** Chunks: where, how long, and the number of their first piece (`blockFirst[blocks]` is `count`). */
  blocks: number;
  blockAt: Uint32Array;
  blockLen: Uint32Array;
  blockFirst: Uint32Array;
  /** The payload of piece `i`; of what is no cell, its start. */
  payloadAt(i: number): number;
  /** The piece that contains an address, or -1. */
  index(address: number): number;
}

export interface LinearModel extends PiecesModel {
  readonly kind: 'lin';
  /** Where the next cell will begin, and where the chunk ends; 0 while there is no chunk. */
  cursor: number;
  limit: number;
}

/** Free pieces of about one size: from `from` bytes to below twice that. */
export interface SizeClass {
  from: number;
  free: number;
  freeBytes: number;
  used: number;
  usedBytes: number;
}

export interface HeapModel extends PiecesModel {
  readonly kind: 'heap';
  /** Powers of two, the smallest first; only those that have any. */
  classes: SizeClass[];
}

/** All counted cells, and who points to them. */
export interface RefModel {
  readonly kind: 'ref';
  count: number;
  /** The payload. */
  at: Uint32Array;
  size: Uint32Array;
  refs: Uint32Array;
  /** The address of the head of the store that it came from, as its header says, and that store's handle. */
  src: Uint32Array;
  store: Float64Array;
  tainted: Uint8Array;
  /** Places in live payloads in which the address of a counted cell stands. */
  holders: number;
  /** By place: the counted cell's number, the payload that holds it, and the offset in it. */
  holds: Uint32Array;
  holder: Uint32Array;
  offset: Uint32Array;
  /** The counted cell whose payload contains an address, or -1. */
  index(address: number): number;
}

export type StoreModel = PoolModel | TreeModel | LinearModel | HeapModel;
