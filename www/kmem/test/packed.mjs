// Packs the package as npm would publish it, looks at it with publint and attw, installs it into a fresh Node project
// and a fresh Vite project, and runs the README's example in both: each line must print what its comment says. It
// asks no network: the tools are those of www.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Runs a program and gives what it printed; what it says of an error goes to the console. */
function run(cwd, program, ...args) {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Runs a program of www's packages. */
function tool(cwd, name, ...args) {
  return run(cwd, process.execPath, join(root, '../node_modules/.bin', name), ...args);
}

let checks = 0;

/** Ends with an error unless two things are the same. */
function same(what, actual, expected) {
  if (actual !== expected) {
    console.error(`${what}\n  is:       ${actual}\n  expected: ${expected}`);
    process.exit(1);
  }
  passed(what);
}

function passed(what) {
  checks++;
  console.log(`ok: ${what}`);
}

/** A project that depends on the package and on nothing else. */
function project(name, files) {
  const folder = join(work, name);
  mkdirSync(folder);
  const manifest = JSON.stringify({ name, private: true, type: 'module' });
  for (const [file, text] of Object.entries({ 'package.json': manifest, ...files })) {
    writeFileSync(join(folder, file), text);
  }
  run(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--silent', join(work, packed.filename));
  return folder;
}

const example = /```js\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1];
const promised = Array.from(example.matchAll(/console\.log\(.*\); \/\/ (.*)/g), ([, line]) => line).join('\n');

const work = mkdtempSync(join(tmpdir(), 'kmem-packed-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const [packed] = JSON.parse(run(root, 'npm', 'pack', '--json', '--pack-destination', work));
const files = packed.files.map(({ path }) => path);
for (const file of ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'dist/index.js', 'dist/kmem.wasm']) {
  same(`the package holds ${file}`, files.includes(file), true);
}
same(
  'it holds nothing but that',
  files.every((file) => /^(dist\/|LICENSE-|README\.md$|package\.json$)/.test(file)),
  true,
);
const tarball = join(work, packed.filename);
same('publint finds nothing', /All good/.test(tool(root, 'publint', tarball)), true);
// It ends with an error where it finds something, which `run` throws.
tool(root, 'attw', '--profile', 'esm-only', '--exclude-entrypoints', 'kmem.wasm', '--', tarball);
passed('attw finds nothing');

const node = project('in-node', { 'example.js': example });
same('the example in Node', run(node, process.execPath, 'example.js').trim(), promised);

const uses = `import { createKmem, type Cell, type Cond, KmemError } from 'kmem';
import { compile, instantiate, type RawKmem } from 'kmem/raw';

const kmem = await createKmem({ maxBytes: 1 << 24 });
using cell: Cell = kmem.heap().alloc(10);
const cond: Cond = new KmemError('in_use').cond;
const raw: RawKmem = instantiate(await compile());
export const all: [number, Cond, number] = [cell.bytes.length, cond, raw.exports.heap_new(0, 0)];
`;
const strict = ['--strict', '--noEmit', '--target', 'ES2022', '--module', 'NodeNext', '--types', '', 'uses.ts'];
const types = project('in-typescript', { 'uses.ts': uses });
same('the types in a strict project', tool(types, 'tsc', ...strict), '');

// The polyfill is for browsers, and the bundle is run in Node.
const config = 'export default { build: { modulePreload: { polyfill: false } }, logLevel: "warn" };';
const page = '<!doctype html><script type="module" src="./example.js"></script>';
const vite = project('in-vite', { 'example.js': example, 'index.html': page, 'vite.config.js': config });
tool(vite, 'vite', 'build');
const [bundle] = readdirSync(join(vite, 'dist/assets'));
same('the example built by Vite', run(vite, process.execPath, join('dist/assets', bundle)).trim(), promised);

console.log(`${checks} checks passed; the package has ${files.length} files, ${packed.size} bytes packed`);
