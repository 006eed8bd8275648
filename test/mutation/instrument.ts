import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import type { Plugin } from 'vitest/config';
import { writeMutants } from './state.ts';

const says = () => {};
const isSaid = () => false;
const silent = {
  trace: says,
  debug: says,
  info: says,
  warn: says,
  error: says,
  fatal: says,
  isTraceEnabled: isSaid,
  isDebugEnabled: isSaid,
  isInfoEnabled: isSaid,
  isWarnEnabled: isSaid,
  isErrorEnabled: isSaid,
  isFatalEnabled: isSaid,
};

/** Loads these files with all of Stryker's mutants built in, each asleep until the runner wakes it. */
export function instrument(names: string[], reports: string): Plugin {
  const sources = new Map<string, string>();
  return {
    name: 'mutants',
    enforce: 'pre',
    async buildStart() {
      const files = names.map((name) => ({ name: resolve(name), mutate: true, content: readFileSync(name, 'utf8') }));
      const options = { plugins: null, excludedMutations: [], ignorers: [] };
      const { files: instrumented, mutants } = await new Instrumenter(silent).instrument(files, options);
      for (const { name, content } of instrumented) sources.set(name, content);
      writeMutants(reports, mutants);
    },
    transform: (_code, id) => sources.get(id),
  };
}
