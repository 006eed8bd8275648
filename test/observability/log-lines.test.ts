import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../support/ports.ts';

vi.setConfig({ testTimeout: 180_000 });

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const bug = `data:text/javascript,${encodeURIComponent("process.on('SIGUSR2', () => { throw new Error('a bug of the test') })")}`;
const requests = 300;

/** Sends requests to a process of the service, then a signal right after the last answer. Answers what it wrote, and how it ended. */
async function endAfterRequests(signal: NodeJS.Signals) {
  const port = String(await freePort());
  const child = spawn(process.execPath, ['--import', 'tsx', '--import', bug, entry], {
    env: { PATH: process.env.PATH, PORT: port, DATA_DIR: 'memory://', LOG_LEVEL: 'info', NODE_ENV: 'development' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const listening = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('Listening on')) resolve();
    });
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await Promise.race([listening, closed]);
  expect([child.exitCode, errors]).toEqual([null, '']);
  await Promise.all(
    Array.from({ length: requests }, async (_, index) => {
      const headers = { 'x-request-id': `request-${index}`, connection: 'close' };
      await (await fetch(`http://127.0.0.1:${port}/healthz`, { headers })).text();
    }),
  );
  child.kill(signal);
  const [code] = await closed;
  const lines = output.split('\n');
  expect(lines.pop()).toBe('');
  const records = lines
    .filter((line) => !/^(OPERATOR_KEY|Listening on) /.test(line))
    .map((line) => JSON.parse(line) as { level: number; requestId?: string; msg: string; err?: { message: string } });
  const ids = new Set(records.map(({ requestId }) => requestId));
  const missing = Array.from({ length: requests }, (_, index) => `request-${index}`).filter((id) => !ids.has(id));
  return { code, records, missing, errors };
}

test('a process that is told to end has written every line of its log, whole', async () => {
  const { code, missing } = await endAfterRequests('SIGTERM');
  expect([code, missing]).toEqual([0, []]);
});

test('a process that ends by a bug has written every line, and last of all a fatal one', async () => {
  const { code, missing, records, errors } = await endAfterRequests('SIGUSR2');
  expect([code, missing]).toEqual([1, []]);
  expect(records.at(-1)).toMatchObject({
    level: 60,
    msg: 'a bug ends this process',
    err: { message: 'a bug of the test' },
  });
  expect(errors).toContain('Error: a bug of the test'); // where Node itself shows it
});
