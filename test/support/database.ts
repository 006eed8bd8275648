import { readFileSync } from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { inject } from 'vitest';
import type { OnFinished } from './harness.ts';
import { createDatabase } from './postgres.ts';

/** What is deleted is not swept up: a database that was emptied often grows slow. */
const mostUses = 20;

/** Statements that empty every table. */
const emptying = `
  SELECT 'SET session_replication_role = replica; ' || string_agg(format('DELETE FROM %I; ', tablename), '')
    || 'RESET session_replication_role' AS statements
  FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`;

interface Reusable {
  empty(): Promise<unknown>;
  close(): Promise<unknown>;
}

/** To make a database costs a second, emptying one next to nothing: those that tests are done with serve again. */
function reusing<Database extends Reusable>(create: () => Promise<Database>) {
  const idle: { database: Database; uses: number }[] = [];
  return async (onFinished: OnFinished): Promise<Database> => {
    const { database, uses } = idle.pop() ?? { database: await create(), uses: 0 };
    onFinished(async () => {
      if (uses + 1 >= mostUses) return void (await database.close());
      await database.empty();
      idle.push({ database, uses: uses + 1 });
    });
    return database;
  };
}

const takeEmbedded = reusing(async () => {
  const pglite = await PGlite.create('memory://', {
    loadDataDir: new Blob([readFileSync(inject('databaseSnapshot'))]),
  });
  return {
    pglite,
    empty: async () => pglite.exec((await pglite.query<{ statements: string }>(emptying)).rows[0]!.statements),
    close: () => pglite.close(),
  };
});

/** An empty embedded database. */
export async function takeDatabase(onFinished: OnFinished): Promise<PGlite> {
  return (await takeEmbedded(onFinished)).pglite;
}

const takeOnServer = reusing(async () => {
  const template = inject('databaseTemplate');
  if (!template) throw new Error('PostgreSQL is not there.');
  const { url, drop } = await createDatabase(template.serverUrl, template.name);
  return {
    url,
    async empty() {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query((await client.query<{ statements: string }>(emptying)).rows[0]!.statements);
      await client.end();
    },
    close: drop,
  };
});

/** An empty database on the PostgreSQL server. Tests that change more than its rows take `ownPostgres`. */
export async function takePostgres(onFinished: OnFinished): Promise<string> {
  return (await takeOnServer(onFinished)).url;
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
