/** What can be taken along: a permanent link, the picture, the state. */

import { RECORD, RECORD_STRIDE } from 'kmem/raw';
import { pngOf } from '../draw/png.ts';
import { encodeLink } from '../engine/link.ts';
import { KIND_NAMES, WHAT_NAMES } from '../model/types.ts';
import { notice, say } from './announce.ts';
import { byId } from './dom.ts';
import type { Session } from './session.ts';
import type { Stage } from './stage.ts';

export function startSharing(session: Session, stage: Stage, fault: (error: unknown) => void): void {
  const on = (id: string, act: () => Promise<void> | void) =>
    byId(id).addEventListener('click', () => {
      byId('export').hidePopover();
      Promise.resolve().then(act).catch(fault);
    });
  on('link', () => copyLink(session));
  on('export-svg', () => {
    const svg = stage.svg();
    if (svg === null) return notice('There is nothing in this view to export.', true);
    save(new Blob([svg], { type: 'image/svg+xml' }), `${fileName(session)}.svg`);
  });
  on('export-png', async () => {
    if (!stage.picture) return notice('There is nothing in this view to export.', true);
    save(await pngOf(byId<HTMLCanvasElement>('canvas')), `${fileName(session)}.png`);
  });
  on('export-json', () => {
    save(new Blob([stateOf(session)], { type: 'application/json' }), `kmem-step-${session.step}.json`);
  });
}

const fileName = (session: Session) => `kmem-${session.view}-step-${session.step}`;

/** Puts the link into the address and on the clipboard. */
async function copyLink(session: Session): Promise<void> {
  const { view, store, step } = session;
  const shown: Record<string, string> = { view };
  if (store) shown.store = store.name;
  const hash = await encodeLink({ script: session.machine?.program.text ?? session.text, step, view: shown });
  const url = new URL(location.href);
  url.hash = hash;
  history.replaceState(null, '', url);
  try {
    await navigator.clipboard.writeText(url.href);
    notice(
      `A link to this script and step is on the clipboard and in the address line (${url.href.length.toLocaleString('en')} characters).`,
      true,
    );
  } catch {
    notice('The link to this script and step stands in the address line; this browser did not let it be copied.', true);
  }
  say('The link is ready.');
}

/** All stores with all their records, as the module tells them. */
export function stateOf(session: Session): string {
  const { machine } = session;
  const stores = (machine?.stores ?? []).map((store) => {
    const words = machine?.raw.records(store.handle) ?? new Uint32Array(0);
    const records: object[] = [];
    for (let i = 0; i + RECORD_STRIDE <= words.length; i += RECORD_STRIDE) {
      const word = (column: number) => words[i + column] ?? 0;
      records.push({
        at: word(RECORD.at),
        len: word(RECORD.len),
        what: WHAT_NAMES[word(RECORD.what)],
        kind: KIND_NAMES[word(RECORD.kind)],
        block: word(RECORD.block),
        header: word(RECORD.header),
        payload: word(RECORD.payload),
        tainted: word(RECORD.tainted) !== 0,
        depth: word(RECORD.depth),
        refs: word(RECORD.refs),
        links: Array.from(words.subarray(i + RECORD.links, i + RECORD_STRIDE)),
      });
    }
    const { name, kind, address, source, fixed, tainted } = store;
    return { name, kind, address, source, fixed, tainted, stats: store.stats(), records };
  });
  return `${JSON.stringify({ script: machine?.program.text ?? '', step: session.step, stores }, null, 1)}\n`;
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun by then; until then the address must stay good.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`${name} is saved.`);
}
