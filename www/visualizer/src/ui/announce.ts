/** What is said aloud by screen readers, and what is told in a line over the page. */

import { byId, make, replace } from './dom.ts';

let turn = false;

/** Says a sentence. The same one said twice is read twice. */
export function say(text: string): void {
  turn = !turn;
  byId('live').textContent = turn ? text : `${text}\u00a0`;
}

/** Says what is selected now, beside what is said of steps. */
export function sayCell(text: string): void {
  byId('live-cell').textContent = text;
}

/** Tells something that stays until it is closed: what went wrong, or where a link was copied to. */
export function notice(text: string, good = false): void {
  const box = byId('notice');
  box.hidden = false;
  box.classList.toggle('good', good);
  const close = () => {
    box.hidden = true;
    byId('stage').focus({ preventScroll: true });
  };
  replace(box, make('span', {}, text), make('button', { type: 'button', onclick: close }, 'Close'));
}

export function clearNotice(): void {
  byId('notice').hidden = true;
}
