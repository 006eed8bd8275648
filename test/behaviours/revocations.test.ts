import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { field, type Service, startService } from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import { disconnectAppUser } from '../support/journey.ts';
import {
  connectUser,
  deleteConnector,
  eventually,
  expiredMs,
  readAs,
  type Scene,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

interface Deleted {
  id: string;
  name: string;
  progress: Record<string, number>;
  revocations: {
    edges: { node: { connectionId: string; receipt: string | null; attempts: number; doneAt: string } }[];
  };
}

async function deletedConnectors({ service, workspace }: Scene, headers = workspace.owner): Promise<Deleted[]> {
  const answer = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { deletedConnectors { edges { node { id name deletedAt kind provider { key }
      progress { total pending revoked unsupported gaveUp skippedSharedGrant }
      revocations(first: 100) { edges { node { connectionId receipt attempts nextAttemptAt doneAt } } } } } } } }`,
    { id: workspace.id },
    headers,
  );
  const found = field<{ deletedConnectors: { edges: { node: Deleted }[] } }>(answer, 'workspace');
  return found.deletedConnectors.edges.map(({ node }) => node);
}

test('16. a deleted connector shows how far the revocation of its grants has come, with one receipt each', async () => {
  const scene = await setScene(await startService());
  const users = ['one', 'two', 'three'];
  for (const user of users) await connectUser(scene, user);
  const connections = await Promise.all(users.map(async (user) => (await readAs(scene, user)).connection.id));
  expect(await deletedConnectors(scene)).toEqual([]);

  let isDown = true;
  scene.provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation' || !isDown) return next();
    ctx.status = 503;
  });
  await deleteConnector(scene);
  const [pending] = await deletedConnectors(scene);
  expect(pending).toMatchObject({ name: 'Calendar', progress: { total: 3, pending: 3, revoked: 0 } });
  await expect
    .poll(
      async () => (await deletedConnectors(scene))[0]?.revocations.edges.map(({ node }) => node.attempts),
      eventually,
    )
    .toEqual([1, 1, 1]);

  isDown = false;
  scene.service.clock.advance(60_000);
  await connectUser(await setScene(scene.service), 'somebody'); // wakes the worker
  await expect
    .poll(async () => (await deletedConnectors(scene))[0]?.progress, eventually)
    .toEqual({ total: 3, pending: 0, revoked: 3, unsupported: 0, gaveUp: 0, skippedSharedGrant: 0 });
  const [done] = await deletedConnectors(scene);
  const receipts = done!.revocations.edges.map(({ node }) => node);
  expect(receipts.map(({ connectionId }) => connectionId).sort()).toEqual(connections.sort());
  expect(receipts.map(({ receipt }) => receipt)).toEqual(['REVOKED', 'REVOKED', 'REVOKED']);
  expect(scene.provider.grants()).toEqual([]);
});

test('6. what became of a deleted connector is for members of its workspace', async () => {
  const scene = await setScene(await startService());
  const other = await setScene(scene.service);
  await connectUser(scene, 'one');
  await deleteConnector(scene);
  await expect.poll(async () => (await deletedConnectors(scene))[0]?.progress['pending'], eventually).toBe(0);
  const [{ id } = { id: '' }] = await deletedConnectors(scene);
  const node = async (headers: Record<string, string>) =>
    (await scene.service.graphql('query ($id: ID!) { node(id: $id) { __typename } }', { id }, headers)).data;
  expect(await node(scene.workspace.owner)).toEqual({ node: { __typename: 'DeletedConnector' } });
  expect(await node(other.workspace.owner)).toEqual({ node: null });
  expect(await node(await scene.app.user('one'))).toEqual({ node: null });
  const foreign = await scene.service.graphql(
    'query ($id: ID!) { workspace(id: $id) { deletedConnectors { edges { node { id } } } } }',
    { id: scene.workspace.id },
    other.workspace.owner,
  );
  expect(foreign.data).toEqual({ workspace: null });
});

// The provider of these tests revokes one grant at a time, but the service cannot know: it takes a grant for the account's.

/** Whose grants live at the provider, by account. */
const grantsAt = ({ provider }: Scene) => provider.grants().map(({ account }) => account.id);

async function disconnectUser({ service, app, connector }: Scene, userId: string): Promise<void> {
  const answer = await disconnectAppUser(service, await app.user(userId), connector.id);
  expect(field(answer, 'disconnectAppUser').__typename).toBe('DisconnectAppUserPayload');
}

/** Waits until whatever was due has had its turn: revocations are done in batches, in order, and another two have been since. */
async function letWorkerPass(scene: Scene, by: 'blue' | 'green' = 'green'): Promise<void> {
  for (const user of ['passing', 'passing by']) {
    await connectUser(scene, user, by);
    await disconnectUser(scene, user);
    await expect.poll(() => grantsAt(scene), eventually).not.toContain(by);
  }
}

test('42. a grant that was left alone for the sake of another is revoked when the last one on its account ends', async () => {
  const scene = await setScene(await startService());
  for (const user of ['one', 'two', 'three']) await connectUser(scene, user);
  await disconnectUser(scene, 'one');
  await letWorkerPass(scene);
  await disconnectUser(scene, 'two');
  await letWorkerPass(scene);
  expect(grantsAt(scene)).toEqual(['blue', 'blue', 'blue']);
  expect(await tokenOf(scene, 'three')).toMatch(/./);
  await disconnectUser(scene, 'three');
  await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
});

test('42. reconnecting to another account, or a refusal by the provider, ends the wait as well', async () => {
  const scene = await setScene(await startService());
  for (const user of ['one', 'two']) await connectUser(scene, user);
  await disconnectUser(scene, 'one');
  await letWorkerPass(scene);
  expect(grantsAt(scene)).toEqual(['blue', 'blue']);
  await connectUser(scene, 'two', 'green');
  await expect.poll(() => grantsAt(scene), eventually).toEqual(['green']);

  await connectUser(scene, 'one', 'green');
  await disconnectUser(scene, 'one');
  await letWorkerPass(scene, 'blue');
  expect(grantsAt(scene)).toEqual(['green', 'green']);
  const { stop } = answerTokenRequests(scene.provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  scene.service.clock.advance(expiredMs);
  expect(await readAs(scene, 'two')).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  stop();
  await expect.poll(() => grantsAt(scene), eventually).toEqual(['green']);
});

describe.skipIf(!servicesAreThere)('on PostgreSQL', () => {
  async function databaseOf(service: Service): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: service.config.databaseUrl?.reveal() });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  }

  test('16. a grant that is skipped has that receipt until the other one has ended, and then its own', async () => {
    const [service] = (await startInstances(1)) as [Service];
    const scene = await setScene(service);
    for (const user of ['one', 'two']) await connectUser(scene, user);
    await disconnectUser(scene, 'one');
    await letWorkerPass(scene);
    const client = await databaseOf(service);
    await client.query(`BEGIN; SELECT id FROM connection WHERE "userId" = 'two' FOR UPDATE`); // the deletion cannot end it
    await deleteConnector(scene);
    const [deleted] = await deletedConnectors(scene);
    expect(deleted?.progress).toMatchObject({ total: 4, pending: 1, revoked: 2, skippedSharedGrant: 1 });
    const skipped = deleted?.revocations.edges.find(({ node }) => node.receipt === 'SKIPPED_SHARED_GRANT');
    expect(skipped?.node).toMatchObject({ attempts: 0, nextAttemptAt: null, doneAt: null });
    await client.query('COMMIT');
    await expect
      .poll(async () => (await deletedConnectors(scene))[0]?.progress, eventually)
      .toEqual({ total: 4, pending: 0, revoked: 4, unsupported: 0, gaveUp: 0, skippedSharedGrant: 0 });
    expect(grantsAt(scene)).toEqual([]);
  });

  test('42. a grant is not left alone for the sake of one that ends at the same time', async () => {
    const [service] = (await startInstances(1)) as [Service];
    const scene = await setScene(service);
    for (const user of ['one', 'two']) await connectUser(scene, user);
    // the worker cannot decide about the first before the second is about to end
    const stop = scene.provider.around(async (ctx, next) => {
      if (!ctx.path.startsWith('/.well-known/')) return next();
      ctx.status = 503;
    });
    service.clock.advance(11 * 60_000); // what was discovered is forgotten
    await disconnectUser(scene, 'one');
    await expect.poll(() => service.logs.join('\n'), eventually).toContain('a revocation failed');
    stop();

    const client = await databaseOf(service);
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM connection WHERE "userId" = 'two'`);
    // the end of the second has released what waits for it, and cannot commit
    await client.query(`SELECT pg_advisory_lock(42);
      CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
      CREATE TRIGGER hold BEFORE INSERT ON outbox_item FOR EACH ROW WHEN (NEW."connectionId" = '${rows[0]!.id}') EXECUTE FUNCTION hold()`);
    const waiting = async () => {
      const locks = await client.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`,
      );
      return locks.rows.length;
    };
    const ending = disconnectUser(scene, 'two');
    await expect.poll(waiting, eventually).toBe(1);
    service.clock.advance(60_000);
    await expect.poll(waiting, eventually).toBe(2);
    await client.query('SELECT pg_advisory_unlock(42)');
    await ending;
    await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
  });
});

test('42. a grant that another connector of the same client stands on is not revoked under it', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, provider, connector } = scene;
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { ... on AddConnectorPayload { connector { id redirectUris { uri } } } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        name: 'The same client again',
        clientId: connector.clientId,
        clientSecret: connector.clientSecret,
        scopes: ['openid', 'email'],
        custom: { discovery: { issuer: provider.issuer } },
      },
    },
    workspace.owner,
  );
  const twin = field<{ connector: { id: string; redirectUris: { uri: string }[] } }>(added, 'addConnector').connector;
  provider.allowRedirectUris(
    twin.redirectUris.map(({ uri }) => uri),
    connector.clientId,
  );
  await connectUser(scene, 'one', 'blue');
  await connectUser({ ...scene, connector: { ...scene.connector, id: twin.id } }, 'one', 'blue');
  await connectUser(scene, 'marker', 'green');
  await disconnectAppUser(service, await scene.app.user('one'), connector.id);
  await disconnectAppUser(service, await scene.app.user('marker'), connector.id);
  await expect.poll(() => provider.grants().some(({ account }) => account.id === 'green'), eventually).toBe(false);
  expect(provider.counts.revocation).toBe(1); // the one before the marker's has been looked at, too
  await disconnectAppUser(service, await scene.app.user('one'), twin.id);
  await expect.poll(() => provider.counts.revocation, eventually).toBe(3);
});
