/** Which part of a picture is seen, and how large: screen = (world - origin) * scale, in device pixels. */

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** How much larger than life a small picture may begin. */
export const LARGE = 1.6;

export class Viewport {
  /** The world's point in the upper left corner. */
  x = 0;
  y = 0;
  /** Device pixels by unit of the world. A tree's two may differ while it is far. */
  sx = 1;
  sy = 1;
  /** The canvas, in device pixels. */
  width = 1;
  height = 1;
  dpr = 1;
  /** The person has moved it: it is no longer fitted by itself. */
  moved = false;

  /** Sizes it to a canvas. Answers whether that changed anything. */
  resize(width: number, height: number, dpr: number): boolean {
    const same = this.width === width && this.height === height && this.dpr === dpr;
    this.width = width;
    this.height = height;
    this.dpr = dpr;
    return !same;
  }

  screenX(x: number): number {
    return (x - this.x) * this.sx;
  }

  screenY(y: number): number {
    return (y - this.y) * this.sy;
  }

  worldX(x: number): number {
    return x / this.sx + this.x;
  }

  worldY(y: number): number {
    return y / this.sy + this.y;
  }

  /**
   * Shows a box whole, at most `most` times life size, `left` CSS pixels kept clear; `stretch` lets the two directions
   * differ.
   */
  fit(box: Box, left = 12, stretch = false, most = LARGE): void {
    const margin = 12 * this.dpr;
    const clear = left * this.dpr;
    const scale = (space: number, size: number) =>
      Math.min(most * this.dpr, Math.max(1e-6, space / Math.max(size, 1e-9)));
    const fx = scale(this.width - margin - clear, box.w);
    const fy = scale(this.height - 2 * margin, box.h);
    this.sx = stretch ? fx : Math.min(fx, fy);
    this.sy = stretch ? fy : Math.min(fx, fy);
    this.x = box.x - clear / this.sx;
    this.y = box.y - margin / this.sy;
    this.moved = false;
  }

  /** Zooms about a point of the screen; neither direction goes beyond `most` times life size. */
  zoom(factor: number, cx: number, cy: number, most = 4): void {
    const x = this.worldX(cx);
    const y = this.worldY(cy);
    const clamp = (scale: number) => Math.min(most * this.dpr, Math.max(1e-6, scale));
    // Where they differ, the smaller one catches up first.
    if (factor > 1 && this.sx !== this.sy) {
      const goal = Math.max(this.sx, this.sy);
      const small = Math.min(this.sx, this.sy);
      const next = Math.min(goal, small * factor * factor);
      if (this.sx < this.sy) this.sx = next;
      else this.sy = next;
    } else {
      this.sx = clamp(this.sx * factor);
      this.sy = clamp(this.sy * factor);
    }
    this.x = x - cx / this.sx;
    this.y = y - cy / this.sy;
    this.moved = true;
  }

  pan(dx: number, dy: number): void {
    this.x -= dx / this.sx;
    this.y -= dy / this.sy;
    this.moved = true;
  }

  /** Moves only as far as it takes to see a box; a box in view leaves it alone. */
  reveal(box: Box): boolean {
    const margin = 24 * this.dpr;
    const shift = (from: number, to: number, space: number) => {
      if (to - from > space - 2 * margin) return (from + to - space) / 2;
      if (from < margin) return from - margin;
      if (to > space - margin) return to - space + margin;
      return 0;
    };
    const left = this.screenX(box.x);
    const top = this.screenY(box.y);
    const dx = shift(left, left + box.w * this.sx, this.width);
    const dy = shift(top, top + box.h * this.sy, this.height);
    this.x += dx / this.sx;
    this.y += dy / this.sy;
    return dx !== 0 || dy !== 0;
  }
}
