/**
 * Keeps prisma/migrations in step with prisma/schema.prisma.
 *
 *     tsx scripts/migrations.ts check        exits 1 when the two disagree
 *     tsx scripts/migrations.ts new <name>   writes the migration that makes them agree
 *
 * It runs Prisma's own schema engine as WebAssembly over an in-memory PGlite, so it needs neither a database nor the native engine.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import * as engineModule from '@prisma/schema-engine-wasm/schema_engine_bg';
import { PrismaPGlite } from 'pglite-prisma-adapter';

/** Node has it; the type libraries in use do not say so. */
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: Record<string, object>): Promise<{ instance: { exports: object } }>;
};

const prismaDir = fileURLToPath(new URL('../prisma', import.meta.url));
const schemaPath = join(prismaDir, 'schema.prisma');
const migrationsDir = join(prismaDir, 'migrations');
const lockPath = join(migrationsDir, 'migration_lock.toml');

const lockText = `# Read by Prisma: the kind of database these migrations are written for.
provider = "postgresql"
`;

/** Databases that live in memory. Each connection is one of its own: the engine asks for two, and plays the migrations on the second. */
function embeddedDatabases(): SqlMigrationAwareDriverAdapterFactory {
  const connect = async () => {
    const database = new PGlite();
    const connection = await new PrismaPGlite(database).connect();
    // The adapter's own version does not wait for the script, so that a migration that fails would pass for applied.
    connection.executeScript = async (script) => {
      try {
        await database.exec(script);
      } catch (error) {
        console.error('A migration does not run:', error instanceof Error ? error.message : error);
        throw error;
      }
    };
    return connection;
  };
  return { provider: 'postgres', adapterName: 'pglite-prisma-adapter', connect, connectToShadowDb: connect };
}

async function loadEngine(): Promise<engineModule.SchemaEngine> {
  const modulePath = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const { instance } = await WebAssembly.instantiate(readFileSync(join(dirname(modulePath), 'schema_engine_bg.wasm')), {
    './schema_engine_bg.js': { ...engineModule },
  });
  engineModule.__wbg_set_wasm(instance.exports);
  (instance.exports as { __wbindgen_start(): void }).__wbindgen_start();
  const databases = bindMigrationAwareSqlAdapterFactory(embeddedDatabases());
  return engineModule.SchemaEngine.new({ datamodels: undefined }, () => undefined, databases);
}

function writtenMigrations(): engineModule.MigrationList {
  const names = existsSync(migrationsDir)
    ? readdirSync(migrationsDir, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort()
    : [];
  return {
    baseDir: migrationsDir,
    lockfile: {
      path: 'migration_lock.toml',
      content: existsSync(lockPath) ? readFileSync(lockPath, 'utf8') : lockText,
    },
    shadowDbInitScript: '',
    migrationDirectories: names.map((name) => ({
      path: name,
      migrationFile: {
        path: 'migration.sql',
        content: { tag: 'ok', value: readFileSync(join(migrationsDir, name, 'migration.sql'), 'utf8') },
      },
    })),
  };
}

/** What the written migrations still lack, as SQL or in words; null when they lead exactly to the schema. */
async function missingChange(form: 'sql' | 'words'): Promise<string | null> {
  const engine = await loadEngine();
  const { exitCode, stdout } = await engine.diff({
    from: { tag: 'migrations', ...writtenMigrations() },
    to: { tag: 'schemaDatamodel', files: [{ path: schemaPath, content: readFileSync(schemaPath, 'utf8') }] },
    script: form === 'sql',
    exitCode: true,
    filters: { externalTables: [], externalEnums: [] },
  });
  return exitCode === 0 ? null : (stdout ?? '');
}

async function check(): Promise<number> {
  const change = await missingChange('words');
  if (change === null) return 0;
  console.error(
    'prisma/migrations does not lead to prisma/schema.prisma: run `npm run db:new -- <name>` and review the SQL it writes.',
  );
  console.error(change.trim());
  return 1;
}

async function writeNew(name: string): Promise<number> {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) {
    console.error(
      `A migration's name is lower-case letters, digits and underscores, such as add_refused_at; this one is "${name}".`,
    );
    return 1;
  }
  const sql = await missingChange('sql');
  if (sql === null) {
    console.log('prisma/migrations already leads to prisma/schema.prisma: nothing to write.');
    return 0;
  }
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const path = join(migrationsDir, `${stamp}_${name}`, 'migration.sql');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${sql.trim()}\n`);
  if (!existsSync(lockPath)) writeFileSync(lockPath, lockText);
  console.log(path);
  return 0;
}

async function run([command, name]: string[]): Promise<number> {
  if (command === 'check') return check();
  if (command === 'new' && name !== undefined) return writeNew(name);
  console.error('Usage: tsx scripts/migrations.ts check | new <name>');
  return 1;
}

try {
  // PGlite keeps the process alive for seconds after its last query.
  process.exit(await run(process.argv.slice(2)));
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  console.error('prisma/migrations could not be compared with prisma/schema.prisma.');
  console.error(reason.split('\n').slice(0, 8).join('\n'));
  process.exit(1);
}
