/** The canvas: draws the picture when something has changed, and answers pointer, wheel and arrow keys. */

import { type Palette, Patterns, readPalette } from '../draw/palette.ts';
import type { Scene } from '../draw/view.ts';
import type { About } from './about.ts';
import { byId, make, replace, setText } from './dom.ts';
import type { Names } from './names.ts';
import { any, type Panel } from './panel.ts';
import type { Picture, Pictures } from './pictures.ts';
import { type Change, type Session, VIEW_WORDS } from './session.ts';
import { summaryOf, tipOf } from './words.ts';

/** A press that moves less than this is a click. */
const CLICK = 4;

export class Stage implements Panel {
  private readonly box = byId('stage');
  private readonly canvas = byId<HTMLCanvasElement>('canvas');
  private readonly pen: CanvasRenderingContext2D;
  private readonly tip = byId('tip');
  private readonly empty = byId('empty');
  private palette: Palette = readPalette();
  private patterns: Patterns;
  picture: Picture | null = null;
  /** Pointers that are down, where they are. */
  private readonly down = new Map<number, { x: number; y: number }>();
  private moved = 0;
  private sized = '';
  /** Where the stage stands in the window; asked for again after it may have moved. */
  private frame: DOMRect | null = null;

  constructor(
    private readonly session: Session,
    private readonly pictures: Pictures,
    private readonly names: Names,
    private readonly aboutAt: (address: number) => About | null,
    /** What a view without anything to show offers. */
    private readonly offer: () => Node[],
  ) {
    const pen = this.canvas.getContext('2d', { alpha: false });
    if (!pen) throw new Error('This browser has no canvas to draw on.');
    this.pen = pen;
    this.patterns = new Patterns(pen, this.palette, window.devicePixelRatio);
    this.box.tabIndex = 0;
    new ResizeObserver(() => session.touch('view')).observe(this.box);
    // What stands above it may have grown.
    new ResizeObserver(() => {
      this.frame = null;
    }).observe(document.body);
    window.addEventListener('scroll', () => {
      this.frame = null;
    });
    this.listen();
  }

  // --- drawing ------------------------------------------------------------------------------------

  update(changes: ReadonlySet<Change>): void {
    if (changes.has('theme')) {
      this.palette = readPalette();
      this.patterns = new Patterns(this.pen, this.palette, window.devicePixelRatio);
    }
    if (changes.has('script')) this.pictures.forget();
    const resized = this.resize(changes);
    const reread = any(changes, 'script', 'memory', 'view', 'fold');
    if (reread) {
      this.picture = this.pictures.read();
    }
    if (changes.has('target')) this.box.classList.toggle('targeting', this.session.targeting !== null);
    this.draw(reread || resized || changes.has('theme'), any(changes, 'select'));
    if (any(changes, 'point', 'memory')) this.drawTip();
  }

  private resize(changes: ReadonlySet<Change>): boolean {
    if (changes.has('view') || changes.has('script')) this.frame = null;
    const dpr = window.devicePixelRatio || 1;
    const frame = this.place();
    const width = Math.max(1, Math.round(frame.width * dpr));
    const height = Math.max(1, Math.round(frame.height * dpr));
    const size = `${width} ${height} ${dpr}`;
    if (size === this.sized) return false;
    this.sized = size;
    this.canvas.width = width;
    this.canvas.height = height;
    this.patterns = new Patterns(this.pen, this.palette, dpr);
    return true;
  }

  private draw(changed: boolean, reveal: boolean): void {
    const { pen, canvas, picture, session } = this;
    pen.fillStyle = this.palette.ground;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (!picture || picture.model.count === 0) {
      if (this.empty.hidden || changed) this.drawEmpty();
      return;
    }
    this.empty.hidden = true;
    const { view, model, port } = picture;
    const first = port.width === 1;
    const resized = port.resize(canvas.width, canvas.height, window.devicePixelRatio || 1);
    if (first || (resized && !port.moved) || (changed && !port.moved)) view.fit(model, port);
    else if (changed) view.plan(model, port);
    if (reveal && session.selected !== 0) {
      const box = view.boxOf(model, session.selected);
      if (box && port.reveal(box)) port.moved = true;
    }
    view.draw(this.scene(picture), model, changed);
  }

  private scene({ port }: Picture): Scene {
    const { pen, palette, patterns, session, names } = this;
    const marks = { hover: session.hover, selected: session.selected, touched: session.touched };
    return { pen, port, palette, patterns, marks, nameOf: (address, kind) => names.at(address, kind) };
  }

  private drawEmpty(): void {
    this.empty.hidden = false;
    replace(this.empty, ...this.offer());
    setText(byId('summary'), '');
    this.canvas.setAttribute('aria-label', `${VIEW_WORDS[this.session.view]}: nothing to show`);
  }

  /** What the picture shows, in words: for who does not see it, and at a glance. */
  describe(): void {
    if (!this.picture) return;
    const text = summaryOf(this.picture.model);
    setText(byId('summary'), text);
    this.canvas.setAttribute('aria-label', `${VIEW_WORDS[this.session.view]} ${this.picture.store}: ${text}`);
  }

  private drawTip(): void {
    const { session, tip } = this;
    const text = session.hover === 0 ? '' : tipOf(this.names, this.aboutAt(session.hover));
    tip.hidden = text === '' || !this.box.matches(':hover') || this.down.size > 0;
    if (!tip.hidden) setText(tip, text);
  }

  // --- pointer --------------------------------------------------------------------------------------

  private place(): DOMRect {
    this.frame ??= this.canvas.getBoundingClientRect();
    return this.frame;
  }

  private at(event: { clientX: number; clientY: number }): { x: number; y: number } {
    const frame = this.place();
    const dpr = window.devicePixelRatio || 1;
    return { x: (event.clientX - frame.left) * dpr, y: (event.clientY - frame.top) * dpr };
  }

  private listen(): void {
    const { box } = this;
    box.addEventListener('pointerdown', (event) => this.press(event));
    box.addEventListener('pointermove', (event) => this.move(event));
    box.addEventListener('pointerup', (event) => this.release(event));
    box.addEventListener('pointercancel', (event) => this.lift(event));
    box.addEventListener('pointerleave', () => this.session.point(0));
    box.addEventListener('dblclick', () => this.foldSelected());
    box.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    box.addEventListener('keydown', (event) => this.key(event));
  }

  private hit(x: number, y: number): number {
    const { picture } = this;
    return picture ? picture.view.hit(picture.model, picture.port, x, y) : 0;
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0 || (event.target as Element).closest('button')) return;
    this.box.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.at(event));
    this.moved = 0;
    this.box.focus({ preventScroll: true });
  }

  private move(event: PointerEvent): void {
    const now = this.at(event);
    const before = this.down.get(event.pointerId);
    if (!before) {
      this.session.point(this.hit(now.x, now.y));
      this.placeTip(now);
      return;
    }
    const port = this.picture?.port;
    this.moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (port && this.moved > CLICK) {
      this.box.classList.add('dragging');
      this.drag(event.pointerId, before, now);
      this.session.touch('point');
    }
    this.down.set(event.pointerId, now);
  }

  /** One pointer pans, two zoom. */
  private drag(id: number, before: { x: number; y: number }, now: { x: number; y: number }): void {
    const port = this.picture?.port;
    if (!port) return;
    const other = [...this.down].find(([key]) => key !== id)?.[1];
    if (!other) {
      port.pan(now.x - before.x, now.y - before.y);
      return;
    }
    const span = (point: { x: number; y: number }) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    port.zoom(span(now) / span(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    this.redraw();
  }

  private release(event: PointerEvent): void {
    const known = this.down.has(event.pointerId);
    this.lift(event);
    if (known && this.moved <= CLICK) {
      const { x, y } = this.at(event);
      this.session.select(this.hit(x, y));
    }
  }

  private lift(event: PointerEvent): void {
    this.down.delete(event.pointerId);
    this.box.classList.remove('dragging');
  }

  private placeTip({ x, y }: { x: number; y: number }): void {
    const dpr = window.devicePixelRatio || 1;
    const { style, offsetWidth, offsetHeight } = this.tip;
    const { width, height } = this.place();
    style.left = `${Math.min(x / dpr + 14, Math.max(0, width - offsetWidth - 4))}px`;
    style.top = `${y / dpr + 18 + offsetHeight > height ? y / dpr - offsetHeight - 8 : y / dpr + 18}px`;
  }

  private wheel(event: WheelEvent): void {
    const port = this.picture?.port;
    if (!port) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 18 : 1;
    const dpr = window.devicePixelRatio || 1;
    if (event.shiftKey) port.pan(-(event.deltaX + event.deltaY) * unit * dpr, 0);
    else {
      const { x, y } = this.at(event);
      port.zoom(Math.exp((-event.deltaY * unit) / 400), x, y);
      if (event.deltaX !== 0) port.pan(-event.deltaX * unit * dpr, 0);
    }
    this.redraw();
  }

  /** Another part is in view. */
  private redraw(): void {
    this.session.touch('point');
  }

  // --- keys ------------------------------------------------------------------------------------------

  private key(event: KeyboardEvent): void {
    const { session } = this;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      if (event.shiftKey) this.panBy(step[0], step[1]);
      else this.go(step[0], step[1]);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (session.targeting) session.select(session.hover || session.selected);
      else byId('inspector').focus();
    }
  }

  /** Arrow keys move the selection; while a target is chosen, they move what is pointed at. */
  private go(dx: number, dy: number): void {
    const { session, picture } = this;
    if (!picture) return;
    const from = session.targeting ? session.hover || session.selected : session.selected;
    const known = from !== 0 && picture.view.boxOf(picture.model, from) !== null;
    const to = picture.view.go(picture.model, known ? from : 0, dx, dy);
    if (to === 0) return;
    if (session.targeting) {
      session.point(to);
      const box = picture.view.boxOf(picture.model, to);
      if (box) picture.port.reveal(box);
    } else session.select(to);
    this.redraw();
  }

  private panBy(dx: number, dy: number): void {
    const step = 60 * (window.devicePixelRatio || 1);
    this.picture?.port.pan(-dx * step, -dy * step);
    this.redraw();
  }

  zoomBy(factor: number): void {
    const { picture, canvas } = this;
    if (!picture) return;
    const box = this.session.selected === 0 ? null : picture.view.boxOf(picture.model, this.session.selected);
    const { port } = picture;
    const x = box ? port.screenX(box.x + box.w / 2) : canvas.width / 2;
    const y = box ? port.screenY(box.y + box.h / 2) : canvas.height / 2;
    port.zoom(factor, x, y);
    this.redraw();
  }

  showAll(): void {
    const { picture } = this;
    if (!picture) return;
    picture.view.fit(picture.model, picture.port);
    this.redraw();
  }

  foldSelected(): void {
    const { session, picture } = this;
    if (picture?.model.kind !== 'tree' || session.selected === 0) return;
    const node = picture.model.index(session.selected);
    if (node >= 0) session.toggleFold(picture.model.payloadAt(node));
  }

  /** The whole picture in vectors, with the theme in force. */
  svg(): string | null {
    const { picture, names, palette } = this;
    if (!picture) return null;
    const title = `kmem ${VIEW_WORDS[this.session.view]} ${picture.store}, step ${this.session.step}`;
    return picture.view.svg(picture.model, palette, title, (address, kind) => names.at(address, kind));
  }

  /** A button that offers something where there is nothing to show. */
  static offerButton(text: string, act: () => void): HTMLElement {
    return make('button', { type: 'button', onclick: act }, text);
  }
}
