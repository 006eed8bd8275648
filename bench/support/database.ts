import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { migratePostgres } from '../../src/db/migrate.ts';
import type { Cleanup } from './cleanup.ts';

const serverUrl = process.env.BENCH_DATABASE_URL || 'postgresql://postgres@127.0.0.1:5432/postgres';

/** A database of the benchmark's own, made by the project's migrations. */
export interface Database {
  url: string;
  pool: pg.Pool;
}

async function onServer<T>(run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

/** A folder for an embedded database. */
export function createDataDir(cleanup: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-bench-'));
  cleanup.add(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A database with nothing in it. */
export async function createEmptyDatabase(cleanup: Cleanup): Promise<string> {
  const name = `bench_${randomUUID().replaceAll('-', '')}`;
  await onServer((client) => client.query(`CREATE DATABASE ${name}`));
  cleanup.add(() => onServer((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)));
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export async function createDatabase(cleanup: Cleanup): Promise<Database> {
  const url = await createEmptyDatabase(cleanup);
  await migratePostgres(url);
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  cleanup.add(() => pool.end());
  return { url, pool };
}

export async function postgresVersion(): Promise<string> {
  const { rows } = await onServer((client) => client.query<{ server_version: string }>('SHOW server_version'));
  return rows[0]?.server_version ?? 'unknown';
}
