import { compile, PAGE } from 'kmem/raw';
import { describe, expect, test } from 'vitest';
import { decodeLink, encodeLink } from '../src/engine/link.ts';
import { Machine, type MachineOptions } from '../src/engine/machine.ts';
import { parse } from '../src/engine/script.ts';
import type { Outcome, StoreState } from '../src/engine/types.ts';
import { counters } from '../src/model/counters.ts';
import { readStore } from '../src/model/read.ts';
import { readRefs } from '../src/model/refs.ts';
import type { PoolModel, RefModel, StoreModel, TreeModel } from '../src/model/types.ts';
import { chance } from './chance.ts';
import { prove, proveRefs } from './oracle.ts';
import { story } from './stories.ts';

const module = await compile();

async function machineOf(text: string, options: MachineOptions = {}): Promise<Machine> {
  const { program, errors } = parse(text);
  expect(errors).toEqual([]);
  return Machine.create(program, { module, ...options });
}

/** Throws where what is drawn does not add up to what the store says. */
function agree(model: StoreModel, store: StoreState, where: string): void {
  const { live, bytes, held } = counters(model);
  const stats = store.stats();
  if (live === stats.live && bytes === stats.bytes && held === stats.held) return;
  throw new Error(`${where}: ${store.name} counts ${[live, bytes, held]}, and says ${JSON.stringify(stats)}`);
}

describe('random scripts', () => {
  const STORIES = 1000;
  const STEPS = 200;
  const GROUPS = 20;
  const seen = new Map<string, number>();
  const groups = Array.from({ length: GROUPS }, (_, group) => group);

  const note = (machine: Machine, i: number): void => {
    const key = `${machine.program.step(i).op} ${machine.outcome(i)?.what}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  };

  test.each(groups)('group %i', async (group) => {
    const models = new Map<string, StoreModel>();
    let refs: RefModel | undefined;
    for (let seed = group; seed < STORIES; seed += GROUPS) {
      const script = story(seed, STEPS);
      const machine = await machineOf(script);
      const next = chance(seed);
      const back = Array.from({ length: 3 }, () => next(machine.length + 1));
      const reopened = next(machine.length + 1);
      const hashes = new Map<number, string>();
      for (let done = 0; done <= machine.length; done += 1) {
        machine.seek(done);
        for (const store of machine.stores) {
          const model = readStore(machine, store, models.get(store.kind));
          models.set(store.kind, model);
          agree(model, store, `seed ${seed}, after ${done} steps`);
          if (done % 40 === 0) prove(machine, model);
        }
        if (done % 40 === 0) {
          refs = readRefs(machine, machine.stores, refs);
          proveRefs(machine, refs, machine.stores);
        }
        if (back.includes(done) || done === reopened) hashes.set(done, machine.hash());
        if (done > 0) note(machine, done - 1);
      }
      for (const step of back) {
        machine.seek(step);
        expect(machine.hash(), `seed ${seed}, back to ${step}`).toBe(hashes.get(step));
      }
      const opened = await decodeLink(await encodeLink({ script, step: reopened, view: {} }));
      if ('error' in opened) throw new Error(opened.error);
      const again = await machineOf(opened.link.script);
      again.seek(opened.link.step);
      expect(again.hash(), `seed ${seed}, reopened at ${reopened}`).toBe(hashes.get(reopened));
    }
  });

  test('have done everything, and were refused everything', () => {
    const operations = [...new Set([...seen.keys()].map((key) => key.slice(0, key.lastIndexOf(' '))))];
    expect(operations.length).toBe(22);
    for (const op of operations) expect(seen.get(`${op} ok`), op).toBeGreaterThan(50);
    for (const cond of ['bad_size', 'too_many', 'no_room', 'bad_address', 'mismatch', 'in_use']) {
      expect(
        [...seen.keys()].some((key) => key.endsWith(` ${cond}`)),
        cond,
      ).toBe(true);
    }
    for (const never of ['trap', 'wrong', 'fail_assert']) {
      expect(
        [...seen.keys()].some((key) => key.endsWith(` ${never}`)),
        never,
      ).toBe(false);
    }
  });
});

describe('going back and forth over 50,000 steps', () => {
  const script = `seed 3
heap h
pool p cell 40 in h
tree t
for i in 0..999 { a[i] = alloc p; n[i] = alloc t random(60) }
for i in 1000..8999 {
  free a[i % 1000]
  b[i % 100] = alloc h random(900)
  free b[(i + 50) % 100]
  a[i % 1000] = alloc p zero
  free n[i * 7 % 1000]
  n[i * 7 % 1000] = alloc n[(i * 7 + 1) % 1000] 20
}
reset p`;

  /** A machine at the end, and the hashes of some steps on the way there. */
  async function played(options: MachineOptions): Promise<{ machine: Machine; hashes: Map<number, string> }> {
    const machine = await machineOf(script, options);
    const hashes = new Map<number, string>();
    for (let step = 0; step <= machine.length; step += 997) {
      machine.seek(step);
      hashes.set(step, machine.hash());
    }
    machine.seek(machine.length);
    return { machine, hashes };
  }

  test.each([
    ['with room for copies', 256 << 20],
    ['with little room', 6 << 20],
    ['with room for one', 1],
  ])('comes to the same pictures %s', async (_, budget) => {
    const { machine, hashes } = await played({ budget });
    expect(machine.length).toBe(50_004);
    const steps = [...hashes.keys()];
    const next = chance(1);
    for (let k = 0; k < 40; k += 1) {
      const step = steps[next(steps.length)] as number;
      machine.seek(step);
      expect(machine.present).toBe(step);
      expect(machine.hash(), `step ${step}`).toBe(hashes.get(step));
    }
    // One copy is always kept.
    expect(machine.copies).toBeLessThan(Math.max(budget, 4 << 20));
  });

  test('leaves the same bytes, and looking changes none', async () => {
    const { machine } = await played({});
    // Below lies the module's stack, on which any call leaves something.
    const bytes = ({ raw }: Machine): Buffer => Buffer.from(raw.memory.buffer, PAGE);
    for (const step of [31_000, 7_777, 20_000]) {
      machine.seek(step);
      machine.hash();
      for (const store of machine.stores) store.stats();
      machine.named();
      const again = await machineOf(script);
      again.seek(step);
      expect(Buffer.compare(bytes(machine), bytes(again))).toBe(0);
    }
  });

  test('what names hold goes back too', async () => {
    const machine = await machineOf('heap h\na = alloc h 8\na = alloc h 16\nb = dup a\nfree a\na = alloc h 24');
    const held = (step: number): string[] => {
      machine.seek(step);
      return machine
        .named()
        .map(
          ({ name, address }) =>
            `${name} ${address > 0 ? machine.raw.exports.cell_size(machine.raw.exports.cell_at(machine.store('h')?.handle ?? 0, address)) : 'gone'}`,
        );
    };
    const all = [[], [], ['a 8'], ['a 16'], ['a 16', 'b 16'], ['a gone', 'b 16'], ['a 24', 'b 16']];
    for (const step of [6, 0, 3, 5, 2, 6, 4, 1]) {
      expect(held(step)).toEqual(all[step]);
      for (const { name, handle } of machine.named())
        if (all[step]?.includes(`${name} gone`) === false) expect(machine.nameOf(handle)).toBe(name);
    }
  });
});

describe('stores come and go', () => {
  test('with names of their own', async () => {
    const machine = await machineOf(
      'heap h\nrepeat 2 { pool p cell 8 in h }\ndestroy p\npool p cell 8\ntree t\ndestroy t',
    );
    const at = (step: number): string[] => {
      machine.seek(step);
      return machine.stores.map(({ name, source }) => `${name} in ${source}`);
    };
    const all = [
      [],
      ['h in null'],
      ['h in null', 'p in h'],
      ['h in null', 'p in h', 'p#2 in h'],
      ['h in null', 'p in h'],
    ];
    for (const step of [4, 0, 2, 1, 3]) expect(at(step)).toEqual(all[step]);
    expect(at(5)).toEqual(['h in null', 'p in h', 'p#2 in null']);
    expect(at(6)).toEqual(['h in null', 'p in h', 'p#2 in null', "t's heap in null", "t in t's heap"]);
    expect(at(7)).toEqual(['h in null', 'p in h', 'p#2 in null']);
  });
});

describe('what comes of a step is told', () => {
  test('in words, expected or not', async () => {
    const machine = await machineOf(`pool p cell 8 fixed 100
a = alloc p
expect no_room: b = alloc p
expect bad_address: free a
free a
for i in 0..0 { c[i - 1] = alloc p }
r = ref p 1`);
    machine.seek(machine.length);
    const told = Array.from({ length: machine.length }, (_, i) => {
      const { what, expected } = machine.outcome(i) as Outcome;
      return [what, expected];
    });
    expect(told).toEqual([
      ['ok', true],
      ['ok', true],
      ['ok', false],
      ['ok', false],
      ['bad_address', false],
      ['wrong', false],
      ['bad_size', false],
    ]);
    expect(machine.outcome(2)?.message).toBe('Done, though no_room was expected.');
    expect(machine.outcome(4)?.message).toMatch(/^bad_address: /);
    expect(machine.outcome(5)?.message).toBe('An index is a number from 0 to 9,999,999, and this one is -1.');
    expect(machine.outcome(machine.length)).toBeNull();
  });

  test('also that the module stopped, which is then as it was before', async () => {
    const machine = await machineOf('pool p cell 8\na = alloc p\nfree a\nb = alloc p\nc = alloc p');
    machine.seek(3);
    const before = machine.hash();
    // Somebody writes over the pool: its next free cell is said to be beyond all memory.
    const { address } = machine.store('p') as StoreState;
    new DataView(machine.raw.memory.buffer).setUint32(
      address + machine.layouts.offset('pool', 'store', 'bottom'),
      0xfffffff0,
      true,
    );
    machine.seek(5);
    expect(machine.present).toBe(3);
    expect(machine.outcome(3)).toMatchObject({ what: 'trap', expected: false });
    expect(machine.outcome(3)?.message).toMatch(/^The module stopped: ./);
    expect(machine.hash()).toBe(before);
    machine.seek(5);
    expect(machine.present).toBe(5);
    expect(machine.outcome(3)?.what).toBe('ok');
  });

  test('also that memory is used up', async () => {
    const machine = await machineOf('heap h\nfor i in 0..99 { a[i] = alloc h 100000 }', { maxBytes: 4 << 20 });
    machine.seek(machine.length);
    const outcomes = Array.from({ length: machine.length }, (_, i) => machine.outcome(i)?.what);
    expect(outcomes.filter((what) => what === 'no_room').length).toBeGreaterThan(50);
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'no_room']));
    machine.seek(10);
    machine.seek(101);
    expect(outcomes).toEqual(Array.from({ length: machine.length }, (_, i) => machine.outcome(i)?.what));
  });
});

describe('a line by hand', () => {
  test('follows the steps that are done, and becomes part of the script', async () => {
    const machine = await machineOf('heap h\nfor i in 0..9 { a[i] = alloc h 8 }\nfree a[0]\n');
    machine.seek(4);
    const hash = machine.hash();
    expect(machine.append('free a[1]')).toEqual([]);
    expect(machine.text).toBe('heap h\nfor i in 0..2 { a[i] = alloc h 8 }\nfree a[1]\n');
    expect([machine.length, machine.present]).toEqual([5, 5]);
    machine.seek(4);
    expect(machine.hash()).toBe(hash);
    machine.seek(5);
    expect(machine.append('b = alloc h 100')).toEqual([]);
    expect(machine.append('free b; c = ref h 8')).toEqual([]);
    expect(machine.present).toBe(8);
    const again = await machineOf(machine.text);
    again.seek(again.length);
    expect(again.hash()).toBe(machine.hash());
  });

  test('that cannot be read changes nothing', async () => {
    const machine = await machineOf('heap h\na = alloc h 8\nfree a');
    machine.seek(2);
    expect(machine.append('frea a')).toEqual([
      { line: 3, column: 1, message: '“frea” is no operation. Is “free” meant?' },
    ]);
    expect([machine.text, machine.length, machine.present]).toEqual(['heap h\na = alloc h 8\nfree a', 3, 2]);
    machine.seek(3);
    expect(machine.outcome(2)?.what).toBe('ok');
  });

  test('into a long turn of a loop is refused in words', async () => {
    const machine = await machineOf('heap h\nrepeat 2 { repeat 30000 { taint h } }');
    machine.seek(25_000);
    expect(machine.append('taint h')[0]?.message).toMatch(/^This is inside a turn of a loop, 24,999 steps/);
    machine.seek(30_001);
    expect(machine.append('a = alloc h 8')).toEqual([]);
    expect(machine.text).toBe('heap h\nrepeat 1 { repeat 30000 { taint h } }\na = alloc h 8\n');
  });

  test('can name any cell that is drawn', async () => {
    const machine = await machineOf('pool p cell 8\nfor i in 0..2 { a = alloc p }\ntree t\n`x y` = alloc t 8');
    machine.seek(machine.length);
    const pool = machine.store('p') as StoreState;
    const model = readStore(machine, pool) as PoolModel;
    const operands = [0, 1, 2].map((i) => machine.operand(pool, model.payloadAt(i)));
    expect(operands[2]).toBe('a');
    expect(operands[0]).toMatch(/^p@0x[0-9a-f]+$/);
    for (const operand of operands) expect(machine.append(`free ${operand}`)).toEqual([]);
    expect(machine.outcome(machine.length - 1)?.what).toBe('ok');
    expect(counters(readStore(machine, pool)).live).toBe(0);
    const tree = machine.store('t') as StoreState;
    const nodes = readStore(machine, tree) as TreeModel;
    expect(machine.operand(tree, nodes.payloadAt(1))).toBe('`x y`');
    expect(machine.fresh('a')).toBe('a1');
  });

  test('random stories go on the same by hand as in a script', async () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const lines = story(seed, 60).split('\n');
      const whole = await machineOf(lines.join('\n'));
      const machine = await machineOf(lines.slice(0, 10).join('\n'));
      machine.seek(10);
      for (const line of lines.slice(10)) expect(machine.append(line)).toEqual([]);
      whole.seek(whole.length);
      expect(machine.hash()).toBe(whole.hash());
    }
  });
});
