import { expect, test } from 'vitest';
import { startService } from '../support/harness.ts';
import { disconnectAppUser } from '../support/journey.ts';
import {
  connectUser,
  editConnector,
  eventually,
  expiredMs,
  readAs,
  setPlan,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

const dayMs = 86_400_000;
/** A service that looks for idle grants all the time. What is due is kept alive from the longest unused on. */
const startKeeper = () => startService({}, { sweepMs: 50 });

test('37. a grant that nobody uses is refreshed before its provider could let it lapse, and used ones are left alone', async () => {
  const scene = await setScene(await startKeeper());
  const { clock } = scene.service;
  const marker = await setScene(scene.service); // once its grant is refreshed, a sweep has looked at the others
  await connectUser(marker, 'one');
  await connectUser(scene, 'idle');
  await connectUser(scene, 'busy');
  clock.advance(dayMs / 2);
  const [old] = [await tokenOf(scene, 'idle'), await tokenOf(scene, 'busy')];
  expect(scene.provider.counts.refresh_token).toBe(2);
  clock.advance(3.25 * dayMs);
  await expect.poll(() => marker.provider.counts.refresh_token, eventually).toBe(1);
  expect(scene.provider.counts.refresh_token).toBe(2);
  await tokenOf(scene, 'busy');
  expect(scene.provider.counts.refresh_token).toBe(3);

  clock.advance(dayMs / 2); // more than half of the week that a custom provider is taken to wait
  await expect.poll(() => scene.provider.counts.refresh_token, eventually).toBe(4);
  expect(await tokenOf(scene, 'idle')).not.toBe(old);
  expect(scene.provider.counts.refresh_token).toBe(4); // the kept one is fresh
});

test('37. whatever cannot be refreshed, or must not be, is left alone', async () => {
  const scene = await setScene(await startKeeper());
  const { service, app, connector, provider } = scene;
  await connectUser(scene, 'refused');
  service.clock.advance(expiredMs);
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
  const marker = await setScene(service);
  await connectUser(marker, 'one');
  const asked = answerTokenRequests(provider, (ctx) => {
    ctx.status = 503;
  });
  service.clock.advance(4 * dayMs);
  await expect.poll(() => marker.provider.counts.refresh_token, eventually).toBe(1);
  expect(asked.count()).toBe(0);

  // a plan that was lowered takes nothing away: after an upgrade everything is to work again
  await setPlan(scene, 'FREE');
  await setPlan(scene, 'BUILDER');
  await editConnector(scene, { clientId: connector.clientId, clientSecret: connector.clientSecret });
  await setPlan(scene, 'FREE');
  await expect.poll(asked.count, eventually).toBeGreaterThan(0);
});

test('37. a connector whose provider takes no refresh holds up no other, however many idle grants it has', async () => {
  const scene = await setScene(await startKeeper());
  for (let user = 0; user < 21; user += 1) await connectUser(scene, `user-${user}`);
  const other = await setScene(scene.service);
  await connectUser(other, 'one');
  const refusal = answerTokenRequests(scene.provider, (ctx) => {
    ctx.status = 401;
    ctx.body = { error: 'invalid_client' };
  });
  scene.service.clock.advance(4 * dayMs);
  await expect.poll(() => other.provider.counts.refresh_token, eventually).toBe(1);
  expect(refusal.count()).toBeGreaterThan(0);
});
