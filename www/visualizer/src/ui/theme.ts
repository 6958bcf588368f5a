/** Light or dark: as the system has it, until the person chooses. */

import { byId, memory } from './dom.ts';

type Choice = 'system' | 'light' | 'dark';
const NEXT: Record<Choice, Choice> = { system: 'light', light: 'dark', dark: 'system' };
const WORDS: Record<Choice, string> = { system: 'as the system', light: 'light', dark: 'dark' };

/** Puts the theme in force and keeps it so; `changed` is told after each change. */
export function startTheme(changed: () => void): void {
  const button = byId<HTMLButtonElement>('theme');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const kept = memory.read('theme');
  let choice: Choice = kept === 'light' || kept === 'dark' ? kept : 'system';
  const apply = () => {
    if (choice === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    button.setAttribute('aria-label', `Theme: ${WORDS[choice]}`);
    button.title = `Theme: ${WORDS[choice]}`;
    changed();
  };
  dark.addEventListener('change', apply);
  button.addEventListener('click', () => {
    choice = NEXT[choice];
    memory.write('theme', choice);
    apply();
  });
  apply();
}
