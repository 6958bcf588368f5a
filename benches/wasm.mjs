// Runs the benchmark's module: `node wasm.mjs <module> <folder> full|quick [group]...`
// The duels of each group go to a file `wasm-GROUP.times` in the folder.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [module, folder, plan, ...chosen] = process.argv.slice(2);

let lines = [];
const bench = {
  // By the wall: what Node tells of processor time is in steps of milliseconds.
  clock: () => performance.now() * 1e6,
  line(text, length) {
    lines.push(new TextDecoder().decode(new Uint8Array(memory.buffer, text, length)));
  },
};
const { instance } = await WebAssembly.instantiate(readFileSync(module), { bench });
const { memory, groups, run } = instance.exports;

groups();
for (const [number, group] of lines.entries()) {
  if (chosen.length > 0 && !chosen.includes(group)) continue;
  lines = [];
  run(number, plan === 'full');
  writeFileSync(join(folder, `wasm-${group}.times`), `${lines.join('\n')}\n`);
  console.log(`  wasm-${group}: ${lines.length} duels`);
}
