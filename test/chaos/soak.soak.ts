import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { field, type Service } from '../support/harness.ts';
import { disconnectAppUser, readToken, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { editConnector, type Stage, setStage, startFlow } from '../support/stage.ts';
import type { TokenRead } from '../support/scene.ts';
import { lineChart } from './support/chart.ts';
import { type Fleet, type ServiceProcess, startFleet } from './support/processes.ts';
import { report, tally, useServices } from './support/rounds.ts';
import { type OwnServer, startPostgres, startRedis } from './support/servers.ts';
import { recordTape, type Tape } from './support/tape.ts';
import { worksAt } from './support/tokens.ts';

useServices();

const minutes = Number(process.env.SOAK_MINUTES ?? 30);
const userIds = Array.from({ length: 16 }, (_value, index) => `user-${index}`);
const scopes = ['openid', 'email', 'calendar.read'];
const sampleMs = 5_000;
const downMs = 5_000;
/** What a restart may still cause after the server answers again. */
const aftermathMs = 30_000;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Sample {
  /** Minutes since the beginning. */
  at: number;
  /** Of each process: what it holds of the machine's memory, and what of it is in use. */
  megabytes: number[];
  heap: number[];
  connections: number;
  readsPerSecond: number;
}

interface World {
  stage: Stage;
  /** Each user's identity token, which lasts as a session does: callers are remembered by theirs, up to so many. */
  backends: Map<string, Record<string, string>>;
  fleet: Fleet;
  tape: Tape;
  /** How each call ended. */
  answers: string[];
  reads: number;
  /** Edits of the connector that have begun or ended: a flow that one falls into is refused with FLOW_EXPIRED. */
  edits: number;
  /** Connections whose tokens the service no longer has, although nobody disconnected. */
  lost: string[];
  /** Answers that no user may get: another's token, one after a disconnect, one that does not work, an error out of turn. */
  wrong: string[];
  /** Whether a server is away, or has been a moment ago. */
  isDisturbed: boolean;
  isOver: boolean;
}

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!;

/** Does it until it works. What fails is forgiven while a server is away, and for a moment after. */
async function insist<T>(world: World, what: string, act: (service: Service) => Promise<T>): Promise<T> {
  for (;;) {
    const wasDisturbed = world.isDisturbed;
    try {
      return await act(pick(world.fleet.processes));
    } catch (error) {
      world.answers.push(`${what}: failed`);
      if (!wasDisturbed && !world.isDisturbed) world.wrong.push(`${what}: ${String(error)}`);
      await sleep(200);
    }
  }
}

/** Begins at one process, comes back to another. Answers the authorization code that the grant began with. */
async function connect(world: World, service: Service, userId: string): Promise<string> {
  const { stage, fleet, edits } = world;
  const flow = await startFlow(service, await stage.app.browser(userId), stage.connector.id);
  const back = await consentAt(flow.redirectUrl);
  const { params } = returnOf(await flow.browser.open(pick(fleet.processes), back));
  if (params['connection_error'] === 'FLOW_EXPIRED' && world.edits > edits) return connect(world, service, userId);
  if (params['connection_status'] !== 'connected') throw new Error(JSON.stringify(params));
  return new URL(back).searchParams.get('code') ?? '';
}

async function disconnect({ stage }: World, service: Service, userId: string): Promise<void> {
  const answer = await disconnectAppUser(service, await stage.app.user(userId), stage.connector.id);
  const { __typename } = field(answer, 'disconnectAppUser');
  if (!['DisconnectAppUserPayload', 'NotConnectedError'].includes(__typename)) throw new Error(__typename);
}

async function read(
  { stage, backends }: World,
  service: Service,
  userId: string,
): Promise<TokenRead & { __typename: string }> {
  const headers = backends.get(userId) ?? (await stage.app.backend(userId));
  backends.set(userId, headers);
  const answer = await readToken(service, headers, stage.connector.id, { acceptOutdatedScopes: true });
  const found = field<TokenRead>(answer, 'currentAppUserConnection');
  if (found.__typename === 'ProviderUnavailableError') throw new Error(found.message);
  return found;
}

/** What is wrong with a read of somebody who is connected with this code, or (null) not connected. */
async function faultOf(world: World, userId: string, code: string | null): Promise<void> {
  const answer = await insist(world, 'read', (service) => read(world, service, userId));
  world.answers.push(`read: ${answer.__typename}`);
  world.reads += 1;
  if (code === null) {
    if (answer.__typename !== 'NotConnectedError') world.wrong.push(`${userId}, not connected: ${answer.__typename}`);
  } else if (answer.__typename !== 'CurrentAppUserConnection') {
    world.lost.push(`${userId}: ${answer.__typename} ${answer.reconnectReason ?? ''}`);
  } else {
    const isOwn = world.tape.originOf(answer.accessToken)?.code === code;
    if (!isOwn) world.wrong.push(`${userId} was handed a token that is not of the latest consent`);
    const leftMs = Date.parse(answer.accessTokenExpiresAt) - Date.now();
    const isBad = leftMs > 2_000 && Math.random() < 0.1 && !(await worksAt(world.stage.provider, answer.accessToken));
    if (isBad) world.wrong.push(`${userId} was handed a token that does not work`);
  }
}

/** One person at a time acts for a user, so that what must be answered is known. */
async function live(world: World, userId: string): Promise<void> {
  let code: string | null = null;
  while (!world.isOver) {
    const choice = Math.random();
    if (code === null ? choice < 0.3 : choice < 0.01) {
      code = await insist(world, 'connect', (service) => connect(world, service, userId));
      world.answers.push('connect: connected');
    } else if (code !== null && choice < 0.02) {
      await insist(world, 'disconnect', (service) => disconnect(world, service, userId));
      code = null;
      world.answers.push('disconnect: done');
    } else await faultOf(world, userId, code);
    await sleep(Math.random() * 100);
  }
  await faultOf(world, userId, code);
  if (code !== null) {
    await sleep(6_000); // its token has ended: it is refreshed once more
    await faultOf(world, userId, code);
  }
}

async function edit(world: World): Promise<void> {
  for (let turn = 0; !world.isOver; turn += 1) {
    const wanted = turn % 2 === 0 ? [...scopes, 'calendar.write'] : scopes;
    await insist(world, 'edit', async () => {
      world.edits += 1;
      await editConnector(world.stage, { scopes: wanted }).finally(() => (world.edits += 1));
    });
    world.answers.push('edit: done');
    await sleep(5_000);
  }
}

async function restartBoth(world: World, servers: OwnServer[]): Promise<void> {
  for (const server of servers) {
    world.isDisturbed = true;
    await server.stop();
    await sleep(downMs);
    await server.start();
    await sleep(aftermathMs);
    world.isDisturbed = false;
  }
}

const megabytesOf = ({ pid }: ServiceProcess) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

async function heapOf({ url }: ServiceProcess): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^nodejs_heap_size_used_bytes (\S+)/m.exec(metrics)?.[1] ?? Number.NaN) / 1024 ** 2;
}

async function sample(world: World, beganAt: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  let readsBefore = 0;
  while (!world.isOver) {
    await sleep(sampleMs);
    const dead = world.fleet.processes.find((service) => !service.isRunning());
    if (dead) throw new Error(`a process of the service ended with ${dead.end()}: ${dead.output().slice(-5_000)}`);
    const pool = await world.fleet.sql
      .query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      )
      .catch(() => ({ rows: [{ count: 0 }] })); // while it is away
    samples.push({
      at: (performance.now() - beganAt) / 60_000,
      megabytes: world.fleet.processes.map(megabytesOf),
      heap: await Promise.all(world.fleet.processes.map(heapOf)),
      connections: pool.rows[0]?.count ?? 0,
      readsPerSecond: (world.reads - readsBefore) / (sampleMs / 1000),
    });
    readsBefore = world.reads;
  }
  return samples;
}

test(`two instances for ${minutes} minutes, with access tokens of 5 s and two restarts of PostgreSQL and Redis: nothing lost, nothing wrong, memory and pool flat`, async () => {
  const [postgres, redis] = [await startPostgres(), await startRedis()];
  const fleet = await startFleet(2, { REDIS_URL: redis.url }, postgres.url);
  const stage = await setStage({ service: fleet.processes[0]!, scopes, accessTokenSeconds: 5 });
  const world: World = {
    stage,
    backends: new Map(),
    fleet,
    tape: recordTape(stage.provider),
    answers: [],
    reads: 0,
    edits: 0,
    lost: [],
    wrong: [],
    isDisturbed: false,
    isOver: false,
  };
  onTestFinished(() => {
    world.isOver = true;
  });
  const beganAt = performance.now();
  const restarts: number[] = [];
  const lives = Promise.all([...userIds.map((userId) => live(world, userId)), edit(world)]);
  const sampled = sample(world, beganAt);
  const died = sampled.then(() => {}); // only its failure comes before the end
  const until = (ms: number) => Promise.race([sleep(ms - (performance.now() - beganAt)), died]);
  for (const part of [1, 2]) {
    await until((minutes * 60_000 * part) / 3);
    restarts.push((performance.now() - beganAt) / 60_000);
    await restartBoth(world, [postgres, redis]);
  }
  await until(minutes * 60_000);
  world.isOver = true;
  const samples = await sampled;
  await lives;

  const quarter = (index: number) =>
    samples.slice(Math.floor((samples.length * index) / 4), Math.floor((samples.length * (index + 1)) / 4));
  // at its least the heap has just been swept: what is held then is what is kept
  const kept = (part: Sample[], process: number) => Math.min(...part.map(({ heap }) => heap[process] ?? Number.NaN));
  const pool = (part: Sample[]) => Math.max(...part.map(({ connections }) => connections));
  const figures = {
    refreshes: world.tape.refreshes.length,
    kept: fleet.processes.map((_process, index) => [1, 3].map((at) => Math.round(kept(quarter(at), index)))),
    pool: [1, 3].map((at) => pool(quarter(at))),
  };
  report(`${minutes} minutes: ${tally(world.answers)}; ${world.lost.length} lost, ${world.wrong.length} wrong`);
  report(JSON.stringify(figures));
  const chart = lineChart({
    title: `Soak: ${minutes} minutes, ${world.reads} reads, ${figures.refreshes} refreshes, ${world.lost.length} lost, ${world.wrong.length} wrong`,
    minutes,
    marks: restarts.map((at) => ({ at, text: 'PostgreSQL and Redis restart' })),
    lines: [
      { name: 'memory of one, MB', points: samples.map(({ at, megabytes }) => [at, megabytes[0] ?? 0] as const) },
      { name: 'memory of two, MB', points: samples.map(({ at, megabytes }) => [at, megabytes[1] ?? 0] as const) },
      { name: 'heap of one, in use, MB', points: samples.map(({ at, heap }) => [at, heap[0] ?? 0] as const) },
      { name: 'heap of two, in use, MB', points: samples.map(({ at, heap }) => [at, heap[1] ?? 0] as const) },
      { name: 'database connections', points: samples.map(({ at, connections }) => [at, connections] as const) },
      { name: 'reads per second', points: samples.map(({ at, readsPerSecond }) => [at, readsPerSecond] as const) },
    ],
  });
  writeFileSync(new URL('../../docs/images/soak.svg', import.meta.url), chart);
  expect.soft(world.lost).toEqual([]);
  expect.soft(world.wrong).toEqual([]);
  for (const [early, late] of figures.kept) expect.soft(late).toBeLessThan(1.25 * (early ?? 0));
  expect.soft(figures.pool[1]).toBeLessThanOrEqual((figures.pool[0] ?? 0) + 2);
  for (const service of fleet.processes) expect(service.isRunning()).toBe(true);
});
