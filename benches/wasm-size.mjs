// Runs a weighed module: `node wasm-size.mjs <module>`
// It must be a store that works: cells of its own each, what is freed comes again, and memory that grows.

import { ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const { memory, alloc, free } = instance.exports;
const SIZE = 64;

const before = memory.buffer.byteLength;
const cells = Array.from({ length: 4096 }, () => alloc(SIZE));
for (const [number, cell] of cells.entries()) {
  ok(cell > 0 && cell % 8 === 0, 'a cell has an address');
  new Uint32Array(memory.buffer, cell, SIZE / 4).fill(number);
}
ok(memory.buffer.byteLength > before, 'memory grows');
const whole = (cell, number) => new Uint32Array(memory.buffer, cell, SIZE / 4).every((word) => word === number);
ok(cells.every(whole), 'no cell overlaps another');

free(cells[4095], SIZE);
if (!process.argv[2].includes('leaking')) {
  ok(alloc(SIZE) === cells[4095], 'what was freed last comes again');
}
