import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createTemplate } from '../../support/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    redisUrl: string;
    /** What these tests need and did not find; null where all is there. */
    missingService: string | null;
  }
}

const serverUrl = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
const servicesAreRequired = ['true', '1'].includes(process.env.CI ?? '') || process.env.REQUIRE_SERVICES === '1';

/** Builds what the processes run, and makes the database that each test's own is copied from. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = (await missingPostgres()) ?? (await missingRedis());
  if (missing && servicesAreRequired) throw new Error(missing);
  project.provide('missingService', missing);
  project.provide('redisUrl', redisUrl);
  if (missing) {
    project.provide('databaseTemplate', null);
    return async () => {};
  }
  const { status } = spawnSync('npm run --silent build', { shell: true, stdio: 'inherit' });
  if (status !== 0) throw new Error('The service does not build.');
  const template = await createTemplate(serverUrl);
  project.provide('databaseTemplate', { serverUrl, name: template.name });
  return () => template.drop();
}

async function missingPostgres(): Promise<string | null> {
  const client = new pg.Client({ connectionString: serverUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    return null;
  } catch {
    return 'No PostgreSQL answers at TEST_DATABASE_URL.';
  } finally {
    await client.end().catch(() => {});
  }
}

async function missingRedis(): Promise<string | null> {
  const { hostname, port } = new URL(redisUrl);
  const socket = connect(Number(port || 6379), hostname);
  try {
    socket.end('PING\r\n');
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(5_000) })) as [Buffer];
    // one that asks for a password is there too
    return /^(\+PONG|-NOAUTH)/.test(answer.toString()) ? null : 'What answers at TEST_REDIS_URL is no Redis.';
  } catch {
    return 'No Redis answers at TEST_REDIS_URL.';
  } finally {
    socket.destroy();
  }
}
