import { expect, test } from 'vitest';
import { startServiceOnStoppedClock } from '../support/at-rest.ts';
import { connectByCookie, connectionOf } from '../support/journey.ts';
import { connectUser, readAs, setScene } from '../support/scene.ts';
import { editConnector, setStage } from '../support/stage.ts';
import { startService } from '../support/harness.ts';
import type { CalendarProvider } from '../support/local-provider.ts';

/** Makes the provider's token answers hold these members. */
function say(provider: CalendarProvider, members: Record<string, unknown>): () => void {
  return provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') ctx.body = { ...(ctx.body as object), ...members };
  });
}

test('T20. whatever a provider says of a token’s life, a minute of reading asks it for no more than two refreshes', {
  timeout: 90_000,
}, async () => {
  const scene = await setScene(await startServiceOnStoppedClock());
  const { service, provider } = scene;
  for (const expiresIn of ['3600', '', null, 0, -1, 1e12, 3.5, 'never']) {
    const stop = say(provider, { expires_in: expiresIn });
    await connectUser(scene, 'one');
    const before = provider.counts.refresh_token;
    // one that lives for 3.5 s has ended at each of the reads but the first
    const most = expiresIn === 3.5 ? 5 : 2;
    for (let second = 0; second < 60; second += 10) {
      expect((await readAs(scene, 'one')).__typename).toBe('CurrentAppUserConnection');
      service.clock.advance(10_000);
    }
    expect([expiresIn, provider.counts.refresh_token - before <= most]).toEqual([expiresIn, true]);
    stop();
  }
});

test.each([-10, 10])(
  'T20. a provider whose clock is %i minutes away is neither hammered nor taken for dead',
  async (minutes) => {
    const scene = await setScene(await startServiceOnStoppedClock());
    const { service, provider } = scene;
    const there = () => new Date(service.clock.now().getTime() + minutes * 60_000);
    provider.around(async (ctx, next) => {
      await next();
      if (ctx.path !== '/token') return;
      ctx.set('date', there().toUTCString());
      // an instant of the provider's own clock, and no duration
      const { expires_in: _, ...rest } = ctx.body as Record<string, unknown>;
      ctx.body = { ...rest, expires_at: Math.floor(there().getTime() / 1000) + 300 };
    });
    await connectUser(scene, 'one');
    const { accessTokenExpiresAt, accessToken } = await readAs(scene, 'one');
    const remainingMs = Date.parse(accessTokenExpiresAt) - service.clock.now().getTime();
    expect(remainingMs).toBeGreaterThan(295_000);
    expect(remainingMs).toBeLessThan(305_000);
    service.clock.advance(60_000);
    expect((await readAs(scene, 'one')).accessToken).toBe(accessToken);
    expect(provider.counts.refresh_token).toBe(0);
    service.clock.advance(300_000);
    expect((await readAs(scene, 'one')).accessToken).not.toBe(accessToken);
    expect(provider.counts.refresh_token).toBe(1);
  },
);

test('T22. granted and missing scopes are right in whatever form the provider says what it granted', async () => {
  const asked = ['email', 'calendar.read', 'calendar.write'];
  const stage = await setStage({ service: await startService(), scopes: asked });
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  const forms: [scope: unknown, granted: string[], missing: string[]][] = [
    ['email calendar.read calendar.write', asked, []],
    ['calendar.write email calendar.read', ['calendar.write', 'email', 'calendar.read'], []],
    ['email email calendar.read  email', ['email', 'calendar.read'], ['calendar.write']],
    ['email,calendar.read', ['email', 'calendar.read'], ['calendar.write']],
    ['email, calendar.read', ['email', 'calendar.read'], ['calendar.write']],
    [['email', 'calendar.read'], ['email', 'calendar.read'], ['calendar.write']],
    [['email calendar.read', 7, null], ['email', 'calendar.read'], ['calendar.write']],
    ['email calendar.read calendar.write admin', [...asked, 'admin'], []],
    ['Email', ['Email'], asked],
    // not told means: as asked (RFC 6749 5.1)
    ['', asked, []],
    [null, asked, []],
    [[], asked, []],
    [{ email: true }, asked, []],
  ];
  for (const [scope, grantedScopes, missingScopes] of forms) {
    const stop = say(provider, { scope });
    await connectByCookie(service, user, connector.id);
    const { status, reconnectReason, ...facts } = await connectionOf(service, user, connector.id);
    expect([scope, status, reconnectReason, facts.grantedScopes, facts.missingScopes]).toEqual([
      scope,
      'CONNECTED',
      null,
      grantedScopes,
      missingScopes,
    ]);
    stop();
  }
});

test('T22. an edit of the scopes flags those who have not consented to the new ones, and nobody else', async () => {
  const stage = await setStage({ scopes: ['email', 'calendar.read'] });
  const { service, app, connector } = stage;
  const [one, two] = [await app.browser('one'), await app.browser('two')];
  const statuses = async () =>
    Promise.all([one, two].map(async (user) => (await connectionOf(service, user, connector.id)).reconnectReason));
  await connectByCookie(service, one, connector.id);
  await connectByCookie(service, two, connector.id, { account: 'green' });
  await editConnector(stage, { scopes: ['email', 'calendar.read', 'calendar.write'] });
  expect(await statuses()).toEqual(['SCOPES_CHANGED', 'SCOPES_CHANGED']);
  await connectByCookie(service, two, connector.id, { account: 'green' });
  expect(await statuses()).toEqual(['SCOPES_CHANGED', null]);
  await editConnector(stage, { scopes: ['calendar.write', 'calendar.read', 'email'] });
  expect(await statuses()).toEqual(['SCOPES_CHANGED', null]);
  await editConnector(stage, { scopes: ['calendar.read', 'email'] });
  expect(await statuses()).toEqual([null, 'SCOPES_CHANGED']);
});
