/** A pool's cells, from their own headers in the module's memory. */

import { RUN, RUN_STRIDE } from 'kmem/raw';
import { type Look, lastAtMost, type StoreAt, viewsOf } from './look.ts';
import { POOL_STATE, type PoolModel } from './types.ts';

class Pool implements PoolModel {
  readonly kind = 'pool';
  store = 0;
  count = 0;
  state = new Uint8Array(0);
  from = 0;
  to = 0;
  runs = 0;
  blockAt = new Uint32Array(0);
  blockLen = new Uint32Array(0);
  runAt = new Uint32Array(0);
  runFirst = new Uint32Array(0);
  runCount = new Uint32Array(0);
  runHanded = new Uint32Array(0);
  stride = 1;
  header = 0;
  cellsz = 0;
  top = 0;
  bottom = 0;
  look: Look | null = null;
  /** Runs in ascending order of their addresses. */
  private byAddress: number[] = [];

  /** Takes in the blocks that the module tells: newest first, then the spare ones, with no cell handed out. */
  setRuns(told: Uint32Array): void {
    const runs = told.length / RUN_STRIDE;
    if (this.runAt.length < runs) {
      const room = 2 * runs;
      this.blockAt = new Uint32Array(room);
      this.blockLen = new Uint32Array(room);
      this.runAt = new Uint32Array(room);
      this.runFirst = new Uint32Array(room);
      this.runCount = new Uint32Array(room);
      this.runHanded = new Uint32Array(room);
    }
    const word = (run: number, column: number): number => told[run * RUN_STRIDE + column] as number;
    let used = 0;
    while (used < runs && word(used, RUN.count) > 0) used += 1;
    this.count = 0;
    for (let run = 0; run < runs; run += 1) {
      const from = run < used ? used - 1 - run : run;
      const [block, len, at] = [word(from, RUN.block), word(from, RUN.len), word(from, RUN.at)];
      this.stride = word(from, RUN.stride);
      this.blockAt[run] = block;
      this.blockLen[run] = len;
      this.runAt[run] = at;
      this.runFirst[run] = this.count;
      this.runCount[run] = Math.floor((block + len - at) / this.stride);
      this.runHanded[run] = word(from, RUN.count);
      this.count += this.runCount[run] as number;
    }
    this.runs = runs;
    this.byAddress = [];
    if (this.state.length < this.count) this.state = new Uint8Array(Math.max(this.count, 2 * this.state.length));
  }

  address(i: number): number {
    const run = lastAtMost(this.runFirst, i, 0, this.runs);
    return (this.runAt[run] as number) + (i - (this.runFirst[run] as number)) * this.stride;
  }

  payloadAt(i: number): number {
    return this.address(i) + this.header;
  }

  index(address: number): number {
    if (this.byAddress.length !== this.runs) {
      this.byAddress = Array.from({ length: this.runs }, (_, run) => run);
      this.byAddress.sort((a, b) => (this.runAt[a] as number) - (this.runAt[b] as number));
    }
    for (const run of this.byAddress) {
      const offset = address - (this.runAt[run] as number);
      if (offset < 0) break;
      const cell = Math.floor(offset / this.stride);
      if (cell < (this.runCount[run] as number)) return (this.runFirst[run] as number) + cell;
    }
    return -1;
  }

  freeOrder(n: number): Uint32Array {
    if (!this.look || n <= 0) return new Uint32Array(0);
    const { words } = viewsOf(this.look);
    const last = this.look.layouts.offset('pool', 'free', 'last') >> 2;
    const order = new Uint32Array(Math.min(n, this.count));
    let found = 0;
    for (let at = this.bottom; at !== 0 && found < order.length; at = words[(at >> 2) + last] as number) {
      order[found] = at;
      found += 1;
    }
    return order.subarray(0, found);
  }
}

/** What a header's state and taint are as a `POOL_STATE`: the state, plus 256 if the cell is tainted. */
const table = new Uint8Array(512);

/** Reads a pool: all of it, or cells `from` up to `to` where only those are seen. */
export function readPool(
  look: Look,
  store: StoreAt,
  model?: PoolModel,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): PoolModel {
  const pool = model instanceof Pool ? model : new Pool();
  const { layouts } = look;
  pool.store = store.handle;
  pool.look = look;
  pool.setRuns(look.raw.runs(store.handle));
  const { bytes, words } = viewsOf(look);
  const head = (field: string): number =>
    words[(store.address + layouts.offset('pool', 'store', field)) >> 2] as number;
  pool.header = layouts.header('pool');
  pool.cellsz = head('cellsz');
  pool.top = head('top');
  pool.bottom = head('bottom');
  pool.from = Math.max(0, Math.min(from, pool.count));
  pool.to = Math.max(pool.from, Math.min(to, pool.count));
  // What is neither live nor shredded is free, as for `inspect`.
  table.fill(POOL_STATE.free);
  const [live, shredded] = [layouts.state('live'), layouts.state('shredded')];
  table[live] = POOL_STATE.used;
  table[256 + live] = POOL_STATE.tainted;
  table[shredded] = table[256 + shredded] = POOL_STATE.shredded;
  const mark = layouts.offset('pool', 'cell', 'mark');
  readStates(bytes, pool, mark, layouts.offset('pool', 'cell', 'shred') - mark);
  return pool;
}

function readStates(bytes: Uint8Array, pool: Pool, mark: number, shred: number): void {
  const { state, stride } = pool;
  for (let run = 0; run < pool.runs; run += 1) {
    const first = pool.runFirst[run] as number;
    const end = Math.min(first + (pool.runCount[run] as number), pool.to);
    const begin = Math.max(first, pool.from);
    if (begin >= end) continue;
    const fresh = Math.max(begin, Math.min(end, first + (pool.runHanded[run] as number)));
    let at = (pool.runAt[run] as number) + (begin - first) * stride + mark;
    for (let i = begin; i < fresh; i += 1, at += stride) {
      state[i] = table[(bytes[at] as number) + (bytes[at + shred] === 0 ? 0 : 256)] as number;
    }
    state.fill(POOL_STATE.fresh, fresh, end);
  }
}
