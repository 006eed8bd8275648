import pg from 'pg';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../src/db/client.ts';
import { createDatabaseClock } from '../../src/db/clock.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey } from '../support/at-rest.ts';
import { field, ownPostgres, type Service } from '../support/harness.ts';
import { servicesAreThere, startInstances, startRedisProxy } from '../support/instances.ts';
import { disconnectAppUser, readToken } from '../support/journey.ts';
import {
  connectUser,
  deleteConnector,
  editConnector,
  eventually,
  expiredMs,
  readAs,
  type Scene,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { listen, openWebSocket, type StatusStream } from '../support/streams.ts';
import { answerTokenRequests, deferred, holdTokenRequest } from '../support/token-endpoint.ts';

const scopes = ['openid', 'email', 'calendar.read'];

async function watch(scene: Scene, instance: Service, userId: string): Promise<StatusStream> {
  const { ws } = await listen(instance);
  return openWebSocket(ws, await scene.app.user(userId), scene.connector.id);
}

/** What `/readyz` answers. */
async function readiness(instance: Service): Promise<{ status: number; body: unknown }> {
  const response = await instance.app.fetch(new Request(`${instance.config.publicUrl}/readyz`));
  return { status: response.status, body: await response.json() };
}

describe.skipIf(!servicesAreThere)('several instances', () => {
  test('39. whatever happens on one instance reaches subscribers on another', async () => {
    const [one, two] = (await startInstances(2)) as [Service, Service];
    const scene = await setScene(one);
    const stream = await watch(scene, two, 'one');
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });

    await connectUser(scene, 'one');
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
    await editConnector(scene, { scopes: [...scopes, 'calendar.write'] });
    expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' });
    await editConnector(scene, { scopes });
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

    one.clock.advance(expiredMs);
    await tokenOf(scene, 'one');
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' }); // lastRefreshedAt has changed
    const { stop } = answerTokenRequests(scene.provider, (ctx) => {
      ctx.status = 400;
      ctx.body = { error: 'invalid_grant' };
    });
    one.clock.advance(expiredMs);
    expect(await readAs(scene, 'one')).toMatchObject({ __typename: 'ReconnectRequiredError' });
    expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });
    stop();

    await connectUser(scene, 'one');
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
    await disconnectAppUser(one, await scene.app.user('one'), scene.connector.id);
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });
    await deleteConnector(scene);
    expect(await stream.next()).toMatchObject({ status: 'UNAVAILABLE', problem: { code: 'NOT_FOUND' } });
  });

  test('3. an app has two keys while one is rotated for the other; the revoked one ends at once on every instance', async () => {
    const instances = await startInstances(2);
    const [one, two] = instances as [Service, Service];
    const scene = await setScene(one);
    const { app, workspace, connector } = scene;
    await connectUser(scene, 'one');
    const made = await one.graphql(
      `mutation ($id: ID!) { createAppKey(input: { appId: $id }) { ... on CreateAppKeyPayload { appKeySecret } } }`,
      { id: app.id },
      workspace.owner,
    );
    const next = field<{ appKeySecret: string }>(made, 'createAppKey').appKeySecret;
    const readWith = async (key: string) => {
      const headers = { ...(await app.backend('one')), authorization: `Bearer ${key}` };
      const reads = instances.map((service) => readToken(service, headers, connector.id));
      return (await Promise.all(reads)).map((answer) => field(answer, 'currentAppUserConnection').__typename);
    };
    const works = ['CurrentAppUserConnection', 'CurrentAppUserConnection'];
    expect([await readWith(app.key), await readWith(next)]).toEqual([works, works]);

    const listed = await two.graphql(
      `query ($id: ID!) { app(id: $id) { keys(first: 1) { edges { node { id } } } } }`,
      { id: app.id },
      workspace.owner,
    );
    const { keys } = field<{ keys: { edges: { node: { id: string } }[] } }>(listed, 'app');
    const appKeyId = keys.edges[0]?.node.id ?? '';
    const revoked = await two.graphql(
      `mutation ($id: ID!) { revokeAppKey(input: { appKeyId: $id }) { ... on RevokeAppKeyPayload { revokedAppKeyId } } }`,
      { id: appKeyId },
      workspace.owner,
    );
    expect(field(revoked, 'revokeAppKey')).toEqual({ revokedAppKeyId: appKeyId });
    const refused = ['UnauthenticatedError', 'UnauthenticatedError'];
    expect([await readWith(app.key), await readWith(next)]).toEqual([refused, works]);
  });

  test('34. of three instances that are asked at once, one asks the provider, and all answer the same token', async () => {
    const instances = await startInstances(3);
    const scene = await setScene(instances[0]!);
    await connectUser(scene, 'one');
    for (let round = 1; round <= 3; round += 1) {
      scene.service.clock.advance(expiredMs);
      const reads = instances.flatMap((service) =>
        Array.from({ length: 30 }, () => tokenOf({ ...scene, service }, 'one')),
      );
      expect(new Set(await Promise.all(reads)).size).toBe(1);
      expect(scene.provider.counts.refresh_token).toBe(round);
    }
  });

  test('39. without Redis calls go on; when it is back, every stream tells the present state', async () => {
    const redis = await startRedisProxy();
    const [one, two] = (await startInstances(2, { REDIS_URL: redis.url })) as [Service, Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    const [near, far] = [await watch(scene, one, 'one'), await watch(scene, two, 'one')];
    expect([await near.next(), await far.next()]).toMatchObject([{ status: 'CONNECTED' }, { status: 'CONNECTED' }]);
    await expect.poll(() => readiness(two), eventually).toMatchObject({ status: 200, body: { redis: 'ok' } });

    await redis.cut();
    await expect
      .poll(() => readiness(two), eventually)
      .toEqual({ status: 503, body: { status: 'unavailable', database: 'ok', redis: 'unavailable' } });
    await connectUser(scene, 'two');
    expect(await tokenOf({ ...scene, service: two }, 'two')).toBe(await tokenOf(scene, 'two'));
    await editConnector(scene, { scopes: [...scopes, 'calendar.write'] });
    const changed = { status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' };
    expect(await near.next()).toMatchObject(changed); // an instance's own readers need no Redis

    await redis.open();
    const heard = [];
    do heard.push(await far.next());
    while (heard.at(-1)?.status !== 'RECONNECT_REQUIRED');
    expect(heard.at(-1)).toMatchObject(changed);
    await expect.poll(() => readiness(one), eventually).toMatchObject({ status: 200 });

    // and changes are heard again
    await editConnector(scene, { scopes });
    while ((await far.next()).status !== 'CONNECTED');
  });

  test('39. a change that Redis never got is told of once it is back, also to an instance that could listen all the while', async () => {
    const ENCRYPTION_KEYS = newKey('a');
    const redis = await startRedisProxy();
    const [one] = (await startInstances(1, { ENCRYPTION_KEYS, REDIS_URL: redis.url })) as [Service];
    const [two] = (await startInstances(1, {
      ENCRYPTION_KEYS,
      DATABASE_URL: one.config.databaseUrl?.reveal() ?? '',
      PUBLIC_URL: one.config.publicUrl,
    })) as [Service];
    const scene = await setScene(one);
    const stream = await watch(scene, two, 'one');
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });

    await redis.cut();
    await connectUser(scene, 'one');
    await redis.open();
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
  });

  /** Takes the lease away from whoever holds it, as when it could not be renewed. */
  async function lapse({ config }: Service): Promise<void> {
    const sql = new pg.Client({ connectionString: config.databaseUrl?.reveal() });
    await sql.connect();
    await sql.query(`UPDATE credential SET "leaseUntil" = now() - interval '1 day' WHERE "leaseToken" IS NOT NULL`);
    await sql.end();
  }

  const works = async ({ provider }: Scene, accessToken: string) =>
    (await fetch(provider.eventsUrl, { headers: { authorization: `Bearer ${accessToken}` } })).ok;

  test('34. who loses the lease while the connection to the provider is being made sends nothing', async () => {
    const [atLookup, released] = [deferred(), deferred()];
    let holds = false;
    const lookup = async () => {
      if (holds) atLookup.resolve();
      if (holds) await released.promise;
      return ['127.0.0.1'];
    };
    const [one, two] = (await startInstances(2, {}, [{ lookup }])) as [Service, Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    one.clock.advance(expiredMs);
    holds = true;
    const late = readAs(scene, 'one');
    await atLookup.promise;
    await lapse(one);
    const token = await tokenOf({ ...scene, service: two }, 'one');
    // its next renewal tells it
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    released.resolve();
    expect((await late).accessToken).toBe(token);
    expect(scene.provider.counts.refresh_token).toBe(1);
    expect(await works(scene, token)).toBe(true);
  });

  test('35. tokens that arrive after another instance has shown the old refresh token are not called alive before the provider is asked', async () => {
    const [one, two] = (await startInstances(2)) as [Service, Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    one.clock.advance(expiredMs);
    const held = holdTokenRequest(scene.provider, 'answer');
    const late = readAs(scene, 'one');
    await held.reached;
    await lapse(one);
    // a provider that detects reuse ends the whole grant
    expect(await readAs({ ...scene, service: two }, 'one')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
    held.release();
    expect(await late).toMatchObject({ __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' });
    expect(await readAs({ ...scene, service: two }, 'one')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  });

  test('34. the instances share the clock of their database, whatever their machines say', async () => {
    const { db, close } = await openDatabase({ databaseUrl: new Secret(await ownPostgres()) });
    onTestFinished(close);
    onTestFinished(() => void vi.useRealTimers());
    const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    const clock = await createDatabaseClock(db);
    expect(Math.abs(clock.now().getTime() - (row?.now.getTime() ?? 0))).toBeLessThan(60_000);
  });
});
