import { expect, test } from 'vitest';
import { createTestApp, field, operatorKey, startService } from '../support/harness.ts';
import { connectByCookie, connectionOf, disconnectAppUser, readToken } from '../support/journey.ts';
import {
  connectUser,
  deleteConnector,
  editConnector,
  eventually,
  readAs,
  type Scene,
  setPlan,
  setScene,
  tokenOf,
  failRevocations,
} from '../support/scene.ts';
import { deferred } from '../support/token-endpoint.ts';

const disconnect = async ({ service, app, connector }: Scene, userId: string) =>
  field<Record<string, unknown>>(
    await disconnectAppUser(service, await app.user(userId), connector.id),
    'disconnectAppUser',
  );
const statusOf = async ({ service, app, connector }: Scene, userId: string) =>
  connectionOf(service, await app.user(userId), connector.id);
const disconnected = { __typename: 'DisconnectAppUserPayload', connection: { status: 'NOT_CONNECTED' } };

/** Whether the provider still takes an access token. */
async function works({ provider }: Scene, accessToken: string): Promise<boolean> {
  const { status } = await fetch(provider.eventsUrl, { headers: { authorization: `Bearer ${accessToken}` } });
  return status === 200;
}

/** Lets due background work be looked at now: whoever connects wakes the worker. */
const wakeWorker = (scene: Scene) => connectUser(scene, 'somebody', 'green');

test("42. disconnecting ends that user's grant here and at the provider, and touches nobody else", async () => {
  const scene = await setScene(await startService());
  const { service, workspace, provider, connector } = scene;
  const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  await connectUser(scene, 'one', 'blue');
  await connectUser(scene, 'two', 'green');
  await connectByCookie(service, await otherApp.browser('one'), connector.id, { account: 'green' });
  const token = await tokenOf(scene, 'one');
  const others = [await tokenOf(scene, 'two'), await tokenOf({ ...scene, app: otherApp }, 'one')];
  expect(await works(scene, token)).toBe(true);

  expect(await disconnect(scene, 'one')).toMatchObject(disconnected);
  expect((await readAs(scene, 'one')).__typename).toBe('NotConnectedError');
  expect(await statusOf(scene, 'one')).toMatchObject({ status: 'NOT_CONNECTED', account: null, grantedScopes: [] });
  await expect.poll(() => works(scene, token), eventually).toBe(false);
  expect(provider.grants().map(({ account }) => account.id)).toEqual(['green', 'green']);

  expect([await tokenOf(scene, 'two'), await tokenOf({ ...scene, app: otherApp }, 'one')]).toEqual(others);
  for (const other of others) expect(await works(scene, other)).toBe(true);
  expect(await statusOf(scene, 'two')).toMatchObject({ status: 'CONNECTED' });
});

test('42. a grant that another connection stands on at the provider is not revoked under it', async () => {
  const scene = await setScene(await startService());
  await connectUser(scene, 'one', 'blue');
  await connectUser(scene, 'two', 'blue');
  await connectUser(scene, 'three', 'green');
  const [kept, later] = [await tokenOf(scene, 'two'), await tokenOf(scene, 'three')];
  expect(await disconnect(scene, 'one')).toMatchObject(disconnected);
  expect((await readAs(scene, 'one')).__typename).toBe('NotConnectedError');
  expect(await disconnect(scene, 'three')).toMatchObject(disconnected);
  await expect.poll(() => works(scene, later), eventually).toBe(false); // so the one before has been looked at, too
  expect(await works(scene, kept)).toBe(true);
  expect(scene.provider.counts.revocation).toBe(1);

  expect(await disconnect(scene, 'two')).toMatchObject(disconnected);
  await expect.poll(() => works(scene, kept), eventually).toBe(false);
});

test('42. while the provider is down the user is disconnected at once, and the revocation arrives later, once', async () => {
  const scene = await setScene(await startService());
  await connectUser(scene, 'one', 'blue');
  const outage = failRevocations(scene);
  const token = await tokenOf(scene, 'one');

  expect(await disconnect(scene, 'one')).toMatchObject(disconnected);
  expect((await readAs(scene, 'one')).__typename).toBe('NotConnectedError');
  await expect.poll(outage.count, eventually).toBe(1);
  await expect
    .poll(() => scene.service.logs.some((line) => line.includes('a revocation failed')), eventually)
    .toBe(true);
  expect(await works(scene, token)).toBe(true);

  outage.stop();
  scene.service.clock.advance(10_000);
  await wakeWorker(scene);
  await expect.poll(() => works(scene, token), eventually).toBe(false);
  scene.service.clock.advance(300_000);
  await wakeWorker(scene);
  expect(scene.provider.counts.revocation).toBe(1);
  expect(outage.count()).toBe(1);
});

test('42. tokens that wait to be revoked go to no other address than they were given for, and are revoked once it is put back', async () => {
  const scene = await setScene(await startService());
  const { service, provider, connector } = scene;
  const other = await setScene(service);
  const asked: string[] = [];
  other.provider.around(async (ctx, next) => {
    asked.push(ctx.path);
    await next();
  });
  await connectUser(scene, 'one', 'blue');
  const token = await tokenOf(scene, 'one');
  const outage = failRevocations(scene);
  await disconnect(scene, 'one');
  await expect
    .poll(() => service.logs.filter((line) => line.includes('a revocation failed')).length, eventually)
    .toBe(1);
  outage.stop();

  const point = (issuer: string) =>
    editConnector(scene, { custom: { discovery: { issuer } }, clientSecret: connector.clientSecret });
  await point(other.provider.issuer);
  service.clock.advance(10_000);
  await wakeWorker(other);
  await connectUser(other, 'two', 'green');
  expect(asked).not.toContain('/token/revocation');
  expect(await works(scene, token)).toBe(true);

  await point(provider.issuer);
  service.clock.advance(60_000);
  await wakeWorker(scene);
  await expect.poll(() => works(scene, token), eventually).toBe(false);
  expect(asked).not.toContain('/token/revocation');
});

test('42. disconnecting works on a plan that was lowered, while a reconnect is required, and after a refusal', async () => {
  const scene = await setScene(await startService());
  for (const before of [
    () => setPlan(scene, 'FREE'),
    () => editConnector(scene, { scopes: ['openid'] }),
    () => editConnector(scene, { clientId: 'another-client' }),
    async () => {
      for (const { id } of scene.provider.grants()) scene.provider.revokeGrant(id);
      scene.service.clock.advance(301_000);
      expect(await readAs(scene, 'one')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
    },
  ]) {
    await connectUser(scene, 'one', 'blue');
    await before();
    expect(await disconnect(scene, 'one')).toMatchObject({ __typename: 'DisconnectAppUserPayload' });
    await setPlan(scene, 'BUILDER');
    await editConnector(scene, {
      scopes: ['openid', 'email', 'calendar.read'],
      clientId: scene.connector.clientId,
      clientSecret: scene.connector.clientSecret,
    });
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'NOT_CONNECTED' });
  }
});

test('43. disconnecting when not connected answers NotConnectedError, and reads answer it until connected again', async () => {
  const scene = await setScene(await startService());
  const { service, app, workspace, connector } = scene;
  const notConnected = { __typename: 'NotConnectedError', code: 'NOT_CONNECTED' };
  expect(await disconnect(scene, 'one')).toMatchObject(notConnected);
  await connectUser(scene, 'one');
  const answers = await Promise.all([disconnect(scene, 'one'), disconnect(scene, 'one'), disconnect(scene, 'one')]);
  expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
    'DisconnectAppUserPayload',
    'NotConnectedError',
    'NotConnectedError',
  ]);
  expect(await readAs(scene, 'one')).toMatchObject(notConnected);
  await connectUser(scene, 'one');
  expect((await readAs(scene, 'one')).__typename).toBe('CurrentAppUserConnection');

  const foreign = await setScene(service);
  const others: [headers: Record<string, string>, connectorId: string, answer: string][] = [
    [{}, connector.id, 'UnauthenticatedError'],
    [workspace.owner, connector.id, 'UnauthenticatedError'],
    [{ authorization: `Bearer ${operatorKey}` }, connector.id, 'UnauthenticatedError'],
    [{ authorization: `Bearer ${app.key}` }, connector.id, 'UnauthenticatedError'],
    [await app.user('one'), foreign.connector.id, 'NotFoundError'],
    [await app.user('one'), `Connector_${crypto.randomUUID()}`, 'NotFoundError'],
    [await foreign.app.user('one'), connector.id, 'NotFoundError'],
  ];
  for (const [headers, id, answer] of others) {
    expect(field(await disconnectAppUser(service, headers, id), 'disconnectAppUser').__typename).toBe(answer);
  }
  expect((await readAs(scene, 'one')).__typename).toBe('CurrentAppUserConnection');
  // a backend function may do it for the user
  expect(
    field(await disconnectAppUser(service, await app.backend('one'), connector.id), 'disconnectAppUser'),
  ).toMatchObject(disconnected);
});

test('16. deleting a connector refuses its readers at once, in all apps, and then revokes every grant at the provider', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, app, provider, connector } = scene;
  const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  await connectUser(scene, 'one', 'blue');
  await connectUser(scene, 'two', 'green');
  await connectByCookie(service, await otherApp.browser('one'), connector.id, { account: 'green' });
  expect(provider.grants()).toHaveLength(3);
  const readers = [await app.backend('one'), await app.backend('two'), await otherApp.backend('one')];
  const answers = () =>
    Promise.all(
      readers.map(
        async (headers) =>
          field(await readToken(service, headers, connector.id), 'currentAppUserConnection').__typename,
      ),
    );
  expect(await answers()).toEqual(Array.from({ length: 3 }, () => 'CurrentAppUserConnection'));

  const held = deferred();
  const revoked: unknown[] = [];
  provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation') return next();
    await held.promise;
    await next();
    revoked.push(ctx.oidc?.body?.['token']);
  });
  await setPlan(scene, 'FREE'); // ending access needs no plan
  await deleteConnector(scene);
  expect(await answers()).toEqual(Array.from({ length: 3 }, () => 'NotFoundError'));
  expect(provider.grants()).toHaveLength(3);

  held.resolve();
  await expect.poll(() => provider.grants().length, eventually).toBe(0);
  await expect.poll(() => new Set(revoked).size, eventually).toBe(3);
  const gone = await service.graphql(
    `query ($id: ID!) { connector(id: $id) { id } }`,
    { id: connector.id },
    workspace.owner,
  );
  expect(gone.data).toEqual({ connector: null });
});

test('27. a grant of the connector’s former client, replaced by a reconnect, is revoked once the client is put back', async () => {
  const scene = await setScene(await startService());
  const { service, provider, connector } = scene;
  await connectUser(scene, 'one', 'blue');
  const old = await tokenOf(scene, 'one');
  const other = provider.registerClient({ name: 'Other', redirectUris: connector.redirectUris.map(({ uri }) => uri) });
  await editConnector(scene, { clientId: other.clientId, clientSecret: other.clientSecret });
  await connectUser(scene, 'one', 'blue');
  const present = await tokenOf(scene, 'one');
  expect(await works(scene, old)).toBe(true); // only its own client can take it back

  await editConnector(scene, { clientId: connector.clientId, clientSecret: connector.clientSecret });
  service.clock.advance(60_000);
  await connectUser(await setScene(service), 'somebody'); // wakes the worker
  await expect.poll(() => works(scene, old), eventually).toBe(false);
  expect(await works(scene, present)).toBe(true);
});
