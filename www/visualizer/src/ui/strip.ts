/** Under the picture: the free order of a pool, the classes of a heap, and what the shapes mean. */

import { LOOK } from '../draw/palette.ts';
import { NUMBERED } from '../draw/pool.ts';
import { count, hexOf } from '../draw/view.ts';
import { WHAT } from '../model/types.ts';
import { byId, make, replace } from './dom.ts';
import { legend } from './glyphs.ts';
import { any, type Panel, pointsByLinks } from './panel.ts';
import type { Picture } from './pictures.ts';
import type { Change, Session, ViewName } from './session.ts';

const LEGENDS: Record<ViewName, readonly number[]> = {
  pool: [LOOK.header, LOOK.used, LOOK.tainted, LOOK.free, LOOK.shredded, LOOK.fresh],
  tree: [LOOK.header, LOOK.used, LOOK.tainted, LOOK.mark],
  linear: [LOOK.header, LOOK.used, LOOK.tainted, LOOK.hole, LOOK.shredded, LOOK.mark, LOOK.fresh],
  heap: [LOOK.header, LOOK.used, LOOK.tainted, LOOK.free, LOOK.fresh],
  refs: [LOOK.header, LOOK.used, LOOK.tainted, LOOK.plain],
};

/** Where a look means something else than its name. */
const CALLED: Partial<Record<ViewName, Record<number, string>>> = {
  tree: { [LOOK.mark]: 'guarded' },
  refs: { [LOOK.plain]: 'holder, source' },
};

export class Strip implements Panel {
  private readonly box = byId('strip');
  private legends: Partial<Record<ViewName, Node>> = {};

  constructor(
    private readonly session: Session,
    private readonly picture: () => Picture | null,
    private readonly go: (address: number) => void,
  ) {
    pointsByLinks(this.box, session);
  }

  update(changes: ReadonlySet<Change>): void {
    if (changes.has('theme')) this.legends = {};
    if (any(changes, 'script', 'memory', 'view', 'theme', 'select')) this.draw();
    if (any(changes, 'point')) {
      const { hover } = this.session;
      const model = this.picture()?.model;
      const under = model && hover !== 0 ? model.index(hover) : -1;
      for (const button of this.box.querySelectorAll<HTMLElement>('[data-to]')) {
        const at = model ? model.index(Number(button.dataset.to)) : -1;
        button.dataset.on = String(under >= 0 && at === under);
      }
    }
  }

  /** What the shapes mean; made once for a view and a theme. */
  private legend(): Node {
    const { view } = this.session;
    this.legends[view] ??= legend(LEGENDS[view], CALLED[view]);
    return this.legends[view];
  }

  private draw(): void {
    const picture = this.picture();
    replace(this.box, ...(picture ? [...this.facts(picture), this.legend()] : []));
  }

  private facts({ model }: Picture): Node[] {
    switch (model.kind) {
      case 'pool': {
        const order = [...model.freeOrder(NUMBERED)];
        const free = model.freeOrder(NUMBERED + 1).length > NUMBERED;
        const chain: (Node | string)[] = [];
        for (const [k, at] of order.entries()) {
          chain.push(this.cell(at, k === 0 ? `bottom ${hexOf(at)}` : hexOf(at), `free ${k}`));
          chain.push(make('i', { 'aria-hidden': 'true' }, '→'));
        }
        const end = make(
          'i',
          {},
          free ? 'and more' : order.length === 0 ? 'none: the next cell is a fresh one' : 'none',
        );
        const top = model.top === 0 ? [] : [this.cell(model.top, `top ${hexOf(model.top)}`, 'top')];
        return [make('span', { class: 'label' }, 'Free order'), ...(chain as Node[]), end, ...top];
      }
      case 'lin': {
        const marks: Node[] = [];
        for (let i = 0; i < model.count && marks.length < NUMBERED; i += 1) {
          if (model.what[i] === WHAT.mark)
            marks.push(this.cell(model.at[i] ?? 0, `mark ${hexOf(model.at[i] ?? 0)}`, `mark ${i}`));
        }
        const cursor = model.cursor === 0 ? [] : [this.cell(model.cursor, `cursor ${hexOf(model.cursor)}`, 'cursor')];
        return [...cursor, ...marks];
      }
      case 'heap': {
        if (model.classes.length === 0) return [];
        const most = Math.max(...model.classes.map((one) => Math.max(one.free, one.used)));
        return [make('span', { class: 'label' }, 'Classes'), ...model.classes.map((one) => bars(one, most))];
      }
      default:
        return [];
    }
  }

  private cell(at: number, text: string, key: string): Node {
    return make('button', { type: 'button', 'data-to': at, 'data-key': key, onclick: () => this.go(at) }, text);
  }
}

/** How many blocks of a size are used and free: two bars and the numbers. */
function bars(one: { from: number; free: number; used: number }, most: number): Node {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 16');
  svg.setAttribute('class', 'bars');
  svg.setAttribute('aria-hidden', 'true');
  const bar = (x: number, value: number, look: string) => {
    const h = value === 0 ? 0 : Math.max(1, (15 * value) / most);
    const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    for (const [name, v] of Object.entries({ x, y: 16 - h, width: 9, height: h, class: look }))
      rect.setAttribute(name, String(v));
    svg.append(rect);
  };
  bar(1, one.used, 'used');
  bar(13, one.free, 'free');
  return make(
    'span',
    { class: 'class' },
    svg,
    make('b', {}, `${count(one.from)} B`),
    ` ${count(one.used)} used, ${count(one.free)} free`,
  );
}
