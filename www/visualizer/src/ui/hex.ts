/** The bytes of what is selected, eight a row, header fields named and coloured; links can be followed. */

import { hexOf } from '../draw/view.ts';
import { viewsOf } from '../model/look.ts';
import type { About, FieldValue } from './about.ts';
import { byId, make, replace } from './dom.ts';
import type { Names } from './names.ts';
import { any, type Panel } from './panel.ts';
import type { Change, Session } from './session.ts';

const WIDE = 8;
/** Rows shown at first, and more at each asking. */
const ROWS = 24;

export class Hex implements Panel {
  private readonly box = byId('hex');
  private rows = ROWS;
  private shown: number | null = null;
  private about: About | null = null;

  constructor(
    private readonly session: Session,
    private readonly names: Names,
    private readonly aboutSelected: () => About | null,
    private readonly go: (address: number) => void,
  ) {
    this.box.tabIndex = 0;
    this.box.addEventListener('pointerover', (event) => this.point(event.target));
    this.box.addEventListener('focusin', (event) => this.point(event.target));
    this.box.addEventListener('pointerleave', () => this.mark(null));
  }

  update(changes: ReadonlySet<Change>): void {
    if (!any(changes, 'select', 'memory', 'view', 'script')) return;
    this.about = this.aboutSelected();
    const address = this.about?.address ?? null;
    if (address !== this.shown) {
      this.rows = ROWS;
      this.box.scrollTop = 0;
    }
    this.shown = address;
    this.draw();
  }

  private draw(): void {
    const { about, session, box } = this;
    const { machine } = session;
    if (!about || !machine) {
      replace(
        box,
        make('p', { class: 'hint' }, 'The bytes of the selected cell stand here, read from the module’s memory.'),
      );
      return;
    }
    const start = about.headerAt >= 0 ? about.headerAt : about.at;
    const end = Math.max(start, about.payloadAt + about.payloadLen);
    const { bytes } = viewsOf(machine);
    const fieldAt = (address: number) =>
      about.fields.findIndex((field) => address >= field.at && address < field.at + field.size);
    const body = make('tbody');
    const from = start - (start % WIDE);
    const stop = Math.min(end, from + this.rows * WIDE);
    for (let row = from; row < stop; row += WIDE) {
      const line = make('tr', {}, make('th', { scope: 'row' }, hexOf(row)));
      let text = '';
      for (let at = row; at < row + WIDE; at += 1) {
        const outside = at < start || at >= end;
        const byte = bytes[at] ?? 0;
        const field = outside ? -1 : fieldAt(at);
        const cell = make('td', { class: 'b' }, outside ? '' : byte.toString(16).padStart(2, '0'));
        if (field >= 0) {
          cell.dataset.f = String((field % 6) + 1);
          cell.dataset.field = String(field);
        }
        line.append(cell);
        text += outside ? ' ' : byte > 32 && byte < 127 ? String.fromCharCode(byte) : '·';
      }
      line.append(make('td', { class: 'a' }, text));
      body.append(line);
    }
    const left = end - stop;
    const more = () => {
      this.rows *= 4;
      this.draw();
    };
    replace(
      box,
      this.legend(about.fields),
      make('table', { 'aria-label': `Bytes from ${hexOf(start)}` }, body),
      left > 0 &&
        make(
          'button',
          { type: 'button', 'data-key': 'more', onclick: more },
          `${left.toLocaleString('en')} more bytes`,
        ),
    );
  }

  /** The fields, each a button: it marks the field's bytes, and follows the link if it is one. */
  private legend(fields: FieldValue[]): HTMLElement {
    const list = make('ul', { class: 'fields', 'aria-label': 'Header fields' });
    for (const [i, field] of fields.entries()) {
      const follow = () => field.to !== 0 && this.go(field.to);
      const value = field.to !== 0 ? this.names.label(field.to) : field.meaning || field.value.toLocaleString('en');
      list.append(
        make(
          'li',
          { 'data-f': (i % 6) + 1, 'data-field': i },
          make(
            'button',
            { type: 'button', 'data-key': `field ${i}`, onclick: follow },
            make('i'),
            `${field.name} ${value}`,
          ),
        ),
      );
    }
    return list;
  }

  private point(target: EventTarget | null): void {
    const found = target instanceof Element ? target.closest<HTMLElement>('[data-field]') : null;
    this.mark(found ? Number(found.dataset.field) : null);
  }

  /** Marks a field wherever it is shown, and where its link leads to in all panels. */
  private mark(field: number | null): void {
    for (const element of this.box.querySelectorAll<HTMLElement>('[data-field]')) {
      if (field !== null && element.dataset.field === String(field)) element.dataset.on = 'true';
      else delete element.dataset.on;
    }
    const value = field === null ? undefined : this.about?.fields[field];
    this.session.point(value?.to ?? 0);
  }
}
