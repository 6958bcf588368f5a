import { expect, test } from 'vitest';
import { createKmem } from '../src/index.js';
import { compile, instantiate, STAT } from '../src/raw.js';
import { look, play, refused, small, state } from './common.js';

test('bytes are right after the memory has grown', async () => {
  const kmem = await createKmem();
  const heap = kmem.heap();
  const cell = heap.alloc(100);
  const before = cell.bytes;
  before.set([1, 2, 3]);
  expect(cell.bytes).toBe(before);
  const { buffer } = kmem.memory;
  heap.alloc(1 << 20);
  expect(kmem.memory.buffer, 'it has grown').not.toBe(buffer);
  expect(before.length, 'the old view is empty').toBe(0);
  expect([...cell.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
  expect(cell.bytes.length).toBe(100);
});

test('bytes are right after the cell has moved, and refused when it has gone', async () => {
  const kmem = await createKmem();
  const heap = kmem.heap();
  const cell = heap.alloc(16);
  cell.bytes.fill(9);
  heap.alloc(16);
  const { address } = cell;
  cell.resize(2000);
  expect(cell.address).not.toBe(address);
  expect(cell.bytes.length).toBe(2000);
  expect([...cell.bytes.subarray(0, 16)]).toEqual(Array(16).fill(9));
  cell.free();
  refused('bad_address', () => cell.bytes);
  heap.alloc(2000);
  refused('bad_address', () => cell.bytes);
});

test('a cell of no bytes has none', async () => {
  const kmem = await createKmem();
  for (const cell of [kmem.heap().alloc(0), kmem.lin().alloc(0), kmem.tree().alloc(0), kmem.ref(0), kmem.tree().root]) {
    expect(cell.bytes.length).toBe(0);
    expect(cell.address).toBeGreaterThan(0);
  }
});

test('two instances do not share: one is full, the other is not', async () => {
  const [one, two] = [await createKmem({ maxBytes: 2 << 20 }), await createKmem({ maxBytes: 2 << 20 })];
  const [full, free, root] = [one.heap(), two.heap(), one.tree().root];
  let cells = 0;
  refused('no_room', () => {
    for (;;) {
      full.alloc(50_000).bytes.fill(1);
      cells++;
    }
  });
  expect(cells).toBeGreaterThan(20);
  expect(one.memory.buffer.byteLength).toBeLessThanOrEqual(2 << 20);
  full.check();
  const cell = free.alloc(50_000, { zeroed: true });
  expect(cell.bytes.every((byte) => byte === 0)).toBe(true);
  expect(two.memory.buffer.byteLength).toBeLessThan(one.memory.buffer.byteLength);
  refused('bad_address', () => one.pool(10, { in: free }));
  refused('bad_address', () => one.ref(10, { in: free }));
  refused('bad_address', () => two.tree().alloc(1).moveTo(root));
});

test('an instance that is full goes on when there is room again', async () => {
  const kmem = await createKmem({ maxBytes: 2 << 20 });
  const heap = kmem.heap();
  const cells = [];
  try {
    for (;;) cells.push(heap.alloc(1000));
  } catch {
    // Full.
  }
  refused('no_room', () => kmem.pool(48).alloc());
  for (const cell of cells) cell.free();
  heap.destroy();
  const pool = kmem.pool(48);
  for (let i = 0; i < 1000; i++) pool.alloc();
  pool.check();
});

test('an instance needs room for the module itself', async () => {
  await expect(createKmem({ maxBytes: 1000 })).rejects.toMatchObject({ cond: 'no_room' });
  await expect(createKmem({ maxBytes: Number.NaN })).rejects.toMatchObject({ cond: 'no_room' });
});

test('a module that was compiled elsewhere will do', async () => {
  const kmem = await createKmem({ module: await compile() });
  expect(kmem.heap().alloc(5).size).toBe(5);
});

test('the same operations on fresh instances leave the same bytes', async () => {
  const module = await compile();
  for (let seed = 1; seed <= 10; seed++) {
    const [one, two] = [small(module), small(module)];
    expect(play(one, seed, 2000)).toEqual(play(two, seed, 2000));
    expect(Buffer.compare(Buffer.from(one.snapshot()), Buffer.from(two.snapshot())), `seed ${seed}`).toBe(0);
  }
});

test('looking changes no byte', async () => {
  const module = await compile();
  for (let seed = 1; seed <= 5; seed++) {
    const raw = small(module);
    const answers = play(raw, seed, 1000);
    const before = state(raw);
    const figures = Object.values(STAT).map((which) => raw.exports.module_stat(which));
    expect(look(raw, answers), 'stores, cells and marks').toBeGreaterThan(20);
    expect(Object.values(STAT).map((which) => raw.exports.module_stat(which))).toEqual(figures);
    expect(Buffer.compare(state(raw), before), `seed ${seed}`).toBe(0);
  }
});

test('a snapshot brings everything back', async () => {
  const raw = small(await compile());
  play(raw, 3, 1000);
  const snapshot = raw.snapshot();
  const goOn = play(raw, 4, 1000);
  const again = raw.restore(snapshot);
  expect(Buffer.compare(Buffer.from(again.snapshot()), Buffer.from(snapshot))).toBe(0);
  expect(play(again, 4, 1000)).toEqual(goOn);
  expect(Buffer.compare(Buffer.from(again.snapshot()), Buffer.from(raw.snapshot()))).toBe(0);
});

test('a snapshot is of this module', async () => {
  const raw = small(await compile());
  refused('bad_size', () => raw.restore(new Uint8Array(10)));
  refused('bad_size', () => raw.restore(raw.snapshot().subarray(1)));
});

test('a fresh instance has the memory that it was promised', async () => {
  const raw = instantiate(await compile());
  expect(raw.memory.buffer.byteLength).toBeLessThan(1 << 20);
});
