import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

// what has no database, chooses its own, or is about what lies before the service or behind it, would be the same there
const elsewhere = ['browser/**', 'crypto/**', 'db/**', 'oauth/**', 'tooling/**', 'config.*', 'demo.*'];
const clients = ['client/**', 'clients/**', 'sdk/**', 'docs/**'];
const providers = ['providers/**', 'behaviours/oauth-servers.*', 'behaviours/token-answers.*', 'security/ssrf.*'];
const doors = [
  'mcp/**',
  'observability/**',
  'graphql/**',
  'security/graphql-*',
  'security/http-hardening.*',
  'security/fuzz.*',
];
const ownStores = ['behaviours/instances.*', 'behaviours/key-rotation.*', 'behaviours/token-read-route.*'];

// The suite on PostgreSQL and Redis: each service of the tests on a database of its own.
export default mergeConfig(
  base,
  defineConfig({
    mode: 'postgres',
    test: { exclude: [...elsewhere, ...clients, ...providers, ...doors, ...ownStores].map((files) => `test/${files}`) },
  }),
);
