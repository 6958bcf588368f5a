import { expect, test } from 'vitest';
import { createKmem, type Kmem, type Store } from '../src/index.js';
import { refused } from './common.js';

/** A store of each kind, with what was said. */
const each = (kmem: Kmem, options: { in?: Store; fixed?: number }) => ({
  heap: kmem.heap(options),
  lin: kmem.lin(options),
  pool: kmem.pool(100, options),
  tree: kmem.tree(options),
});

const take = (store: ReturnType<typeof each>[keyof ReturnType<typeof each>]) =>
  store.kind === 'pool' ? (store as ReturnType<Kmem['pool']>).alloc() : (store as ReturnType<Kmem['heap']>).alloc(100);

test('every kind allocates over pages, in its own bytes and in every other', async () => {
  const kmem = await createKmem();
  const places = {
    pages: {},
    bytes: { fixed: 20_000 },
    heap: { in: kmem.heap() },
    lin: { in: kmem.lin() },
    pool: { in: kmem.pool(5000) },
    tree: { in: kmem.tree() },
  };
  for (const [name, place] of Object.entries(places)) {
    if (name === 'tree') {
      refused('mismatch', () => kmem.tree(place));
      continue;
    }
    for (const [kind, store] of Object.entries(each(kmem, place))) {
      const cell = take(store);
      cell.bytes.fill(5);
      expect(cell.kind, `in ${name}`).toBe(kind);
      expect(store.kind).toBe(kind);
      expect(cell.size).toBe(100);
      expect(cell.address % 8).toBe(0);
      store.check();
      expect(store.cellAt(cell.address)?.handle).toBe(cell.handle);
      expect(store.cellAt(cell.address + 8)).toBeUndefined();
      cell.free();
      expect(cell.live).toBe(false);
      store.check();
      store.destroy();
      expect(store.live).toBe(false);
    }
  }
});

test('a fixed store runs full, and takes again what comes back', async () => {
  const kmem = await createKmem();
  for (const store of Object.values(each(kmem, { fixed: 3000 }))) {
    const cells: ReturnType<typeof take>[] = [];
    refused('no_room', () => {
      for (;;) cells.push(take(store));
    });
    expect(cells.length).toBeGreaterThan(10);
    store.check();
    cells.at(-1)?.free();
    expect(take(store).live).toBe(true);
    refused('no_room', () => take(store));
  }
  refused('bad_size', () => kmem.heap({ fixed: 0 }));
  refused('bad_size', () => kmem.heap({ fixed: -5 }));
  refused('mismatch', () => kmem.heap({ fixed: 500, in: kmem.heap() }));
});

test('a store is not destroyed while another stands in it', async () => {
  const kmem = await createKmem();
  const heap = kmem.heap();
  const pool = kmem.pool(40, { in: heap });
  refused('in_use', () => heap.destroy());
  pool.destroy();
  heap.destroy();
  refused('bad_address', () => heap.destroy());
  refused('bad_address', () => heap.alloc(1));
  refused('bad_address', () => kmem.pool(40, { in: heap }));
  const lin = kmem.lin();
  const inner = kmem.heap({ in: lin });
  refused('in_use', () => lin.reset());
  inner.destroy();
  lin.reset();
});

test('what a store held goes with it', async () => {
  const kmem = await createKmem();
  for (const store of Object.values(each(kmem, {}))) {
    const [cell, counted] = [take(store), store.ref(10)];
    store.destroy();
    expect([cell.live, counted.live]).toEqual([false, false]);
    refused('bad_address', () => cell.free());
    refused('bad_address', () => counted.up());
  }
});

test('a reset keeps the blocks, and makes all handles stale', async () => {
  const kmem = await createKmem();
  const [lin, pool] = [kmem.lin(), kmem.pool(48)];
  for (const [store, cell] of [[lin, lin.alloc(48)] as const, [pool, pool.alloc()] as const]) {
    const { held } = store.stats();
    const { address } = cell;
    store.reset();
    expect(store.stats()).toMatchObject({ live: 0, bytes: 0, held });
    refused('bad_address', () => cell.bytes);
    const again = store === lin ? lin.alloc(48) : pool.alloc();
    expect(again.address).toBe(address);
    expect(cell.live, 'the place is used again, the handle is not').toBe(false);
  }
});

test('a region is rewound to a mark', async () => {
  const kmem = await createKmem();
  const lin = kmem.lin({ capacity: 1000 });
  const before = lin.alloc(100);
  const mark = lin.mark();
  const [after, counted, large] = [lin.alloc(100), lin.ref(50), lin.alloc(20_000)];
  const inner = lin.mark();
  expect(mark.address).toBeGreaterThan(before.address);
  expect(lin.inspect().piece(0)).toMatchObject({ what: 'block', kind: 'none' });
  lin.rewind(mark);
  expect([before, after, counted, large].map((cell) => cell.live)).toEqual([true, false, false, false]);
  refused('bad_address', () => lin.rewind(mark));
  refused('bad_address', () => lin.rewind(inner));
  refused('bad_address', () => inner.address);
  const other = kmem.lin().mark();
  refused('bad_address', () => lin.rewind(other));
  const place = lin.mark();
  const pool = kmem.pool(40, { in: lin });
  lin.alloc(1);
  expect(pool.stats().held, 'it has taken nothing yet').toBe(0);
  const later = lin.mark();
  pool.alloc();
  refused('in_use', () => lin.rewind(place));
  refused('in_use', () => lin.rewind(later));
  pool.destroy();
  lin.rewind(place);
  lin.check();
});

test('a pool hands out first what came back last, and says where', async () => {
  const kmem = await createKmem();
  const pool = kmem.pool(48, { cells: 10, limit: 3, align: 64 });
  expect([pool.top, pool.bottom]).toEqual([undefined, undefined]);
  const cells = [pool.alloc(), pool.alloc(), pool.alloc()] as const;
  expect(cells.every((cell) => cell.address % 64 === 0)).toBe(true);
  refused('too_many', () => pool.alloc());
  expect(pool.top).toBe(cells[2].address - 8);
  const places = cells.map((cell) => cell.address);
  cells[0].free();
  cells[2].free();
  expect(pool.bottom).toBe((places[2] ?? 0) - 8);
  expect([pool.alloc().address, pool.alloc().address]).toEqual([places[2], places[0]]);
  expect(pool.bottom).toBeUndefined();
  refused('bad_size', () => pool.alloc({ align: 128 }));
  refused('bad_size', () => kmem.pool(10, { align: 3 }));
});

test('figures are those of the pieces', async () => {
  const kmem = await createKmem();
  const heap = kmem.heap();
  const cells = [10, 200, 30].map((size) => heap.alloc(size));
  cells[1]?.free();
  const used = [...heap.inspect()].filter((piece) => piece.what === 'used');
  const stats = heap.stats();
  expect(used.length).toBe(stats.live);
  expect(used.reduce((sum, piece) => sum + piece.len, 0)).toBe(stats.bytes);
  expect(stats.peak).toBeGreaterThan(stats.bytes);
  const blocks = [...heap.inspect()].filter((piece) => piece.what === 'block');
  expect(blocks.reduce((sum, piece) => sum + piece.len, 0)).toBe(stats.held);
  const own = kmem.stats();
  kmem.heap({ fixed: 50_000 });
  expect(kmem.stats().bytes).toBeGreaterThan(own.bytes + 50_000);
});

test('a tainted store shreds all that goes', async () => {
  const kmem = await createKmem();
  for (const store of Object.values(each(kmem, {}))) {
    const cell = take(store);
    expect([store.tainted, cell.tainted]).toEqual([false, false]);
    store.taint();
    expect([store.tainted, cell.tainted]).toEqual([true, true]);
    cell.bytes.fill(0x5e);
    const { address } = cell;
    store.destroy();
    expect(new Uint8Array(kmem.memory.buffer, address, 100).includes(0x5e), store.constructor.name).toBe(false);
  }
});

test('stores and cells go at the end of their block', async () => {
  const kmem = await createKmem();
  let [kept, gone] = [kmem.heap().alloc(1), kmem.heap().alloc(1)];
  {
    using heap = kmem.heap();
    using cell = heap.alloc(10);
    [kept, gone] = [cell, cell];
    expect(kept.live).toBe(true);
  }
  expect(gone.live).toBe(false);
  {
    using heap = kmem.heap();
    using cell = heap.alloc(10);
    cell.free();
    heap.destroy();
  }
  const counted = kmem.ref(10);
  {
    counted.up();
    using shared = counted;
    expect(shared.count).toBe(2);
  }
  expect(counted.count).toBe(1);
});

test('an overwritten header is noticed', async () => {
  const kmem = await createKmem();
  const pool = kmem.pool(48);
  const cell = pool.alloc();
  new Uint8Array(kmem.memory.buffer)[cell.address - 8 + 4] = 0x11;
  refused('fail_assert', () => pool.check());
  refused('fail_assert', () => cell.free());
});
