/** What the script calls what is drawn: from addresses to names, as they are at the present step. */

import { hexOf } from '../draw/view.ts';
import { printName } from '../engine/print.ts';
import type { StoreState } from '../engine/types.ts';
import type { KindName } from '../model/fields.ts';
import { readPool } from '../model/pool.ts';
import { readStore } from '../model/read.ts';
import type { Session } from './session.ts';

/** A cell that the module knows: its store, and its own payload. */
interface Found {
  store: StoreState;
  payload: number;
}

export class Names {
  /** Where blocks of stores begin that lie in other stores. */
  private readonly blocks = new Map<number, string>();
  private known = -1;

  constructor(private readonly session: Session) {}

  /**
   * The name of the cell or store at an address, or ''. A counted cell and a node lie in a cell of another store:
   * `kind` is what that cell is used as, so that their name is found from its payload too.
   */
  at(address: number, kind: KindName = 'none'): string {
    const { machine } = this.session;
    const found = machine && this.find(address, kind);
    if (found) return machine.nameAt(found.store, found.payload);
    return machine?.stores.find((store) => store.address === address)?.name ?? this.blockAt(address);
  }

  /** The store of which a block begins at an address. */
  private blockAt(address: number): string {
    const { machine, version } = this.session;
    if (machine && this.known !== version) {
      this.known = version;
      this.blocks.clear();
      for (const store of machine.stores) {
        // Nodes are told by their own names.
        if (store.source === null || store.kind === 'tree') continue;
        const model = store.kind === 'pool' ? readPool(machine, store, undefined, 0, 0) : readStore(machine, store);
        if (model.kind === 'tree') continue;
        const blocks = model.kind === 'pool' ? model.runs : model.blocks;
        for (let b = 0; b < blocks; b += 1) this.blocks.set(model.blockAt[b] ?? 0, `block of ${store.name}`);
      }
    }
    return this.blocks.get(address) ?? '';
  }

  /** Its name, or else its address. */
  label(address: number, kind: KindName = 'none'): string {
    return this.at(address, kind) || hexOf(address);
  }

  /** How a script writes the cell at an address: its name, or where it lies in its store. */
  operand(address: number, kind: KindName = 'none'): string {
    const { machine, store } = this.session;
    if (!machine || address === 0) return '';
    const found = this.find(address, kind);
    if (found) return machine.operand(found.store, found.payload);
    return store ? `${printName(store.name)}@0x${address.toString(16)}` : '';
  }

  /** Looks in the store that is shown first, then in all others. */
  private find(address: number, kind: KindName): Found | null {
    const { machine, store: shown } = this.session;
    if (!machine || address === 0) return null;
    const payload = kind === 'ref' || kind === 'tree' ? address + machine.layouts.header(kind) : address;
    const { cell_at } = machine.raw.exports;
    if (shown && cell_at(shown.handle, payload) > 0) return { store: shown, payload };
    for (const store of machine.stores) {
      if (store !== shown && cell_at(store.handle, payload) > 0) return { store, payload };
    }
    return kind === 'none' || payload === address ? null : this.find(address, 'none');
  }

  /** The store that holds the cell at an address. */
  storeAt(address: number): StoreState | null {
    return this.find(address, 'none')?.store ?? null;
  }
}
