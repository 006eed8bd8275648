import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { include: _include, globalSetup: _globalSetup, ...shared } = base.test ?? {};

// What judges a mutant: quick tests of sealing, of the protocol and of a connection's rules, without a database.
const judges = [
  'test/{crypto,oauth}/*.test.ts',
  'test/connections/{connection,grant,provider-failure}.test.ts',
  'test/config.test.ts',
];

export default mergeConfig(
  { ...base, test: shared },
  defineConfig({
    test: {
      include: process.env.MUTATION_TESTS?.split(' ') ?? judges,
      env: { HOSTILE_RUNS: '20' },
      // a mutant in what runs on import comes to life only where modules are read anew
      isolate: true,
    },
  }),
);
