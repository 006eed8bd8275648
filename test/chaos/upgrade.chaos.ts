import pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { migratePostgres, migrationNames } from '../../src/db/migrate.ts';
import { newKey } from '../support/at-rest.ts';
import { ownPostgres, startService } from '../support/harness.ts';
import { createDatabase } from '../support/postgres.ts';
import { connectUser, readAs, type Scene, setScene, tokenOf } from '../support/scene.ts';
import { report, useServices } from './support/rounds.ts';

useServices();

/** Rows of every table, as JSON, by table. */
type Rows = Map<string, Record<string, unknown>[]>;

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function tablesOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

async function rowsOf(client: pg.Client): Promise<Rows> {
  const all: Rows = new Map();
  for (const table of await tablesOf(client)) {
    const { rows } = await client.query<{ row: Record<string, unknown> }>(`SELECT to_json(t) AS row FROM "${table}" t`);
    all.set(
      table,
      rows.map(({ row }) => row),
    );
  }
  return all;
}

/** The database as a version left it that had only these migrations, with the rows that such a version could have written. */
async function databaseAt(migrations: string[], present: Rows): Promise<string> {
  const database = await createDatabase(inject('databaseTemplate')!.serverUrl);
  onTestFinished(() => database.drop());
  const client = await connectTo(database.url);
  await migratePostgres(database.url, migrations);
  await client.query('SET session_replication_role = replica'); // whatever order the tables are filled in
  for (const table of await tablesOf(client)) {
    const columns = await client.query<{ name: string; isEnum: boolean; type: string }>(
      `SELECT attname AS name, typtype = 'e' AS "isEnum", typname AS type
       FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
       WHERE attrelid = format('%I', $1::text)::regclass AND attnum > 0 AND NOT attisdropped`,
      [table],
    );
    const labels = await client.query<{ type: string; label: string }>(
      `SELECT typname AS type, enumlabel AS label FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid`,
    );
    const known = new Set(labels.rows.map(({ type, label }) => `${type}.${label}`));
    const enums = columns.rows.filter(({ isEnum }) => isEnum);
    const rows = (present.get(table) ?? []).filter((row) =>
      enums.every(({ name, type }) => row[name] === null || known.has(`${type}.${row[name] as string}`)),
    );
    const list = columns.rows.map(({ name }) => `"${name}"`).join(', ');
    await client.query(
      `INSERT INTO "${table}" (${list}) SELECT ${list} FROM json_populate_recordset(null::"${table}", $1)`,
      [JSON.stringify(rows)],
    );
  }
  return database.url;
}

test('a database of every earlier version, with rows in it, is migrated to the present one and served', async () => {
  const ENCRYPTION_KEYS = newKey('a');
  const DATABASE_URL = await ownPostgres();
  const first = await startService({ DATABASE_URL, ENCRYPTION_KEYS });
  const scene = await setScene(first);
  await connectUser(scene, 'one');
  await connectUser(scene, 'two', 'green');
  const tokens = [await tokenOf(scene, 'one'), await tokenOf(scene, 'two')];
  await first.app.stop();
  const present = await rowsOf(await connectTo(DATABASE_URL));

  const names = migrationNames();
  for (let count = 1; count < names.length; count += 1) {
    const url = await databaseAt(names.slice(0, count), present);
    await expect(startService({ DATABASE_URL: url, ENCRYPTION_KEYS })).rejects.toThrow(
      `The database lacks ${names.length - count} of the migrations: run \`npm run db:migrate\` first.`,
    );
    expect(await migratePostgres(url)).toEqual(names.slice(count));
    const service = await startService({ DATABASE_URL: url, ENCRYPTION_KEYS });
    const upgraded: Scene = { ...scene, service };
    expect([await tokenOf(upgraded, 'one'), await tokenOf(upgraded, 'two')]).toEqual(tokens);
    expect(await readAs(upgraded, 'nobody')).toMatchObject({ __typename: 'NotConnectedError' });
    await connectUser(upgraded, 'three');
    await service.app.stop();
  }
  report(`${names.length - 1} earlier versions were migrated and served`);
});
