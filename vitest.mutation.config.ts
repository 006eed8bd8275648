import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { include: _include, globalSetup, ...shared } = base.test ?? {};

// What judges a mutant: quick tests of sealing, of the protocol and of a connection's rules, without a database.
const judges = [
  'test/{crypto,oauth}/*.test.ts',
  'test/connections/{connection,grant,provider-failure}.test.ts',
  'test/config.test.ts',
];
// Tests that are named may need a database.
const { MUTATION_TESTS: named } = process.env;

export default mergeConfig(
  { ...base, test: named === undefined ? shared : { ...shared, globalSetup } },
  defineConfig({
    test: {
      include: named === undefined ? judges : named.split(' '),
      env: { HOSTILE_RUNS: '20' },
      // a mutant in what runs on import comes to life only where modules are read anew
      isolate: true,
    },
  }),
);
