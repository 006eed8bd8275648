import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { freeDemoPorts } from './support/demo.ts';

vi.setConfig({ testTimeout: 120_000 });

test('the demo prints its URLs and credentials, serves them, and ends on Ctrl-C with nothing left running; a second one on the same port says which is taken', async () => {
  const ports = await freeDemoPorts();
  const others = await freeDemoPorts();
  const demo = startProcess(ports);
  await demo.prints('Ctrl-C ends it all.');
  const second = startProcess({ ...others, DEMO_APP_PORT: ports.DEMO_APP_PORT });
  const { text } = demo;

  const appUrl = valueOf(text(), 'App');
  const graphiqlUrl = valueOf(text(), 'GraphiQL');
  const calendarUrl = valueOf(text(), 'Calendar');
  expect(appUrl).toBe(`http://localhost:${ports.DEMO_APP_PORT}`);
  expect(graphiqlUrl).toBe(`http://localhost:${ports.PORT}/graphql`);
  expect(calendarUrl).toBe(`http://localhost:${ports.DEMO_PROVIDER_PORT}`);
  expect(await page(appUrl)).toContain('<title>Scheduling</title>');
  expect(await page(graphiqlUrl)).toContain('YogaGraphiQL');
  expect(await page(calendarUrl)).toContain('Apps with access');

  // each credential is what its label says
  const connectorId = valueOf(text(), 'Connector id');
  const identityToken = /^ {4}(eyJ\S+)$/m.exec(text())?.[1] ?? '';
  const callers: [kind: string, headers: Record<string, string>][] = [
    ['OperatorViewer', bearer(valueOf(text(), 'Operator key'))],
    ['MemberViewer', bearer(valueOf(text(), 'Workspace key'))],
    ['BackendFunctionViewer', bearer(valueOf(text(), 'App key'))],
    ['AppUserViewer', { ...bearer(identityToken), 'x-app-id': valueOf(text(), 'App id') }],
  ];
  for (const [kind, headers] of callers) {
    expect(await ask(graphiqlUrl, '{ viewer { __typename } }', headers)).toEqual({ viewer: { __typename: kind } });
  }

  // the command that is printed to be pasted, as a shell reads it
  const pasted = /-H 'authorization: (Bearer \S+)' \\\n\s+-d '(.*)'$/m.exec(text());
  const { query } = JSON.parse(pasted?.[2] ?? '') as { query: string };
  expect(await ask(graphiqlUrl, query, { authorization: pasted?.[1] ?? '' })).toMatchObject({
    connector: { name: 'Team calendar' },
  });
  expect(query).toContain(connectorId);

  expect(await second.ended).toEqual([1, null]);
  expect(second.errors().trim()).toBe(
    `Port ${ports.DEMO_APP_PORT} is taken. Set DEMO_APP_PORT, DEMO_PROVIDER_PORT, DEMO_TASKS_PORT or PORT (the service's) to another one.`,
  );
  for (const port of [others.PORT, others.DEMO_PROVIDER_PORT, others.DEMO_TASKS_PORT])
    await isClosed(`http://localhost:${port}`);

  demo.child.kill('SIGINT');
  expect(await demo.ended).toEqual([0, null]);
  expect(text()).toMatch(/Stopping …\s*$/);
  expect(demo.errors()).toBe('');
  for (const url of [appUrl, graphiqlUrl, calendarUrl]) await isClosed(url);
});

interface DemoProcess {
  child: ChildProcess;
  text: () => string;
  errors: () => string;
  prints: (words: string) => Promise<void>;
  /** Its exit code and signal, once nobody holds its output open any more: no process that it started either. */
  ended: Promise<unknown[]>;
}

/** Starts the demo as `npm run demo` does, killed when the test has finished, if it still runs. */
function startProcess(ports: Record<string, string>): DemoProcess {
  const child = spawn(process.execPath, ['scripts/start.mjs', 'demo'], {
    env: { ...process.env, ...ports, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out: string[] = [];
  const err: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => out.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => err.push(chunk));
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    text: () => out.join(''),
    errors: () => err.join(''),
    async prints(words) {
      while (!out.join('').includes(words)) {
        if (child.exitCode !== null) throw new Error(`The demo ended:\n${out.join('')}${err.join('')}`);
        await Promise.race([once(child.stdout, 'data'), ended]);
      }
    },
    ended,
  };
}

async function isClosed(url: string): Promise<void> {
  await expect(fetch(url)).rejects.toThrow('fetch failed');
}

function valueOf(text: string, label: string): string {
  return new RegExp(`^ {4}${label} +(\\S+)`, 'm').exec(text)?.[1] ?? '';
}

async function page(url: string): Promise<string> {
  const response = await fetch(url, { headers: { accept: 'text/html' } });
  expect(response.status).toBe(200);
  return response.text();
}

function bearer(credential: string): Record<string, string> {
  return { authorization: `Bearer ${credential}` };
}

async function ask(url: string, query: string, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  return ((await response.json()) as { data: unknown }).data;
}
