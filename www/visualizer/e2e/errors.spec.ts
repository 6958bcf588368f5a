import type { App } from '../src/ui/app.ts';
import { expect, open, run, settle, story, test, write } from './page.ts';

test('without WebAssembly the page says what is missing', async ({ page }) => {
  await page.addInitScript(() => {
    Reflect.deleteProperty(globalThis, 'WebAssembly');
  });
  await page.goto('./');
  await expect(page.locator('#notice')).toContainText('no WebAssembly');
  await expect(page.locator('#empty')).toContainText('no WebAssembly');
  await expect(page.locator('#sentence')).toHaveText('The page cannot run here.');
});

test('where the module cannot be compiled the page says so', async ({ page }) => {
  await page.addInitScript(() => {
    WebAssembly.compile = () => Promise.reject(new Error('refused by the policy of this place'));
  });
  await page.goto('./');
  await expect(page.locator('#notice')).toContainText('refused by the policy of this place');
});

test('without JavaScript there is a sentence', async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: 'http://127.0.0.1:4711/' });
  const page = await context.newPage();
  await page.goto('./');
  await expect(page.locator('noscript p')).toContainText('needs JavaScript');
  await context.close();
});

test('a script with errors names the lines, keeps the last picture, and heals', async ({ page }) => {
  await open(page);
  await write(page, 'pool p cell 24 fixed 900\na = alloc p\n');
  await expect(page.locator('#summary')).toContainText('1 used');
  await write(page, 'pool p cell 24 fixed 900\na = aloc p\nfree zz\nb = alloc p\n');
  await expect(page.locator('#script-errors button')).toHaveCount(2);
  await expect(page.locator('#script-errors button').first()).toContainText('Line 2:');
  await expect(page.locator('#script-errors button').last()).toContainText('Line 3:');
  await expect(page.locator('#script')).toHaveAttribute('aria-invalid', 'true');
  await expect(page.locator('#gutter .bad')).toHaveText(['2', '3']);
  await expect(page.locator('#summary')).toContainText('1 used');
  // An error leads to its line.
  await page.locator('#script-errors button').last().click();
  const selected = await page.locator('#script').evaluate((area) => {
    const { value, selectionStart } = area as HTMLTextAreaElement;
    return value.slice(0, selectionStart).split('\n').length;
  });
  expect(selected).toBe(3);
  await write(page, 'pool p cell 24 fixed 900\na = alloc p\nb = alloc p\n');
  await expect(page.locator('#script-errors')).toBeEmpty();
  await expect(page.locator('#summary')).toContainText('2 used');
});

test('what is being written is not lost to a button', async ({ page }) => {
  await open(page);
  await write(page, 'pool p cell 24 fixed 900\na = alloc p\n');
  const broken = 'pool p cell 24 fixed 900\na = alloc p\nfre a\n';
  await write(page, broken);
  await page.locator('#do-alloc').click();
  await expect(page.locator('#notice')).toContainText('mend it first');
  await expect(page.locator('#script')).toHaveValue(broken);
  // Written and at once pressed: the last letters count.
  await page.locator('#script').fill('pool p cell 24 fixed 900\nq = alloc p\n');
  await page.locator('#do-alloc').click();
  await expect(page.locator('#script')).toHaveValue('pool p cell 24 fixed 900\nq = alloc p\nc1 = alloc p\n');
});

test('a step that makes no sense says so and the story goes on', async ({ page }) => {
  await open(page);
  await run(page, 'pool p cell 24 fixed 900\nfor i in 0..2 { a[1 - i] = alloc p }\n');
  await expect(page.locator('#outcome .verdict')).toHaveText('no sense');
  await page.locator('#step-back').click();
  await expect(page.locator('#outcome .verdict')).toHaveText('ok');
});

test('a view without a store offers to make one, an empty store to allocate', async ({ page }) => {
  await open(page);
  await run(page, '');
  for (const view of ['pool', 'tree', 'linear', 'heap', 'refs']) {
    await page.locator(`#tab-${view}`).click();
    await expect(page.locator('#empty')).toBeVisible();
    await expect(page.locator('#empty p')).not.toBeEmpty();
  }
  await page.locator('#tab-pool').click();
  await page.locator('#empty button').click();
  await page.getByRole('button', { name: 'Make it' }).click();
  await expect(page.locator('#empty')).toContainText('Nothing has been allocated');
  await page.locator('#empty button').click();
  await settle(page);
  await expect(page.locator('#empty')).toBeHidden();
  await expect(page.locator('#summary')).toContainText('1 used');
});

test('something that breaks in the page is told, and the page is still there', async ({ page, complaints }) => {
  await open(page);
  await story(page, 'reuse');
  await page.evaluate(() => {
    (window.kmem as App).fault(new Error('a test broke it'));
  });
  await expect(page.locator('#notice')).toContainText('a test broke it');
  complaints.length = 0;
  await page.locator('#step').click();
  await expect(page.locator('#count')).toHaveText(/^1 /);
});

test('the first paint has the whole page, before any script has run', async ({ page }) => {
  await page.route('**/*.js', () => {});
  await page.goto('./', { waitUntil: 'commit' });
  await expect(page.locator('#tab-pool')).toBeVisible();
  await expect(page.locator('#empty')).toContainText('Getting memory ready');
  await expect(page.locator('#sentence')).not.toBeEmpty();
});

test('the policy forbids everything from elsewhere, and inline script', async ({ page }) => {
  await open(page);
  const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe-inline');
  expect(policy).not.toContain("'unsafe-eval'");
});
