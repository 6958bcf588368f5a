/** The pieces of a heap or a region, as the module's walk tells them. */

import { RECORD, RECORD_STRIDE } from 'kmem/raw';
import { grown, type Look, lastAtMost, type StoreAt, viewsOf } from './look.ts';
import { type HeapModel, type LinearModel, type PiecesModel, type SizeClass, WHAT } from './types.ts';

class Pieces {
  store = 0;
  count = 0;
  at = new Uint32Array(0);
  len = new Uint32Array(0);
  what = new Uint8Array(0);
  kindOf = new Uint8Array(0);
  block = new Uint32Array(0);
  header = new Uint32Array(0);
  payload = new Uint32Array(0);
  tainted = new Uint8Array(0);
  blocks = 0;
  blockAt = new Uint32Array(0);
  blockLen = new Uint32Array(0);
  blockFirst = new Uint32Array(0);

  private room(count: number): void {
    this.at = grown(this.at, count);
    this.len = grown(this.len, count);
    this.what = grown(this.what, count);
    this.kindOf = grown(this.kindOf, count);
    this.block = grown(this.block, count);
    this.header = grown(this.header, count);
    this.payload = grown(this.payload, count);
    this.tainted = grown(this.tainted, count);
  }

  read(look: Look, store: StoreAt): void {
    const records = look.raw.records(store.handle);
    this.store = store.handle;
    this.count = 0;
    this.blocks = 0;
    this.room(records.length / RECORD_STRIDE);
    for (let at = 0; at < records.length; at += RECORD_STRIDE) {
      if (records[at + RECORD.what] === WHAT.block) this.addBlock(records, at);
      else this.add(records, at);
    }
    this.blockFirst = grown(this.blockFirst, this.blocks + 1);
    this.blockFirst[this.blocks] = this.count;
  }

  private addBlock(records: Uint32Array, at: number): void {
    const block = this.blocks;
    this.blockAt = grown(this.blockAt, block + 1);
    this.blockLen = grown(this.blockLen, block + 1);
    this.blockFirst = grown(this.blockFirst, block + 1);
    this.blockAt[block] = records[at + RECORD.at] as number;
    this.blockLen[block] = records[at + RECORD.len] as number;
    this.blockFirst[block] = this.count;
    this.blocks += 1;
  }

  private add(records: Uint32Array, at: number): void {
    const i = this.count;
    this.at[i] = records[at + RECORD.at] as number;
    this.len[i] = records[at + RECORD.len] as number;
    this.what[i] = records[at + RECORD.what] as number;
    this.kindOf[i] = records[at + RECORD.kind] as number;
    this.block[i] = records[at + RECORD.block] as number;
    this.header[i] = records[at + RECORD.header] as number;
    this.payload[i] = records[at + RECORD.payload] as number;
    this.tainted[i] = records[at + RECORD.tainted] as number;
    this.count += 1;
  }

  payloadAt(i: number): number {
    return (this.at[i] as number) + (this.header[i] as number);
  }

  index(address: number): number {
    for (let block = 0; block < this.blocks; block += 1) {
      const offset = address - (this.blockAt[block] as number);
      if (offset < 0 || offset >= (this.blockLen[block] as number)) continue;
      const found = lastAtMost(
        this.at,
        address,
        this.blockFirst[block] as number,
        this.blockFirst[block + 1] as number,
      );
      return found >= 0 && address < (this.at[found] as number) + (this.len[found] as number) ? found : -1;
    }
    return -1;
  }
}

class Linear extends Pieces implements LinearModel {
  readonly kind = 'lin';
  cursor = 0;
  limit = 0;
}

class Heap extends Pieces implements HeapModel {
  readonly kind = 'heap';
  classes: SizeClass[] = [];

  /** Counts the pieces by the power of two that their length reaches. */
  sort(): void {
    const classes: (SizeClass | undefined)[] = [];
    for (let i = 0; i < this.count; i += 1) {
      const [what, len] = [this.what[i], this.len[i] as number];
      const isFree = what === WHAT.free || what === WHAT.shredded;
      if (!isFree && what !== WHAT.used) continue;
      const power = 31 - Math.clz32(len);
      const found = classes[power] ?? { from: 2 ** power, free: 0, freeBytes: 0, used: 0, usedBytes: 0 };
      classes[power] = found;
      if (isFree) {
        found.free += 1;
        found.freeBytes += len;
      } else {
        found.used += 1;
        found.usedBytes += len;
      }
    }
    this.classes = classes.filter((found) => found !== undefined);
  }
}

/** Reads a region. */
export function readLinear(look: Look, store: StoreAt, model?: PiecesModel): LinearModel {
  const linear = model instanceof Linear ? model : new Linear();
  linear.read(look, store);
  const { words } = viewsOf(look);
  const head = (field: string): number =>
    words[(store.address + look.layouts.offset('lin', 'store', field)) >> 2] as number;
  linear.cursor = head('cursor');
  linear.limit = head('limit');
  return linear;
}

/** Reads a heap. */
export function readHeap(look: Look, store: StoreAt, model?: PiecesModel): HeapModel {
  const heap = model instanceof Heap ? model : new Heap();
  heap.read(look, store);
  heap.sort();
  return heap;
}
