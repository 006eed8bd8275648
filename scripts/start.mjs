// Starts the service, and builds it first where dist/ is missing or older than what it is built from.
// The service runs in this very process, so that signals reach it.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const entry = new URL('../dist/main.js', import.meta.url);
const generated = /[\\/]generated([\\/]|$)/;

function newestIn(folder) {
  return readdirSync(`${root}/${folder}`, { recursive: true })
    .filter((path) => !generated.test(path))
    .reduce((newest, path) => Math.max(newest, statSync(`${root}/${folder}/${path}`).mtimeMs), 0);
}

function isBuilt() {
  if (!existsSync(entry)) return false;
  // An installation without sources has nothing to build from.
  if (!existsSync(`${root}/src`)) return true;
  return statSync(entry).mtimeMs >= Math.max(newestIn('src'), statSync(`${root}/prisma/schema.prisma`).mtimeMs);
}

if (!isBuilt()) {
  const { status } = spawnSync('npm run --silent build', { cwd: root, shell: true, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
// npm's shell ends without passing a signal on: whoever stops `npm start` means the service
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.kill(process.pid, 'SIGTERM'), 500).unref();
await import(entry.href);
