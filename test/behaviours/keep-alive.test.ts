import { expect, test } from 'vitest';
import { type Service, startService } from '../support/harness.ts';
import { disconnectAppUser } from '../support/journey.ts';
import {
  connectUser,
  editConnector,
  eventually,
  readAs,
  type Scene,
  setPlan,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

const dayMs = 86_400_000;

/** Ways to have due background work looked at: a disconnect elsewhere wakes the worker, and its revocation shows that it has looked. */
async function createSweeps(service: Service, count: number): Promise<(() => Promise<void>)[]> {
  const others: Scene[] = [];
  while (others.length < count) others.push(await setScene(service));
  for (const other of others) await connectUser(other, 'one');
  return others.map((other) => async () => {
    await disconnectAppUser(service, await other.app.user('one'), other.connector.id);
    await expect.poll(() => other.provider.counts.revocation, eventually).toBe(1);
  });
}

test('37. a grant that nobody uses is refreshed before its provider could let it lapse, and used ones are left alone', async () => {
  const scene = await setScene(await startService());
  const { clock } = scene.service;
  await connectUser(scene, 'idle');
  await connectUser(scene, 'busy');
  const [first, second] = await createSweeps(scene.service, 2);
  const old = await tokenOf(scene, 'idle');
  clock.advance(3 * dayMs);
  await tokenOf(scene, 'busy');
  expect(scene.provider.counts.refresh_token).toBe(1);
  await first!();
  expect(scene.provider.counts.refresh_token).toBe(1);
  clock.advance(dayMs / 2); // half of the week that a custom provider is taken to wait
  await second!();
  await expect.poll(() => scene.provider.counts.refresh_token, eventually).toBe(2);
  expect(await tokenOf(scene, 'idle')).not.toBe(old);
  expect(scene.provider.counts.refresh_token).toBe(2); // the kept one is fresh
});

test('37. whatever cannot be refreshed, or must not be, is left alone', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector, provider } = scene;
  await connectUser(scene, 'refused');
  service.clock.advance(301_000);
  const refusal = answerTokenRequests(provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  expect(await readAs(scene, 'refused')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  refusal.stop();
  await connectUser(scene, 'gone');
  await disconnectAppUser(service, await app.user('gone'), connector.id);
  await connectUser(scene, 'one');
  await editConnector(scene, { clientId: 'another-client' });
  const [first, second, third] = await createSweeps(service, 3);
  const asked = answerTokenRequests(provider, (ctx) => {
    ctx.status = 503;
  });
  service.clock.advance(4 * dayMs);
  await first!();
  expect(asked.count()).toBe(0);

  // a plan that was lowered takes nothing away: after an upgrade everything is to work again
  await editConnector(scene, { clientId: connector.clientId, clientSecret: connector.clientSecret });
  await setPlan(scene, 'FREE');
  await second!();
  await expect.poll(asked.count, eventually).toBe(1);
  await third!();
  expect(asked.count()).toBe(1); // a provider in trouble is not asked again before its time
});
