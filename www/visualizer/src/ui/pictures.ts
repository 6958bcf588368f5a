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
import type {
  HeapModel,
  LinearModel,
  PoolModel,
  RefModel,
  StoreKind,
  StoreModel,
  TreeLayout,
  TreeModel,
} from '../model/types.ts';
import { type Session, VIEW_OF, type ViewName } from './session.ts';

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
  private readonly pool = new PoolView();
  private layout: TreeLayout | undefined;
  private readonly tree = new TreeView((model) => {
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
    if (view === 'pool') model = readPool(machine, store, before as PoolModel | undefined);
    else if (view === 'tree') model = readTree(machine, store, before as TreeModel | undefined);
    else if (view === 'linear') model = readLinear(machine, store, before as LinearModel | undefined);
    else model = readHeap(machine, store, before as HeapModel | undefined);
    this.models[view] = model;
    return { view: this.viewOf(view), model, port, store: store.name };
  }

  private viewOf(view: ViewName): View<Model> {
    return { pool: this.pool, tree: this.tree, linear: this.linear, heap: this.heap, refs: this.refs }[
      view
    ] as View<Model>;
  }

  /** What contains an address in any store: the one that is shown first, then the innermost; null if nothing does. */
  find(address: number): { view: ViewName; store: string; model: StoreModel } | null {
    const { machine, store: shown } = this.session;
    if (!machine || address === 0) return null;
    // A node is looked for before the heap that it lies in.
    const order: StoreKind[] = ['tree', 'pool', 'lin', 'heap'];
    const stores = [...machine.stores].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    for (const store of shown ? [shown, ...stores] : stores) {
      const model = readStore(machine, store);
      if (model.index(address) >= 0) return { view: VIEW_OF[store.kind], store: store.name, model };
    }
    return null;
  }
}
