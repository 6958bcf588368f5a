import { type HierarchyPointNode, hierarchy, tree as oracle } from 'd3-hierarchy';
import { describe, expect, test } from 'vitest';
import { COUSINS, type Shape, SIBLINGS, tidy } from '../src/model/layout/tidy.ts';
import { chance } from './chance.ts';
import { shapeOf } from './shape.ts';

/** What the oracle says, by node number. */
function expected(shape: Shape, folded?: Set<number>): Map<number, number> {
  const below = (node: number): number[] => {
    const found: number[] = [];
    if (folded?.has(shape.payloadAt(node))) return found;
    for (let at = shape.child[node] as number; at >= 0; at = shape.next[at] as number) found.push(at);
    return found;
  };
  const root = hierarchy(0, below);
  const laid: HierarchyPointNode<number> = oracle<number>()
    .nodeSize([1, 1])
    .separation((a, b) => (a.parent === b.parent ? SIBLINGS : COUSINS))(root);
  const places = new Map(laid.descendants().map((node) => [node.data, node.x]));
  const least = Math.min(...places.values());
  return new Map([...places].map(([node, x]) => [node, x - least]));
}

function compare(shape: Shape, folded?: Set<number>): void {
  const layout = tidy(shape, folded);
  const places = expected(shape, folded);
  expect(layout.shown).toBe(places.size);
  let worst = 0;
  for (let node = 0; node < shape.count; node += 1) {
    const place = places.get(node);
    expect(layout.visible[node]).toBe(place === undefined ? 0 : 1);
    if (place !== undefined) worst = Math.max(worst, Math.abs((layout.x[node] as number) - place));
  }
  expect(worst).toBeLessThan(1e-6);
  expect(layout.width).toBeCloseTo(Math.max(...places.values()), 6);
}

describe('the layout is that of d3-hierarchy', () => {
  const next = chance(42);
  const random = (count: number, parentOf: (node: number) => number) =>
    shapeOf(Array.from({ length: count }, (_, node) => (node === 0 ? -1 : parentOf(node))));
  const sorts: Record<string, (node: number) => number> = {
    'of any shape': (node) => next(node),
    deep: (node) => node - 1 - next(Math.min(node, 3)),
    wide: (node) => Math.floor(next(node) / 8),
    even: (node) => Math.floor((node - 1) / 3),
    'a chain': (node) => node - 1,
    'a star': () => 0,
    'a caterpillar': (node) => (node % 2 === 0 ? node - 2 : node - 1),
  };

  test.each(Object.entries(sorts))('%s', (_, parentOf) => {
    for (let k = 0; k < 60; k += 1) compare(random(1 + next(k < 50 ? 60 : 1500), parentOf));
  });

  test.each(Object.entries(sorts))('%s, with folded nodes', (_, parentOf) => {
    for (let k = 0; k < 60; k += 1) {
      const shape = random(1 + next(200), parentOf);
      const folded = new Set(Array.from({ length: 1 + next(10) }, () => shape.payloadAt(next(shape.count))));
      compare(shape, folded);
    }
  });

  test('none', () => {
    expect(tidy(shapeOf([])).width).toBe(0);
  });
});

test('a folded node says how many it hides', () => {
  //        0
  //      1   5
  //    2  4   6
  //    3
  const shape = shapeOf([-1, 0, 1, 2, 1, 0, 5]);
  const layout = tidy(shape, new Set([1001, 1002]));
  expect([...layout.visible.slice(0, 7)]).toEqual([1, 1, 0, 0, 0, 1, 1]);
  expect([...layout.hidden.slice(0, 7)]).toEqual([0, 3, 1, 0, 0, 0, 0]);
  expect(layout.depth).toBe(2);
});

test('no two nodes of a row are nearer than siblings, and parents are over the middle', () => {
  const next = chance(7);
  const shape = shapeOf(Array.from({ length: 3000 }, (_, node) => (node === 0 ? -1 : next(node))));
  const { x } = tidy(shape);
  const rows = new Map<number, number[]>();
  for (let node = 0; node < shape.count; node += 1) {
    const depth = shape.depth[node] as number;
    rows.set(depth, [...(rows.get(depth) ?? []), x[node] as number]);
    const [first, last] = [shape.child[node] as number, shape.lastchild[node] as number];
    if (first >= 0) expect(x[node]).toBeCloseTo(((x[first] as number) + (x[last] as number)) / 2, 9);
  }
  // Nodes of a row come in order of their numbers.
  for (const row of rows.values())
    for (let i = 1; i < row.length; i += 1) {
      expect((row[i] as number) - (row[i - 1] as number)).toBeGreaterThanOrEqual(SIBLINGS - 1e-9);
    }
});
