/** Counted cells in all stores, and the places in live payloads in which their addresses stand. */

import { grown, type Look, type StoreAt, viewsOf } from './look.ts';
import { readStore } from './read.ts';
import { KIND, POOL_STATE, type PoolModel, type RefModel, type StoreModel, WHAT } from './types.ts';

/** Payload bytes that are looked through for addresses; what is beyond is left out. */
const MOST_SCANNED = 1 << 20;
const REF = KIND.ref;
const ANY = -1;

class Refs implements RefModel {
  readonly kind = 'ref';
  count = 0;
  at = new Uint32Array(0);
  size = new Uint32Array(0);
  refs = new Uint32Array(0);
  src = new Uint32Array(0);
  store = new Float64Array(0);
  tainted = new Uint8Array(0);
  holders = 0;
  holds = new Uint32Array(0);
  holder = new Uint32Array(0);
  offset = new Uint32Array(0);
  readonly byPayload = new Map<number, number>();

  begin(): void {
    this.count = 0;
    this.holders = 0;
    this.byPayload.clear();
  }

  addCell(at: number, size: number, refs: number, src: StoreAt, tainted: number): void {
    const i = this.count;
    this.at = grown(this.at, i + 1);
    this.size = grown(this.size, i + 1);
    this.refs = grown(this.refs, i + 1);
    this.src = grown(this.src, i + 1);
    this.store = grown(this.store, i + 1);
    this.tainted = grown(this.tainted, i + 1);
    this.at[i] = at;
    this.size[i] = size;
    this.refs[i] = refs;
    this.src[i] = src.address;
    this.store[i] = src.handle;
    this.tainted[i] = tainted;
    this.byPayload.set(at, i);
    this.count += 1;
  }

  /** Looks through live payloads for addresses of counted cells. */
  scan(look: Look, models: readonly StoreModel[]): void {
    const { words } = viewsOf(look);
    let left = MOST_SCANNED;
    for (const model of models) {
      eachPayload(look, model, ANY, (at, len) => {
        const end = at + Math.min(len, left);
        left -= len;
        for (let place = at; place + 4 <= end; place += 4) {
          const cell = this.byPayload.get(words[place >> 2] as number);
          if (cell !== undefined) this.addHolder(cell, at, place - at);
        }
        return left <= 0;
      });
    }
  }

  private addHolder(cell: number, at: number, offset: number): void {
    const i = this.holders;
    this.holds = grown(this.holds, i + 1);
    this.holder = grown(this.holder, i + 1);
    this.offset = grown(this.offset, i + 1);
    this.holds[i] = cell;
    this.holder[i] = at;
    this.offset[i] = offset;
    this.holders += 1;
  }

  index(address: number): number {
    for (let i = 0; i < this.count; i += 1) {
      const offset = address - (this.at[i] as number);
      if (offset >= 0 && offset < Math.max(1, this.size[i] as number)) return i;
    }
    return -1;
  }
}

/** Reads the counted cells of all stores. */
export function readRefs(look: Look, stores: readonly StoreAt[], model?: RefModel): RefModel {
  const refs = model instanceof Refs ? model : new Refs();
  refs.begin();
  const models = stores.map((store) => readStore(look, store));
  for (const [i, store] of stores.entries()) {
    const pieces = models[i] as StoreModel;
    const fronts = new Fronts(look, store);
    eachPayload(look, pieces, REF, (at, len) => {
      // Of a heap or region the walk tells the counted cell's own payload; elsewhere its front is in the block.
      const payload = fronts.find(at, len, pieces.kind === 'pool' || pieces.kind === 'tree');
      if (payload > 0)
        refs.addCell(payload, fronts.size(payload), fronts.refs(payload), store, fronts.tainted(payload));
      return false;
    });
  }
  if (refs.count > 0) refs.scan(look, models);
  return refs;
}

/** The fronts of counted cells in a store. */
class Fronts {
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;
  private readonly length: number;
  private readonly field: (name: string) => number;
  private readonly states: number[];

  constructor(
    look: Look,
    private readonly store: StoreAt,
  ) {
    const { layouts } = look;
    ({ bytes: this.bytes, words: this.words } = viewsOf(look));
    this.length = layouts.header('ref');
    this.field = (name) => layouts.offset('ref', 'cell', name);
    this.states = ['live', 'hooked'].map((state) => layouts.state(state));
  }

  /** The payload of the counted cell in a block, or 0. The more it is aligned, the further it is from the block's start. */
  find(at: number, len: number, isBlock: boolean): number {
    for (let front = isBlock ? this.length : 0; front <= len; front = Math.max(this.length, 2 * front)) {
      if (this.isFront(at + front)) return at + front;
      if (!isBlock) return 0;
    }
    return 0;
  }

  private isFront(payload: number): boolean {
    const isRef = this.byte(payload, 'kind') === REF && this.states.includes(this.byte(payload, 'mark'));
    return isRef && this.word(payload, 'src') === this.store.address;
  }

  size(payload: number): number {
    const align = 1 << this.byte(payload, 'align');
    return this.word(payload, 'size') - Math.ceil(this.length / align) * align;
  }

  refs(payload: number): number {
    return this.word(payload, 'refs');
  }

  tainted(payload: number): number {
    return this.byte(payload, 'shred') === 0 ? 0 : 1;
  }

  private byte(payload: number, name: string): number {
    return this.bytes[payload - this.length + this.field(name)] as number;
  }

  private word(payload: number, name: string): number {
    return this.words[(payload - this.length + this.field(name)) >> 2] as number;
  }
}

/** Visits the payloads of a store's live cells, or of those that are used as a kind, until `visit` says to stop. */
function eachPayload(look: Look, model: StoreModel, kind: number, visit: (at: number, len: number) => boolean): void {
  if (model.kind === 'pool') {
    eachCell(look, model, kind, visit);
    return;
  }
  const [sizes, from] = model.kind === 'tree' ? [model.size, 1] : [model.payload, 0];
  for (let i = from; i < model.count; i += 1) {
    const isLive = model.kind === 'tree' || model.what[i] === WHAT.used;
    if (!isLive || (kind !== ANY && model.kindOf[i] !== kind)) continue;
    if (visit(model.payloadAt(i), sizes[i] as number)) return;
  }
}

function eachCell(look: Look, pool: PoolModel, kind: number, visit: (at: number, len: number) => boolean): void {
  const { bytes } = viewsOf(look);
  const offset = look.layouts.offset('pool', 'cell', 'kind');
  const { state, header, stride } = pool;
  for (let run = 0; run < pool.runs; run += 1) {
    const first = pool.runFirst[run] as number;
    const end = first + (pool.runCount[run] as number);
    for (let i = first, at = pool.runAt[run] as number; i < end; i += 1, at += stride) {
      if (state[i] !== POOL_STATE.used && state[i] !== POOL_STATE.tainted) continue;
      if (kind !== ANY && bytes[at + offset] !== kind) continue;
      if (visit(at + header, stride - header)) return;
    }
  }
}
