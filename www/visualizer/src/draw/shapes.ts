/**
 * Pieces near enough to have a shape. A view puts in rectangles by look, then they are painted look by look, so that a
 * frame has a few fills instead of one a cell; buckets are kept from frame to frame. The same buckets make the SVG.
 */

import { LOOK, LOOKS, type Palette, type Patterns } from './palette.ts';

/** Rectangles of one look: x, y, w, h one after the other. */
class Bucket {
  data = new Float32Array(1024);
  length = 0;

  add(x: number, y: number, w: number, h: number): void {
    if (this.length + 4 > this.data.length) {
      const more = new Float32Array(this.data.length * 2);
      more.set(this.data);
      this.data = more;
    }
    const { data, length } = this;
    data[length] = x;
    data[length + 1] = y;
    data[length + 2] = w;
    data[length + 3] = h;
    this.length = length + 4;
  }

  each(visit: (x: number, y: number, w: number, h: number) => void): void {
    const { data, length } = this;
    for (let i = 0; i < length; i += 4) {
      visit(data[i] as number, data[i + 1] as number, data[i + 2] as number, data[i + 3] as number);
    }
  }
}

/** How large the notch of a tainted cell is, for its height. */
export const notchOf = (w: number, h: number): number => Math.min(w * 0.4, h * 0.45);

/** How large the dot of a free cell is. */
export const dotOf = (h: number): number => Math.max(1, Math.min(h * 0.11, 4));

export class Shapes {
  private readonly buckets = Array.from({ length: LOOKS }, () => new Bucket());

  clear(): void {
    for (const bucket of this.buckets) bucket.length = 0;
  }

  add(look: number, x: number, y: number, w: number, h: number): void {
    this.buckets[look]?.add(x, y, w, h);
  }

  each(look: number, visit: (x: number, y: number, w: number, h: number) => void): void {
    this.buckets[look]?.each(visit);
  }

  /** Paints all of them. */
  paint(pen: CanvasRenderingContext2D, palette: Palette, patterns: Patterns, dpr: number): void {
    const color = (look: number) => palette.look[look] ?? palette.text;
    const fill = (look: number, style: string | CanvasPattern) => {
      const bucket = this.buckets[look];
      if (!bucket || bucket.length === 0) return;
      pen.beginPath();
      bucket.each((x, y, w, h) => pen.rect(x, y, w, h));
      pen.fillStyle = style;
      pen.fill();
    };
    const outline = (look: number, alpha: number) => {
      const bucket = this.buckets[look];
      if (!bucket || bucket.length === 0) return;
      const half = dpr / 2;
      pen.beginPath();
      bucket.each((x, y, w, h) => pen.rect(x + half, y + half, Math.max(0, w - dpr), Math.max(0, h - dpr)));
      pen.strokeStyle = color(look);
      pen.lineWidth = dpr;
      pen.globalAlpha = alpha;
      pen.stroke();
      pen.globalAlpha = 1;
    };
    fill(LOOK.fresh, patterns.fresh);
    fill(LOOK.used, color(LOOK.used));
    fill(LOOK.tainted, color(LOOK.used));
    this.paintNotches(pen, palette, dpr);
    outline(LOOK.free, 1);
    this.paintDots(pen, color(LOOK.free), dpr);
    fill(LOOK.shredded, patterns.shredded);
    outline(LOOK.shredded, 1);
    fill(LOOK.hole, patterns.hole);
    outline(LOOK.hole, 0.7);
    fill(LOOK.header, patterns.header);
    fill(LOOK.mark, color(LOOK.mark));
    this.paintFlags(pen, palette.ground);
  }

  /** The cut corner of what releases by shredding. */
  private paintNotches(pen: CanvasRenderingContext2D, palette: Palette, dpr: number): void {
    const bucket = this.buckets[LOOK.tainted];
    if (!bucket || bucket.length === 0) return;
    pen.beginPath();
    bucket.each((x, y, w, h) => {
      const n = notchOf(w, h);
      pen.moveTo(x + w - n, y);
      pen.lineTo(x + w, y);
      pen.lineTo(x + w, y + n);
      pen.closePath();
    });
    pen.fillStyle = palette.ground;
    pen.fill();
    pen.beginPath();
    bucket.each((x, y, w, h) => {
      const n = notchOf(w, h);
      pen.moveTo(x + w - n, y);
      pen.lineTo(x + w, y + n);
    });
    pen.strokeStyle = palette.look[LOOK.tainted] ?? palette.text;
    pen.lineWidth = Math.max(1.5, 2 * dpr);
    pen.stroke();
  }

  private paintDots(pen: CanvasRenderingContext2D, color: string, dpr: number): void {
    const bucket = this.buckets[LOOK.free];
    if (!bucket || bucket.length === 0) return;
    pen.beginPath();
    bucket.each((x, y, w, h) => {
      const r = dotOf(h / dpr) * dpr;
      const cx = x + Math.min(w / 2, h / 2);
      pen.moveTo(cx + r, y + h / 2);
      pen.arc(cx, y + h / 2, r, 0, 2 * Math.PI);
    });
    pen.fillStyle = color;
    pen.fill();
  }

  private paintFlags(pen: CanvasRenderingContext2D, ground: string): void {
    const bucket = this.buckets[LOOK.mark];
    if (!bucket || bucket.length === 0) return;
    pen.beginPath();
    bucket.each((x, y, w, h) => {
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
