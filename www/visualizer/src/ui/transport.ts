/** Play, step, back, scrub, speed. */

import { byId, memory, setText } from './dom.ts';
import { any, type Panel } from './panel.ts';
import type { Player } from './player.ts';
import type { Change, Session } from './session.ts';

export class Transport implements Panel {
  private readonly scrub = byId<HTMLInputElement>('scrub');
  private readonly count = byId('count');
  private readonly play = byId('play');
  private readonly icon = byId<SVGUseElement>('play-icon');
  private readonly follow = byId<HTMLInputElement>('follow');

  constructor(
    private readonly session: Session,
    player: Player,
  ) {
    const on = (id: string, act: () => void) => byId(id).addEventListener('click', act);
    on('to-start', () => player.to(0));
    on('step-back', () => player.by(-1));
    on('play', () => player.toggle());
    on('step', () => player.by(1));
    on('to-end', () => player.to(session.length));
    this.scrub.addEventListener('input', () => player.to(Number(this.scrub.value)));
    const speed = byId<HTMLSelectElement>('speed');
    const kept = memory.read('speed');
    if (kept && [...speed.options].some((option) => option.value === kept)) speed.value = kept;
    const change = () => {
      player.speed = Number(speed.value);
      memory.write('speed', speed.value);
    };
    speed.addEventListener('change', change);
    player.speed = Number(speed.value);
    this.follow.addEventListener('change', () => {
      session.follow = this.follow.checked;
      if (session.follow) session.seek(session.step);
    });
  }

  update(changes: ReadonlySet<Change>): void {
    if (!any(changes, 'script', 'memory', 'play', 'view')) return;
    const { session } = this;
    const { step, length } = session;
    this.scrub.max = String(length);
    if (document.activeElement !== this.scrub || session.playing || this.scrub.value !== String(step)) {
      this.scrub.value = String(step);
    }
    this.scrub.setAttribute('aria-valuetext', `step ${step} of ${length}`);
    setText(this.count, `${step.toLocaleString('en')} / ${length.toLocaleString('en')}`);
    this.play.setAttribute('aria-label', session.playing ? 'Pause' : 'Play');
    this.icon.setAttribute('href', session.playing ? '#i-pause' : '#i-play');
    this.follow.checked = session.follow;
  }
}
