import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { createKmem } from '../src/index.js';
import { KINDS, WHATS } from '../src/inspection.js';
import { CONDS, compile, type Field, instantiate, KIND, type Owner, RECORD, RECORD_STRIDE, WHAT } from '../src/raw.js';
import { refused } from './common.js';

const kmem = await createKmem();
const { raw } = kmem;

/** Reads a field of a header that ends at an address (of a cell), or begins there. */
function read(kind: number, owner: Owner, at: number, name: string): number {
  const front = raw.fronts(kind).find((front) => front.owner === owner);
  const field = front?.fields.find((field) => field.name === name) as Field;
  const from = (owner === 'cell' ? at - (front?.size ?? 0) : at) + field.offset;
  const view = new DataView(kmem.memory.buffer);
  return field.size === 1 ? view.getUint8(from) : view.getUint32(from, true);
}

test('the names are those of the module', () => {
  expect([...raw.names('kind')]).toEqual(Object.entries(KIND).map(([name, number]) => [number, name]));
  expect([...raw.names('what')]).toEqual(Object.entries(WHAT).map(([name, number]) => [number, name]));
  expect([...raw.names('cond')]).toEqual([...CONDS.entries()].slice(1));
  expect([...raw.names('state').values()]).toEqual(['live', 'hooked', 'free', 'shredded', 'doomed']);
  expect(KINDS.map((kind) => KIND[kind])).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(WHATS.map((what) => WHAT[what])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('the fields are where the headers have them', () => {
  const states = raw.names('state');
  const heap = kmem.heap();
  const cells = [heap.alloc(100), kmem.lin().alloc(100), kmem.ref(100, { in: heap }), kmem.tree().alloc(100)];
  for (const cell of cells) {
    const kind = KIND[cell.kind];
    const { address } = cell;
    const front = raw.fronts(kind).find(({ owner }) => owner === 'cell');
    expect(read(kind, 'cell', address, 'kind')).toBe(kind);
    expect(read(kind, 'cell', address, 'size')).toBe(100 + (front?.size ?? 0));
    expect(states.get(read(kind, 'cell', address, 'mark'))).toBe('live');
    expect(read(kind, 'cell', address, 'shred')).toBe(0);
    cell.taint();
    expect(read(kind, 'cell', address, 'shred')).toBe(1);
  }
  expect(read(KIND.ref, 'cell', cells[2]?.address ?? 0, 'refs')).toBe(1);
  expect(read(KIND.ref, 'cell', cells[2]?.address ?? 0, 'src')).toBe(heap.address);
  expect(read(KIND.heap, 'store', heap.address, 'live')).toBe(2);
});

test('a node is linked by its header', () => {
  const tree = kmem.tree();
  const parent = tree.alloc(10);
  const [first, last] = [parent.alloc(10), parent.alloc(10)];
  const size = raw.fronts(KIND.tree).find(({ owner }) => owner === 'cell')?.size ?? 0;
  const link = (cell: { address: number }, name: string) => read(KIND.tree, 'cell', cell.address, name);
  expect(link(first, 'parent')).toBe(parent.address - size);
  expect([link(parent, 'child'), link(parent, 'lastchild')]).toEqual([first.address - size, last.address - size]);
  expect([link(first, 'next'), link(last, 'prev')]).toEqual([last.address - size, first.address - size]);
  expect([link(first, 'prev'), link(last, 'next')]).toEqual([0, 0]);
  expect(read(KIND.tree, 'store', tree.address, 'root')).toBe(tree.root.address - size);
});

test("a pool's cells, blocks and free list are read by fields alone", () => {
  const states = raw.names('state');
  const pool = kmem.pool(48, { cells: 5 });
  const cells = Array.from({ length: 12 }, () => pool.alloc());
  const size = raw.fronts(KIND.pool).find(({ owner }) => owner === 'cell')?.size ?? 0;
  const places = [3, 7, 5].map((i) => {
    const { address } = cells[i] as (typeof cells)[number];
    cells[i]?.free();
    return address - size;
  });
  expect(read(KIND.pool, 'store', pool.address, 'cellsz')).toBe(48);
  expect(read(KIND.pool, 'store', pool.address, 'top')).toBe(pool.top);
  const order = [];
  for (let at = read(KIND.pool, 'store', pool.address, 'bottom'); at !== 0; ) {
    order.push(at);
    expect(states.get(read(KIND.pool, 'free', at, 'mark'))).toBe('free');
    at = read(KIND.pool, 'free', at, 'last');
  }
  expect(order).toEqual(places.reverse());
  const block = pool.inspect().piece(0);
  expect(read(KIND.pool, 'block', block.at, 'size')).toBe(block.len);
});

test('the blocks of heaps and regions, free blocks and marks are read by fields', () => {
  const [heap, lin] = [kmem.heap(), kmem.lin()];
  const gap = heap.alloc(500);
  heap.alloc(10);
  gap.free();
  for (const store of [heap, lin]) {
    if (store === lin) lin.alloc(10);
    const block = store.inspect().piece(0);
    expect(read(KIND[store.kind], 'block', block.at, 'size')).toBe(block.len);
    expect(read(KIND[store.kind], 'block', block.at, 'block')).toBe(block.at);
    expect(read(KIND[store.kind], 'block', block.at, 'end')).toBe(block.at + block.len);
  }
  const free = [...heap.inspect()].find((piece) => piece.what === 'free');
  expect(read(KIND.heap, 'free', free?.at ?? 0, 'size')).toBe(free?.len);
  const [one, two] = [lin.mark(), lin.mark()];
  expect(read(KIND.lin, 'mark', two.address, 'before')).toBe(one.address);
  const piece = [...lin.inspect()].find((piece) => piece.what === 'mark');
  expect((piece?.at ?? 0) + (piece?.header ?? 0)).toBe(one.address);
  expect(read(KIND.lin, 'store', lin.address, 'cursor')).toBe(two.address + (piece?.payload ?? 0));
});

test('records and objects say the same', () => {
  const heap = kmem.heap();
  heap.alloc(10).taint();
  const inspection = heap.inspect();
  expect(inspection.words.length).toBe(inspection.length * inspection.stride);
  expect(inspection.words).toEqual(raw.records(heap.handle));
  for (let i = 0; i < inspection.length; i++) {
    const piece = inspection.piece(i);
    const words = inspection.words.subarray(i * RECORD_STRIDE);
    expect(words[RECORD.at]).toBe(piece.at);
    expect(inspection.get(i, 'len')).toBe(piece.len);
    expect(WHATS[words[RECORD.what] as number]).toBe(piece.what);
  }
  expect(() => inspection.get(inspection.length, 'at')).toThrow(RangeError);
  refused('bad_address', () => raw.records(1));
  refused('bad_address', () => raw.runs(1));
  refused('mismatch', () => raw.runs(heap.handle));
  refused('mismatch', () => raw.fronts(99));
});

test('a call from what the module calls is refused', async () => {
  const memory = new WebAssembly.Memory({ initial: 100 });
  const inner: number[] = [];
  let live: Record<string, (...numbers: number[]) => number> = {};
  const call = (name: string, ...numbers: number[]) => (live[name] as (...numbers: number[]) => number)(...numbers);
  let heap = 0;
  const record = () => {
    inner.push(call('alloc', heap, 10, 0, 0), call('store_kind', heap));
    return 0;
  };
  const none = () => {};
  const { exports } = await WebAssembly.instantiate(await compile(), {
    env: { memory },
    kmem: { record, run: none, field: none, name: none, panic: none },
  });
  live = exports as typeof live;
  heap = call('heap_new', 0, 0);
  call('alloc', heap, 10, 0, 0);
  expect(call('inspect', heap)).toBe(0);
  expect(new Set(inner)).toEqual(new Set([-7, KIND.heap]));
  expect(call('alloc', heap, 10, 0, 0)).toBeGreaterThan(0);
});

test('a bug in the module is told in words', async () => {
  const broken = instantiate(await compile());
  const pool = broken.exports.pool_new(0, 0, 48, 0, 0, 0);
  broken.exports.alloc(pool, 0, 0, 0);
  const address = broken.exports.store_address(pool);
  const stride = broken.runs(pool)[4] as number;
  const words = new Uint32Array(broken.memory.buffer, address, 60);
  words[words.indexOf(stride)] = 0;
  expect(() => broken.runs(pool)).toThrow(/^fail_assert: kmem has a bug: panicked at .*divide by zero/s);
});

test('records for which there is no room leave the module whole', async () => {
  const kmem = await createKmem();
  const pool = kmem.pool(8);
  for (let i = 0; i < 500; i += 1) pool.alloc();
  const Real = Uint32Array;
  vi.stubGlobal(
    'Uint32Array',
    class extends Real {
      constructor(length: number) {
        if (length > 1024) throw new RangeError('no room for an array');
        super(length);
      }
    },
  );
  try {
    expect(() => kmem.raw.records(pool.handle)).toThrow('no room for an array');
  } finally {
    vi.unstubAllGlobals();
  }
  expect(pool.alloc().live).toBe(true);
  expect(kmem.raw.records(pool.handle).length).toBeGreaterThan(501 * 15);
  pool.check();
});

test('the package has the version of the crates', () => {
  const version = /^version = "(.*)"/m.exec(readFileSync(new URL('../../../Cargo.toml', import.meta.url), 'utf8'))?.[1];
  expect(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version).toBe(version);
});
