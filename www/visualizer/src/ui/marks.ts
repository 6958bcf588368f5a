/** The marks of a region that can still be rewound to, by the names that the script gave them. */

import type { StoreState } from '../engine/types.ts';
import { readLinear } from '../model/pieces.ts';
import { WHAT } from '../model/types.ts';
import type { Session } from './session.ts';

/** So many steps are looked back through. */
const MOST_STEPS = 10_000;

/** Names of marks, the newest first. */
function names({ machine }: Session, store: StoreState): string[] {
  const found: string[] = [];
  if (!machine) return found;
  let passed: string | null = null;
  const last = Math.max(0, machine.present - MOST_STEPS);
  for (let i = machine.present - 1; i >= last; i -= 1) {
    const step = machine.program.step(i);
    if (!('store' in step) || step.store.name !== store.name || machine.outcome(i)?.what !== 'ok') continue;
    if (step.op === 'make' || step.op === 'reset') break;
    if (step.op === 'rewind') passed ??= step.mark.name;
    else if (step.op === 'mark') {
      if (passed === null) found.push(step.to.name);
      else if (passed === step.to.name) passed = null;
    }
  }
  return found;
}

/** The name of the mark at an address of a region, or of the newest; '' if there is none. */
export function markAt(session: Session, store: StoreState, address: number): string {
  const { machine } = session;
  if (!machine || store.kind !== 'lin') return '';
  const known = names(session, store);
  const model = readLinear(machine, store);
  // The newest chunk comes first, and in it the newest mark last.
  const places: number[] = [];
  for (let block = 0; block < model.blocks; block += 1) {
    for (let i = (model.blockFirst[block + 1] ?? 0) - 1; i >= (model.blockFirst[block] ?? 0); i -= 1) {
      if (model.what[i] === WHAT.mark) places.push(i);
    }
  }
  const selected = address === 0 ? -1 : places.indexOf(model.index(address));
  return known[Math.max(0, selected)] ?? '';
}
