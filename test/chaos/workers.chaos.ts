import { readFileSync } from 'node:fs';
import { expect, inject, test, vi } from 'vitest';
import { connectUser } from '../support/scene.ts';
import { parseExposition } from '../support/exposition.ts';
import { editConnector, setStage } from '../support/stage.ts';
import { listen, openWebSocket } from '../support/streams.ts';
import { startReads } from './support/load.ts';
import { startFleet } from './support/processes.ts';
import { report, tally, useServices } from './support/rounds.ts';

useServices();

const workerCount = 2;
const patience = { timeout: 60_000, interval: 50 };

/** The processes that a process has started and that live. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Kills a worker without warning, and waits until another has taken its place. */
async function killOne({ pid }: { pid: number }): Promise<void> {
  const victim = childrenOf(pid)[0]!;
  process.kill(victim, 'SIGKILL');
  await vi.waitUntil(() => {
    const now = childrenOf(pid);
    return now.length === workerCount && !now.includes(victim);
  }, patience);
}

async function setScene() {
  const fleet = await startFleet(1, {
    WORKERS: String(workerCount),
    REDIS_URL: inject('redisUrl') ?? '',
    LOG_LEVEL: 'info',
  });
  const [service] = fleet.processes as [(typeof fleet.processes)[0]];
  const stage = await setStage({ service });
  await connectUser(stage, 'one');
  return { service, stage };
}

test('workers share one port; SIGHUP replaces each with no failed request, and SIGTERM ends all', async () => {
  const { service, stage } = await setScene();
  const before = childrenOf(service.pid);
  expect(before).toHaveLength(workerCount);
  const load = await startReads(stage, 'one', () => service);
  await vi.waitUntil(() => load.outcomes.length > 50, patience);

  service.signal('SIGHUP');
  await vi.waitUntil(() => service.output().includes('every worker was restarted'), patience);
  const readBefore = load.outcomes.length;
  await vi.waitUntil(() => load.outcomes.length > readBefore + 50, patience);
  await load.stop();
  report(`a rolling restart under load: ${tally(load.outcomes)}`);
  expect(new Set(load.outcomes)).toEqual(new Set(['CurrentAppUserConnection']));
  const after = childrenOf(service.pid);
  expect(after).toHaveLength(workerCount);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);

  expect(await service.stop()).toBe(0);
  for (const pid of after) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

test('a scrape tells of all workers together, and what has been counted never falls, whoever dies', async () => {
  const { service, stage } = await setScene();
  const { ws } = await listen(service);
  const headers = await stage.app.user('one');
  const streams = Array.from({ length: 6 }, () => openWebSocket(ws, headers, stage.connector.id, stage.app.origin));
  for (const stream of streams) await stream.next();
  const load = await startReads(stage, 'one', () => service);
  await vi.waitUntil(() => load.outcomes.length > 50, patience);
  await load.stop();

  // several, since each reaches one worker or the other
  const scrape = async () => {
    const response = await fetch(new URL('/metrics', service.url), { headers: { connection: 'close' } });
    return parseExposition(await response.text());
  };
  const valueOf = (families: Awaited<ReturnType<typeof scrape>>, name: string) =>
    families.get(name)?.samples.reduce((sum, { value }) => sum + value, 0);
  const reads = 'connectors_token_reads_total';
  const readsBefore = load.outcomes.length;
  for (let turn = 0; turn < 4; turn += 1) {
    const families = await scrape();
    expect([valueOf(families, reads), valueOf(families, 'connectors_open_sockets')]).toEqual([readsBefore, 6]);
    expect(valueOf(families, 'connectors_open_subscriptions')).toBe(6);
    expect(valueOf(families, 'connectors_database_pool_connections')).toBeGreaterThan(1);
    expect(valueOf(families, 'connectors_outbox_items')).toBe(0);
    expect(valueOf(families, 'process_resident_memory_bytes')).toBeGreaterThan(100e6);
  }

  await killOne(service);
  expect(valueOf(await scrape(), reads)).toBe(readsBefore);
});

test('a worker that dies is replaced, and the log says so; what happens on one reaches streams on the other', async () => {
  const { service, stage } = await setScene();
  await killOne(service);
  expect(service.output()).toContain('a worker died: another takes its place');

  // several streams, so that both workers have some
  const { ws } = await listen(service);
  const headers = await stage.app.user('one');
  const streams = Array.from({ length: 6 }, () => openWebSocket(ws, headers, stage.connector.id, stage.app.origin));
  const tell = async () => (await Promise.all(streams.map((stream) => stream.next()))).map(({ status }) => status);
  expect(new Set(await tell())).toEqual(new Set(['CONNECTED']));
  await editConnector(stage, { scopes: ['openid', 'email', 'calendar.read', 'calendar.write'] });
  expect(new Set(await tell())).toEqual(new Set(['RECONNECT_REQUIRED']));
});
