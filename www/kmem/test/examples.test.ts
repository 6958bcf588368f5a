import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as classes from '../src/index.js';
import * as raw from '../src/raw.js';

const sources = new URL('../src/', import.meta.url);
const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => (...values: unknown[]) => unknown;

/** What is there when an example begins. */
async function around() {
  const kmem = await classes.createKmem();
  const [heap, lin, pool, tree] = [kmem.heap(), kmem.lin(), kmem.pool(48, { cells: 10 }), kmem.tree()];
  return { ...classes, ...raw, kmem, raw: kmem.raw, heap, lin, pool, tree, cell: heap.alloc(100) };
}

/** The examples of a file, each with the line that it begins on. */
function examples(file: string): [line: number, code: string][] {
  const text = readFileSync(new URL(file, sources), 'utf8');
  return Array.from(text.matchAll(/@example\n *\* ```ts\n(.*?) *\* ```/gs), (found) => [
    text.slice(0, found.index).split('\n').length,
    (found[1] ?? '').replace(/^ *\* ?/gm, ''),
  ]);
}

/** Where a line ends with a value, and nothing else is said, what is before it must have it. */
const checked = (code: string) =>
  code.replace(
    /^( *)(?!const |let |for |if )(.*); \/\/ (\d+|true|false|undefined|'.*'|\[.*\])(?::.*)?$/gm,
    '$1same($2, $3);',
  );

/** All files that somebody wrote and that have examples. */
const files = readdirSync(sources).filter((name) => name !== 'wasm.ts' && examples(name).length > 0);

for (const file of files) {
  describe(file, () => {
    for (const [line, code] of examples(file)) {
      test(`the example on line ${line}`, async () => {
        const given = { ...(await around()), same: (actual: unknown, value: unknown) => expect(actual).toEqual(value) };
        // In a block of their own, names may be used again.
        await new AsyncFunction(...Object.keys(given), `{ ${checked(code)} }`)(...Object.values(given));
      });
    }
  });
}

test('there are examples, and values in them are checked', () => {
  const all = files.flatMap(examples);
  expect(all.length).toBeGreaterThan(50);
  const values = all.map(([, code]) => checked(code).split('same(').length - 1).reduce((sum, count) => sum + count);
  expect(values).toBeGreaterThan(50);
});
