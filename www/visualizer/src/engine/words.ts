/** The words of the script language. */

import type { Cond, StoreKind } from './types.ts';

export const CONDS: readonly Cond[] = [
  'bad_lock',
  'bad_size',
  'too_many',
  'no_room',
  'bad_address',
  'mismatch',
  'in_use',
  'fail_assert',
];

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
