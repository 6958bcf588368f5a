/**
 * The script language: one operation a line.
 *
 * ```text
 * # a pool in a heap, a loop, and a refusal that is part of the story
 * heap h
 * pool p cell 24 cells 8 in h
 * say "Eight cells are handed out."
 * for i in 0..7 { a[i] = alloc p }
 * expect bad_address: free b
 * ```
 */

import { constant, DEEPEST, type Expr, expression, type Turns } from './expr.ts';
import { ScriptFault, type Token } from './lexer.ts';
import { nearest } from './nearest.ts';
import { Block, BlockProgram, type Statement } from './program.ts';
import { Reader, toByte, toSize, toWord } from './reader.ts';
import type { Cond, Place, Program, ScriptError, Step, StoreKind } from './types.ts';
import { ON_CELL, RESERVED, STORES, VERBS } from './words.ts';

/** All of a step but what every step has. */
type Bare<S = Step> = S extends Step ? Omit<S, 'line' | 'expect'> : never;

/** Puts into a step what every step has. It is the step's own object: one is made for each step that is run. */
function complete(bare: Bare, line: number, expect: Cond | null): Step {
  const step = bare as Step;
  step.line = line;
  step.expect = expect;
  return step;
}

/** Reads a script. The program holds every line that could be read. */
export function parse(text: string): { program: Program; errors: ScriptError[] } {
  return new Parser(text).parse();
}

class Parser extends Reader {
  private said: { start: number; text: string }[] = [];

  parse(): { program: Program; errors: ScriptError[] } {
    const root = this.guarded(() => this.block(null)) ?? new Block(0).close(this.count);
    const names = [...this.names.keys()];
    const program = new BlockProgram(this.text, names, root, this.count);
    return { program, errors: this.errors };
  }

  // --- statements ---------------------------------------------------------------------------------

  /** Statements up to the end, or to the bracket that closes what `opened` opened. */
  private block(opened: Token | null): Block {
    const block = new Block(this.scope.counters.length);
    for (;;) {
      const { kind, text } = this.lexer.token;
      if (kind === 'end') {
        if (opened) this.note(new ScriptFault('This bracket is never closed.', opened));
        break;
      }
      if (text === '}' && kind === 'mark') {
        if (opened) break;
        this.note(new ScriptFault('No loop is open that this bracket could close.', this.lexer.token));
        this.guarded(() => this.lexer.take());
        continue;
      }
      if (kind === 'line' || (text === ';' && kind === 'mark')) {
        this.guarded(() => this.lexer.take());
        continue;
      }
      const statement = this.guarded(() => this.statement());
      if (statement) block.statements.push(statement);
      this.guarded(() => this.endOfStatement());
    }
    block.lastSay = this.takeSaid(this.lexer.token).say;
    // A block whose steps cannot be counted is left out.
    return this.guarded(() => block.close(this.count)) ?? new Block(block.depth).close(this.count);
  }

  private endOfStatement(): void {
    const { kind, text } = this.lexer.token;
    if (kind === 'line' || kind === 'end' || (kind === 'mark' && (text === ';' || text === '}'))) return;
    // The bracket that closes a loop ends its statement.
    if (this.text[this.lexer.before - 1] === '}') return;
    throw new ScriptFault('The operation is complete here; what follows does not belong to it.', this.lexer.token);
  }

  private statement(): Statement | null {
    this.scope.statement += 1;
    this.scope.randoms = 0;
    this.scope.nesting = 0;
    const first = this.lexer.token;
    if (this.isWord('say')) return this.say();
    if (this.isWord('seed')) return this.seed(first);
    if (this.isWord('repeat') || this.isWord('for')) return this.loop(first);
    const { begin, say } = this.takeSaid(first);
    let expect: Cond | null = null;
    if (this.isWord('expect')) {
      this.lexer.take();
      expect = this.cond();
      this.mark(':', 'After the condition stands a colon, and then the operation: expect no_room: b = alloc p');
    }
    const make = this.operation();
    const line = first.line;
    return { is: 'operation', line, say, begin, make: (turns) => complete(make(turns), line, expect) };
  }

  private say(): null {
    const { start } = this.lexer.take();
    const text = this.lexer.token;
    if (text.kind !== 'text') throw new ScriptFault('After “say” stands a sentence in quotation marks.', text);
    this.said.push({ start, text: this.lexer.take().text });
    return null;
  }

  /** The sentences that belong to what begins here, and where the first of them begins. */
  private takeSaid(first: Token): { say: string; begin: number } {
    const { said } = this;
    this.said = [];
    return { say: said.map(({ text }) => text).join(' '), begin: said[0]?.start ?? first.start };
  }

  private seed(first: Token): null {
    this.lexer.take();
    const value = this.fixedNumber('seed');
    if (this.scope.statement > 1)
      throw new ScriptFault('“seed” stands before everything else: what is random depends on it.', first);
    this.scope.seed.value = value;
    return null;
  }

  private loop(first: Token): Statement | null {
    const depth = this.scope.counters.length;
    if (depth === DEEPEST) throw new ScriptFault(`Loops can stand in each other ${DEEPEST} deep.`, first);
    const { begin, say } = this.takeSaid(first);
    const span = this.guarded(
      () => this.span(),
      () => this.skipToBody(),
    );
    const opened = this.lexer.token;
    if (!span && !this.isMark('{')) return null;
    this.mark('{', 'Expected the bracket { that begins what is repeated.');
    this.scope.counters.push(span?.counter ?? '');
    const body = this.block(opened);
    this.scope.counters.pop();
    if (this.isMark('}')) this.lexer.take();
    if (!span) return null;
    const { counter, from, to, by } = span;
    const [stop, place] = [this.lexer.before, { line: first.line, column: first.column }];
    const rest = this.text.slice(opened.start, stop);
    const step = by === 1 ? '' : ` by ${by}`;
    const head = (last: number, turns: Turns): string =>
      counter === ''
        ? `repeat ${last + 1} ${rest}`
        : `for ${counter} in ${from.of(turns)}..${from.of(turns) + last * by}${step} ${rest}`;
    return { is: 'loop', ...place, say, begin, start: first.start, stop, depth, from, to, by, body, head };
  }

  /** What is counted: `repeat 10`, `for i in 0..9`. */
  private span(): { counter: string; from: Expr; to: Expr; by: number } {
    const isRepeat = this.lexer.take().text === 'repeat';
    if (isRepeat) {
      const times = expression(this.lexer, this.scope);
      return { counter: '', from: constant(0), to: { of: (turns) => times.of(turns) - 1, reads: times.reads }, by: 1 };
    }
    const counter = this.counter();
    this.word('in', 'After the counter stands “in”, and from where to where: for i in 0..9');
    const from = expression(this.lexer, this.scope);
    this.mark('..', 'Expected .. and the last number: for i in 0..9');
    const to = expression(this.lexer, this.scope);
    if (!this.isWord('by')) return { counter, from, to, by: 1 };
    this.lexer.take();
    const at = this.lexer.token;
    const by = this.fixedNumber('by');
    if (by === 0) throw new ScriptFault('A counter that goes on by 0 never arrives.', at);
    return { counter, from, to, by };
  }

  private counter(): string {
    const token = this.lexer.token;
    if (token.kind !== 'word' || RESERVED.has(token.text))
      throw new ScriptFault('Expected the name of the counter: for i in 0..9', token);
    if (this.scope.counters.includes(token.text))
      throw new ScriptFault(`A loop around this one counts with “${token.text}” already.`, token);
    return this.lexer.take().text;
  }

  // --- operations ---------------------------------------------------------------------------------

  private operation(): (turns: Turns) => Bare {
    const token = this.lexer.token;
    const verb = token.kind === 'word' ? token.text : '';
    const kind = STORES.find((store) => store === verb);
    if (kind) return this.store(kind);
    const onCell = ON_CELL.find((op) => op === verb);
    if (onCell) return this.onCell(onCell);
    switch (verb) {
      case 'resize': {
        this.lexer.take();
        const [cell, size] = [this.cell(), this.number()];
        return (turns) => ({ op: 'resize', cell: cell(turns), size: size(turns) });
      }
      case 'move': {
        this.lexer.take();
        const cell = this.cell();
        this.word('to', 'Expected “to” and the new parent: move n to m');
        const parent = this.node();
        return (turns) => ({ op: 'move', cell: cell(turns), parent: parent(turns) });
      }
      case 'mark': {
        this.lexer.take();
        const store = this.storeNamed();
        this.word('as', 'Expected “as” and a name for the mark: mark l as k');
        const to = this.target('mark');
        return (turns) => ({ op: 'mark', store, to: to(turns) });
      }
      case 'rewind': {
        this.lexer.take();
        const store = this.storeNamed();
        this.word('to', 'Expected “to” and the mark: rewind l to k');
        const mark = this.place('mark');
        return (turns) => ({ op: 'rewind', store, mark: mark(turns) });
      }
      case 'reset':
      case 'destroy': {
        this.lexer.take();
        const store = this.storeNamed();
        return () => ({ op: verb, store });
      }
      case 'write':
        return this.write();
      case 'fill': {
        this.lexer.take();
        const [cell, byte] = [this.cell(), this.number()];
        return (turns) => ({ op: 'fill', cell: cell(turns), byte: toByte(byte(turns)) });
      }
      case 'point':
        return this.point();
    }
    return this.assignment(token);
  }

  private store(kind: StoreKind): (turns: Turns) => Bare {
    this.lexer.take();
    const name = this.lexer.token;
    const store = this.defineStore(kind);
    const sizes: Record<string, Expr> = {};
    let source: Place | null = null;
    const allowed: Record<string, string[]> = {
      heap: [],
      lin: ['capacity'],
      pool: ['cell', 'align', 'cells', 'limit'],
      tree: [],
    };
    const options = ['in', 'fixed', ...(allowed[kind] ?? [])];
    while (this.lexer.token.kind === 'word') {
      const option = this.lexer.take();
      if (!options.includes(option.text))
        throw new ScriptFault(`A ${kind} has no “${option.text}”; it can have: ${options.join(', ')}.`, option);
      if (option.text in sizes || (option.text === 'in' && source))
        throw new ScriptFault(`“${option.text}” is here twice.`, option);
      if (option.text === 'in') source = this.storeNamed();
      else sizes[option.text] = expression(this.lexer, this.scope);
      if (source && sizes.fixed)
        throw new ScriptFault('A store is in another one or fixed in bytes of its own, not both.', option);
    }
    if (source?.id === store.id) throw new ScriptFault('A store cannot be in itself.', name);
    if (kind === 'pool' && !sizes.cell)
      throw new ScriptFault(`A pool needs the size of its cells: pool ${name.text} cell 24`, name);
    const size = (option: string, turns: Turns): number => (sizes[option] ? toSize(sizes[option].of(turns)) : 0);
    return (turns) => ({
      op: 'make',
      kind,
      store,
      source,
      fixed: size('fixed', turns),
      capacity: size('capacity', turns),
      cell: size('cell', turns),
      align: size('align', turns),
      cells: size('cells', turns),
      limit: size('limit', turns),
    });
  }

  private onCell(op: (typeof ON_CELL)[number]): (turns: Turns) => Bare {
    this.lexer.take();
    if (op === 'free' && this.isWord('children')) {
      this.lexer.take();
      this.word('of', 'Expected “of” and the node: free children of n');
      const parent = this.node();
      return (turns) => ({ op: 'free children', cell: parent(turns) });
    }
    const cell = op === 'taint' ? this.place('cell', ...STORES) : this.cell();
    return (turns) => ({ op, cell: cell(turns) });
  }

  private write(): (turns: Turns) => Bare {
    this.lexer.take();
    const cell = this.cell();
    const what = this.lexer.token;
    let bytes: Uint8Array;
    if (what.kind === 'text') bytes = new TextEncoder().encode(this.lexer.take().text);
    else if (this.isWord('hex')) bytes = this.lexer.takeHex();
    else throw new ScriptFault('Expected a text in quotation marks, or “hex” and digits.', what);
    return (turns) => ({ op: 'write', cell: cell(turns), bytes });
  }

  private point(): (turns: Turns) => Bare {
    this.lexer.take();
    const cell = this.cell();
    this.word('at', 'Expected “at” and the cell to point at: point a at b');
    const target = this.cell();
    let offset: (turns: Turns) => number = () => 0;
    if (this.isWord('offset')) {
      this.lexer.take();
      offset = this.number();
    }
    return (turns) => ({ op: 'point', cell: cell(turns), target: target(turns), offset: toWord(offset(turns)) });
  }

  /** `a = alloc h 100`, or no operation at all. */
  private assignment(first: Token): (turns: Turns) => Bare {
    const isName = first.kind === 'name' || (first.kind === 'word' && !RESERVED.has(first.text));
    if (!isName) throw new ScriptFault('Expected an operation.', first);
    const unknown = first.kind === 'word' && !this.startsAssignment();
    if (unknown) {
      const known = nearest(first.text, VERBS);
      throw new ScriptFault(`“${first.text}” is no operation.${known ? ` Is “${known}” meant?` : ''}`, first);
    }
    const name = this.lexer.take();
    const index = this.index();
    this.mark('=', 'Expected = and what the name is to hold: a = alloc h 100');
    const how = this.lexer.token;
    if (this.isWord('dup')) {
      this.lexer.take();
      const cell = this.cell();
      const to = this.define(name, 'cell', index);
      return (turns) => ({ op: 'dup', to: to(turns), cell: cell(turns) });
    }
    if (!this.isWord('alloc') && !this.isWord('ref')) throw new ScriptFault('Expected “alloc”, “ref” or “dup”.', how);
    const op = this.lexer.take().text as 'alloc' | 'ref';
    const { of: from, role } = op === 'alloc' ? this.located('cell', ...STORES) : this.located(...STORES);
    let size: (turns: Turns) => number = () => -1;
    if (this.startsNumber()) size = this.number();
    else if (op === 'ref' || role !== 'pool') throw new ScriptFault('Expected the number of bytes.', this.lexer.token);
    let align: (turns: Turns) => number = () => 0;
    let zero = false;
    for (;;) {
      if (this.isWord('align')) {
        this.lexer.take();
        align = this.number();
      } else if (this.isWord('zero')) {
        this.lexer.take();
        zero = true;
      } else break;
    }
    const to = this.define(name, 'cell', index);
    return (turns) => ({ op, to: to(turns), from: from(turns), size: size(turns), align: align(turns), zero });
  }

  private startsAssignment(): boolean {
    const rest = this.text.slice(this.lexer.token.stop, this.lexer.token.stop + 200);
    return /^[ \t]*[=[]/.test(rest);
  }

  private startsNumber(): boolean {
    const { kind, text } = this.lexer.token;
    if (kind === 'word') return text === 'random' || this.scope.counters.includes(text);
    return kind === 'number' || (kind === 'mark' && (text === '(' || text === '-'));
  }
}
