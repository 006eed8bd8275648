import { expect, inject, test, vi } from 'vitest';
import { connectUser } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { startReads } from './support/load.ts';
import { startFleet } from './support/processes.ts';
import { report, tally, useServices } from './support/rounds.ts';

useServices();

const patience = { timeout: 60_000, interval: 50 };

test('a deploy without downtime: the new process serves, the balancer turns to it, and the old one ends what it has under way', async () => {
  const fleet = await startFleet(1, { REDIS_URL: inject('redisUrl') ?? '' });
  const [old] = fleet.processes as [(typeof fleet.processes)[0]];
  const stage = await setStage({ service: old });
  await connectUser(stage, 'one');
  let current = old;
  const load = await startReads(stage, 'one', () => current);
  await vi.waitUntil(() => load.outcomes.length > 50, patience);

  const next = await fleet.start();
  // a balancer asks each whether it is ready
  const readiness = async ({ app, url }: typeof old) => (await app.fetch(new Request(`${url}/readyz`))).status;
  await vi.waitUntil(async () => (await readiness(next)) === 200, patience);
  const readBefore = load.outcomes.length;
  const stopped = old.stop();
  await vi.waitUntil(async () => (await readiness(old)) === 503, patience);
  await vi.waitUntil(() => load.outcomes.length > readBefore, patience); // the old one still answers
  current = next;
  expect(await stopped).toBe(0);
  const readWhile = load.outcomes.length;
  await vi.waitUntil(() => load.outcomes.length > readWhile + 50, patience);
  await load.stop();
  report(`a deploy under load: ${tally(load.outcomes)}`);
  expect(new Set(load.outcomes)).toEqual(new Set(['CurrentAppUserConnection']));
});
