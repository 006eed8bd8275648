import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { migratePostgres } from '../../../src/db/migrate.ts';
import { freePort } from '../../support/ports.ts';
import { createDatabase } from '../../support/postgres.ts';
import { within } from './rounds.ts';

/** A server of the test's own, which can go away and come back. */
export interface OwnServer {
  url: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const startMs = 30_000;

function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  chmodSync(folder, 0o777); // PostgreSQL may run as another user
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a server when asked to, ends it with the signal, and does not outlive this process. */
function ownServer(url: string, command: string[], ready: string, signal: NodeJS.Signals): OwnServer {
  let child: ChildProcess | null = null;
  const stop = async () => {
    if (!child) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    child = null;
    await within(startMs, `the end of ${command[0]}`, exited);
  };
  onTestFinished(stop);
  return {
    url,
    stop,
    async start() {
      const started = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      await within(startMs, `the start of ${command[0]}`, untilPrinted(started, ready));
    },
  };
}

function untilPrinted(child: ChildProcess, text: string): Promise<void> {
  let printed = '';
  return new Promise((resolve, reject) => {
    const look = (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes(text)) resolve();
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('exit', () => reject(new Error(`it ended: ${printed}`)));
  });
}

/** A Redis that keeps nothing on disk. */
export async function startRedis(): Promise<OwnServer> {
  const port = await freePort();
  const command = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const redis = ownServer(
    `redis://127.0.0.1:${port}`,
    [...command, '--dir', ownFolder()],
    'Ready to accept connections',
    'SIGKILL',
  );
  await redis.start();
  return redis;
}

/** A PostgreSQL cluster, and a database with every migration applied. It ends as by `pg_ctl stop -m fast`. */
export async function startPostgres(): Promise<OwnServer> {
  const bin = newestBin();
  const folder = ownFolder();
  const data = join(folder, 'data');
  const port = await freePort();
  // PostgreSQL refuses to run as root
  const user = process.getuid?.() === 0 ? ['--reuid', 'postgres', '--regid', 'postgres', '--clear-groups'] : [];
  const initdb = [...user, join(bin, 'initdb'), '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'];
  const { status, stderr } = spawnSync('setpriv', initdb, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
  const options = ['fsync=off', 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`];
  const command = [...user, join(bin, 'postgres'), '-D', data, '-p', String(port)];
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const server = ownServer(
    url,
    [...command, ...options.flatMap((option) => ['-c', option])],
    'ready to accept connections',
    'SIGINT',
  );
  await server.start();
  const database = await createDatabase(url);
  await migratePostgres(database.url);
  return { ...server, url: database.url };
}

function newestBin(): string {
  const root = '/usr/lib/postgresql';
  const [newest] = readdirSync(root).toSorted((a, b) => Number(b) - Number(a));
  return join(root, newest ?? '', 'bin');
}
