/**
 * Slots in rows, a block after the other, each under a row for its title:
 *
 *     block 0 ───────────────
 *     ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪
 *     ▪ ▪ ▪
 *     block 1 ───────────────
 *     ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪
 *
 * A slot is a cell of a pool, or a unit of bytes of a region or a heap. From afar a slot is a pixel of an image, in which
 * the slots of a block lie one after the other, so that painting a block is one loop.
 */

import { type Box, LARGE, type Viewport } from './viewport.ts';

/** What rows are laid out for. */
type Canvas = Pick<Viewport, 'width' | 'height' | 'dpr'>;

export class Grid {
  cols = 8;
  rows = 0;
  blocks = 0;
  slots = 0;
  /** By block: the row of its title, its first slot (with one more at the end). */
  titleRow = new Int32Array(8);
  first = new Float64Array(9);

  constructor(
    /** A slot's size at life size. */
    readonly cellW: number,
    readonly cellH: number,
    private readonly leastCols = 8,
  ) {}

  /**
   * Lays blocks out, so that the first `shown` slots fill the canvas well. That is rounded up to a power of two: rows
   * stay as they are while a store fills, but for a few times.
   */
  plan(blocks: number, slotsOf: (block: number) => number, port: Canvas, shown: number): Box {
    if (this.titleRow.length < blocks) {
      this.titleRow = new Int32Array(blocks * 2);
      this.first = new Float64Array(blocks * 2 + 1);
    }
    let slots = 0;
    for (let b = 0; b < blocks; b += 1) {
      this.first[b] = slots;
      slots += slotsOf(b);
    }
    this.first[blocks] = slots;
    this.blocks = blocks;
    this.slots = slots;
    // Columns as they fit at life size, or larger where few slots are shown; where that is not all, as many as give the
    // canvas's own proportions.
    const goal = 2 ** Math.ceil(Math.log2(Math.max(1, Math.min(shown, slots))));
    const ideal = Math.sqrt((goal * (port.width / port.height) * this.cellH) / this.cellW);
    const size = goal <= 8 * this.leastCols ? LARGE : 1;
    const wide = Math.floor((port.width / port.dpr - 76) / (this.cellW * size));
    this.cols = Math.max(this.leastCols, roundColumns(Math.max(wide, ideal)));
    let row = 0;
    for (let b = 0; b < blocks; b += 1) {
      this.titleRow[b] = row;
      row += 1 + Math.ceil(this.slotsIn(b) / this.cols);
    }
    this.rows = row;
    const seen = slots === 0 ? 0 : Math.min(row, this.rowOf(Math.min(goal, slots) - 1) + 2);
    return { x: 0, y: 0, w: this.cols * this.cellW, h: Math.max(1, seen) * this.cellH };
  }

  slotsIn(block: number): number {
    return (this.first[block + 1] ?? 0) - (this.first[block] ?? 0);
  }

  /** The block of a slot. */
  blockOf(slot: number): number {
    return this.search(this.first, slot);
  }

  /** The block whose title or slots are in a row. */
  blockOfRow(row: number): number {
    return this.search(this.titleRow, row);
  }

  private search(starts: ArrayLike<number>, value: number): number {
    let [low, high] = [0, this.blocks - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= value) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  rowOf(slot: number): number {
    const block = this.blockOf(slot);
    return (this.titleRow[block] ?? 0) + 1 + Math.floor((slot - (this.first[block] ?? 0)) / this.cols);
  }

  colOf(slot: number): number {
    return (slot - (this.first[this.blockOf(slot)] ?? 0)) % this.cols;
  }

  /** The slot in a row and column, or -1. */
  slotIn(row: number, col: number): number {
    if (row < 0 || row >= this.rows || col < 0 || col >= this.cols || this.blocks === 0) return -1;
    const block = this.blockOfRow(row);
    const inside = (row - (this.titleRow[block] ?? 0) - 1) * this.cols + col;
    return inside < 0 || inside >= this.slotsIn(block) ? -1 : (this.first[block] ?? 0) + inside;
  }

  /** The slot at a point of the canvas, or -1. */
  slotAt(port: Viewport, x: number, y: number): number {
    return this.slotIn(Math.floor(port.worldY(y) / this.cellH), Math.floor(port.worldX(x) / this.cellW));
  }

  boxOf(slot: number): Box {
    const row = this.rowOf(slot);
    return { x: this.colOf(slot) * this.cellW, y: row * this.cellH, w: this.cellW, h: this.cellH };
  }

  /** The slot above or below, past titles; -1 at the end. */
  vertical(slot: number, step: number): number {
    let row = this.rowOf(slot) + step;
    const block = this.blockOfRow(Math.max(0, row));
    if (row === this.titleRow[block]) row += step;
    if (row < 0 || row >= this.rows) return -1;
    const there = this.blockOfRow(row);
    const from = (this.first[there] ?? 0) + (row - (this.titleRow[there] ?? 0) - 1) * this.cols;
    const last = (this.first[there + 1] ?? 0) - 1;
    return Math.min(from + this.colOf(slot), last);
  }

  /** Rows in view: from the first to behind the last. */
  rowsInView(port: Viewport): [number, number] {
    const from = Math.max(0, Math.floor(port.worldY(0) / this.cellH));
    const to = Math.min(this.rows, Math.ceil(port.worldY(port.height) / this.cellH));
    return [from, Math.max(from, to)];
  }

  colsInView(port: Viewport): [number, number] {
    const from = Math.max(0, Math.floor(port.worldX(0) / this.cellW));
    const to = Math.min(this.cols, Math.ceil(port.worldX(port.width) / this.cellW));
    return [from, Math.max(from, to)];
  }
}

/** What an exported picture is laid out for, whatever the window. */
export const SHEET = { width: 1440, height: 960, dpr: 1 };

/** Down to a number of columns in which addresses are easy to follow. */
function roundColumns(columns: number): number {
  const unit = columns < 24 ? 4 : columns < 96 ? 8 : 32;
  return Math.floor(columns / unit) * unit;
}

/** The image of a grid, a pixel a slot. */
export class FarImage {
  private readonly canvas = document.createElement('canvas');
  private readonly pen = this.canvas.getContext('2d');
  private image: ImageData | null = null;
  pixels = new Uint32Array(0);

  /** Makes it as large as the grid and all of it `color`. */
  clear(cols: number, rows: number, color: number): void {
    if (this.image?.width !== cols || this.image.height !== rows) {
      this.image = new ImageData(cols, Math.max(1, rows));
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.canvas.width = cols;
      this.canvas.height = Math.max(1, rows);
    }
    this.pixels.fill(color);
  }

  /** What was put into `pixels` is what is drawn from now on. */
  done(): void {
    if (this.image) this.pen?.putImageData(this.image, 0, 0);
  }

  draw(scene: { pen: CanvasRenderingContext2D; port: Viewport }, grid: Grid): void {
    const { pen, port } = scene;
    pen.imageSmoothingEnabled = grid.cellH * port.sy < 1 || grid.cellW * port.sx < 1;
    pen.drawImage(
      this.canvas,
      port.screenX(0),
      port.screenY(0),
      grid.cols * grid.cellW * port.sx,
      grid.rows * grid.cellH * port.sy,
    );
  }
}
