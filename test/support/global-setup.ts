import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { TestProject } from 'vitest/node';
import { emptyDatabase } from '../../examples/scheduling-app/empty-database.ts';
import { createTemplate } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A dumped data directory with every migration applied: each test's own database starts from it. */
    databaseSnapshot: string;
    /** The same on a PostgreSQL server; null where none is there. */
    databaseTemplate: { serverUrl: string; name: string } | null;
    /** A Redis; null where none is there. */
    redisUrl: string | null;
    /** Whether every service of the tests runs on PostgreSQL and Redis: `npm run test:postgres`. */
    onPostgres: boolean;
  }
}

const postgresUrl = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const onPostgres = project.vite.config.mode === 'postgres';
  const isRequired = onPostgres || Boolean(process.env.CI || process.env.REQUIRE_SERVICES);

  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  const file = join(folder, 'snapshot.tar');
  writeFileSync(file, Buffer.from(await (await emptyDatabase()).arrayBuffer()));
  project.provide('databaseSnapshot', file);

  const template = await unlessMissing('PostgreSQL', 'TEST_DATABASE_URL', isRequired, () =>
    createTemplate(postgresUrl),
  );
  const redis = await unlessMissing('Redis', 'TEST_REDIS_URL', isRequired, () => pingRedis(redisUrl));
  project.provide('databaseTemplate', template && { serverUrl: postgresUrl, name: template.name });
  project.provide('redisUrl', redis && redisUrl);
  project.provide('onPostgres', onPostgres);
  return async () => {
    await template?.drop();
    rmSync(folder, { recursive: true, force: true });
  };
}

/** What a service answers; null where it is not there and need not be. */
async function unlessMissing<T>(what: string, variable: string, isRequired: boolean, ask: () => Promise<T>) {
  try {
    return await ask();
  } catch (error) {
    if (isRequired) throw new Error(`${what} does not answer: start it, or name it in ${variable}.`, { cause: error });
    process.stdout.write(`${what} does not answer: the tests that need it are skipped. ${variable} names one.\n`);
    return null;
  }
}

async function pingRedis(url: string): Promise<string> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {}); // told by what connect() throws
  try {
    await client.connect();
    return await client.ping();
  } finally {
    client.disconnect();
  }
}
