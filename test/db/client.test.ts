import type pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/db/client.ts';
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
