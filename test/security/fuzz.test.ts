import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fetch } from 'undici';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createTestApp, createWorkspace, type Service, startService } from '../support/harness.ts';
import { listen } from '../support/streams.ts';

/** How many of each kind: a few in the suite, 10,000 by `npm run fuzz`, which also measures. */
const count = Number(process.env.FUZZ_RUNS ?? 150);
const measures = process.env.FUZZ_RUNS !== undefined;
const timeout = measures ? 30 * 60_000 : 60_000;
const sender = fileURLToPath(new URL('../support/fuzz-sender.ts', import.meta.url));

const closers: (() => Promise<void>)[] = [];
let service: Service;
let origin: string;
let user: Record<string, string>;

beforeAll(async () => {
  service = await startService({ LOG_LEVEL: 'warn' }, {}, (close) => void closers.push(close));
  const app = await createTestApp(service, await createWorkspace(service));
  origin = new URL((await listen(service)).http).origin;
  user = await app.user('one');
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

/** Has so many of a kind sent beside a caller who means well: both are answered as they should be, and the service stays as it was. */
async function fuzz(kind: 'callbacks' | 'documents' | 'frames'): Promise<void> {
  const child = fork(sender, [kind, origin, JSON.stringify(user)], { execArgv: ['--import', 'tsx'] });
  onTestFinished(() => void child.kill());
  const send = async (times: number) => {
    child.send(times);
    const ended = once(child, 'exit').then(() => ['the sender ended']);
    const [wrong] = (await Promise.race([once(child, 'message'), ended])) as [string | null];
    expect(wrong).toBeNull();
  };
  await send(Math.ceil(count / 10)); // caches fill once
  const alone = measures ? await healthyUntil(new Promise((resolve) => setTimeout(resolve, 10_000))) : [];
  const before = measures ? heapMiB() : 0;
  const beside = await healthyUntil(send(count));
  expect(service.logs.filter((line) => /"level":[56]0/.test(line))).toEqual([]);
  service.logs.length = 0;
  if (!measures) return;
  const after = heapMiB();
  const p99 = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
  const ratio = (p99(beside) / p99(alone)).toFixed(1);
  process.stdout.write(
    `${count} ${kind}: heap ${before} MB before, ${after} MB after; healthy caller's p99 ${p99(alone).toFixed(1)} ms alone, ${p99(beside).toFixed(1)} ms beside (${ratio}x)\n`,
  );
  expect(after - before).toBeLessThan(20);
}

function heapMiB(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return Math.round(process.memoryUsage().heapUsed / 1024 / 1024);
}

/** A caller who means well, one request after the other, until something has ended: each is answered. */
async function healthyUntil(end: Promise<unknown>): Promise<number[]> {
  let goesOn = true;
  const over = end.finally(() => {
    goesOn = false;
  });
  const times: number[] = [];
  const ask = async () => {
    while (goesOn) {
      const from = performance.now();
      const response = await fetch(`${origin}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...user },
        body: '{"query":"{ viewer { __typename } }"}',
      });
      const body = await response.text();
      times.push(performance.now() - from);
      expect([response.status, body]).toEqual([200, '{"data":{"viewer":{"__typename":"AppUserViewer"}}}']);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all([ask(), over]);
  return times;
}

test('T24. T25. random callbacks are refused by a page, and the service stays well', { timeout }, () =>
  fuzz('callbacks'),
);

test(
  'T13. mutated documents are answered or refused as the caller’s mistake, and the service stays well',
  {
    timeout,
  },
  () => fuzz('documents'),
);

test('T15. malformed WebSocket frames end their own socket at most, and the service stays well', { timeout }, () =>
  fuzz('frames'),
);
