import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig, mergeConfig } from 'vitest/config';
import { instrument } from './test/mutation/instrument.ts';
import { mutationReporter } from './test/mutation/reporter.ts';
import base from './vitest.config.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The folder that mutants and judgements are written to. */
    mutationReports: string;
    /** Of how many mutants one is judged. */
    mutationEvery: number;
  }
}

const { include: _include, reporters: _reporters, ...shared } = base.test ?? {};
const { MUTATE, MUTATION_TESTS, MUTATION_EVERY = '1' } = process.env;
const mutated = MUTATE?.split(' ') ?? readdirSync('src/connections').map((name) => `src/connections/${name}`);
const judges = MUTATION_TESTS?.split(' ') ?? ['test/connections/*.test.ts'];
const reports = resolve('reports/mutants');
const every = Number(MUTATION_EVERY);

// Mutants of what needs a whole service, judged by the tests of its behaviour: see docs/mutation-testing.md.
export default mergeConfig(
  { ...base, test: shared },
  defineConfig({
    plugins: [instrument(mutated, reports)],
    test: {
      include: judges,
      runner: './test/mutation/runner.ts',
      provide: { mutationReports: reports, mutationEvery: every },
      reporters: ['verbose', mutationReporter(reports, every)],
      maxWorkers: 1,
      testTimeout: 15_000,
      hookTimeout: 10_000,
      expect: { poll: { timeout: 2_000 } },
      env: { EVENTUALLY_MS: '2500' },
    },
  }),
);
