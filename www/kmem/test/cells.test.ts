import { expect, test } from 'vitest';
import { Cell, createKmem, RefCell, TreeCell } from '../src/index.js';
import { refused } from './common.js';

const kmem = await createKmem();

/** A cell of each kind, of 40 bytes. */
const each = () => [
  kmem.heap().alloc(40),
  kmem.lin().alloc(40),
  kmem.pool(40).alloc(),
  kmem.ref(40),
  kmem.tree().alloc(40),
];

test('a double free is refused, also when the place is used again', () => {
  for (const cell of each()) {
    cell.free();
    refused('bad_address', () => cell.free());
    const { store } = cell;
    for (let i = 0; i < 20; i++) store.ref(8);
    for (const call of [
      () => cell.free(),
      () => cell.shred(),
      () => cell.taint(),
      () => cell.zero(),
      () => cell.dup(),
      () => cell.resize(1),
      () => cell.address,
      () => cell.size,
      () => cell.kind,
      () => cell.tainted,
      () => cell.bytes,
    ]) {
      refused('bad_address', call);
    }
    cell[Symbol.dispose]();
  }
});

test('shredded bytes are gone, freed ones need not be', () => {
  for (const how of ['shred', 'taint and free'] as const) {
    for (const cell of each()) {
      cell.bytes.fill(0x5e);
      const { address, kind } = cell;
      if (how === 'shred') {
        cell.shred();
      } else {
        cell.taint();
        expect(cell.tainted).toBe(true);
        cell.free();
      }
      expect(new Uint8Array(kmem.memory.buffer, address, 40).includes(0x5e), `${how} a ${kind}`).toBe(false);
    }
  }
  const plain = kmem.pool(40).alloc();
  plain.bytes.fill(0x5e);
  const { address } = plain;
  plain.free();
  expect(new Uint8Array(kmem.memory.buffer, address, 40).includes(0x5e)).toBe(true);
});

test('a copy has the bytes and the taint, and goes by itself', () => {
  for (const cell of each()) {
    cell.bytes.forEach((_, i, bytes) => {
      bytes[i] = i;
    });
    cell.taint();
    const copy = cell.dup();
    expect(copy).toBeInstanceOf(cell.constructor);
    expect([...copy.bytes]).toEqual([...cell.bytes]);
    expect([copy.kind, copy.size, copy.tainted]).toEqual([cell.kind, 40, true]);
    expect(copy.address).not.toBe(cell.address);
    cell.free();
    expect(copy.bytes[39]).toBe(39);
    copy.store.check();
  }
});

test('zero zeroes, and zeroed is zero', () => {
  for (const cell of each()) {
    cell.bytes.fill(7);
    cell.zero();
    expect(cell.bytes.every((byte) => byte === 0)).toBe(true);
    cell.bytes.fill(7);
  }
  const pool = kmem.pool(40);
  const dirty = pool.alloc();
  dirty.bytes.fill(7);
  dirty.free();
  expect(pool.alloc({ zeroed: true }).bytes.every((byte) => byte === 0)).toBe(true);
  const zeroed = { zeroed: true };
  for (const cell of [kmem.heap().alloc(40, zeroed), kmem.tree().alloc(40, zeroed), kmem.ref(40, zeroed)]) {
    expect(cell.bytes.every((byte) => byte === 0)).toBe(true);
  }
});

test('resizing keeps what both have', () => {
  for (const cell of each()) {
    cell.bytes.fill(3);
    if (cell instanceof RefCell) {
      refused('mismatch', () => cell.resize(50));
      continue;
    }
    cell.resize(20);
    if (cell.kind === 'pool') {
      refused('bad_size', () => cell.resize(41));
      expect(cell.size, 'a cell of a pool stays what it is').toBe(40);
      continue;
    }
    expect(cell.size).toBe(20);
    cell.resize(3000);
    expect(cell.bytes.length).toBe(3000);
    expect([...cell.bytes.subarray(0, 20)]).toEqual(Array(20).fill(3));
    cell.store.check();
  }
});

test('a tainted cell that moves leaves nothing behind', () => {
  const [heap, lin, tree] = [kmem.heap(), kmem.lin(), kmem.tree()];
  for (const cell of [heap.alloc(40), lin.alloc(40), tree.alloc(40)]) {
    cell.bytes.fill(0x5e);
    cell.taint();
    if (cell.store === heap) heap.alloc(8);
    if (cell.store === lin) lin.alloc(8);
    const { address } = cell;
    cell.resize(5000);
    expect(cell.address).not.toBe(address);
    expect(new Uint8Array(kmem.memory.buffer, address, 40).includes(0x5e), cell.kind).toBe(false);
    expect(cell.tainted).toBe(true);
  }
});

test('sizes and alignments that cannot be met are refused', () => {
  const heap = kmem.heap();
  for (const size of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, 2 ** 32 + 16, 2 ** 53]) {
    refused('bad_size', () => heap.alloc(size));
    refused('bad_size', () => heap.alloc(8).resize(size));
    refused('bad_size', () => kmem.pool(size));
    refused('bad_size', () => kmem.tree().root.alloc(size));
    refused('bad_size', () => kmem.ref(size));
  }
  for (const align of [3, 24, -8, 1.5]) refused('bad_size', () => heap.alloc(8, { align }));
  for (const align of [1, 2, 16, 64, 4096]) expect(heap.alloc(8, { align }).address % align).toBe(0);
  refused('bad_size', () => heap.alloc(2 ** 31));
});

test('the last reference releases', () => {
  const heap = kmem.heap();
  const cell = kmem.ref(64, { in: heap, align: 32 });
  expect(cell.address % 32).toBe(0);
  expect([cell.kind, cell.size, cell.count]).toEqual(['ref', 64, 1]);
  expect(cell.up()).toBe(2);
  expect(cell.down()).toBe(1);
  cell.up();
  cell.free();
  expect(cell.count).toBe(1);
  expect(heap.stats().live).toBe(1);
  expect(cell.down()).toBe(0);
  expect(heap.stats().live).toBe(0);
  refused('bad_address', () => cell.up());
  const exports = kmem.raw.exports;
  const plain = heap.alloc(10);
  for (const call of [exports.ref_up, exports.ref_down, exports.ref_count]) expect(call(plain.handle)).toBe(-6);
});

test('a counted cell that is shredded while shared goes with its bytes', () => {
  const cell = kmem.ref(40);
  cell.bytes.fill(0x5e);
  cell.up();
  const { address } = cell;
  cell.shred();
  expect([cell.count, cell.tainted, cell.bytes[0]]).toEqual([1, true, 0x5e]);
  cell.free();
  expect(new Uint8Array(kmem.memory.buffer, address, 40).includes(0x5e)).toBe(false);
});

test('a counted cell is told with its own front', () => {
  const heap = kmem.heap();
  const cell = heap.ref(40, { align: 64 });
  cell.up();
  cell.taint();
  const piece = [...heap.inspect()].find(({ kind }) => kind === 'ref');
  expect(piece).toMatchObject({ what: 'used', payload: 40, refs: 2, tainted: true });
  expect((piece?.at ?? 0) + (piece?.header ?? 0)).toBe(cell.address);
  expect(piece?.links[0], 'its source').toBe(heap.address);
  expect(heap.cellAt(cell.address)).toBeInstanceOf(RefCell);
});

test('a node goes with its parent, unless it was moved', () => {
  const tree = kmem.tree();
  const a = tree.alloc(32);
  const b = a.alloc(32);
  const c = b.alloc(32);
  const d = tree.alloc(32);
  expect(a).toBeInstanceOf(TreeCell);
  refused('in_use', () => a.moveTo(c));
  refused('in_use', () => a.moveTo(a));
  refused('bad_address', () => a.moveTo(kmem.tree().root));
  c.moveTo(d);
  a.free();
  expect([a, b, c, d].map((cell) => cell.live)).toEqual([false, false, true, true]);
  d.freeChildren();
  expect([c.live, d.live]).toEqual([false, true]);
  const [copy] = [d.dup()];
  expect(tree.stats().live).toBe(3);
  copy.free();
  refused('in_use', () => tree.root.free());
  refused('in_use', () => tree.root.shred());
  refused('in_use', () => tree.root.dup());
  refused('in_use', () => tree.root.resize(10));
  expect(tree.root.handle).toBe(tree.root.handle);
  tree.root.freeChildren();
  expect(d.live).toBe(false);
  expect(kmem.raw.exports.tree_root(kmem.heap().handle)).toBe(-6);
});

test('a guard keeps its node and all above', () => {
  const tree = kmem.tree();
  const a = tree.alloc(10);
  const b = a.alloc(10);
  b.guard();
  for (const call of [() => b.free(), () => a.free(), () => a.shred(), () => a.freeChildren(), () => tree.destroy()]) {
    refused('in_use', call);
  }
  expect([a.live, b.live]).toEqual([true, true]);
  b.unguard();
  a.free();
  expect(b.live).toBe(false);
  tree.destroy();
});

test('nodes lie in the store that the tree stands in', () => {
  const heap = kmem.heap();
  const tree = kmem.tree({ in: heap });
  const node = tree.alloc(50, { align: 64 });
  expect(node.address % 64).toBe(0);
  expect([...heap.inspect()].filter((piece) => piece.kind === 'tree').length).toBe(2);
  expect(tree.cellAt(node.address)).toBeInstanceOf(TreeCell);
  const piece = [...tree.inspect()].find(({ at, header }) => at + header === node.address);
  expect(piece).toMatchObject({ kind: 'tree', depth: 1, payload: 50 });
});

test('a cell is not good for a store, nor for another kind of action', () => {
  const heap = kmem.heap();
  const cell = heap.alloc(10);
  const { exports } = kmem.raw;
  expect(exports.store_kind(cell.handle)).toBe(-5);
  expect(exports.cell_kind(heap.handle)).toBe(-5);
  expect(exports.tree_alloc(cell.handle, 10, 0, 0)).toBe(-6);
  expect(exports.tree_guard(cell.handle, 1)).toBe(-6);
  expect(exports.lin_mark(heap.handle)).toBe(-6);
  expect(exports.pool_top(heap.handle)).toBe(-6);
  expect(exports.store_reset(heap.handle)).toBe(-6);
  expect(exports.lin_rewind(kmem.lin().handle, heap.handle)).toBe(-5);
  expect(exports.store_stat(heap.handle, 9)).toBe(-6);
  expect(heap.cellAt(cell.address)).toBeInstanceOf(Cell);
  for (const wrong of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, 2 ** 26]) {
    expect(exports.cell_free(wrong), String(wrong)).toBe(-5);
    expect(exports.store_destroy(wrong), String(wrong)).toBe(-5);
  }
});
