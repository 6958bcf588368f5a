/** What all tests of the page share: opening it, and asking it what it knows. */

import { test as base, expect, type Page } from '@playwright/test';
import type { App } from '../src/ui/app.ts';

declare global {
  interface Window {
    kmem?: App;
  }
}

/** A page that fails its test if anything is said on the console that is an error, or thrown. */
export const test = base.extend<{ complaints: string[] }>({
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Opens the page and waits for the allocator. */
export async function open(page: Page, hash = ''): Promise<void> {
  await page.goto(`./${hash === '' ? '' : `#${hash}`}`);
  await page.waitForFunction(() => window.kmem?.session.machine !== null && window.kmem?.session.program !== null);
}

/** Opens a script and goes to its end (or to a step), as a link would. */
export async function run(page: Page, script: string, step?: number): Promise<void> {
  await page.evaluate(
    async ([text, to]) => {
      const { session } = window.kmem as App;
      session.follow = true;
      session.preset = '';
      session.about = '';
      await session.open(text, to ?? undefined);
    },
    [script, step ?? null] as const,
  );
  await settle(page);
}

/** Writes a script into the editor, as a person does, and waits until it is read. */
export async function write(page: Page, script: string): Promise<void> {
  await page.locator('#script').fill(script);
  await page.waitForFunction((text) => window.kmem?.session.text === text, script);
  await settle(page);
}

/** Opens a story. */
export async function story(page: Page, id: string): Promise<void> {
  await page.locator('#presets-open').click();
  await page.locator(`#preset-${id}`).click();
  await page.waitForFunction((name) => window.kmem?.session.preset === name && window.kmem.session.step === 0, id);
  await settle(page);
}

/** Waits until the frame after the present one has been drawn. */
export async function settle(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

export const step = (page: Page) => page.evaluate(() => (window.kmem as App).session.step);
export const hash = (page: Page) => page.evaluate(() => (window.kmem as App).session.machine?.hash());
export const text = (page: Page) => page.evaluate(() => (window.kmem as App).session.text);

/** The last line of the script. */
export const lastLine = async (page: Page) => (await text(page)).trimEnd().split('\n').at(-1) ?? '';

/** A point in the middle of what is drawn for a name, in the window's own pixels; null if it is not drawn. */
export function pointOf(page: Page, name: string, index = -1): Promise<{ x: number; y: number } | null> {
  return page.evaluate(
    ([called, at]) => {
      const app = window.kmem as App;
      const { picture } = app.stage;
      const address = app.session.machine?.address(called, at) ?? 0;
      const box = picture && address > 0 ? picture.view.boxOf(picture.model, address) : null;
      if (!picture || !box) return null;
      const { left, top } = (document.getElementById('canvas') as HTMLElement).getBoundingClientRect();
      const { port } = picture;
      const x = port.screenX(box.x + box.w / 2) / port.dpr + left;
      return { x, y: port.screenY(box.y + box.h / 2) / port.dpr + top };
    },
    [name, index] as const,
  );
}

/** Clicks what is drawn for a name. */
export async function clickCell(page: Page, name: string, index = -1): Promise<void> {
  const point = await pointOf(page, name, index);
  expect(point, `${name} is drawn`).not.toBeNull();
  await page.mouse.click(point?.x ?? 0, point?.y ?? 0);
  await settle(page);
}
