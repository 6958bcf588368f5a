/** What all views have in common: what they are given to draw with, and what they answer. */

import type { KindName } from '../model/fields.ts';
import type { Palette, Patterns } from './palette.ts';
import type { Box, Viewport } from './viewport.ts';

/** Addresses to point out, as payloads; 0 is none. */
export interface Marks {
  hover: number;
  selected: number;
  /** What the step acted on. */
  touched: readonly number[];
}

/** The script's name for the cell at an address, or ''; `kind` is what that cell is used as. */
export type NameOf = (address: number, kind?: KindName) => string;

/** What a view draws with. */
export interface Scene {
  pen: CanvasRenderingContext2D;
  port: Viewport;
  palette: Palette;
  patterns: Patterns;
  marks: Marks;
  nameOf: NameOf;
}

export interface View<M> {
  /** Lays a model out for a canvas, and answers the whole picture's size. Called when either has changed. */
  plan(model: M, port: Viewport): Box;
  /** The part that is shown first. */
  fit(model: M, port: Viewport): void;
  /** `changed`: the model is another than at the last call. */
  draw(scene: Scene, model: M, changed: boolean): void;
  /** What is at a point of the canvas: its address, or 0. */
  hit(model: M, port: Viewport, x: number, y: number): number;
  /** Where what contains an address is drawn, or null. */
  boxOf(model: M, address: number): Box | null;
  /** What lies beside it; from 0, the first. 0 if there is nothing. */
  go(model: M, address: number, dx: number, dy: number): number;
  /** The whole picture in vectors. */
  svg(model: M, palette: Palette, title: string, nameOf: NameOf): string;
}

/** An address as people read it. */
export const hexOf = (address: number): string => `0x${address.toString(16).padStart(5, '0')}`;

export const count = (n: number): string => n.toLocaleString('en');

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A ring around a box of the world, at least large enough to be seen. */
export function ring(scene: Scene, box: Box, color: string, inset = 0): void {
  const { pen, port } = scene;
  const { dpr } = port;
  const least = 7 * dpr;
  let x = port.screenX(box.x);
  let y = port.screenY(box.y);
  let w = box.w * port.sx;
  let h = box.h * port.sy;
  if (w < least) {
    x -= (least - w) / 2;
    w = least;
  }
  if (h < least) {
    y -= (least - h) / 2;
    h = least;
  }
  const d = (inset - 1) * dpr;
  pen.strokeStyle = color;
  pen.lineWidth = 2 * dpr;
  pen.strokeRect(Math.round(x) + d, Math.round(y) + d, Math.round(w) - 2 * d, Math.round(h) - 2 * d);
}

/** The rings of all that is pointed out, the pointer's on top. */
export function rings(scene: Scene, boxOf: (address: number) => Box | null): void {
  const { marks, palette } = scene;
  const one = (address: number, color: string, inset: number) => {
    const box = address === 0 ? null : boxOf(address);
    if (box) ring(scene, box, color, inset);
  };
  for (const address of marks.touched) one(address, palette.touched, 0);
  one(marks.selected, palette.selected, 0);
  one(marks.hover, palette.hover, -1);
}

/** An arrow from point to point of the canvas. */
export function arrow(
  pen: CanvasRenderingContext2D,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  size: number,
): void {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length < size) return;
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.moveTo(x2 - size * (ux + 0.5 * uy), y2 - size * (uy - 0.5 * ux));
  pen.lineTo(x2, y2);
  pen.lineTo(x2 - size * (ux - 0.5 * uy), y2 - size * (uy + 0.5 * ux));
}

/** The same, bent to one side, so that what lies between stays in sight. */
export function arc(pen: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number, size: number): void {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const bend = 0.22;
  const [mx, my] = [(x1 + x2) / 2 + dy * bend, (y1 + y2) / 2 - dx * bend];
  pen.moveTo(x1, y1);
  pen.quadraticCurveTo(mx, my, x2, y2);
  const length = Math.max(1, Math.hypot(x2 - mx, y2 - my));
  const [ux, uy] = [(x2 - mx) / length, (y2 - my) / length];
  pen.moveTo(x2 - size * (ux + 0.5 * uy), y2 - size * (uy - 0.5 * ux));
  pen.lineTo(x2, y2);
  pen.lineTo(x2 - size * (ux - 0.5 * uy), y2 - size * (uy + 0.5 * ux));
}
