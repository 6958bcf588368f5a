/** Colours, fonts and fill patterns of the pictures, read from the page's style sheet. */

/** How a piece is drawn. The first five are a pool's states as the model numbers them. */
export const LOOK = {
  fresh: 0,
  used: 1,
  free: 2,
  shredded: 3,
  tainted: 4,
  header: 5,
  hole: 6,
  mark: 7,
  plain: 8,
} as const;

/** How many looks there are. */
export const LOOKS = 9;

/** Their names, by number. */
export const LOOK_NAMES = ['fresh', 'used', 'free', 'shredded', 'tainted', 'header', 'hole', 'mark', 'plain'] as const;

/** From `WHAT` of a record to how it is drawn; a tainted used piece is `LOOK.tainted`. */
export const LOOK_OF_WHAT = new Uint8Array([
  LOOK.fresh,
  LOOK.header,
  LOOK.used,
  LOOK.free,
  LOOK.shredded,
  LOOK.fresh,
  LOOK.hole,
  LOOK.mark,
]);

export interface Palette {
  /** By look: the colour of its shape. */
  readonly look: readonly string[];
  /** By look: the colour of its pixel in a far picture, as ImageData wants it. */
  readonly pixels: Uint32Array;
  /** Behind everything. */
  readonly ground: string;
  readonly text: string;
  readonly muted: string;
  /** Text on a used cell. */
  readonly onUsed: string;
  /** Links between pieces. */
  readonly link: string;
  /** Rings: what is under the pointer, what is selected, what the step touched. */
  readonly hover: string;
  readonly selected: string;
  readonly touched: string;
  readonly mono: string;
}

const hex = (color: string): [number, number, number] => [
  Number.parseInt(color.slice(1, 3), 16),
  Number.parseInt(color.slice(3, 5), 16),
  Number.parseInt(color.slice(5, 7), 16),
];

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** `#rrggbb` as an opaque pixel of ImageData. */
export function pixel(color: string): number {
  const [r, g, b] = hex(color);
  return littleEndian ? ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0 : ((r << 24) | (g << 16) | (b << 8) | 255) >>> 0;
}

/** Between two colours: `part` of the second. */
export function mix(one: string, two: string, part: number): string {
  const [a, b] = [hex(one), hex(two)];
  const channel = (i: 0 | 1 | 2) =>
    Math.round(a[i] + (b[i] - a[i]) * part)
      .toString(16)
      .padStart(2, '0');
  return `#${channel(0)}${channel(1)}${channel(2)}`;
}

/** Reads the custom properties that the theme in force has set. */
export function readPalette(): Palette {
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return rgbToHex(getComputedStyle(probe).color);
  };
  const ground = read('ground');
  const look = LOOK_NAMES.map((name) => read(name));
  // From afar a shape is a pixel: what is hollow near is pale far.
  const paleness = [0.82, 0, 0.6, 0.1, 0, 0.25, 0.5, 0, 0];
  const palette: Palette = {
    look,
    pixels: Uint32Array.from(look, (color, i) => pixel(mix(color, ground, paleness[i] ?? 0))),
    ground,
    text: read('text'),
    muted: read('muted'),
    onUsed: read('on-used'),
    link: read('edge'),
    hover: read('hover'),
    selected: read('selected'),
    touched: read('touched'),
    mono: getComputedStyle(document.documentElement).getPropertyValue('--mono').trim(),
  };
  probe.remove();
  return palette;
}

/** `rgb(35, 100, 168)`, as browsers compute a colour, as `#2364a8`. */
function rgbToHex(color: string): string {
  const parts = color.match(/\d+/g)?.slice(0, 3) ?? [];
  return `#${parts.map((part) => Number(part).toString(16).padStart(2, '0')).join('')}`;
}

/** The fills that are more than a colour, for one resolution. */
export class Patterns {
  readonly shredded: CanvasPattern | string;
  readonly header: CanvasPattern | string;
  readonly hole: CanvasPattern | string;

  constructor(context: CanvasRenderingContext2D, palette: Palette, dpr: number) {
    const tile = (size: number, color: string, draw: (pen: CanvasRenderingContext2D, s: number) => void) => {
      const s = Math.round(size * dpr);
      const canvas = document.createElement('canvas');
      canvas.width = s;
      canvas.height = s;
      const pen = canvas.getContext('2d');
      if (!pen) return color;
      pen.fillStyle = color;
      pen.strokeStyle = color;
      pen.lineWidth = Math.max(1, dpr);
      draw(pen, s);
      return context.createPattern(canvas, 'repeat') ?? color;
    };
    const { look } = palette;
    const color = (i: number) => look[i] ?? palette.text;
    const falling = (pen: CanvasRenderingContext2D, s: number) => {
      pen.moveTo(-s, -s);
      pen.lineTo(2 * s, 2 * s);
    };
    this.shredded = tile(5, color(LOOK.shredded), (pen, s) => {
      pen.beginPath();
      falling(pen, s);
      pen.moveTo(-s, 2 * s);
      pen.lineTo(2 * s, -s);
      pen.stroke();
    });
    this.header = tile(3, color(LOOK.header), (pen, s) => pen.fillRect(0, 0, Math.max(1, Math.round(s / 3)), s));
    this.hole = tile(7, color(LOOK.hole), (pen, s) => {
      pen.beginPath();
      falling(pen, s);
      pen.moveTo(-s, 0);
      pen.lineTo(s, 2 * s);
      pen.moveTo(0, -s);
      pen.lineTo(2 * s, s);
      pen.stroke();
    });
  }
}
