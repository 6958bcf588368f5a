/** Writes a picture as SVG: the same shapes, in vectors, with the theme's colours written in. */

import { LOOK, LOOK_NAMES, mix, type Palette } from './palette.ts';
import { dotOf, FRESH_DOTS, notchOf, OPEN, type Shapes } from './shapes.ts';

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
export const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => escapes[c] ?? c);

/** Two decimals are enough, and no more characters than it takes. */
const num = (value: number): string => String(Math.round(value * 100) / 100);

export class Svg {
  private readonly parts: string[] = [];

  constructor(
    private readonly palette: Palette,
    /** From a row of pieces to the next. */
    private readonly row: number,
  ) {}

  /** All pieces of a picture: a path a look. */
  shapes(shapes: Shapes): this {
    const { look } = this.palette;
    const color = (i: number) => look[i] ?? this.palette.text;
    type Draw = (x: number, y: number, w: number, h: number, open: number) => string;
    const path = (i: number, draw: Draw, rest: string) => {
      const d: string[] = [];
      shapes.each(i, (x, y, w, h, open) => d.push(draw(x, y, w, h, open)));
      if (d.length > 0) this.parts.push(`<path class="${LOOK_NAMES[i]}" d="${d.join('')}" ${rest}/>`);
    };
    const rect = (x: number, y: number, w: number, h: number) => `M${num(x)} ${num(y)}h${num(w)}v${num(h)}h${num(-w)}z`;
    const inner: Draw = (x, y, w, h, open) => {
      if (open === (OPEN.left | OPEN.right)) return '';
      const left = (open & OPEN.left) === 0;
      const right = (open & OPEN.right) === 0;
      const across = num(Math.max(0, w - 1));
      const down = num(Math.max(0, h - 1));
      const end = right ? `v${down}` : `m0 ${down}`;
      return `M${num(x + 0.5)} ${num(y + 0.5)}h${across}${end}h-${across}${left ? `v-${down}` : ''}`;
    };
    path(LOOK.fresh, rect, 'fill="url(#fresh)"');
    path(LOOK.used, rect, `fill="${color(LOOK.used)}"`);
    path(
      LOOK.tainted,
      (x, y, w, h, open) => {
        const n = (open & OPEN.right) === 0 ? notchOf(w, h) : 0;
        return `M${num(x)} ${num(y)}h${num(w - n)}l${num(n)} ${num(n)}v${num(h - n)}h${num(-w)}z`;
      },
      `fill="${color(LOOK.used)}" stroke="${color(LOOK.tainted)}"`,
    );
    path(LOOK.free, rect, `fill="${mix(color(LOOK.free), this.palette.ground, 0.88)}"`);
    path(LOOK.free, inner, `fill="none" stroke="${color(LOOK.free)}"`);
    path(LOOK.plain, inner, `fill="none" stroke="${color(LOOK.plain)}"`);
    path(
      LOOK.free,
      (x, y, w, h, open) => {
        if ((open & OPEN.left) !== 0) return '';
        const r = dotOf(h);
        const cx = x + Math.min(w / 2, h / 2);
        return `M${num(cx - r)} ${num(y + h / 2)}a${num(r)} ${num(r)} 0 1 0 ${num(2 * r)} 0a${num(r)} ${num(r)} 0 1 0 ${num(-2 * r)} 0z`;
      },
      `fill="${color(LOOK.free)}"`,
    );
    path(LOOK.shredded, inner, `fill="url(#shredded)" stroke="${color(LOOK.shredded)}"`);
    path(LOOK.hole, inner, `fill="url(#hole)" stroke="${color(LOOK.hole)}"`);
    path(LOOK.header, rect, 'fill="url(#header)"');
    path(LOOK.mark, rect, `fill="${color(LOOK.mark)}"`);
    path(
      LOOK.mark,
      (x, y, w, h) => {
        const half = Math.min(w, h) * 0.28;
        return `M${num(x + w / 2 - half)} ${num(y + h / 2 - half)}h${num(2 * half)}l${num(-half)} ${num(2 * half)}z`;
      },
      `fill="${this.palette.ground}"`,
    );
    return this;
  }

  text(x: number, y: number, text: string, color: string, size = 11, anchor = 'start'): this {
    this.parts.push(
      `<text x="${num(x)}" y="${num(y)}" fill="${color}" font-size="${size}" text-anchor="${anchor}">${escapeXml(text)}</text>`,
    );
    return this;
  }

  /** Lines as one path: x1, y1, x2, y2 one after the other. */
  lines(points: ArrayLike<number>, count: number, color: string): this {
    const d: string[] = [];
    for (let i = 0; i < count; i += 4) {
      d.push(
        `M${num(points[i] ?? 0)} ${num(points[i + 1] ?? 0)}L${num(points[i + 2] ?? 0)} ${num(points[i + 3] ?? 0)}`,
      );
    }
    if (d.length > 0) this.parts.push(`<path d="${d.join('')}" fill="none" stroke="${color}"/>`);
    return this;
  }

  /** The document. `box` is what is seen, with a margin that is added here. */
  finish(box: { x: number; y: number; w: number; h: number }, title: string): string {
    const margin = 16;
    const { look, ground } = this.palette;
    const [x, y] = [box.x - margin, box.y - margin];
    const [w, h] = [box.w + 2 * margin, box.h + 2 * margin];
    const color = (i: number) => look[i] ?? '#888888';
    const tile = (id: string, size: number, inside: string) =>
      `<pattern id="${id}" width="${size}" height="${size}" patternUnits="userSpaceOnUse">${inside}</pattern>`;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${num(x)} ${num(y)} ${num(w)} ${num(h)}" width="${num(w)}" height="${num(h)}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace">`,
      `<title>${escapeXml(title)}</title><defs>`,
      `<pattern id="fresh" width="${FRESH_DOTS}" height="${this.row}" patternUnits="userSpaceOnUse"><path d="M8 ${num(this.row / 2 - 2)}h1.5v1.5h-1.5z" fill="${color(LOOK.fresh)}"/></pattern>`,
      tile('shredded', 5, `<path d="M0 0L5 5M0 5L5 0" stroke="${color(LOOK.shredded)}"/>`),
      tile('header', 3, `<path d="M0 0h1v3h-1z" fill="${color(LOOK.header)}"/>`),
      tile('hole', 7, `<path d="M0 0L7 7" stroke="${mix(color(LOOK.hole), ground, 0.3)}"/>`),
      `</defs><rect x="${num(x)}" y="${num(y)}" width="${num(w)}" height="${num(h)}" fill="${ground}"/>`,
      ...this.parts,
      '</svg>\n',
    ].join('\n');
  }
}
