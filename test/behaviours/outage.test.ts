import { describe, expect, test } from 'vitest';
import { createStoppedClock, startServiceOnStoppedClock } from '../support/at-rest.ts';
import { field, startService } from '../support/harness.ts';
import { connectionOf } from '../support/journey.ts';
import { connectUser, editConnector, expiredMs, readAs, type Scene, setScene, tokenOf } from '../support/scene.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

type Answer = Parameters<typeof answerTokenRequests>[1];

/** Everything that a provider in trouble has been seen to answer. */
const troubles: Answer[] = [
  (ctx) => {
    ctx.status = 500;
  },
  (ctx) => {
    ctx.status = 503;
    ctx.type = 'html';
    ctx.body = '<h1>Back soon</h1>';
  },
  (ctx) => {
    ctx.status = 429;
  },
  (ctx) => {
    ctx.status = 400;
    ctx.body = '';
  },
  (ctx) => {
    ctx.status = 200;
    ctx.body = '\u0000 garbage';
  },
  (ctx) => {
    ctx.res.destroy();
  },
];

const statusOf = async ({ service, app, connector }: Scene, userId: string) =>
  connectionOf(service, await app.user(userId), connector.id);

test('35. T19. a provider in trouble for a day costs nobody their connection, is asked with growing pauses, and one real refusal ends one connection', {
  timeout: 120_000,
}, async () => {
  const scene = await setScene(await startServiceOnStoppedClock());
  const users = ['one', 'two'];
  for (const user of users) await connectUser(scene, user);
  scene.service.clock.advance(expiredMs);
  const steps = (24 * 60) / 15;
  let step = 0;
  const outage = answerTokenRequests(scene.provider, (ctx) => troubles[step % troubles.length]?.(ctx));
  for (; step < steps; step += 1) {
    for (const user of [...users, ...users]) {
      expect(await readAs(scene, user)).toMatchObject({ __typename: 'ProviderUnavailableError' });
    }
    scene.service.clock.advance(15 * 60_000);
  }
  // the longest pause is five minutes: of each two reads at an instant at most the first has it asked
  expect(outage.count()).toBeGreaterThan(steps);
  expect(outage.count()).toBeLessThanOrEqual(users.length * steps);
  for (const user of users) expect(await statusOf(scene, user)).toMatchObject({ status: 'CONNECTED' });
  outage.stop();

  const refusal = answerTokenRequests(scene.provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  scene.service.clock.advance(600_000);
  expect(await readAs(scene, 'one')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  refusal.stop();
  expect(await tokenOf(scene, 'two')).toMatch(/./);
  expect(await statusOf(scene, 'two')).toMatchObject({ status: 'CONNECTED' });
});

/** Takes every token request and answers none. */
function neverAnswer({ provider }: Scene): { count: () => number; stop: () => void } {
  let count = 0;
  const stop = provider.around(async (ctx, next) => {
    if (ctx.path !== '/token') return next();
    count += 1;
    await new Promise((resolve) => ctx.req.once('close', resolve));
  });
  return { count: () => count, stop };
}

test('35. a provider that never answers for a day costs nobody their connection, and is asked with growing pauses', {
  timeout: 120_000,
}, async () => {
  let refreshTimeoutMs = 100;
  const clock = createStoppedClock();
  const service = { ...(await startService({}, { clock, refreshTimeoutMs: () => refreshTimeoutMs })), clock };
  const scene = await setScene(service);
  const users = ['one', 'two'];
  for (const user of users) await connectUser(scene, user);
  clock.advance(expiredMs);
  const silence = neverAnswer(scene);
  const steps = (24 * 60) / 30;
  for (let step = 0; step < steps; step += 1) {
    const answers = await Promise.all([...users, ...users].map((user) => readAs(scene, user)));
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['PROVIDER_UNAVAILABLE']));
    // asked again at once, it is not troubled again
    for (const user of users) expect(await readAs(scene, user)).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    clock.advance(30 * 60_000);
  }
  // the longest pause is five minutes: at each instant it is asked once for each user, or was not reached in time
  expect(silence.count()).toBeGreaterThan(steps / 2);
  expect(silence.count()).toBeLessThanOrEqual(users.length * steps);
  for (const user of users) expect(await statusOf(scene, user)).toMatchObject({ status: 'CONNECTED' });
  silence.stop();

  refreshTimeoutMs = 30_000;
  const refusal = answerTokenRequests(scene.provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  expect(await readAs(scene, 'one')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  refusal.stop();
  expect(await tokenOf(scene, 'two')).toMatch(/./);
  expect(await statusOf(scene, 'two')).toMatchObject({ status: 'CONNECTED' });
});

test('35. a provider that never answers is waited for by all readers together', { timeout: 90_000 }, async () => {
  const scene = await setScene(await startService({}, { refreshTimeoutMs: () => 2_000 }));
  await connectUser(scene, 'one');
  scene.service.clock.advance(expiredMs);
  const { count, stop } = neverAnswer(scene);
  const answers = await Promise.all(Array.from({ length: 20 }, () => readAs(scene, 'one')));
  expect(new Set(answers.map(({ __typename }) => __typename))).toEqual(new Set(['ProviderUnavailableError']));
  expect(count()).toBe(1);
  stop();
  scene.service.clock.advance(60_000);
  expect(await tokenOf(scene, 'one')).toMatch(/./);
});

describe('a client that the provider refuses', () => {
  async function problemOf({ service, workspace, app, connector }: Scene) {
    const query = 'query ($id: ID!) { connector(id: $id) { problem { code remedy { actor } } } }';
    const [forMember, forUser] = await Promise.all(
      [workspace.owner, await app.user('one')].map((headers) => service.graphql(query, { id: connector.id }, headers)),
    );
    expect(field<{ problem: unknown }>(forUser!, 'connector').problem).toBe(null);
    return field<{ problem: unknown }>(forMember!, 'connector').problem;
  }
  const refused = { code: 'INVALID_CLIENT', remedy: { actor: 'ADMIN' } };

  test('35. is shown to the admin on the connector, flips no user, and goes with the right secret', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    expect(await problemOf(scene)).toBe(null);
    await editConnector(scene, { clientSecret: 'mistyped' });
    scene.service.clock.advance(expiredMs);
    expect(await readAs(scene, 'one')).toMatchObject({
      __typename: 'ProviderUnavailableError',
      remedy: { actor: 'ADMIN' },
    });
    expect(await problemOf(scene)).toEqual(refused);
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });

    await editConnector(scene, { name: 'Renamed' }); // mends nothing
    expect(await problemOf(scene)).toEqual(refused);
    await editConnector(scene, { clientSecret: scene.connector.clientSecret });
    expect(await problemOf(scene)).toBe(null);
    scene.service.clock.advance(60_000);
    expect(await tokenOf(scene, 'one')).toMatch(/./);
  });

  test('35. is shown to the admin when it is refused at a connect, and goes when the provider takes it again', async () => {
    const scene = await setScene(await startService());
    const refusal = answerTokenRequests(scene.provider, (ctx) => {
      ctx.status = 401;
      ctx.body = { error: 'invalid_client' };
    });
    await expect(connectUser(scene, 'one')).rejects.toThrow('INVALID_CLIENT');
    expect(await problemOf(scene)).toEqual(refused);
    refusal.stop();
    await connectUser(scene, 'one');
    expect(await problemOf(scene)).toBe(null);

    const again = answerTokenRequests(scene.provider, (ctx) => {
      ctx.status = 401;
      ctx.body = { error: 'invalid_client' };
    });
    scene.service.clock.advance(expiredMs);
    await readAs(scene, 'one');
    expect(await problemOf(scene)).toEqual(refused);
    again.stop();
    scene.service.clock.advance(60_000);
    await tokenOf(scene, 'one');
    expect(await problemOf(scene)).toBe(null);
  });
});
