import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { Agent, fetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as clientOperations from '../../src/client/operations.ts';
import { consoleTasks } from '../../src/http/console-tasks.ts';
import { createTestApp, createWorkspace, type Service, startService, type TestApp } from '../support/harness.ts';
import { listen } from '../support/streams.ts';

/** How many of each kind: a few in the suite, 10,000 by `npm run fuzz`, which also measures. */
const count = Number(process.env.FUZZ_RUNS ?? 150);
const measures = process.env.FUZZ_RUNS !== undefined;
const atOnce = 8;
/** A connection a request: one that is kept may be closed from the other side just when it is used again. */
const dispatcher = new Agent({ pipelining: 0 });

const closers: (() => Promise<void>)[] = [];
let service: Service;
let app: TestApp;
let origin: string;
let user: Record<string, string>;

beforeAll(async () => {
  service = await startService({ LOG_LEVEL: 'warn' }, {}, (close) => void closers.push(close));
  app = await createTestApp(service, await createWorkspace(service));
  origin = new URL((await listen(service)).http).origin;
  user = await app.user('one');
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

async function repeat<T>(what: string, values: fc.Arbitrary<T>, attempt: (value: T) => Promise<void>): Promise<void> {
  const heap = () => {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    return Math.round(process.memoryUsage().heapUsed / 1024 / 1024);
  };
  const alone = measures ? await healthyUntil(new Promise((resolve) => setTimeout(resolve, 10_000))) : [];
  let goesOn = true;
  const run = async (times: number) => {
    const stream = fc.sample(values, times)[Symbol.iterator]();
    const worker = async () => {
      for (let next = stream.next(); goesOn && !next.done; next = stream.next()) await attempt(next.value);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  };
  await run(Math.ceil(count / 10)); // caches fill once
  const before = measures ? heap() : 0;
  const done = run(count);
  const [healthy, sent] = await Promise.allSettled([
    healthyUntil(done).finally(() => {
      goesOn = false; // after a failure nothing is sent beside the next test
    }),
    done,
  ]);
  if (healthy.status === 'rejected') throw healthy.reason;
  if (sent.status === 'rejected') throw sent.reason;
  const beside = healthy.value;
  expect(service.logs.filter((line) => /"level":[56]0/.test(line))).toEqual([]);
  service.logs.length = 0;
  if (!measures) return;
  const after = heap();
  const p99 = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
  const ratio = (p99(beside) / p99(alone)).toFixed(1);
  process.stdout.write(
    `${count} ${what}: heap ${before} MB before, ${after} MB after; healthy caller's p99 ${p99(alone).toFixed(1)} ms alone, ${p99(beside).toFixed(1)} ms beside (${ratio}x, sender and service in one process)\n`,
  );
  expect(after - before).toBeLessThan(20);
}

/** A caller who means well, one request after the other, until something has ended: each is answered. */
async function healthyUntil(end: Promise<unknown>): Promise<number[]> {
  let goesOn = true;
  const stop = () => {
    goesOn = false;
  };
  void end.then(stop, stop);
  const times: number[] = [];
  while (goesOn) {
    const from = performance.now();
    const { status, body } = await post({ query: '{ viewer { __typename } }' });
    times.push(performance.now() - from);
    expect([status, body]).toEqual([200, '{"data":{"viewer":{"__typename":"AppUserViewer"}}}']);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}

async function post(body: unknown): Promise<{ status: number; body: string }> {
  const headers = { 'content-type': 'application/json', ...user };
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    dispatcher,
  });
  return { status: response.status, body: await response.text() };
}

const timeout = measures ? 30 * 60_000 : 60_000;

test('T24. T25. random callbacks are refused by a page, and the service stays well', { timeout }, async () => {
  const name = fc.constantFrom(
    'state',
    'code',
    'error',
    'error_description',
    'iss',
    'held',
    'connect_code',
    '__proto__',
  );
  const callbacks = fc.record({
    params: fc.array(fc.tuple(name, fc.string({ unit: 'binary', maxLength: 80 })), { maxLength: 6 }),
    path: fc.oneof(
      fc.constant(''),
      fc.constantFrom('/', '/x', '/%00', '/..%2f..', '//'),
      fc.stringMatching(/^\/[!-~]{0,40}$/),
    ),
    raw: fc.stringMatching(/^[!-"$-~]{0,60}$/),
    method: fc.constantFrom('GET', 'POST'),
    cookie: fc.stringMatching(/^[!-~ ]{0,40}$/),
  });
  await repeat('random callbacks', callbacks, async ({ params, path, raw, method, cookie }) => {
    const query = `${new URLSearchParams(params.map(([key, value]) => [key, value.toWellFormed()]))}&${raw}`;
    const url = `${origin}/api/external-auth/callback${path}${method === 'GET' ? `?${query}` : ''}`;
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' };
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      dispatcher,
      ...(method === 'POST' && { body: query }),
    });
    await response.arrayBuffer();
    expect([url, response.status]).toEqual([url, expect.toBeOneOf([400, 404, 405])]);
  });
});

test('T13. mutated documents are answered or refused as the caller’s mistake, and the service stays well', {
  timeout,
}, async () => {
  const documents = [
    ...Object.values(clientOperations as Record<string, unknown>).filter((value) => typeof value === 'string'),
    ...consoleTasks.map(({ query }) => query),
  ].filter((query) => !query.includes('subscription'));
  const piece = fc.oneof(
    fc.constantFrom(
      '{',
      '}',
      '(',
      ')',
      '...',
      '@',
      '$x',
      '"',
      '"""',
      '#',
      ':',
      '!',
      '[',
      '__typename',
      'fragment f on Query { ...f }',
      '{ a ',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }),
  );
  const cut = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat(20),
    put: piece,
    again: fc.nat(3),
  });
  const mutated = fc.record({
    document: fc.constantFrom(...documents),
    cuts: fc.array(cut, { minLength: 1, maxLength: 4 }),
    variables: fc.jsonValue(),
  });
  await repeat('mutated documents', mutated, async ({ document, cuts, variables }) => {
    let query = document;
    for (const { at, drop, put, again } of cuts) {
      const start = Math.floor(at * query.length);
      query = query.slice(0, start) + put.repeat(again) + query.slice(start + drop);
    }
    const { status, body } = await post({ query, variables });
    expect([query, status < 500]).toEqual([query, true]);
    expect([query, body.includes('INTERNAL_SERVER_ERROR')]).toEqual([query, false]);
  });
});

test('T15. malformed WebSocket frames end their own socket at most, and the service stays well', {
  timeout,
}, async () => {
  const { port, hostname } = new URL(origin);
  const frames = fc.array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      // a frame in form: any opcode and flags, masked or not, with a length that may not be true
      fc
        .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 130 }))
        .map(([first, second, rest]) => Uint8Array.from([first, second, ...rest])),
    ),
    { minLength: 1, maxLength: 4 },
  );
  await repeat(
    'malformed WebSocket frames',
    frames,
    (parts) =>
      new Promise<void>((resolve) => {
        const socket = connect(Number(port), hostname);
        const key = randomBytes(16).toString('base64');
        socket.write(
          `GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
        );
        socket.on('error', () => {});
        socket.once('close', () => resolve());
        socket.once('data', () => {
          for (const part of parts) socket.write(part);
          socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0])); // a frame that closes, where they were whole
          socket.end();
        });
      }),
  );
});
