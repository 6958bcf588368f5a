import type { App } from '../src/ui/app.ts';
import { clickCell, expect, lastLine, open, run, settle, test } from './page.ts';

/** Every action: what is there before, what is selected, its button and key, and the line that it adds. */
const CASES: { id: string; key: string; script: string; cell?: string; view?: string; line: RegExp }[] = [
  { id: 'alloc', key: 'a', script: 'pool p cell 24 fixed 900\n', line: /^c1 = alloc p$/ },
  { id: 'alloc', key: 'a', script: 'heap h\n', line: /^c1 = alloc h 48$/ },
  { id: 'alloc', key: 'a', script: 'tree t\nn = alloc t 8\n', cell: 'n', line: /^n1 = alloc n 48$/ },
  { id: 'zeroed', key: 'z', script: 'lin l fixed 900\n', line: /^c1 = alloc l 48 zero$/ },
  { id: 'ref', key: 'n', script: 'heap h\n', line: /^r1 = ref h 48$/ },
  { id: 'mark', key: 'k', script: 'lin l fixed 900\na = alloc l 8\n', line: /^mark l as m1$/ },
  { id: 'rewind', key: 'w', script: 'lin l fixed 900\nmark l as here\na = alloc l 8\n', line: /^rewind l to here$/ },
  { id: 'reset', key: 'e', script: 'pool p cell 8 fixed 900\na = alloc p\n', line: /^reset p$/ },
  { id: 'taint-store', key: 'T', script: 'pool p cell 8 fixed 900\na = alloc p\n', line: /^taint p$/ },
  { id: 'destroy', key: 'x', script: 'pool p cell 8 fixed 900\na = alloc p\n', line: /^destroy p$/ },
  { id: 'free', key: 'f', script: 'pool p cell 8 fixed 900\na = alloc p\n', cell: 'a', line: /^free a$/ },
  { id: 'shred', key: 's', script: 'heap h\na = alloc h 40\n', cell: 'a', line: /^shred a$/ },
  { id: 'taint', key: 't', script: 'heap h\na = alloc h 40\n', cell: 'a', line: /^taint a$/ },
  { id: 'zero', key: 'o', script: 'heap h\na = alloc h 40\nfill a 255\n', cell: 'a', line: /^zero a$/ },
  { id: 'dup', key: 'c', script: 'heap h\na = alloc h 40\n', cell: 'a', line: /^d1 = dup a$/ },
  { id: 'resize', key: 'r', script: 'heap h\na = alloc h 40\n', cell: 'a', line: /^resize a 48$/ },
  { id: 'up', key: 'u', script: 'heap h\nr = ref h 40\n', cell: 'r', line: /^up r$/ },
  { id: 'down', key: 'd', script: 'heap h\nr = ref h 40\nup r\n', cell: 'r', line: /^down r$/ },
  {
    id: 'free-children',
    key: 'F',
    script: 'tree t\nn = alloc t 8\no = alloc n 8\n',
    cell: 'n',
    line: /^free children of n$/,
  },
  { id: 'guard', key: 'g', script: 'tree t\nn = alloc t 8\n', cell: 'n', line: /^guard n$/ },
  { id: 'unguard', key: 'G', script: 'tree t\nn = alloc t 8\nguard n\n', cell: 'n', line: /^unguard n$/ },
];

for (const how of ['button', 'key'] as const) {
  test(`every action by ${how} adds its line and is done`, async ({ page }) => {
    await open(page);
    for (const { id, key, script, cell, line } of CASES) {
      await run(page, script);
      await page.locator('#stage').focus();
      if (cell) await clickCell(page, cell);
      await (how === 'button' ? page.locator(`#do-${id}`).click() : page.keyboard.press(key));
      await settle(page);
      expect(await lastLine(page), `${id} by ${how}`).toMatch(line);
      await expect(page.locator('#outcome .verdict'), `${id} by ${how}`).toHaveText('ok');
    }
  });
}

test('moving and pointing pick their target: by mouse, by keys, and can be left', async ({ page }) => {
  await open(page);
  const TREE = 'tree t\na = alloc t 16\nb = alloc t 16\nc = alloc a 16\n';
  await run(page, TREE);
  await clickCell(page, 'c');
  await page.locator('#do-move').click();
  await expect(page.locator('#notice')).toContainText('Pick the new parent of c');
  await clickCell(page, 'b');
  expect(await lastLine(page)).toBe('move c to b');
  await expect(page.locator('#notice')).toBeHidden();

  await run(page, TREE);
  await clickCell(page, 'c');
  await page.keyboard.press('m');
  await page.keyboard.press('Escape');
  await expect(page.locator('#notice')).toBeHidden();
  expect(await lastLine(page)).toBe('c = alloc a 16');
  await page.keyboard.press('m');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await settle(page);
  expect(await lastLine(page)).toBe('move c to b');

  await run(page, 'heap h\nr = ref h 16\nx = alloc h 16\n');
  await page.locator('#tab-heap').click();
  await settle(page);
  await clickCell(page, 'x');
  await page.keyboard.press('p');
  await clickCell(page, 'r');
  expect(await lastLine(page)).toBe('point x at r');
  await expect(page.locator('#outcome .verdict')).toHaveText('ok');
});

test('a move that would make a loop is refused, and says so', async ({ page }) => {
  await open(page);
  await run(page, 'tree t\na = alloc t 16\nb = alloc a 16\n');
  await clickCell(page, 'a');
  await page.keyboard.press('m');
  await clickCell(page, 'b');
  await expect(page.locator('#outcome .verdict')).toHaveText('in_use');
});

test('writing asks for the text, and the bytes have it', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 40 fixed 900\na = alloc p\n');
  await clickCell(page, 'a');
  await page.keyboard.press('b');
  await page.locator('#ask-field').fill('my "secret"');
  await page.keyboard.press('Enter');
  await settle(page);
  expect(await lastLine(page)).toBe('write a "my \\"secret\\""');
  await expect(page.locator('#hex')).toContainText('my·"secr');
  await page.locator('#do-write').click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(await lastLine(page)).toBe('write a "my \\"secret\\""');
});

test('a store of every kind can be made, from every source', async ({ page }) => {
  await open(page);
  await run(page, '');
  const make = async (kind: string, source: string, fields: Record<string, string>) => {
    await page.locator('#stage').focus();
    await page.keyboard.press('i');
    await page.locator('#make-kind').selectOption(kind);
    await page.locator('#make-source').selectOption(source);
    for (const [id, value] of Object.entries(fields)) await page.locator(`#make-${id}`).fill(value);
    await page.getByRole('button', { name: 'Make it' }).click();
    await settle(page);
    await expect(page.locator('#outcome .verdict')).toHaveText('ok');
    return lastLine(page);
  };
  expect(await make('heap', 'pages', { name: 'h' })).toBe('heap h');
  expect(await make('pool', 'in h', { name: 'p', cell: '24', cells: '10', limit: '20' })).toBe(
    'pool p cell 24 cells 10 limit 20 in h',
  );
  expect(await make('lin', 'fixed', { fixed: '800' })).toBe('lin lin1 fixed 800');
  expect(await make('lin', 'pages', { capacity: '5000' })).toBe('lin lin2 capacity 5000');
  expect(await make('tree', 'in h', { name: 't' })).toBe('tree t in h');
  await page.locator('#do-make').click();
  await page.keyboard.press('Escape');
  expect(await lastLine(page)).toBe('tree t in h');
});

test('an action that cannot be done says why', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 8 fixed 400\n');
  for (const [id, why] of [
    ['free', 'Select a cell first'],
    ['mark', 'only in lin'],
    ['rewind', 'only in lin'],
    ['move', 'open the Tree view'],
  ] as const) {
    await expect(page.locator(`#do-${id}`)).toHaveAttribute('aria-disabled', 'true');
    // It can be pressed all the same: to hear why.
    await page.locator(`#do-${id}`).click({ force: true });
    await expect(page.locator('#notice')).toContainText(why);
    await page.locator('#notice button').click();
    await expect(page.locator('#notice')).toBeHidden();
  }
  await page.locator('#tab-tree').click();
  await page.locator('#do-alloc').click({ force: true });
  await expect(page.locator('#notice')).toContainText('no store in this view');
});

test('a step in the middle cuts off what followed, also in a loop', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 8 fixed 900\nfor i in 0..9 { a[i] = alloc p }\nfree a[0]\n', 5);
  await page.locator('#do-alloc').click();
  await settle(page);
  const { length, live } = await page.evaluate(() => {
    const { session } = window.kmem as App;
    return { length: session.length, live: session.store?.stats().live };
  });
  expect(length).toBe(6);
  expect(live).toBe(5);
  await expect(page.locator('#script')).toHaveValue(/for i in 0\.\.3 [\s\S]*c1 = alloc p\n$/);
});

test('a cell without a name is named by where it lies; a released one is refused', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 40 fixed 900\na = alloc p\na = alloc p\n');
  await page.locator('#stage').focus();
  await page.keyboard.press('ArrowRight');
  await settle(page);
  await page.keyboard.press('f');
  await settle(page);
  expect(await lastLine(page)).toMatch(/^free p@0x[0-9a-f]+$/);
  await expect(page.locator('#outcome .verdict')).toHaveText('ok');
  await page.keyboard.press('f');
  await settle(page);
  await expect(page.locator('#outcome .verdict')).toHaveText('bad_address');
});
