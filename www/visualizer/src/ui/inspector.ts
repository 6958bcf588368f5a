/** What the selected piece is: address, state, which header field says so, and where its links lead. */

import { count, hexOf, plural } from '../draw/view.ts';
import type { About } from './about.ts';
import { sayCell } from './announce.ts';
import { byId, make, replace } from './dom.ts';
import { glyph } from './glyphs.ts';
import type { Names } from './names.ts';
import { any, type Panel, pointsByLinks } from './panel.ts';
import type { Change, Session } from './session.ts';
import { tipOf } from './words.ts';

export class Inspector implements Panel {
  private readonly box = byId('inspector');

  constructor(
    private readonly session: Session,
    private readonly names: Names,
    private readonly aboutSelected: () => About | null,
    private readonly go: (address: number) => void,
  ) {
    this.box.tabIndex = 0;
    pointsByLinks(this.box, session);
  }

  update(changes: ReadonlySet<Change>): void {
    if (any(changes, 'select', 'memory', 'view', 'script', 'theme')) this.draw();
    if (changes.has('select')) sayCell(tipOf(this.names, this.aboutSelected()).replace('\n', ', '));
    if (any(changes, 'point')) {
      for (const link of this.box.querySelectorAll<HTMLElement>('[data-to]')) {
        link.dataset.on = String(Number(link.dataset.to) === this.session.hover);
      }
    }
  }

  private draw(): void {
    const about = this.aboutSelected();
    if (!about) {
      const hint = 'Nothing is selected. Click a cell, or put the focus on the picture and use the arrow keys.';
      replace(this.box, make('p', { class: 'hint' }, hint));
      return;
    }
    const store =
      about.state === 'store' ? this.session.machine?.stores.find(({ address }) => address === about.address) : null;
    const list = make('dl');
    const row = (term: string, ...details: (Node | string | false)[]) => {
      list.append(make('dt', {}, term), make('dd', {}, ...details));
    };
    row('address', make('span', { class: 'mono' }, hexOf(about.payloadAt)));
    row('kind', about.kind);
    row('state', about.state);
    if (about.says) row('says so', about.says);
    if (about.refs > 0) row('references', count(about.refs));
    if (store) {
      const { live, bytes, peak, held } = store.stats();
      row('live', `${plural(live, 'cell')}, ${count(bytes)} B`);
      row('peak', `${count(peak)} B`);
      row('held', `${count(held)} B`);
      row(
        'source',
        store.source ?? (store.fixed > 0 ? `${count(store.fixed)} bytes of its own` : 'the module’s pages'),
      );
    } else {
      if (about.headerAt >= 0)
        row('header', `${count(about.headerLen)} B at `, make('span', { class: 'mono' }, hexOf(about.headerAt)));
      row('payload', `${count(about.payloadLen)} B`);
      row('in all', `${count(about.len)} B`);
    }
    for (const field of about.fields) if (field.to !== 0) row(field.name, this.link(field.name, field.to));
    const title = this.names.label(about.address);
    replace(this.box, make('h3', {}, glyph(about.look, 20, 16), title), list);
  }

  /** A button that goes where a link leads, and shows it while it is pointed at. */
  private link(name: string, to: number): Node {
    const called = this.names.at(to);
    const text = called ? `${called} ${hexOf(to)}` : hexOf(to);
    return make(
      'button',
      { type: 'button', class: 'link', 'data-to': to, 'data-key': `link ${name}`, onclick: () => this.go(to) },
      text,
    );
  }
}
