import type { Shape } from '../src/model/layout/tidy.ts';

/** A tree from the parent of each node; parents come first, but in no other order. */
export function shapeOf(parents: number[]): Shape {
  const children: number[][] = parents.map(() => []);
  parents.forEach((parent, node) => void (parent >= 0 && children[parent]?.push(node)));
  // Numbered again parent before children, without recursion.
  const order: number[] = [];
  const stack = [0];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    order.push(node);
    for (const below of [...(children[node] ?? [])].reverse()) stack.push(below);
  }
  const numberOf = new Int32Array(parents.length);
  for (const [i, node] of order.entries()) numberOf[node] = i;
  const none = () => new Int32Array(parents.length).fill(-1);
  const shape = {
    count: parents.length,
    parent: none(),
    child: none(),
    lastchild: none(),
    prev: none(),
    next: none(),
    depth: new Uint32Array(parents.length),
    payloadAt: (i: number) => 1000 + i,
  };
  order.forEach((node, i) => {
    let last = -1;
    for (const below of children[node] ?? []) {
      const number = numberOf[below] as number;
      shape.parent[number] = i;
      shape.depth[number] = (shape.depth[i] as number) + 1;
      shape.prev[number] = last;
      if (last < 0) shape.child[i] = number;
      else shape.next[last] = number;
      last = number;
    }
    shape.lastchild[i] = last;
  });
  return shape;
}
