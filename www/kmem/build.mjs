// Makes the package's dist from the module that cargo built: `node build.mjs <kmem_js.wasm>`.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, deflateRawSync } from 'node:zlib';
import binaryen from 'binaryen';

const here = dirname(fileURLToPath(import.meta.url));
const resolve = createRequire(import.meta.url).resolve;

/** Runs a program of a package that npm installed. */
function run(program, ...args) {
  const { status, error } = spawnSync(process.execPath, [program, ...args], { cwd: here, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const [built] = process.argv.slice(2);
if (built === undefined) {
  console.error('usage: node build.mjs <path of the kmem_js.wasm that cargo built>');
  process.exit(2);
}

const dist = join(here, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

// The memory is imported and comes zeroed, so zeroes need not be written to it.
const wasm = join(dist, 'kmem.wasm');
const options = ['-Oz', '--zero-filled-memory', '--strip-debug', '--strip-producers', '--strip-target-features'];
run(join(dirname(resolve('binaryen')), 'bin', 'wasm-opt'), built, ...options, '-o', wasm);

const bytes = readFileSync(wasm);
// Where something panics is told by file, also by files of other crates.
if (bytes.includes(homedir())) {
  console.error(`${built} has paths of this machine in it; build it with RUSTFLAGS=--remap-path-prefix=${homedir()}=~`);
  process.exit(1);
}
const module = binaryen.readBinary(bytes);
const { initial } = module.getMemoryInfo();
module.dispose();
const source = `// Made by build.mjs.

/** The module, deflated. */
export const base64: string =
  '${deflateRawSync(bytes, { level: 9 }).toString('base64')}';
/** Pages that its memory begins with. */
export const pages: number = ${initial};
`;
writeFileSync(join(here, 'src', 'wasm.ts'), source);

run(join(dirname(resolve('typescript/package.json')), 'bin', 'tsc'), '--project', here);

for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT'])
  copyFileSync(join(here, '../..', licence), join(here, licence));

const size = (packed) => `${(packed.length / 1024).toFixed(1)} KiB`;
console.log(`kmem.wasm: ${size(bytes)}, ${size(brotliCompressSync(bytes))} after brotli`);
