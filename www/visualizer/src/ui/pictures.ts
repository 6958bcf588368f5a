/** The five views, each with the model it was last drawn from. */

import { HeapView, LinearView } from '../draw/pieces.ts';
import { PoolView } from '../draw/pool.ts';
import { RefsView } from '../draw/refs.ts';
import { TreeView } from '../draw/tree.ts';
import type { View } from '../draw/view.ts';
import { Viewport } from '../draw/viewport.ts';
import { tidy } from '../model/layout/tidy.ts';
import { readHeap, readLinear } from '../model/pieces.ts';
import { readPool } from '../model/pool.ts';
import { readStore } from '../model/read.ts';
import { readRefs } from '../model/refs.ts';
import { readTree } from '../model/tree.ts';
import type { HeapModel, LinearModel, PoolModel, RefModel, StoreModel, TreeLayout, TreeModel } from '../model/types.ts';
import type { Session, ViewName } from './session.ts';

export type Model = StoreModel | RefModel;

/** A view with its model: what the stage draws. */
export interface Picture {
  view: View<Model>;
  model: Model;
  port: Viewport;
  /** The name of the store that it is of; '' of counted cells. */
  store: string;
}

export class Pictures {
  readonly pool = new PoolView();
  private layout: TreeLayout | undefined;
  readonly tree = new TreeView((model) => {
    this.layout = tidy(model, this.session.folded, this.layout);
    return this.layout;
  });
  private readonly linear = new LinearView();
  private readonly heap = new HeapView();
  private readonly refs = new RefsView();
  private readonly models: Partial<Record<ViewName, Model>> = {};
  private readonly ports = new Map<string, Viewport>();

  constructor(private readonly session: Session) {}

  /** Where a store was last looked at. */
  private port(key: string): Viewport {
    let port = this.ports.get(key);
    if (!port) {
      port = new Viewport();
      this.ports.set(key, port);
    }
    return port;
  }

  /** Forgets where the stores of another script were looked at. */
  forget(): void {
    this.ports.clear();
  }

  /** Reads what the session's view shows, or null if there is nothing of the kind. */
  read(): Picture | null {
    const { session } = this;
    const { machine, view, store } = session;
    if (!machine) return null;
    if (view === 'refs') {
      const model = readRefs(machine, machine.stores, this.models.refs as RefModel | undefined);
      this.models.refs = model;
      return model.count === 0 ? null : { view: this.viewOf('refs'), model, port: this.port('refs'), store: '' };
    }
    if (!store) return null;
    const port = this.port(`${view} ${store.name}`);
    const before = this.models[view];
    let model: Model;
    if (view === 'pool') {
      const old = before as PoolModel | undefined;
      const [from, to] = old?.store === store.handle ? this.pool.inView(old, port) : [0, Number.POSITIVE_INFINITY];
      model = readPool(machine, store, old, from, to);
    } else if (view === 'tree') model = readTree(machine, store, before as TreeModel | undefined);
    else if (view === 'linear') model = readLinear(machine, store, before as LinearModel | undefined);
    else model = readHeap(machine, store, before as HeapModel | undefined);
    this.models[view] = model;
    return { view: this.viewOf(view), model, port, store: store.name };
  }

  /** Reads all of a model again that was read in part. */
  readWhole(picture: Picture): void {
    const { machine, store } = this.session;
    if (machine && store && picture.model.kind === 'pool') readPool(machine, store, picture.model);
  }

  private viewOf(view: ViewName): View<Model> {
    return { pool: this.pool, tree: this.tree, linear: this.linear, heap: this.heap, refs: this.refs }[
      view
    ] as View<Model>;
  }

  /** The store and view in which something contains an address, the ones shown first; null if none does. */
  find(address: number): { view: ViewName; store: string } | null {
    const { session } = this;
    const { machine } = session;
    if (!machine || address === 0) return null;
    const here = session.store;
    // The innermost first: a node is looked for before the heap that it lies in.
    const order: Record<string, number> = { tree: 0, pool: 1, lin: 2, heap: 3 };
    const stores = [...machine.stores].sort((a, b) => (order[a.kind] ?? 9) - (order[b.kind] ?? 9));
    const all = here ? [here, ...stores.filter((store) => store !== here)] : stores;
    for (const store of all) {
      if (readStore(machine, store).index(address) >= 0) {
        const view = ({ tree: 'tree', pool: 'pool', lin: 'linear', heap: 'heap' } as const)[store.kind];
        return { view, store: store.name };
      }
    }
    return null;
  }
}
