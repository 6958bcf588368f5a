/// <reference lib="esnext.disposable" preserve="true" />
import { answer, KmemError } from './cond.js';
import { KINDS, type Kind } from './inspection.js';
import type { CellHandle, RawExports } from './raw.js';
import type { Lin, Store } from './store.js';

/** What may be asked of a new cell. */
export interface CellOptions {
  /** What the payload's address is a multiple of: a power of two. Every payload is aligned to 8 at least. */
  align?: number | undefined;
  /** Whether all of it is to be zero; else its contents are undefined. */
  zeroed?: boolean | undefined;
}

/**
 * A cell: some bytes of a store.
 *
 * It is good until it is released, by whatever way: its own `free` or `shred`, its parent's, a rewind, a reset, or its
 * store's `destroy`. From then on all it does throws `bad_address`, also when other cells have come to its place.
 *
 * @example
 * ```ts
 * using cell = heap.alloc(100);
 * cell.bytes.fill(7);
 * cell.taint(); // the bytes will be destroyed when the cell goes, here at the end of the block
 * ```
 */
export class Cell<S extends Store = Store> {
  /** The store that the cell is in. */
  readonly store: S;
  /** The cell's number in the module: what `kmem/raw` takes. */
  readonly handle: CellHandle;
  #view: Uint8Array<ArrayBuffer> | undefined;

  /** @internal */
  constructor(store: S, handle: CellHandle) {
    this.store = store;
    this.handle = handle;
  }

  /** @internal */
  protected get exports(): RawExports {
    return this.store.kmem.raw.exports;
  }

  /** Whether it is there: not released yet. */
  get live(): boolean {
    return this.exports.cell_address(this.handle) > 0;
  }

  /** Where the payload begins in {@link Kmem.memory}. It changes when a `resize` moves the cell. */
  get address(): number {
    return answer(this.exports.cell_address(this.handle));
  }

  /** Bytes of payload. */
  get size(): number {
    return answer(this.exports.cell_size(this.handle));
  }

  /** How it was allocated: its store's kind, or `ref`. */
  get kind(): Kind {
    return KINDS[answer(this.exports.cell_kind(this.handle))] as Kind;
  }

  /** Whether its bytes are destroyed when it goes: it or its store is tainted. */
  get tainted(): boolean {
    return answer(this.exports.cell_tainted(this.handle)) !== 0;
  }

  /**
   * The payload, to be read and written.
   *
   * Ask for it each time you need it: an array that you keep is emptied when the memory grows (any allocation may do
   * that), and shows what others wrote once the cell has gone.
   *
   * @throws {@link KmemError} `bad_address` when the cell has gone.
   *
   * @example
   * ```ts
   * cell.bytes.set([1, 2, 3]);
   * heap.alloc(1 << 20); // the memory grows
   * cell.bytes[1]; // 2
   * ```
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.store.kmem.memory;
    const { address, size } = this;
    const view = this.#view;
    if (view !== undefined && view.buffer === buffer && view.byteOffset === address && view.length === size)
      return view;
    this.#view = new Uint8Array(buffer, address, size);
    return this.#view;
  }

  /**
   * Gives the cell back. A counted cell loses a reference; a node goes with all below it.
   *
   * @throws {@link KmemError} `bad_address` when it has gone already, `in_use` if a guard refuses.
   *
   * @example
   * ```ts
   * cell.free();
   * cell.live; // false
   * ```
   */
  free(): void {
    answer(this.exports.cell_free(this.handle));
  }

  /**
   * Destroys the bytes, then gives the cell back. A counted cell that is still shared loses a reference, and its bytes
   * go with the last.
   *
   * @example
   * ```ts
   * cell.bytes.fill(7);
   * cell.shred();
   * ```
   */
  shred(): void {
    answer(this.exports.cell_shred(this.handle));
  }

  /**
   * Marks the cell, so that its bytes are destroyed however it goes.
   *
   * @example
   * ```ts
   * cell.taint();
   * cell.tainted; // true
   * cell.free(); // as good as shred
   * ```
   */
  taint(): void {
    answer(this.exports.cell_taint(this.handle));
  }

  /**
   * Zeroes the payload.
   *
   * @example
   * ```ts
   * cell.bytes.fill(7);
   * cell.zero();
   * cell.bytes[0]; // 0
   * ```
   */
  zero(): void {
    answer(this.exports.cell_zero(this.handle));
  }

  /**
   * A copy in the same store; of a node, under the same parent and without its children. Taint is inherited. A counted
   * cell's copy has one reference.
   *
   * @example
   * ```ts
   * cell.bytes[0] = 7;
   * const copy = cell.dup();
   * cell.free();
   * copy.bytes[0]; // 7
   * ```
   */
  dup(): this {
    return this.again(answer(this.exports.cell_dup(this.handle)));
  }

  /**
   * Grows or shrinks the cell, in place where it can. What is kept of a tainted cell that moves is destroyed at the old
   * place.
   *
   * @throws {@link KmemError} `bad_size` beyond a pool's cell, `mismatch` for a counted cell.
   *
   * @example
   * ```ts
   * cell.resize(1000);
   * cell.size; // 1000
   * ```
   */
  resize(size: number): void {
    answer(this.exports.cell_resize(this.handle, size));
  }

  /**
   * Releases the cell, if it is still there.
   *
   * @example
   * ```ts
   * using cell = heap.alloc(100);
   * ```
   */
  [Symbol.dispose](): void {
    if (this.live) this.free();
  }

  /** Another cell of the same sort. @internal */
  protected again(handle: CellHandle): this {
    const Sort = this.constructor as new (store: S, handle: CellHandle) => this;
    return new Sort(this.store, handle);
  }
}

/**
 * A counted cell: it goes with its last reference.
 *
 * @example
 * ```ts
 * const shared = kmem.ref(64, { in: heap });
 * shared.up(); // 2
 * shared.down(); // 1
 * shared.down(); // 0: released
 * ```
 */
export class RefCell extends Cell {
  /** How many references there are. */
  get count(): number {
    return answer(this.exports.ref_count(this.handle));
  }

  /** One more reference; says how many there are then. */
  up(): number {
    return answer(this.exports.ref_up(this.handle));
  }

  /** One reference fewer; says how many are left. The last releases the cell. */
  down(): number {
    return answer(this.exports.ref_down(this.handle));
  }
}

/**
 * A node of a tree: it goes with its parent.
 *
 * @example
 * ```ts
 * const request = tree.alloc(64);
 * const name = request.alloc(16);
 * name.moveTo(tree.root); // it outlives the request
 * request.free();
 * ```
 */
export class TreeCell extends Cell {
  /**
   * A node below this one: its last child.
   *
   * @example
   * ```ts
   * const node = tree.root.alloc(32);
   * const below = node.alloc(16, { zeroed: true });
   * below.bytes[0]; // 0
   * ```
   */
  alloc(size: number, { align = 0, zeroed = false }: CellOptions = {}): TreeCell {
    return this.again(answer(this.exports.tree_alloc(this.handle, size, align, Number(zeroed))));
  }

  /**
   * Releases all that is below this node, and keeps the node.
   *
   * @example
   * ```ts
   * const node = tree.alloc(32);
   * const below = node.alloc(16);
   * node.freeChildren();
   * [node.live, below.live]; // [true, false]
   * ```
   */
  freeChildren(): void {
    answer(this.exports.tree_free_children(this.handle));
  }

  /**
   * Moves the node, with all below it, to be the last child of another of the same tree.
   *
   * @throws {@link KmemError} `in_use` where that would make a loop, `bad_address` for a node of another tree.
   *
   * @example
   * ```ts
   * const [one, two] = [tree.alloc(32), tree.alloc(32)];
   * two.moveTo(one);
   * one.free();
   * two.live; // false
   * ```
   */
  moveTo(parent: TreeCell): void {
    if (parent.store.kmem !== this.store.kmem) throw new KmemError('bad_address', 'a node of another instance');
    answer(this.exports.tree_move(this.handle, parent.handle));
  }

  /**
   * Has the node refuse to be released: what would, throws `in_use` and releases nothing.
   *
   * @example
   * ```ts
   * const node = tree.alloc(32);
   * node.guard();
   * try {
   *   tree.destroy();
   * } catch (error) {
   *   error.cond; // 'in_use'
   * }
   * ```
   */
  guard(): void {
    answer(this.exports.tree_guard(this.handle, 1));
  }

  /**
   * Takes the guard off.
   *
   * @example
   * ```ts
   * const node = tree.alloc(32);
   * node.guard();
   * node.unguard();
   * node.free();
   * ```
   */
  unguard(): void {
    answer(this.exports.tree_guard(this.handle, 0));
  }
}

/**
 * A place in a linear region, to which it can be rewound.
 *
 * @example
 * ```ts
 * const mark = lin.mark();
 * const later = lin.alloc(100);
 * lin.rewind(mark);
 * later.live; // false
 * ```
 */
export class Mark {
  /** The region. */
  readonly store: Lin;
  /** The mark's number in the module. */
  readonly handle: number;

  /** @internal */
  constructor(store: Lin, handle: number) {
    this.store = store;
    this.handle = handle;
  }

  /**
   * Where the mark stands in the region: it takes a cell there.
   *
   * @throws {@link KmemError} `bad_address` when the region was rewound past it.
   */
  get address(): number {
    return answer(this.store.kmem.raw.exports.mark_address(this.handle));
  }
}
