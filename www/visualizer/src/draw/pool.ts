/** A pool: its cells in rows, the oldest block first. Near, a cell shows its header, its state and its name. */

import { POOL_STATE, type PoolModel } from '../model/types.ts';
import { FarImage, Grid, SHEET } from './grid.ts';
import { drawGutter, GUTTER, inGutter } from './gutter.ts';
import { LOOK, type Palette } from './palette.ts';
import { Shapes } from './shapes.ts';
import { Svg } from './svg.ts';
import { arc, count, hexOf, type NameOf, plural, rings, type Scene, type View } from './view.ts';
import type { Box, Viewport } from './viewport.ts';

/** How many free cells are numbered and linked. */
export const NUMBERED = 12;
/** A cell at life size. */
const CELL_WIDTH = 52;
const CELL_HEIGHT = 26;

export class PoolView implements View<PoolModel> {
  private readonly grid = new Grid(CELL_WIDTH, CELL_HEIGHT);
  private readonly image = new FarImage();
  private readonly shapes = new Shapes();
  private painted: Palette | null = null;

  plan(model: PoolModel, port: Viewport): Box {
    // Up to the high-water mark: what lies behind it was never handed out.
    const shown = model.top === 0 ? 0 : model.index(model.top) + 1;
    return this.grid.plan(model.runs, (b) => model.runCount[b] ?? 0, port, shown);
  }

  fit(model: PoolModel, port: Viewport): void {
    const box = this.plan(model, port);
    port.fit(box, GUTTER);
    if (!this.isNear(port)) port.fit(box);
  }

  /** Whether cells have shapes at this scale. */
  isNear(port: Viewport): boolean {
    return this.grid.cellH * port.sy >= 10 * port.dpr;
  }

  draw(scene: Scene, model: PoolModel, changed: boolean): void {
    if (this.isNear(scene.port)) {
      this.painted = null;
      this.drawNear(scene, model);
    } else {
      if (changed || this.painted !== scene.palette) this.paint(model, scene.palette);
      this.image.draw(scene, this.grid);
    }
    this.links(scene, model);
    rings(scene, (address) => this.boxOf(model, address));
  }

  private paint(model: PoolModel, palette: Palette): void {
    const { grid, image } = this;
    const table = palette.pixels;
    image.clear(grid.cols, grid.rows, 0);
    const { pixels } = image;
    for (let b = 0; b < grid.blocks; b += 1) {
      const first = model.runFirst[b] ?? 0;
      const cells = model.runCount[b] ?? 0;
      const row = grid.titleRow[b] ?? 0;
      pixels.fill(table[LOOK.header] ?? 0, row * grid.cols, row * grid.cols + Math.min(grid.cols, 4));
      const base = (row + 1) * grid.cols - first;
      for (let i = first, end = first + cells; i < end; i += 1) {
        pixels[base + i] = table[model.state[i] as number] as number;
      }
    }
    image.done();
    this.painted = palette;
  }

  private drawNear(scene: Scene, model: PoolModel): void {
    const { pen, port, palette, patterns } = scene;
    const { grid, shapes } = this;
    const { dpr } = port;
    const [row0, row1] = grid.rowsInView(port);
    const [col0, col1] = grid.colsInView(port);
    const gap = Math.max(1, Math.round(2 * port.sy));
    const headerPart = model.stride > 0 ? model.header / model.stride : 0;
    shapes.clear();
    for (let row = row0; row < row1; row += 1) {
      const y = Math.round(port.screenY(row * grid.cellH));
      const h = Math.round(port.screenY((row + 1) * grid.cellH)) - y - gap;
      for (let col = col0; col < col1; col += 1) {
        const i = grid.slotIn(row, col);
        if (i < 0) continue;
        const x = Math.round(port.screenX(col * grid.cellW));
        const w = Math.round(port.screenX((col + 1) * grid.cellW)) - x - gap;
        const state = model.state[i] as number;
        const front = state === POOL_STATE.fresh ? 0 : Math.max(3, Math.round(w * headerPart));
        if (front > 0) shapes.add(LOOK.header, x, y, front, h);
        shapes.add(state, x + front, y, w - front, h);
      }
    }
    shapes.paint(pen, palette, patterns, dpr);
    this.titles(scene, model, row0, row1);
    if (grid.cellH * port.sy >= 17 * dpr) this.texts(scene, model, [row0, row1], [col0, col1], headerPart);
    drawGutter(scene, this.grid, [row0, row1], 2, (i) => model.address(i));
  }

  /** A line over each block that says which it is. */
  private titles(scene: Scene, model: PoolModel, row0: number, row1: number): void {
    const { pen, port, palette } = scene;
    const { grid } = this;
    const size = Math.min(11, (grid.cellH * port.sy) / port.dpr - 2) * port.dpr;
    pen.font = `${size}px ${palette.mono}`;
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    pen.fillStyle = palette.muted;
    for (let b = 0; b < grid.blocks; b += 1) {
      const row = grid.titleRow[b] ?? 0;
      if (row < row0 || row >= row1) continue;
      const y = port.screenY((row + 0.5) * grid.cellH);
      pen.fillText(blockTitle(model, b), Math.max(port.screenX(0), GUTTER * port.dpr), y);
    }
  }

  private texts(
    scene: Scene,
    model: PoolModel,
    [row0, row1]: [number, number],
    [col0, col1]: [number, number],
    headerPart: number,
  ): void {
    const { pen, port, palette, nameOf } = scene;
    const { grid } = this;
    const { dpr } = port;
    const order = model.freeOrder(NUMBERED);
    const large = grid.cellH * port.sy >= 34 * dpr;
    const size = (large ? 11 : 10) * dpr;
    pen.font = `${size}px ${palette.mono}`;
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    const letters = (w: number) => Math.floor(w / (size * 0.61));
    for (let row = row0; row < row1; row += 1) {
      const middle = port.screenY((row + 0.5) * grid.cellH) - port.sy;
      for (let col = col0; col < col1; col += 1) {
        const i = grid.slotIn(row, col);
        if (i < 0) continue;
        const state = model.state[i] as number;
        if (state === POOL_STATE.fresh) continue;
        const used = state === POOL_STATE.used || state === POOL_STATE.tainted;
        const left = port.screenX((col + headerPart) * grid.cellW) + 4 * dpr;
        const room = letters(port.screenX((col + 1) * grid.cellW) - left - (used ? 4 : 0) * dpr);
        if (used) {
          const payload = model.payloadAt(i);
          const name = nameOf(payload);
          const text = name !== '' && name.length <= room ? name : (payload & 0xffff).toString(16).padStart(4, '0');
          pen.fillStyle = palette.onUsed;
          const two = large && name !== '' && room >= 7;
          if (text.length <= room) pen.fillText(text, left, two ? middle - size * 0.6 : middle);
          if (two) pen.fillText(hexOf(payload), left, middle + size * 0.7);
        } else {
          const number = order.indexOf(model.address(i));
          if (number < 0) continue;
          const x = port.screenX((col + 0.62) * grid.cellW);
          const digits = String(number + 1);
          if (state === POOL_STATE.shredded) {
            pen.fillStyle = palette.ground;
            pen.fillRect(x - 3 * dpr, middle - size * 0.65, digits.length * size * 0.61 + 6 * dpr, size * 1.3);
          }
          pen.fillStyle = palette.text;
          pen.fillText(digits, x, middle);
        }
      }
    }
    this.flag(scene, model, model.top, 'top');
    this.flag(scene, model, model.bottom, 'bottom');
  }

  /** `top` and `bottom`, at the edge of their cells. */
  private flag(scene: Scene, model: PoolModel, address: number, text: string): void {
    const box = address === 0 ? null : this.boxOf(model, address);
    if (!box) return;
    const { pen, port, palette } = scene;
    const { dpr } = port;
    const size = 9 * dpr;
    pen.font = `600 ${size}px ${palette.mono}`;
    const w = pen.measureText(text).width + 6 * dpr;
    const x = port.screenX(box.x + box.w) - w - 2 * port.sx;
    const y = port.screenY(box.y + box.h) - 6 * dpr;
    pen.fillStyle = palette.text;
    pen.fillRect(x, y, w, 11 * dpr);
    pen.fillStyle = palette.ground;
    pen.textBaseline = 'middle';
    pen.fillText(text, x + 3 * dpr, y + 5.5 * dpr);
  }

  /** The free list through its first cells, while one of them or `bottom` is pointed at. */
  private links(scene: Scene, model: PoolModel): void {
    const { pen, port, palette, marks } = scene;
    const { dpr } = port;
    const order = model.freeOrder(NUMBERED);
    const at = (address: number) => {
      const i = model.index(address);
      return i < 0 ? -1 : order.indexOf(model.address(i));
    };
    if (order.length < 2 || (at(marks.hover) < 0 && at(marks.selected) < 0)) return;
    const headerPart = model.header / model.stride;
    pen.beginPath();
    for (let k = 0; k + 1 < order.length; k += 1) {
      const from = this.boxOf(model, order[k] ?? 0);
      const to = this.boxOf(model, order[k + 1] ?? 0);
      if (!from || !to) continue;
      const dot = (box: Box) => {
        const front = this.isNear(port) ? box.w * headerPart : 0;
        return [port.screenX(box.x + front + box.h / 2), port.screenY(box.y + box.h / 2)] as const;
      };
      arc(pen, ...dot(from), ...dot(to), 6 * dpr);
    }
    pen.lineJoin = 'round';
    pen.strokeStyle = palette.ground;
    pen.lineWidth = 4 * dpr;
    pen.stroke();
    pen.strokeStyle = palette.text;
    pen.lineWidth = 1.5 * dpr;
    pen.stroke();
  }

  hit(model: PoolModel, port: Viewport, x: number, y: number): number {
    if (this.isNear(port) && inGutter(port, x)) return 0;
    const i = this.grid.slotAt(port, x, y);
    return i < 0 ? 0 : model.payloadAt(i);
  }

  boxOf(model: PoolModel, address: number): Box | null {
    const i = model.index(address);
    return i < 0 || i >= this.grid.slots ? null : this.grid.boxOf(i);
  }

  go(model: PoolModel, address: number, dx: number, dy: number): number {
    const i = address === 0 ? -1 : model.index(address);
    if (i < 0) return model.count > 0 ? model.payloadAt(0) : 0;
    const next = dy === 0 ? i + dx : this.grid.vertical(i, dy);
    return next < 0 || next >= model.count ? 0 : model.payloadAt(next);
  }

  svg(model: PoolModel, palette: Palette, title: string, nameOf: NameOf): string {
    const { shapes } = this;
    const grid = new Grid(CELL_WIDTH, CELL_HEIGHT);
    // The whole of it, in the proportions of a sheet.
    grid.plan(model.runs, (b) => model.runCount[b] ?? 0, SHEET, Number.POSITIVE_INFINITY);
    const { cellW, cellH, cols } = grid;
    const svg = new Svg(palette, cellH);
    // Few enough to have a header and a name each; of more, cells alike in a row are one rectangle.
    const named = model.count <= 4000;
    const front = named ? Math.max(3, Math.round((cellW * model.header) / model.stride)) : 0;
    shapes.clear();
    for (let b = 0; b < grid.blocks; b += 1) {
      const first = model.runFirst[b] ?? 0;
      const end = first + (model.runCount[b] ?? 0);
      const row = (grid.titleRow[b] ?? 0) + 1;
      for (let i = first; i < end; ) {
        const state = model.state[i] as number;
        const stop = named ? i + 1 : Math.min(end, i + cols - ((i - first) % cols));
        let to = i + 1;
        while (to < stop && model.state[to] === state) to += 1;
        const x = ((i - first) % cols) * cellW;
        const y = (row + Math.floor((i - first) / cols)) * cellH;
        const behind = state === POOL_STATE.fresh ? 0 : front;
        if (behind > 0) shapes.add(LOOK.header, x, y, behind, cellH - 2);
        shapes.add(state, x + behind, y, (to - i) * cellW - 2 - behind, cellH - 2);
        i = to;
      }
    }
    svg.shapes(shapes);
    for (let b = 0; b < grid.blocks; b += 1) {
      svg.text(0, ((grid.titleRow[b] ?? 0) + 0.7) * cellH, blockTitle(model, b), palette.muted);
    }
    const order = model.freeOrder(NUMBERED);
    for (let i = 0; named && i < model.count; i += 1) {
      const box = grid.boxOf(i);
      const number = order.indexOf(model.address(i));
      const used = model.state[i] === POOL_STATE.used || model.state[i] === POOL_STATE.tainted;
      const name = used ? nameOf(model.payloadAt(i)) : number < 0 ? '' : String(number + 1);
      const color = used ? palette.onUsed : palette.text;
      if (name !== '') svg.text(box.x + front + 5 + (used ? 0 : 16), box.y + 16, name, color, 10);
    }
    return svg.finish({ x: 0, y: 0, w: cols * cellW, h: grid.rows * cellH }, title);
  }
}

function blockTitle(model: PoolModel, block: number): string {
  const cells = plural(model.runCount[block] ?? 0, 'cell');
  return `block ${block}  ${hexOf(model.blockAt[block] ?? 0)}  ${count(model.blockLen[block] ?? 0)} B  ${cells}`;
}
