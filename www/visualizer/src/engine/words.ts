/** The words of the script language. */

import { CONDS as BY_NUMBER, type Cond } from 'kmem/raw';
import type { StoreKind } from './types.ts';

export const CONDS: readonly Cond[] = BY_NUMBER.filter((cond) => cond !== undefined);

export const STORES: readonly StoreKind[] = ['heap', 'lin', 'pool', 'tree'];

/** What is followed by a cell and nothing else. */
export const ON_CELL = ['free', 'shred', 'taint', 'zero', 'up', 'down', 'guard', 'unguard'] as const;

/** What a line can begin with. */
export const VERBS: readonly string[] = [
  ...STORES,
  ...ON_CELL,
  ...['resize', 'move', 'mark', 'rewind', 'reset', 'destroy', 'write', 'fill', 'point'],
  ...['repeat', 'for', 'say', 'expect', 'seed'],
];

const OTHERS = [
  'alloc',
  'ref',
  'dup',
  'in',
  'to',
  'as',
  'of',
  'at',
  'by',
  'cell',
  'align',
  'cells',
  'limit',
  'capacity',
  'fixed',
  'hex',
  'offset',
  'children',
  'random',
];

/** What cannot be a name unless it stands in backquotes. */
export const RESERVED: ReadonlySet<string> = new Set([...VERBS, ...OTHERS]);
