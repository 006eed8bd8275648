import { connect, createServer, type AddressInfo } from 'node:net';
import type pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/db/client.ts';
import { isDatabaseUnavailable } from '../../src/db/unavailable.ts';
import { Secret } from '../../src/lib/secret.ts';
import { ownPostgres } from '../support/harness.ts';

test.skipIf(inject('databaseTemplate') === null)(
  '35. a connection that the server ends just as it is handed on does not end the process',
  async () => {
    const database = await openDatabase({ databaseUrl: new Secret(await ownPostgres()) });
    onTestFinished(database.close);
    const pool = database.pool as pg.Pool;
    const client = await pool.connect(); // its receiver does not listen yet
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const ended = new Promise<void>((resolve) => client.once('end', () => resolve())); // once() would listen to errors
    await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await ended;
    await expect(client.query('SELECT 1')).rejects.toThrow('not queryable');
    client.release();
    // it is replaced
    expect(await database.pendingMigrations()).toEqual([]);
  },
);

/** Stands before a PostgreSQL server, and passes on what both say until it is told to swallow it. */
async function startTunnel(databaseUrl: string) {
  const state = { isSilent: false, opened: 0 };
  const url = new URL(databaseUrl);
  const { hostname, port } = url;
  const server = createServer((client) => {
    state.opened += 1;
    const upstream = connect(Number(port), hostname);
    client.on('data', (data) => state.isSilent || upstream.write(data));
    upstream.on('data', (data) => client.write(data));
    client.on('close', () => upstream.destroy()).on('error', () => {});
    upstream.on('close', () => client.destroy()).on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { state, url: url.href };
}

test.skipIf(inject('databaseTemplate') === null)(
  '35. a server that has gone silent is given up, and asked again over another connection',
  async () => {
    const { state, url } = await startTunnel(await ownPostgres());
    const database = await openDatabase({ databaseUrl: new Secret(url), silentMs: 300 });
    onTestFinished(database.close);
    const read = () => database.runPrepared({ name: 'one', text: 'SELECT 1 AS one' }, []);
    const byPrisma = () => database.db.$queryRaw`SELECT 1 AS one`;
    const both = () => Promise.all([read, byPrisma].map((ask) => ask().catch((error: unknown) => error)));
    expect(await both()).toEqual([[{ one: 1 }], [{ one: 1 }]]);
    state.isSilent = true;
    expect((await both()).map(isDatabaseUnavailable)).toEqual([true, true]);
    state.isSilent = false;
    const opened = state.opened;
    expect(await both()).toEqual([[{ one: 1 }], [{ one: 1 }]]);
    expect(state.opened).toBeGreaterThan(opened);
  },
);
