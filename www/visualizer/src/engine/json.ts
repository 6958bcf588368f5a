/** A JSON document as a tree: a script with a node for each value, named by its path. */

import { printName, quote } from './print.ts';

/** The most values that become nodes, unless asked otherwise. */
const MOST_VALUES = 5_000;
/** The most bytes of a document. */
const MOST_TEXT = 20_000_000;
/** Longer texts are put into a node in part. */
const MOST_SHOWN = 48;
/** Longer paths are replaced by a number. */
const MOST_PATH = 120;

interface Open {
  name: string;
  value: unknown;
  /** The name of the parent, or of the tree. */
  parent: string;
}

/** A script that builds the document as a tree, and in words what it left out ('' if nothing); or what is wrong. */
export function scriptOfJson(text: string, most = MOST_VALUES): { script: string; note: string } | { error: string } {
  if (text.length > MOST_TEXT) return { error: `This document is longer than ${MOST_TEXT / 1_000_000} MB.` };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (fault) {
    return { error: `This is no JSON document. ${(fault as Error).message}` };
  }
  const lines = ['# A JSON document as a tree: a node for each value, named by its path.', 'tree t'];
  let [values, built, cut] = [0, 0, 0];
  const open: Open[] = [{ name: '$', value: document, parent: 't' }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { name, value, parent } = next;
    values += 1;
    if (built < most) {
      built += 1;
      const whole = shown(value);
      const part = shorten(whole);
      if (part !== whole) cut += 1;
      const size = new TextEncoder().encode(part).length;
      lines.push(`${printName(name)} = alloc ${printName(parent)} ${size}`);
      if (size > 0) lines.push(`write ${printName(name)} ${quote(part)}`);
    }
    // Backwards, so that the first is taken next.
    for (const child of childrenOf(name, value, values).reverse()) open.push(child);
  }
  const count = (n: number): string => n.toLocaleString('en');
  const notes = [
    values > built ? `The document has ${count(values)} values; the first ${count(built)} are here.` : '',
    cut > 0 ? `${count(cut)} long ${cut === 1 ? 'text is' : 'texts are'} here in part.` : '',
  ];
  lines.push(`say ${quote(`${count(built)} values, each a node under the array or object that it is in.`)}`);
  return { script: `${lines.join('\n')}\n`, note: notes.filter((note) => note !== '').join(' ') };
}

function childrenOf(name: string, value: unknown, number: number): Open[] {
  if (typeof value !== 'object' || value === null) return [];
  // A path can be as long as the document; a number is as good a name.
  const path = name.length <= MOST_PATH ? name : `$#${number}`;
  if (Array.isArray(value)) return value.map((item, i) => ({ name: `${path}[${i}]`, value: item, parent: name }));
  return Object.entries(value).map(([key, item]) => ({ name: path + step(key), value: item, parent: name }));
}

/** How a path goes on to a member. */
function step(key: string): string {
  if (/^[\p{L}_][\p{L}\p{N}_]{0,39}$/u.test(key)) return `.${key}`;
  const inside = JSON.stringify(shorten(key)).replaceAll('`', '\\u0060');
  return `[${inside}]`;
}

/** What is put into a value's node. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).length}}`;
  return typeof value === 'string' ? value : String(value);
}

function shorten(text: string): string {
  if (text.length <= MOST_SHOWN) return text.toWellFormed();
  return `${text.slice(0, MOST_SHOWN - 1).toWellFormed()}…`;
}
