import { expect, test } from 'vitest';
import { tidy } from '../src/model/layout/tidy.ts';
import { chance } from '../test/chance.ts';
import { shapeOf } from '../test/shape.ts';
import { times } from './times.ts';

const next = chance(3);

test.each([
  ['10,000 nodes', 10_000, (node: number) => next(node), 4],
  ['100,000 nodes', 100_000, (node: number) => next(node), 60],
  ['100,000 nodes, three children each', 100_000, (node: number) => Math.floor((node - 1) / 3), 60],
  ['a chain of 100,000', 100_000, (node: number) => node - 1, 60],
  ['a star of 100,000', 100_000, () => 0, 60],
])('layout: %s', (what, count, parentOf, limit) => {
  const shape = shapeOf(Array.from({ length: count }, (_, node) => (node === 0 ? -1 : parentOf(node))));
  const layout = tidy(shape);
  const { middle, text } = times(9, () => tidy(shape, undefined, layout));
  console.info(`layout, ${what}: ${text}`);
  expect(middle).toBeLessThan(limit);
});
