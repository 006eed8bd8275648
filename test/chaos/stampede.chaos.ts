import { expect, inject, test } from 'vitest';
import type { CalendarProvider } from '../support/local-provider.ts';
import { connectUser } from '../support/scene.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { watchTokens } from '../support/token-endpoint.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { report, rounds, useServices } from './support/rounds.ts';
import { countTokenRequests, expireToken, type Read, readAt, refreshPastService, worksAt } from './support/tokens.ts';

useServices();

const processCount = 3;
const fullRounds = 100;

interface Crowd extends Stage {
  fleet: Fleet;
  /** So many readers at each process, all at once. Answers what each was told. */
  read(readersPerProcess: number): Promise<Read[]>;
}

async function gatherCrowd(env: Record<string, string> = {}): Promise<Crowd> {
  const fleet = await startFleet(processCount, env);
  const stage = await setStage({ service: fleet.processes[0]! });
  await connectUser(stage, 'one');
  const headers = await stage.app.backend('one');
  return {
    ...stage,
    fleet,
    read: (readersPerProcess) =>
      Promise.all(
        fleet.processes.flatMap((service) =>
          Array.from({ length: readersPerProcess }, () => readAt(service, headers, stage.connector.id)),
        ),
      ),
  };
}

/** Lets the provider rotate the tokens at once, and answer later. */
function answerAfter(provider: CalendarProvider, ms: number): void {
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') await new Promise((resolve) => setTimeout(resolve, ms));
  });
}

/** The one token that everybody was answered. */
function oneTokenOf(reads: Read[]): string {
  const refused = reads.filter(({ __typename }) => __typename !== 'CurrentAppUserConnection');
  expect(refused).toEqual([]);
  const tokens = new Set(reads.map(({ accessToken }) => accessToken));
  expect(tokens.size).toBe(1);
  return reads[0]!.accessToken;
}

test('a used refresh token that comes back ends its grant at the provider: what the tests here count on', async () => {
  const crowd = await gatherCrowd();
  const passed = watchTokens(crowd.provider);
  await expireToken(crowd.fleet.sql, 'one');
  const token = oneTokenOf(await crowd.read(1));
  expect(await worksAt(crowd.provider, token)).toBe(true);

  const replayed = await refreshPastService(crowd, passed.refreshTokens[0]!);

  expect(await replayed.json()).toMatchObject({ error: 'invalid_grant' });
  expect(await worksAt(crowd.provider, token)).toBe(false);
  const [, newest] = passed.refreshTokens;
  expect((await refreshPastService(crowd, newest!)).status).toBe(400);
});

test.each([
  ['with Redis', () => ({ REDIS_URL: inject('redisUrl') ?? '' })],
  ['without Redis', () => ({})],
])(
  'three processes with 200 readers each refresh an expired token once, round after round, and all are answered the same token: %s',
  async (name, env) => {
    const crowd = await gatherCrowd(env());
    const requests = countTokenRequests(crowd.provider);
    answerAfter(crowd.provider, 300); // long enough for a crowd to gather
    const began = performance.now();
    let last = '';
    for (let round = 1; round <= rounds(fullRounds); round += 1) {
      await expireToken(crowd.fleet.sql, 'one');
      const token = oneTokenOf(await crowd.read(200));
      expect(requests()).toBe(round);
      expect(token).not.toBe(last);
      last = token;
    }
    expect(await worksAt(crowd.provider, last)).toBe(true);
    expect(crowd.provider.grants()).toHaveLength(1);
    report(`${name}: ${requests()} refreshes in ${Math.round(performance.now() - began)} ms`);
  },
);

test('a provider that answers after the lease would have lapsed is asked once, and nobody fails', async () => {
  const crowd = await gatherCrowd();
  const requests = countTokenRequests(crowd.provider);
  answerAfter(crowd.provider, 15_000);
  await expireToken(crowd.fleet.sql, 'one');

  const token = oneTokenOf(await crowd.read(20));

  expect(requests()).toBe(1);
  expect(await worksAt(crowd.provider, token)).toBe(true);
  await expireToken(crowd.fleet.sql, 'one');
  expect(oneTokenOf(await crowd.read(1))).not.toBe(token);
});
