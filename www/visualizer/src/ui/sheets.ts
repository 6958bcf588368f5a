/** The dialogs: a new store, a text asked for, and the help sheet with all keys. */

import { printName } from '../engine/print.ts';
import { ACTIONS } from './actions.ts';
import { byId, make, memory, replace } from './dom.ts';
import type { Session } from './session.ts';

/** A dialog with a form; the answer is null when it was left. */
function form(
  dialog: HTMLDialogElement,
  id: string,
  title: string,
  go: string,
  rows: Node[],
): Promise<HTMLFormElement | null> {
  return new Promise((resolve) => {
    const body = make(
      'form',
      { method: 'dialog' },
      make('h2', { id }, title),
      ...rows,
      make(
        'div',
        { class: 'buttons' },
        make('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
        make('button', { type: 'submit', class: 'go' }, go),
      ),
    );
    let sent = false;
    body.addEventListener('submit', () => {
      sent = true;
    });
    dialog.addEventListener('close', () => resolve(sent ? body : null), { once: true });
    dialog.classList.add('small');
    replace(dialog, body);
    dialog.showModal();
  });
}

const row = (label: string, field: HTMLElement, props: Record<string, string> = {}) =>
  make('div', { class: 'row', ...props }, make('label', { for: field.id }, label), field);

/** Asks for a text. */
export async function ask(title: string, label: string, value: string): Promise<string | null> {
  const field = make('input', { id: 'ask-field', name: 'text', value, autocomplete: 'off' });
  const answered = form(byId<HTMLDialogElement>('ask'), 'ask-head', title, 'Do it', [row(label, field)]);
  field.select();
  return (await answered) ? field.value : null;
}

/** What each kind of store is, for who meets it the first time. */
const KINDS = [
  ['pool', 'Pool: cells of one size'],
  ['tree', 'Tree: nodes owned by their parent'],
  ['lin', 'Linear: one cell after the other'],
  ['heap', 'Heap: any size, any order'],
] as const;

/** Asks what store to make; answers its line of script. */
export async function askStore(session: Session, kind: string, name: (kind: string) => string): Promise<string | null> {
  const options = (pairs: readonly (readonly [string, string])[], chosen: string) =>
    pairs.map(([value, text]) => make('option', { value, selected: value === chosen }, text));
  const kinds = make('select', { id: 'make-kind' }, ...options(KINDS, kind));
  const called = make('input', { id: 'make-name', value: name(kind), required: true, autocomplete: 'off' });
  const sources = [
    ['pages', 'The module’s pages'],
    ['fixed', 'Bytes of its own (fixed)'],
  ] as const;
  const stores = (session.machine?.stores ?? []).map(
    (store) => [`in ${printName(store.name)}`, `The store ${store.name}`] as const,
  );
  const source = make('select', { id: 'make-source' }, ...options([...sources, ...stores], 'pages'));
  const number = (id: string, value: string, least = 0) =>
    make('input', { id, type: 'number', min: least, step: 1, value });
  const fixed = number('make-fixed', '4096', 1);
  const cell = number('make-cell', '48', 0);
  const cells = number('make-cells', '', 0);
  const limit = number('make-limit', '', 0);
  const capacity = number('make-capacity', '', 0);
  const rows = {
    fixed: row('Bytes', fixed),
    cell: row('Cell size', cell),
    cells: row('First cells', cells),
    limit: row('Most cells', limit),
    capacity: row('First chunk', capacity),
  };
  const arrange = () => {
    const pool = kinds.value === 'pool';
    rows.fixed.hidden = source.value !== 'fixed';
    rows.cell.hidden = !pool;
    rows.cells.hidden = !pool || source.value === 'fixed';
    rows.limit.hidden = !pool;
    rows.capacity.hidden = kinds.value !== 'lin' || source.value === 'fixed';
  };
  kinds.addEventListener('change', () => {
    called.value = name(kinds.value);
    arrange();
  });
  source.addEventListener('change', arrange);
  arrange();
  const answered = form(byId<HTMLDialogElement>('make'), 'make-head', 'New store', 'Make it', [
    row('Kind', kinds),
    row('Name', called),
    row('Memory from', source),
    ...Object.values(rows),
  ]);
  if (!(await answered)) return null;
  const option = (word: string, field: HTMLInputElement, shown: HTMLElement) =>
    shown.hidden || field.value === '' ? '' : ` ${word} ${Number(field.value)}`;
  const where =
    source.value === 'pages' ? '' : source.value === 'fixed' ? option('fixed', fixed, rows.fixed) : ` ${source.value}`;
  return [
    `${kinds.value} ${printName(called.value.trim())}`,
    option('cell', cell, rows.cell),
    option('cells', cells, rows.cells),
    option('limit', limit, rows.limit),
    option('capacity', capacity, rows.capacity),
    where,
  ].join('');
}

/** Keys that are not actions on memory. */
const PAGE_KEYS: readonly (readonly [string, string])[] = [
  ['Space', 'Play or pause'],
  [', .', 'A step back, a step on'],
  ['< >', 'To the start, to the end'],
  ['1 … 5', 'Pool, Tree, Linear, Heap map, Refs'],
  ['[ ]', 'The store before, the next'],
  ['+ − 0', 'Zoom in, zoom out, show all'],
  ['arrows', 'From cell to cell; in a tree, along its links'],
  ['Shift+arrows', 'Move the picture'],
  ['Enter', 'On to the inspector; picks while a target is asked for'],
  ['h', 'Fold or unfold what is below the node'],
  ['Escape', 'Back to the picture; leaves what was begun'],
  ['/', 'To the script'],
  ['y', 'The stories'],
  ['l', 'Copy a link to this script and step'],
  ['E', 'Export'],
  ['?', 'This sheet'],
];

/** Whether letters are keys; who speaks to the machine may not want that. */
export const letterKeys = {
  get on(): boolean {
    return memory.read('keys') !== 'off';
  },
  set on(value: boolean) {
    memory.write('keys', value ? 'on' : 'off');
  },
};

export function openHelp(): void {
  const dialog = byId<HTMLDialogElement>('help');
  if (dialog.open) return;
  const list = (pairs: readonly (readonly [string, string])[], short = '') =>
    make(
      'dl',
      { class: `keys ${short}` },
      ...pairs.map(([key, does]) => make('div', {}, make('dt', {}, make('kbd', {}, key)), make('dd', {}, does))),
    );
  const group = (name: string) =>
    ACTIONS.filter((one) => one.group === name).map(({ key, does }) => [key, does] as const);
  const check = make('input', { type: 'checkbox', id: 'letters' });
  check.checked = letterKeys.on;
  check.addEventListener('change', () => {
    letterKeys.on = check.checked;
  });
  replace(
    dialog,
    make(
      'header',
      {},
      make('h2', { id: 'help-head' }, 'Help'),
      make('label', { class: 'check' }, check, 'Single letters are keys'),
      make('button', { type: 'button', autofocus: true, onclick: () => dialog.close() }, 'Close'),
    ),
    make(
      'p',
      {},
      'A real allocator runs in this page. What is drawn is read from its memory: headers, free lists and links as they stand there. The script is run a step at a time; every button adds a line to it. Click selects, the wheel zooms, dragging moves, a double click folds a node; two fingers zoom.',
    ),
    make('h3', {}, 'Everywhere'),
    list(PAGE_KEYS),
    make('h3', {}, 'Stores'),
    list(group('store'), 'short'),
    make('h3', {}, 'The selected cell'),
    list(group('cell'), 'short'),
    make('h3', {}, 'The selected node'),
    list(group('node'), 'short'),
  );
  dialog.showModal();
}
