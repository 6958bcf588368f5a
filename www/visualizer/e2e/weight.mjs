// What the built page weighs on the wire: every file of dist, as brotli packs it. Ends with 1 over 150 KB.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';

const LIMIT = 150 * 1024;
const dist = fileURLToPath(new URL('../dist/', import.meta.url));
let sum = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const packed = brotliCompressSync(readFileSync(path)).length;
  sum += packed;
  console.log(`${packed.toLocaleString('en').padStart(9)}  ${relative(dist, path)}`);
}
console.log(`${sum.toLocaleString('en').padStart(9)}  in all, of ${LIMIT.toLocaleString('en')}`);
if (sum === 0 || sum > LIMIT) process.exitCode = 1;
