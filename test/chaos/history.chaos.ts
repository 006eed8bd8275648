import { expect, test } from 'vitest';
import { field, type Service } from '../support/harness.ts';
import { disconnectAppUser, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { type Stage, setStage, startFlow } from '../support/stage.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { report, rounds, tally, useServices } from './support/rounds.ts';
import { recordTape, type Tape } from './support/tape.ts';
import { expireToken, readAt, worksAt } from './support/tokens.ts';

useServices();

const processCount = 3;
const userIds = Array.from({ length: 10 }, (_value, index) => `user-${index}`);
const workerCount = 12;
const seconds = rounds(60, 10);

/** One call as its caller saw it. Instants in milliseconds. */
interface Call {
  kind: 'read' | 'disconnect' | 'connect';
  userId: string;
  startedAt: number;
  endedAt: number;
  answer: string;
  /** The token that a read was answered. */
  token?: string | undefined;
  /** The authorization code that a connect brought. */
  code?: string | undefined;
}

interface World {
  stage: Stage;
  fleet: Fleet;
  calls: Call[];
  /** Users of whom somebody connects right now: one at a time, so that their grants have an order. */
  connecting: Set<string>;
  /** When each user's token was last made to end. */
  expiredAt: Map<string, number>;
}

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)]!;
}

async function noteCall(
  world: World,
  kind: Call['kind'],
  userId: string,
  act: () => Promise<Pick<Call, 'answer' | 'token' | 'code'>>,
): Promise<void> {
  const startedAt = performance.now();
  const outcome = await act();
  world.calls.push({ kind, userId, startedAt, endedAt: performance.now(), ...outcome });
}

async function read({ stage }: World, service: Service, userId: string) {
  const answer = await readAt(service, await stage.app.backend(userId), stage.connector.id);
  const after = answer.retryAfterSeconds === undefined ? '' : ` for ${answer.retryAfterSeconds} s`;
  return { answer: `${answer.__typename}${after}`, token: answer.accessToken };
}

async function disconnect({ stage }: World, service: Service, userId: string) {
  const answer = await disconnectAppUser(service, await stage.app.user(userId), stage.connector.id);
  return { answer: field(answer, 'disconnectAppUser').__typename };
}

/** Begins at one process, and comes back to another. */
async function connect({ stage }: World, begin: Service, finish: Service, userId: string) {
  const flow = await startFlow(begin, await stage.app.browser(userId), stage.connector.id);
  const back = await consentAt(flow.redirectUrl);
  const { params } = returnOf(await flow.browser.open(finish, back));
  return { answer: params['connection_status'] ?? 'none', code: new URL(back).searchParams.get('code') ?? '' };
}

async function connectAlone(world: World, begin: Service, finish: Service, userId: string): Promise<void> {
  if (world.connecting.has(userId)) return;
  world.connecting.add(userId);
  await noteCall(world, 'connect', userId, () => connect(world, begin, finish, userId));
  world.connecting.delete(userId);
}

/** A token that ended again whenever it was refreshed would be, to a reader, one that the provider gives out expired. */
async function expireNowAndThen({ fleet, expiredAt }: World, userId: string): Promise<void> {
  const now = performance.now();
  if (now - (expiredAt.get(userId) ?? Number.NEGATIVE_INFINITY) < 2_000) return;
  expiredAt.set(userId, now);
  await expireToken(fleet.sql, userId);
}

async function work(world: World, random: () => number, until: number): Promise<void> {
  while (performance.now() < until) {
    const userId = pick(userIds, random);
    const service = pick(world.fleet.processes, random);
    const other = pick(world.fleet.processes, random);
    const choice = random();
    if (choice < 0.7) await noteCall(world, 'read', userId, () => read(world, service, userId));
    else if (choice < 0.85) await expireNowAndThen(world, userId);
    else if (choice < 0.91) await noteCall(world, 'disconnect', userId, () => disconnect(world, service, userId));
    else await connectAlone(world, service, other, userId);
  }
}

const isToken = (call: Call): call is Call & { token: string } => call.token !== undefined;

/** Tokens whose connect had ended before a disconnect began, that had been answered before the read began. */
function tokensAfterDisconnect(calls: Call[], tape: Tape): string[] {
  const connects = new Map(calls.filter(({ kind }) => kind === 'connect').map((call) => [call.code, call]));
  const disconnects = calls.filter(({ kind }) => kind === 'disconnect');
  return calls.filter(isToken).flatMap((call) => {
    const origin = tape.originOf(call.token);
    const connected = connects.get(origin?.code);
    if (!origin || !connected) return [`${call.userId} was handed a token of no known consent`];
    const ended = disconnects.find(
      ({ userId, startedAt, endedAt }) =>
        userId === call.userId && connected.endedAt < startedAt && endedAt < call.startedAt,
    );
    return ended ? [`${call.userId} was handed a token ${call.startedAt - ended.endedAt} ms after disconnecting`] : [];
  });
}

/** Refreshes of one grant that were at the provider at the same time. */
function overlappingRefreshes({ refreshes }: Tape): string[] {
  const leftAt = new Map<string, number>();
  const inOrder = refreshes.toSorted((a, b) => a.arrivedAt - b.arrivedAt);
  return inOrder.flatMap((refresh) => {
    const before = leftAt.get(refresh.code) ?? 0;
    leftAt.set(refresh.code, Math.max(before, refresh.leftAt));
    return refresh.arrivedAt < before ? [`two refreshes of ${refresh.code} at ${refresh.arrivedAt}`] : [];
  });
}

/** Reads that were answered an older token than a read that had ended before they began. */
function readsBackInTime(calls: Call[], tape: Tape): string[] {
  const connects = calls.filter(({ kind }) => kind === 'connect').toSorted((a, b) => a.startedAt - b.startedAt);
  const consent = new Map(connects.map(({ code }, index) => [code, index]));
  const age = (call: Call & { token: string }) => {
    const origin = tape.originOf(call.token);
    return (consent.get(origin?.code) ?? -1) * 1_000_000 + (origin?.place ?? 0);
  };
  return userIds.flatMap((userId) => {
    const reads = calls.filter(isToken).filter((call) => call.userId === userId);
    const byEnd = reads.toSorted((a, b) => a.endedAt - b.endedAt);
    let newest = -1;
    let ended = 0;
    return reads
      .toSorted((a, b) => a.startedAt - b.startedAt)
      .flatMap((call) => {
        for (; byEnd[ended] && byEnd[ended]!.endedAt < call.startedAt; ended += 1) {
          newest = Math.max(newest, age(byEnd[ended]!));
        }
        return age(call) < newest ? [`${userId} read ${age(call)} after ${newest}`] : [];
      });
  });
}

/** Every connection that is left works now, and after a refresh. */
async function assertLivingWork({ stage, fleet }: World): Promise<void> {
  for (const userId of userIds) {
    const headers = await stage.app.backend(userId);
    const first = await readAt(fleet.processes[0]!, headers, stage.connector.id);
    if (first.__typename === 'NotConnectedError') continue;
    await expireToken(fleet.sql, userId);
    const second = await readAt(fleet.processes[1]!, headers, stage.connector.id);
    expect([first.__typename, second.__typename]).toEqual(['CurrentAppUserConnection', 'CurrentAppUserConnection']);
    expect(await worksAt(stage.provider, second.accessToken)).toBe(true);
  }
}

test('whoever reads, refreshes, disconnects and reconnects at random: no token after its disconnect, one refresh of a grant at a time, no reader goes back in time', async () => {
  const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  report(`CHAOS_SEED=${seed}`);
  const fleet = await startFleet(processCount);
  const stage = await setStage({ service: fleet.processes[0]! });
  const delays = seededRandom(seed - 1);
  stage.provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') await new Promise((resolve) => setTimeout(resolve, delays() * 300));
  });
  const tape = recordTape(stage.provider);
  const world: World = { stage, fleet, calls: [], connecting: new Set(), expiredAt: new Map() };

  for (const userId of userIds) {
    await connectAlone(world, fleet.processes[0]!, fleet.processes[1]!, userId);
  }
  const until = performance.now() + seconds * 1000;
  await Promise.all(
    Array.from({ length: workerCount }, (_value, index) => work(world, seededRandom(seed + index), until)),
  );

  const { calls } = world;
  report(
    `${tally(calls.map(({ kind, answer }) => `${kind}: ${answer}`))}; ${tape.refreshes.length} refreshes in ${seconds} s`,
  );
  expect.soft(tokensAfterDisconnect(calls, tape)).toEqual([]);
  expect.soft(overlappingRefreshes(tape)).toEqual([]);
  expect.soft(readsBackInTime(calls, tape)).toEqual([]);
  const answers = new Set(calls.map(({ answer }) => answer));
  const usual = ['CurrentAppUserConnection', 'NotConnectedError', 'DisconnectAppUserPayload', 'connected'];
  expect([...answers].filter((answer) => !usual.includes(answer))).toEqual([]);
  expect(tape.refreshes.length).toBeGreaterThan(0);
  await assertLivingWork(world);
});
