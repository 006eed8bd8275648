import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { TestProject } from 'vitest/node';
import { migratePglite } from '../../src/db/migrate.ts';
import { createTemplate } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A dumped data directory with every migration applied: each test's own database starts from it. */
    databaseSnapshot: string;
    /** The same on the PostgreSQL server at TEST_DATABASE_URL; null where none is named, and tests run on PGlite. */
    databaseTemplate: { serverUrl: string; name: string } | null;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  const file = join(folder, 'snapshot.tar');
  const pglite = await PGlite.create('memory://');
  await migratePglite(pglite);
  const dump = await pglite.dumpDataDir('none');
  writeFileSync(file, Buffer.from(await dump.arrayBuffer()));
  await pglite.close();
  project.provide('databaseSnapshot', file);

  const serverUrl = process.env.TEST_DATABASE_URL;
  const template = serverUrl ? await createTemplate(serverUrl) : null;
  project.provide('databaseTemplate', serverUrl && template ? { serverUrl, name: template.name } : null);
  return async () => {
    await template?.drop();
    rmSync(folder, { recursive: true, force: true });
  };
}
