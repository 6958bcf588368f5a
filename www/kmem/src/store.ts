/// <reference lib="esnext.disposable" preserve="true" />
import { Cell, type CellOptions, Mark, RefCell, TreeCell } from './cell.js';
import { answer, KmemError } from './cond.js';
import { Inspection, KINDS, type Kind } from './inspection.js';
import type { Kmem } from './kmem.js';
import { KIND, type RawExports, STAT, type StoreHandle } from './raw.js';

/** Figures of a store, in cells and bytes. */
export interface Stats {
  /** Cells that are live. */
  readonly live: number;
  /** Bytes of the live cells, with headers and rounding. */
  readonly bytes: number;
  /** The most bytes that were live at once. */
  readonly peak: number;
  /** Bytes that the store holds from its source. */
  readonly held: number;
}

/**
 * What cells are allocated from, and what other stores can stand in.
 *
 * Made by {@link Kmem.heap}, {@link Kmem.lin}, {@link Kmem.pool} and {@link Kmem.tree}.
 *
 * @example
 * ```ts
 * const pool = kmem.pool(48, { in: kmem.heap({ fixed: 10_000 }) });
 * pool.kind; // 'pool'
 * ```
 */
export abstract class Store {
  /** The instance whose memory it is in. */
  readonly kmem: Kmem;
  /** The store's number in the module: what `kmem/raw` takes. */
  readonly handle: StoreHandle;

  /** @internal */
  constructor(kmem: Kmem, handle: StoreHandle) {
    this.kmem = kmem;
    this.handle = handle;
  }

  /** @internal */
  protected get exports(): RawExports {
    return this.kmem.raw.exports;
  }

  /** Whether it is there: not destroyed yet. */
  get live(): boolean {
    return this.exports.store_address(this.handle) > 0;
  }

  /** What its cells are. */
  get kind(): Kind {
    return KINDS[answer(this.exports.store_kind(this.handle))] as Kind;
  }

  /** Where the store's own header is in {@link Kmem.memory}. */
  get address(): number {
    return answer(this.exports.store_address(this.handle));
  }

  /** Whether all that it releases is destroyed. */
  get tainted(): boolean {
    return answer(this.exports.store_tainted(this.handle)) !== 0;
  }

  /**
   * Has the bytes of all that is released from now on destroyed, and of all that is live when it is destroyed.
   *
   * @example
   * ```ts
   * heap.taint();
   * heap.alloc(32).tainted; // true
   * ```
   */
  taint(): void {
    answer(this.exports.store_taint(this.handle));
  }

  /**
   * A counted cell in this store, with one reference.
   *
   * @example
   * ```ts
   * const shared = heap.ref(64);
   * shared.count; // 1
   * ```
   */
  ref(size: number, { align = 0, zeroed = false }: CellOptions = {}): RefCell {
    return new RefCell(this, answer(this.exports.ref_alloc(this.handle, size, align, Number(zeroed))));
  }

  /**
   * The live cell whose payload begins at an address, if there is one.
   *
   * @example
   * ```ts
   * heap.cellAt(cell.address).handle === cell.handle; // true
   * heap.cellAt(cell.address + 8); // undefined
   * ```
   */
  cellAt(address: number): Cell | undefined {
    const handle = answer(this.exports.cell_at(this.handle, address));
    if (handle === 0) return undefined;
    return this.exports.cell_kind(handle) === KIND.ref ? new RefCell(this, handle) : this.cell(handle);
  }

  /**
   * Figures.
   *
   * @example
   * ```ts
   * pool.alloc();
   * pool.stats().live; // 1
   * ```
   */
  stats(): Stats {
    const stat = (which: number) => answer(this.exports.store_stat(this.handle, which));
    return { live: stat(STAT.live), bytes: stat(STAT.bytes), peak: stat(STAT.peak), held: stat(STAT.held) };
  }

  /**
   * All pieces of its memory, as its own structures say they are.
   *
   * @example
   * ```ts
   * pool.alloc();
   * Array.from(pool.inspect(), (piece) => piece.what); // ['block', 'header', 'used', 'fresh']
   * ```
   */
  inspect(): Inspection {
    return new Inspection(this.kmem.raw.records(this.handle).slice());
  }

  /**
   * Proves the store's structure.
   *
   * @throws {@link KmemError} `fail_assert` if something wrote over the store's own bytes.
   *
   * @example
   * ```ts
   * heap.check();
   * ```
   */
  check(): void {
    answer(this.exports.store_check(this.handle));
  }

  /**
   * Tears the store down: all its cells go, and its memory goes back to what it stands in.
   *
   * @throws {@link KmemError} `in_use` while another store stands in it, or if a guard of a tree refuses.
   *
   * @example
   * ```ts
   * heap.destroy();
   * cell.live; // false
   * ```
   */
  destroy(): void {
    answer(this.exports.store_destroy(this.handle));
  }

  /**
   * Destroys the store, if it is still there.
   *
   * @example
   * ```ts
   * using heap = kmem.heap();
   * ```
   */
  [Symbol.dispose](): void {
    if (this.live) this.destroy();
  }

  /** A cell of the store's own kind. @internal */
  protected abstract cell(handle: number): Cell;
}

/**
 * A heap: cells of any size, released in any order.
 *
 * @example
 * ```ts
 * const heap = kmem.heap();
 * const cell = heap.alloc(100, { align: 64 });
 * cell.resize(1000);
 * cell.free();
 * ```
 */
export class Heap extends Store {
  /**
   * A cell of `size` bytes.
   *
   * @example
   * ```ts
   * heap.alloc(100, { align: 64 }).address % 64; // 0
   * ```
   */
  alloc(size: number, { align = 0, zeroed = false }: CellOptions = {}): Cell<Heap> {
    return this.cell(answer(this.exports.alloc(this.handle, size, align, Number(zeroed))));
  }

  /** @internal */
  protected override cell(handle: number): Cell<Heap> {
    return new Cell<Heap>(this, handle);
  }
}

/**
 * A linear region: one cell after the other. The newest can be released, grown and shrunk in place; the room of an
 * older one comes back when the region is rewound, reset or destroyed.
 *
 * @example
 * ```ts
 * const lin = kmem.lin();
 * const mark = lin.mark();
 * lin.alloc(100);
 * lin.rewind(mark); // the cell has gone
 * ```
 */
export class Lin extends Store {
  /**
   * A cell of `size` bytes.
   *
   * @example
   * ```ts
   * const [one, two] = [lin.alloc(8), lin.alloc(8)];
   * two.address - one.address; // 16
   * ```
   */
  alloc(size: number, { align = 0, zeroed = false }: CellOptions = {}): Cell<Lin> {
    return this.cell(answer(this.exports.alloc(this.handle, size, align, Number(zeroed))));
  }

  /**
   * Marks where the region is now.
   *
   * @example
   * ```ts
   * const mark = lin.mark();
   * lin.alloc(100);
   * lin.rewind(mark);
   * ```
   */
  mark(): Mark {
    return new Mark(this, answer(this.exports.lin_mark(this.handle)));
  }

  /**
   * Releases all that was allocated since a mark, and the mark itself.
   *
   * @throws {@link KmemError} `bad_address` for a mark of another region or one that was passed, `in_use` if a store
   * that stands in the region has taken memory since.
   *
   * @example
   * ```ts
   * const mark = lin.mark();
   * const cell = lin.alloc(100);
   * lin.rewind(mark);
   * cell.live; // false
   * ```
   */
  rewind(mark: Mark): void {
    if (mark.store.kmem !== this.kmem) throw new KmemError('bad_address', 'a mark of another instance');
    answer(this.exports.lin_rewind(this.handle, mark.handle));
  }

  /**
   * Releases all cells and keeps the chunks for what comes.
   *
   * @throws {@link KmemError} `in_use` while another store stands in it.
   *
   * @example
   * ```ts
   * lin.alloc(100);
   * lin.reset();
   * lin.stats().live; // 0
   * ```
   */
  reset(): void {
    answer(this.exports.store_reset(this.handle));
  }

  /** @internal */
  protected override cell(handle: number): Cell<Lin> {
    return new Cell<Lin>(this, handle);
  }
}

/**
 * A pool: cells of one size. The most recently freed is the next to be handed out.
 *
 * @example
 * ```ts
 * const pool = kmem.pool(48, { cells: 100 });
 * const cell = pool.alloc();
 * const { address } = cell;
 * cell.free();
 * pool.alloc().address === address; // true
 * ```
 */
export class Pool extends Store {
  /**
   * A cell.
   *
   * @example
   * ```ts
   * pool.alloc({ zeroed: true }).size; // 48
   * ```
   */
  alloc({ align = 0, zeroed = false }: CellOptions = {}): Cell<Pool> {
    return this.cell(answer(this.exports.alloc(this.handle, 0, align, Number(zeroed))));
  }

  /**
   * Where the header of the most recently handed-out fresh cell is: the high-water mark.
   *
   * @example
   * ```ts
   * const cell = pool.alloc();
   * cell.address - pool.top; // 8
   * ```
   */
  get top(): number | undefined {
    return answer(this.exports.pool_top(this.handle)) || undefined;
  }

  /**
   * Where the header of the most recently freed cell is: the next to be handed out.
   *
   * @example
   * ```ts
   * pool.bottom; // undefined
   * pool.alloc().free();
   * pool.bottom === pool.top; // true
   * ```
   */
  get bottom(): number | undefined {
    return answer(this.exports.pool_bottom(this.handle)) || undefined;
  }

  /**
   * Releases all cells and keeps the blocks for what comes.
   *
   * @throws {@link KmemError} `in_use` while another store stands in it.
   *
   * @example
   * ```ts
   * pool.alloc();
   * pool.reset();
   * pool.stats().live; // 0
   * ```
   */
  reset(): void {
    answer(this.exports.store_reset(this.handle));
  }

  /** @internal */
  protected override cell(handle: number): Cell<Pool> {
    return new Cell<Pool>(this, handle);
  }
}

/**
 * A tree: every cell has a parent and goes with it.
 *
 * @example
 * ```ts
 * const tree = kmem.tree();
 * const house = tree.alloc(32);
 * const room = house.alloc(16);
 * house.free();
 * room.live; // false
 * ```
 */
export class Tree extends Store {
  /**
   * What all nodes are under. It has no bytes, and goes with the tree.
   *
   * @example
   * ```ts
   * tree.root.size; // 0
   * ```
   */
  get root(): TreeCell {
    return this.cell(answer(this.exports.tree_root(this.handle)));
  }

  /**
   * A node under the root: its last child.
   *
   * @example
   * ```ts
   * const node = tree.alloc(32);
   * node.kind; // 'tree'
   * ```
   */
  alloc(size: number, { align = 0, zeroed = false }: CellOptions = {}): TreeCell {
    return this.cell(answer(this.exports.alloc(this.handle, size, align, Number(zeroed))));
  }

  /** @internal */
  protected override cell(handle: number): TreeCell {
    return new TreeCell(this, handle);
  }
}
