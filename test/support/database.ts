import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { inject } from 'vitest';

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
