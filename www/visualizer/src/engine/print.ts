/** Writes steps as lines of a script, as `parse` reads them. */

import type { AllocStep, MakeStep, Place, Step } from './types.ts';
import { RESERVED } from './words.ts';

const WORD = /^[\p{L}_][\p{L}\p{N}_]*$/u;

/** A name as it stands in a script. */
export function printName(name: string): string {
  return WORD.test(name) && !RESERVED.has(name) ? name : `\`${name}\``;
}

export function printPlace({ name, index, at }: Place): string {
  if (at >= 0) return `${printName(name)}@0x${at.toString(16)}`;
  return index < 0 ? printName(name) : `${printName(name)}[${index}]`;
}

const SPECIAL: Record<string, string> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\0': '\\0',
  '"': '\\"',
  '\\': '\\\\',
};

/** A text in quotation marks. */
export function quote(text: string): string {
  return `"${text.replace(/[\n\r\t\0"\\]/g, (special) => SPECIAL[special] ?? special)}"`;
}

/** A step as one line. */
export function printStep(step: Step): string {
  const line = operation(step);
  return step.expect ? `expect ${step.expect}: ${line}` : line;
}

function operation(step: Step): string {
  switch (step.op) {
    case 'make':
      return make(step);
    case 'alloc':
    case 'ref':
      return alloc(step);
    case 'dup':
      return `${printPlace(step.to)} = dup ${printPlace(step.cell)}`;
    case 'free children':
      return `free children of ${printPlace(step.cell)}`;
    case 'resize':
      return `resize ${printPlace(step.cell)} ${step.size}`;
    case 'move':
      return `move ${printPlace(step.cell)} to ${printPlace(step.parent)}`;
    case 'mark':
      return `mark ${printPlace(step.store)} as ${printPlace(step.to)}`;
    case 'rewind':
      return `rewind ${printPlace(step.store)} to ${printPlace(step.mark)}`;
    case 'reset':
    case 'destroy':
      return `${step.op} ${printPlace(step.store)}`;
    case 'write':
      return `write ${printPlace(step.cell)} ${bytes(step.bytes)}`;
    case 'fill':
      return `fill ${printPlace(step.cell)} ${step.byte}`;
    case 'point':
      return `point ${printPlace(step.cell)} at ${printPlace(step.target)}${option('offset', step.offset)}`;
    case 'wrong':
      return `# ${step.message}`;
    default:
      return `${step.op} ${printPlace(step.cell)}`;
  }
}

function option(name: string, value: number): string {
  return value > 0 ? ` ${name} ${value}` : '';
}

function make(step: MakeStep): string {
  const cell = step.kind === 'pool' ? ` cell ${step.cell}` : '';
  const sizes =
    option('align', step.align) +
    option('cells', step.cells) +
    option('limit', step.limit) +
    option('capacity', step.capacity);
  const where = step.source ? ` in ${printPlace(step.source)}` : option('fixed', step.fixed);
  return `${step.kind} ${printPlace(step.store)}${cell}${sizes}${where}`;
}

function alloc(step: AllocStep): string {
  const size = step.size < 0 ? '' : ` ${step.size}`;
  return `${printPlace(step.to)} = ${step.op} ${printPlace(step.from)}${size}${option('align', step.align)}${step.zero ? ' zero' : ''}`;
}

/** As a text if it is one that reads back as the same bytes, else in hexadecimal. */
function bytes(content: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
    if (!/[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)) return quote(text);
  } catch {
    // No text: below.
  }
  return `hex ${Array.from(content, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
