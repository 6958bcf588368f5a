/** What a model must be: what `inspect` tells, and that what the bytes say. */

import { RECORD, RECORD_STRIDE } from 'kmem/raw';
import type { Look, StoreAt } from '../src/model/look.ts';
import { KIND, POOL_STATE, type RefModel, type StoreModel, WHAT } from '../src/model/types.ts';

type Piece = Record<keyof typeof RECORD, number> & { linked: number[] };

function inspect(look: Look, store: number): Piece[] {
  const words = look.raw.records(store);
  return Array.from({ length: words.length / RECORD_STRIDE }, (_, i) => {
    const piece = Object.fromEntries(
      Object.entries(RECORD).map(([name, column]) => [name, words[i * RECORD_STRIDE + column]]),
    );
    const links = i * RECORD_STRIDE + RECORD.links;
    return { ...piece, linked: [...words.subarray(links, links + 5)] } as Piece;
  });
}

class Differs extends Error {}

function same(what: string, model: unknown, told: unknown): void {
  const [a, b] = [JSON.stringify(model), JSON.stringify(told)];
  if (a !== b) throw new Differs(`${what}: the model has ${a?.slice(0, 300)}, and there is ${b?.slice(0, 300)}`);
}

/** Throws where a model is not what `inspect` tells, or what the bytes say. */
export function prove(look: Look, model: StoreModel): void {
  const pieces = inspect(look, model.store);
  if (model.kind === 'pool') provePool(look, model, pieces);
  else if (model.kind === 'tree') proveTree(look, model, pieces);
  else provePieces(look, model, pieces);
}

function provePool(look: Look, model: StoreModel & { kind: 'pool' }, pieces: Piece[]): void {
  const view = new DataView(look.raw.memory.buffer);
  const { layouts } = look;
  const blocks = pieces.filter((piece) => piece.what === WHAT.block);
  const runs = Array.from({ length: model.runs }, (_, run) => [model.blockAt[run], model.blockLen[run]]);
  same('blocks', runs.toSorted(), blocks.map((block) => [block.at, block.len]).toSorted());
  const told = new Map(
    pieces
      .filter((piece) => [WHAT.used, WHAT.free, WHAT.shredded].includes(piece.what as 2))
      .map((piece) => [piece.at, piece]),
  );
  const fresh = pieces.filter((piece) => piece.what === WHAT.fresh);
  let handed = 0;
  for (let i = 0; i < model.count; i += 1) {
    const at = model.address(i);
    const state = model.state[i];
    if (model.index(at + model.stride - 1) !== i) throw new Differs(`cell ${i} is not found by its address`);
    const piece = told.get(at);
    if (state === POOL_STATE.fresh) {
      const isTold = fresh.some((other) => other.at <= at && at + model.stride <= other.at + other.len);
      if (piece || !isTold) throw new Differs(`a fresh cell at ${at} is not told`);
      continue;
    }
    handed += 1;
    if (!piece) throw new Differs(`a cell at ${at} is not told`);
    const used = state === POOL_STATE.used || state === POOL_STATE.tainted;
    const what = used ? WHAT.used : state === POOL_STATE.shredded ? WHAT.shredded : WHAT.free;
    same('cell', [what, state === POOL_STATE.tainted ? 1 : 0], [piece.what, piece.tainted]);
    const mark = layouts.states.get(view.getUint8(at + layouts.offset('pool', 'cell', 'mark')));
    same('mark', mark, used ? 'live' : state === POOL_STATE.shredded ? 'shredded' : 'free');
    if (used)
      same('shred', view.getUint8(at + layouts.offset('pool', 'cell', 'shred')) !== 0, state === POOL_STATE.tainted);
  }
  same('cells', handed, told.size);
  const order = model.freeOrder(model.count);
  const free = pieces.filter((piece) => piece.what === WHAT.free || piece.what === WHAT.shredded);
  same('free cells', [...order].toSorted(), free.map((piece) => piece.at).toSorted());
  const last = (at: number): number => view.getUint32(at + layouts.offset('pool', 'cell', 'last'), true);
  for (const [i, at] of order.entries()) same('next free', last(at), order[i + 1] ?? 0);
  same('bottom', [model.bottom, model.top], [order[0] ?? 0, look.raw.exports.pool_top(model.store)]);
}

function proveTree(look: Look, model: StoreModel & { kind: 'tree' }, pieces: Piece[]): void {
  const view = new DataView(look.raw.memory.buffer);
  const { layouts } = look;
  same('nodes', model.count, pieces.length);
  const address = (i: number): number => (i < 0 ? 0 : (model.at[i] as number));
  pieces.forEach((piece, i) => {
    const links = [model.parent[i], model.child[i], model.lastchild[i], model.prev[i], model.next[i]].map((link) =>
      address(link as number),
    );
    const at = address(i);
    // Of a counted cell in a node the walk tells what its own front says.
    const end = at + model.header + (model.size[i] as number);
    same('node', [piece.at + piece.len, piece.len], [end, model.len[i]]);
    same('node', [piece.kind, piece.depth], [model.kindOf[i], model.depth[i]]);
    if (piece.kind !== KIND.ref) {
      const node = [model.payloadAt(i), model.size[i], model.tainted[i]];
      same('node', [piece.at + piece.header, piece.payload, piece.tainted], node);
      same('links', links, piece.linked);
    }
    const said = ['parent', 'child', 'lastchild', 'prev', 'next'].map((name) =>
      view.getUint32(at + layouts.offset('tree', 'cell', name), true),
    );
    same('links in memory', links, said);
    same('index', [model.index(at), model.index(at + model.header - 1)], [i, i]);
  });
}

function provePieces(look: Look, model: StoreModel & { kind: 'heap' | 'lin' }, all: Piece[]): void {
  const view = new DataView(look.raw.memory.buffer);
  const { layouts } = look;
  const pieces = all.filter((piece) => piece.what !== WHAT.block);
  same('pieces', model.count, pieces.length);
  pieces.forEach((piece, i) => {
    const found = [
      model.at,
      model.len,
      model.what,
      model.kindOf,
      model.block,
      model.header,
      model.payload,
      model.tainted,
    ].map((array) => array[i]);
    same('piece', found, [
      piece.at,
      piece.len,
      piece.what,
      piece.kind,
      piece.block,
      piece.header,
      piece.payload,
      piece.tainted,
    ]);
    same('index', [model.index(piece.at), model.index(piece.at + piece.len - 1)], [i, i]);
    if (piece.what !== WHAT.used) return;
    const field = (name: string): number => piece.at + layouts.offset(model.kind, 'cell', name);
    same('kind', view.getUint8(field('kind')), piece.kind);
    same('mark', layouts.states.get(view.getUint8(field('mark'))), 'live');
    // A counted cell has its own header behind the store's, and can be tainted in either.
    if (piece.kind === KIND.ref) return;
    same('taint', Number(view.getUint8(field('shred')) !== 0), piece.tainted);
    same('size', view.getUint32(field('size'), true), piece.header + piece.payload);
  });
  // Pieces fill their blocks.
  for (let block = 0; block < model.blocks; block += 1) {
    let end = model.blockAt[block] as number;
    for (let i = model.blockFirst[block] as number; i < (model.blockFirst[block + 1] as number); i += 1) {
      same('piece begins', model.at[i], end);
      end += model.len[i] as number;
    }
    same('block ends', end, (model.blockAt[block] as number) + (model.blockLen[block] as number));
  }
}

/** Throws where the counted cells of a model are not those that `inspect` tells, or who points to them is not who does. */
export function proveRefs(look: Look, model: RefModel, stores: readonly StoreAt[]): void {
  const pieces = stores.flatMap((store) => inspect(look, store.handle).map((piece) => ({ ...piece, store })));
  const told = pieces.filter((piece) => piece.kind === KIND.ref && piece.what === WHAT.used);
  const cells = Array.from({ length: model.count }, (_, i) => ({
    at: model.at[i] as number,
    size: model.size[i],
    refs: model.refs[i],
    src: model.src[i],
    store: model.store[i],
  }));
  const front = (piece: (typeof told)[number]) => ({
    at: piece.at + piece.header,
    size: piece.payload,
    refs: piece.refs,
    src: piece.linked[0],
    store: piece.store.handle,
  });
  same(
    'counted cells',
    cells.toSorted((a, b) => a.at - b.at),
    told.map(front).toSorted((a, b) => a.at - b.at),
  );
  for (const { at, refs, store } of cells) {
    const cell = look.raw.exports.cell_at(store as number, at);
    same('references', refs, look.raw.exports.ref_count(cell));
    same('index', model.at[model.index(at)], at);
  }
  const view = new DataView(look.raw.memory.buffer);
  const known = new Set(cells.map(({ at }) => at));
  for (let i = 0; i < model.holders; i += 1) {
    const address = view.getUint32((model.holder[i] as number) + (model.offset[i] as number), true);
    same('holder', [address, known.has(address)], [model.at[model.holds[i] as number], true]);
  }
}
