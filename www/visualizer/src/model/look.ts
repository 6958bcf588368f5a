/** What models are read from. */

import type { RawKmem } from 'kmem/raw';
import type { Layouts } from './fields.ts';
import type { StoreKind } from './types.ts';

/** Somebody who has the module: it can be another one after each step, so it is never kept. */
export interface Look {
  readonly raw: RawKmem;
  /** What its headers are made of, which stays the same. */
  readonly layouts: Layouts;
}

/** What must be known of a store to read it. */
export interface StoreAt {
  readonly kind: StoreKind;
  readonly handle: number;
  /** Where its head lies. */
  readonly address: number;
}

export interface Views {
  bytes: Uint8Array;
  words: Uint32Array;
}

/** The module's memory as it is now. They are good until the module is called again. */
export function viewsOf({ raw }: Look): Views {
  const { buffer } = raw.memory;
  return { bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) };
}

/** An array with room for `count`, with what was in it. */
export function grown<A extends Uint8Array | Uint32Array | Int32Array | Float64Array>(array: A, count: number): A {
  if (array.length >= count) return array;
  const larger = new (array.constructor as new (length: number) => A)(Math.max(count, 2 * array.length, 64));
  larger.set(array);
  return larger;
}

/** In ascending order of `starts`, the last of `count` that is not above `address`; -1 if all are. */
export function lastAtMost(starts: Uint32Array, address: number, from: number, to: number): number {
  let [low, high] = [from - 1, to];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) <= address) low = middle;
    else high = middle;
  }
  return low < from ? -1 : low;
}
