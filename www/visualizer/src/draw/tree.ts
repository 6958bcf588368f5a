/** A tree, root on the left: nodes with the links between them. Near, a node has its name and size. */

import type { TreeLayout, TreeModel } from '../model/types.ts';
import { LOOK, type Palette } from './palette.ts';
import { Shapes } from './shapes.ts';
import { Svg } from './svg.ts';
import { arrow, count, hexOf, type NameOf, rings, type Scene, type View } from './view.ts';
import type { Box, Viewport } from './viewport.ts';

/** From a node to the next at life size, and a node itself. */
const COLUMN = 152;
const ROW = 26;
const WIDTH = 120;
const HEIGHT = 20;
/** The width of a node's mark from afar, in CSS pixels. */
const FAR_WIDTH = 14;

export class TreeView implements View<TreeModel> {
  private readonly shapes = new Shapes();
  /** Which squares of the canvas have a node, so that none is drawn where one already is. */
  private taken = new Uint8Array(0);
  private across = 1;
  /** What was laid out last, and how. */
  private model: TreeModel | null = null;
  private layout: TreeLayout | null = null;

  constructor(
    /** Lays a model out, without what is folded. */
    private readonly lay: (model: TreeModel) => TreeLayout,
  ) {}

  plan(model: TreeModel, _port: Viewport): Box {
    this.model = model;
    this.layout = this.lay(model);
    const { width, depth } = this.layout;
    return { x: 0, y: 0, w: depth * COLUMN + WIDTH, h: width * ROW + HEIGHT };
  }

  fit(model: TreeModel, port: Viewport): void {
    port.fit(this.plan(model, port), 16, true, 1.25);
  }

  isNear(port: Viewport): boolean {
    return HEIGHT * port.sy >= 10 * port.dpr && WIDTH * port.sx >= 36 * port.dpr;
  }

  draw(scene: Scene, model: TreeModel, _changed: boolean): void {
    const { layout } = this;
    if (!layout) return;
    const near = this.isNear(scene.port);
    this.drawLinks(scene, model, layout, near);
    if (near) this.drawNear(scene, model, layout);
    else this.drawFar(scene, model, layout);
    this.drawSiblings(scene, model);
    // From afar a node is a mark no wider than it is drawn.
    const most = near ? WIDTH : (FAR_WIDTH * scene.port.dpr) / scene.port.sx;
    rings(scene, (address) => {
      const box = this.boxOf(model, address);
      return box && { ...box, w: Math.min(box.w, most) };
    });
  }

  /** Notes that a node is at a point of the canvas; false if another is already. */
  private take(x: number, y: number): boolean {
    const at = (y >> 1) * this.across + (x >> 1);
    if (this.taken[at] === 1) return false;
    this.taken[at] = 1;
    return true;
  }

  private forget(port: Viewport): void {
    this.across = (port.width >> 1) + 1;
    const squares = this.across * ((port.height >> 1) + 1);
    if (this.taken.length < squares) this.taken = new Uint8Array(squares);
    else this.taken.fill(0);
  }

  /** From each node to its parent, where either is in view. */
  private drawLinks(scene: Scene, model: TreeModel, layout: TreeLayout, near: boolean): void {
    const { pen, port, palette } = scene;
    const { x: place, visible } = layout;
    const { width, height, sx, sy } = port;
    this.forget(port);
    pen.beginPath();
    for (let i = 1; i < model.count; i += 1) {
      if (visible[i] !== 1) continue;
      const parent = model.parent[i] as number;
      if (parent < 0) continue;
      const y1 = ((place[parent] as number) * ROW + HEIGHT / 2 - port.y) * sy;
      const y2 = ((place[i] as number) * ROW + HEIGHT / 2 - port.y) * sy;
      if ((y1 < 0 && y2 < 0) || (y1 > height && y2 > height)) continue;
      const x2 = ((model.depth[i] as number) * COLUMN - port.x) * sx;
      const x1 = x2 - (COLUMN - WIDTH) * sx;
      if (x2 < 0 || x1 > width) continue;
      if (!near && x2 < width && y2 >= 0 && y2 < height && !this.take(x2, y2)) continue;
      pen.moveTo(near ? x1 : x2 - COLUMN * sx, y1);
      pen.lineTo(x2, y2);
    }
    pen.strokeStyle = palette.link;
    pen.lineWidth = near ? port.dpr : Math.max(0.5, port.dpr * 0.6);
    pen.stroke();
  }

  private drawFar(scene: Scene, model: TreeModel, layout: TreeLayout): void {
    const { pen, port, palette } = scene;
    const { x: place, visible } = layout;
    const { width, height, sx, sy, dpr } = port;
    const h = Math.max(1.5 * dpr, Math.min(HEIGHT * sy, 9 * dpr));
    const w = Math.max(2 * dpr, Math.min(WIDTH * sx, FAR_WIDTH * dpr));
    // Tainted ones last, so that they are seen.
    for (let tainted = 0; tainted < 2; tainted += 1) {
      this.forget(port);
      pen.beginPath();
      for (let i = 0; i < model.count; i += 1) {
        if (visible[i] !== 1 || model.tainted[i] !== tainted) continue;
        const y = ((place[i] as number) * ROW - port.y) * sy;
        const x = ((model.depth[i] as number) * COLUMN - port.x) * sx;
        if (y < -h || y >= height || x < -w || x >= width) continue;
        if (x >= 0 && y >= 0 && !this.take(x, y)) continue;
        pen.rect(x, y, w, h);
      }
      pen.fillStyle = palette.look[tainted === 1 ? LOOK.tainted : LOOK.used] ?? palette.text;
      pen.fill();
    }
  }

  private drawNear(scene: Scene, model: TreeModel, layout: TreeLayout): void {
    const { pen, port, palette, patterns, nameOf } = scene;
    const { dpr } = port;
    const { shapes } = this;
    shapes.clear();
    const seen = (i: number) => {
      const y = port.screenY((layout.x[i] as number) * ROW);
      const x = port.screenX((model.depth[i] as number) * COLUMN);
      return y > -HEIGHT * port.sy && y < port.height && x > -COLUMN * port.sx && x < port.width;
    };
    for (let i = 0; i < model.count; i += 1) {
      if (layout.visible[i] !== 1 || !seen(i)) continue;
      this.node(model, layout, i, port, (look, x, y, w, h) => shapes.add(look, x, y, w, h));
    }
    shapes.paint(pen, palette, patterns, dpr);
    const size = Math.min(11, HEIGHT * 0.56 * (port.sy / dpr)) * dpr;
    if (size < 7 * dpr) return;
    pen.font = `${size}px ${palette.mono}`;
    pen.textBaseline = 'middle';
    const letters = Math.floor((WIDTH * port.sx - 14 * dpr) / (size * 0.61));
    for (let i = 0; i < model.count; i += 1) {
      if (layout.visible[i] !== 1 || !seen(i)) continue;
      const x = port.screenX((model.depth[i] as number) * COLUMN);
      const y = port.screenY((layout.x[i] as number) * ROW + HEIGHT / 2) + dpr / 2;
      pen.textAlign = 'left';
      pen.fillStyle = palette.onUsed;
      pen.fillText(nodeText(model, i, letters, nameOf), x + 8 * port.sx + 3 * dpr, y);
      const hidden = layout.hidden[i] ?? 0;
      if (hidden > 0) {
        pen.fillStyle = palette.text;
        pen.fillText(`+${count(hidden)}`, x + (WIDTH + 6) * port.sx, y);
      }
    }
  }

  /** A node's pieces: header, payload, and what says that it is guarded or folded. */
  private node(
    model: TreeModel,
    layout: TreeLayout,
    i: number,
    port: Pick<Viewport, 'screenX' | 'screenY' | 'sx' | 'sy'>,
    add: (look: number, x: number, y: number, w: number, h: number) => void,
  ): void {
    const x = Math.round(port.screenX((model.depth[i] as number) * COLUMN));
    const y = Math.round(port.screenY((layout.x[i] as number) * ROW));
    const w = Math.round(WIDTH * port.sx);
    const h = Math.round(HEIGHT * port.sy);
    const front = Math.max(3, Math.round(8 * port.sx));
    add(LOOK.header, x, y, front, h);
    add(model.tainted[i] === 1 ? LOOK.tainted : LOOK.used, x + front, y, w - front, h);
    if (model.guarded[i] === 1) add(LOOK.mark, x - Math.round(12 * port.sx), y, Math.round(10 * port.sx), h);
    if ((layout.hidden[i] ?? 0) > 0) add(LOOK.header, x + w + 1, y, Math.max(2, Math.round(3 * port.sx)), h);
  }

  /** The selected node's links to its siblings and children, as its header has them. */
  private drawSiblings(scene: Scene, model: TreeModel): void {
    const { pen, port, palette, marks } = scene;
    const i = this.find(model, marks.selected);
    const from = i < 0 ? null : this.box(i);
    if (!from) return;
    pen.beginPath();
    for (const links of [model.parent, model.child, model.lastchild, model.prev, model.next]) {
      const to = this.box(links[i] ?? -1);
      if (!to) continue;
      const mx = (box: Box, edge: number) => port.screenX(box.x + box.w * edge);
      const my = (box: Box) => port.screenY(box.y + box.h / 2);
      if (to.x > from.x) arrow(pen, mx(from, 1), my(from), mx(to, 0), my(to), 7 * port.dpr);
      else if (to.x < from.x) arrow(pen, mx(from, 0), my(from), mx(to, 1), my(to), 7 * port.dpr);
      else {
        const down = to.y > from.y;
        const edge = (box: Box, low: boolean) => port.screenY(box.y + (low ? box.h : 0));
        arrow(pen, mx(from, 0.5), edge(from, down), mx(to, 0.5), edge(to, !down), 7 * port.dpr);
      }
    }
    pen.strokeStyle = palette.selected;
    pen.lineWidth = 1.5 * port.dpr;
    pen.stroke();
  }

  hit(model: TreeModel, port: Viewport, x: number, y: number): number {
    const { layout } = this;
    if (!layout) return 0;
    const depth = Math.floor(port.worldX(x) / COLUMN);
    const row = port.worldY(y) / ROW;
    const slack = Math.max(HEIGHT / ROW / 2, (5 * port.dpr) / (ROW * port.sy));
    const slackX = Math.max(WIDTH, (14 * port.dpr) / port.sx);
    if (port.worldX(x) - depth * COLUMN > slackX) return 0;
    let best = -1;
    let nearest = slack;
    for (let i = 0; i < model.count; i += 1) {
      if (layout.visible[i] !== 1 || model.depth[i] !== depth) continue;
      const away = Math.abs((layout.x[i] as number) + HEIGHT / ROW / 2 - row);
      if (away <= nearest) [best, nearest] = [i, away];
    }
    return best < 0 ? 0 : model.payloadAt(best);
  }

  /** As the model's `index`, without the order that it would have to make anew after each step. */
  private find(model: TreeModel, address: number): number {
    if (address === 0) return -1;
    for (let i = 0; i < model.count; i += 1) {
      const at = model.at[i] as number;
      if (address >= at && address < at + model.header + Math.max(1, model.size[i] as number)) return i;
    }
    return -1;
  }

  private box(i: number): Box | null {
    const { layout, model } = this;
    if (!layout || !model || i < 0 || i >= layout.count || layout.visible[i] !== 1) return null;
    return { x: (model.depth[i] ?? 0) * COLUMN, y: (layout.x[i] ?? 0) * ROW, w: WIDTH, h: HEIGHT };
  }

  boxOf(model: TreeModel, address: number): Box | null {
    return this.box(this.find(model, address));
  }

  /** Left is the parent, right the first child, up and down the siblings, and past the last the parent's next. */
  go(model: TreeModel, address: number, dx: number, dy: number): number {
    const i = this.find(model, address);
    if (i < 0) return model.count > 0 ? model.payloadAt(0) : 0;
    const shown = (n: number) => (n >= 0 && this.layout?.visible[n] === 1 ? n : -1);
    let to = -1;
    if (dx < 0) to = shown(model.parent[i] ?? -1);
    else if (dx > 0) to = shown(model.child[i] ?? -1);
    else if (dy < 0) {
      const before = shown(model.prev[i] ?? -1);
      to = before >= 0 ? before : shown(model.parent[i] ?? -1);
    } else {
      for (let n = i; n >= 0 && to < 0; n = model.parent[n] ?? -1) to = shown(model.next[n] ?? -1);
    }
    return to < 0 ? 0 : model.payloadAt(to);
  }

  svg(model: TreeModel, palette: Palette, title: string, nameOf: NameOf): string {
    const { layout, shapes } = this;
    const svg = new Svg(palette, ROW);
    if (!layout) return svg.finish({ x: 0, y: 0, w: WIDTH, h: HEIGHT }, title);
    const life = { screenX: (x: number) => x, screenY: (y: number) => y, sx: 1, sy: 1 };
    const lines: number[] = [];
    shapes.clear();
    for (let i = 0; i < model.count; i += 1) {
      if (layout.visible[i] !== 1) continue;
      this.node(model, layout, i, life, (look, x, y, w, h) => shapes.add(look, x, y, w, h));
      const parent = model.parent[i] ?? -1;
      if (parent < 0) continue;
      const x = (model.depth[i] ?? 0) * COLUMN;
      const middle = (n: number) => (layout.x[n] ?? 0) * ROW + HEIGHT / 2;
      lines.push(x - (COLUMN - WIDTH), middle(parent), x, middle(i));
    }
    svg.lines(lines, lines.length, palette.link).shapes(shapes);
    for (let i = 0; i < model.count && layout.shown <= 20_000; i += 1) {
      if (layout.visible[i] !== 1) continue;
      const y = (layout.x[i] ?? 0) * ROW + 14;
      svg.text((model.depth[i] ?? 0) * COLUMN + 12, y, nodeText(model, i, 15, nameOf), palette.onUsed);
    }
    return svg.finish({ x: 0, y: 0, w: layout.depth * COLUMN + WIDTH, h: layout.width * ROW + HEIGHT }, title);
  }
}

/** Its name, or its address; and its size where there is room. */
function nodeText(model: TreeModel, i: number, letters: number, nameOf: NameOf): string {
  const word = nameOf(model.payloadAt(i)) || (i === 0 ? 'root' : hexOf(model.payloadAt(i)));
  const long = `${word} ${count(model.size[i] ?? 0)}`;
  if (long.length <= letters) return long;
  return word.length <= letters ? word : `${word.slice(0, Math.max(0, letters - 1))}…`;
}
