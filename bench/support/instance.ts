import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Dispatcher, Pool } from 'undici';
import type { Cleanup } from './cleanup.ts';

/** A server that runs as a process of its own, with a port of its own. */
export interface Served {
  url: string;
  pid: number;
  /** As many sockets as there are callers: a load decides by itself how many requests it has under way. */
  pool: Pool;
  /** Collects the garbage of one that was started with `collecting`, and answers what V8 holds without it, in kB. */
  collect(): Promise<number>;
}

/** One process of the built service. */
export interface Instance extends Served {
  /** Sends one operation. The body is text, so that a load can be made up before it is timed. */
  send<T = Record<string, unknown>>(body: string, headers: Record<string, string>): Promise<T>;
  /** Fetches a path as a browser does, without following redirects. */
  open(path: string): Promise<{ status: number; location: string | null }>;
}

export interface InstanceOptions {
  /** A PostgreSQL server's; without it, the embedded database in `dataDir`. */
  databaseUrl?: string;
  dataDir?: string;
  publicUrl: string;
  encryptionKeys: string;
  operatorKey: string;
  /** Where several instances tell each other of changes. */
  redisUrl?: string;
  /** Processes that answer, one unless given. */
  workers?: number;
  /** Whether it collects its garbage when it is told to. */
  collects?: boolean;
}

/** Has a server collect its garbage at SIGUSR2, and print what V8 then still holds. */
const collect = `process.on('SIGUSR2', () => {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  console.log('Holds ' + (heapUsed + external));
})`;
export const collecting = ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(collect)}`];

const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const printsWithinMs = 30_000;

/** BENCH_PROFILE names a folder that each instance writes a CPU profile to when it stops. */
const profileFolder = process.env.BENCH_PROFILE;
const profiling = profileFolder ? ['--cpu-prof', '--cpu-prof-dir', profileFolder] : [];

function environment(options: InstanceOptions): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    PUBLIC_URL: options.publicUrl,
    ...(options.databaseUrl && { DATABASE_URL: options.databaseUrl }),
    ...(options.dataDir && { DATA_DIR: options.dataDir }),
    ENCRYPTION_KEYS: options.encryptionKeys,
    OPERATOR_KEY: options.operatorKey,
    RATE_LIMITS: 'off',
    ALLOWED_PROVIDER_HOSTS: 'localhost,127.0.0.1',
    LOG_LEVEL: 'error',
    ...(options.redisUrl && { REDIS_URL: options.redisUrl }),
    ...(options.workers && { WORKERS: String(options.workers) }),
  };
}

/** Starts a program that prints `Listening on` and its address, and waits until it does. */
export async function startServer(cleanup: Cleanup, args: string[], env: Record<string, string>): Promise<Served> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  cleanup.add(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const impatient = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(impatient);
  });
  const lines = createInterface({ input: child.stdout });
  /** What a line that begins so goes on with. */
  const printed = (beginning: string) =>
    new Promise<string>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`An instance did not print "${beginning}" in time.`)),
        printsWithinMs,
      );
      const read = (line: string) => {
        if (!line.startsWith(beginning)) return;
        clearTimeout(late);
        lines.off('line', read);
        resolve(line.slice(beginning.length));
      };
      lines.on('line', read);
      void exited.then(([code]) => reject(new Error(`An instance ended with ${code}.`)));
    });
  const port = (await printed('Listening on ')).split(':').at(-1);
  const url = `http://127.0.0.1:${port}`;
  const pool = new Pool(url, { connections: null, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });
  cleanup.add(() => pool.destroy());
  return {
    url,
    pid: child.pid ?? 0,
    pool,
    async collect() {
      child.kill('SIGUSR2');
      return Number(await printed('Holds ')) / 1024;
    },
  };
}

/** Sends a request as a caller with sockets of its own does, and answers what it holds. */
export async function ask<T>({ pool }: Served, request: Dispatcher.RequestOptions): Promise<T> {
  const { body } = await pool.request(request);
  return (await body.json()) as T;
}

/** Starts the service as a process, and waits until it listens. */
export async function startInstance(cleanup: Cleanup, options: InstanceOptions): Promise<Instance> {
  const served = await startServer(
    cleanup,
    [...profiling, ...(options.collects ? collecting : []), entry],
    environment(options),
  );
  const { pool } = served;
  return {
    ...served,
    async send<T>(body: string, headers: Record<string, string>) {
      const answer = await pool.request({
        path: '/graphql',
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      return (await answer.body.json()) as T;
    },
    async open(path) {
      const { statusCode, headers, body } = await pool.request({ path, method: 'GET' });
      await body.dump();
      return { status: statusCode, location: typeof headers.location === 'string' ? headers.location : null };
    },
  };
}
