/** What a script is made of, and what becomes of its steps. */

import type { Cond } from 'kmem/raw';
import type { StoreAt } from '../model/look.ts';
import type { StoreKind } from '../model/types.ts';

export type { Cond, StoreKind };

/** What is wrong in a script, and where: both count from 1. */
export interface ScriptError {
  line: number;
  column: number;
  message: string;
}

/** A name that holds a cell, a store or a mark: `a`, `a[3]`, or `p@0x10040`, the cell of store `p` that lies there. */
export interface Place {
  /** The name without its index; of `p@…`, the store's. */
  name: string;
  /** The number of the name in `Program.names`. */
  id: number;
  /** The index, or -1. */
  index: number;
  /** The address, or -1. */
  at: number;
}

interface Common {
  /** The line of the script. */
  line: number;
  /** The refusal that belongs to the story, after `expect`. */
  expect: Cond | null;
}

/** A store is made. Numbers that were not given are 0. */
export interface MakeStep extends Common {
  op: 'make';
  kind: StoreKind;
  store: Place;
  /** The store that it takes its memory from; null is the module's pages, or its own bytes if `fixed`. */
  source: Place | null;
  fixed: number;
  /** lin: bytes of the first chunk. */
  capacity: number;
  /** pool: bytes of a cell, its alignment, cells in the first block, most cells. */
  cell: number;
  align: number;
  cells: number;
  limit: number;
}

/** A cell is allocated: from a store, under a node (`op: 'alloc'`), or counted (`op: 'ref'`). */
export interface AllocStep extends Common {
  op: 'alloc' | 'ref';
  to: Place;
  from: Place;
  /** -1 for a cell of a pool whose size was not given: the pool's. */
  size: number;
  align: number;
  zero: boolean;
}

/** A copy beside the original. */
export interface DupStep extends Common {
  op: 'dup';
  to: Place;
  cell: Place;
}

/** What needs no more than one cell (`taint`: or a store; `free children`: or a tree, which stands for its root). */
export interface CellStep extends Common {
  op: 'free' | 'shred' | 'taint' | 'zero' | 'up' | 'down' | 'guard' | 'unguard' | 'free children';
  cell: Place;
}

export interface ResizeStep extends Common {
  op: 'resize';
  cell: Place;
  size: number;
}

/** A node goes under another; a tree stands for its root. */
export interface MoveStep extends Common {
  op: 'move';
  cell: Place;
  parent: Place;
}

export interface MarkStep extends Common {
  op: 'mark';
  store: Place;
  to: Place;
}

export interface RewindStep extends Common {
  op: 'rewind';
  store: Place;
  mark: Place;
}

export interface StoreStep extends Common {
  op: 'reset' | 'destroy';
  store: Place;
}

/** Bytes are put into a payload, from its start. */
export interface WriteStep extends Common {
  op: 'write';
  cell: Place;
  bytes: Uint8Array;
}

/** A payload is filled with one byte. */
export interface FillStep extends Common {
  op: 'fill';
  cell: Place;
  byte: number;
}

/** The address of another cell is put into a payload, at an offset: so that it points there. */
export interface PointStep extends Common {
  op: 'point';
  cell: Place;
  target: Place;
  offset: number;
}

/** What the script asks for makes no sense at this turn of a loop: an index below 0, a division by 0. */
export interface WrongStep extends Common {
  op: 'wrong';
  message: string;
}

/** One operation, with all its expressions worked out. */
export type Step =
  | MakeStep
  | AllocStep
  | DupStep
  | CellStep
  | ResizeStep
  | MoveStep
  | MarkStep
  | RewindStep
  | StoreStep
  | WriteStep
  | FillStep
  | PointStep
  | WrongStep;

/** A script, read. Steps are worked out when they are asked for; in order is fastest. */
export interface Program {
  /** The script. */
  readonly text: string;
  /** How many steps there are. */
  readonly length: number;
  /** All base names, in the order of their first use. */
  readonly names: readonly string[];
  /** Step `i`, from 0. */
  step(i: number): Step;
  /** The line of the script that step `i` is on. */
  line(i: number): number;
  /** The sentence told with step `i`, or ''. At `length`: what is told after the last step. */
  say(i: number): string;
  /** The latest sentence at step `i` or before it, or ''. */
  told(i: number): string;
  /** A script of the first `i` steps: the text up to there, with loops shortened. */
  cut(i: number): string;
}

/** What came of a step. */
export interface Outcome {
  /** `ok`, the module's refusal, `wrong` (the script makes no sense here) or `trap` (the module stopped). */
  what: 'ok' | Cond | 'wrong' | 'trap';
  /** Whether that is what the script said to expect. */
  expected: boolean;
  /** In words. */
  message: string;
  /** Of a granted allocation: the cell's handle; of `up` and `down`: the count. */
  value: number;
}

/** A store as it stands at the present step. */
export interface StoreState extends StoreAt {
  /** Its name; a second store of the same name is `p#2`, and the heap that a tree has of its own `t's heap`. */
  readonly name: string;
  /** The name of its source; null for the module's pages, and for bytes of its own. */
  readonly source: string | null;
  /** Bytes of its own that it is fixed in, or 0. */
  readonly fixed: number;
  /** The store itself is tainted. */
  readonly tainted: boolean;
  /** What the store says of itself. A pool walks its free list for each figure: for every frame, count the model instead. */
  stats(): StoreStats;
}

/** A store's own figures. */
export interface StoreStats {
  live: number;
  bytes: number;
  peak: number;
  held: number;
}

/** A name and what it holds at the present step. */
export interface Named {
  /** As it is written: `a`, `a[3]`. */
  name: string;
  handle: number;
  /** Where the payload begins; 0 when the handle is stale. */
  address: number;
}

/** A story to begin with. */
export interface Preset {
  id: string;
  title: string;
  about: string;
  script: string;
}

/** What a permanent link holds. `view` is the page's own: short strings by name. */
export interface Link {
  script: string;
  step: number;
  view: Record<string, string>;
}
