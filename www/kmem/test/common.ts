import { expect } from 'vitest';
import { type Cond, KmemError } from '../src/index.js';
import { instantiate, KIND, type RawKmem, RECORD, RECORD_STRIDE } from '../src/raw.js';

/** Expects a call to be refused, with this condition. */
export function refused(cond: Cond, call: () => unknown): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, `refused with ${cond}`).toBeInstanceOf(KmemError);
  expect((error as KmemError).cond).toBe(cond);
}

/** Numbers that look random and are the same each time (Marsaglia's xorshift). */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** What lies below is the module's stack, in which each call leaves what it likes. */
export const STACK = 65536;

/** All of an instance's memory but its stack. */
export function state(raw: RawKmem): Buffer {
  return Buffer.from(raw.snapshot().subarray(STACK));
}

/** Does `steps` random things to an instance; says what was answered, all of it. */
export function play(raw: RawKmem, seed: number, steps: number): number[] {
  const x = raw.exports;
  const roll = dice(seed);
  const answers: number[] = [];
  const stores: number[] = [];
  const cells: number[] = [];
  const marks: number[] = [];
  const some = (from: number[]) => from[roll(from.length || 1)] ?? 0;
  const keep = (to: number[], handle: number) => {
    if (handle > 0) to.push(handle);
    return handle;
  };
  const make = () => {
    const [source, bytes] = ([[0, 0] as const, [0, 1000 + roll(5000)] as const, [some(stores), 0] as const] as const)[
      roll(3)
    ] as readonly [number, number];
    const kinds = [
      () => x.heap_new(source, bytes),
      () => x.lin_new(source, bytes, roll(3000)),
      () => x.pool_new(source, bytes, roll(200), 0, roll(20), roll(4) * 20),
      () => x.tree_new(source, bytes),
    ];
    return keep(stores, (kinds[roll(4)] as () => number)());
  };
  const actions = [
    () => keep(cells, x.alloc(some(stores), roll(300), roll(4) ? 0 : 32, roll(2))),
    () => keep(cells, x.alloc(some(stores), roll(100), 0, 0)),
    () => keep(cells, x.tree_alloc(some(cells), roll(100), 0, 0)),
    () => keep(cells, x.ref_alloc(some(stores), roll(100), 0, 0)),
    () => x.cell_free(some(cells)),
    () => x.cell_free(some(cells)),
    () => x.cell_shred(some(cells)),
    () => x.cell_taint(some(cells)),
    () => x.cell_zero(some(cells)),
    () => keep(cells, x.cell_dup(some(cells))),
    () => x.cell_resize(some(cells), roll(500)),
    () => x.tree_move(some(cells), some(cells)),
    () => x.tree_free_children(some(cells)),
    () => x.tree_guard(some(cells), Number(roll(3) === 0)),
    () => x.ref_up(some(cells)),
    () => x.ref_down(some(cells)),
    () => keep(marks, x.lin_mark(some(stores))),
    () => x.lin_rewind(some(stores), some(marks)),
    () => (roll(10) ? x.store_check(some(stores)) : x.store_reset(some(stores))),
    () => (roll(10) ? x.store_check(some(stores)) : x.store_destroy(some(stores))),
  ];
  for (let step = 0; step < steps; step++) {
    const action = stores.length < 8 || roll(40) === 0 ? make : (actions[roll(actions.length)] as () => number);
    answers.push(action());
  }
  return answers;
}

/** Asks an instance all that changes nothing, of every handle that was answered; says how many were good. */
export function look(raw: RawKmem, answers: number[]): number {
  const x = raw.exports;
  const one = [
    x.store_kind,
    x.store_address,
    x.store_source,
    x.store_tainted,
    x.mark_address,
    x.pool_top,
    x.pool_bottom,
  ];
  const another = [x.cell_address, x.cell_size, x.cell_kind, x.cell_tainted, x.cell_store, x.ref_count];
  let good = 0;
  for (const handle of answers.filter((answer) => answer >= 2 ** 24)) {
    if ([...one, ...another].map((ask) => ask(handle)).some((answer) => answer >= 0)) good++;
    for (const which of [0, 1, 2, 3]) x.store_stat(handle, which);
    const kind = x.store_kind(handle);
    if (kind < 0) continue;
    const records = raw.records(handle);
    for (let i = 0; i < records.length; i += RECORD_STRIDE) {
      x.cell_at(handle, (records[i + RECORD.at] ?? 0) + (records[i + RECORD.header] ?? 0));
    }
    if (kind === KIND.pool) raw.runs(handle);
  }
  for (const kind of Object.values(KIND)) raw.fronts(kind);
  for (const of of ['kind', 'what', 'state', 'cond'] as const) raw.names(of);
  return good;
}

/** An instance of a module that was compiled already, small. */
export function small(module: WebAssembly.Module): RawKmem {
  return instantiate(module, { maxBytes: 32 << 20 });
}
