import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { clickCell, expect, open, run, settle, story, test } from './page.ts';

const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

const SCRIPT = `heap h
a = alloc h 100
b = alloc h 60
free a
lin l fixed 900
c = alloc l 60
mark l as k
tree t
n = alloc t 32
o = alloc n 8
r = ref h 32
x = alloc h 48
point x at r
pool p cell 40 fixed 900
for i in 0..9 { d[i] = alloc p }
free d[3]
taint d[4]
shred d[5]
expect bad_address: free d[3]
`;

async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

const overflow = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`${size}, ${colorScheme}: axe finds nothing, and nothing scrolls sideways`, async ({ page }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await open(page);
      await run(page, SCRIPT);
      for (const view of ['pool', 'tree', 'linear', 'heap', 'refs']) {
        await page.locator(`#tab-${view}`).click();
        await settle(page);
        expect(await overflow(page), view).toBeLessThanOrEqual(0);
      }
      await page.locator('#tab-pool').click();
      await settle(page);
      await clickCell(page, 'd', 4);
      expect(await violations(page)).toEqual([]);
      // With an error, a notice, and each sheet.
      await page.locator('#script').fill('pool p cell 40\nnonsense\n');
      await expect(page.locator('#script-errors button')).toHaveCount(1);
      await page.locator('#do-mark').click({ force: true });
      expect(await violations(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      await page.locator('#presets-open').click();
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.locator('#do-make').click();
      expect(await violations(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      await page.keyboard.press('Escape');
      await page.locator('#help-open').click();
      expect(await violations(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
    });
  }
}

test('between desktop and phone nothing scrolls sideways either', async ({ page }) => {
  await open(page);
  await run(page, SCRIPT);
  for (const width of [1240, 1100, 1000, 900, 640, 500, 360]) {
    await page.setViewportSize({ width, height: 800 });
    await settle(page);
    expect(await overflow(page), `${width} wide`).toBeLessThanOrEqual(0);
  }
});

test('on a phone every part can be reached and used by touch', async ({ browser }) => {
  const context = await browser.newContext({
    viewport: SIZES.phone,
    hasTouch: true,
    isMobile: true,
    baseURL: 'http://127.0.0.1:4711/',
  });
  const page = await context.newPage();
  await open(page);
  await story(page, 'reuse');
  await page.locator('#to-end').tap();
  await page.locator('#tab-pool').tap();
  await page.locator('#do-alloc').tap();
  await expect(page.locator('#outcome .verdict')).toHaveText('ok');
  for (const id of ['script', 'inspector', 'hex', 'strip', 'actions']) {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded();
    const box = await page.locator(`#${id}`).boundingBox();
    expect(box?.x).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 999)).toBeLessThanOrEqual(390);
  }
  expect(await overflow(page)).toBeLessThanOrEqual(0);
  // What is fixed to the window does not scroll, and must fit it.
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll('button, select, input, output')]
      .map((element) => ({ id: element.id || element.textContent, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && (box.left < 0 || box.right > window.innerWidth))
      .map(({ id }) => id),
  );
  expect(outside).toEqual([]);
  await context.close();
});

test('buttons are large enough to be hit', async ({ page }) => {
  await open(page);
  await run(page, SCRIPT);
  await page.locator('#tab-pool').click();
  await settle(page);
  await clickCell(page, 'd', 4);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('button, select, input')]
      .filter((element) => element.offsetParent !== null && !element.matches('.link'))
      .filter((element) => element.offsetWidth < 24 || element.offsetHeight < 24)
      .filter((element) => !(element instanceof HTMLInputElement && element.closest('label')))
      .map((element) => element.id || element.textContent),
  );
  expect(small).toEqual([]);
});

test('who wants less motion gets none', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await open(page);
  const moving = await page.evaluate(
    () =>
      [...document.querySelectorAll('*')].filter((element) => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return transitionDuration !== '0s' || animationName !== 'none';
      }).length,
  );
  expect(moving).toBe(0);
});

test('steps and selections are said', async ({ page }) => {
  await open(page);
  await run(page, SCRIPT, 3);
  await page.locator('#step').click();
  await expect(page.locator('#live')).toContainText('Step 4 of');
  await page.locator('#to-end').click();
  await page.locator('#tab-pool').click();
  await page.locator('#stage').focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#live-cell')).toContainText(/d\[0\] {2}used/);
  await expect(page.locator('#stage')).toHaveAttribute('aria-describedby', 'summary');
  await expect(page.locator('#canvas')).toHaveAttribute('role', 'img');
});
