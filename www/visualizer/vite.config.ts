import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// The package is used as it is in this repository, so that nothing needs to be built for the page but the module.
const raw = fileURLToPath(new URL('../kmem/src/raw.ts', import.meta.url));

export default defineConfig({
  base: './',
  resolve: { alias: { 'kmem/raw': raw } },
  build: { target: 'es2022', modulePreload: { polyfill: false } },
  server: { host: '127.0.0.1', strictPort: true },
  preview: { host: '127.0.0.1', strictPort: true },
});
