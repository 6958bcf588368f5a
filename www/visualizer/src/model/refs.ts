/** Counted cells in all stores, and the places in live payloads in which their addresses stand. */

import { grown, type Look, type StoreAt, viewsOf } from './look.ts';
import { readStore } from './read.ts';
import { KIND_NAMES, POOL_STATE, type RefModel, type StoreModel, WHAT } from './types.ts';

/** Payload bytes that are looked through for addresses; what is beyond is left out. */
const MOST_SCANNED = 1 << 20;
const REF = KIND_NAMES.indexOf('ref');

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
  /** Live payloads: where, and how long. */
  private payloads = 0;
  private payloadAt = new Uint32Array(0);
  private payloadLen = new Uint32Array(0);

  begin(): void {
    this.count = 0;
    this.holders = 0;
    this.payloads = 0;
    this.byPayload.clear();
  }

  addPayload(at: number, len: number): void {
    const i = this.payloads;
    this.payloadAt = grown(this.payloadAt, i + 1);
    this.payloadLen = grown(this.payloadLen, i + 1);
    this.payloadAt[i] = at;
    this.payloadLen[i] = len;
    this.payloads += 1;
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

  /** Looks through the live payloads for addresses of counted cells. */
  scan(words: Uint32Array): void {
    if (this.count === 0) return;
    let left = MOST_SCANNED;
    for (let i = 0; i < this.payloads && left > 0; i += 1) {
      const at = this.payloadAt[i] as number;
      const len = Math.min(this.payloadLen[i] as number, left);
      left -= len;
      for (let offset = 0; offset + 4 <= len; offset += 4) {
        const cell = this.byPayload.get(words[(at + offset) >> 2] as number);
        if (cell !== undefined) this.addHolder(cell, at, offset);
      }
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
  for (const store of stores) {
    const pieces = readStore(look, store);
    const fronts = new Fronts(look, store);
    eachPayload(look, pieces, (at, len, kind) => {
      // Of a heap or region the walk tells the counted cell's own payload; elsewhere its front is in the block.
      const payload = kind === REF ? fronts.find(at, len, pieces.kind === 'pool' || pieces.kind === 'tree') : 0;
      if (payload === 0) return refs.addPayload(at, len);
      const size = fronts.size(payload);
      refs.addCell(payload, size, fronts.refs(payload), store, fronts.tainted(payload));
      refs.addPayload(payload, size);
    });
  }
  refs.scan(viewsOf(look).words);
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

/** Visits the payloads of a store's live cells: where, how long, and what they are used as. */
function eachPayload(look: Look, model: StoreModel, visit: (at: number, len: number, kind: number) => void): void {
  if (model.kind === 'pool') {
    const { bytes } = viewsOf(look);
    const kind = look.layouts.offset('pool', 'cell', 'kind');
    for (let i = 0; i < model.count; i += 1) {
      if (model.state[i] !== POOL_STATE.used && model.state[i] !== POOL_STATE.tainted) continue;
      const at = model.address(i);
      visit(at + model.header, model.stride - model.header, bytes[at + kind] as number);
    }
  } else if (model.kind === 'tree') {
    for (let i = 1; i < model.count; i += 1)
      visit(model.payloadAt(i), model.size[i] as number, model.kindOf[i] as number);
  } else {
    for (let i = 0; i < model.count; i += 1) {
      if (model.what[i] === WHAT.used) visit(model.payloadAt(i), model.payload[i] as number, model.kindOf[i] as number);
    }
  }
}
