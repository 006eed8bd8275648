import { AsyncLocalStorage } from 'node:async_hooks';
import { PGlite, type Transaction } from '@electric-sql/pglite';
import { onTestFinished, vi } from 'vitest';

/** What reached the embedded database. */
export interface SqlLog {
  statements: string[];
  /** How many rows all INSERT, UPDATE and DELETE statements wrote. */
  rowsWritten: number;
}

const recording = new AsyncLocalStorage<SqlLog>();

/** Runs something, and answers the statements that it sent to the database. Those of the worker, which has turns of its own, are not among them. */
export async function recordSql(run: () => Promise<unknown>): Promise<SqlLog> {
  const log: SqlLog = { statements: [], rowsWritten: 0 };
  const { query, transaction } = PGlite.prototype;

  /** The same function, with what it is asked and how many rows it wrote put down. */
  const noting = (ask: PGlite['query']): PGlite['query'] =>
    async function noted<T>(this: PGlite, ...args: Parameters<PGlite['query']>) {
      recording.getStore()?.statements.push(args[0]);
      const result = await ask.apply<PGlite, typeof args, ReturnType<PGlite['query']>>(this, args);
      const writes = /^\s*(INSERT|UPDATE|DELETE)/i.test(args[0]);
      const current = recording.getStore();
      if (current && writes) current.rowsWritten += Math.max(result.affectedRows ?? 0, result.rows.length);
      return result as Awaited<ReturnType<typeof query<T>>>;
    };
  const spies = [
    vi.spyOn(PGlite.prototype, 'query').mockImplementation(noting(query)),
    // what a transaction's callback gets has a `query` of its own
    vi.spyOn(PGlite.prototype, 'transaction').mockImplementation(function begin<T>(
      this: PGlite,
      callback: (tx: Transaction) => Promise<T>,
    ) {
      return transaction.call(this, (tx) =>
        callback(Object.create(tx, { query: { value: noting(tx.query) } }) as Transaction),
      ) as Promise<T>;
    }),
  ];
  const restore = () => {
    for (const spy of spies) spy.mockRestore();
  };
  onTestFinished(restore);
  await recording.run(log, run);
  restore();
  return log;
}
