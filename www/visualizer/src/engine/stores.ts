/** The stores that a program has made so far, and when each came and went. */

import { answer, STAT } from 'kmem/raw';
import type { Look } from '../model/look.ts';
import type { MakeStep, StoreKind, StoreState, StoreStats } from './types.ts';

class Store implements StoreState {
  /** The step that destroyed it. */
  gone = Number.POSITIVE_INFINITY;

  constructor(
    private readonly look: Look,
    readonly name: string,
    readonly kind: StoreKind,
    readonly handle: number,
    readonly address: number,
    readonly source: string | null,
    readonly fixed: number,
    /** The step that made it. */
    readonly made: number,
  ) {}

  isThere(present: number): boolean {
    return this.made < present && present <= this.gone;
  }

  get tainted(): boolean {
    return answer(this.look.raw.exports.store_tainted(this.handle)) !== 0;
  }

  stats(): StoreStats {
    const { exports } = this.look.raw;
    const figure = (which: number): number => answer(exports.store_stat(this.handle, which));
    return { live: figure(STAT.live), bytes: figure(STAT.bytes), peak: figure(STAT.peak), held: figure(STAT.held) };
  }
}

export class Stores {
  private readonly all: Store[] = [];
  /** Those that are there, as they were last asked for. */
  private there: { present: number; stores: readonly Store[] } | null = null;

  constructor(private readonly look: Look) {}

  /** Those that are there after so many steps, in the order in which they were made. */
  at(present: number): readonly StoreState[] {
    if (this.there?.present !== present)
      this.there = { present, stores: this.all.filter((store) => store.isThere(present)) };
    return this.there.stores;
  }

  /** A step made a store. */
  add(step: number, { kind, store, source, fixed }: MakeStep, handle: number): void {
    if (this.all.some(({ made }) => made === step)) return;
    const { exports } = this.look.raw;
    const address = (of: number): number => answer(exports.store_address(of));
    const name = this.unused(step, store.name);
    // A tree that was given nothing to lie in has a heap of its own.
    const own = kind === 'tree' && !source ? answer(exports.store_source(handle)) : 0;
    if (own !== 0) this.all.push(new Store(this.look, `${name}'s heap`, 'heap', own, address(own), null, fixed, step));
    const under = own !== 0 ? `${name}'s heap` : (source?.name ?? null);
    this.all.push(new Store(this.look, name, kind, handle, address(handle), under, own !== 0 ? 0 : fixed, step));
    this.there = null;
  }

  /** A step destroyed a store. */
  remove(step: number, handle: number): void {
    for (const store of this.all) {
      const isIt = store.handle === handle && store.made < step;
      if (isIt) store.gone = step;
      const isOwn = isIt && this.all.find((other) => other.made === store.made && other !== store);
      if (isOwn) isOwn.gone = step;
    }
    this.there = null;
  }

  /** Forgets what steps from `step` on did. */
  dropFrom(step: number): void {
    this.all.splice(0, this.all.length, ...this.all.filter(({ made }) => made < step));
    for (const store of this.all) if (store.gone >= step) store.gone = Number.POSITIVE_INFINITY;
    this.there = null;
  }

  private unused(step: number, name: string): string {
    const taken = new Set(this.all.filter((store) => store.isThere(step)).map((store) => store.name));
    for (let number = 1; ; number += 1) {
      const candidate = number === 1 ? name : `${name}#${number}`;
      if (!taken.has(candidate)) return candidate;
    }
  }
}
