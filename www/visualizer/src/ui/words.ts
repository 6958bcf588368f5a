/** What the page says of pictures, pieces and steps, in words. */

import { count, hexOf, plural } from '../draw/view.ts';
import type { Outcome } from '../engine/types.ts';
import { counters } from '../model/counters.ts';
import { WHAT } from '../model/types.ts';
import type { About } from './about.ts';
import type { Names } from './names.ts';
import type { Model } from './pictures.ts';

/** A picture in a sentence or two. The model must be read as a whole. */
export function summaryOf(model: Model): string {
  if (model.kind === 'ref') {
    const held =
      model.holders === 0
        ? 'no payload holds an address of one'
        : `${plural(model.holders, 'place')} hold their addresses`;
    return `${plural(model.count, 'counted cell')}; ${held}.`;
  }
  const { pieces, sizes, live, bytes, held } = counters(model);
  const n = (what: number) => pieces[what] ?? 0;
  switch (model.kind) {
    case 'pool': {
      const cells = [
        `${count(n(WHAT.used))} used`,
        `${count(n(WHAT.free))} free`,
        `${count(n(WHAT.shredded))} shredded`,
        `${count(n(WHAT.fresh))} fresh`,
      ];
      return `${plural(model.count, 'cell')} of ${count(model.cellsz)} B, ${model.stride} B apart: ${cells.join(', ')}.`;
    }
    case 'tree':
      return `${plural(model.count, 'node')}, ${plural(model.deepest, 'level')} below the root, at most ${plural(model.widest, 'child', 'children')} of one node; ${count(bytes)} B.`;
    case 'lin':
      return `${plural(live, 'live cell')}, ${plural(n(WHAT.hole) + n(WHAT.shredded), 'hole')}, ${plural(n(WHAT.mark), 'mark')}; ${count(sizes[WHAT.fresh] ?? 0)} of ${count(held)} B fresh.`;
    case 'heap':
      return `${plural(live, 'live cell')} in ${count(bytes)} B, ${plural(n(WHAT.free), 'free block')} in ${count(sizes[WHAT.free] ?? 0)} B; ${count(held)} B held.`;
  }
}

/** What is under the pointer, in two short lines. */
export function tipOf(names: Names, about: About | null): string {
  if (!about) return '';
  const name = names.at(about.address);
  const count = about.refs > 0 ? `, ${plural(about.refs, 'reference')}` : '';
  return `${name || hexOf(about.address)}  ${about.state}${count}\n${name ? `${hexOf(about.address)}  ` : ''}${plural(about.payloadLen, 'byte')}`;
}

/** A verdict and its sentence: what came of a step. */
export function verdictOf({ what, message, expected }: Outcome): { word: string; className: string; text: string } {
  if (what === 'ok') return { word: 'ok', className: 'verdict', text: expected ? '' : message };
  const refused = what !== 'trap' && what !== 'wrong';
  const word = refused ? what : what === 'trap' ? 'stopped' : 'no sense';
  // The module's messages begin with the condition, which is the verdict already.
  const told = message.startsWith(`${what}: `) ? message.slice(what.length + 2) : message;
  return { word, className: `verdict ${refused ? 'refused' : 'bad'}`, text: expected ? `${told}; as expected` : told };
}
