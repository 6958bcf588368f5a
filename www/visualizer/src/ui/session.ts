/**
 * What the page is about at a moment: the script, the machine that runs it, the step, the view, and what is pointed at.
 *
 * Whoever changes something here says what with `touch`; the panels then bring themselves up to date in the next frame.
 */

import { Machine } from '../engine/machine.ts';
import { parse } from '../engine/script.ts';
import type { Outcome, Place, Program, ScriptError, Step, StoreKind, StoreState } from '../engine/types.ts';

export const VIEWS = ['pool', 'tree', 'linear', 'heap', 'refs'] as const;
export type ViewName = (typeof VIEWS)[number];

/** The view of a kind of store. */
export const VIEW_OF: Record<StoreKind, ViewName> = { pool: 'pool', tree: 'tree', lin: 'linear', heap: 'heap' };
export const VIEW_WORDS: Record<ViewName, string> = {
  pool: 'Pool',
  tree: 'Tree',
  linear: 'Linear',
  heap: 'Heap map',
  refs: 'Refs',
};

/** What can change. `memory`: the module's bytes; `point`: what is under the pointer. */
export type Change = 'script' | 'memory' | 'view' | 'select' | 'point' | 'play' | 'theme' | 'fold' | 'target' | 'error';

/** A choice that waits for a cell to be picked: where to move to, what to point at. */
export interface Targeting {
  prompt: string;
  pick: (address: number) => void;
}

export class Session {
  /** The text in the editor; what cannot be read is not run. */
  text = '';
  errors: ScriptError[] = [];
  machine: Machine | null = null;
  view: ViewName = 'pool';
  /** The store shown, by view; by name, so that it is found again after a replay. */
  readonly shown: Partial<Record<ViewName, string>> = {};
  selected = 0;
  hover = 0;
  /** Payloads that the last step made or acted on. */
  touched: number[] = [];
  follow = true;
  playing = false;
  /** Another number after every change of the memory. */
  version = 0;
  targeting: Targeting | null = null;
  /** Nodes whose subtrees are not drawn, by payload address. */
  readonly folded = new Set<number>();
  /** The story that the script came from, or ''. */
  preset = '';
  about = '';
  private readonly changes = new Set<Change>();
  private nextFrame: (() => void) | null = null;

  /** `frame` is called once for all changes up to the next frame. */
  onChange(frame: () => void): void {
    this.nextFrame = frame;
  }

  touch(...changes: Change[]): void {
    for (const change of changes) this.changes.add(change);
    this.nextFrame?.();
  }

  takeChanges(): Set<Change> {
    const taken = new Set(this.changes);
    this.changes.clear();
    return taken;
  }

  // --- the script and its steps -----------------------------------------------------------------

  get program(): Program | null {
    return this.machine?.program ?? null;
  }

  get step(): number {
    return this.machine?.present ?? 0;
  }

  get length(): number {
    return this.program?.length ?? 0;
  }

  /** Opens a script. What of it can be read runs; `step` defaults to its end. */
  async open(text: string, step = Number.POSITIVE_INFINITY): Promise<void> {
    const { program, errors } = parse(text);
    this.text = text;
    this.errors = errors;
    this.touch('script');
    if (errors.length > 0 && this.machine) return;
    this.machine = await Machine.create(program);
    const first = program.length > 0 ? program.step(0) : null;
    if (this.follow && first?.op === 'make') this.show(VIEW_OF[first.kind]);
    this.folded.clear();
    this.selected = 0;
    this.hover = 0;
    this.seek(step);
    this.touch('script', 'select', 'point');
  }

  /** The step at which the state is after `i` steps. */
  seek(i: number): void {
    const { machine } = this;
    if (!machine) return;
    const to = Math.max(0, Math.min(Math.floor(i), machine.length));
    // What the last step acts on is asked for before it: afterwards it may have gone.
    machine.seek(to - 1);
    const before = to > 0 && machine.present === to - 1 ? this.placesOf(machine.program.step(to - 1)) : null;
    machine.seek(to);
    this.version += 1;
    this.note(before);
    this.touch('memory');
  }

  /** Stores and payloads that a step names, as they are now. */
  private placesOf(step: Step): { stores: string[]; payloads: number[] } {
    const stores: string[] = [];
    const payloads: number[] = [];
    const { machine } = this;
    const look = (place: Place | null) => {
      if (!machine || !place) return;
      if (place.index < 0 && place.at < 0 && machine.store(place.name)) stores.push(place.name);
      const payload = place.at >= 0 ? place.at : machine.address(place.name, place.index);
      if (payload === 0) return;
      payloads.push(payload);
      const { cell_at } = machine.raw.exports;
      const home = machine.stores.find((store) => cell_at(store.handle, payload) > 0);
      if (home) stores.push(home.name);
    };
    if ('cell' in step && typeof step.cell === 'object') look(step.cell);
    if ('from' in step) look(step.from);
    if ('parent' in step) look(step.parent);
    if ('target' in step) look(step.target);
    if ('store' in step) look(step.store);
    return { stores, payloads };
  }

  /** Notes what the last step was about, to point it out and to follow it. */
  private note(before: { stores: string[]; payloads: number[] } | null): void {
    const { machine, last } = this;
    this.touched = [];
    if (!machine || !last) return;
    if ('to' in last && last.op !== 'mark' && this.outcome?.what === 'ok') {
      const made = machine.address(last.to.name, last.to.index);
      if (made > 0) this.touched.push(made);
    } else if (before) this.touched.push(...before.payloads);
    if (!this.follow) return;
    const acted = last.op === 'make' ? last.store.name : before?.stores[0];
    const store = machine.stores.find(({ name }) => name === acted);
    if (store) this.shown[VIEW_OF[store.kind]] = store.name;
    // Counts, and who points where, are seen in the view of counted cells only.
    if (last.op === 'ref' || last.op === 'up' || last.op === 'down' || last.op === 'point') this.show('refs');
    else if (store) this.show(VIEW_OF[store.kind]);
  }

  /**
   * Does one more line of script now: what lay after the present step is cut off, and the script says the new line.
   * Answers what is wrong with it, or ''.
   */
  perform(line: string): string {
    const { machine } = this;
    if (!machine) return 'The allocator is not there yet.';
    // What stands in the editor would be lost.
    if (this.errors.length > 0) return 'The script has an error: mend it first, then go on by hand.';
    this.playing = false;
    const [error] = machine.append(line);
    if (error) return error.message;
    this.text = machine.text;
    this.errors = [];
    this.preset = '';
    this.seek(machine.length);
    this.touch('script', 'memory', 'play');
    return '';
  }

  /** What came of the last step; of the next one, if it stopped the module. */
  get outcome(): Outcome | null {
    const { machine, step } = this;
    if (!machine) return null;
    return this.stopped ?? machine.outcome(step - 1);
  }

  /** The next step was tried, and it stops the module. */
  private get stopped(): Outcome | null {
    const tried = this.machine?.outcome(this.step) ?? null;
    return tried?.what === 'trap' ? tried : null;
  }

  /** The step that was done last. */
  get last(): Step | null {
    const i = this.stopped ? this.step : this.step - 1;
    return this.program && i >= 0 ? this.program.step(i) : null;
  }

  // --- what is shown ------------------------------------------------------------------------------

  /** Stores that a view can show. Counted cells lie in any. */
  storesOf(view: ViewName): readonly StoreState[] {
    const stores = this.machine?.stores ?? [];
    return view === 'refs' ? [] : stores.filter((store) => VIEW_OF[store.kind] === view);
  }

  /** The store that the view shows: the one chosen, else the first there is. */
  get store(): StoreState | null {
    const stores = this.storesOf(this.view);
    return stores.find((store) => store.name === this.shown[this.view]) ?? stores[0] ?? null;
  }

  show(view: ViewName, store?: string): void {
    this.view = view;
    if (store !== undefined) this.shown[view] = store;
    this.touch('view');
  }

  select(address: number): void {
    const { targeting } = this;
    if (targeting && address !== 0) {
      this.targeting = null;
      this.touch('target');
      targeting.pick(address);
      return;
    }
    if (this.selected === address) return;
    this.selected = address;
    this.touch('select');
  }

  point(address: number): void {
    if (this.hover === address) return;
    this.hover = address;
    this.touch('point');
  }

  aim(targeting: Targeting | null): void {
    this.targeting = targeting;
    this.touch('target');
  }

  toggleFold(address: number): void {
    if (!this.folded.delete(address)) this.folded.add(address);
    this.touch('fold');
  }
}
