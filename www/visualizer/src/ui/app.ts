/** Puts the page together: a session, its panels, and one frame for all changes. */

import { scriptOfJson } from '../engine/json.ts';
import { decodeLink } from '../engine/link.ts';
import { presets } from '../engine/presets.ts';
import type { Preset } from '../engine/types.ts';
import type { KindName } from '../model/fields.ts';
import { KIND_NAMES } from '../model/types.ts';
import { type About, aboutIn, aboutStore } from './about.ts';
import type { Context } from './actions.ts';
import { clearNotice, notice } from './announce.ts';
import { byId, make } from './dom.ts';
import { Editor } from './editor.ts';
import { Hex } from './hex.ts';
import { Inspector } from './inspector.ts';
import { listenToKeys } from './keys.ts';
import { Names } from './names.ts';
import type { Panel } from './panel.ts';
import { Pictures } from './pictures.ts';
import { Player } from './player.ts';
import { type Change, Session, VIEW_WORDS, VIEWS, type ViewName } from './session.ts';
import { startSharing } from './share.ts';
import { ask, askStore, openHelp } from './sheets.ts';
import { Stage } from './stage.ts';
import { Stories } from './stories.ts';
import { Story } from './story.ts';
import { Strip } from './strip.ts';
import { Tabs } from './tabs.ts';
import { startTheme } from './theme.ts';
import { Toolbar } from './toolbar.ts';
import { Transport } from './transport.ts';

/** While steps are played, panels of text follow at this pace, so that the picture has the frame to itself. */
const PACE = 150;

const MAKE_KIND: Record<ViewName, string> = { pool: 'pool', tree: 'tree', linear: 'lin', heap: 'heap', refs: 'heap' };

export class App {
  readonly session = new Session();
  private readonly names = new Names(this.session);
  private readonly pictures = new Pictures(this.session);
  readonly player = new Player(this.session);
  readonly stage: Stage;
  /** Brought up to date in each frame, and those that may lag while steps are played, each with what it has missed. */
  private readonly fast: Panel[];
  private readonly slow: { panel: Panel; missed: Set<Change>; told: number }[];
  private asked = false;
  /** The JavaScript time of the frames so far, while somebody measures. */
  times: number[] | null = null;

  constructor() {
    const { session, names } = this;
    const fault = (error: unknown) => this.fault(error);
    const go = (address: number) => this.go(address);
    const aboutAt = (address: number) => this.aboutAt(address);
    const about = () => this.aboutAt(session.selected);
    const kindAt = (address: number) => this.kindAt(address);
    const context: Omit<Context, 'size'> = { session, names, kindAt, ask, makeStore: () => this.makeStore() };
    this.stage = new Stage(session, this.pictures, names, aboutAt, () => this.offer());
    const tabs = new Tabs(session, (address) => session.select(address));
    const toolbar = new Toolbar(context);
    this.perform = (line) => toolbar.perform(line);
    this.fast = [this.stage, new Transport(session, this.player)];
    const slow: Panel[] = [
      new Story(session),
      new Editor(session, fault),
      tabs,
      toolbar,
      new Inspector(session, names, about, go),
      new Hex(session, names, about, go),
      new Strip(session, () => this.stage.picture, go),
      new Stories(session, (preset) => this.openPreset(preset).catch(fault)),
      { update: () => this.stage.describe() },
    ];
    this.slow = slow.map((panel) => ({ panel, missed: new Set(), told: 0 }));
    listenToKeys(session, { player: this.player, stage: this.stage, tabs, toolbar });
    startSharing(session, this.stage, fault);
    byId('zoom-in').addEventListener('click', () => this.stage.zoomBy(1.25));
    byId('zoom-out').addEventListener('click', () => this.stage.zoomBy(0.8));
    byId('zoom-fit').addEventListener('click', () => this.stage.showAll());
    byId('help-open').addEventListener('click', openHelp);
    session.onChange(() => this.ask());
    startTheme(() => session.touch('theme'));
    window.addEventListener('hashchange', () => this.openAddress().catch(fault));
  }

  private readonly perform: (line: string) => void;

  // --- frames -----------------------------------------------------------------------------------

  private ask(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    const begun = performance.now();
    this.asked = false;
    this.player.frame(now);
    const { session } = this;
    const changes = session.takeChanges();
    for (const panel of this.fast) panel.update(changes);
    for (const { missed } of this.slow) for (const change of changes) missed.add(change);
    if (session.playing) this.updateOne(now);
    else for (const { panel, missed } of this.slow) this.catchUp(panel, missed);
    if (session.playing) this.ask();
    this.times?.push(performance.now() - begun);
  }

  private catchUp(panel: Panel, missed: Set<Change>): void {
    if (missed.size === 0) return;
    const all = new Set(missed);
    missed.clear();
    panel.update(all);
  }

  /** The panel that has waited longest, if it has waited long enough. */
  private updateOne(now: number): void {
    const next = this.slow.reduce((one, other) => (other.told < one.told ? other : one));
    if (now - next.told < PACE) return;
    next.told = now;
    this.catchUp(next.panel, next.missed);
  }

  /** Something broke: said in words, with everything still there. */
  fault(error: unknown): void {
    this.session.playing = false;
    console.error(error);
    notice(`Something went wrong in the page: ${error instanceof Error ? error.message : String(error)}`);
  }

  // --- what is looked at -----------------------------------------------------------------------------

  /** What is at an address: a store's own header, something in the picture, or in any other store. */
  private aboutAt(address: number): About | null {
    const { session, stage, pictures } = this;
    if (address === 0) return null;
    const here = aboutStore(session, address) ?? (stage.picture && aboutIn(session, stage.picture.model, address));
    if (here) return here;
    const elsewhere = pictures.find(address);
    return elsewhere && aboutIn(session, elsewhere.model, address);
  }

  /** What the cell at an address is used as: a heap's may hold a node or a counted cell. */
  private kindAt(address: number): KindName {
    const { picture } = this.stage;
    const kind = picture && address !== 0 ? aboutIn(this.session, picture.model, address)?.kind : undefined;
    return KIND_NAMES.find((name) => name === kind && picture?.model.kind !== name) ?? 'none';
  }

  /** Follows a link: selects what is there, in another view if need be. */
  private go(address: number): void {
    const { session, stage, pictures } = this;
    const here = stage.picture && stage.picture.model.index(address) >= 0;
    if (!here && !aboutStore(session, address)) {
      const place = pictures.find(address);
      if (place) {
        session.follow = false;
        session.show(place.view, place.store);
      }
    }
    session.select(address);
  }

  /** What a view says when there is nothing of its kind. */
  private offer(): Node[] {
    const { session } = this;
    if (!session.machine) return [make('p', {}, 'Getting memory ready…')];
    if (session.step === 0 && session.length > 0) {
      const step = () => byId('step').click();
      return [
        make(
          'p',
          {},
          `Nothing has happened yet: ${session.length.toLocaleString('en')} steps lie ahead. Play them, or go one by one.`,
        ),
        make('button', { type: 'button', onclick: step }, 'First step'),
      ];
    }
    const text =
      session.view === 'refs'
        ? 'No counted cell is alive at this step. A counted cell lives as long as somebody holds a reference to it.'
        : session.store
          ? 'Nothing has been allocated in this store yet.'
          : `There is no store of this kind at this step: ${VIEW_WORDS[session.view]} has nothing to show.`;
    const refs = session.view === 'refs' && session.machine.stores.length > 0;
    const [id, label] = refs
      ? ['do-ref', 'Allocate a counted cell']
      : session.store
        ? ['do-alloc', 'Allocate a cell']
        : ['do-make', 'Make a store'];
    const act = () => byId(id as string).click();
    return [make('p', {}, text), make('button', { type: 'button', onclick: act }, label ?? '')];
  }

  private makeStore(): void {
    const { session } = this;
    const name = (kind: string) => session.machine?.fresh(kind) ?? kind;
    askStore(session, MAKE_KIND[session.view], name)
      .then((line) => {
        if (line !== null) this.perform(line);
      })
      .catch((error: unknown) => this.fault(error));
  }

  // --- what is opened ---------------------------------------------------------------------------------

  async openPreset(preset: Preset, step = 0): Promise<void> {
    const { session } = this;
    clearNotice();
    session.playing = false;
    session.follow = true;
    session.preset = preset.id;
    session.about = preset.about;
    await session.open(preset.script, step);
    session.touch('play');
  }

  /** Opens what the address names: a link, a JSON document; without either the first story. */
  async openAddress(): Promise<void> {
    const hash = location.hash.slice(1);
    const first = presets[0];
    if (!first) return;
    if (hash === '') return this.openPreset(first);
    const failed = async (why: string) => {
      if (!this.session.machine) await this.openPreset(first);
      notice(why);
    };
    if (hash.startsWith('json=')) {
      const answer = await fetchJson(decodeURIComponent(hash.slice(5)));
      if ('error' in answer) return failed(answer.error);
      const made = scriptOfJson(answer.text);
      if ('error' in made) return failed(made.error);
      await this.openScript(made.script, Number.POSITIVE_INFINITY, { view: 'tree' });
      this.session.about = made.note;
      return this.session.touch('script');
    }
    const answer = await decodeLink(hash);
    if ('error' in answer) return failed(answer.error);
    const { script, step, view } = answer.link;
    await this.openScript(script, step, view);
  }

  private async openScript(script: string, step: number, view: Record<string, string>): Promise<void> {
    const { session } = this;
    clearNotice();
    session.playing = false;
    session.preset = presets.find((preset) => preset.script === script)?.id ?? '';
    session.about = '';
    session.follow = true;
    await session.open(script, step);
    const named = VIEWS.find((name) => name === view.view);
    if (named) session.show(named, view.store);
    session.touch('play');
  }
}

/** A document beside the page. */
async function fetchJson(address: string): Promise<{ text: string } | { error: string }> {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin)
    return { error: 'A document can only be opened from the place that this page came from.' };
  try {
    const response = await fetch(url);
    if (!response.ok)
      return { error: `The document ${address} could not be had: ${response.status} ${response.statusText}.` };
    return { text: await response.text() };
  } catch {
    return { error: `The document ${address} could not be had: the network or the server did not answer.` };
  }
}
