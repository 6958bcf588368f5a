import { defineConfig } from '@playwright/test';

// Builds the page and serves it, as any static host would.
const vite = 'node ../node_modules/vite/bin/vite.js';
const PORT = 4711;

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'node_modules/.e2e',
  snapshotPathTemplate: '{testDir}/shots/{arg}{ext}',
  fullyParallel: true,
  workers: 2,
  // A busy machine is given time.
  timeout: 60_000,
  reporter: [['line']],
  expect: { timeout: 10_000, toHaveScreenshot: { maxDiffPixelRatio: 0.005, animations: 'disabled', caret: 'hide' } },
  use: {
    baseURL: `http://127.0.0.1:${PORT}/`,
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: process.env.KMEM_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--font-render-hinting=none',
        '--force-color-profile=srgb',
      ],
    },
  },
  webServer: {
    command: `${vite} build && exec ${vite} preview --port ${PORT}`,
    url: `http://127.0.0.1:${PORT}/`,
    reuseExistingServer: false,
    timeout: 60_000,
  },
});
