import type { Page } from '@playwright/test';
import type { App } from '../src/ui/app.ts';
import { clickCell, expect, open, run, settle, story, test } from './page.ts';

/**
 * Pictures of the page, to be looked at, and to notice when one changes. They hold addresses, which move when the module
 * does: so a few pixels may differ. Renew them with `--update-snapshots`, and look at them.
 */
const SCRIPT = `heap h
for i in 0..15 { a[i] = alloc h 24 + 12 * i }
for i in 0..4 { free a[i * 3] }
taint a[1]
lin l fixed 2000
b = alloc l 100
c = alloc l 60
mark l as k
d = alloc l 200
e = alloc l 40
free c
taint d
tree t
n = alloc t 32
for i in 0..3 { m[i] = alloc n 16; for j in 0..2 { o[i * 3 + j] = alloc m[i] 24 } }
taint m[2]
guard m[1]
r = ref h 64
up r
q = ref h 100
x = alloc h 48
point x at r
point r at q
pool p cell 40 fixed 2400
for i in 0..29 { f[i] = alloc p }
for i in 0..4 { free f[i * 4 + 2] }
shred f[9]
shred f[13]
taint f[11]
`;

/** Widths of a text in the fonts that the pictures were made with. */
const FONTS = { sans: 'DejaVu Sans', mono: 'DejaVu Sans Mono' };

test.beforeEach(async ({ page }) => {
  await page.setViewportSize({ width: 1240, height: 780 });
  await open(page);
  const same = await page.evaluate((fonts) => {
    const pen = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
    const width = (family: string) => {
      pen.font = `40px ${family}`;
      return pen.measureText('kmem: Memory, 0123456789').width;
    };
    const style = getComputedStyle(document.documentElement);
    const read = (name: string) => width(style.getPropertyValue(name));
    return read('--sans') === width(`"${fonts.sans}"`) && read('--mono') === width(`"${fonts.mono}"`);
  }, FONTS);
  test.skip(!same, 'the pictures were made with other fonts than this machine has');
});

async function shoot(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  await settle(page);
  await expect(page).toHaveScreenshot(`${name}.png`);
}

async function show(page: Page, view: string): Promise<void> {
  await run(page, SCRIPT);
  await page.locator(`#tab-${view}`).click();
  await settle(page);
}

const VIEWS = { pool: ['f', 11], tree: ['m', 1], linear: ['d', -1], heap: ['a', 7], refs: ['r', -1] } as const;

for (const [view, [cell, index]] of Object.entries(VIEWS)) {
  test(`${view}, light`, async ({ page }) => {
    await show(page, view);
    await clickCell(page, cell, index);
    await shoot(page, `${view}-light`);
  });
}

for (const view of ['pool', 'tree', 'heap'] as const) {
  test(`${view}, dark`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await show(page, view);
    await clickCell(page, VIEWS[view][0], VIEWS[view][1]);
    await shoot(page, `${view}-dark`);
  });
}

test('empty', async ({ page }) => {
  await story(page, 'reuse');
  await shoot(page, 'empty');
});

test('full', async ({ page }) => {
  await story(page, 'crowd');
  await page.evaluate(() => (window.kmem as App).player.to(150_000));
  await page.locator('#tab-pool').click();
  await shoot(page, 'full-pool');
  await page.locator('#tab-tree').click();
  await shoot(page, 'full-tree');
});

test('error', async ({ page, complaints }) => {
  await run(page, SCRIPT);
  await page.locator('#script').fill('pool p cell 40 fixed 300\na = aloc p\nfree b\n');
  await expect(page.locator('#script-errors button')).toHaveCount(2);
  await page.evaluate(() => (window.kmem as App).fault(new Error('an example of a fault')));
  await shoot(page, 'error');
  complaints.length = 0;
});

test('help', async ({ page }) => {
  await page.locator('#help-open').click();
  await shoot(page, 'help');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`phone, ${colorScheme}`, async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme });
    await show(page, colorScheme === 'light' ? 'pool' : 'tree');
    await shoot(page, `phone-${colorScheme}`);
  });
}
