/**
 * Copies of the module's memory, so that a step can be gone back to.
 *
 * A copy is a list of pages; a page that is as it was in the copy before is kept once. When all of them together take
 * more than they may, every second copy goes.
 */

import { instantiate, PAGE, type RawKmem } from 'kmem/raw';

/** A copy of the memory after so many steps. */
interface CheckPoint {
  step: number;
  pages: Uint8Array[];
}

/** The least steps from one copy to the next. */
const LEAST_STEPS = 1024;
/** Bytes of memory that are worth a step, so that copies take little of the time that steps take. */
const BYTES_A_STEP = 512;

export class CheckPoints {
  /** In order of their steps. */
  private readonly points: CheckPoint[] = [];
  /** In how many copies each page is. */
  private readonly uses = new Map<Uint8Array, number>();
  private spread = 1;

  constructor(
    private readonly module: WebAssembly.Module,
    private readonly maxBytes: number,
    /** Bytes that the pages may take. */
    private readonly budget: number,
  ) {}

  /** Bytes that they take. */
  get bytes(): number {
    return this.uses.size * PAGE;
  }

  get count(): number {
    return this.points.length;
  }

  /** The latest step at or before `step` that there is a copy of; 0 is the empty module. */
  before(step: number): number {
    return this.points[this.find(step)]?.step ?? 0;
  }

  /** The next step after `step` that is far enough from the copy before it, where `patience` stretches how far that is. */
  due(step: number, raw: RawKmem, patience = 1): number {
    return Math.max(step + 1, Math.ceil(this.before(step) + patience * this.apart(raw)));
  }

  /** Makes a copy, unless there is one soon after. */
  add(step: number, raw: RawKmem): void {
    const found = this.find(step);
    const after = this.points[found + 1]?.step ?? Number.POSITIVE_INFINITY;
    if (after - step < this.apart(raw) / 2) return;
    const pages = copy(raw, this.points[found]?.pages ?? []);
    for (const page of pages) this.uses.set(page, (this.uses.get(page) ?? 0) + 1);
    this.points.splice(found + 1, 0, { step, pages });
    while (this.bytes > this.budget && this.points.length > 1) this.thin();
  }

  /** How many steps there are from one copy to the next, at least. */
  private apart(raw: RawKmem): number {
    return this.spread * Math.max(LEAST_STEPS, raw.memory.buffer.byteLength / BYTES_A_STEP);
  }

  /** A fresh instance as it was at a step that `before` names. */
  restore(step: number): RawKmem {
    const raw = instantiate(this.module, { maxBytes: this.maxBytes });
    const pages = step === 0 ? [] : (this.points[this.find(step)] as CheckPoint).pages;
    const missing = pages.length - raw.memory.buffer.byteLength / PAGE;
    if (missing > 0) raw.memory.grow(missing);
    const bytes = new Uint8Array(raw.memory.buffer);
    for (let i = 0; i < pages.length; i += 1) bytes.set(pages[i] as Uint8Array, i * PAGE);
    return raw;
  }

  /** Forgets what is after a step. */
  dropAfter(step: number): void {
    for (const point of this.points.splice(this.find(step) + 1)) this.release(point);
  }

  /** The number of the latest copy at or before a step, or -1. */
  private find(step: number): number {
    let at = this.points.length - 1;
    while (at >= 0 && (this.points[at] as CheckPoint).step > step) at -= 1;
    return at;
  }

  private thin(): void {
    this.spread *= 2;
    const kept = this.points.filter((_, i) => i % 2 === 1);
    for (const point of this.points.filter((_, i) => i % 2 === 0)) this.release(point);
    this.points.splice(0, this.points.length, ...kept);
  }

  private release({ pages }: CheckPoint): void {
    for (const page of pages) {
      const uses = (this.uses.get(page) as number) - 1;
      if (uses === 0) this.uses.delete(page);
      else this.uses.set(page, uses);
    }
  }
}

/** The pages of a memory; those that are as they were are the same arrays. */
function copy({ memory }: RawKmem, before: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: memory.buffer.byteLength / PAGE }, (_, i) => {
    const page = new Uint8Array(memory.buffer, i * PAGE, PAGE);
    const old = before[i];
    return old && isSame(page, old) ? old : page.slice();
  });
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  const [words, others] = [
    new Uint32Array(a.buffer, a.byteOffset, PAGE / 4),
    new Uint32Array(b.buffer, b.byteOffset, PAGE / 4),
  ];
  for (let i = 0; i < words.length; i += 1) if (words[i] !== others[i]) return false;
  return true;
}
