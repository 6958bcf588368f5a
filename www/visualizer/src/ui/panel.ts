/** A part of the page that shows something of the session. */

import type { Change } from './session.ts';

export interface Panel {
  /** Brings it up to date. Called once a frame at the most, and only after a change. */
  update(changes: ReadonlySet<Change>): void;
}

export const any = (changes: ReadonlySet<Change>, ...of: Change[]): boolean => of.some((change) => changes.has(change));
