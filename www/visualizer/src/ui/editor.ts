/** The script: a text with line numbers, the line of the present step, and the lines in error. */

import { byId, make, replace } from './dom.ts';
import { any, type Panel } from './panel.ts';
import type { Change, Session } from './session.ts';

const LINE = 18;
const PADDING = 8;
/** How long after the last key the script is read. */
const PATIENCE = 250;

export class Editor implements Panel {
  private readonly area = byId<HTMLTextAreaElement>('script');
  private readonly gutter = byId('gutter');
  private readonly current = byId('current-line');
  private readonly list = byId('script-errors');
  private timer = 0;
  /** The line that was marked last. */
  private drawn = -1;

  constructor(
    private readonly session: Session,
    private readonly fault: (error: unknown) => void,
  ) {
    this.area.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.read(), PATIENCE);
      this.drawGutter();
    });
    // Whoever leaves the text for a button means what is written now.
    this.area.addEventListener('change', () => {
      clearTimeout(this.timer);
      if (this.area.value !== this.session.text) this.read();
    });
    this.area.addEventListener('scroll', () => this.drawGutter());
    this.area.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') byId('stage').focus();
    });
    new ResizeObserver(() => this.drawGutter()).observe(this.area);
  }

  focus(): void {
    this.area.focus();
  }

  private read(): void {
    const { session } = this;
    // Somebody in the middle of a story stays there; otherwise what the script comes to is shown.
    const middle = session.step > 0 && session.step < session.length;
    session.playing = false;
    session.preset = '';
    session.about = '';
    session
      .open(this.area.value, middle ? session.step : undefined)
      .then(() => session.touch('play'))
      .catch(this.fault);
  }

  update(changes: ReadonlySet<Change>): void {
    if (any(changes, 'script')) {
      if (this.area.value !== this.session.text) this.area.value = this.session.text;
      this.area.setAttribute('aria-invalid', String(this.session.errors.length > 0));
      this.drawErrors();
    }
    if (changes.has('script') || (changes.has('memory') && this.line !== this.drawn)) {
      this.drawn = this.line;
      this.reveal();
      this.drawGutter();
    }
  }

  /** The line of the step that was done last, from 1; 0 before the first. */
  private get line(): number {
    const { program, step } = this.session;
    return program && step > 0 ? program.line(step - 1) : 0;
  }

  /** Scrolls to the present line, unless the person is writing. */
  private reveal(): void {
    if (document.activeElement === this.area || this.line === 0) return;
    const top = (this.line - 1) * LINE;
    const { scrollTop, clientHeight } = this.area;
    if (top < scrollTop || top + 2 * LINE > scrollTop + clientHeight)
      this.area.scrollTop = Math.max(0, top - clientHeight / 2);
  }

  /** Only the numbers in view: a script may have many lines. */
  private drawGutter(): void {
    const { scrollTop, clientHeight } = this.area;
    const lines = this.lineCount();
    const first = Math.max(1, Math.floor((scrollTop - PADDING) / LINE) + 1);
    const last = Math.min(lines, first + Math.ceil(clientHeight / LINE) + 1);
    const bad = new Set(this.session.errors.map((error) => error.line));
    const spans: HTMLElement[] = [];
    for (let line = first; line <= last; line += 1) {
      const span = make('span', { class: bad.has(line) ? 'bad' : line === this.line ? 'now' : '' }, String(line));
      span.style.top = `${PADDING + (line - 1) * LINE - scrollTop}px`;
      spans.push(span);
    }
    this.gutter.replaceChildren(...spans);
    this.current.hidden = this.line === 0;
    this.current.style.top = `${PADDING + (this.line - 1) * LINE - scrollTop}px`;
  }

  private counted = { text: '', lines: 1 };

  private lineCount(): number {
    const text = this.area.value;
    if (this.counted.text !== text) {
      let lines = 1;
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
      this.counted = { text, lines };
    }
    return this.counted.lines;
  }

  private drawErrors(): void {
    const buttons = this.session.errors.map((error) =>
      make(
        'button',
        { type: 'button', onclick: () => this.goTo(error.line, error.column) },
        `Line ${error.line}: ${error.message}`,
      ),
    );
    replace(this.list, ...buttons);
  }

  private goTo(line: number, column: number): void {
    const lines = this.area.value.split('\n');
    const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    this.area.focus();
    this.area.setSelectionRange(before + column - 1, before + (lines[line - 1]?.length ?? 0));
    this.area.scrollTop = Math.max(0, (line - 4) * LINE);
  }
}
