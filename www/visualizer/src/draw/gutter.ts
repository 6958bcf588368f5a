/** The margin at the left of a grid: the address at which each row begins. */

import type { Grid } from './grid.ts';
import { hexOf, type Scene } from './view.ts';
import type { Viewport } from './viewport.ts';

/** Its width at life size, with the space behind it. */
export const GUTTER = 64;

/** Whether a place on the canvas is in it. */
export function inGutter(port: Viewport, x: number): boolean {
  return x < (GUTTER - 8) * port.dpr;
}

/** Draws it for some rows; `gap` is how much of a row's height, at its end, no slot fills. */
export function drawGutter(
  { pen, port, palette }: Scene,
  grid: Grid,
  [row0, row1]: readonly [number, number],
  gap: number,
  addressOf: (slot: number) => number,
): void {
  const { dpr } = port;
  pen.fillStyle = palette.ground;
  pen.fillRect(0, 0, (GUTTER - 8) * dpr, port.height);
  if (grid.cellH * port.sy < 12 * dpr) return;
  pen.font = `${10 * dpr}px ${palette.mono}`;
  pen.textBaseline = 'middle';
  pen.textAlign = 'right';
  pen.fillStyle = palette.muted;
  for (let row = row0; row < row1; row += 1) {
    const slot = grid.slotIn(row, 0);
    const y = port.screenY((row + 0.5) * grid.cellH) - (gap / 2) * port.sy;
    if (slot >= 0) pen.fillText(hexOf(addressOf(slot)), (GUTTER - 12) * dpr, y);
  }
  pen.textAlign = 'left';
}
