import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { include: _include, globalSetup: _globalSetup, ...shared } = base.test ?? {};

// What takes minutes: real processes on PostgreSQL and Redis. One file at a time, for each takes the whole machine.
export default defineConfig(({ mode }) =>
  mergeConfig(
    { ...base, test: shared },
    {
      test: {
        // the soak is a command of its own
        include: [mode === 'soak' ? 'test/chaos/**/*.soak.ts' : 'test/chaos/**/*.chaos.ts'],
        globalSetup: ['test/support/global-setup.ts', 'test/chaos/support/build.ts'],
        fileParallelism: false,
        testTimeout: 60 * 60_000, // whatever waits has a deadline of its own
        hookTimeout: 120_000,
        disableConsoleIntercept: true,
      },
    },
  ),
);
