import { KIND, RECORD, RECORD_STRIDE, WHAT } from './raw.js';

/** How a piece of memory was allocated. */
export type Kind = keyof typeof KIND;

/** What a piece of a store's memory is. */
export type What = keyof typeof WHAT;

/** The kinds, each at its number. */
export const KINDS = Object.keys(KIND) as readonly Kind[];

/** The sorts of pieces, each at its number. */
export const WHATS = Object.keys(WHAT) as readonly What[];

/** What stands in a column of an {@link Inspection}; `links` are five columns. */
export type Column = keyof typeof RECORD;

/** A piece of a store's memory. */
export interface Piece {
  /** The address at which it begins. */
  readonly at: number;
  /** Bytes, with header and rounding. */
  readonly len: number;
  readonly what: What;
  /** What the cell is used as; `none` for what is no cell. */
  readonly kind: Kind;
  /** The number of the block that it lies in. */
  readonly block: number;
  /** Bytes in front of the payload. */
  readonly header: number;
  /** Bytes of payload that were asked for. */
  readonly payload: number;
  /** Whether releasing it shreds it. */
  readonly tainted: boolean;
  /** How deep in its tree; the root is 0. */
  readonly depth: number;
  /** References to a counted cell. */
  readonly refs: number;
  /**
   * Addresses: for a free pool cell the next free one; for a node its parent, first child, last child, previous and
   * next sibling; for a counted cell its source.
   */
  readonly links: readonly number[];
}

/**
 * What a store's own structures said when it was asked: all pieces of its memory, in their order.
 *
 * The numbers lie in one array, {@link Inspection.stride} to a piece, so that a store of a million cells can be drawn
 * without a million objects. Blocks come one after the other, in each its pieces by address; of a tree, parent before
 * children.
 *
 * @example
 * ```ts
 * const { words, length, stride, column } = pool.inspect();
 * let used = 0;
 * for (let i = 0; i < length; i++) {
 *   if (words[i * stride + column.what] === WHAT.used) used++;
 * }
 * ```
 */
export class Inspection {
  /** The numbers. */
  readonly words: Uint32Array;
  /** Words of a piece. */
  readonly stride = RECORD_STRIDE;
  /** Which word of a piece says what. */
  readonly column = RECORD;

  /** @internal */
  constructor(words: Uint32Array) {
    this.words = words;
  }

  /** How many pieces there are. */
  get length(): number {
    return this.words.length / RECORD_STRIDE;
  }

  /**
   * A number of a piece.
   *
   * @example
   * ```ts
   * heap.inspect().get(0, 'len') === heap.stats().held; // true
   * ```
   */
  get(piece: number, column: Column): number {
    const word = this.words[piece * RECORD_STRIDE + RECORD[column]];
    if (word === undefined) throw new RangeError(`there are ${this.length} pieces, and none of number ${piece}`);
    return word;
  }

  /**
   * A piece as an object.
   *
   * @example
   * ```ts
   * heap.inspect().piece(0).what; // 'block'
   * ```
   */
  piece(piece: number): Piece {
    const links = piece * RECORD_STRIDE + RECORD.links;
    return {
      at: this.get(piece, 'at'),
      len: this.get(piece, 'len'),
      what: WHATS[this.get(piece, 'what')] as What,
      kind: KINDS[this.get(piece, 'kind')] as Kind,
      block: this.get(piece, 'block'),
      header: this.get(piece, 'header'),
      payload: this.get(piece, 'payload'),
      tainted: this.get(piece, 'tainted') !== 0,
      depth: this.get(piece, 'depth'),
      refs: this.get(piece, 'refs'),
      links: Array.from(this.words.subarray(links, links + 5)),
    };
  }

  /**
   * The pieces as objects, made one by one.
   *
   * @example
   * ```ts
   * let live = 0;
   * for (const piece of heap.inspect()) {
   *   if (piece.what === 'used') live++;
   * }
   * live; // 1
   * ```
   */
  *[Symbol.iterator](): IterableIterator<Piece> {
    for (let piece = 0; piece < this.length; piece++) yield this.piece(piece);
  }
}
