import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { onTestFinished } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { type Db, openDatabase } from '../../src/db/client.ts';
import { createProviderFetch, type ProviderFetch } from '../../src/oauth/fetch.ts';
import { takeDatabase } from './database.ts';
import { createTestClock, type Service, startService, type TestClock } from './harness.ts';

/** One entry of ENCRYPTION_KEYS. */
export function newKey(kid: string): string {
  return `${kid}:${randomBytes(32).toString('base64')}`;
}

export interface ServiceOnDisk {
  service: Service;
  dataDir: string;
  /** Stops the service and answers its data as the next one's snapshot, after each of the changes. */
  stopAndDump<T extends ((database: PGlite) => Promise<unknown>)[]>(...changes: T): Promise<{ [K in keyof T]: Blob }>;
}

/** A service whose database lies in a folder, so that it can be looked at, or changed, once the service has stopped. */
export async function startServiceOnDisk(
  env: Record<string, string> = {},
  snapshot?: Blob,
  overrides: Overrides = {},
): Promise<ServiceOnDisk> {
  const dataDir = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const service = await startService({ DATA_DIR: dataDir, ...env }, { ...overrides, ...(snapshot && { snapshot }) });
  return {
    service,
    dataDir,
    async stopAndDump<T extends ((database: PGlite) => Promise<unknown>)[]>(...changes: T) {
      await service.app.stop();
      const database = await PGlite.create({ dataDir: join(dataDir, 'pglite') });
      const dumps: Blob[] = [];
      try {
        for (const change of changes) {
          await change(database);
          dumps.push(await database.dumpDataDir('none'));
        }
      } finally {
        await database.close();
      }
      return dumps as { [K in keyof T]: Blob };
    },
  };
}

/** A service whose database outlasts it: `stop` answers that, for the test to go on with. */
export async function startServiceToStop(env: Record<string, string> = {}) {
  const pglite = await takeDatabase(onTestFinished);
  const service = await startService(env, { pglite });
  return {
    service,
    async stop(): Promise<Db> {
      await service.app.stop();
      const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, pglite });
      onTestFinished(close);
      return db;
    },
  };
}

/** Asks the local providers, as the service that has stopped did. */
export function openProviderFetch(): ProviderFetch {
  const opened = createProviderFetch({ allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 65_536 });
  onTestFinished(opened.close);
  return opened.fetch;
}

/** Every row of every table, as JSON text, with its table's name. */
export async function everyRow(database: PGlite): Promise<{ table: string; text: string }[]> {
  const tables = await database.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  const rows = await Promise.all(
    tables.rows.map(async ({ name }) => {
      const found = await database.query<{ text: string }>(`SELECT row_to_json(t)::text AS text FROM "${name}" t`);
      return found.rows.map(({ text }) => ({ table: name, text }));
    }),
  );
  return rows.flat();
}

/** Every file below a folder, as bytes. */
export function everyFile(folder: string): { name: string; bytes: Buffer }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((name) => ({ name, bytes: readFileSync(name) }));
}

/** A clock that stands still but for what a test adds: attempts can then be counted exactly. */
export function createStoppedClock(): TestClock {
  const { now } = createTestClock();
  let at = now().getTime();
  return {
    now: () => new Date(at),
    advance: (ms) => {
      at += ms;
    },
  };
}

/** A service on a stopped clock. */
export async function startServiceOnStoppedClock(): Promise<Service> {
  const clock = createStoppedClock();
  return { ...(await startService({}, { clock })), clock };
}
