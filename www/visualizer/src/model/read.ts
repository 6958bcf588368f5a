/** Reads a store of any kind. */

import type { Look, StoreAt } from './look.ts';
import { readHeap, readLinear } from './pieces.ts';
import { readPool } from './pool.ts';
import { readTree } from './tree.ts';
import type { StoreModel } from './types.ts';

/** Reads a store, into a model of one of its kind if there is one. */
export function readStore(look: Look, store: StoreAt, model?: StoreModel): StoreModel {
  switch (store.kind) {
    case 'pool':
      return readPool(look, store, model?.kind === 'pool' ? model : undefined);
    case 'tree':
      return readTree(look, store, model?.kind === 'tree' ? model : undefined);
    case 'lin':
      return readLinear(look, store, model?.kind === 'lin' ? model : undefined);
    case 'heap':
      return readHeap(look, store, model?.kind === 'heap' ? model : undefined);
  }
}
