/**
 * Builds what runs, and removes what an earlier build has left there.
 *
 *     tsx scripts/build.ts            the service in dist, and the client library in dist/client
 *     tsx scripts/build.ts library    the client library alone
 *     tsx scripts/build.ts demo       the demo, in a cache
 *
 * The service and the demo are bundled with the packages they import: reading these from some thousand files would be most of the
 * time of a start. dist/client is a package of its own: `npm pack ./dist/client` holds the library without the packages that the
 * service needs. Nothing here looks at types: that is `npm run check`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as operations from '../src/client/operations.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'dist/client');

interface Bundle {
  entryPoints: string[];
  /** Where the files go, all beside each other. */
  outdir: string;
  /** Where a source stands once it is built: what it reads from beside itself is looked for there. */
  place: (source: string) => string;
}

/** Answers the files that were written. */
async function bundle({ entryPoints, outdir, place }: Bundle): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: entryPoints.map((entry) => join(root, entry)),
    outdir,
    entryNames: '[name]',
    bundle: true,
    splitting: true, // what is loaded when it is first used stays apart
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
    // what few starts read, or comes with files of its own
    external: ['@electric-sql/pglite', '@graphql-yoga/render-graphiql', '@opentelemetry/*', 'esbuild', 'pg-native'],
    // packages in CommonJS ask for Node's modules by it
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    plugins: [
      {
        name: 'import.meta.url of our sources',
        setup(building) {
          building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const contents = readFileSync(path, 'utf8');
            if (!contents.includes('import.meta.url')) return undefined;
            const there = JSON.stringify(relative(outdir, place(path)));
            return {
              contents: contents.replaceAll('import.meta.url', `new URL(${there}, import.meta.url).href`),
              loader: 'ts',
            };
          });
        },
      },
    ],
  });
  return Object.keys(metafile.outputs).map((file) => resolve(file));
}

/** Copies a file that is read as it is. */
function copy(from: string, to: string): string {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  return to;
}

async function buildService(): Promise<string[]> {
  const page = 'http/console/page.js';
  return [
    ...(await bundle({
      entryPoints: ['src/main.ts', 'src/db/migrate.ts'],
      outdir: join(root, 'dist'),
      place: (source) => join(root, 'dist', relative(join(root, 'src'), source).replace(/\.ts$/, '.js')),
    })),
    copy(join(root, 'src', page), join(root, 'dist', page)),
  ];
}

const demo = join(root, 'node_modules/.cache/app-user-connectors-demo');
const buildDemo = () =>
  bundle({ entryPoints: ['examples/scheduling-app/main.ts'], outdir: demo, place: (source) => source });

/** Answers the files that were written. They are written in place: something else may be reading them. */
function compileLibrary(): string[] {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', 'tsconfig.client.json', '--listEmittedFiles', '--pretty', 'false'];
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

const buildLibrary = () => [...compileLibrary(), ...writeLibraryManifest(), writeLibraryDocuments()];

const builds: Record<string, () => Promise<[folder: string, written: string[]]>> = {
  service: async () => [join(root, 'dist'), [...(await buildService()), ...buildLibrary()]],
  library: async () => [library, buildLibrary()],
  demo: async () => [demo, await buildDemo()],
};
const wanted = builds[process.argv[2] ?? 'service'];
if (!wanted) throw new Error(`One of ${Object.keys(builds).join(', ')} is expected.`);
const [folder, files] = await wanted();
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  const path = join(folder, name);
  if (!files.some((file) => file === path || file.startsWith(`${path}/`)))
    rmSync(path, { recursive: true, force: true });
}
