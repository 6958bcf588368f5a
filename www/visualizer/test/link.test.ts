import { describe, expect, test } from 'vitest';
import { decodeLink, encodeLink } from '../src/engine/link.ts';
import type { Link } from '../src/engine/types.ts';
import { chance } from './chance.ts';

async function error(hash: string): Promise<string> {
  const answer = await decodeLink(hash);
  return 'error' in answer ? answer.error : 'none';
}

describe('a link', () => {
  const next = chance(5);
  const texts = [
    '',
    'heap h\n',
    'say "grüß \u{1f600}"\n',
    'a'.repeat(100_000),
    Array.from({ length: 5000 }, () => String.fromCharCode(32 + next(90))).join(''),
  ];

  test.each(texts.map((script, i) => [i, script] as const))('gives back what was put in: %i', async (i, script) => {
    const link: Link = { script, step: i * 7919, view: { tab: 'pool', über: '"' } };
    const hash = await encodeLink(link);
    expect(hash).toMatch(/^[\w.-]+$/);
    expect(await decodeLink(hash)).toEqual({ link });
    expect(await decodeLink(`#${hash}`)).toEqual({ link });
  });

  test('is short for a script that repeats itself', async () => {
    const script = Array.from({ length: 1000 }, (_, i) => `free a[${i % 10}]`).join('\n');
    expect((await encodeLink({ script, step: 0, view: {} })).length).toBeLessThan(500);
  });

  test('says so when any of its characters was changed', async () => {
    const hash = await encodeLink({ script: 'pool p cell 24\na = alloc p\nfree a', step: 2, view: {} });
    for (let at = 0; at < hash.length; at += 1) {
      const other = hash[at] === 'x' ? 'y' : 'x';
      expect(await error(hash.slice(0, at) + other + hash.slice(at + 1)), `changed at ${at}`).toMatch(
        /^This (link|is no link)/,
      );
      expect(await error(hash.slice(0, at) + hash.slice(at + 1)), `without ${at}`).toMatch(/^This (link|is no link)/);
    }
  });
});

/** A link with a good check around any body. */
async function forged(value: unknown): Promise<string> {
  const hash = await encodeLink(value as Link);
  return hash;
}

describe('a bad link is refused in words', () => {
  test.each([
    ['', 'This is no link of this page.'],
    ['hello', 'This is no link of this page.'],
    ['1.abc', 'This link is damaged: a part of it is missing or was changed.'],
    ['2.abc.def', 'This link was made by another version of this page.'],
    ['1..', 'This link is damaged: a part of it is missing or was changed.'],
    ['1.1.%%%', 'This link is damaged: a part of it is missing or was changed.'],
  ])('%j', async (hash, message) => {
    expect(await error(hash)).toBe(message);
  });

  test('what is no script', async () => {
    expect(await error(await forged({ script: 3, step: 0, view: {} }))).toBe('This link holds no script.');
    expect(await error(await forged({ script: '', step: '0', view: {} }))).toBe('This link holds no script.');
    expect(await error(await forged({ script: '', step: 0, view: null }))).toBe('This link holds no script.');
    expect(await error(await forged({ script: '', step: -1, view: {} }))).toBe(
      'This link names a step that cannot be.',
    );
    expect(await error(await forged({ script: '', step: 0.5, view: {} }))).toBe(
      'This link names a step that cannot be.',
    );
  });

  test('what unfolds without end', async () => {
    expect(await error(await forged({ script: ' '.repeat(5_000_000), step: 0, view: {} }))).toBe(
      'The script in this link is too long.',
    );
  });
});
