/** The views as tabs, and the stores of the one that is shown. */

import { answer, STAT } from 'kmem/raw';
import { count } from '../draw/view.ts';
import { byId, make, replace } from './dom.ts';
import { any, type Panel } from './panel.ts';
import { type Change, type Session, VIEW_WORDS, VIEWS, type ViewName } from './session.ts';

export class Tabs implements Panel {
  private readonly list = byId('tabs');
  private readonly panel = byId('panel');
  private readonly stores = byId('stores');
  private readonly tabs = new Map<ViewName, HTMLElement>();

  constructor(
    private readonly session: Session,
    /** A store's own header is looked at. */
    private readonly inspect: (address: number) => void,
  ) {
    for (const view of VIEWS) {
      const tab = byId(`tab-${view}`);
      this.tabs.set(view, tab);
      tab.addEventListener('click', () => this.choose(view));
    }
    this.list.addEventListener('keydown', (event) => {
      const at = VIEWS.indexOf(session.view);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: VIEWS.length - 1 }[event.key];
      const view = to === undefined ? undefined : VIEWS[(to + VIEWS.length) % VIEWS.length];
      if (!view) return;
      event.preventDefault();
      this.choose(view);
      this.tabs.get(view)?.focus();
    });
  }

  /** The person's own choice: from then on steps do not change the view. */
  choose(view: ViewName, store?: string): void {
    this.session.follow = false;
    this.session.show(view, store);
  }

  /** The store before or after the one that is shown. */
  turn(by: number): void {
    const { session } = this;
    const stores = session.storesOf(session.view);
    const at = session.store ? stores.indexOf(session.store) : -1;
    const next = stores[(at + by + stores.length) % Math.max(1, stores.length)];
    if (next) this.choose(session.view, next.name);
  }

  update(changes: ReadonlySet<Change>): void {
    if (!any(changes, 'script', 'memory', 'view', 'select')) return;
    const { session } = this;
    for (const [view, tab] of this.tabs) {
      const chosen = view === session.view;
      tab.setAttribute('aria-selected', String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      const stores = session.storesOf(view).length;
      const label = VIEW_WORDS[view];
      if (tab.dataset.count !== String(stores)) {
        tab.dataset.count = String(stores);
        replace(tab, label, stores > 1 && make('sup', { 'aria-label': `, ${stores} stores` }, String(stores)));
      }
    }
    this.panel.setAttribute('aria-labelledby', `tab-${session.view}`);
    this.drawStores();
  }

  private drawStores(): void {
    const { session } = this;
    const shown = session.store;
    const buttons = session.storesOf(session.view).map((store) => {
      const live = session.machine ? answer(session.machine.raw.exports.store_stat(store.handle, STAT.live)) : 0;
      const where = store.source ? `in ${store.source}` : store.fixed > 0 ? `fixed, ${count(store.fixed)} B` : '';
      const choose = () => {
        if (store.name === session.store?.name) this.inspect(store.address);
        else this.choose(session.view, store.name);
      };
      return make(
        'button',
        {
          type: 'button',
          'data-key': store.name,
          'aria-pressed': String(store === shown),
          onclick: choose,
          title: 'Press again to see its header',
        },
        make('b', {}, store.name),
        make('span', {}, `${count(live)} live${where ? ` · ${where}` : ''}${store.tainted ? ' · tainted' : ''}`),
      );
    });
    replace(this.stores, ...buttons);
  }
}
