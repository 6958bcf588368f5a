// Opens an address of the page in headless Chromium and sees that it has come up with a tree in it:
// `node check.mjs http://127.0.0.1:4173/#json=document.json`.

import { chromium } from '@playwright/test';

const address = process.argv[2];
if (address === undefined) {
  console.error('usage: node check.mjs <address>');
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.KMEM_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
try {
  const page = await browser.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(address);
  await page.waitForFunction(() => (window.kmem?.session.step ?? 0) > 0, null, { timeout: 20_000 });
  const seen = await page.evaluate(() => {
    const { session } = window.kmem;
    const tree = session.machine.stores.find(({ kind }) => kind === 'tree');
    const canvas = document.querySelector('#canvas');
    const notice = document.querySelector('#notice');
    return {
      steps: session.step,
      of: session.length,
      nodes: tree?.stats().live ?? 0,
      drawn: canvas.width * canvas.height,
      view: session.view,
      notice: notice.hidden ? '' : notice.textContent,
    };
  });
  const sound = seen.steps === seen.of && seen.nodes > 1 && seen.drawn > 0 && seen.view === 'tree' && !seen.notice;
  console.log(`the page: ${seen.steps} of ${seen.of} steps run, ${seen.nodes} nodes in the ${seen.view} view`);
  if (!sound || complaints.length > 0) {
    console.error('the page did not come up as it should', seen, complaints);
    process.exitCode = 1;
  }
} finally {
  await browser.close();
}
