import type { App } from '../src/ui/app.ts';
import { clickCell, expect, open, pointOf, run, settle, test } from './page.ts';

/** A store of each kind with something of every sort in it. */
const ALL = `heap h
for i in 0..11 { a[i] = alloc h 24 + 8 * i }
for i in 0..3 { free a[i * 3] }
taint a[1]
pool p cell 40 fixed 2000
for i in 0..19 { b[i] = alloc p }
free b[3]
free b[9]
shred b[12]
taint b[5]
lin l fixed 2000
c = alloc l 60
d = alloc l 100
mark l as k
e = alloc l 40
free c
taint d
tree t
n = alloc t 32
for i in 0..3 { m[i] = alloc n 16 }
o = alloc m[1] 8
taint m[2]
guard m[3]
r = ref h 64
up r
q = ref h 32
x = alloc h 64
point x at r
point r at q
`;

test('every view draws its store, and says in words what it shows', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  const words: Record<string, RegExp> = {
    pool: /\d+ cells of 40 B.*17 used, 2 free, 1 shredded, \d+ fresh/,
    tree: /7 nodes, 3 levels below the root/,
    linear: /2 live cells, 1 hole, 1 mark/,
    heap: /live cells in .* free blocks/,
    refs: /2 counted cells; 2 places/,
  };
  for (const [view, summary] of Object.entries(words)) {
    await page.locator(`#tab-${view}`).click();
    await expect(page.locator('#summary')).toHaveText(summary);
    await expect(page.locator('#canvas')).toHaveAttribute('aria-label', summary);
    await expect(page.locator('#empty')).toBeHidden();
    const colors = await page.evaluate(() => {
      const canvas = document.getElementById('canvas') as HTMLCanvasElement;
      const { data } = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(
        0,
        0,
        canvas.width,
        canvas.height,
      );
      return new Set(new Uint32Array(data.buffer)).size;
    });
    expect(colors, `${view} has a picture`).toBeGreaterThan(8);
  }
});

test('what is drawn is what the model says, and that is what inspect says', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  await page.locator('#tab-pool').click();
  await settle(page);
  for (const scale of [1, 0.2]) {
    // Near by shapes, far by pixels: the colour where a cell's body is must be that of its state.
    const wrong = await page.evaluate((factor) => {
      const app = window.kmem as App;
      const { stage, session } = app;
      stage.showAll();
      if (factor < 1) for (let i = 0; i < 10; i += 1) stage.zoomBy(0.8);
      return new Promise<string[]>((resolve) =>
        requestAnimationFrame(() =>
          requestAnimationFrame(() => {
            const picture = stage.picture;
            if (picture?.model.kind !== 'pool' || !session.machine || !session.store) return resolve(['no pool']);
            const { model, port, view } = picture;
            const probe = document.createElement('span');
            document.body.append(probe);
            const colorOf = (name: string) => {
              probe.style.color = `var(--${name})`;
              return (getComputedStyle(probe).color.match(/\d+/g) ?? []).map(Number);
            };
            const names = ['fresh', 'used', 'free', 'shredded', 'tainted'];
            const canvas = document.getElementById('canvas') as HTMLCanvasElement;
            const pen = canvas.getContext('2d') as CanvasRenderingContext2D;
            // inspect's own records, by address.
            const words = session.machine.raw.records(session.store.handle);
            const told = new Map<number, string>();
            const whats = ['block', 'header', 'used', 'free', 'shredded', 'fresh'];
            for (let i = 0; i < words.length; i += 15) {
              if ((words[i + 2] ?? 0) < 2) continue;
              told.set(words[i] ?? 0, words[i + 7] ? 'tainted' : (whats[words[i + 2] ?? 0] ?? ''));
            }
            const problems: string[] = [];
            const far = view.boxOf(model, model.payloadAt(0));
            if (!far) return resolve(['cell 0 is not drawn']);
            const near = far.h * port.sy >= 10;
            if (near === factor < 1) problems.push('not the level of detail that was asked for');
            for (let i = 0; i < 24; i += 1) {
              const state = names[model.state[i] ?? 0] ?? '';
              const record = told.get(model.address(i)) ?? 'fresh';
              if (record !== state) problems.push(`cell ${i}: the model says ${state}, inspect ${record}`);
              const box = view.boxOf(model, model.payloadAt(i));
              if (!box) return resolve([`cell ${i} is not drawn`]);
              const [x, y] = [port.screenX(box.x), port.screenY(box.y)];
              const [w, h] = [box.w * port.sx, box.h * port.sy];
              const image = pen.getImageData(
                Math.round(x),
                Math.round(y),
                Math.max(1, Math.floor(w)),
                Math.max(1, Math.floor(h)),
              );
              // Which state's colour is nearest to most pixels of the body that are not the ground.
              const [gr = 0, gg = 0, gb = 0] = colorOf('ground');
              const [r = 0, g = 0, b = 0] = colorOf(state === 'tainted' && near ? 'used' : state);
              let [good, all] = [0, 0];
              for (let at = 0; at < image.data.length; at += 4) {
                const [pr = 0, pg = 0, pb = 0] = image.data.subarray(at, at + 3);
                if (Math.abs(pr - gr) + Math.abs(pg - gg) + Math.abs(pb - gb) < 24) continue;
                all += 1;
                // On the line between the ground and the colour: a pale or a smoothed pixel of it.
                const span = (r - gr) ** 2 + (g - gg) ** 2 + (b - gb) ** 2;
                const part = ((pr - gr) * (r - gr) + (pg - gg) * (g - gg) + (pb - gb) * (b - gb)) / span;
                const off = Math.hypot(pr - gr - part * (r - gr), pg - gg - part * (g - gg), pb - gb - part * (b - gb));
                if (off < 20 && part > 0.05) good += 1;
              }
              if (state !== 'fresh' && (all === 0 || good / all < (near ? 0.25 : 0.5))) {
                problems.push(`cell ${i}: ${good} of ${all} pixels are ${state}`);
              }
            }
            probe.remove();
            resolve(problems);
          }),
        ),
      );
    }, scale);
    expect(wrong).toEqual([]);
  }
});

test('counts of what is drawn are the stores’ own', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  const differ = await page.evaluate(async () => {
    const app = window.kmem as App;
    const problems: string[] = [];
    for (const store of app.session.machine?.stores ?? []) {
      const view = ({ heap: 'heap', lin: 'linear', pool: 'pool', tree: 'tree' } as const)[store.kind];
      app.session.show(view, store.name);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const model = app.stage.picture?.model;
      if (!model || model.kind === 'ref') problems.push(`${store.name} is not drawn`);
      else if (model.kind === 'pool') {
        const live = model.state.subarray(0, model.count).filter((state) => state === 1 || state === 4).length;
        if (live !== store.stats().live) problems.push(`${store.name}: ${live} drawn, ${store.stats().live} live`);
      } else if (model.kind === 'tree') {
        if (model.count !== store.stats().live) problems.push(`${store.name}: ${model.count} drawn`);
      } else {
        const live = model.what.subarray(0, model.count).filter((what) => what === 2).length;
        if (live !== store.stats().live) problems.push(`${store.name}: ${live} drawn, ${store.stats().live} live`);
      }
    }
    return problems;
  });
  expect(differ).toEqual([]);
});

test('hovering a cell points it out in every panel, and a link points out where it leads', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  await page.locator('#tab-pool').click();
  await settle(page);
  const before = await page.locator('#canvas').screenshot();
  const point = await pointOf(page, 'b', 2);
  await page.mouse.move(point?.x ?? 0, point?.y ?? 0);
  await expect(page.locator('#tip')).toContainText('b[2]  used');
  await settle(page);
  expect(before.equals(await page.locator('#canvas').screenshot())).toBe(false);
  // From the strip to the canvas.
  const bottom = page.locator('#strip button').first();
  await expect(bottom).toContainText('bottom');
  await bottom.hover();
  const hovered = await page.evaluate(() => (window.kmem as App).session.hover);
  expect(hovered).toBe(Number(await bottom.getAttribute('data-to')));
  await expect(bottom).toHaveAttribute('data-on', 'true');
  // From a header field in the bytes to the cell that it leads to.
  await clickCell(page, 'b', 2);
  const field = page.locator('.fields li', { hasText: 'last' });
  await field.hover();
  await expect(field).toHaveAttribute('data-on', 'true');
  await expect(page.locator('#hex td[data-on="true"]')).toHaveCount(4);
  const [target, previous] = await page.evaluate(() => {
    const { session } = window.kmem as App;
    return [session.hover, session.machine?.address('b', 1)];
  });
  expect(target).toBe(previous);
  await expect(page.locator('#inspector [data-on="true"]')).toContainText('b[1]');
});

test('the inspector tells the state and the field that says so, and the bytes are the module’s', async ({ page }) => {
  await open(page);
  await run(page, `${ALL}write b[0] "secret"\n`);
  await clickCell(page, 'b', 0);
  await expect(page.locator('#inspector h3')).toHaveText('b[0]');
  await expect(page.locator('#inspector')).toContainText('mark is 0x4c: live');
  await expect(page.locator('#hex')).toContainText('secret');
  const same = await page.evaluate(() => {
    const { session } = window.kmem as App;
    const bytes = new Uint8Array(session.machine?.raw.memory.buffer ?? new ArrayBuffer(0));
    const shown = [...document.querySelectorAll('#hex tbody tr')].flatMap((row) => {
      const at = Number(row.querySelector('th')?.textContent);
      return [...row.querySelectorAll('td.b')].map((cell, i) => [at + i, cell.textContent ?? ''] as const);
    });
    return shown.filter(([, text]) => text !== '').map(([at, text]) => bytes[at] === Number.parseInt(text, 16));
  });
  expect(same.length).toBe(48);
  expect(same.every(Boolean)).toBe(true);
  // Free, then shredded: other words, from the same header.
  await page.keyboard.press('s');
  await settle(page);
  await expect(page.locator('#inspector')).toContainText('shredded');
  await expect(page.locator('#hex')).not.toContainText('secret');
});

test('a link leads to the next cell, also in another view', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  await page.locator('#tab-tree').click();
  await settle(page);
  await clickCell(page, 'm', 1);
  await page.locator('#inspector .link', { hasText: 'o ' }).first().click();
  await expect(page.locator('#inspector h3')).toHaveText('o');
  await page.locator('#tab-refs').click();
  await settle(page);
  await clickCell(page, 'r');
  await page.locator('#inspector .link', { hasText: 'h ' }).click();
  await expect(page.locator('#inspector')).toContainText('source');
  await expect(page.locator('#inspector h3')).toHaveText('h');
});

test('a subtree folds by double click and by key, and unfolds again', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  await page.locator('#tab-tree').click();
  await settle(page);
  const point = await pointOf(page, 'n');
  await page.mouse.dblclick(point?.x ?? 0, point?.y ?? 0);
  await settle(page);
  expect(await pointOf(page, 'm', 1)).toBeNull();
  await page.keyboard.press('h');
  await settle(page);
  expect(await pointOf(page, 'm', 1)).not.toBeNull();
});

test('wheel zooms about the pointer, dragging moves, and all is shown again', async ({ page }) => {
  await open(page);
  await run(page, ALL);
  await page.locator('#tab-pool').click();
  await settle(page);
  const start = await pointOf(page, 'b', 6);
  await page.mouse.move(start?.x ?? 0, start?.y ?? 0);
  await page.mouse.wheel(0, -200);
  await settle(page);
  const zoomed = await pointOf(page, 'b', 6);
  expect(Math.abs((zoomed?.x ?? 0) - (start?.x ?? 0))).toBeLessThan(3);
  await page.mouse.down();
  await page.mouse.move((start?.x ?? 0) + 60, (start?.y ?? 0) + 40, { steps: 3 });
  await page.mouse.up();
  const dragged = await pointOf(page, 'b', 6);
  expect((dragged?.x ?? 0) - (zoomed?.x ?? 0)).toBeGreaterThan(40);
  await page.locator('#zoom-fit').click();
  await settle(page);
  const again = await pointOf(page, 'b', 6);
  expect(Math.abs((again?.x ?? 0) - (start?.x ?? 0))).toBeLessThan(1);
  for (const id of ['zoom-in', 'zoom-out']) await page.locator(`#${id}`).click();
  for (const key of ['+', '-', '0']) await page.keyboard.press(key);
});

test('a chain of 100,000 nodes and 100,000 children of one node are drawn', async ({ page }) => {
  await open(page);
  for (const script of [
    'tree t\na[0] = alloc t 8\nfor i in 1..99999 { a[i] = alloc a[i - 1] 8 }\n',
    'tree t\nfor i in 0..99999 { a[i] = alloc t 8 }\n',
  ]) {
    await run(page, script);
    await expect(page.locator('#summary')).toContainText('100,001 nodes');
    const inked = await page.evaluate(() => {
      const canvas = document.getElementById('canvas') as HTMLCanvasElement;
      const pen = canvas.getContext('2d') as CanvasRenderingContext2D;
      const pixels = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
      return pixels.filter((pixel) => pixel !== pixels[pixels.length - 1]).length;
    });
    expect(inked).toBeGreaterThan(1000);
    // Its last node can be gone to and is shown.
    await page.evaluate(() => {
      const { session } = window.kmem as App;
      session.select(session.machine?.address('a', 99_999) ?? 0);
    });
    await expect(page.locator('#inspector h3')).toHaveText('a[99999]');
  }
});
