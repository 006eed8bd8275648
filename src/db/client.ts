import { Socket } from 'node:net';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import type { Pool as PostgresPool } from 'pg';
import type { Secret } from '../lib/secret.ts';
import { StartupError } from '../lib/startup-error.ts';
import { lockDataDir } from './data-dir-lock.ts';
import { PrismaClient } from './generated/prisma/client.ts';
import { migratePglite, migrationNames } from './migrate.ts';

export type Db = PrismaClient;
/** What a transaction's callback gets. */
export type Tx = Parameters<Parameters<Db['$transaction']>[0]>[0];

/** A statement that is asked so often that PostgreSQL prepares it once a connection, under its name. */
export interface PreparedStatement {
  name: string;
  text: string;
}

/** Runs a prepared statement, past Prisma. Instants come as Date, JSON as its value. */
export type RunPrepared = <Row extends object>(
  statement: PreparedStatement,
  values: readonly unknown[],
) => Promise<Row[]>;

export interface Database {
  db: Db;
  runPrepared: RunPrepared;
  /** The connections to the server; null where the database is embedded. */
  pool: Pick<PostgresPool, 'totalCount' | 'idleCount' | 'waitingCount'> | null;
  /** The migrations of this version that the database lacks. */
  pendingMigrations: () => Promise<string[]>;
  close: () => Promise<void>;
}

/**
 * Where the data lives: a PostgreSQL server, which may say nothing for `silentMs`; or embedded, in a folder or (`dataDir: null`) in
 * memory. `snapshot` starts the latter from a dumped data directory; `pglite` is open already, and stays so.
 */
export type DatabaseLocation =
  | { databaseUrl: Secret; silentMs?: number }
  | { databaseUrl: null; dataDir: string | null; snapshot?: Blob | undefined; pglite?: PGlite | undefined };

/** The embedded database has one connection, for which transactions queue: a burst of them takes longer than Prisma waits by default. */
const transactionOptions = { maxWait: 15_000, timeout: 15_000 };

const statementTimeoutMs = 30_000;
/** Long enough for the server to tell that a statement took too long. */
const longestSilenceMs = statementTimeoutMs + 5_000;

/**
 * Opens the database, and loads what that takes: nobody uses both. The embedded one is migrated first; a PostgreSQL server is
 * migrated by `npm run db:migrate`.
 */
export async function openDatabase(location: DatabaseLocation): Promise<Database> {
  if (location.databaseUrl) {
    const [{ Pool }, { PrismaPg }] = await Promise.all([import('pg'), import('@prisma/adapter-pg')]);
    const pool = new Pool({
      connectionString: location.databaseUrl.reveal(),
      connectionTimeoutMillis: transactionOptions.maxWait,
      keepAlive: true,
      stream: listeningFor(location.silentMs ?? longestSilenceMs),
      statement_timeout: statementTimeoutMs,
    });
    pool.on('error', () => {}); // of an idle connection, which the pool replaces
    // A connection that ends just as it is handed on has no listener for a moment, and its error would end the process: whoever has
    // got it learns of it from the next statement.
    pool.on('connect', (client) => client.on('error', () => {}));
    const db = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: true }), transactionOptions });
    await assertMigrated(db);
    return {
      db,
      runPrepared: async <Row extends object>(statement: PreparedStatement, values: readonly unknown[]) =>
        (await pool.query<Row>({ ...statement, values: [...values] })).rows,
      pool,
      pendingMigrations: () => pendingMigrations(db),
      close: () => db.$disconnect(),
    };
  }
  const { dataDir, snapshot } = location;
  const unlock = dataDir === null ? () => {} : await lockDataDir(dataDir);
  try {
    const [{ PGlite }, { PrismaPGlite }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('pglite-prisma-adapter'),
    ]);
    const pglite =
      location.pglite ??
      (await PGlite.create({
        dataDir: dataDir === null ? 'memory://' : join(dataDir, 'pglite'),
        ...(snapshot && { loadDataDir: snapshot }),
      }));
    await migratePglite(pglite);
    const db = new PrismaClient({ adapter: new PrismaPGlite(pglite), transactionOptions });
    return {
      db,
      // through Prisma, whose transactions have the one connection to themselves
      runPrepared: ({ text }, values) => db.$queryRawUnsafe(text, ...values),
      pool: null,
      pendingMigrations: () => pendingMigrations(db),
      async close() {
        await db.$disconnect();
        if (!location.pglite) await pglite.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/**
 * Opens sockets that end where nothing comes or goes for so long: a server that has gone silent would be waited for as long as the
 * connection stands. With pg's own `query_timeout`, a timer for each statement, what a statement held outlived two collections.
 */
function listeningFor(ms: number): () => Socket {
  return () => {
    const socket = new Socket();
    return socket.setTimeout(ms, () => socket.destroy(new Error('Connection terminated: the server is silent')));
  };
}

/** Refuses a database that is not there, or that this version's migrations have not reached. */
async function assertMigrated(db: Db): Promise<void> {
  const [table] = await db.$queryRaw<
    { exists: boolean }[]
  >`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`.catch(() => {
    throw new StartupError('DATABASE_URL names a database that cannot be reached: check its host, name and user.');
  });
  const missing = table?.exists ? await pendingMigrations(db) : migrationNames();
  if (missing.length > 0) {
    await db.$disconnect();
    throw new StartupError(`The database lacks ${missing.length} of the migrations: run \`npm run db:migrate\` first.`);
  }
}

async function pendingMigrations(db: Db): Promise<string[]> {
  const rows = await db.$queryRaw<{ name: string }[]>`
    SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`;
  const applied = new Set(rows.map(({ name }) => name));
  return migrationNames().filter((name) => !applied.has(name));
}
