/**
 * Permanent links: a script, a step and what the page shows, in what stands behind the `#`.
 *
 * `1.` check `.` body: the body is JSON, deflated, in base64url; the check tells a damaged link from a whole one.
 */

import type { Link } from './types.ts';

/** The longest script, in bytes, that a link may unfold to. */
const MOST_BYTES = 4_000_000;
const MOST_VIEW = 32;

/** What stands behind the `#`. */
export async function encodeLink({ script, step, view }: Link): Promise<string> {
  const json = new TextEncoder().encode(JSON.stringify({ script, step, view }));
  const body = toBase64(await collect(through(json, new CompressionStream('deflate-raw')), Number.POSITIVE_INFINITY));
  return `1.${check(body)}.${body}`;
}

/** Reads what stands behind the `#`; an error is in words. */
export async function decodeLink(hash: string): Promise<{ link: Link } | { error: string }> {
  try {
    return { link: await decode(hash.replace(/^#/, '')) };
  } catch (fault) {
    if (fault instanceof BadLink) return { error: fault.message };
    throw fault;
  }
}

class BadLink extends Error {}

const DAMAGED = 'This link is damaged: a part of it is missing or was changed.';

async function decode(text: string): Promise<Link> {
  const parts = /^(\d+)\.([\w-]*)\.([\w-]*)$/.exec(text);
  if (!parts) throw new BadLink(/^\d+\./.test(text) ? DAMAGED : 'This is no link of this page.');
  const [, version, sum, body] = parts as unknown as [string, string, string, string];
  if (version !== '1') throw new BadLink('This link was made by another version of this page.');
  if (check(body) !== sum) throw new BadLink(DAMAGED);
  let json: Uint8Array;
  try {
    json = await collect(through(fromBase64(body), new DecompressionStream('deflate-raw')), MOST_BYTES);
  } catch (fault) {
    throw fault instanceof BadLink ? fault : new BadLink(DAMAGED);
  }
  return linkOf(json);
}

function linkOf(json: Uint8Array): Link {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw new BadLink(DAMAGED);
  }
  const { script, step, view } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const isView = typeof view === 'object' && view !== null && !Array.isArray(view);
  if (typeof script !== 'string' || typeof step !== 'number' || !isView)
    throw new BadLink('This link holds no script.');
  if (!Number.isSafeInteger(step) || step < 0) throw new BadLink('This link names a step that cannot be.');
  const shown = Object.entries(view).filter(([, part]) => typeof part === 'string');
  return { script, step, view: Object.fromEntries(shown.slice(0, MOST_VIEW)) as Record<string, string> };
}

function through(bytes: Uint8Array, stream: CompressionStream | DecompressionStream): ReadableStream<Uint8Array> {
  const writer = stream.writable.getWriter();
  // A fault of writing is a fault of reading too, and met there.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
  writer.close().catch(() => {});
  return stream.readable;
}

async function collect(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    length += part.value.length;
    if (length > most) {
      await reader.cancel();
      throw new BadLink('The script in this link is too long.');
    }
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** FNV-1a of a text, in base 36. */
function check(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
