/**
 * The module itself: its functions on numbers, its memory, and copies of it.
 *
 * This is what the classes of `kmem` are made of, and what shows memory as it is. Handles, sizes and addresses are
 * numbers; an answer below 0 is a condition (see {@link answer}). All state is in the memory, so a copy of
 * the memory is a copy of everything.
 *
 * @module
 */
import { answer, KmemError } from './cond.js';
import { base64, pages } from './wasm.js';

export { answer, CONDS, type Cond, KmemError } from './cond.js';

/** A store's number, never used again once it has gone. */
export type StoreHandle = number;
/** A cell's number, never used again once it has gone. */
export type CellHandle = number;
/** A mark's number, never used again once it was passed. */
export type MarkHandle = number;
/** 0, or a condition. */
export type Done = number;

/** Bytes of a page of WebAssembly memory. */
export const PAGE = 65536;

/** Words of a record, see {@link RECORD}. */
export const RECORD_STRIDE = 15;

/** Where what stands in a record of {@link RawKmem.records}. */
export const RECORD = {
  /** Where the piece begins. */
  at: 0,
  /** How long it is, with its header and rounding. */
  len: 1,
  /** What it is: a number of {@link WHAT}. */
  what: 2,
  /** What the cell is used as: a number of {@link KIND}. */
  kind: 3,
  /** The number of the block that it lies in, in the order of the walk. */
  block: 4,
  /** Bytes in front of the payload. */
  header: 5,
  /** Bytes of payload that were asked for. */
  payload: 6,
  /** 1 where releasing it shreds it. */
  tainted: 7,
  /** How deep in its tree; the root is 0. */
  depth: 8,
  /** References to a counted cell. */
  refs: 9,
  /** Five addresses: see {@link LINK}. */
  links: 10,
} as const;

/** Words of a pool's block, see {@link RUN}. */
export const RUN_STRIDE = 5;

/** Where what stands in a block of {@link RawKmem.runs}. */
export const RUN = {
  /** Where the block begins. */
  block: 0,
  /** How long it is. */
  len: 1,
  /** Where its first cell's header is. */
  at: 2,
  /** How many of its cells were handed out. */
  count: 3,
  /** Bytes from one cell to the next. */
  stride: 4,
} as const;

/** Which link of a record is which: of a node, of a free pool cell, of a counted cell. */
export const LINK = {
  parent: 0,
  child: 1,
  lastchild: 2,
  prev: 3,
  next: 4,
  last: 0,
  src: 0,
} as const;

/** The number of each kind. */
export const KIND = { none: 0, lin: 1, heap: 2, pool: 3, ref: 4, tree: 5, fail: 6 } as const;

/** The number of each sort of piece. */
export const WHAT = { block: 0, header: 1, used: 2, free: 3, shredded: 4, fresh: 5, hole: 6, mark: 7 } as const;

/** The number of each figure of {@link RawExports.store_stat}. */
export const STAT = { live: 0, bytes: 1, peak: 2, held: 3 } as const;

/** What a header stands in front of. */
export type Owner = 'cell' | 'store' | 'block' | 'free' | 'mark';

/** What a field's bytes mean. */
export type Form = 'number' | 'link' | 'kind' | 'flag' | 'align' | 'state';

const OWNERS: readonly Owner[] = ['cell', 'store', 'block', 'free', 'mark'];
const FORMS: readonly Form[] = ['number', 'link', 'kind', 'flag', 'align', 'state'];
const NAMES = ['kind', 'what', 'state', 'cond'] as const;

/** A field of a header. */
export interface Field {
  readonly name: string;
  /** Bytes from the header's start. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly form: Form;
}

/** A header: a cell's ends where its payload begins; the others stand at the start of what they are of. */
export interface Front {
  readonly owner: Owner;
  /** Bytes. */
  readonly size: number;
  /** By offset. */
  readonly fields: readonly Field[];
}

/**
 * The module's functions. `source` is 0 for the module's pages, or a store; `bytes` over 0 makes a fixed store in as
 * many bytes of its own (then `source` is 0). `align` 0 is the least alignment. `zeroed` and `on` are 0 or 1.
 */
export interface RawExports {
  heap_new(source: StoreHandle, bytes: number): StoreHandle;
  /** `capacity`: bytes of the first chunk, or 0. */
  lin_new(source: StoreHandle, bytes: number, capacity: number): StoreHandle;
  /** `cells`: in the first block, or 0; `limit`: the most that may be live, or 0. */
  pool_new(
    source: StoreHandle,
    bytes: number,
    cellSize: number,
    align: number,
    cells: number,
    limit: number,
  ): StoreHandle;
  /** Not in a tree (`mismatch`). With no source, its nodes lie in a heap of its own: its `store_source`. */
  tree_new(source: StoreHandle, bytes: number): StoreHandle;
  /** `in_use` while another store stands in it, or if a guard refuses. */
  store_destroy(store: StoreHandle): Done;
  /** Regions and pools: `in_use` while another store stands in it. */
  store_reset(store: StoreHandle): Done;
  store_taint(store: StoreHandle): Done;
  /** `fail_assert` if the store's structure was overwritten. May reorder the store's own links. */
  store_check(store: StoreHandle): Done;
  /** A number of {@link KIND}. */
  store_kind(store: StoreHandle): number;
  /** Where the store's own header is. */
  store_address(store: StoreHandle): number;
  /** The store that it stands in, or 0. */
  store_source(store: StoreHandle): StoreHandle;
  store_tainted(store: StoreHandle): number;
  /** `which`: a number of {@link STAT}. */
  store_stat(store: StoreHandle, which: number): number;

  /** A pool's cells are all alike: `size` up to theirs. In a tree, under the root. */
  alloc(store: StoreHandle, size: number, align: number, zeroed: number): CellHandle;
  tree_alloc(parent: CellHandle, size: number, align: number, zeroed: number): CellHandle;
  tree_root(store: StoreHandle): CellHandle;
  tree_free_children(cell: CellHandle): Done;
  tree_move(cell: CellHandle, parent: CellHandle): Done;
  tree_guard(cell: CellHandle, on: number): Done;
  ref_alloc(store: StoreHandle, size: number, align: number, zeroed: number): CellHandle;
  /** How many references there are then. */
  ref_up(cell: CellHandle): number;
  /** How many references are left; with the last the cell goes. */
  ref_down(cell: CellHandle): number;
  ref_count(cell: CellHandle): number;

  cell_free(cell: CellHandle): Done;
  cell_shred(cell: CellHandle): Done;
  cell_taint(cell: CellHandle): Done;
  cell_zero(cell: CellHandle): Done;
  cell_dup(cell: CellHandle): CellHandle;
  /** The handle stays; the address may change. */
  cell_resize(cell: CellHandle, size: number): Done;
  /** Where the payload begins. */
  cell_address(cell: CellHandle): number;
  cell_size(cell: CellHandle): number;
  /** A number of {@link KIND}: the store's, or `ref`. */
  cell_kind(cell: CellHandle): number;
  /** Whether it or its store is tainted. */
  cell_tainted(cell: CellHandle): number;
  cell_store(cell: CellHandle): StoreHandle;
  /** The cell whose payload begins at an address, or 0. */
  cell_at(store: StoreHandle, address: number): CellHandle;

  lin_mark(store: StoreHandle): MarkHandle;
  /** `in_use` if a store that stands in the region has taken memory since the mark. */
  lin_rewind(store: StoreHandle, mark: MarkHandle): Done;
  /** Where the mark's record is, behind a cell header. */
  mark_address(mark: MarkHandle): number;
  /** Where the header of the most recently handed-out fresh cell is, or 0. */
  pool_top(store: StoreHandle): number;
  /** Where the header of the next cell to be handed out is, or 0 if that is a fresh one. */
  pool_bottom(store: StoreHandle): number;

  /** A figure of the module's own heap; `which`: a number of {@link STAT}. */
  module_stat(which: number): number;
}

/** What is called back while it looks; {@link RawKmem} does that. */
interface Looking {
  inspect(store: StoreHandle): Done;
  pool_runs(store: StoreHandle): Done;
  fields(kind: number): Done;
  names(of: number): Done;
}

/** How an instance is made. */
export interface RawOptions {
  /** The most bytes that its memory may grow to; 4 GiB if left out. */
  maxBytes?: number;
}

/**
 * An instance of the module.
 *
 * If the module finds a bug in itself, the call that met it throws `fail_assert` with its message, and the instance is
 * good for nothing more.
 */
export interface RawKmem {
  readonly memory: WebAssembly.Memory;
  readonly exports: RawExports;
  /**
   * The pieces of a store's memory, {@link RECORD_STRIDE} words each (see {@link RECORD}), in the order of `inspect`.
   * The array is good until the next call.
   *
   * @example
   * ```ts
   * const words = raw.records(heap.handle);
   * words[RECORD.what]; // 0
   * words[RECORD_STRIDE + RECORD.what]; // 1
   * ```
   */
  records(store: StoreHandle): Uint32Array;
  /**
   * A pool's blocks, {@link RUN_STRIDE} words each (see {@link RUN}), newest first; those that wait to be used again
   * come last, with no cell handed out. The array is good until the next call.
   *
   * @example
   * ```ts
   * pool.alloc();
   * raw.runs(pool.handle)[RUN.count]; // 1
   * ```
   */
  runs(store: StoreHandle): Uint32Array;
  /**
   * The headers that have to do with a kind, a number of {@link KIND}.
   *
   * @example
   * ```ts
   * const node = raw.fronts(KIND.tree).find((front) => front.owner === 'cell');
   * node.fields.find((field) => field.name === 'parent').offset; // 8
   * ```
   */
  fronts(kind: number): Front[];
  /**
   * What the numbers of kinds, of pieces, of cells' states (a header's `mark`) and of conditions are called.
   *
   * @example
   * ```ts
   * raw.names('kind').get(KIND.pool); // 'pool'
   * ```
   */
  names(of: (typeof NAMES)[number]): Map<number, string>;
  /**
   * A copy of the memory: of everything.
   *
   * @example
   * ```ts
   * raw.snapshot().length === raw.memory.buffer.byteLength; // true
   * ```
   */
  snapshot(): Uint8Array;
  /**
   * A fresh instance with the memory of a snapshot; this one stays as it is.
   *
   * @example
   * ```ts
   * const before = raw.snapshot();
   * cell.free();
   * raw.restore(before).exports.cell_size(cell.handle); // 100
   * ```
   */
  restore(snapshot: Uint8Array): RawKmem;
}

/** Numbers in an array that grows. */
class Sink {
  #words = new Uint32Array(1024);
  #refused: unknown;
  length = 0;

  /** Room for so many more words, from {@link length} on. */
  room(words: number): Uint32Array {
    if (this.length + words > this.#words.length) {
      try {
        const more = new Uint32Array(2 * this.#words.length);
        more.set(this.#words);
        this.#words = more;
      } catch (error) {
        // What is thrown through the module leaves it half way: it is told when the module has returned.
        this.#refused = error;
        this.length = 0;
      }
    }
    return this.#words;
  }

  taken(): Uint32Array {
    const error = this.#refused;
    this.#refused = undefined;
    if (error !== undefined) throw error;
    return this.#words.subarray(0, this.length);
  }
}

/** What the instance calls. */
class Host {
  readonly records = new Sink();
  readonly runs = new Sink();
  fronts: { owner: Owner; size: number; fields: Field[] }[] = [];
  names = new Map<number, string>();
  readonly #memory: WebAssembly.Memory;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  #text(at: number, len: number): string {
    return new TextDecoder().decode(new Uint8Array(this.#memory.buffer, at, len));
  }

  imports(): WebAssembly.Imports {
    const kmem = {
      record: (
        at: number,
        len: number,
        what: number,
        kind: number,
        block: number,
        header: number,
        payload: number,
        tainted: number,
        depth: number,
        refs: number,
        l0: number,
        l1: number,
        l2: number,
        l3: number,
        l4: number,
      ) => {
        const words = this.records.room(RECORD_STRIDE);
        let i = this.records.length;
        words[i++] = at;
        words[i++] = len;
        words[i++] = what;
        words[i++] = kind;
        words[i++] = block;
        words[i++] = header;
        words[i++] = payload;
        words[i++] = tainted;
        words[i++] = depth;
        words[i++] = refs;
        words[i++] = l0;
        words[i++] = l1;
        words[i++] = l2;
        words[i++] = l3;
        words[i++] = l4;
        this.records.length = i;
      },
      run: (block: number, len: number, at: number, count: number, stride: number) => {
        const words = this.runs.room(RUN_STRIDE);
        words[this.runs.length++] = block;
        words[this.runs.length++] = len;
        words[this.runs.length++] = at;
        words[this.runs.length++] = count;
        words[this.runs.length++] = stride;
      },
      field: (owner: number, name: number, len: number, offset: number, size: number, form: number) => {
        if (name === 0) {
          this.fronts.push({ owner: OWNERS[owner] as Owner, size, fields: [] });
        } else {
          const field = { name: this.#text(name, len), offset, size, form: FORMS[form] as Form };
          this.fronts.at(-1)?.fields.push(field);
        }
      },
      name: (number: number, name: number, len: number) => {
        this.names.set(number, this.#text(name, len));
      },
      panic: (message: number, len: number) => {
        throw new KmemError('fail_assert', `kmem has a bug: ${this.#text(message, len)}`);
      },
    };
    return { kmem, env: { memory: this.#memory } };
  }
}

class Instance implements RawKmem {
  readonly memory: WebAssembly.Memory;
  readonly exports: RawExports;
  readonly #looking: Looking;
  readonly #host: Host;
  readonly #module: WebAssembly.Module;
  readonly #maximum: number;

  constructor(module: WebAssembly.Module, maximum: number) {
    this.memory = new WebAssembly.Memory({ initial: pages, maximum });
    this.#host = new Host(this.memory);
    const { exports } = new WebAssembly.Instance(module, this.#host.imports());
    this.exports = exports as unknown as RawExports;
    this.#looking = exports as unknown as Looking;
    this.#module = module;
    this.#maximum = maximum;
  }

  records(store: StoreHandle): Uint32Array {
    this.#host.records.length = 0;
    answer(this.#looking.inspect(store));
    return this.#host.records.taken();
  }

  runs(store: StoreHandle): Uint32Array {
    this.#host.runs.length = 0;
    answer(this.#looking.pool_runs(store));
    return this.#host.runs.taken();
  }

  fronts(kind: number): Front[] {
    this.#host.fronts = [];
    answer(this.#looking.fields(kind));
    return this.#host.fronts;
  }

  names(of: (typeof NAMES)[number]): Map<number, string> {
    this.#host.names = new Map();
    answer(this.#looking.names(NAMES.indexOf(of)));
    return this.#host.names;
  }

  snapshot(): Uint8Array {
    return new Uint8Array(this.memory.buffer).slice();
  }

  restore(snapshot: Uint8Array): RawKmem {
    const fresh = new Instance(this.#module, this.#maximum);
    const missing = (snapshot.length - fresh.memory.buffer.byteLength) / PAGE;
    if (missing < 0 || !Number.isInteger(missing)) throw new KmemError('bad_size', 'not a snapshot of this module');
    if (missing > 0) fresh.memory.grow(missing);
    new Uint8Array(fresh.memory.buffer).set(snapshot);
    return fresh;
  }
}

let compiled: Promise<WebAssembly.Module> | undefined;

/**
 * The module that the package brings, compiled once.
 *
 * @example
 * ```ts
 * const kmem = await createKmem({ module: await compile() });
 * ```
 */
export function compile(): Promise<WebAssembly.Module> {
  compiled ??= inflate(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))).then(WebAssembly.compile);
  return compiled;
}

function inflate(deflated: BlobPart): Promise<ArrayBuffer> {
  return new Response(new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).arrayBuffer();
}

/**
 * A fresh instance, with a memory of its own.
 *
 * @example
 * ```ts
 * const raw = instantiate(await compile(), { maxBytes: 16 << 20 });
 * const pool = answer(raw.exports.pool_new(0, 0, 48, 0, 100, 0));
 * ```
 */
export function instantiate(module: WebAssembly.Module, options: RawOptions = {}): RawKmem {
  const maximum = Math.min(Math.floor((options.maxBytes ?? 2 ** 32) / PAGE), PAGE);
  if (!(maximum >= pages)) {
    throw new KmemError('no_room', `the module itself takes ${pages * PAGE} bytes; maxBytes is ${options.maxBytes}`);
  }
  return new Instance(module, maximum);
}
