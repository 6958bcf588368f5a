import { compile } from 'kmem/raw';
import { describe, expect, test } from 'vitest';
import { Machine } from '../src/engine/machine.ts';
import { presets } from '../src/engine/presets.ts';
import { parse } from '../src/engine/script.ts';
import type { StoreState } from '../src/engine/types.ts';
import { counters } from '../src/model/counters.ts';
import { tidy } from '../src/model/layout/tidy.ts';
import { readPool } from '../src/model/pool.ts';
import { readRefs } from '../src/model/refs.ts';
import { readTree } from '../src/model/tree.ts';
import type { PoolModel, TreeLayout, TreeModel } from '../src/model/types.ts';
import { chance } from '../test/chance.ts';
import { times } from './times.ts';

const module = await compile();

async function presetOf(id: string): Promise<Machine> {
  return Machine.create(parse(presets.find((preset) => preset.id === id)?.script ?? '').program, { module });
}

// The limits are far above what was measured, so that a busy machine is no error; what takes ten times as long is one.
describe('a frame', () => {
  test('of 2,000 operations among 100,000 cells and 10,000 nodes', async () => {
    const machine = await presetOf('crowd');
    machine.seek(120_000);
    const seen: { pool?: PoolModel; tree?: TreeModel; layout?: TreeLayout } = {};
    const look = (): void => {
      seen.pool = readPool(machine, machine.store('p') as StoreState, seen.pool);
      seen.tree = readTree(machine, machine.store('t') as StoreState, seen.tree);
    };
    const next = (): void => {
      machine.seek(machine.present + 2000);
      look();
      seen.layout = tidy(seen.tree as TreeModel, undefined, seen.layout);
    };
    times(10, next);
    const frame = times(100, next);
    expect(seen.pool?.count).toBeGreaterThan(99_990);
    expect(seen.layout?.shown).toBeGreaterThan(9_990);
    const read = times(100, look);
    const count = times(100, () => {
      counters(seen.pool as PoolModel);
    });
    console.info(`frame: ${frame.text}; of that reading: ${read.text}; counting the cells: ${count.text}`);
    expect(read.middle).toBeLessThan(10);
    expect(frame.middle).toBeLessThan(20);
  });

  test('of 1,000,000 cells', { timeout: 60_000 }, async () => {
    const machine = await presetOf('million');
    const start = performance.now();
    machine.seek(1_050_000);
    const filled = performance.now() - start;
    let pool: PoolModel | undefined;
    const store = machine.store('p') as StoreState;
    const all = times(40, () => {
      pool = readPool(machine, store, pool);
    });
    expect(pool?.count).toBeGreaterThanOrEqual(1_000_000);
    const part = times(40, () => {
      pool = readPool(machine, store, pool, 500_000, 520_000);
    });
    const refs = times(5, () => {
      readRefs(machine, machine.stores);
    });
    const back = times(10, () => machine.seek((machine.present * 7919) % 1_000_000));
    console.info(
      `a million: filled in ${filled.toFixed(0)} ms; read ${all.text}; 20,000 of them ${part.text}; refs ${refs.text}; back and forth ${back.text}; copies ${machine.copies >> 20} MiB`,
    );
    expect(all.middle).toBeLessThan(40);
    expect(part.middle).toBeLessThan(4);
  });

  test('of a jump in 50,000 steps', async () => {
    const script = 'pool p cell 16\nfor i in 0..24999 { a[i % 500] = alloc p; free a[i % 500] }';
    const machine = await Machine.create(parse(script).program, { module });
    machine.seek(machine.length);
    const next = chance(2);
    const jump = times(60, () => machine.seek(next(machine.length + 1)));
    console.info(`a jump in ${machine.length} steps: ${jump.text}; copies ${machine.copies >> 20} MiB`);
    expect(jump.middle).toBeLessThan(50);
  });
});
