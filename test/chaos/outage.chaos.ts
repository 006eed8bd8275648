import { expect, inject, test, vi } from 'vitest';
import { connectByCookie, readToken } from '../support/journey.ts';
import type { Service } from '../support/harness.ts';
import { connectUser } from '../support/scene.ts';
import { editConnector, type Stage, setStage } from '../support/stage.ts';
import { listen, openWebSocket, type StatusStream } from '../support/streams.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { report, tally, useServices, within } from './support/rounds.ts';
import { startPostgres, startRedis } from './support/servers.ts';
import { expireToken, readAt, worksAt } from './support/tokens.ts';

useServices();

const processCount = 3;
const streamsPerProcess = 5;
const userId = 'one';
const usualScopes = ['openid', 'email', 'calendar.read'];
const patienceMs = 30_000;
const expireEveryMs = 500;

interface Scene extends Stage {
  fleet: Fleet;
  streams: StatusStream[];
}

/** One connected user, whose status several pages at every process look at. */
async function setScene(fleet: Fleet): Promise<Scene> {
  const stage = await setStage({ service: fleet.processes[0]!, scopes: usualScopes });
  await connectUser(stage, userId);
  const streams = (await Promise.all(fleet.processes.map((service) => openStreams(stage, service)))).flat();
  const scene = { ...stage, fleet, streams };
  await allHear(scene, 'CONNECTED');
  return scene;
}

async function openStreams({ app, connector }: Stage, service: Service): Promise<StatusStream[]> {
  const { ws } = await listen(service);
  const headers = await app.user(userId);
  return Array.from({ length: streamsPerProcess }, () => openWebSocket(ws, headers, connector.id, app.origin));
}

/** How a stream ends up: it tells the status, or it ends, so that its page knows to come back. */
async function listenFor(stream: StatusStream, status: string): Promise<'heard' | 'ended'> {
  for (;;) {
    const result = await stream.nextResult().catch(() => undefined);
    if (!result?.data) return 'ended';
    if (result.data.connectionStatus.status === status) return 'heard';
  }
}

function outcomes({ streams }: Pick<Scene, 'streams'>, status: string): Promise<string[]> {
  return Promise.all(
    streams.map((stream, index) =>
      within(patienceMs, `${status} at stream ${index + 1} of ${streams.length}`, listenFor(stream, status)),
    ),
  );
}

async function allHear(scene: Pick<Scene, 'streams'>, status: string): Promise<void> {
  expect(new Set(await outcomes(scene, status))).toEqual(new Set(['heard']));
}

/** Asks for more, so that whoever is connected must reconnect; or puts that back. */
function setScopes(scene: Scene, scopes: string[]): Promise<void> {
  return within(10_000, 'a scope edit', editConnector(scene, { scopes }));
}

/** How a read ended for the backend that sent it. */
type ReadOutcome = 'token' | 'refused' | 'error' | 'no answer';

interface Load {
  outcomes: ReadOutcome[];
  /** What the errors said. */
  errors: Set<string>;
  slowestMs: () => number;
  stop(): Promise<void>;
}

/** Backends read at every process for as long as they are let; now and then the token has expired. */
async function startLoad({ app, connector, fleet }: Scene): Promise<Load> {
  const headers = await app.backend(userId);
  const load = { outcomes: [] as ReadOutcome[], errors: new Set<string>() };
  let slowestMs = 0;
  let isStopped = false;
  const readOnce = async (service: Service): Promise<ReadOutcome> => {
    const answer = await readToken(service, headers, connector.id, { acceptOutdatedScopes: true });
    const read = answer.data?.['currentAppUserConnection'] as { __typename: string } | undefined;
    if (read?.__typename === 'CurrentAppUserConnection') return 'token';
    load.errors.add(read?.__typename ?? `${answer.status} ${JSON.stringify(answer.errors[0]?.extensions ?? null)}`);
    return read ? 'refused' : 'error';
  };
  // one loop lets the token expire, and not all the time: else a reader could find it expired however often it is refreshed
  const loop = async (service: Service, expires: boolean) => {
    let expireAt = 0;
    while (!isStopped) {
      const began = performance.now();
      if (expires && began >= expireAt) {
        await expireToken(fleet.sql, userId).catch(() => {}); // the database may be away
        expireAt = began + expireEveryMs;
      }
      const outcome = await readOnce(service).catch((error: unknown): ReadOutcome => {
        load.errors.add(String(error));
        return 'no answer';
      });
      slowestMs = Math.max(slowestMs, performance.now() - began);
      load.outcomes.push(outcome);
    }
  };
  const loops = Promise.all(
    fleet.processes.flatMap((service, index) => [loop(service, index === 0), loop(service, false)]),
  );
  return {
    ...load,
    slowestMs: () => slowestMs,
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}

function tell(what: string, { outcomes: all, errors, slowestMs }: Load): void {
  report(`${what}: ${tally(all)}; the slowest took ${Math.round(slowestMs())} ms; ${[...errors].join(' | ')}`);
}

async function afterMoreReads(load: Load, count: number): Promise<void> {
  const least = load.outcomes.length + count;
  await vi.waitUntil(() => load.outcomes.length >= least, { timeout: patienceMs, interval: 20 });
}

test('while Redis is gone reads and connects go on', async () => {
  const redis = await startRedis();
  const fleet = await startFleet(processCount, { REDIS_URL: redis.url });
  const scene = await setScene(fleet);
  const load = await startLoad(scene);
  await afterMoreReads(load, 30);
  await redis.stop();
  await afterMoreReads(load, 100);
  for (const [index, service] of fleet.processes.entries()) {
    const connected = connectByCookie(service, await scene.app.browser(`new-${index}`), scene.connector.id);
    await within(patienceMs, 'a connect', connected);
  }
  await redis.start();
  await afterMoreReads(load, 100);
  await load.stop();
  tell('Redis away', load);

  expect(load.outcomes.filter((outcome) => outcome !== 'token')).toEqual([]);
  for (const service of fleet.processes) expect(service.isRunning()).toBe(true);
});

test('a scope edit made at one process while Redis is gone is told at every other once it is back, and so are later ones', async () => {
  const redis = await startRedis();
  const fleet = await startFleet(processCount, { REDIS_URL: redis.url });
  const scene = await setScene(fleet);
  await setScopes(scene, [...usualScopes, 'calendar.write']);
  await allHear(scene, 'RECONNECT_REQUIRED');
  await setScopes(scene, usualScopes);
  await allHear(scene, 'CONNECTED');

  await redis.stop();
  await setScopes(scene, [...usualScopes, 'calendar.write']);
  await redis.start();

  await allHear(scene, 'RECONNECT_REQUIRED');
  await setScopes(scene, usualScopes);
  await allHear(scene, 'CONNECTED');
  for (const service of fleet.processes) expect(service.isRunning()).toBe(true);
});

test('a restart of PostgreSQL under load ends no process: what fails meanwhile is answered as an error, and afterwards all goes on', async () => {
  const postgres = await startPostgres();
  const fleet = await startFleet(processCount, { REDIS_URL: inject('redisUrl') ?? '' }, postgres.url);
  const scene = await setScene(fleet);
  const load = await startLoad(scene);
  await afterMoreReads(load, 30);

  await postgres.stop();
  await vi.waitUntil(() => load.outcomes.includes('error'), { timeout: patienceMs, interval: 20 });
  await postgres.start();
  const backAt = performance.now();
  await vi.waitFor(() => setScopes(scene, [...usualScopes, 'calendar.write']), { timeout: patienceMs, interval: 200 });
  const mendedMs = Math.round(performance.now() - backAt);
  const ends = await outcomes(scene, 'RECONNECT_REQUIRED');
  const before = load.outcomes.length;
  await afterMoreReads(load, 150);
  await load.stop();
  tell(
    `PostgreSQL restarted, edited again after ${mendedMs} ms, ${ends.filter((end) => end === 'heard').length} of ${ends.length} streams held`,
    load,
  );

  expect(load.outcomes).not.toContain('no answer');
  expect(load.slowestMs()).toBeLessThan(patienceMs);
  expect(load.outcomes.slice(before).filter((outcome) => outcome !== 'token')).toEqual([]);
  for (const service of fleet.processes) expect(service.isRunning()).toBe(true);
  const fresh = { streams: await openStreams(scene, fleet.processes[1]!) };
  await allHear(fresh, 'RECONNECT_REQUIRED');
  await setScopes(scene, usualScopes);
  await allHear(fresh, 'CONNECTED');
  // without a load that makes a process look again by itself
  expect(await outcomes(scene, 'CONNECTED')).toEqual(ends);
  const read = await readAt(fleet.processes[2]!, await scene.app.backend(userId), scene.connector.id);
  expect(await worksAt(scene.provider, read.accessToken)).toBe(true);
});
