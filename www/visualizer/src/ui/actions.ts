/**
 * Every action as data: what it is called, its key, and the line of script that it adds.
 *
 * Keys are the letters of kmem's C names where there is one (`kmpoola` allocates, `kmpoolz` zeroes).
 */

import { printName, quote } from '../engine/print.ts';
import type { StoreState } from '../engine/types.ts';
import type { KindName } from '../model/fields.ts';
import { markAt } from './marks.ts';
import type { Names } from './names.ts';
import type { Session } from './session.ts';

export interface Context {
  session: Session;
  names: Names;
  /** What the cell at an address is used as. */
  kindAt: (address: number) => KindName;
  /** The number in the size field. */
  size: () => number;
  /** Asks for a text; null if the person thinks better of it. */
  ask: (title: string, label: string, value: string) => Promise<string | null>;
  /** Opens the sheet that makes a store. */
  makeStore: () => void;
}

export interface Action {
  id: string;
  label: string;
  /** As in `KeyboardEvent.key`. */
  key: string;
  group: 'store' | 'cell' | 'node';
  /** What it does, for the help sheet. */
  does: string;
  /** Why it cannot be done now, or ''. */
  why: (context: Context) => string;
  /** The line to add, or null if nothing is to be done (any more). */
  line: (context: Context) => string | null | Promise<string | null>;
}

const NO_STORE = 'There is no store in this view yet: make one.';
const NO_CELL = 'Select a cell first.';

/** The store that an action is about: the one the view shows; of counted cells, the one they came from. */
export function storeOf({ session }: Context): StoreState | null {
  if (session.view !== 'refs') return session.store;
  const stores = session.machine?.stores.filter((store) => store.kind !== 'tree') ?? [];
  return stores.find((store) => store.name === session.shown.refs) ?? stores[0] ?? null;
}

/** The selected cell as the script writes it: its name, or where it lies. */
export function cellName({ session, names, kindAt }: Context, address = session.selected): string {
  return names.operand(address, kindAt(address));
}

/** A name that nothing in the script has. */
const freshName = ({ session }: Context, prefix: string): string => session.machine?.fresh(prefix) ?? prefix;

const needsStore =
  (...kinds: StoreState['kind'][]) =>
  (context: Context): string => {
    const store = storeOf(context);
    if (!store) return NO_STORE;
    return kinds.length === 0 || kinds.includes(store.kind)
      ? ''
      : `Not in a ${store.kind}: only in ${kinds.join(' or ')}.`;
  };

const needsCell = ({ session }: Context): string => (session.selected === 0 ? NO_CELL : '');

const needsNode = (context: Context): string => {
  if (context.session.view !== 'tree') return 'Only nodes of a tree: open the Tree view.';
  return needsCell(context);
};

const needsCounted = (context: Context): string => {
  if (context.session.selected === 0) return 'Select a counted cell first; the Refs view shows them.';
  return '';
};

/** An action on the selected cell that needs no more than its name. */
const onCell = (verb: string) => (context: Context) => `${verb} ${cellName(context)}`;

/** Allocates under the selected node, or in the store. */
function allocate(context: Context, zero: boolean): string {
  const store = storeOf(context) as StoreState;
  const node = store.kind === 'tree' && context.session.selected !== 0 ? cellName(context) : '';
  const size = store.kind === 'pool' ? '' : ` ${context.size()}`;
  const name = freshName(context, store.kind === 'tree' ? 'n' : 'c');
  return `${name} = alloc ${node || printName(store.name)}${size}${zero ? ' zero' : ''}`;
}

/** Waits for another cell to be picked. */
function pick(context: Context, prompt: string, line: (other: string) => string): Promise<string | null> {
  return new Promise((resolve) => {
    context.session.aim({
      prompt,
      pick: (address) => resolve(address === 0 ? null : line(cellName(context, address))),
    });
  });
}

export const ACTIONS: readonly Action[] = [
  {
    id: 'make',
    label: 'New store',
    key: 'i',
    group: 'store',
    does: 'Make a store: a heap, a region, a pool or a tree',
    why: () => '',
    line: (context) => {
      context.makeStore();
      return null;
    },
  },
  {
    id: 'alloc',
    label: 'Alloc',
    key: 'a',
    group: 'store',
    does: 'Allocate a cell; in a tree, under the selected node',
    why: needsStore(),
    line: (context) => allocate(context, false),
  },
  {
    id: 'zeroed',
    label: 'Alloc zeroed',
    key: 'z',
    group: 'store',
    does: 'The same, all bytes zero',
    why: needsStore(),
    line: (context) => allocate(context, true),
  },
  {
    id: 'ref',
    label: 'Ref',
    key: 'n',
    group: 'store',
    does: 'Allocate a counted cell',
    why: needsStore('heap', 'lin', 'pool'),
    line: (context) => `${freshName(context, 'r')} = ref ${printName(storeOf(context)?.name ?? '')} ${context.size()}`,
  },
  {
    id: 'mark',
    label: 'Mark',
    key: 'k',
    group: 'store',
    does: 'Mark where the region is',
    why: needsStore('lin'),
    line: (context) => `mark ${printName(storeOf(context)?.name ?? '')} as ${freshName(context, 'm')}`,
  },
  {
    id: 'rewind',
    label: 'Rewind',
    key: 'w',
    group: 'store',
    does: 'Rewind to the selected mark, or to the newest',
    why: (context) => needsStore('lin')(context) || (markName(context) === '' ? 'The region has no mark.' : ''),
    line: (context) => `rewind ${printName(storeOf(context)?.name ?? '')} to ${markName(context)}`,
  },
  {
    id: 'reset',
    label: 'Reset',
    key: 'e',
    group: 'store',
    does: 'Empty a region or a pool; its blocks stay',
    why: needsStore('lin', 'pool'),
    line: (context) => `reset ${printName(storeOf(context)?.name ?? '')}`,
  },
  {
    id: 'taint-store',
    label: 'Taint store',
    key: 'T',
    group: 'store',
    does: 'From now on all that the store releases is shredded',
    why: needsStore(),
    line: (context) => `taint ${printName(storeOf(context)?.name ?? '')}`,
  },
  {
    id: 'destroy',
    label: 'Destroy',
    key: 'x',
    group: 'store',
    does: 'Tear the store down, with everything in it',
    why: needsStore(),
    line: (context) => `destroy ${printName(storeOf(context)?.name ?? '')}`,
  },
  {
    id: 'free',
    label: 'Free',
    key: 'f',
    group: 'cell',
    does: 'Give the cell back; a node with all below it',
    why: needsCell,
    line: onCell('free'),
  },
  {
    id: 'shred',
    label: 'Shred',
    key: 's',
    group: 'cell',
    does: 'Destroy its bytes, then give it back',
    why: needsCell,
    line: onCell('shred'),
  },
  {
    id: 'taint',
    label: 'Taint',
    key: 't',
    group: 'cell',
    does: 'Whoever releases it shreds it',
    why: needsCell,
    line: onCell('taint'),
  },
  {
    id: 'zero',
    label: 'Zero',
    key: 'o',
    group: 'cell',
    does: 'Make all its bytes zero',
    why: needsCell,
    line: onCell('zero'),
  },
  {
    id: 'write',
    label: 'Write',
    key: 'b',
    group: 'cell',
    does: 'Put a text into its bytes',
    why: needsCell,
    line: async (context) => {
      const text = await context.ask('Write into the cell', 'Text', 'secret');
      return text === null ? null : `write ${cellName(context)} ${quote(text)}`;
    },
  },
  {
    id: 'dup',
    label: 'Dup',
    key: 'c',
    group: 'cell',
    does: 'A copy beside it: same store, same parent',
    why: needsCell,
    line: (context) => `${freshName(context, 'd')} = dup ${cellName(context)}`,
  },
  {
    id: 'resize',
    label: 'Resize',
    key: 'r',
    group: 'cell',
    does: 'Make it as large as the size field says',
    why: needsCell,
    line: (context) => `resize ${cellName(context)} ${context.size()}`,
  },
  {
    id: 'up',
    label: 'Up',
    key: 'u',
    group: 'cell',
    does: 'One reference more',
    why: needsCounted,
    line: onCell('up'),
  },
  {
    id: 'down',
    label: 'Down',
    key: 'd',
    group: 'cell',
    does: 'One reference less; the last one releases',
    why: needsCounted,
    line: onCell('down'),
  },
  {
    id: 'point',
    label: 'Point at',
    key: 'p',
    group: 'cell',
    does: 'Put the address of another cell into it: pick that one next',
    why: needsCell,
    line: (context) => {
      const from = cellName(context);
      return pick(context, `Pick the cell that ${from} shall point at.`, (other) => `point ${from} at ${other}`);
    },
  },
  {
    id: 'move',
    label: 'Move',
    key: 'm',
    group: 'node',
    does: 'Put the node under another parent: pick that one next',
    why: needsNode,
    line: (context) => {
      const from = cellName(context);
      return pick(context, `Pick the new parent of ${from}.`, (other) => `move ${from} to ${other}`);
    },
  },
  {
    id: 'free-children',
    label: 'Free children',
    key: 'F',
    group: 'node',
    does: 'Release all below the node, but not itself',
    why: needsNode,
    line: onCell('free children of'),
  },
  {
    id: 'guard',
    label: 'Guard',
    key: 'g',
    group: 'node',
    does: 'Refuse the release of the node, and of all above it',
    why: needsNode,
    line: onCell('guard'),
  },
  {
    id: 'unguard',
    label: 'Unguard',
    key: 'G',
    group: 'node',
    does: 'Allow it again',
    why: needsNode,
    line: onCell('unguard'),
  },
];

/** The selected mark's name, or that of the newest. */
function markName(context: Context): string {
  const store = storeOf(context);
  return store ? markAt(context.session, store, context.session.selected) : '';
}
