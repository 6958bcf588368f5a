import type { App } from '../src/ui/app.ts';
import { clickCell, expect, lastLine, open, run, settle, step, story, test, text } from './page.ts';

test('every story opens, and plays to its end with a sentence a step', async ({ page }) => {
  await open(page);
  const ids = await page
    .locator('#presets button')
    .evaluateAll((buttons) => buttons.map((button) => button.id.slice(7)));
  expect(ids.length).toBeGreaterThanOrEqual(8);
  for (const id of ids) {
    await story(page, id);
    await expect(page.locator('#about')).not.toBeEmpty();
    const { length } = await page.evaluate(() => ({ length: (window.kmem as App).session.length }));
    if (length > 200) continue;
    for (let i = 1; i <= length; i += 1) {
      await page.evaluate(() => (window.kmem as App).player.by(1));
      await settle(page);
      const seen = await page.evaluate(() => {
        const { session } = window.kmem as App;
        return { outcome: session.outcome, sentence: document.getElementById('sentence')?.textContent ?? '' };
      });
      // A refusal belongs to a story only where it says so.
      expect(seen.outcome?.what === 'ok' || seen.outcome?.expected, `${id}, step ${i}: ${seen.outcome?.message}`).toBe(
        true,
      );
      if (id !== 'own') expect(seen.sentence, `${id}, step ${i}`).not.toBe('');
    }
  }
});

test('the page by keyboard alone', async ({ page }) => {
  await open(page);
  // A story is chosen in the menu, by arrow keys.
  await page.keyboard.press('y');
  await expect(page.locator('#presets')).toBeVisible();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => window.kmem?.session.preset === 'own');
  await page.keyboard.press('Escape');
  await expect(page.locator('#stage')).toBeFocused();
  await page.keyboard.press('>');
  // Views by number, stores by brackets.
  for (const [key, view] of [
    ['1', 'pool'],
    ['2', 'tree'],
    ['3', 'linear'],
    ['4', 'heap'],
    ['5', 'refs'],
  ] as const) {
    await page.keyboard.press(key);
    await expect(page.locator(`#tab-${view}`)).toHaveAttribute('aria-selected', 'true');
  }
  await page.keyboard.press('4');
  const before = await page.locator('#stores [aria-pressed="true"] b').textContent();
  await page.keyboard.press(']');
  await expect(page.locator('#stores [aria-pressed="true"] b')).not.toHaveText(before ?? '');
  await page.keyboard.press('[');
  await expect(page.locator('#stores [aria-pressed="true"] b')).toHaveText(before ?? '');
  // Cells are made, gone to, inspected and released.
  await page.keyboard.press('1');
  for (const key of ['a', 'a', 'a']) await page.keyboard.press(key);
  await settle(page);
  await expect(page.locator('#inspector h3')).toHaveText('c3');
  await page.keyboard.press('ArrowLeft');
  await settle(page);
  await expect(page.locator('#inspector h3')).toHaveText('c2');
  await page.keyboard.press('Enter');
  await expect(page.locator('#inspector')).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(page.locator('#inspector .link').first()).toBeFocused();
  await page.keyboard.press('Enter');
  await settle(page);
  await expect(page.locator('#inspector h3')).toHaveText('c1');
  await page.keyboard.press('Escape');
  await page.keyboard.press('f');
  await settle(page);
  expect(await lastLine(page)).toBe('free c1');
  // Tabs by arrow keys.
  await page.locator('#tab-pool').focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#tab-tree')).toBeFocused();
  await page.keyboard.press('End');
  await expect(page.locator('#tab-refs')).toBeFocused();
  // To the script and back; letters there are letters.
  await page.keyboard.press('/');
  await expect(page.locator('#script')).toBeFocused();
  const length = (await text(page)).length;
  await page.keyboard.press('Control+End');
  await page.keyboard.type('# a f x');
  await page.waitForFunction((more) => (window.kmem?.session.text.length ?? 0) >= more, length + 7);
  await page.keyboard.press('Escape');
  await expect(page.locator('#stage')).toBeFocused();
});

test('arrow keys go along a tree’s links, and through regions, heaps and counted cells', async ({ page }) => {
  await open(page);
  const name = () => page.locator('#inspector h3').textContent();
  const walk = async (keys: string[]) => {
    const seen: (string | null)[] = [];
    for (const key of keys) {
      await page.keyboard.press(key);
      await settle(page);
      seen.push(await name());
    }
    return seen;
  };
  await run(page, 'tree t\na = alloc t 8\nb = alloc t 8\nc = alloc a 8\nd = alloc a 8\n');
  await page.locator('#stage').focus();
  expect(
    (await walk(['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'ArrowLeft'])).slice(1),
  ).toEqual(['a', 'c', 'd', 'b', 'a', expect.stringMatching(/^0x|root|t/)]);
  await run(page, 'lin l fixed 900\na = alloc l 300\nb = alloc l 300\n');
  await page.locator('#stage').focus();
  expect(
    (await walk(['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowDown'])).slice(1, 4),
  ).toEqual(['a', 'b', 'a']);
  await run(page, 'heap h\nr = ref h 16\nq = ref h 16\nx = alloc h 16\npoint x at r\n');
  await page.locator('#stage').focus();
  expect(await walk(['ArrowRight', 'ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight', 'ArrowRight'])).toEqual([
    'r',
    'q',
    'r',
    'x',
    'r',
    'h',
  ]);
});

test('help has every key, and letters can be switched off as keys', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 8 fixed 900\n');
  await page.locator('#stage').focus();
  await page.keyboard.press('?');
  await expect(page.locator('#help')).toBeVisible();
  const keys = await page.locator('#help kbd').allTextContents();
  const buttons = await page.locator('#actions kbd').allTextContents();
  expect(buttons.length).toBeGreaterThanOrEqual(23);
  for (const key of [...buttons, '?', 'Space', 'Escape', '/', 'l', 'E', 'y', 'h']) expect(keys).toContain(key);
  await page.getByLabel('Single letters are keys').uncheck();
  await page.keyboard.press('Escape');
  await expect(page.locator('#help')).toBeHidden();
  await page.locator('#stage').focus();
  await page.keyboard.press('a');
  await settle(page);
  expect(await lastLine(page)).toBe('pool p cell 8 fixed 900');
  await page.keyboard.press('.');
  await page.locator('#help-open').click();
  await page.getByLabel('Single letters are keys').check();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.locator('#stage').focus();
  await page.keyboard.press('a');
  await settle(page);
  expect(await lastLine(page)).toBe('c1 = alloc p');
});

test('the page by mouse alone', async ({ page }) => {
  await open(page);
  await story(page, 'own');
  await page.locator('#to-end').click();
  await page.locator('#tab-pool').click();
  await page.locator('#empty button').click();
  await page.locator('#do-alloc').click();
  await page.locator('#do-alloc').click();
  await settle(page);
  await clickCell(page, 'c2');
  await page.locator('#do-taint').click();
  await page.locator('#do-free').click();
  await settle(page);
  await expect(page.locator('#summary')).toContainText('2 used, 0 free, 1 shredded');
  await page.locator('#step-back').click();
  await page.locator('#scrub').click({ position: { x: 4, y: 10 } });
  expect(await step(page)).toBe(0);
});

test('the theme goes round, and is kept', async ({ page }) => {
  await open(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator('#theme').click();
  await expect(page.locator('#theme')).toHaveAttribute('aria-label', 'Theme: light');
  expect(await ground()).toBe(light);
  await page.locator('#theme').click();
  await expect(page.locator('#theme')).toHaveAttribute('aria-label', 'Theme: dark');
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await page.waitForFunction(() => window.kmem?.session.machine);
  expect(await ground()).toBe(dark);
  // The canvas too.
  const corner = await page.evaluate(() => {
    const canvas = document.getElementById('canvas') as HTMLCanvasElement;
    const [r, g, b] = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(2, 2, 1, 1).data;
    return `${r} ${g} ${b}`;
  });
  expect(corner).toBe('21 23 26');
  await page.locator('#theme').click();
  await expect(page.locator('#theme')).toHaveAttribute('aria-label', 'Theme: as the system');
});
