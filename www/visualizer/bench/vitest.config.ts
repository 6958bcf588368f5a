import { defineConfig, mergeConfig } from 'vitest/config';
import page from '../vite.config.ts';

// One after the other: they are timed.
const test = { include: ['bench/**/*.bench.ts'], environment: 'node' as const, fileParallelism: false };

export default mergeConfig(page, defineConfig({ test }));
