import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { migratePglite } from '../../src/db/migrate.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'node_modules/.cache/app-user-connectors');

/**
 * An embedded database with every migration applied and nothing in it, dumped. Making one takes seconds, so it is kept for the next
 * start, until a migration or a package changes.
 */
export async function emptyDatabase(): Promise<Blob> {
  const name = `empty-database-${version()}.tar`;
  try {
    return new Blob([readFileSync(join(folder, name))]);
  } catch {
    // the first start
  }
  const pglite = await PGlite.create('memory://');
  await migratePglite(pglite);
  const dump = await pglite.dumpDataDir('none');
  await pglite.close();
  keep(name, new Uint8Array(await dump.arrayBuffer()));
  return dump;
}

/** What an empty database is made of. */
function version(): string {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  const migrations = join(root, 'prisma/migrations');
  for (const path of readdirSync(migrations, { recursive: true, encoding: 'utf8' }).sort()) {
    hash.update(path);
    if (path.endsWith('.sql')) hash.update(readFileSync(join(migrations, path)));
  }
  return hash.digest('hex').slice(0, 16);
}

function keep(name: string, content: Uint8Array): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const old of readdirSync(folder)) rmSync(join(folder, old), { force: true });
    const unfinished = join(folder, `${name}.${process.pid}`);
    writeFileSync(unfinished, content);
    renameSync(unfinished, join(folder, name));
  } catch {
    // a folder that cannot be written to: the next start takes as long as this one
  }
}
