import type pg from 'pg';
import { expect, vi } from 'vitest';

/** A lock that the test itself holds on a user's rows. */
export interface HeldRow {
  /** Settles once somebody waits for the lock. */
  waitedFor(): Promise<void>;
  release(): Promise<void>;
}

/** Locks a user's row of one table, as another session would. */
export async function holdRow(sql: pg.Pool, table: 'connection' | 'credential', userId: string): Promise<HeldRow> {
  const session = await sql.connect();
  await session.query('BEGIN');
  const { rows } = await session.query<{ pid: number }>(
    `SELECT pg_backend_pid() AS pid FROM ${table}
     WHERE ${table === 'connection' ? 'id' : '"connectionId"'} IN (SELECT id FROM connection WHERE "userId" = $1) FOR UPDATE`,
    [userId],
  );
  const holder = rows[0]?.pid;
  if (holder === undefined) throw new Error(`the user has no ${table}`);
  return {
    waitedFor: () =>
      vi.waitFor(
        async () => {
          const waiting = await sql.query(`SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))`, [
            holder,
          ]);
          if (waiting.rowCount === 0) throw new Error(`nobody waits for the lock on ${table}`);
        },
        { timeout: 15_000, interval: 5 },
      ),
    async release() {
      await session.query('ROLLBACK');
      session.release();
    },
  };
}

/** Fails where nobody has the lease of a user's tokens: a test that means its holder would test nothing. */
export async function assertLeased(sql: pg.Pool, userId: string): Promise<void> {
  const { rowCount } = await sql.query(
    `SELECT 1 FROM credential JOIN connection ON connection.id = "connectionId"
     WHERE "userId" = $1 AND "leaseToken" IS NOT NULL AND "leaseUntil" > now()`,
    [userId],
  );
  expect(rowCount).toBe(1);
}
