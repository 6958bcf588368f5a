/** A button for every action; one that cannot be done now says why when it is pressed. */

import { ACTIONS, type Action, type Context, cellName, storeOf } from './actions.ts';
import { notice, say } from './announce.ts';
import { byId, make, setText } from './dom.ts';
import { any, type Panel } from './panel.ts';
import type { Change } from './session.ts';

const GROUPS = [
  ['store', 'Store'],
  ['cell', 'Cell'],
  ['node', 'Node'],
] as const;

export class Toolbar implements Panel {
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private readonly subjects = new Map<string, HTMLElement>();
  private readonly sizeField = make('input', {
    type: 'number',
    id: 'size',
    min: 0,
    max: 268435456,
    value: 48,
    'aria-label': 'Size in bytes, for alloc, ref and resize',
  });

  constructor(private readonly context: Omit<Context, 'size'>) {
    const bar = byId('actions');
    for (const [group, title] of GROUPS) {
      const subject = make('b', {}, '');
      this.subjects.set(group, subject);
      const row = make(
        'div',
        { role: 'group', 'aria-label': `${title} actions` },
        make('span', { class: 'name' }, `${title} `, subject),
      );
      for (const action of ACTIONS.filter((one) => one.group === group)) {
        const button = make(
          'button',
          {
            type: 'button',
            id: `do-${action.id}`,
            'aria-keyshortcuts': shortcut(action.key),
            onclick: () => this.run(action),
          },
          action.label,
          make('kbd', { 'aria-hidden': 'true' }, action.key),
        );
        this.buttons.set(action.id, button);
        row.append(button);
        if (action.id === 'zeroed')
          row.append(this.sizeField, make('span', { class: 'name', 'aria-hidden': 'true' }, 'B'));
      }
      bar.append(row);
    }
  }

  private get whole(): Context {
    return { ...this.context, size: () => Math.max(0, Math.floor(Number(this.sizeField.value) || 0)) };
  }

  run(action: Action): void {
    const { whole } = this;
    const why = action.why(whole);
    if (why !== '') {
      say(why);
      notice(`${action.label}: ${why}`, true);
      return;
    }
    whole.session.aim(null);
    Promise.resolve(action.line(whole))
      .then((line) => {
        if (line !== null) this.perform(line);
      })
      .catch((error: unknown) => notice(String(error)));
  }

  /** Does one line of script now, and selects what it made. */
  perform(line: string): void {
    const { session } = this.whole;
    const wrong = session.perform(line);
    if (wrong !== '') {
      notice(wrong);
      return;
    }
    byId('notice').hidden = true;
    const [made] = session.touched;
    if (made !== undefined && session.last && 'to' in session.last) session.select(made);
  }

  update(changes: ReadonlySet<Change>): void {
    if (!any(changes, 'script', 'memory', 'view', 'select', 'target')) return;
    const { whole } = this;
    for (const action of ACTIONS) {
      const why = action.why(whole);
      const button = this.buttons.get(action.id);
      button?.setAttribute('aria-disabled', String(why !== ''));
      if (button) button.title = why || action.does;
    }
    const store = storeOf(whole);
    const cell = cellName(whole);
    const subject: Record<string, string> = {
      store: store?.name ?? '',
      cell,
      node: whole.session.view === 'tree' ? cell : '',
    };
    for (const [group, element] of this.subjects) setText(element, subject[group] ?? '');
    const { targeting } = whole.session;
    if (changes.has('target')) {
      if (targeting)
        notice(
          `${targeting.prompt} Click it, or go there by the arrow keys and press Enter. Escape leaves it as it is.`,
          true,
        );
      else byId('notice').hidden = true;
      if (targeting) {
        say(targeting.prompt);
        byId('stage').focus({ preventScroll: true });
      }
    }
  }
}

/** As `aria-keyshortcuts` wants it. */
function shortcut(key: string): string {
  return key === key.toLowerCase() ? key : `Shift+${key}`;
}
