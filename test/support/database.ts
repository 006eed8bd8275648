import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { inject } from 'vitest';
import type { OnFinished } from './harness.ts';

const idle: PGlite[] = [];

/** An empty embedded database. Starting one costs a second, emptying one next to nothing: those that tests are done with serve again. */
export async function takeDatabase(onFinished: OnFinished): Promise<PGlite> {
  const pglite =
    idle.pop() ??
    (await PGlite.create('memory://', { loadDataDir: new Blob([readFileSync(inject('databaseSnapshot'))]) }));
  onFinished(async () => {
    const { rows } = await pglite.query<{ statement: string }>(`
      SELECT format('DELETE FROM %I', tablename) AS statement FROM pg_tables
      WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`);
    const emptied = rows.map(({ statement }) => `${statement};`).join('');
    await pglite.exec(`SET session_replication_role = replica; ${emptied} RESET session_replication_role`);
    idle.push(pglite);
  });
  return pglite;
}

/** A database to start a service from, with statements of the test's own applied: to make a write fail in the middle, say. */
export async function snapshotWith(sql: string): Promise<Blob> {
  const pglite = await PGlite.create('memory://', {
    loadDataDir: new Blob([readFileSync(inject('databaseSnapshot'))]),
  });
  await pglite.exec(sql);
  const blob = await pglite.dumpDataDir('none');
  await pglite.close();
  return blob;
}
