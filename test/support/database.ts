import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { inject } from 'vitest';
import type { OnFinished } from './harness.ts';

const idle: { pglite: PGlite; uses: number }[] = [];
/** What is deleted is not swept up: a database that was emptied often grows slow. */
const mostUses = 20;

/** An empty embedded database. Starting one costs a second, emptying one next to nothing: those that tests are done with serve again. */
export async function takeDatabase(onFinished: OnFinished): Promise<PGlite> {
  const { pglite, uses } = idle.pop() ?? {
    pglite: await PGlite.create('memory://', {
      loadDataDir: new Blob([readFileSync(inject('databaseSnapshot'))]),
    }),
    uses: 0,
  };
  onFinished(async () => {
    if (uses + 1 >= mostUses) return pglite.close();
    const { rows } = await pglite.query<{ statement: string }>(`
      SELECT format('DELETE FROM %I', tablename) AS statement FROM pg_tables
      WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`);
    const emptied = rows.map(({ statement }) => `${statement};`).join('');
    await pglite.exec(`SET session_replication_role = replica; ${emptied} RESET session_replication_role`);
    idle.push({ pglite, uses: uses + 1 });
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
