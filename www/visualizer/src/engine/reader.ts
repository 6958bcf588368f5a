/** What reading a script rests on: faults that are noted and gone on after, numbers, and names. */

import { type Expr, expression, type Scope, type Turns, Wrong, whole } from './expr.ts';
import { Lexer, ScriptFault, type Token } from './lexer.ts';
import { nearest } from './nearest.ts';
import { Counter } from './program.ts';
import type { Cond, Place, ScriptError, StoreKind } from './types.ts';
import { CONDS, RESERVED, STORES } from './words.ts';

/** The largest index of a name. */
const MOST_INDEX = 9_999_999;
/** A script with more errors than this has another problem. */
const MOST_ERRORS = 20;

/** What a name holds: a store of a kind, a cell, or a mark. */
export type Role = StoreKind | 'cell' | 'mark';

interface Name {
  id: number;
  role: Role;
  /** Whether it holds something without an index, and with one. */
  plain: boolean;
  indexed: boolean;
}

export type PlaceOf = (turns: Turns) => Place;

export class Reader {
  protected readonly lexer: Lexer;
  protected readonly errors: ScriptError[] = [];
  protected readonly names = new Map<string, Name>();
  protected readonly count = new Counter();
  protected readonly scope: Scope = { counters: [], seed: { value: 1 }, statement: 0, randoms: 0, nesting: 0 };

  constructor(protected readonly text: string) {
    this.lexer = new Lexer(text);
  }

  protected cond(): Cond {
    const token = this.lexer.token;
    const cond = CONDS.find((known) => token.kind === 'word' && known === token.text);
    if (!cond) throw new ScriptFault(`Expected a condition: ${CONDS.join(', ')}.`, token);
    this.lexer.take();
    return cond;
  }

  protected number(): (turns: Turns) => number {
    const { of } = expression(this.lexer, this.scope);
    return (turns) => toSize(of(turns));
  }

  protected fixedNumber(what: string): number {
    const at = this.lexer.token;
    const { of, reads } = expression(this.lexer, this.scope);
    if (reads !== 0) throw new ScriptFault(`After “${what}” stands a number that is the same in every turn.`, at);
    return of(this.count.turns);
  }

  protected cell(): PlaceOf {
    return this.place('cell');
  }

  /** A node, or a tree for its root. */
  protected node(): PlaceOf {
    return this.place('cell', 'tree');
  }

  protected storeNamed(): Place {
    return this.place(...STORES)(this.count.turns);
  }

  protected place(...roles: Role[]): PlaceOf {
    return this.located(...roles).of;
  }

  /** A name that holds something, of one of these roles. */
  protected located(...roles: Role[]): { of: PlaceOf; role: Role } {
    const token = this.lexer.token;
    if (token.kind !== 'word' && token.kind !== 'name')
      throw new ScriptFault(`Expected the name of ${words(roles)}.`, token);
    const known = this.names.get(token.text);
    if (!known) throw new ScriptFault(this.unknown(token, roles), token);
    this.lexer.take();
    const isStore = known.role !== 'cell' && known.role !== 'mark';
    if (isStore && this.isMark('@')) return { of: this.cellAt(token, known, roles), role: 'cell' };
    if (!roles.includes(known.role))
      throw new ScriptFault(`“${token.text}” is ${word(known.role)}; expected ${words(roles)}.`, token);
    const index = this.index();
    if (index ? !known.indexed : !known.plain) {
      throw new ScriptFault(
        index ? `“${token.text}” has no index.` : `“${token.text}” has an index: ${token.text}[0]`,
        token,
      );
    }
    return { of: placeOf(token.text, known.id, index), role: known.role };
  }

  /** `p@0x10040`. */
  protected cellAt(token: Token, store: Name, roles: Role[]): PlaceOf {
    if (!roles.includes('cell'))
      throw new ScriptFault(`Expected ${words(roles)}, not a cell of one.`, this.lexer.token);
    this.lexer.take();
    const at = this.number();
    return (turns) => ({ name: token.text, id: store.id, index: -1, at: at(turns) });
  }

  protected unknown(token: Token, roles: Role[]): string {
    if (token.kind === 'word' && RESERVED.has(token.text))
      return `“${token.text}” is a word of the language; expected the name of ${words(roles)}.`;
    const fitting = [...this.names].filter(([, name]) => roles.includes(name.role)).map(([name]) => name);
    const known = nearest(token.text, fitting);
    return `Nothing before this makes “${token.text}”.${known ? ` Is “${known}” meant?` : ''}`;
  }

  protected index(): Expr | null {
    if (!this.isMark('[')) return null;
    this.lexer.take();
    const index = expression(this.lexer, this.scope);
    this.mark(']', 'Expected the bracket that ends the index: ]');
    return index;
  }

  protected target(role: Role): PlaceOf {
    const name = this.lexer.token;
    if (name.kind !== 'word' && name.kind !== 'name') throw new ScriptFault('Expected a name.', name);
    this.lexer.take();
    return this.define(name, role, this.index());
  }

  /** Notes that a name holds something of a role from here on. */
  protected define(token: Token, role: Role, index: Expr | null): PlaceOf {
    if (token.kind === 'word' && RESERVED.has(token.text))
      throw new ScriptFault(`“${token.text}” is a word of the language and cannot be a name.`, token);
    if (token.kind === 'word' && this.scope.counters.includes(token.text))
      throw new ScriptFault(`“${token.text}” is the counter of a loop.`, token);
    let name = this.names.get(token.text);
    if (name && name.role !== role)
      throw new ScriptFault(`“${token.text}” is ${word(name.role)} already and cannot be ${word(role)} too.`, token);
    if (!name) {
      name = { id: this.names.size, role, plain: false, indexed: false };
      this.names.set(token.text, name);
    }
    if (index) name.indexed = true;
    else name.plain = true;
    return placeOf(token.text, name.id, index);
  }

  protected defineStore(kind: StoreKind): Place {
    const name = this.lexer.token;
    if (name.kind !== 'word' && name.kind !== 'name') throw new ScriptFault(`Expected a name for the ${kind}.`, name);
    this.lexer.take();
    if (this.isMark('[')) throw new ScriptFault('The name of a store has no index.', this.lexer.token);
    return this.define(name, kind, null)(this.count.turns);
  }

  protected isWord(text: string): boolean {
    return this.lexer.token.kind === 'word' && this.lexer.token.text === text;
  }

  protected isMark(text: string): boolean {
    return this.lexer.token.kind === 'mark' && this.lexer.token.text === text;
  }

  protected word(text: string, otherwise: string): void {
    if (!this.isWord(text)) throw new ScriptFault(otherwise, this.lexer.token);
    this.lexer.take();
  }

  protected mark(text: string, otherwise: string): void {
    if (!this.isMark(text)) throw new ScriptFault(otherwise, this.lexer.token);
    this.lexer.take();
  }

  /** Does a part of the reading; after a fault, notes it and goes on with the next statement, or where `skip` goes. */
  protected guarded<T>(read: () => T, skip = () => this.skipStatement()): T | null {
    try {
      return read();
    } catch (fault) {
      const noted = fault instanceof Wrong ? new ScriptFault(fault.message, this.lexer.token) : fault;
      if (!(noted instanceof ScriptFault)) throw fault;
      this.note(noted);
      skip();
      return null;
    }
  }

  /** Goes on to the end of the statement, or of the line. */
  protected skipStatement(): void {
    for (let open = 0; !this.isAtEnd() && !(open === 0 && (this.isMark(';') || this.isMark('}'))); this.skipToken()) {
      if (this.isMark('{')) open += 1;
      if (this.isMark('}')) open -= 1;
    }
  }

  /** After a fault in what a loop counts: its body can still be read. */
  protected skipToBody(): void {
    while (!this.isAtEnd() && !this.isMark('{')) this.skipToken();
  }

  protected skipToken(): void {
    try {
      this.lexer.take();
    } catch (fault) {
      // A second fault in one statement is not worth telling; the line is over.
      if (!(fault instanceof ScriptFault)) throw fault;
    }
  }

  protected isAtEnd(): boolean {
    return this.lexer.token.kind === 'line' || this.lexer.token.kind === 'end';
  }

  protected note(fault: ScriptFault): void {
    if (this.errors.length < MOST_ERRORS) this.errors.push(fault.error());
  }
}

function placeOf(name: string, id: number, index: Expr | null): PlaceOf {
  if (!index) {
    const place: Place = { name, id, index: -1, at: -1 };
    return () => place;
  }
  return (turns) => ({ name, id, index: toIndex(index.of(turns)), at: -1 });
}

function toIndex(value: number): number {
  if (value >= 0 && value <= MOST_INDEX) return value;
  throw new Wrong(`An index is a number from 0 to ${MOST_INDEX.toLocaleString('en')}, and this one is ${value}.`);
}

export function toSize(value: number): number {
  if (value < 0) throw new Wrong(`A number that measures cannot be below 0, and this one is ${value}.`);
  return whole(value);
}

/** Where an address can stand: those at other places would not be seen. */
export function toWord(value: number): number {
  if (value % 4 === 0) return value;
  throw new Wrong(`An address stands at a multiple of 4, and ${value} is none.`);
}

export function toByte(value: number): number {
  if (value <= 255) return value;
  throw new Wrong(`A byte is a number from 0 to 255, and this one is ${value}.`);
}

function word(role: Role): string {
  return `a ${role === 'lin' ? 'region' : role}`;
}

function words(roles: Role[]): string {
  const all = STORES.every((store) => roles.includes(store))
    ? [...roles.filter((role) => role === 'cell').map(word), 'a store']
    : roles.map(word);
  return all.length === 1 ? (all[0] as string) : `${all.slice(0, -1).join(', ')} or ${all[all.length - 1]}`;
}
