/** Plays the steps: as many a frame as the speed asks for, never more than a frame has time for. */

import type { Session } from './session.ts';

/** What the steps of one frame may take, in milliseconds. */
const MOST_MS = 5;
const AT_ONCE = 250;

export class Player {
  /** Steps a second. */
  speed = 3;
  private due = 0;
  private before = 0;

  constructor(private readonly session: Session) {}

  toggle(): void {
    if (this.session.playing) this.pause();
    else this.play();
  }

  play(): void {
    const { session } = this;
    if (session.length === 0) return;
    if (session.step >= session.length) session.seek(0);
    session.playing = true;
    this.due = 1;
    this.before = 0;
    session.touch('play');
  }

  pause(): void {
    this.session.playing = false;
    this.session.touch('play', 'memory');
  }

  /** Moves on by what is due at this frame. */
  frame(now: number): void {
    const { session } = this;
    if (!session.playing) return;
    const passed = this.before === 0 ? 0 : Math.min(100, now - this.before);
    this.before = now;
    this.due += (passed / 1000) * this.speed;
    const begun = performance.now();
    while (this.due >= 1 && session.step < session.length) {
      const steps = Math.min(Math.floor(this.due), AT_ONCE);
      session.seek(session.step + steps);
      this.due -= steps;
      // What a frame has no time for is left out, not put off.
      if (performance.now() - begun > MOST_MS) this.due = 0;
    }
    if (session.step >= session.length) this.pause();
    else session.touch('play');
  }

  by(steps: number): void {
    this.session.playing = false;
    this.session.seek(this.session.step + steps);
    this.session.touch('play');
  }

  to(step: number): void {
    this.session.playing = false;
    this.session.seek(step);
    this.session.touch('play');
  }
}
