/**
 * Pieces near enough to have a shape. A view puts in rectangles by look, then they are painted look by look, so that a
 * frame has a few fills instead of one a cell; buckets are kept from frame to frame. The same buckets make the SVG.
 */

import { LOOK, LOOKS, mix, type Palette, type Patterns } from './palette.ts';

/** A piece that goes on in the row before, or in the next one, has no edge there. */
export const OPEN = { none: 0, left: 1, right: 2 } as const;

const WORDS = 5;

type Visit = (x: number, y: number, w: number, h: number, open: number) => void;

/** Rectangles of one look: x, y, w, h and which ends are open, one after the other. */
class Bucket {
  data = new Float32Array(256 * WORDS);
  length = 0;

  add(x: number, y: number, w: number, h: number, open: number): void {
    if (this.length + WORDS > this.data.length) {
      const more = new Float32Array(this.data.length * 2);
      more.set(this.data);
      this.data = more;
    }
    const { data, length } = this;
    data[length] = x;
    data[length + 1] = y;
    data[length + 2] = w;
    data[length + 3] = h;
    data[length + 4] = open;
    this.length = length + WORDS;
  }

  each(visit: Visit): void {
    const { data, length } = this;
    for (let i = 0; i < length; i += WORDS) {
      visit(
        data[i] as number,
        data[i + 1] as number,
        data[i + 2] as number,
        data[i + 3] as number,
        data[i + 4] as number,
      );
    }
  }
}

/** How large the notch of a tainted cell is. */
export const notchOf = (w: number, h: number): number => Math.min(w * 0.4, h * 0.45);

/** How large the dot of a free cell is. */
export const dotOf = (h: number): number => Math.max(1, Math.min(h * 0.11, 4));

/** From one dot of what is fresh to the next, in CSS pixels. */
export const FRESH_DOTS = 16;

export class Shapes {
  private readonly buckets = Array.from({ length: LOOKS }, () => new Bucket());

  clear(): void {
    for (const bucket of this.buckets) bucket.length = 0;
  }

  add(look: number, x: number, y: number, w: number, h: number, open: number = OPEN.none): void {
    this.buckets[look]?.add(x, y, w, h, open);
  }

  each(look: number, visit: Visit): void {
    this.buckets[look]?.each(visit);
  }

  private has(look: number): boolean {
    return (this.buckets[look]?.length ?? 0) > 0;
  }

  /** Paints all of them. */
  paint(pen: CanvasRenderingContext2D, palette: Palette, patterns: Patterns, dpr: number): void {
    const color = (look: number) => palette.look[look] ?? palette.text;
    const fill = (look: number, style: string | CanvasPattern) => {
      if (!this.has(look)) return;
      pen.beginPath();
      this.each(look, (x, y, w, h) => pen.rect(x, y, w, h));
      pen.fillStyle = style;
      pen.fill();
    };
    this.paintFresh(pen, color(LOOK.fresh), dpr);
    fill(LOOK.used, color(LOOK.used));
    fill(LOOK.tainted, color(LOOK.used));
    this.paintNotches(pen, palette, dpr);
    fill(LOOK.free, mix(color(LOOK.free), palette.ground, 0.88));
    this.paintEdges(pen, LOOK.free, color(LOOK.free), dpr);
    this.paintDots(pen, color(LOOK.free), dpr);
    fill(LOOK.shredded, patterns.shredded);
    this.paintEdges(pen, LOOK.shredded, color(LOOK.shredded), dpr);
    fill(LOOK.hole, patterns.hole);
    this.paintEdges(pen, LOOK.hole, color(LOOK.hole), dpr);
    fill(LOOK.header, patterns.header);
    fill(LOOK.mark, color(LOOK.mark));
    this.paintFlags(pen, palette.ground);
    this.paintEdges(pen, LOOK.plain, color(LOOK.plain), dpr);
  }

  private paintEdges(pen: CanvasRenderingContext2D, look: number, color: string, dpr: number): void {
    if (!this.has(look)) return;
    const half = dpr / 2;
    pen.beginPath();
    this.each(look, (x, y, w, h, open) => {
      const right = x + w - half;
      const low = y + h - half;
      // A row in the middle of a long piece has its neighbours above and below.
      if (open === (OPEN.left | OPEN.right)) return;
      if (open === OPEN.none) {
        pen.rect(x + half, y + half, Math.max(0, w - dpr), Math.max(0, h - dpr));
        return;
      }
      pen.moveTo(x + half, y + half);
      pen.lineTo(right, y + half);
      if ((open & OPEN.right) === 0) pen.lineTo(right, low);
      else pen.moveTo(right, low);
      pen.lineTo(x + half, low);
      if ((open & OPEN.left) === 0) pen.lineTo(x + half, y + half);
    });
    pen.strokeStyle = color;
    pen.lineWidth = dpr;
    pen.stroke();
  }

  /** A row of dots through the middle: one a cell at least. */
  private paintFresh(pen: CanvasRenderingContext2D, color: string, dpr: number): void {
    if (!this.has(LOOK.fresh)) return;
    const size = Math.max(1, Math.round(1.5 * dpr));
    const step = FRESH_DOTS * dpr;
    pen.beginPath();
    this.each(LOOK.fresh, (x, y, w, h) => {
      const dots = Math.max(1, Math.floor(w / step));
      const middle = Math.round(y + (h - size) / 2);
      for (let k = 0; k < dots; k += 1) pen.rect(Math.round(x + ((k + 0.5) * w) / dots), middle, size, size);
    });
    pen.fillStyle = color;
    pen.fill();
  }

  /** The cut corner of what releases by shredding. */
  private paintNotches(pen: CanvasRenderingContext2D, palette: Palette, dpr: number): void {
    if (!this.has(LOOK.tainted)) return;
    pen.beginPath();
    this.each(LOOK.tainted, (x, y, w, h, open) => {
      if ((open & OPEN.right) !== 0) return;
      const n = notchOf(w, h);
      pen.moveTo(x + w - n, y);
      pen.lineTo(x + w, y);
      pen.lineTo(x + w, y + n);
      pen.closePath();
    });
    pen.fillStyle = palette.ground;
    pen.fill();
    pen.beginPath();
    this.each(LOOK.tainted, (x, y, w, h, open) => {
      if ((open & OPEN.right) !== 0) return;
      const n = notchOf(w, h);
      pen.moveTo(x + w - n, y);
      pen.lineTo(x + w, y + n);
    });
    pen.strokeStyle = palette.look[LOOK.tainted] ?? palette.text;
    pen.lineWidth = Math.max(1.5, 2 * dpr);
    pen.stroke();
  }

  private paintDots(pen: CanvasRenderingContext2D, color: string, dpr: number): void {
    if (!this.has(LOOK.free)) return;
    pen.beginPath();
    this.each(LOOK.free, (x, y, w, h, open) => {
      if ((open & OPEN.left) !== 0) return;
      const r = dotOf(h / dpr) * dpr;
      const cx = x + Math.min(w / 2, h / 2);
      pen.moveTo(cx + r, y + h / 2);
      pen.arc(cx, y + h / 2, r, 0, 2 * Math.PI);
    });
    pen.fillStyle = color;
    pen.fill();
  }

  private paintFlags(pen: CanvasRenderingContext2D, ground: string): void {
    if (!this.has(LOOK.mark)) return;
    pen.beginPath();
    this.each(LOOK.mark, (x, y, w, h) => {
      const s = Math.min(w, h) * 0.28;
      const cx = x + w / 2;
      const cy = y + h / 2;
      pen.moveTo(cx - s, cy - s);
      pen.lineTo(cx + s, cy - s);
      pen.lineTo(cx, cy + s);
      pen.closePath();
    });
    pen.fillStyle = ground;
    pen.fill();
  }
}
