/** The sentence of the step, what the step was, and what came of it. */

import { printStep } from '../engine/print.ts';
import { say } from './announce.ts';
import { byId, make, replace, setText } from './dom.ts';
import { any, type Panel } from './panel.ts';
import type { Change, Session } from './session.ts';
import { verdictOf } from './words.ts';

export class Story implements Panel {
  private readonly sentence = byId('sentence');
  private readonly outcome = byId('outcome');
  private readonly about = byId('about');
  private spoken = '';

  constructor(private readonly session: Session) {}

  update(changes: ReadonlySet<Change>): void {
    if (!any(changes, 'script', 'memory', 'play')) return;
    const { session } = this;
    const { program, step, length } = session;
    setText(this.about, session.about);
    setText(this.sentence, this.told());
    const { last, outcome } = session;
    if (!last || !outcome) {
      const text =
        program && length > 0
          ? `Before the first of ${length.toLocaleString('en')} steps.`
          : 'The script has no steps yet.';
      setText(this.outcome, text);
    } else {
      const { word, className, text } = verdictOf(outcome);
      replace(this.outcome, make('code', {}, printStep(last)), make('span', { class: className }, word), text);
    }
    if (!session.playing) this.speak(step, length);
  }

  private told(): string {
    const { program, step } = this.session;
    if (!program) return '';
    if (step >= program.length && program.say(program.length) !== '') return program.say(program.length);
    return program.told(Math.max(0, step - 1));
  }

  /** To a screen reader: each step's sentence and outcome, once. */
  private speak(step: number, length: number): void {
    const { last, outcome } = this.session;
    const what = last && outcome ? `${printStep(last)}: ${verdictOf(outcome).word}. ${verdictOf(outcome).text}` : '';
    const text = `Step ${step} of ${length}. ${this.told()} ${what}`;
    if (text === this.spoken) return;
    if (this.spoken !== '') say(text);
    this.spoken = text;
  }
}
