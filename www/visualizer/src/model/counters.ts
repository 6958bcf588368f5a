/** What there is of each sort, counted from what is drawn: it must be what the store says of itself. */

import {
  type Counters,
  type PiecesModel,
  POOL_STATE,
  type PoolModel,
  type StoreModel,
  type TreeModel,
  WHAT,
} from './types.ts';

const SORTS = Object.keys(WHAT).length;

/** Counts a model's pieces. Of a pool, all cells must have been read. */
export function counters(model: StoreModel): Counters {
  if (model.kind === 'pool') return ofPool(model);
  if (model.kind === 'tree') return ofTree(model);
  return ofPieces(model);
}

function none(): Counters {
  return { live: 0, bytes: 0, held: 0, pieces: new Float64Array(SORTS), sizes: new Float64Array(SORTS) };
}

function ofPool({ count, state, stride, runs, blockAt, blockLen, runAt, runCount }: PoolModel): Counters {
  const cells = new Float64Array(Object.keys(POOL_STATE).length);
  for (let i = 0; i < count; i += 1) (cells[state[i] as number] as number) += 1;
  const found = none();
  const note = (what: number, pieces: number, size: number): void => {
    (found.pieces[what] as number) += pieces;
    (found.sizes[what] as number) += size;
  };
  const of = (name: keyof typeof POOL_STATE): number => cells[POOL_STATE[name]] as number;
  found.live = of('used') + of('tainted');
  found.bytes = found.live * stride;
  note(WHAT.used, found.live, found.bytes);
  for (const what of ['free', 'shredded', 'fresh'] as const) note(WHAT[what], of(what), of(what) * stride);
  for (let run = 0; run < runs; run += 1) {
    const [at, len, first] = [blockAt[run] as number, blockLen[run] as number, runAt[run] as number];
    note(WHAT.block, 1, len);
    note(WHAT.header, 1, first - at);
    // What is less than a cell belongs to what was never handed out.
    note(WHAT.fresh, 0, at + len - first - (runCount[run] as number) * stride);
    found.held += len;
  }
  return found;
}

function ofTree({ count, len }: TreeModel): Counters {
  const found = none();
  for (let i = 0; i < count; i += 1) found.bytes += len[i] as number;
  found.live = count;
  found.held = found.bytes;
  found.pieces[WHAT.used] = count;
  found.sizes[WHAT.used] = found.bytes;
  return found;
}

function ofPieces(model: PiecesModel): Counters {
  const found = none();
  for (let i = 0; i < model.count; i += 1) {
    const what = model.what[i] as number;
    (found.pieces[what] as number) += 1;
    (found.sizes[what] as number) += model.len[i] as number;
  }
  for (let block = 0; block < model.blocks; block += 1) found.held += model.blockLen[block] as number;
  found.pieces[WHAT.block] = model.blocks;
  found.sizes[WHAT.block] = found.held;
  found.live = found.pieces[WHAT.used] as number;
  const sizes = (...whats: (keyof typeof WHAT)[]): number =>
    whats.reduce((sum, what) => sum + (found.sizes[WHAT[what]] as number), 0);
  // A region counts everything before its cursor: what was released there is room again only when it rewinds.
  found.bytes = model.kind === 'heap' ? sizes('used') : sizes('used', 'hole', 'shredded', 'mark');
  return found;
}
