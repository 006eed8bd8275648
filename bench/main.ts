/** Runs the benchmarks, all or those named on the command line, one after the other. See the README. */
import { audit } from './audit.ts';
import { embedded } from './embedded.ts';
import { fanOut } from './fan-out.ts';
import { peers } from './peers.ts';
import { scopeEdit } from './scope-edit.ts';
import { slowProvider } from './slow-provider.ts';
import { stampede } from './stampede.ts';
import { start } from './start.ts';
import { type Cleanup, createCleanup } from './support/cleanup.ts';
import { postgresVersion } from './support/database.ts';
import { type Figure, printTable, type Result, writeResults } from './support/report.ts';
import { tokenRead } from './token-read.ts';
import { workers } from './workers.ts';

const benchmarks: Record<string, (cleanup: Cleanup) => Promise<Figure[]>> = {
  stampede,
  'scope-edit': scopeEdit,
  'fan-out': fanOut,
  'token-read': tokenRead,
  audit,
  peers,
  embedded,
  workers,
  'slow-provider': slowProvider,
  start,
};

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in benchmarks));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}: choose from ${Object.keys(benchmarks).join(', ')}.`);
  process.exit(1);
}

const cleanup = createCleanup();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!interrupted) void cleanup.run().finally(() => process.exit(1));
    interrupted = true;
  });
}

const results: Result[] = [];
try {
  const postgres = await postgresVersion();
  for (const [benchmark, run] of Object.entries(benchmarks)) {
    if (named.length > 0 && !named.includes(benchmark)) continue;
    console.error(`${benchmark} …`);
    const result = { benchmark, figures: await run(cleanup) };
    await cleanup.run();
    printTable(result);
    results.push(result);
    writeResults(results, postgres); // what one has found outlasts another that fails
  }
} catch (error) {
  if (!interrupted) console.error(error);
  process.exitCode = 1;
} finally {
  if (!interrupted) await cleanup.run();
}
