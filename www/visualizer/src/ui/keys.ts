/** The page's keys, wherever the focus is but in a text. */

import { ACTIONS } from './actions.ts';
import { byId, isTyping } from './dom.ts';
import type { Player } from './player.ts';
import { type Session, VIEWS } from './session.ts';
import { letterKeys, openHelp } from './sheets.ts';
import type { Stage } from './stage.ts';
import type { Tabs } from './tabs.ts';
import type { Toolbar } from './toolbar.ts';

export function listenToKeys(
  session: Session,
  parts: { player: Player; stage: Stage; tabs: Tabs; toolbar: Toolbar },
): void {
  const { player, stage, tabs, toolbar } = parts;
  const click = (id: string) => () => byId(id).click();
  const keys: Record<string, () => void> = {
    ',': () => player.by(-1),
    '.': () => player.by(1),
    '<': () => player.to(0),
    '>': () => player.to(session.length),
    '[': () => tabs.turn(-1),
    ']': () => tabs.turn(1),
    '+': () => stage.zoomBy(1.25),
    '=': () => stage.zoomBy(1.25),
    '-': () => stage.zoomBy(0.8),
    '0': () => stage.showAll(),
    h: () => stage.foldSelected(),
    '/': () => byId('script').focus(),
    y: click('presets-open'),
    l: click('link'),
    E: click('export-open'),
    '?': openHelp,
  };
  for (const [i, view] of VIEWS.entries()) keys[String(i + 1)] = () => tabs.choose(view);
  for (const action of ACTIONS) keys[action.key] = () => toolbar.run(action);

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape') {
      if (session.targeting) session.aim(null);
      byId('stage').focus({ preventScroll: true });
      return;
    }
    const target = event.target instanceof Element ? event.target : null;
    if (event.key === ' ') {
      // A button or a check box that has the focus is pressed instead.
      if (target?.closest('button, input, summary')) return;
      event.preventDefault();
      return player.toggle();
    }
    const act = keys[event.key];
    if (!act || (/^[a-z]$/i.test(event.key) && !letterKeys.on)) return;
    event.preventDefault();
    act();
  });
}
