import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, settle, test } from './page.ts';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'";

/** A host that knows nothing but files, has the page in a folder, and a strict policy of its own. */
const host = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://host/').pathname;
  const inside = path.startsWith('/some/where/') ? normalize(path.slice('/some/where/'.length) || 'index.html') : '..';
  if (inside === 'document.json') {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"a": [1, 2], "b": "three"}');
    return;
  }
  try {
    if (inside.startsWith('..')) throw new Error('outside');
    const body = await readFile(join(DIST, inside));
    const type = TYPES[extname(inside)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

test.beforeAll(() => new Promise<void>((ready) => host.listen(0, '127.0.0.1', ready)));
test.afterAll(() => new Promise((closed) => host.close(closed)));

test('the page works in a folder of any host, under a strict policy, and opens a document beside it', async ({
  page,
}) => {
  const { port } = host.address() as AddressInfo;
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(`http://127.0.0.1:${port}/some/where/#json=document.json`);
  await page.waitForFunction(() => (window.kmem?.session.step ?? 0) > 0);
  await settle(page);
  await expect(page.locator('#summary')).toContainText('6 nodes');
  // Nothing was asked of anybody else.
  const elsewhere = asked.filter(
    (url) => !/^(data|blob):/.test(url) && !url.startsWith(`http://127.0.0.1:${port}/some/where/`),
  );
  expect(elsewhere).toEqual([]);
});
