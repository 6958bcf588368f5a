/** A part of the page that shows something of the session. */

import type { Change, Session } from './session.ts';

export interface Panel {
  /** Brings it up to date. Called once a frame at the most, and only after a change. */
  update(changes: ReadonlySet<Change>): void;
}

export const any = (changes: ReadonlySet<Change>, ...of: Change[]): boolean => of.some((change) => changes.has(change));

/** Has what links to an address (`data-to`) point at it while it has the pointer or the focus. */
export function pointsByLinks(box: HTMLElement, session: Session): void {
  const point = (event: Event) => {
    const to = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-to]') : null;
    session.point(to ? Number(to.dataset.to) : 0);
  };
  box.addEventListener('pointerover', point);
  box.addEventListener('focusin', point);
  box.addEventListener('pointerleave', () => session.point(0));
}
