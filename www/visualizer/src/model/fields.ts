/** What the headers are made of, as the module tells it: no offset is written down here. */

import { type Form, type Front, KIND, type Owner, type RawKmem } from 'kmem/raw';

export type { Form, Front, Owner };
export type KindName = keyof typeof KIND;

/** All headers, and what the numbers in them are called. */
export class Layouts {
  private readonly fronts = new Map<string, Front>();
  private readonly offsets = new Map<string, number>();
  /** The states of cells by their numbers. */
  readonly states: ReadonlyMap<number, string>;

  constructor(raw: RawKmem) {
    for (const [kind, number] of Object.entries(KIND)) {
      for (const front of raw.fronts(number)) {
        this.fronts.set(`${kind} ${front.owner}`, front);
        for (const { name, offset } of front.fields) this.offsets.set(`${kind} ${front.owner} ${name}`, offset);
      }
    }
    this.states = raw.names('state');
  }

  /** The header of what a kind has of a sort. */
  front(kind: KindName, owner: Owner): Front | undefined {
    return this.fronts.get(`${kind} ${owner}`);
  }

  /** Where a field stands in a header. */
  offset(kind: KindName, owner: Owner, name: string): number {
    const offset = this.offsets.get(`${kind} ${owner} ${name}`);
    if (offset === undefined)
      throw new Error(`The module has no field “${name}” in the header of a ${kind}'s ${owner}.`);
    return offset;
  }

  /** How long the header of a kind's cell is. */
  header(kind: KindName): number {
    const front = this.front(kind, 'cell');
    if (!front) throw new Error(`The module has no header of a ${kind}'s cell.`);
    return front.size;
  }

  /** The number of a state. */
  state(name: string): number {
    for (const [number, state] of this.states) if (state === name) return number;
    throw new Error(`The module has no state “${name}”.`);
  }
}
