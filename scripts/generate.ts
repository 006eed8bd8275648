/**
 * Writes the sources that git ignores: the Prisma client, its Pothos types, the types of GraphQL documents, and the list of the
 * catalogue's entries. Silent unless something fails, and without effect where they were written from just what is here now:
 * another process may be reading them.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const commands = ['prisma generate --no-hints', 'graphql-codegen'];
const outputs = [
  'src/db/generated/prisma/client.ts',
  'src/db/generated/pothos.ts',
  'src/client/generated/operations.ts',
];
const stamp = 'src/db/generated/stamp';

/** Everything that the generators read, documents included. */
function inputs(): string[] {
  const documents = ['examples', 'test', 'src/client'].flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path))
      : [],
  );
  const sources = documents.filter((path) => path.endsWith('.ts') && !path.includes('generated')).sort();
  return ['package-lock.json', 'prisma/schema.prisma', 'prisma.config.ts', 'schema.graphql', 'codegen.ts', ...sources];
}

function digest(): string {
  const hash = createHash('sha256');
  for (const path of inputs()) hash.update(path).update(readFileSync(path));
  return hash.digest('hex');
}

const present = digest();
const isFresh = outputs.every(existsSync) && existsSync(stamp) && readFileSync(stamp, 'utf8') === present;
for (const command of isFresh ? [] : commands) {
  const { status, stdout, stderr } = spawnSync(command, { shell: true, encoding: 'utf8' });
  if (status === 0) continue;
  console.error(`${stdout}${stderr}`);
  console.error(`Failed: ${command}.`);
  process.exit(1);
}
writeFileSync(stamp, present);

/** One export for each file in src/providers/entries, so that adding an entry is adding a file, and a bundler sees them all. */
const catalogue = 'src/providers/generated/entries.ts';
const entries = readdirSync('src/providers/entries')
  .sort()
  .map((file) => `export { provider as ${file.replace(/\.ts$/, '')} } from '../entries/${file}';\n`)
  .join('');
if (!existsSync(catalogue) || readFileSync(catalogue, 'utf8') !== entries) {
  mkdirSync(dirname(catalogue), { recursive: true });
  writeFileSync(catalogue, entries);
}
