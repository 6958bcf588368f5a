/** The menu of stories, and moving through a menu by arrow keys. */

import { presets } from '../engine/presets.ts';
import type { Preset } from '../engine/types.ts';
import { byId, make, setText } from './dom.ts';
import type { Panel } from './panel.ts';
import type { Change, Session } from './session.ts';

export class Stories implements Panel {
  private readonly menu = byId('presets');
  private readonly title = byId('preset-title');

  constructor(
    private readonly session: Session,
    open: (preset: Preset) => void,
  ) {
    for (const preset of presets) {
      const choose = () => {
        this.menu.hidePopover();
        open(preset);
      };
      const button = make(
        'button',
        { type: 'button', id: `preset-${preset.id}`, onclick: choose },
        make('b', {}, preset.title),
        make('span', {}, preset.about),
      );
      this.menu.append(button);
    }
    for (const id of ['presets', 'export']) arrows(byId(id));
  }

  update(changes: ReadonlySet<Change>): void {
    if (!changes.has('script')) return;
    const { preset } = this.session;
    setText(this.title, presets.find(({ id }) => id === preset)?.title ?? 'your own script');
    for (const button of this.menu.querySelectorAll('button')) {
      button.setAttribute('aria-current', String(button.id === `preset-${preset}`));
    }
  }
}

/** Up and down go through a menu's buttons; opening it goes to the first. */
function arrows(menu: HTMLElement): void {
  menu.querySelector('button')?.setAttribute('autofocus', '');
  menu.addEventListener('keydown', (event) => {
    const buttons = [...menu.querySelectorAll('button')];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[(to + buttons.length) % buttons.length]?.focus();
  });
}
