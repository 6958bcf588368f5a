/** The shapes of the pictures as small signs beside text: drawn by the same code as the pictures. */

import { LOOK_NAMES, Patterns, readPalette } from '../draw/palette.ts';
import { Shapes } from '../draw/shapes.ts';
import { make } from './dom.ts';

const WIDTH = 14;
const HEIGHT = 12;

/** A sign for a look, in the theme in force. */
export function glyph(look: number, width = WIDTH, height = HEIGHT): HTMLCanvasElement {
  const dpr = window.devicePixelRatio || 1;
  const canvas = make('canvas', { class: 'glyph', 'aria-hidden': 'true' });
  canvas.width = Math.round(width * dpr);
  canvas.height = Math.round(height * dpr);
  const pen = canvas.getContext('2d');
  if (!pen) return canvas;
  const palette = readPalette();
  const shapes = new Shapes();
  shapes.add(look, 0, 0, canvas.width, canvas.height);
  shapes.paint(pen, palette, new Patterns(pen, palette, dpr), dpr);
  return canvas;
}

/** The names of looks with their signs; `called` where a view uses a look for something else. */
export function legend(looks: readonly number[], called: Readonly<Record<number, string>> = {}): HTMLElement {
  const list = make('div', { class: 'legend' });
  for (const look of looks) list.append(make('span', {}, glyph(look), called[look] ?? LOOK_NAMES[look] ?? ''));
  return list;
}
