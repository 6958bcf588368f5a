/**
 * Where the nodes of a tree are drawn: as narrow as can be, parents over the middle of their children, equal subtrees alike.
 *
 * The algorithm is Buchheim, Jünger and Leipert's ("Improving Walker's Algorithm to Run in Linear Time", 2002), without
 * recursion: nodes come parent before children, so going through them backwards meets every subtree after all below it, and
 * going forwards every parent before its children.
 */

import type { TreeLayout } from '../types.ts';

/** What is needed of a tree: parents before children, links as numbers of nodes, -1 for none. */
export interface Shape {
  count: number;
  parent: Int32Array;
  child: Int32Array;
  lastchild: Int32Array;
  prev: Int32Array;
  next: Int32Array;
  depth: Uint32Array;
  /** By what a fold is remembered while nodes come and go. */
  payloadAt(i: number): number;
}

/** From a node to the one beside it: of the same parent, of another. */
export const SIBLINGS = 1;
export const COUSINS = 1.5;

/** What is worked with, by node; kept from one layout to the next. */
interface Work {
  room: number;
  prelim: Float64Array;
  mod: Float64Array;
  shift: Float64Array;
  change: Float64Array;
  /** The middle of the children, as seen from the first. */
  middle: Float64Array;
  /** The next node of a contour that goes on in another subtree, or -1. */
  thread: Int32Array;
  ancestor: Int32Array;
  /** Which child of its parent it is. */
  number: Int32Array;
  /** 1 where the children are laid out. */
  open: Uint8Array;
}

const workFor = (room: number): Work => ({
  room,
  prelim: new Float64Array(room),
  mod: new Float64Array(room),
  shift: new Float64Array(room),
  change: new Float64Array(room),
  middle: new Float64Array(room),
  thread: new Int32Array(room),
  ancestor: new Int32Array(room),
  number: new Int32Array(room),
  open: new Uint8Array(room),
});

let work = workFor(0);

/** Lays a tree out. What is under a folded node (told by the addresses of payloads) takes no room. */
export function tidy(tree: Shape, folded?: ReadonlySet<number>, into?: TreeLayout): TreeLayout {
  const { count } = tree;
  const layout = into ?? {
    count: 0,
    x: new Float64Array(0),
    visible: new Uint8Array(0),
    hidden: new Uint32Array(0),
    shown: 0,
    width: 0,
    depth: 0,
  };
  if (layout.x.length < count) {
    const room = Math.max(count, 2 * layout.x.length);
    layout.x = new Float64Array(room);
    layout.visible = new Uint8Array(room);
    layout.hidden = new Uint32Array(room);
  }
  if (work.room < count) work = workFor(Math.max(count, 2 * work.room));
  layout.count = count;
  fold(tree, folded, layout);
  for (let node = count - 1; node >= 0; node -= 1) if (work.open[node] === 1) placeChildren(tree, node);
  settle(tree, layout);
  return layout;
}

/** Sees which nodes are shown, and counts those under folded ones that are not. */
function fold(
  { count, parent, child, depth, payloadAt }: Shape,
  folded: ReadonlySet<number> | undefined,
  layout: TreeLayout,
): void {
  const { visible, hidden } = layout;
  const { open } = work;
  const isFolded = (node: number): boolean => folded !== undefined && folded.size > 0 && folded.has(payloadAt(node));
  let [shown, deepest] = [0, 0];
  for (let node = 0; node < count; node += 1) {
    const above = parent[node] as number;
    const seen = above < 0 ? 1 : (open[above] as number);
    visible[node] = seen;
    hidden[node] = 0;
    open[node] = seen === 1 && (child[node] as number) >= 0 && !isFolded(node) ? 1 : 0;
    shown += seen;
    if (seen === 1 && (depth[node] as number) > deepest) deepest = depth[node] as number;
  }
  if (shown < count) {
    for (let node = count - 1; node > 0; node -= 1) {
      if (visible[node] === 0) (hidden[parent[node] as number] as number) += 1 + (hidden[node] as number);
    }
  }
  layout.shown = shown;
  layout.depth = deepest;
}

/** Places the children of a node beside each other, whose own subtrees are laid out already. */
function placeChildren(tree: Shape, node: number): void {
  const { prelim, mod, shift, change, middle, thread, ancestor, number, open } = work;
  const { child, lastchild, next } = tree;
  const first = child[node] as number;
  let ancestorOfAll = first;
  let count = 0;
  for (let at = first, left = -1; at >= 0; left = at, at = next[at] as number, count += 1) {
    number[at] = count;
    thread[at] = -1;
    ancestor[at] = at;
    shift[at] = 0;
    change[at] = 0;
    const own = open[at] === 1 ? (middle[at] as number) : 0;
    prelim[at] = left < 0 ? own : (prelim[left] as number) + SIBLINGS;
    mod[at] = left < 0 || open[at] !== 1 ? 0 : (prelim[at] as number) - own;
    if (left >= 0) ancestorOfAll = apportion(tree, at, left, first, ancestorOfAll);
  }
  // What subtrees were moved by is spread over those between.
  let [moved, more] = [0, 0];
  const last = lastchild[node] as number;
  for (let at = last; at >= 0; at = at === first ? -1 : (tree.prev[at] as number)) {
    (prelim[at] as number) += moved;
    (mod[at] as number) += moved;
    more += change[at] as number;
    moved += (shift[at] as number) + more;
  }
  middle[node] = ((prelim[first] as number) + (prelim[last] as number)) / 2;
}

/** Moves the subtree of `right` away from those on its left, as far as their contours touch. */
function apportion(tree: Shape, right: number, left: number, first: number, ancestorOfAll: number): number {
  const { prelim, mod, thread, ancestor } = work;
  // The inner and outer contours of the right subtree, and of all those on its left.
  let [innerRight, outerRight, innerLeft, outerLeft] = [right, right, left, first];
  let [ofInnerRight, ofOuterRight, ofInnerLeft, ofOuterLeft] = [
    mod[innerRight] as number,
    mod[outerRight] as number,
    mod[innerLeft] as number,
    mod[outerLeft] as number,
  ];
  for (;;) {
    const downLeft = rightmost(tree, innerLeft);
    const downRight = leftmost(tree, innerRight);
    if (downLeft < 0 || downRight < 0) {
      if (downLeft >= 0 && rightmost(tree, outerRight) < 0) {
        thread[outerRight] = downLeft;
        (mod[outerRight] as number) += ofInnerLeft - ofOuterRight;
      }
      if (downRight >= 0 && leftmost(tree, outerLeft) < 0) {
        thread[outerLeft] = downRight;
        (mod[outerLeft] as number) += ofInnerRight - ofOuterLeft;
        return right;
      }
      return ancestorOfAll;
    }
    [innerLeft, innerRight] = [downLeft, downRight];
    outerLeft = leftmost(tree, outerLeft);
    outerRight = rightmost(tree, outerRight);
    ancestor[outerRight] = right;
    const apart = tree.parent[innerLeft] === tree.parent[innerRight] ? SIBLINGS : COUSINS;
    const overlap =
      (prelim[innerLeft] as number) + ofInnerLeft - ((prelim[innerRight] as number) + ofInnerRight) + apart;
    if (overlap > 0) {
      const above = ancestor[innerLeft] as number;
      moveSubtree(tree.parent[above] === tree.parent[right] ? above : ancestorOfAll, right, overlap);
      ofInnerRight += overlap;
      ofOuterRight += overlap;
    }
    ofInnerLeft += mod[innerLeft] as number;
    ofInnerRight += mod[innerRight] as number;
    ofOuterLeft += mod[outerLeft] as number;
    ofOuterRight += mod[outerRight] as number;
  }
}

/** Moves a subtree right, and notes that those between it and `from` share in it. */
function moveSubtree(from: number, subtree: number, by: number): void {
  const { prelim, mod, shift, change, number } = work;
  const part = by / ((number[subtree] as number) - (number[from] as number));
  (change[subtree] as number) -= part;
  (shift[subtree] as number) += by;
  (change[from] as number) += part;
  (prelim[subtree] as number) += by;
  (mod[subtree] as number) += by;
}

/** The next node down the left contour, or -1. */
function leftmost({ child }: Shape, node: number): number {
  return work.open[node] === 1 ? (child[node] as number) : (work.thread[node] as number);
}

/** The next node down the right contour, or -1. */
function rightmost({ lastchild }: Shape, node: number): number {
  return work.open[node] === 1 ? (lastchild[node] as number) : (work.thread[node] as number);
}

/** Adds up what each subtree was moved by, and makes the leftmost node's place 0. */
function settle({ count, parent }: Shape, layout: TreeLayout): void {
  const { x, visible } = layout;
  // From here on `shift` is by how much the subtree below a node is moved in all.
  const { prelim, mod, shift, middle, open } = work;
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let node = 0; node < count; node += 1) {
    if (visible[node] === 0) {
      x[node] = x[parent[node] as number] as number;
      continue;
    }
    const above = parent[node] as number;
    const moved = above < 0 ? 0 : (shift[above] as number);
    const place = above < 0 ? (open[node] === 1 ? (middle[node] as number) : 0) : (prelim[node] as number) + moved;
    x[node] = place;
    shift[node] = above < 0 ? 0 : moved + (mod[node] as number);
    if (place < least) least = place;
    if (place > most) most = place;
  }
  if (count === 0) least = 0;
  for (let node = 0; node < count; node += 1) (x[node] as number) -= least;
  layout.width = most - least;
}
