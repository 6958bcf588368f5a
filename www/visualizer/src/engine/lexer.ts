/** Cuts a script into tokens, on demand: what `hex` is followed by is no ordinary number. */

import type { ScriptError } from './types.ts';

export type TokenKind = 'word' | 'name' | 'number' | 'text' | 'mark' | 'line' | 'end';

export interface Token {
  kind: TokenKind;
  /** A word, a name without its backquotes, a text without its quotes and with its escapes done, or the mark. */
  text: string;
  /** A number's value. */
  value: number;
  /** Where it begins and ends in the script. */
  start: number;
  stop: number;
  line: number;
  column: number;
}

/** What stops the reading of a statement. */
export class ScriptFault extends Error {
  constructor(
    message: string,
    readonly at: { line: number; column: number },
  ) {
    super(message);
  }

  error(): ScriptError {
    return { line: this.at.line, column: this.at.column, message: this.message };
  }
}

const BLANK = /[ \t\r]*(?:#[^\n]*)?/y;
const WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
const NUMBER = /0x[0-9a-f]+|\d+/iy;
const MARK = /\.\.|[=[\]{}();,:@+\-*/%]/y;
const HEX = /[ \t]*([0-9a-f_]*)/iy;
const ESCAPE = /\\(?:x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\}|(.))/giu;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', 0: '\0', '"': '"', '\\': '\\' };

export class Lexer {
  /** The token that is next. */
  token: Token;
  /** Where the token before it ended. */
  before = 0;
  private at = 0;
  private line = 1;
  private lineStart = 0;

  constructor(readonly text: string) {
    // As if a line had just ended, so that a fault in the first token is met like any other.
    this.token = { kind: 'line', text: '', value: 0, start: 0, stop: 0, line: 1, column: 1 };
  }

  /** Takes the next token. */
  take(): Token {
    const taken = this.token;
    this.before = taken.stop;
    this.token = this.read();
    return taken;
  }

  /** Takes the word `hex`, which is next, and the digits behind it: two a byte. */
  takeHex(): Uint8Array {
    const place = { line: this.token.line, column: this.at - this.lineStart + 1 };
    const digits = this.match(HEX)?.[1]?.replaceAll('_', '') ?? '';
    this.before = this.at;
    if (digits === '') throw new ScriptFault('Expected hexadecimal digits, such as 0badf00d.', place);
    if (this.match(WORD)) throw this.skip('These are not all hexadecimal digits.', place);
    if (digits.length % 2 === 1) throw new ScriptFault('A byte is two hexadecimal digits; the last has one.', place);
    this.token = this.read();
    return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
      Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
    );
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  private read(): Token {
    this.match(BLANK);
    const start = this.at;
    const place = { line: this.line, column: start - this.lineStart + 1 };
    const token = (kind: TokenKind, text: string, value = 0): Token => ({
      kind,
      text,
      value,
      start,
      stop: this.at,
      ...place,
    });
    if (start >= this.text.length) return token('end', '');
    const first = this.text[start];
    if (first === '\n') {
      this.at += 1;
      this.line += 1;
      this.lineStart = this.at;
      return token('line', '\n');
    }
    if (first === '"') return token('text', this.readText(place));
    if (first === '`') return token('name', this.readName(place));
    const word = this.match(WORD);
    if (word) return token('word', word[0]);
    const number = this.match(NUMBER);
    if (number) {
      const value = Number(number[0]);
      if (!Number.isSafeInteger(value)) throw this.skip('This number is too large.', place);
      if (this.match(WORD)) throw this.skip('A number ends here, and a word begins: put a space between them.', place);
      return token('number', number[0], value);
    }
    const mark = this.match(MARK);
    if (mark) return token('mark', mark[0]);
    const odd = String.fromCodePoint(this.text.codePointAt(start) ?? 0);
    this.at += odd.length;
    throw this.skip(`“${odd}” means nothing here.`, place);
  }

  /** After a fault, goes on at the end of the line. */
  private skip(message: string, place: { line: number; column: number }): ScriptFault {
    this.skipLine();
    return new ScriptFault(message, place);
  }

  /** Makes the end of this line the next token. */
  skipLine(): void {
    const end = this.text.indexOf('\n', this.at);
    this.at = end === -1 ? this.text.length : end;
    this.token = this.read();
  }

  private readText(place: { line: number; column: number }): string {
    const stop = this.endOfQuote('"', 'This text has no end: put a quotation mark behind it.', place);
    const raw = this.text.slice(this.at + 1, stop);
    this.at = stop + 1;
    return raw.replace(ESCAPE, (whole, byte, point, other) => {
      if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16));
      if (point !== undefined && Number.parseInt(point, 16) <= 0x10ffff)
        return String.fromCodePoint(Number.parseInt(point, 16));
      const plain = ESCAPES[other];
      if (plain === undefined)
        throw this.skip(`“${whole}” is no escape. There are \\n \\r \\t \\0 \\" \\\\ \\x41 and \\u{1f600}.`, place);
      return plain;
    });
  }

  private readName(place: { line: number; column: number }): string {
    const stop = this.endOfQuote('`', 'This name has no end: put a backquote behind it.', place);
    const name = this.text.slice(this.at + 1, stop);
    this.at = stop + 1;
    if (name === '') throw this.skip('A name cannot be empty.', place);
    return name;
  }

  private endOfQuote(quote: string, message: string, place: { line: number; column: number }): number {
    let stop = this.at + 1;
    while (stop < this.text.length && this.text[stop] !== quote && this.text[stop] !== '\n') {
      const isEscape = quote === '"' && this.text[stop] === '\\' && this.text[stop + 1] !== '\n';
      stop += isEscape ? 2 : 1;
    }
    if (this.text[stop] !== quote) throw this.skip(message, place);
    return stop;
  }
}
