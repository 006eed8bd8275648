import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// what has no database, or chooses its own, would be the same there
const elsewhere = ['browser/**', 'crypto/**', 'db/**', 'oauth/**', 'tooling/**', 'config.*', 'demo.*'];
const ownStores = ['behaviours/instances.*', 'behaviours/key-rotation.*'];

// The suite on PostgreSQL and Redis: each service of the tests on a database of its own.
export default mergeConfig(
  base,
  defineConfig({
    mode: 'postgres',
    test: { exclude: [...elsewhere, ...ownStores].map((files) => `test/${files}`) },
  }),
);
