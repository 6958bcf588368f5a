/** A tree's nodes, by following the links in their headers. */

import type { Layouts } from './fields.ts';
import { grown, type Look, lastAtMost, type StoreAt, viewsOf } from './look.ts';
import type { TreeModel } from './types.ts';

class Tree implements TreeModel {
  readonly kind = 'tree';
  store = 0;
  count = 0;
  at = new Uint32Array(0);
  size = new Uint32Array(0);
  len = new Uint32Array(0);
  parent = new Int32Array(0);
  child = new Int32Array(0);
  lastchild = new Int32Array(0);
  prev = new Int32Array(0);
  next = new Int32Array(0);
  depth = new Uint32Array(0);
  tainted = new Uint8Array(0);
  kindOf = new Uint8Array(0);
  guarded = new Uint8Array(0);
  /** Which child of its parent a node is, from 1. */
  private place = new Uint32Array(0);
  header = 0;
  widest = 0;
  deepest = 0;
  /** Nodes in ascending order of their addresses, and those addresses; made when asked for. */
  private order: Uint32Array | null = null;
  private starts = new Uint32Array(0);

  /** Before the nodes, of which there are so many. */
  begin(count: number): void {
    this.order = null;
    this.count = 0;
    this.widest = 0;
    this.deepest = 0;
    if (this.at.length >= count) return;
    this.at = grown(this.at, count);
    this.size = grown(this.size, count);
    this.len = grown(this.len, count);
    this.parent = grown(this.parent, count);
    this.child = grown(this.child, count);
    this.lastchild = grown(this.lastchild, count);
    this.prev = grown(this.prev, count);
    this.next = grown(this.next, count);
    this.depth = grown(this.depth, count);
    this.tainted = grown(this.tainted, count);
    this.kindOf = grown(this.kindOf, count);
    this.guarded = grown(this.guarded, count);
    this.place = grown(this.place, count);
  }

  /** The next node, under and after nodes that are known. */
  add(node: number, above: number, before: number): number {
    const i = this.count;
    this.count += 1;
    this.at[i] = node;
    this.parent[i] = above;
    this.prev[i] = before;
    this.child[i] = -1;
    this.lastchild[i] = -1;
    this.next[i] = -1;
    const depth = above < 0 ? 0 : (this.depth[above] as number) + 1;
    const place = before < 0 ? 1 : (this.place[before] as number) + 1;
    this.depth[i] = depth;
    this.place[i] = place;
    if (depth > this.deepest) this.deepest = depth;
    if (above >= 0 && place > this.widest) this.widest = place;
    if (before >= 0) this.next[before] = i;
    else if (above >= 0) this.child[above] = i;
    return i;
  }

  /** What the header of a node says beside its links. */
  read(i: number, bytes: Uint8Array, words: Uint32Array, fields: ReturnType<typeof fieldsOf>): void {
    const node = this.at[i] as number;
    const block = words[(node >> 2) + fields.size] as number;
    // The header is right in front of the payload, which is aligned.
    const align = 1 << (bytes[node + fields.align] as number);
    this.len[i] = block;
    this.size[i] = block - Math.ceil(this.header / align) * align;
    this.tainted[i] = bytes[node + fields.shred] === 0 ? 0 : 1;
    this.kindOf[i] = bytes[node + fields.kind] as number;
    // Nodes that have no record of their own all name the one in the root.
    const common = words[((this.at[0] as number) >> 2) + fields.extra];
    this.guarded[i] = words[(node >> 2) + fields.extra] === common ? 0 : 1;
  }

  payloadAt = (i: number): number => (this.at[i] as number) + this.header;

  index(address: number): number {
    if (!this.order) {
      this.order = Uint32Array.from({ length: this.count }, (_, i) => i);
      this.order.sort((a, b) => (this.at[a] as number) - (this.at[b] as number));
      this.starts = this.order.map((node) => this.at[node] as number);
    }
    const found = lastAtMost(this.starts, address, 0, this.count);
    if (found < 0) return -1;
    const node = this.order[found] as number;
    const end = (this.at[node] as number) + this.header + (this.size[node] as number);
    return address < Math.max(end, (this.at[node] as number) + 1) ? node : -1;
  }
}

/** Where the fields of a node's header stand: in bytes, or in words where they are words. */
function fieldsOf(layouts: Layouts) {
  const byte = (name: string): number => layouts.offset('tree', 'cell', name);
  const word = (name: string): number => byte(name) >> 2;
  return {
    ...{ kind: byte('kind'), shred: byte('shred'), align: byte('align'), size: word('size') },
    ...{
      parent: word('parent'),
      child: word('child'),
      lastchild: word('lastchild'),
      prev: word('prev'),
      next: word('next'),
    },
    extra: word('extra'),
  };
}

/** Reads a tree. */
export function readTree(look: Look, store: StoreAt, model?: TreeModel): TreeModel {
  const tree = model instanceof Tree ? model : new Tree();
  const { layouts } = look;
  const { bytes, words } = viewsOf(look);
  const head = (name: string): number => words[(store.address + layouts.offset('tree', 'store', name)) >> 2] as number;
  const [root, live] = [head('root'), head('live')];
  tree.store = store.handle;
  tree.header = layouts.header('tree');
  tree.begin(live);
  if (root === 0) return tree;
  const fields = fieldsOf(layouts);
  const { child, lastchild, prev, next, parent } = fields;
  /** What a link leads to must be where the walk was. */
  const agrees = (node: number, link: number, i: number): void => {
    if (words[(node >> 2) + link] === (i < 0 ? 0 : tree.at[i])) return;
    throw new Error(`The links of the node at 0x${node.toString(16)} do not agree with those around it.`);
  };
  let above = -1;
  let before = -1;
  for (let node = root; ; ) {
    if (tree.count >= live) throw new Error(`The tree at 0x${store.address.toString(16)} has more nodes than it says.`);
    agrees(node, parent, above);
    agrees(node, prev, before);
    const i = tree.add(node, above, before);
    tree.read(i, bytes, words, fields);
    const first = words[(node >> 2) + child] as number;
    if (first !== 0) {
      above = i;
      before = -1;
      node = first;
      continue;
    }
    // On to the next sibling, of this node or of one above it.
    let last = i;
    let following = words[(node >> 2) + next] as number;
    while (following === 0 && last > 0) {
      above = tree.parent[last] as number;
      tree.lastchild[above] = last;
      agrees(tree.at[above] as number, lastchild, last);
      last = above;
      following = words[((tree.at[last] as number) >> 2) + next] as number;
    }
    if (last === 0) return tree;
    above = tree.parent[last] as number;
    before = last;
    node = following;
  }
}
