import type { CellOptions, RefCell } from './cell.js';
import { answer, KmemError } from './cond.js';
import { compile, instantiate, type RawKmem, STAT, type StoreHandle } from './raw.js';
import { Heap, Lin, Pool, type Stats, type Store, Tree } from './store.js';

/** How an instance is made. */
export interface KmemOptions {
  /** The most bytes that its memory may grow to, the module's own data included; 4 GiB if left out. */
  maxBytes?: number | undefined;
  /** The module, where it was compiled already: `kmem/kmem.wasm`. */
  module?: WebAssembly.Module | undefined;
}

/** What a store is to stand in; the instance's pages if nothing is said. */
export interface StoreOptions {
  /** Another store, which cannot be destroyed as long as this one is there. */
  in?: Store | undefined;
  /** So many bytes, and never more: a store that can be full. Not together with `in`. */
  fixed?: number | undefined;
}

/** What a linear region is to be. */
export interface LinOptions extends StoreOptions {
  /** Bytes of the first chunk: a start, not a limit. */
  capacity?: number | undefined;
}

/** What a pool is to be. */
export interface PoolOptions extends StoreOptions {
  /** What each payload's address is a multiple of: a power of two. */
  align?: number | undefined;
  /** Cells that the first block has room for: a start, not a limit. */
  cells?: number | undefined;
  /** The most cells that may be live at once; beyond, `too_many`. */
  limit?: number | undefined;
}

/** What is asked of a counted cell. */
export interface RefOptions extends CellOptions {
  /** The store that it lies in; a heap of the instance if left out. */
  in?: Store | undefined;
}

/**
 * An instance of kmem: a memory of its own, and the stores in it.
 *
 * Made by {@link createKmem}. Instances know nothing of each other.
 *
 * @example
 * ```ts
 * const [one, two] = [await createKmem(), await createKmem()];
 * one.memory === two.memory; // false
 * ```
 */
export class Kmem {
  /** The module itself: its functions on numbers, and copies of its memory. */
  readonly raw: RawKmem;
  #refs: Heap | undefined;

  /** @internal */
  constructor(raw: RawKmem) {
    this.raw = raw;
  }

  /** The memory that all addresses are of. Its `buffer` is another one after it has grown. */
  get memory(): WebAssembly.Memory {
    return this.raw.memory;
  }

  /**
   * A heap: any size, any order.
   *
   * @example
   * ```ts
   * const heap = kmem.heap();
   * heap.alloc(100).free();
   * ```
   */
  heap(options: StoreOptions = {}): Heap {
    return new Heap(this, answer(this.raw.exports.heap_new(...this.#place(options))));
  }

  /**
   * A linear region: one cell after the other.
   *
   * @example
   * ```ts
   * const lin = kmem.lin({ capacity: 1 << 16 });
   * lin.alloc(100);
   * ```
   */
  lin(options: LinOptions = {}): Lin {
    return new Lin(this, answer(this.raw.exports.lin_new(...this.#place(options), options.capacity ?? 0)));
  }

  /**
   * A pool of cells of `cellSize` bytes.
   *
   * @example
   * ```ts
   * const pool = kmem.pool(48, { cells: 100, limit: 1000, in: kmem.heap() });
   * pool.alloc().size; // 48
   * ```
   */
  pool(cellSize: number, options: PoolOptions = {}): Pool {
    const { align = 0, cells = 0, limit = 0 } = options;
    const place = this.#place(options);
    return new Pool(this, answer(this.raw.exports.pool_new(...place, cellSize, align, cells, limit)));
  }

  /**
   * A tree: every cell goes with its parent.
   *
   * @throws {@link KmemError} `mismatch` in another tree.
   *
   * @example
   * ```ts
   * const tree = kmem.tree({ fixed: 10_000 });
   * tree.root.alloc(32).alloc(16);
   * ```
   */
  tree(options: StoreOptions = {}): Tree {
    return new Tree(this, answer(this.raw.exports.tree_new(...this.#place(options))));
  }

  /**
   * A counted cell, with one reference.
   *
   * @example
   * ```ts
   * const shared = kmem.ref(64);
   * shared.up(); // 2
   * ```
   */
  ref(size: number, options: RefOptions = {}): RefCell {
    const { in: store, ...cell } = options;
    if (store !== undefined) return this.#own(store).ref(size, cell);
    if (!this.#refs?.live) this.#refs = this.heap();
    return this.#refs.ref(size, cell);
  }

  /**
   * Figures of what the instance needs for itself: its tables, and the bytes of fixed stores.
   *
   * @example
   * ```ts
   * kmem.stats().held > 0; // true
   * ```
   */
  stats(): Stats {
    const stat = (which: number) => answer(this.raw.exports.module_stat(which));
    return { live: stat(STAT.live), bytes: stat(STAT.bytes), peak: stat(STAT.peak), held: stat(STAT.held) };
  }

  /** What a new store stands in, as the module takes it. */
  #place(options: StoreOptions): [source: StoreHandle, bytes: number] {
    const { in: store, fixed } = options;
    if (fixed !== undefined && !(fixed > 0)) throw new KmemError('bad_size', `a fixed store of ${fixed} bytes`);
    return [store === undefined ? 0 : this.#own(store).handle, fixed ?? 0];
  }

  /** A store, unless it is another instance's, whose numbers mean something else here. */
  #own(store: Store): Store {
    if (store.kmem !== this) throw new KmemError('bad_address', 'a store of another instance');
    return store;
  }
}

/**
 * Makes an instance of kmem, with a memory of its own.
 *
 * @example
 * ```ts
 * const kmem = await createKmem({ maxBytes: 16 << 20 });
 * const pool = kmem.pool(48, { cells: 100 });
 * ```
 */
export async function createKmem(options: KmemOptions = {}): Promise<Kmem> {
  const { maxBytes, module = await compile() } = options;
  return new Kmem(instantiate(module, maxBytes === undefined ? {} : { maxBytes }));
}
