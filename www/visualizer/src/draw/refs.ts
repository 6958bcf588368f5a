/**
 * Counted cells in the middle, each with its count; on the left the payloads in which its address stands, on the right
 * the store that it came from and goes back to.
 */

import type { RefModel } from '../model/types.ts';
import { LOOK, type Palette } from './palette.ts';
import { Shapes } from './shapes.ts';
import { Svg } from './svg.ts';
import { arrow, count, hexOf, type NameOf, rings, type Scene, type View } from './view.ts';
import type { Box, Viewport } from './viewport.ts';

const ROW = 38;
const HEIGHT = 24;
const HOLDER = { x: 0, w: 120 };
const CELL = { x: 220, w: 200 };
const STORE = { x: 520, w: 120 };
/** More references than this are a number only. */
const PIPS = 8;

export class RefsView implements View<RefModel> {
  private readonly shapes = new Shapes();
  /** Payloads that are no counted cells themselves, and the sources; both in the order of the cells they belong to. */
  private holders: number[] = [];
  private sources: number[] = [];
  private rowOfCell = new Map<number, number>();
  private rowOfHolder = new Map<number, number>();
  private rowOfSource = new Map<number, number>();

  plan(model: RefModel, _port: Viewport): Box {
    this.rowOfCell.clear();
    this.rowOfHolder.clear();
    this.rowOfSource.clear();
    for (let i = 0; i < model.count; i += 1) this.rowOfCell.set(model.at[i] ?? 0, i);
    const places = Uint32Array.from({ length: model.holders }, (_, k) => k);
    const { holds } = model;
    places.sort((a, b) => (holds[a] as number) - (holds[b] as number));
    for (const k of places) {
      const holder = model.holder[k] ?? 0;
      if (!this.rowOfCell.has(holder) && !this.rowOfHolder.has(holder)) {
        this.rowOfHolder.set(holder, this.rowOfHolder.size);
      }
    }
    for (let i = 0; i < model.count; i += 1) {
      const src = model.src[i] ?? 0;
      if (!this.rowOfSource.has(src)) this.rowOfSource.set(src, this.rowOfSource.size);
    }
    this.holders = [...this.rowOfHolder.keys()];
    this.sources = [...this.rowOfSource.keys()];
    const rows = Math.max(model.count, this.holders.length, this.sources.length);
    return { x: 0, y: -ROW, w: STORE.x + STORE.w, h: (rows + 1) * ROW };
  }

  fit(model: RefModel, port: Viewport): void {
    const box = this.plan(model, port);
    port.fit({ ...box, h: Math.min(box.h, (ROW * port.height) / port.dpr / 20) }, 16, false, 1.25);
  }

  draw(scene: Scene, model: RefModel, _changed: boolean): void {
    const { pen, port, palette, patterns } = scene;
    const { shapes } = this;
    const first = Math.max(0, Math.floor(port.worldY(0) / ROW));
    const last = Math.ceil(port.worldY(port.height) / ROW);
    const near = HEIGHT * port.sy >= 10 * port.dpr;
    this.links(scene, model, first, last);
    shapes.clear();
    const put = (look: number, x: number, row: number, w: number) =>
      shapes.add(
        look,
        Math.round(port.screenX(x)),
        Math.round(port.screenY(row * ROW)),
        Math.round(w * port.sx),
        Math.round(HEIGHT * port.sy),
      );
    this.fill(model, first, last, put);
    shapes.paint(pen, palette, patterns, port.dpr);
    if (near) this.texts(scene, model, first, last);
    rings(scene, (address) => this.boxOf(model, address));
  }

  private fill(
    model: RefModel,
    first: number,
    last: number,
    put: (look: number, x: number, row: number, w: number) => void,
  ): void {
    for (let i = first; i < Math.min(last, model.count); i += 1) {
      put(LOOK.header, CELL.x, i, 10);
      put(model.tainted[i] === 1 ? LOOK.tainted : LOOK.used, CELL.x + 10, i, CELL.w - 10);
    }
    for (let row = first; row < Math.min(last, this.holders.length); row += 1) put(LOOK.plain, HOLDER.x, row, HOLDER.w);
    for (let row = first; row < Math.min(last, this.sources.length); row += 1) {
      put(LOOK.header, STORE.x, row, 8);
      put(LOOK.plain, STORE.x + 8, row, STORE.w - 8);
    }
  }

  /** Where a place that holds an address is drawn: its right edge; of a counted cell, its left. */
  private from(model: RefModel, holder: number): Box | null {
    const row = this.rowOfHolder.get(holder);
    if (row !== undefined) return { x: HOLDER.x, y: row * ROW, w: HOLDER.w, h: HEIGHT };
    return this.boxOf(model, holder);
  }

  private links(scene: Scene, model: RefModel, first: number, last: number): void {
    const { pen, port, palette } = scene;
    const { dpr } = port;
    const middle = (row: number) => port.screenY(row * ROW + HEIGHT / 2);
    pen.beginPath();
    for (let i = first; i < Math.min(last, model.count); i += 1) {
      const row = this.rowOfSource.get(model.src[i] ?? 0) ?? 0;
      pen.moveTo(port.screenX(CELL.x + CELL.w), middle(i));
      pen.lineTo(port.screenX(STORE.x), middle(row));
    }
    pen.strokeStyle = palette.link;
    pen.lineWidth = dpr;
    pen.stroke();
    pen.beginPath();
    for (let k = 0; k < model.holders; k += 1) {
      const to = model.holds[k] ?? 0;
      const from = this.from(model, model.holder[k] ?? 0);
      if (!from || (to < first && from.y / ROW < first) || (to > last && from.y / ROW > last)) continue;
      const y = port.screenY(from.y + HEIGHT / 2);
      const end = port.screenX(CELL.x);
      if (from.x < CELL.x) arrow(pen, port.screenX(from.x + from.w), y, end, middle(to), 6 * dpr);
      else {
        // From one counted cell to another: around the left.
        const out = port.screenX(CELL.x - 40);
        pen.moveTo(end, y);
        pen.bezierCurveTo(out, y, out, middle(to), end - 6 * dpr, middle(to));
        arrow(pen, end - 7 * dpr, middle(to), end, middle(to), 6 * dpr);
      }
    }
    pen.strokeStyle = palette.text;
    pen.lineWidth = 1.25 * dpr;
    pen.stroke();
  }

  private texts(scene: Scene, model: RefModel, first: number, last: number): void {
    const { pen, port, palette, nameOf } = scene;
    const { dpr } = port;
    const size = Math.min(11 * dpr, HEIGHT * 0.5 * port.sy);
    pen.font = `${size}px ${palette.mono}`;
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    const middle = (row: number) => port.screenY(row * ROW + HEIGHT / 2) + dpr / 2;
    pen.fillStyle = palette.muted;
    pen.fillText('held by', port.screenX(HOLDER.x), middle(-1));
    pen.fillText('counted cell, references', port.screenX(CELL.x), middle(-1));
    pen.fillText('source', port.screenX(STORE.x), middle(-1));
    for (let i = first; i < Math.min(last, model.count); i += 1) {
      pen.fillStyle = palette.onUsed;
      pen.fillText(cellText(model, i, nameOf), port.screenX(CELL.x + 16), middle(i));
      this.pips(scene, model.refs[i] ?? 0, i);
    }
    pen.fillStyle = palette.text;
    for (let row = first; row < Math.min(last, this.holders.length); row += 1) {
      const at = this.holders[row] ?? 0;
      pen.fillText(nameOf(at) || hexOf(at), port.screenX(HOLDER.x + 10), middle(row));
    }
    for (let row = first; row < Math.min(last, this.sources.length); row += 1) {
      const at = this.sources[row] ?? 0;
      pen.fillText(nameOf(at) || hexOf(at), port.screenX(STORE.x + 18), middle(row));
    }
  }

  /** A dot a reference, or the number where there are many. */
  private pips(scene: Scene, refs: number, row: number): void {
    const { pen, port, palette } = scene;
    const right = CELL.x + CELL.w - 14;
    const y = port.screenY(row * ROW + HEIGHT / 2);
    pen.fillStyle = palette.onUsed;
    if (refs > PIPS) {
      pen.textAlign = 'right';
      pen.fillText(`×${count(refs)}`, port.screenX(right), y + port.dpr / 2);
      pen.textAlign = 'left';
      return;
    }
    pen.beginPath();
    for (let k = 0; k < refs; k += 1) {
      const x = port.screenX(right - k * 9);
      pen.moveTo(x + 3 * port.sx, y);
      pen.arc(x, y, 3 * port.sx, 0, 2 * Math.PI);
    }
    pen.fill();
  }

  hit(model: RefModel, port: Viewport, x: number, y: number): number {
    const [wx, wy] = [port.worldX(x), port.worldY(y)];
    const row = Math.floor(wy / ROW);
    if (row < 0 || wy - row * ROW > HEIGHT) return 0;
    const within = (column: { x: number; w: number }) => wx >= column.x && wx <= column.x + column.w;
    if (within(CELL)) return row < model.count ? (model.at[row] ?? 0) : 0;
    if (within(HOLDER)) return this.holders[row] ?? 0;
    return within(STORE) ? (this.sources[row] ?? 0) : 0;
  }

  boxOf(model: RefModel, address: number): Box | null {
    const i = this.rowOfCell.get(address);
    if (i !== undefined) return { x: CELL.x, y: i * ROW, w: CELL.w, h: HEIGHT };
    const held = this.rowOfHolder.get(address);
    if (held !== undefined) return { x: HOLDER.x, y: held * ROW, w: HOLDER.w, h: HEIGHT };
    const source = this.rowOfSource.get(address);
    if (source !== undefined) return { x: STORE.x, y: source * ROW, w: STORE.w, h: HEIGHT };
    // Something within a counted cell.
    const within = model.index(address);
    return within < 0 ? null : { x: CELL.x, y: within * ROW, w: CELL.w, h: HEIGHT };
  }

  /** Up and down within a column, left and right along a link. */
  go(model: RefModel, address: number, dx: number, dy: number): number {
    const i = address === 0 ? -1 : model.index(address);
    if (address === 0) return model.at[0] ?? 0;
    if (i >= 0) {
      if (dy !== 0) return i + dy < model.count && i + dy >= 0 ? (model.at[i + dy] ?? 0) : 0;
      if (dx > 0) return model.src[i] ?? 0;
      for (let k = 0; k < model.holders; k += 1) if (model.holds[k] === i) return model.holder[k] ?? 0;
      return 0;
    }
    const held = this.rowOfHolder.get(address);
    if (held !== undefined) {
      if (dy !== 0) return this.holders[held + dy] ?? 0;
      for (let k = 0; dx > 0 && k < model.holders; k += 1) {
        if (model.holder[k] === address) return model.at[model.holds[k] ?? 0] ?? 0;
      }
      return 0;
    }
    const source = this.rowOfSource.get(address);
    if (source === undefined) return model.at[0] ?? 0;
    if (dy !== 0) return this.sources[source + dy] ?? 0;
    const cell = dx < 0 ? model.src.subarray(0, model.count).indexOf(address) : -1;
    return cell < 0 ? 0 : (model.at[cell] ?? 0);
  }

  svg(model: RefModel, palette: Palette, title: string, nameOf: NameOf): string {
    const { shapes } = this;
    const svg = new Svg(palette, ROW);
    const middle = (row: number) => row * ROW + HEIGHT / 2;
    const rows = Math.max(model.count, this.holders.length, this.sources.length);
    shapes.clear();
    this.fill(model, 0, rows, (look, x, row, w) => shapes.add(look, x, row * ROW, w, HEIGHT));
    const home: number[] = [];
    for (let i = 0; i < model.count; i += 1) {
      home.push(CELL.x + CELL.w, middle(i), STORE.x, middle(this.rowOfSource.get(model.src[i] ?? 0) ?? 0));
    }
    const held: number[] = [];
    for (let k = 0; k < model.holders; k += 1) {
      const from = this.from(model, model.holder[k] ?? 0);
      if (!from) continue;
      const [y1, y2] = [from.y + HEIGHT / 2, middle(model.holds[k] ?? 0)];
      if (from.x < CELL.x) held.push(from.x + from.w, y1, CELL.x, y2);
      // From one counted cell to another: around the left.
      else held.push(CELL.x, y1, CELL.x - 28, (y1 + y2) / 2, CELL.x - 28, (y1 + y2) / 2, CELL.x, y2);
    }
    svg.lines(home, home.length, palette.link).lines(held, held.length, palette.text).shapes(shapes);
    for (let i = 0; i < model.count; i += 1) {
      svg.text(CELL.x + 16, middle(i) + 4, cellText(model, i, nameOf), palette.onUsed);
      svg.text(CELL.x + CELL.w - 8, middle(i) + 4, `×${model.refs[i]}`, palette.onUsed, 11, 'end');
    }
    const label = (at: number) => nameOf(at) || hexOf(at);
    for (const [row, at] of this.holders.entries()) svg.text(HOLDER.x + 10, middle(row) + 4, label(at), palette.text);
    for (const [row, at] of this.sources.entries()) svg.text(STORE.x + 18, middle(row) + 4, label(at), palette.text);
    return svg.finish({ x: 0, y: 0, w: STORE.x + STORE.w, h: rows * ROW }, title);
  }
}

function cellText(model: RefModel, i: number, nameOf: NameOf): string {
  const at = model.at[i] ?? 0;
  const word = nameOf(at) || hexOf(at);
  const long = `${word} ${count(model.size[i] ?? 0)} B`;
  return long.length <= 15 ? long : word;
}
