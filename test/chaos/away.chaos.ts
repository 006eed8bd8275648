import { describe, expect, test } from 'vitest';
import { connectionOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { connectUser } from '../support/scene.ts';
import { type Stage, setStage, startFlow } from '../support/stage.ts';
import { holdTokenRequest } from '../support/token-endpoint.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { report, rounds, useServices, within } from './support/rounds.ts';
import { startPostgres } from './support/servers.ts';
import { countTokenRequests, expireToken, type Read, readAt, worksAt } from './support/tokens.ts';

useServices();

const userId = 'one';
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads until something is decided: a token, or a reconnect. */
async function decisionAt(stage: Stage, service: Fleet['processes'][0]): Promise<Read> {
  const headers = await stage.app.backend(userId);
  for (;;) {
    const read = await readAt(service, headers, stage.connector.id).catch(() => null); // while the database is away
    if (read && read.__typename !== 'ProviderUnavailableError') return read;
    await sleep(100);
  }
}

test.each(rounds(2) > 1 ? [7_000, 14_000] : [7_000])(
  'a rotated token is kept while PostgreSQL is away for %s ms, and no other process shows the old one again',
  async (awayMs) => {
    const postgres = await startPostgres();
    const fleet = await startFleet(2, {}, postgres.url);
    const [holder, other] = fleet.processes as [Fleet['processes'][0], Fleet['processes'][0]];
    const stage = await setStage({ service: holder });
    await connectUser(stage, userId);
    await decisionAt(stage, other); // it has discovered the provider
    await expireToken(fleet.sql, userId);
    const requests = countTokenRequests(stage.provider);
    const held = holdTokenRequest(stage.provider, 'answer');
    const reading = readAt(holder, await stage.app.backend(userId), stage.connector.id).catch(() => null);
    await held.reached;
    await sleep(2_000);
    await postgres.stop();
    held.release();
    await sleep(awayMs);
    await postgres.start();
    const began = performance.now();
    const read = await within(30_000, 'a decision', decisionAt(stage, other));
    report(`decided ${Math.round(performance.now() - began)} ms after PostgreSQL was back`);
    expect(read).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(await worksAt(stage.provider, read.accessToken)).toBe(true);
    expect(requests()).toBe(1);
    await reading;
  },
);

describe('a process that is told to stop finishes what it has begun at the provider, although nobody waits for it any more', () => {
  test('a refresh whose reader has gone', async () => {
    const fleet = await startFleet(1);
    const victim = await fleet.start();
    const stage = await setStage({ service: fleet.processes[0]! });
    await connectUser(stage, userId);
    await expireToken(fleet.sql, userId);
    const requests = countTokenRequests(stage.provider);
    const held = holdTokenRequest(stage.provider, 'answer');
    const gone = new AbortController();
    const reading = fetch(`${victim.url}/graphql`, {
      method: 'POST',
      signal: gone.signal,
      headers: { 'content-type': 'application/json', ...(await stage.app.backend(userId)) },
      body: JSON.stringify({
        query: `{ currentAppUserConnection(connectorId: "${stage.connector.id}") { __typename } }`,
      }),
    });
    await held.reached;
    gone.abort();
    await expect(reading).rejects.toThrow('abort');
    const stopping = victim.stop();
    await sleep(500);
    held.release();
    await stopping;
    const read = await decisionAt(stage, fleet.processes[0]!);
    expect(read).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(await worksAt(stage.provider, read.accessToken)).toBe(true);
    expect(requests()).toBe(1);
  });

  test('a callback whose browser has gone', async () => {
    const fleet = await startFleet(1);
    const victim = await fleet.start();
    const [service] = fleet.processes as [Fleet['processes'][0]];
    const stage = await setStage({ service });
    const flow = await startFlow(service, await stage.app.browser(userId), stage.connector.id);
    const callback = new URL(await consentAt(flow.redirectUrl));
    const held = holdTokenRequest(stage.provider, 'answer');
    const gone = new AbortController();
    const returning = fetch(victim.url + callback.pathname + callback.search, {
      signal: gone.signal,
      redirect: 'manual',
      headers: { cookie: flow.cookies[0]?.split(';')[0] ?? '' },
    });
    await held.reached;
    gone.abort();
    await expect(returning).rejects.toThrow('abort');
    const stopping = victim.stop();
    await sleep(500);
    held.release();
    await stopping;
    expect(await connectionOf(service, await stage.app.user(userId), stage.connector.id)).toMatchObject({
      status: 'CONNECTED',
    });
  });
});
