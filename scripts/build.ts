/**
 * Compiles src/ into dist/, and removes what an earlier build has left there.
 *
 *     tsx scripts/build.ts            the service, and the client library in dist/client
 *     tsx scripts/build.ts library    the client library alone
 *
 * dist/client is a package of its own: `npm pack ./dist/client` holds the library without the packages that the service needs.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as operations from '../src/client/operations.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'dist/client');

/** Answers the files that were written. They are written in place: something else may be reading them. */
function compile(project: string): string[] {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', project, '--listEmittedFiles', '--pretty', 'false'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const lines = stdout.split('\n');
  if (status !== 0) {
    console.error(`${lines.filter((line) => !line.startsWith('TSFILE:')).join('\n')}${stderr}`);
    process.exit(1);
  }
  return lines.flatMap((line) =>
    line.startsWith('TSFILE: ') ? resolve(root, line.slice('TSFILE: '.length).trim()) : [],
  );
}

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  [field: string]: unknown;
}

/** The library's own package: the entries that it is in the whole package, and what it imports. */
function writeLibraryManifest(): string[] {
  const whole = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const { name, version, description, license, type, engines, peerDependencies, peerDependenciesMeta } = whole;
  const here = (file: string) => file.replace('./dist/client/', './');
  const entries = Object.entries(whole.exports).flatMap(([entry, files]) =>
    typeof files === 'string' ? [] : [[entry, { types: here(files.types), default: here(files.default) }] as const],
  );
  const manifest = {
    name,
    version,
    description,
    license,
    type,
    engines,
    exports: {
      ...Object.fromEntries(entries),
      './documents.json': './documents.json',
      './package.json': './package.json',
    },
    sideEffects: ['./element.js'],
    dependencies: { 'graphql-ws': whole.dependencies['graphql-ws'] },
    peerDependencies,
    peerDependenciesMeta,
  };
  const file = join(library, 'package.json');
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(root, 'LICENSE'), join(library, 'LICENSE'));
  return [file, join(library, 'LICENSE')];
}

/** What the library sends, by its hash: for a service that answers trusted documents only, and is of another version. */
function writeLibraryDocuments(): string {
  const texts = Object.values<string>(operations);
  const documents = texts.map((text) => [createHash('sha256').update(text).digest('hex'), text]);
  const file = join(library, 'documents.json');
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(documents), null, 2)}\n`);
  return file;
}

const isWhole = process.argv[2] !== 'library';
const written = new Set([
  ...(isWhole ? compile('tsconfig.build.json') : []),
  ...compile('tsconfig.client.json'),
  ...writeLibraryManifest(),
  writeLibraryDocuments(),
]);
const folder = isWhole ? join(root, 'dist') : library;
for (const entry of existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : []) {
  const file = join(entry.parentPath, entry.name);
  if (entry.isFile() && !written.has(file)) rmSync(file, { force: true });
}
