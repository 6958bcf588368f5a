/** Regions and heaps: their memory as rows of bytes, each piece as long as it is. */

import { type HeapModel, KIND_NAMES, type LinearModel, type PiecesModel, WHAT, WHAT_NAMES } from '../model/types.ts';
import { FarImage, Grid, SHEET } from './grid.ts';
import { drawGutter, GUTTER, inGutter } from './gutter.ts';
import { LOOK, LOOK_OF_WHAT, type Palette } from './palette.ts';
import { OPEN, Shapes } from './shapes.ts';
import { Svg } from './svg.ts';
import { count, hexOf, type NameOf, plural, rings, type Scene, type View } from './view.ts';
import type { Box, Viewport } from './viewport.ts';

/** Bytes of a slot: what kmem divides memory into where a word is four bytes. */
const UNIT = 8;
/** A slot at life size, and the least slots in a row. */
const UNIT_WIDTH = 11;
const ROW = 24;
const LEAST = 32;

const unitsIn = (model: PiecesModel) => (block: number) => Math.ceil((model.blockLen[block] ?? 0) / UNIT);

class PiecesView<M extends PiecesModel> implements View<M> {
  private readonly grid = new Grid(UNIT_WIDTH, ROW, LEAST);
  private readonly image = new FarImage();
  private readonly shapes = new Shapes();
  private painted: Palette | null = null;

  plan(model: M, port: Viewport): Box {
    return this.grid.plan(model.blocks, unitsIn(model), port, shownIn(model));
  }

  fit(model: M, port: Viewport): void {
    const box = this.plan(model, port);
    port.fit(box, GUTTER);
    if (!this.isNear(port)) port.fit(box);
  }

  isNear(port: Viewport): boolean {
    return this.grid.cellH * port.sy >= 10 * port.dpr;
  }

  private look(model: M, i: number): number {
    const look = LOOK_OF_WHAT[model.what[i] ?? 0] ?? LOOK.fresh;
    return look === LOOK.used && model.tainted[i] ? LOOK.tainted : look;
  }

  /** The slot of an address in a block's piece, or -1. */
  private slotOf(model: M, address: number): number {
    const i = model.index(address);
    if (i < 0) return -1;
    const block = model.block[i] ?? 0;
    return (this.grid.first[block] ?? 0) + Math.floor((address - (model.blockAt[block] ?? 0)) / UNIT);
  }

  private addressOf(model: M, slot: number): number {
    const block = this.grid.blockOf(slot);
    return (model.blockAt[block] ?? 0) + (slot - (this.grid.first[block] ?? 0)) * UNIT;
  }

  draw(scene: Scene, model: M, changed: boolean): void {
    if (this.isNear(scene.port)) {
      this.painted = null;
      this.drawNear(scene, model);
    } else {
      if (changed || this.painted !== scene.palette) this.paint(model, scene.palette);
      this.image.draw(scene, this.grid);
    }
    rings(scene, (address) => this.boxOf(model, address));
  }

  private paint(model: M, palette: Palette): void {
    const { grid, image } = this;
    image.clear(grid.cols, grid.rows, 0);
    const { pixels } = image;
    for (let b = 0; b < model.blocks; b += 1) {
      const base = ((grid.titleRow[b] ?? 0) + 1) * grid.cols;
      const start = model.blockAt[b] ?? 0;
      for (let i = model.blockFirst[b] ?? 0; i < (model.blockFirst[b + 1] ?? 0); i += 1) {
        const from = ((model.at[i] ?? 0) - start) / UNIT;
        const front = from + (model.header[i] ?? 0) / UNIT;
        const to = from + Math.ceil((model.len[i] ?? 0) / UNIT);
        pixels.fill(palette.pixels[LOOK.header] ?? 0, base + from, base + front);
        pixels.fill(palette.pixels[this.look(model, i)] ?? 0, base + front, base + to);
      }
    }
    image.done();
    this.painted = palette;
  }

  /** Rectangles of the bytes `from..to` of a block, a row at a time; only of the rows asked for. */
  private eachPart(
    grid: Grid,
    block: number,
    from: number,
    to: number,
    [row0, row1]: readonly [number, number],
    visit: (x0: number, x1: number, row: number, open: number) => void,
  ): void {
    const perRow = grid.cols * UNIT;
    const top = (grid.titleRow[block] ?? 0) + 1;
    const first = Math.max(Math.floor(from / perRow), row0 - top);
    const last = Math.min(Math.floor((to - 1) / perRow), row1 - 1 - top);
    for (let r = first; r <= last; r += 1) {
      const x0 = Math.max(0, (from - r * perRow) / UNIT) * grid.cellW;
      const x1 = Math.min(grid.cols, (to - r * perRow) / UNIT) * grid.cellW;
      const left = from < r * perRow ? OPEN.left : OPEN.none;
      const right = to > (r + 1) * perRow ? OPEN.right : OPEN.none;
      visit(x0, x1, top + r, left | right);
    }
  }

  /** Pieces with something in rows, block by block. */
  private eachPiece(
    model: M,
    [row0, row1]: readonly [number, number],
    visit: (i: number, block: number) => void,
  ): void {
    const { grid } = this;
    for (let b = grid.blockOfRow(row0); b < grid.blocks && (grid.titleRow[b] ?? 0) < row1; b += 1) {
      const start = model.blockAt[b] ?? 0;
      const rowAt = (row: number) => start + (row - (grid.titleRow[b] ?? 0) - 1) * grid.cols * UNIT;
      let low = model.blockFirst[b] ?? 0;
      let high = model.blockFirst[b + 1] ?? 0;
      const end = high;
      // The first piece that reaches into the rows.
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((model.at[middle] ?? 0) + (model.len[middle] ?? 0) <= rowAt(row0)) low = middle + 1;
        else high = middle;
      }
      for (let i = low; i < end && (model.at[i] ?? 0) < rowAt(row1); i += 1) visit(i, b);
    }
  }

  private drawNear(scene: Scene, model: M): void {
    const { pen, port, palette, patterns } = scene;
    const { grid, shapes } = this;
    if (model.blocks === 0) return;
    const rows = grid.rowsInView(port);
    const gapY = Math.max(1, Math.round(4 * port.sy));
    const gapX = Math.max(1, Math.round(2 * port.sx));
    shapes.clear();
    this.eachPiece(model, rows, (i, b) => {
      const from = (model.at[i] ?? 0) - (model.blockAt[b] ?? 0);
      const to = from + (model.len[i] ?? 0);
      const front = from + (model.header[i] ?? 0);
      const look = this.look(model, i);
      const add = (part: number, end: boolean) => (x0: number, x1: number, row: number, open: number) => {
        const x = Math.round(port.screenX(x0));
        const y = Math.round(port.screenY(row * grid.cellH));
        const w = Math.round(port.screenX(x1)) - x - (end && (open & OPEN.right) === 0 ? gapX : 0);
        const h = Math.round(port.screenY((row + 1) * grid.cellH)) - y - gapY;
        if (w > 0) shapes.add(part, x, y, w, h, open);
      };
      if (front > from) this.eachPart(grid, b, from, front, rows, add(LOOK.header, front === to));
      if (to > front) this.eachPart(grid, b, front, to, rows, add(look, true));
    });
    shapes.paint(pen, palette, patterns, port.dpr);
    this.titles(scene, model, rows);
    if (grid.cellH * port.sy >= 14 * port.dpr) this.texts(scene, model, rows);
    this.cursor(scene, model);
    drawGutter(scene, this.grid, rows, 4, (slot) => this.addressOf(model, slot));
  }

  private titles(scene: Scene, model: M, [row0, row1]: readonly [number, number]): void {
    const { pen, port, palette } = scene;
    const { grid } = this;
    pen.font = `${Math.min(11, (grid.cellH * port.sy) / port.dpr - 2) * port.dpr}px ${palette.mono}`;
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

  /** What a piece is called, in its widest part. */
  private texts(scene: Scene, model: M, rows: readonly [number, number]): void {
    const { pen, port, palette, nameOf } = scene;
    const { grid } = this;
    const { dpr } = port;
    const size = Math.min(10 * dpr, grid.cellH * port.sy * 0.62);
    const letter = size * 0.61;
    pen.font = `${size}px ${palette.mono}`;
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    this.eachPiece(model, rows, (i, b) => {
      const from = (model.at[i] ?? 0) - (model.blockAt[b] ?? 0) + (model.header[i] ?? 0);
      const to = (model.at[i] ?? 0) - (model.blockAt[b] ?? 0) + (model.len[i] ?? 0);
      let [x, y, width] = [0, 0, 0];
      this.eachPart(grid, b, from, to, rows, (x0, x1, row) => {
        const w = port.screenX(x1) - port.screenX(x0);
        if (w > width + 1) [x, y, width] = [port.screenX(x0), port.screenY((row + 0.5) * grid.cellH), w];
      });
      const look = this.look(model, i);
      const used = look === LOOK.used || look === LOOK.tainted;
      const room = Math.floor((width - 10 * dpr) / letter);
      const text = pieceText(model, i, room, nameOf);
      if (text === '') return;
      const left = x + (look === LOOK.free ? Math.max(4 * dpr, grid.cellH * port.sy * 0.8) : 5 * dpr);
      if (left + text.length * letter > x + width) return;
      const middle = y - 2 * port.sy;
      if (!used && look !== LOOK.free) {
        pen.fillStyle = palette.ground;
        pen.fillRect(left - 2 * dpr, middle - size * 0.6, text.length * letter + 4 * dpr, size * 1.2);
      }
      pen.fillStyle = used ? palette.onUsed : palette.muted;
      pen.fillText(text, left, middle);
    });
  }

  /** Where the next cell of a region begins. */
  private cursor(scene: Scene, model: M): void {
    const at = 'cursor' in model && typeof model.cursor === 'number' ? model.cursor : 0;
    const slot = at === 0 ? -1 : this.slotBehind(model, at);
    if (slot < 0) return;
    const { pen, port, palette } = scene;
    const { dpr } = port;
    const box = this.grid.boxOf(slot);
    const x = Math.round(port.screenX(box.x + (at % UNIT === 0 ? 0 : box.w)));
    const y = Math.round(port.screenY(box.y));
    const h = Math.round(box.h * port.sy);
    pen.fillStyle = palette.text;
    pen.fillRect(x - dpr, y - 3 * dpr, 2 * dpr, h);
    pen.font = `600 ${9 * dpr}px ${palette.mono}`;
    const w = pen.measureText('cursor').width + 6 * dpr;
    pen.fillRect(x - dpr, y - 5 * dpr, w, 11 * dpr);
    pen.fillStyle = palette.ground;
    pen.textBaseline = 'middle';
    pen.fillText('cursor', x + 2 * dpr, y + 0.5 * dpr);
  }

  /** The slot at an address, also right behind the last piece of a block. */
  private slotBehind(model: M, address: number): number {
    const here = this.slotOf(model, address);
    if (here >= 0) return here;
    return this.slotOf(model, address - 1);
  }

  hit(model: M, port: Viewport, x: number, y: number): number {
    if (this.isNear(port) && inGutter(port, x)) return 0;
    const slot = this.grid.slotAt(port, x, y);
    const i = slot < 0 ? -1 : model.index(this.addressOf(model, slot));
    return i < 0 ? 0 : model.payloadAt(i);
  }

  /** The part of the piece in the row where it begins. */
  boxOf(model: M, address: number): Box | null {
    const i = model.index(address);
    if (i < 0) return null;
    const { grid } = this;
    const block = model.block[i] ?? 0;
    const from = (model.at[i] ?? 0) - (model.blockAt[block] ?? 0);
    let box: Box | null = null;
    this.eachPart(grid, block, from, from + (model.len[i] ?? 0), [0, grid.rows], (x0, x1, row) => {
      const part = { x: x0, y: row * grid.cellH, w: x1 - x0, h: grid.cellH };
      if (!box || (part.w > box.w && part.y === box.y + box.h && box.w < 4 * grid.cellW)) box = part;
    });
    return box;
  }

  go(model: M, address: number, dx: number, dy: number): number {
    const i = address === 0 ? -1 : model.index(address);
    if (i < 0) return model.count > 0 ? model.payloadAt(0) : 0;
    if (dy === 0) {
      const next = i + dx;
      return next < 0 || next >= model.count ? 0 : model.payloadAt(next);
    }
    for (let slot = this.slotOf(model, model.at[i] ?? 0); slot >= 0; ) {
      slot = this.grid.vertical(slot, dy);
      const there = slot < 0 ? -1 : model.index(this.addressOf(model, slot));
      if (there >= 0 && there !== i) return model.payloadAt(there);
    }
    return 0;
  }

  svg(model: M, palette: Palette, title: string, nameOf: NameOf): string {
    const { shapes } = this;
    const grid = new Grid(UNIT_WIDTH, ROW, LEAST);
    // The whole of it, in the proportions of a sheet.
    grid.plan(model.blocks, unitsIn(model), SHEET, Number.POSITIVE_INFINITY);
    const all = [0, grid.rows] as const;
    const svg = new Svg(palette, ROW);
    shapes.clear();
    const texts: [number, number, string, string][] = [];
    for (let b = 0; b < model.blocks; b += 1) {
      texts.push([0, ((grid.titleRow[b] ?? 0) + 0.7) * grid.cellH, blockTitle(model, b), palette.muted]);
      for (let i = model.blockFirst[b] ?? 0; i < (model.blockFirst[b + 1] ?? 0); i += 1) {
        const from = (model.at[i] ?? 0) - (model.blockAt[b] ?? 0);
        const front = from + (model.header[i] ?? 0);
        const look = this.look(model, i);
        const add = (part: number) => (x0: number, x1: number, row: number, open: number) => {
          const gap = (open & OPEN.right) === 0 ? 2 : 0;
          shapes.add(part, x0, row * grid.cellH, Math.max(0, x1 - x0 - gap), grid.cellH - 4, open);
        };
        if (front > from) this.eachPart(grid, b, from, front, all, add(LOOK.header));
        this.eachPart(grid, b, front, from + (model.len[i] ?? 0), all, add(look));
        if (look !== LOOK.used && look !== LOOK.tainted) continue;
        this.eachPart(grid, b, front, from + (model.len[i] ?? 0), [0, grid.rows], (x0, x1, row) => {
          const text = pieceText(model, i, Math.floor((x1 - x0 - 10) / 6.2), nameOf);
          const y = (row + 0.58) * grid.cellH;
          if (text !== '' && texts.at(-1)?.[2] !== text) texts.push([x0 + 5, y, text, palette.onUsed]);
        });
      }
    }
    svg.shapes(shapes);
    for (const [x, y, text, color] of texts) svg.text(x, y, text, color, 10);
    return svg.finish({ x: 0, y: 0, w: grid.cols * grid.cellW, h: grid.rows * grid.cellH }, title);
  }
}

export class LinearView extends PiecesView<LinearModel> {}
export class HeapView extends PiecesView<HeapModel> {}

/** Units up to the last live piece: a heap's one large free block, or what is fresh, follows it. */
function shownIn(model: PiecesModel): number {
  let before = 0;
  let shown = 0;
  for (let b = 0; b < model.blocks; b += 1) {
    const start = model.blockAt[b] ?? 0;
    for (let i = model.blockFirst[b] ?? 0; i < (model.blockFirst[b + 1] ?? 0); i += 1) {
      const what = model.what[i];
      if (what === WHAT.fresh || what === WHAT.free) continue;
      shown = before + Math.ceil(((model.at[i] ?? 0) + (model.len[i] ?? 0) - start) / UNIT);
    }
    before += Math.ceil((model.blockLen[b] ?? 0) / UNIT);
  }
  return shown;
}

function blockTitle(model: PiecesModel, block: number): string {
  const pieces = (model.blockFirst[block + 1] ?? 0) - (model.blockFirst[block] ?? 0);
  const at = hexOf(model.blockAt[block] ?? 0);
  return `chunk ${block}  ${at}  ${count(model.blockLen[block] ?? 0)} B  ${plural(pieces, 'piece')}`;
}

/** The name of a live cell, else what it is used as; of the rest, what it is and how long. */
function pieceText(model: PiecesModel, i: number, room: number, nameOf: NameOf): string {
  const what = model.what[i] ?? 0;
  const size = `${count(what === WHAT.used ? (model.payload[i] ?? 0) : (model.len[i] ?? 0))} B`;
  const used = what === WHAT.used;
  const word = used
    ? nameOf(model.payloadAt(i), KIND_NAMES[model.kindOf[i] ?? 0]) || (KIND_NAMES[model.kindOf[i] ?? 0] ?? '')
    : (WHAT_NAMES[what] ?? '');
  const long = `${word} ${size}`;
  if (what === WHAT.mark) return '';
  if (long.length <= room) return long;
  return word.length <= room ? word : '';
}
