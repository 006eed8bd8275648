import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { migratePostgres } from '../../src/db/migrate.ts';

async function onServer<T>(serverUrl: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

function databaseAt(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** A database on the server: empty, or a copy of a template. Answers its connection string, and how to drop it. */
export async function createDatabase(
  serverUrl: string,
  template?: string,
): Promise<{ name: string; url: string; drop(): Promise<void> }> {
  const unique = randomUUID().replaceAll('-', '');
  const name = template ? `${template}_${unique.slice(0, 12)}` : `test_${unique}`;
  await onServer(serverUrl, (client) =>
    client.query(`CREATE DATABASE ${name}${template ? ` TEMPLATE ${template}` : ''}`),
  );
  return {
    name,
    url: databaseAt(serverUrl, name),
    drop: async () => {
      await onServer(serverUrl, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    },
  };
}

/** A database with every migration applied, for the tests' own to be copied from. Whatever is left of those is dropped with it. */
export async function createTemplate(serverUrl: string): Promise<{ name: string; drop(): Promise<void> }> {
  const { name, url } = await createDatabase(serverUrl);
  await migratePostgres(url);
  return {
    name,
    drop: () =>
      onServer(serverUrl, async (client) => {
        const { rows } = await client.query<{ datname: string }>(
          `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`,
          [name],
        );
        for (const { datname } of rows) await client.query(`DROP DATABASE ${datname} WITH (FORCE)`);
      }),
  };
}
