import type { App } from '../src/ui/app.ts';
import { clickCell, expect, hash, open, run, settle, step, story, test } from './page.ts';

const MANY = `pool p cell 24
for i in 0..9999 { a[i] = alloc p }
for i in 0..9999 { free a[i * 7 % 10000]; b[i] = alloc p }
tree t
for i in 0..2999 { n[i] = alloc t 8 }
for i in 0..2999 { free n[i * 11 % 3000]; m[i] = alloc t 16 }
`;

test('buttons and keys go a step on and back, and to the ends', async ({ page }) => {
  await open(page);
  await story(page, 'reuse');
  expect(await step(page)).toBe(0);
  await page.locator('#step').click();
  expect(await step(page)).toBe(1);
  await expect(page.locator('#count')).toHaveText(/^1 \/ \d+$/);
  await expect(page.locator('#outcome')).toContainText('ok');
  await page.locator('#step').click();
  await page.locator('#step-back').click();
  expect(await step(page)).toBe(1);
  await page.locator('#to-end').click();
  const end = await step(page);
  expect(end).toBeGreaterThan(5);
  await page.locator('#to-start').click();
  expect(await step(page)).toBe(0);
  await page.locator('#stage').focus();
  for (const [key, at] of [
    ['.', 1],
    ['.', 2],
    [',', 1],
    ['>', end],
    ['<', 0],
  ] as const) {
    await page.keyboard.press(key);
    expect(await step(page), `after ${key}`).toBe(at);
  }
});

test('playing goes on by itself, pauses, and ends at the end', async ({ page }) => {
  await open(page);
  // So long that it is still playing when somebody looks, however late.
  await run(page, MANY);
  await page.locator('#to-start').click();
  await page.locator('#speed').selectOption('60');
  await page.locator('#play').click();
  await expect(page.locator('#play')).toHaveAttribute('aria-label', 'Pause');
  await page.waitForFunction(() => (window.kmem?.session.step ?? 0) > 2);
  await page.locator('#stage').focus();
  await page.keyboard.press(' ');
  await expect(page.locator('#play')).toHaveAttribute('aria-label', 'Play');
  const paused = await step(page);
  await page.waitForTimeout(120);
  expect(await step(page)).toBe(paused);
  await page.locator('#to-end').click();
  for (let back = 0; back < 3; back++) await page.locator('#step-back').click();
  expect(await step(page)).toBeLessThan(await page.evaluate(() => window.kmem?.session.length ?? 0));
  await page.locator('#stage').focus();
  await page.keyboard.press(' ');
  await page.waitForFunction(
    () => !window.kmem?.session.playing && window.kmem?.session.step === window.kmem?.session.length,
  );
});

test('the line of the step is marked, and each sentence is told and said', async ({ page }) => {
  await open(page);
  await run(page, 'say "First a pool."\npool p cell 8 fixed 200\n\nsay "Then a cell."\na = alloc p\n', 0);
  await page.locator('#step').click();
  await expect(page.locator('#sentence')).toHaveText('First a pool.');
  await expect(page.locator('#gutter .now')).toHaveText('2');
  await page.locator('#step').click();
  await expect(page.locator('#sentence')).toHaveText('Then a cell.');
  await expect(page.locator('#gutter .now')).toHaveText('5');
  await expect(page.locator('#live')).toContainText('Step 2 of 2. Then a cell. a = alloc p: ok.');
});

test('the view follows the store that a step is about, until another is chosen', async ({ page }) => {
  await open(page);
  await run(page, 'heap h\ntree t\nn = alloc t 8\npool p cell 8 fixed 200\na = alloc p\nb = alloc h 8\nfree a\n', 0);
  const view = () => page.evaluate(() => (window.kmem as App).session.view);
  const seen: string[] = [];
  for (let i = 0; i < 7; i += 1) {
    await page.locator('#step').click();
    seen.push(await view());
  }
  expect(seen).toEqual(['heap', 'tree', 'tree', 'pool', 'pool', 'heap', 'pool']);
  await page.locator('#tab-tree').click();
  await expect(page.locator('#follow')).not.toBeChecked();
  await page.locator('#step-back').click();
  expect(await view()).toBe('tree');
  await page.locator('#follow').check();
  expect(await view()).toBe('heap');
});

test('scrubbing back and forth shows what going there from the start shows', async ({ page }) => {
  await open(page);
  await run(page, MANY, 0);
  const length = await page.evaluate(() => (window.kmem as App).session.length);
  const places = [0, 1, 9_000, 15_001, 25_000, 31_500, length];
  const fresh: (string | undefined)[] = [];
  for (const place of places) {
    await page.evaluate((to) => (window.kmem as App).player.to(to), place);
    fresh.push(await hash(page));
  }
  expect(new Set(fresh).size).toBe(places.length);
  // Now in another order, by the slider itself.
  for (const i of [5, 2, 6, 0, 4, 1, 3]) {
    await page.locator('#scrub').evaluate((slider, to) => {
      (slider as HTMLInputElement).value = String(to);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    }, places[i]);
    await settle(page);
    expect(await step(page)).toBe(places[i]);
    expect(await hash(page), `at step ${places[i]}`).toBe(fresh[i]);
  }
});

test('a refusal is shown as the step’s outcome, in words', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 40 fixed 300\nfor i in 0..5 { a[i] = alloc p }\n');
  await expect(page.locator('#outcome .verdict')).toHaveText('no_room');
  await expect(page.locator('#outcome')).toContainText('no more memory');
  await run(page, 'pool p cell 40 fixed 300\na = alloc p\nfree a\nexpect bad_address: free a\n');
  await expect(page.locator('#outcome')).toContainText('as expected');
});

test('memory that is full is a refusal too, and the page goes on', async ({ page }) => {
  await open(page);
  await run(page, 'heap h\nfor i in 0..40 { a[i] = alloc h 33554432 }\n');
  await expect(page.locator('#outcome .verdict')).toHaveText('no_room');
  await page.locator('#step-back').click();
  await expect(page.locator('#count')).toHaveText('41 / 42');
  await page.locator('#tab-heap').click();
  await expect(page.locator('#summary')).toContainText('live cells');
});

test('what is selected stays selected while steps go by', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 40 fixed 1000\na = alloc p\nb = alloc p\nfree a\n', 3);
  await clickCell(page, 'a');
  await expect(page.locator('#inspector')).toContainText('mark is 0x4c: live');
  await page.locator('#step').click();
  await expect(page.locator('#inspector')).toContainText('mark is 0xb3: free');
  await page.locator('#step-back').click();
  await expect(page.locator('#inspector')).toContainText('mark is 0x4c: live');
});
