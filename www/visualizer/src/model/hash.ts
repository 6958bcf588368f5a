/** A number for a whole picture: two states that look alike in every cell and link have the same. */

import type { Look, StoreAt } from './look.ts';
import { readStore } from './read.ts';
import type { StoreModel } from './types.ts';

/** Two lanes of 32 bits, mixed as MurmurHash3 mixes its words. */
class Hash {
  private a = 0x9747b28c;
  private b = 0x3c6ef372;

  word(value: number): void {
    this.a = Math.imul(this.a ^ value, 0xcc9e2d51);
    this.a = (this.a << 15) | (this.a >>> 17);
    this.b = Math.imul(this.b ^ value, 0x1b873593);
    this.b = ((this.b << 13) | (this.b >>> 19)) + this.a;
  }

  words(array: Uint32Array | Int32Array, count: number): void {
    for (let i = 0; i < count; i += 1) this.word(array[i] as number);
  }

  bytes(array: Uint8Array, count: number): void {
    const whole = new Uint32Array(array.buffer, array.byteOffset, count >> 2);
    this.words(whole, whole.length);
    for (let i = whole.length << 2; i < count; i += 1) this.word(array[i] as number);
  }

  text(): string {
    let [a, b] = [this.a, this.b];
    a = Math.imul(a ^ (b >>> 16), 0x85ebca6b);
    b = Math.imul(b ^ (a >>> 13), 0xc2b2ae35);
    return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
  }
}

/** The hash of the picture of all stores. */
export function hashOf(look: Look, stores: readonly StoreAt[]): string {
  const hash = new Hash();
  hash.word(stores.length);
  for (const store of stores) {
    hash.word(store.address);
    add(hash, readStore(look, store));
  }
  return hash.text();
}

function add(hash: Hash, model: StoreModel): void {
  const { count } = model;
  hash.word(count);
  if (model.kind === 'pool') {
    for (const array of [model.blockAt, model.blockLen, model.runAt, model.runCount]) hash.words(array, model.runs);
    for (const value of [model.stride, model.cellsz, model.top, model.bottom]) hash.word(value);
    hash.bytes(model.state, count);
    const order = model.freeOrder(count);
    hash.words(order, order.length);
  } else if (model.kind === 'tree') {
    for (const array of [model.at, model.size, model.len, model.depth]) hash.words(array, count);
    for (const array of [model.parent, model.child, model.lastchild, model.prev, model.next]) hash.words(array, count);
    for (const array of [model.tainted, model.kindOf, model.guarded]) hash.bytes(array, count);
  } else {
    for (const array of [model.blockAt, model.blockLen]) hash.words(array, model.blocks);
    for (const array of [model.at, model.len, model.block, model.header, model.payload]) hash.words(array, count);
    for (const array of [model.what, model.kindOf, model.tainted]) hash.bytes(array, count);
    if (model.kind === 'lin') for (const value of [model.cursor, model.limit]) hash.word(value);
  }
}
