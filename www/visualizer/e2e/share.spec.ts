import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import type { App } from '../src/ui/app.ts';
import { expect, hash, open, run, settle, step, test } from './page.ts';

const SCRIPT = `# ünïcode and "quotes"
pool p cell 40 fixed 900
for i in 0..9 { a[i] = alloc p }
free a[3]
taint a[4]
shred a[5]
tree t
n = alloc t 32
o = alloc n 8
`;

async function download(page: Page, id: string): Promise<{ name: string; body: string; bytes: Buffer }> {
  await page.locator('#export-open').click();
  const waiting = page.waitForEvent('download');
  await page.locator(`#export-${id}`).click();
  const file = await waiting;
  const bytes = readFileSync(await file.path());
  return { name: file.suggestedFilename(), body: bytes.toString('utf8'), bytes };
}

test('a link leads back to the same script, step, view and state', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page);
  await run(page, SCRIPT, 12);
  await page.locator('#tab-pool').click();
  const state = await hash(page);
  await page.locator('#link').click();
  await expect(page.locator('#notice')).toContainText('clipboard');
  const url = await page.evaluate(() => navigator.clipboard.readText());
  expect(url).toBe(page.url());
  const other = await context.newPage();
  await other.goto(url);
  await other.waitForFunction(() => (window.kmem?.session.step ?? 0) > 0);
  expect(await step(other)).toBe(12);
  expect(await hash(other)).toBe(state);
  await expect(other.locator('#script')).toHaveValue(SCRIPT);
  await expect(other.locator('#tab-pool')).toHaveAttribute('aria-selected', 'true');
  // By key, and going back in the browser's history opens what the address says.
  await other.locator('#stage').focus();
  await other.keyboard.press('.');
  await other.keyboard.press('l');
  await expect(other.locator('#notice')).toContainText('link');
  expect(other.url()).not.toBe(url);
});

test('a damaged link, and one that is none, are told in words', async ({ page }) => {
  await open(page);
  await run(page, SCRIPT);
  await page.locator('#link').click();
  await page.waitForFunction(() => location.hash.length > 10);
  const whole = new URL(page.url()).hash.slice(1);
  const damaged = whole.slice(0, -7);
  await page.goto('about:blank');
  await open(page, damaged);
  await expect(page.locator('#notice')).toContainText('damaged');
  await page.evaluate(() => {
    location.hash = 'nonsense';
  });
  await expect(page.locator('#notice')).toContainText('no link of this page');
  // The page is not blank: the first story is there.
  await expect(page.locator('#script')).not.toHaveValue('');
});

test('a JSON document opens as a tree', async ({ page }) => {
  const document = { name: 'kmem', kinds: ['heap', 'lin'], deep: { a: { b: null } }, n: 1.5, yes: true };
  await page.route('**/document.json', (route) => route.fulfill({ json: document }));
  await open(page, 'json=document.json');
  await page.waitForFunction(() => (window.kmem?.session.step ?? 0) > 0);
  await settle(page);
  await expect(page.locator('#tab-tree')).toHaveAttribute('aria-selected', 'true');
  // Nine values and the root.
  await expect(page.locator('#summary')).toContainText('11 nodes');
});

test('a document that is missing, no JSON, or elsewhere is told in words', async ({ page, complaints }) => {
  await page.route('**/broken.json', (route) => route.fulfill({ body: '{"a": ', contentType: 'application/json' }));
  await open(page, 'json=broken.json');
  await expect(page.locator('#notice')).toContainText('no JSON document');
  await page.route('**/gone.json', (route) => route.fulfill({ status: 404 }));
  await page.evaluate(() => {
    location.hash = 'json=gone.json';
  });
  await expect(page.locator('#notice')).toContainText('404');
  await page.evaluate(() => {
    location.hash = 'json=https://example.com/a.json';
  });
  await expect(page.locator('#notice')).toContainText('only be opened from the place');
  // The browser itself notes the missing document.
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes('404')));
});

for (const view of ['pool', 'tree', 'linear', 'heap', 'refs'] as const) {
  test(`${view}: the picture as SVG and PNG`, async ({ page }) => {
    await open(page);
    await run(
      page,
      `${SCRIPT}lin l fixed 900\nc = alloc l 60\nd = alloc l 30\nfree c\nheap h\ne = alloc h 48\nf = alloc h 48\nfree e\nr = ref h 32\n`,
    );
    await page.locator(`#tab-${view}`).click();
    await settle(page);
    const svg = await download(page, 'svg');
    expect(svg.name).toMatch(new RegExp(`^kmem-${view}-step-\\d+\\.svg$`));
    const seen = await page.evaluate((source) => {
      const document = new DOMParser().parseFromString(source, 'image/svg+xml');
      return {
        errors: document.querySelectorAll('parsererror').length,
        looks: [...document.querySelectorAll('path[class]')].map((path) => path.getAttribute('class')),
        texts: [...document.querySelectorAll('text')].map((text) => text.textContent),
        title: document.querySelector('title')?.textContent,
      };
    }, svg.body);
    expect(seen.errors).toBe(0);
    expect(seen.title).toContain('kmem');
    const looks = {
      pool: ['used', 'free', 'shredded', 'tainted', 'fresh'],
      tree: ['used', 'header'],
      linear: ['used', 'hole'],
      heap: ['used', 'free'],
      refs: ['used', 'plain'],
    }[view];
    for (const look of looks) expect(seen.looks).toContain(look);
    const name = { pool: 'a[0]', tree: 'o 8', linear: 'd', heap: 'f 48 B', refs: 'r 32 B' }[view];
    expect(seen.texts).toContain(name);
    const png = await download(page, 'png');
    expect(png.name).toMatch(/\.png$/);
    expect([...png.bytes.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const [width, height] = [png.bytes.readUInt32BE(16), png.bytes.readUInt32BE(20)];
    const canvas = await page
      .locator('#canvas')
      .evaluate((element) => [(element as HTMLCanvasElement).width, (element as HTMLCanvasElement).height]);
    expect([width, height]).toEqual(canvas);
  });
}

test('100,000 cells as SVG: runs of like cells are one', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 8\nfor i in 0..99999 { a[i] = alloc p }\nfor i in 0..99 { free a[i * 999] }\n');
  const svg = await download(page, 'svg');
  expect(svg.bytes.length).toBeLessThan(100_000);
  expect(svg.body).toContain('class="free"');
});

test('the state as JSON has every store with its records', async ({ page }) => {
  await open(page);
  await run(page, SCRIPT);
  const { body, name } = await download(page, 'json');
  expect(name).toMatch(/^kmem-step-\d+\.json$/);
  const state = JSON.parse(body);
  expect(state.script).toBe(SCRIPT);
  const pool = state.stores.find((store: { name: string }) => store.name === 'p');
  const count = (what: string) => pool.records.filter((record: { what: string }) => record.what === what).length;
  expect([count('used'), count('free'), count('shredded')]).toEqual([8, 1, 1]);
  expect(pool.stats.live).toBe(8);
  const tree = state.stores.find((store: { name: string }) => store.name === 't');
  expect(tree.records.map((record: { depth: number }) => record.depth)).toEqual([0, 1, 2]);
});

test('the export menu says when there is nothing to export', async ({ page }) => {
  await open(page);
  await run(page, '');
  await page.locator('#stage').focus();
  await page.keyboard.press('E');
  await page.keyboard.press('Enter');
  await expect(page.locator('#notice')).toContainText('nothing in this view to export');
  expect(await page.evaluate(() => (window.kmem as App).stage.picture)).toBeNull();
});
