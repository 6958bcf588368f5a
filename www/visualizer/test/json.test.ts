import { describe, expect, test } from 'vitest';
import { scriptOfJson } from '../src/engine/json.ts';
import { parse } from '../src/engine/script.ts';
import type { Step } from '../src/engine/types.ts';

/** What the script builds, as nested lists of texts. */
function build(text: string, most?: number): { tree: () => unknown; names: string[]; note: string; script: string } {
  const answer = scriptOfJson(text, most);
  if ('error' in answer) throw new Error(answer.error);
  const { program, errors } = parse(answer.script);
  expect(errors).toEqual([]);
  const nodes = new Map<string, { text: string; below: unknown[] }>();
  for (let i = 0; i < program.length; i += 1) {
    const step: Step = program.step(i);
    if (step.op === 'make') nodes.set('t', { text: '', below: [] });
    if (step.op === 'alloc') {
      const node = { text: '', below: [] };
      expect(nodes.has(step.to.name), `${step.to.name} is there once`).toBe(false);
      nodes.set(step.to.name, node);
      nodes.get(step.from.name)?.below.push(node);
    }
    if (step.op === 'write')
      (nodes.get(step.cell.name) as { text: string }).text = new TextDecoder().decode(step.bytes);
  }
  const plain = (node: unknown): unknown => {
    const { text, below } = node as { text: string; below: unknown[] };
    return below.length > 0 ? [text, ...below.map(plain)] : text;
  };
  return {
    tree: () => (plain(nodes.get('t')) as unknown[])[1],
    names: [...nodes.keys()],
    note: answer.note,
    script: answer.script,
  };
}

describe('a document', () => {
  test('becomes a tree, in order, named by paths', () => {
    const { tree, names, note } = build(
      '{"store":{"book":[{"title":"A","price":8.5},{"title":"B"}],"a b":null},"ok":true}',
    );
    expect(tree()).toEqual(['{2}', ['{2}', ['[2]', ['{2}', 'A', '8.5'], ['{1}', 'B']], 'null'], 'true']);
    expect(names).toEqual([
      't',
      '$',
      '$.store',
      '$.store.book',
      '$.store.book[0]',
      '$.store.book[0].title',
      '$.store.book[0].price',
      '$.store.book[1]',
      '$.store.book[1].title',
      '$.store["a b"]',
      '$.ok',
    ]);
    expect(note).toBe('');
  });

  test.each([
    '1',
    '""',
    'null',
    '[]',
    '{}',
    '"\\u0000\\"`\\n"',
    '{"`":1,"\\n":2,"\\"":3,"":4}',
    '{"free":{"in":[[[]]]}}',
  ])('%s', (text) => {
    build(text);
  });

  test('may be deep', () => {
    const { names } = build(`${'['.repeat(3000)}${']'.repeat(3000)}`);
    expect(names).toHaveLength(3001);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThan(200);
  });

  test('that is too large is built in part, and says so', () => {
    const { names, note } = build(JSON.stringify(Array.from({ length: 20_000 }, (_, i) => i)), 100);
    expect(names).toHaveLength(101);
    expect(note).toBe('The document has 20,001 values; the first 100 are here.');
  });

  test('with long texts has them in part, and says so', () => {
    const { note, tree } = build(JSON.stringify(['x'.repeat(1000), 'short']));
    expect(note).toBe('1 long text is here in part.');
    expect(tree()).toEqual(['[2]', `${'x'.repeat(47)}…`, 'short']);
  });

  test('that is none is refused in words', () => {
    const answer = scriptOfJson('{"a": }');
    expect('error' in answer && answer.error).toMatch(/^This is no JSON document\. \S/);
  });
});
