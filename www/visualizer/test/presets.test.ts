import { compile } from 'kmem/raw';
import { describe, expect, test } from 'vitest';
import { Machine } from '../src/engine/machine.ts';
import { presets } from '../src/engine/presets.ts';
import { parse } from '../src/engine/script.ts';
import type { StoreState } from '../src/engine/types.ts';
import { readHeap } from '../src/model/pieces.ts';
import { readPool } from '../src/model/pool.ts';
import { readStore } from '../src/model/read.ts';
import { type PoolModel, WHAT } from '../src/model/types.ts';
import { prove } from './oracle.ts';

const module = await compile();
const LARGE = ['crowd', 'million'];
const stories = presets.filter(({ id }) => !LARGE.includes(id));

async function machineOf(script: string): Promise<Machine> {
  const { program, errors } = parse(script);
  expect(errors).toEqual([]);
  return Machine.create(program, { module });
}

test('presets have names of their own', () => {
  for (const of of ['id', 'title', 'about'] as const)
    expect(new Set(presets.map((preset) => preset[of])).size).toBe(presets.length);
});

describe.each(stories)('$id', ({ id, script }) => {
  test('tells a sentence with each step, and goes as it says', async () => {
    const machine = await machineOf(script);
    expect(machine.length).toBeLessThanOrEqual(40);
    const sentences = new Set<string>();
    for (let i = 0; i < machine.length; i += 1) {
      machine.seek(i + 1);
      expect(machine.outcome(i), `${id}, step ${i + 1}: ${machine.program.told(i)}`).toMatchObject({ expected: true });
      for (const store of machine.stores) prove(machine, readStore(machine, store));
      sentences.add(machine.program.told(i));
      if (id !== 'own') expect(machine.program.told(i)).not.toBe('');
    }
    for (const sentence of sentences) expect(sentence).toMatch(id === 'own' ? /^$/ : /^[A-Za-z0-9].*\.$/);
  });
});

/** A story where it has just told a sentence and done its step. */
async function told(id: string, sentence: string): Promise<Machine> {
  const machine = await machineOf(presets.find((preset) => preset.id === id)?.script ?? '');
  let at = 0;
  while (!machine.program.say(at).startsWith(sentence)) at += 1;
  machine.seek(at + 1);
  return machine;
}

function pool(machine: Machine): PoolModel {
  return readPool(machine, machine.store('p') as StoreState);
}

function bytesAt(machine: Machine, address: number): string {
  return new TextDecoder('latin1').decode(new Uint8Array(machine.raw.memory.buffer, address, 40));
}

describe('what the stories say is so', () => {
  test('reuse: the order of the free cells', async () => {
    const machine = await told('reuse', 'g is the third.');
    const model = pool(machine);
    const order = [...model.freeOrder(10)].map((at) => at + model.header);
    machine.seek(10);
    expect(order).toEqual(['g', 'c', 'a'].map((name) => machine.address(name)));
    expect(model.count).toBe(11);
  });

  test('holes: 192 bytes are free, and none of them together', async () => {
    const machine = await told('holes', '192 bytes are free');
    const model = readHeap(machine, machine.store('h') as StoreState);
    const free = [...model.len.subarray(0, model.count)].filter((_, i) => model.what[i] === WHAT.free);
    expect(free).toEqual([48, 48, 48, 48]);
  });

  test('shred: which bytes are there', async () => {
    const freed = await told('shred', 'The first is freed.');
    expect(bytesAt(freed, pool(freed).payloadAt(0))).toMatch(/^the first secret/);
    const shredded = await told('shred', 'The second is shredded');
    expect(bytesAt(shredded, pool(shredded).payloadAt(1))).toBe('\0'.repeat(40));
    const again = await told('shred', 'Who asks then gets');
    expect(bytesAt(again, again.address('d'))).toMatch(/^the first secret/);
    const end = await told('shred', 'Those of the copy too.');
    expect(bytesAt(end, pool(end).payloadAt(2))).toBe('\0'.repeat(40));
  });

  test('nested: a node lies in all four stores', async () => {
    const machine = await told('nested', 'A node under it');
    const at = machine.address('m');
    expect(machine.stores.map((store) => readStore(machine, store).index(at) >= 0)).toEqual([true, true, true, true]);
  });
});

test('a crowd is as large as it says', async () => {
  const machine = await machineOf(presets.find(({ id }) => id === 'crowd')?.script ?? '');
  machine.seek(110_001);
  const live = (name: string): number | undefined => machine.store(name)?.stats().live;
  expect([live('p'), live('t')]).toEqual([100_000, 10_000]);
  machine.seek(machine.length);
  expect([live('p'), live('t')]).toEqual([66_667, 10_000]);
  for (let i = 0; i < machine.length; i += 1)
    if (machine.outcome(i)?.what !== 'ok') throw new Error(`step ${i} was refused`);
});
