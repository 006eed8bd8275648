import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { TestProject } from 'vitest/node';
import { migratePglite } from '../../src/db/migrate.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A dumped data directory with every migration applied: each test's own database starts from it. */
    databaseSnapshot: string;
  }
}

export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  const file = join(folder, 'snapshot.tar');
  const pglite = await PGlite.create('memory://');
  await migratePglite(pglite);
  const dump = await pglite.dumpDataDir('none');
  writeFileSync(file, Buffer.from(await dump.arrayBuffer()));
  await pglite.close();
  project.provide('databaseSnapshot', file);
  return () => rmSync(folder, { recursive: true, force: true });
}
