import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Agent, request } from 'undici';
import { inject, onTestFinished } from 'vitest';
import { parseConfig } from '../../../src/config.ts';
import { type GraphqlAnswer, operatorKey, type Service } from '../../support/harness.ts';
import { freePort } from '../../support/ports.ts';
import { createDatabase } from '../../support/postgres.ts';
import { within } from './rounds.ts';

/** One process of the service. As a `Service` it is spoken to over its own port, whatever the public URL says. */
export interface ServiceProcess extends Service {
  pid: number;
  url: string;
  /** Everything printed so far. */
  output(): string;
  isRunning(): boolean;
  /** The exit code or the signal that it ended with; null while it runs. */
  end(): number | NodeJS.Signals | null;
  /** The same service, spoken to at another address, such as a proxy's, and under another name. */
  at(url: string, host: string): Service;
  signal(name: NodeJS.Signals): void;
  /** Ends it at once, and waits until it has ended. */
  kill(): Promise<void>;
  /** Asks it to end as an operator does. Answers its exit code. */
  stop(): Promise<number | null>;
}

/** Processes that share a database, keys and a public URL: one service. */
export interface Fleet {
  processes: ServiceProcess[];
  /** Runs SQL on the processes' database. */
  sql: pg.Pool;
  databaseUrl: string;
  /** Another process of the same service. */
  start(): Promise<ServiceProcess>;
}

const entry = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
// the pipe ends with whoever holds its other end, however that one dies: no process stays behind
const endWithParent = `data:text/javascript,${encodeURIComponent("process.stdin.once('end', () => process.kill(process.pid, 'SIGKILL')).resume();")}`;
const startMs = 60_000;
const stopMs = 30_000;

/** Starts processes on a database of the test's own. All end with the test. */
export async function startFleet(
  count: number,
  env: Record<string, string> = {},
  databaseUrl?: string,
): Promise<Fleet> {
  const database = databaseUrl ?? (await ownDatabase());
  const sql = new pg.Pool({ connectionString: database, max: 12 });
  sql.on('error', () => {}); // a client that rests is lost when the server restarts; the next query takes another
  onTestFinished(() => sql.end());
  const shared = {
    PUBLIC_URL: `http://localhost:${await freePort()}`,
    DATABASE_URL: database,
    ENCRYPTION_KEYS: `chaos:${randomBytes(32).toString('base64')}`,
    OPERATOR_KEY: operatorKey,
    RATE_LIMITS: 'off',
    LOG_LEVEL: 'warn',
    ...env,
  };
  const start = () => startProcess(shared);
  return { processes: await Promise.all(Array.from({ length: count }, start)), sql, databaseUrl: database, start };
}

async function ownDatabase(): Promise<string> {
  const template = inject('databaseTemplate');
  if (!template) throw new Error('there is no PostgreSQL');
  const database = await createDatabase(template.serverUrl, template.name);
  onTestFinished(() => database.drop());
  return database.url;
}

async function startProcess(shared: Record<string, string>): Promise<ServiceProcess> {
  for (;;) {
    const env = { ...shared, PORT: String(await freePort()) };
    const child = spawn(process.execPath, ['--import', endWithParent, entry], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    const output = collect(child);
    await within(startMs, 'the start of a process', Promise.race([output.contains('Listening on'), exited]));
    if (child.exitCode === null && child.signalCode === null) return serviceOf(child, env, output.text, exited);
    // somebody else took the port since it was found free
    if (!output.text().includes('is taken')) throw new Error(`a process did not start: ${output.text()}`);
  }
}

function collect(child: ChildProcess): { text: () => string; contains: (part: string) => Promise<void> } {
  let text = '';
  const watchers = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const look of watchers) look();
    });
  }
  return {
    text: () => text,
    contains: (part) =>
      new Promise((resolve) => {
        const look = () => text.includes(part) && resolve();
        watchers.add(look);
        look();
      }),
  };
}

function serviceOf(
  child: ChildProcess,
  env: Record<string, string>,
  output: () => string,
  exited: Promise<unknown[]>,
): ServiceProcess {
  const config = parseConfig(env);
  const url = `http://127.0.0.1:${config.port}`;
  // several hundred requests at once; what a process has not answered after this long it never will
  const agent = new Agent({ connections: 256, headersTimeout: 90_000, bodyTimeout: 90_000 });
  onTestFinished(() => agent.destroy());
  const stopped = async () => {
    const [code] = (await within(stopMs, 'the end of a process', exited)) as [number | null];
    return code;
  };
  const at = (base: string, host: string): Service => ({
    config,
    get logs() {
      return output().split('\n');
    },
    clock: {
      now: () => new Date(),
      advance: () => {
        throw new Error('the clock of a process cannot be moved');
      },
    },
    ...callsTo(agent, base, host),
  });
  return {
    ...at(url, new URL(config.publicUrl).host),
    get logs() {
      return output().split('\n');
    },
    pid: child.pid ?? 0,
    url,
    output,
    at,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    end: () => child.exitCode ?? child.signalCode,
    signal: (name) => void child.kill(name),
    async kill() {
      child.kill('SIGKILL');
      await stopped();
    },
    async stop() {
      child.kill('SIGTERM');
      return stopped();
    },
  };
}

function callsTo(agent: Agent, url: string, host: string): Pick<Service, 'app' | 'graphql'> {
  const send = (target: string, init: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: string }) =>
    request(target, { dispatcher: agent, ...init, headers: { ...init.headers, host } });
  return {
    app: {
      async fetch(incoming) {
        const { pathname, search } = new URL(incoming.url);
        const body = await incoming.text();
        const answer = await send(url + pathname + search, {
          method: incoming.method as 'GET' | 'POST',
          headers: Object.fromEntries(incoming.headers),
          ...(body && { body }),
        });
        return new Response(await answer.body.text(), {
          status: answer.statusCode,
          headers: headersOf(answer.headers),
        });
      },
      listen: async () => ({ url }),
      stop: async () => {},
    },
    async graphql(query, variables = {}, headers = {}) {
      const answer = await send(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query, variables }),
      });
      const body = (await answer.body.json()) as Partial<GraphqlAnswer>;
      const { data = null, errors = [] } = body;
      return { status: answer.statusCode, headers: headersOf(answer.headers), data, errors };
    },
  };
}

function headersOf(given: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(given)) {
    for (const value of [values ?? []].flat()) headers.append(name, value);
  }
  return headers;
}
