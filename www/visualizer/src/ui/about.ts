/** What is at an address: what the inspector, the tip and the hex view tell of it, all of it read from the module. */

import { LOOK, LOOK_OF_WHAT } from '../draw/palette.ts';
import type { Front, KindName, Owner } from '../model/fields.ts';
import { viewsOf } from '../model/look.ts';
import {
  KIND_NAMES,
  type PiecesModel,
  POOL_STATE,
  type PoolModel,
  type RefModel,
  type TreeModel,
  WHAT,
  WHAT_NAMES,
} from '../model/types.ts';
import type { Model } from './pictures.ts';
import type { Session } from './session.ts';

/** A header field as it stands in memory. */
export interface FieldValue {
  name: string;
  /** Where it stands, and how long it is. */
  at: number;
  size: number;
  value: number;
  /** What the value means: a kind's or a state's name, yes or no; '' if it is just a number. */
  meaning: string;
  /** Where the link leads: a header's address as it stands there, told as its payload's; 0 if it is no link. */
  to: number;
}

export interface About {
  /** What is selected with it: the payload, or of what has none its start. */
  address: number;
  look: number;
  /** In one word: used, free, … */
  state: string;
  kind: string;
  /** The whole piece. */
  at: number;
  len: number;
  /** Where the header stands and what is in it; -1 without one. */
  headerAt: number;
  headerLen: number;
  fields: FieldValue[];
  payloadAt: number;
  payloadLen: number;
  /** Which field says what state it is in, and how. */
  says: string;
  /** For a counted cell, the references. */
  refs: number;
}

/** What contains an address in a model, or null. */
export function aboutIn(session: Session, model: Model, address: number): About | null {
  if (!session.machine) return null;
  switch (model.kind) {
    case 'pool':
      return ofPool(session, model, address);
    case 'tree':
      return ofTree(session, model, address);
    case 'ref':
      return ofRef(session, model, address);
    default:
      return ofPiece(session, model, address);
  }
}

/** A store's own header. */
export function aboutStore(session: Session, address: number): About | null {
  const store = session.machine?.stores.find((candidate) => candidate.address === address);
  if (!store) return null;
  const kind = store.kind;
  const front = fields(session, kind, 'store', address);
  return {
    address,
    look: store.tainted ? LOOK.tainted : LOOK.header,
    state: 'store',
    kind,
    at: address,
    len: front.len,
    headerAt: address,
    headerLen: front.len,
    fields: front.values,
    payloadAt: address + front.len,
    payloadLen: 0,
    says: '',
    refs: 0,
  };
}

/** A header's fields with what stands in them now. */
function fields(session: Session, kind: KindName, owner: Owner, at: number): { len: number; values: FieldValue[] } {
  const { machine } = session;
  const layouts = machine?.layouts;
  const front: Front | undefined = layouts?.front(kind, owner);
  if (!machine || !layouts || !front) return { len: 0, values: [] };
  const { bytes } = viewsOf(machine);
  const read = (from: number, size: number) => {
    let value = 0;
    for (let i = size - 1; i >= 0; i -= 1) value = value * 256 + (bytes[from + i] ?? 0);
    return value;
  };
  const values = front.fields.map(({ name, offset, size, form }) => {
    const value = read(at + offset, size);
    let meaning = '';
    if (form === 'kind') meaning = KIND_NAMES[value] ?? 'no kind';
    else if (form === 'state') meaning = layouts.states.get(value) ?? 'no state';
    else if (form === 'flag') meaning = value === 0 ? 'no' : 'yes';
    else if (form === 'align') meaning = `${2 ** value} B`;
    else if (form === 'link' && value === 0) meaning = 'none';
    // Pools and trees link their cells' headers.
    const behind =
      (kind === 'pool' || kind === 'tree') && name !== 'ops' && name !== 'extra' ? layouts.header(kind) : 0;
    const to = form === 'link' && value !== 0 ? value + behind : 0;
    return { name, at: at + offset, size, value, meaning, to };
  });
  return { len: front.size, values };
}

const told = (values: FieldValue[], name: string): string => {
  const field = values.find((candidate) => candidate.name === name);
  if (!field) return '';
  const value = field.size === 1 ? `0x${field.value.toString(16).padStart(2, '0')}` : String(field.value);
  return `${field.name} is ${value}${field.meaning ? `: ${field.meaning}` : ''}`;
};

function ofPool(session: Session, model: PoolModel, address: number): About | null {
  const i = model.index(address);
  if (i < 0) return null;
  const at = model.address(i);
  const state = model.state[i] ?? 0;
  const fresh = state === POOL_STATE.fresh;
  const free = state === POOL_STATE.free || state === POOL_STATE.shredded;
  const front = fresh ? { len: 0, values: [] } : fields(session, 'pool', 'cell', at);
  const says = fresh
    ? 'It lies behind top: never handed out, so nothing was ever written here.'
    : told(front.values, 'mark');
  return {
    address: model.payloadAt(i),
    look: state,
    state: ['fresh', 'used', 'free', 'shredded', 'used, tainted'][state] ?? '',
    kind: KIND_NAMES[front.values.find(({ name }) => name === 'kind')?.value ?? 3] ?? 'pool',
    at,
    len: model.stride,
    headerAt: fresh ? -1 : at,
    headerLen: front.len,
    fields: front.values,
    payloadAt: at + (fresh ? 0 : model.header),
    payloadLen: fresh ? model.stride : model.cellsz,
    says: free ? `${says}; last leads to the cell freed before it` : says,
    refs: 0,
  };
}

function ofTree(session: Session, model: TreeModel, address: number): About | null {
  const i = model.index(address);
  if (i < 0) return null;
  const at = model.at[i] ?? 0;
  const front = fields(session, 'tree', 'cell', at);
  const tainted = model.tainted[i] === 1;
  return {
    address: model.payloadAt(i),
    look: tainted ? LOOK.tainted : LOOK.used,
    state: `${i === 0 ? 'root' : 'used'}${tainted ? ', tainted' : ''}${model.guarded[i] === 1 ? ', guarded' : ''}`,
    kind: KIND_NAMES[model.kindOf[i] ?? 5] ?? 'tree',
    at,
    len: model.len[i] ?? 0,
    headerAt: at,
    headerLen: front.len,
    fields: front.values,
    payloadAt: model.payloadAt(i),
    payloadLen: model.size[i] ?? 0,
    says: told(front.values, 'mark'),
    refs: 0,
  };
}

function ofPiece(session: Session, model: PiecesModel, address: number): About | null {
  const i = model.index(address);
  if (i < 0) return null;
  const at = model.at[i] ?? 0;
  const what = model.what[i] ?? 0;
  const live = what === WHAT.used;
  const owner: Owner | null =
    live || what === WHAT.hole || what === WHAT.shredded || what === WHAT.mark
      ? 'cell'
      : what === WHAT.free
        ? 'free'
        : what === WHAT.header
          ? 'block'
          : null;
  const front = owner ? fields(session, model.kind, owner, at) : { len: 0, values: [] };
  const tainted = live && model.tainted[i] === 1;
  const mark = what === WHAT.mark ? fields(session, model.kind, 'mark', model.payloadAt(i)) : { len: 0, values: [] };
  const says = {
    [WHAT.used]: told(front.values, 'mark'),
    [WHAT.hole]: `${told(front.values, 'mark')}; its room comes back at the next rewind`,
    [WHAT.shredded]: told(front.values, 'mark'),
    [WHAT.free]: 'It is on a list of free blocks; its length stands at both its ends.',
    [WHAT.fresh]: 'It lies behind what was handed out; no cell has these bytes.',
    [WHAT.header]: 'The store’s own bytes in front of its block.',
    [WHAT.mark]: 'The region can be rewound to here.',
  }[what];
  return {
    address: model.payloadAt(i),
    look: tainted ? LOOK.tainted : (LOOK_OF_WHAT[what] ?? 0),
    state: `${WHAT_NAMES[what]}${tainted ? ', tainted' : ''}`,
    kind: KIND_NAMES[model.kindOf[i] ?? 0] ?? '',
    at,
    len: model.len[i] ?? 0,
    headerAt: front.len > 0 ? at : -1,
    headerLen: front.len + mark.len,
    fields: [...front.values, ...mark.values],
    payloadAt: at + Math.max(front.len + mark.len, model.header[i] ?? 0),
    payloadLen: live ? (model.payload[i] ?? 0) : Math.max(0, (model.len[i] ?? 0) - front.len - mark.len),
    says: says ?? '',
    refs: 0,
  };
}

function ofRef(session: Session, model: RefModel, address: number): About | null {
  const i = model.index(address);
  const layouts = session.machine?.layouts;
  if (i < 0 || !layouts) return null;
  const payload = model.at[i] ?? 0;
  const at = payload - layouts.header('ref');
  const front = fields(session, 'ref', 'cell', at);
  const tainted = model.tainted[i] === 1;
  return {
    address: payload,
    look: tainted ? LOOK.tainted : LOOK.used,
    state: tainted ? 'used, tainted' : 'used',
    kind: 'ref',
    at,
    len: front.len + (model.size[i] ?? 0),
    headerAt: at,
    headerLen: front.len,
    fields: front.values,
    payloadAt: payload,
    payloadLen: model.size[i] ?? 0,
    says: told(front.values, 'refs'),
    refs: model.refs[i] ?? 0,
  };
}
