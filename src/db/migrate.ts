import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { PGlite } from '@electric-sql/pglite';
import pg from 'pg';

const migrationsFolder = new URL('../../prisma/migrations/', import.meta.url);

/** The checked-in migrations, in order. */
export function migrationNames(): string[] {
  return readdirSync(migrationsFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** What migrating needs of a connection. `run` takes several statements at once. */
interface Connection {
  query(sql: string, params?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  run(sql: string): Promise<unknown>;
}

/**
 * Applies the checked-in migrations that are missing, each in its own transaction, and records them as Prisma's own
 * `migrate deploy` does, so that the two are interchangeable. Answers the names of those applied.
 */
async function migrate(connection: Connection, wanted = migrationNames()): Promise<string[]> {
  await connection.run(`CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`);
  const { rows } = await connection.query(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const done = new Set(rows.map((row) => row.migration_name));
  const names = wanted.filter((name) => !done.has(name));
  for (const name of names) {
    const sql = readFileSync(new URL(`${name}/migration.sql`, migrationsFolder), 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    await connection.run('BEGIN');
    try {
      await connection.run(sql);
      await connection.query(
        `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
         VALUES ($1, $2, $3, now(), 1)`,
        [randomUUID(), checksum, name],
      );
      await connection.run('COMMIT');
    } catch (error) {
      await connection.run('ROLLBACK');
      throw error;
    }
  }
  return names;
}

/** Brings an embedded database up to date. */
export function migratePglite(pglite: PGlite): Promise<string[]> {
  return migrate({
    query: (sql, params) => pglite.query<Record<string, unknown>>(sql, params),
    run: (sql) => pglite.exec(sql),
  });
}

/** Brings a PostgreSQL database up to date, or to those migrations. Several instances may call it at once: they take turns. */
export async function migratePostgres(databaseUrl: string, wanted?: string[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock(72707369)'); // the lock that Prisma's own migrate takes
    return await migrate(
      {
        query: (sql, params) => client.query(sql, params),
        run: (sql) => client.query(sql),
      },
      wanted,
    );
  } finally {
    await client.end();
  }
}
