/** Expressions: whole numbers, the counters of loops, and `random`. */

import { type Lexer, ScriptFault } from './lexer.ts';

/** The turns of the loops that are open, the outermost first. */
export type Turns = Float64Array;

/** The deepest that loops may stand in each other. */
export const DEEPEST = 16;

export interface Expr {
  of(turns: Turns): number;
  /** Which counters it reads: bit `d` for the loop at depth `d`. */
  reads: number;
}

/** What makes no sense in one turn of a loop and may in another. */
export class Wrong extends Error {}

/** What an expression may name, and what makes its random numbers its own. */
export interface Scope {
  /** Counters of the loops that are open, '' for those of `repeat`. */
  counters: string[];
  seed: { value: number };
  /** The number of the statement. */
  statement: number;
  /** `random` so far in this statement, and expressions that are open. */
  randoms: number;
  nesting: number;
}

export const constant = (value: number): Expr => ({ of: () => value, reads: 0 });

const OPERATORS: Record<string, { binds: number; of: (a: number, b: number) => number }> = {
  '+': { binds: 1, of: (a, b) => a + b },
  '-': { binds: 1, of: (a, b) => a - b },
  '*': { binds: 2, of: (a, b) => a * b },
  '/': { binds: 2, of: (a, b) => (a - remainder(a, b)) / b },
  '%': { binds: 2, of: remainder },
};

/** What is over when `a` is divided by `b`, of the sign of `b`. */
function remainder(a: number, b: number): number {
  const rest = a % nonzero(b);
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

function nonzero(divisor: number): number {
  if (divisor === 0) throw new Wrong('Nothing can be divided by 0.');
  return divisor;
}

/** Reads an expression. */
export function expression(lexer: Lexer, scope: Scope, least = 1): Expr {
  let left = operand(lexer, scope);
  for (;;) {
    const operator = lexer.token.kind === 'mark' ? OPERATORS[lexer.token.text] : undefined;
    if (!operator || operator.binds < least) return left;
    const at = lexer.take();
    const right = expression(lexer, scope, operator.binds + 1);
    left = join(operator.of, left, right, at);
  }
}

function join(
  of: (a: number, b: number) => number,
  left: Expr,
  right: Expr,
  at: { line: number; column: number },
): Expr {
  const reads = left.reads | right.reads;
  if (reads !== 0) return { of: (turns) => of(left.of(turns), right.of(turns)), reads };
  try {
    return constant(of(left.of(NONE), right.of(NONE)));
  } catch (fault) {
    if (fault instanceof Wrong) throw new ScriptFault(fault.message, at);
    throw fault;
  }
}

const NONE: Turns = new Float64Array(DEEPEST);

function operand(lexer: Lexer, scope: Scope): Expr {
  scope.nesting += 1;
  if (scope.nesting > 64) throw new ScriptFault('This expression has too many parts in each other.', lexer.token);
  const part = unary(lexer, scope);
  scope.nesting -= 1;
  return part;
}

function unary(lexer: Lexer, scope: Scope): Expr {
  const token = lexer.take();
  if (token.kind === 'number') return constant(token.value);
  if (token.text === '-' && token.kind === 'mark') {
    const { of, reads } = operand(lexer, scope);
    return { of: (turns) => -of(turns), reads };
  }
  if (token.text === '(' && token.kind === 'mark') {
    const inner = expression(lexer, scope);
    closing(lexer);
    return inner;
  }
  if (token.kind === 'word' && token.text === 'random') {
    if (lexer.token.text !== '(')
      throw new ScriptFault('After “random” a number stands in brackets: random(10) is one of 0 to 9.', lexer.token);
    lexer.take();
    const below = expression(lexer, scope);
    closing(lexer);
    return random(scope, below);
  }
  const depth = token.kind === 'word' ? scope.counters.lastIndexOf(token.text) : -1;
  if (depth >= 0) return { of: (turns) => turns[depth] as number, reads: 1 << depth };
  if (token.kind === 'word')
    throw new ScriptFault(`Expected a number, and “${token.text}” is no counter of a loop around it.`, token);
  throw new ScriptFault('Expected a number.', token);
}

function closing(lexer: Lexer): void {
  if (lexer.token.kind !== 'mark' || lexer.token.text !== ')')
    throw new ScriptFault('Expected a closing bracket: )', lexer.token);
  lexer.take();
}

/** A number that depends on nothing but the seed, the place in the script and the turns of its loops: so that any step can be worked out by itself. */
function random(scope: Scope, below: Expr): Expr {
  const { seed, statement } = scope;
  const depth = scope.counters.length;
  scope.randoms += 1;
  const call = scope.randoms;
  const of = (turns: Turns): number => {
    const most = below.of(turns);
    if (!(most >= 1)) throw new Wrong(`random(${most}) has no number to choose from.`);
    let hash = mix(mix(seed.value | 0, statement), call);
    for (let d = 0; d < depth; d += 1) hash = mix(hash, turns[d] as number);
    return Math.floor(((hash >>> 0) / 2 ** 32) * most);
  };
  return { of, reads: (1 << depth) - 1 };
}

/** A step of MurmurHash3's, for 32 bits. */
function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0xcc9e2d51);
  h = Math.imul((h << 15) | (h >>> 17), 0x1b873593) ^ hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** `value` as a whole number that can count or measure something. */
export function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Wrong('This number is too large.');
  return value;
}
