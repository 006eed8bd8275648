// Starts the service, or the demo (`node scripts/start.mjs demo`), and builds it first where what is built is missing or older than
// what it is built from. It runs in this very process, so that signals reach it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const generated = /[\\/]generated([\\/]|$)/;
const builds = {
  service: { entry: 'dist/main.js', sources: ['src'], command: 'npm run --silent build' },
  demo: {
    entry: 'node_modules/.cache/app-user-connectors-demo/main.js',
    sources: ['src', 'examples/scheduling-app'],
    command: 'npm run --silent generate && tsx scripts/build.ts demo',
  },
};
const name = process.argv[2] ?? 'service';
const { entry, sources, command } = builds[name] ?? {};
if (!entry) throw new Error(`There is no ${name} to start, only ${Object.keys(builds).join(' and ')}.`);

function newestIn(folder) {
  return readdirSync(`${root}/${folder}`, { recursive: true })
    .filter((path) => !generated.test(path))
    .reduce((newest, path) => Math.max(newest, statSync(`${root}/${folder}/${path}`).mtimeMs), 0);
}

function isBuilt() {
  if (!existsSync(`${root}/${entry}`)) return false;
  // An installation without sources has nothing to build from.
  if (!existsSync(`${root}/src`)) return true;
  const others = ['prisma/schema.prisma', 'package-lock.json', 'scripts/build.ts'];
  const newest = Math.max(...sources.map(newestIn), ...others.map((file) => statSync(`${root}/${file}`).mtimeMs));
  return statSync(`${root}/${entry}`).mtimeMs >= newest;
}

if (!isBuilt()) {
  console.log(`Building the ${name} …`);
  const path = `${root}/node_modules/.bin${delimiter}${process.env.PATH}`;
  const { status } = spawnSync(command, {
    cwd: root,
    shell: true,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) process.exit(status ?? 1);
}
// npm's shell ends without passing a signal on: whoever stops `npm start` means the service
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.kill(process.pid, 'SIGTERM'), 500).unref();
await import(new URL(`../${entry}`, import.meta.url).href);
