import { randomUUID } from 'node:crypto';
import type { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { connectionId } from '../../src/connections/connection.ts';
import { tokenOwner } from '../../src/connections/grant.ts';
import { type Keyring, parseKeyring } from '../../src/crypto/keyring.ts';
import { seal } from '../../src/crypto/seal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey } from '../support/at-rest.ts';
import { auditOf, lineOf } from '../support/audit.ts';
import { takeDatabase } from '../support/database.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startService,
} from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import { connectionOf, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import {
  connectUser,
  eventually,
  expiredMs,
  failRevocations,
  readAs,
  type Scene,
  setPlan,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { connectSharedAs, keyOf, readShared, setSharedStage, sharedOf } from '../support/shared-account.ts';
import { addCustomConnector, startFlow, startServer } from '../support/stage.ts';
import { listen, openWebSocket } from '../support/streams.ts';
import { holdTokenRequest, watchTokens } from '../support/token-endpoint.ts';

interface Progress {
  total: number;
  pending: number;
  revoked: number;
  unsupported: number;
  gaveUp: number;
  skippedSharedGrant: number;
}

interface Revoked {
  code?: string;
  message?: string;
  fields?: { path: string }[];
  affectedUsers?: number;
  revokedConnections: number;
  connectors: { id: string; grantsRevokedAt: string; revocationProgress: Progress }[];
  notices: { path: string; message: string }[];
}

/** For a thousand revocations on a machine that does other things as well. */
const heavy = 300_000;

type Place = Pick<Scene, 'service' | 'workspace'>;

const progressFields = 'total pending revoked unsupported gaveUp skippedSharedGrant';

/** Presses the button; `input` says for what, and nothing: for the whole workspace. */
async function revokeAll(
  { service, workspace }: Place,
  input: Record<string, unknown> = {},
  headers: Record<string, string> = workspace.owner,
): Promise<Revoked & { __typename: string }> {
  const answer = await service.graphql(
    `mutation ($input: RevokeAllConnectionsInput!) { revokeAllConnections(input: $input) { __typename
      ... on RevokeAllConnectionsPayload { revokedConnections notices { path message }
        connectors { id grantsRevokedAt revocationProgress { ${progressFields} } } }
      ... on ConfirmationRequiredError { affectedUsers } ... on ValidationError { fields { path } }
      ... on UserError { code message } } }`,
    { input: { workspaceId: workspace.id, confirm: true, ...input } },
    headers,
  );
  return field<Revoked>(answer, 'revokeAllConnections');
}

async function progressOf(
  { service, workspace }: Place,
  connectorId: string,
  headers: Record<string, string> = workspace.owner,
): Promise<{ grantsRevokedAt: string | null; revocationProgress: Progress | null }> {
  const answer = await service.graphql(
    `query ($id: ID!) { connector(id: $id) { grantsRevokedAt revocationProgress { ${progressFields} } } }`,
    { id: connectorId },
    headers,
  );
  return field(answer, 'connector');
}

const finished = (revoked: number, others: Partial<Progress> = {}): Progress => ({
  total: revoked,
  pending: 0,
  revoked,
  unsupported: 0,
  gaveUp: 0,
  skippedSharedGrant: 0,
  ...others,
});

async function untilRevoked(scene: Place, connectorId: string, expected: Progress): Promise<void> {
  await expect
    .poll(async () => (await progressOf(scene, connectorId)).revocationProgress, eventually)
    .toEqual(expected);
}

const grantsAt = ({ provider }: Scene) => provider.grants().map(({ account }) => account.id);

const statusOf = async ({ service, app, connector }: Scene, userId: string) => {
  const { status, reconnectReason } = (await connectionOf(service, await app.user(userId), connector.id)) as Record<
    string,
    unknown
  >;
  return [status, reconnectReason];
};

const refused = { __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' };

/** A service whose worker does not come to what is revoked before it is let: until then the connections have their tokens. */
async function startHolding(env: Record<string, string> = {}, overrides: Overrides = {}) {
  const pglite = await takeDatabase(onTestFinished);
  const service = await startService({ DATA_DIR: 'memory://', ...env }, { pglite, ...overrides });
  await pglite.exec(`
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER hold BEFORE UPDATE ON outbox_item FOR EACH ROW WHEN (NEW.kind = 'REVOKE_ALL_GRANTS') EXECUTE FUNCTION hold()`);
  const release = async () => {
    await pglite.exec('DROP FUNCTION IF EXISTS hold CASCADE');
  };
  onTestFinished(release);
  return { service, release };
}

/** Lets due background work be looked at now: another workspace's connection wakes the worker. */
async function wakeWorker(service: Service): Promise<void> {
  await connectUser(await setScene(service), 'somebody');
}

test('T8. revoking all of a workspace refuses every token at once, asks everybody to reconnect, and revokes each grant', async () => {
  const { service, release } = await startHolding();
  const scene = await setScene(service);
  const { workspace, app, provider } = scene;
  const second = { ...scene, connector: await addTestConnector(service, workspace, provider) };
  const other = await setScene(service);
  await connectUser(scene, 'one', 'blue');
  await connectUser(scene, 'two', 'green');
  await connectUser(second, 'one', 'blue');
  await connectUser(other, 'one');
  const kept = await tokenOf(other, 'one');
  const { ws } = await listen(service);
  const stream = openWebSocket(ws, await app.user('one'), scene.connector.id);
  expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

  const answer = await revokeAll(scene);
  expect(answer).toMatchObject({ __typename: 'RevokeAllConnectionsPayload', revokedConnections: 3, notices: [] });
  expect(answer.connectors.map(({ id }) => id)).toEqual([scene.connector.id, second.connector.id]);
  expect(answer.connectors.map(({ revocationProgress }) => revocationProgress)).toEqual([
    finished(2, { pending: 2, revoked: 0 }),
    finished(1, { pending: 1, revoked: 0 }),
  ]);
  expect(await readAs(scene, 'one')).toMatchObject(refused);
  expect(await readAs(scene, 'two')).toMatchObject(refused);
  expect(await readAs(second, 'one')).toMatchObject(refused);
  expect(await readAs(scene, 'one', { acceptOutdatedScopes: true })).toMatchObject(refused);
  expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });

  await release();
  await wakeWorker(service);
  await untilRevoked(scene, scene.connector.id, finished(2));
  await untilRevoked(scene, second.connector.id, finished(1));
  expect(provider.grants()).toEqual([]);
  expect(await statusOf(scene, 'one')).toEqual(['RECONNECT_REQUIRED', 'ACCESS_REVOKED']);
  expect(await readAs(scene, 'one')).toMatchObject(refused);
  expect(await tokenOf(other, 'one')).toBe(kept);
  expect((await progressOf(other, other.connector.id)).grantsRevokedAt).toBeNull();

  // the connectors stay, and a new grant is a new one
  await connectUser(scene, 'one', 'blue');
  expect(await statusOf(scene, 'one')).toEqual(['CONNECTED', null]);
  expect(await tokenOf(scene, 'one')).toMatch(/./);
  expect(await readAs(scene, 'two')).toMatchObject(refused);
});

test('T8. it can be of one provider or of one connector, and asks for confirmation first', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, provider } = scene;
  const second = { ...scene, connector: await addTestConnector(service, workspace, provider) };
  await connectUser(scene, 'one', 'blue');
  await connectUser(second, 'two', 'green');

  expect(await revokeAll(scene, { confirm: false })).toMatchObject({ code: 'CONFIRMATION_REQUIRED', affectedUsers: 2 });
  expect(await revokeAll(scene, { providerKey: 'slack' })).toMatchObject({ revokedConnections: 0, connectors: [] });
  for (const user of ['one', 'two']) expect(await tokenOf(user === 'one' ? scene : second, user)).toMatch(/./);

  const ofOne = await revokeAll(scene, { connectorId: second.connector.id });
  expect(ofOne).toMatchObject({ revokedConnections: 1, connectors: [{ id: second.connector.id }] });
  expect(await readAs(second, 'two')).toMatchObject(refused);
  expect(await tokenOf(scene, 'one')).toMatch(/./);
  await untilRevoked(scene, second.connector.id, finished(1));

  expect(await revokeAll(scene, { providerKey: ' Custom ' })).toMatchObject({ revokedConnections: 1 });
  expect(await readAs(scene, 'one')).toMatchObject(refused);
  await untilRevoked(scene, scene.connector.id, finished(1));
  const rows = (await auditOf(service, workspace, { first: 100, filter: { acts: ['CONNECTIONS_REVOKED'] } })).rows;
  const told = rows.map((row) => `${row.connectorId} ${lineOf(row).replace(/key:\S+/, 'key')}`);
  const line = (scope: Scene, of: string, connections: number) =>
    `${scope.connector.id} CONNECTIONS_REVOKED OK MEMBER key connections=${connections} of=${of} provider=custom`;
  expect(told.sort()).toEqual(
    [line(second, 'connector', 1), line(scene, 'provider', 1), line(second, 'provider', 0)].sort(),
  );
});

test('T8. it is for admins of the workspace, names what is wrong, and works on every plan', async () => {
  const scene = await setScene(await startService());
  const other = await setScene(scene.service);
  await connectUser(scene, 'one');
  const by = async (role: string) => (await keyOf(scene, role)).headers;
  expect(await revokeAll(scene, {}, await by('EDITOR'))).toMatchObject({ code: 'FORBIDDEN' });
  expect(await revokeAll(scene, {}, other.workspace.owner)).toMatchObject({ code: 'NOT_FOUND' });
  expect(await revokeAll(scene, { connectorId: other.connector.id })).toMatchObject({ code: 'NOT_FOUND' });
  for (const connectorId of [`Connector_${randomUUID()}`, '', 'nothing']) {
    expect(await revokeAll(scene, { connectorId })).toMatchObject({ code: 'NOT_FOUND' });
  }
  for (const providerKey of ['nothing', '', 'x'.repeat(1_000)]) {
    expect(await revokeAll(scene, { providerKey })).toMatchObject({ fields: [{ path: 'input.providerKey' }] });
  }
  const both = { providerKey: 'custom', connectorId: scene.connector.id };
  expect(await revokeAll(scene, both)).toMatchObject({ fields: [{ path: 'input.connectorId' }] });
  expect(await tokenOf(scene, 'one')).toMatch(/./);
  expect(await progressOf(scene, scene.connector.id)).toEqual({ grantsRevokedAt: null, revocationProgress: null });

  await setPlan(scene, 'FREE');
  expect(await revokeAll(scene, {}, await by('ADMIN'))).toMatchObject({ revokedConnections: 1 });
  await untilRevoked(scene, scene.connector.id, finished(1));
  // how far it has come is for members
  const user = await progressOf(scene, scene.connector.id, await scene.app.user('one')).catch(() => null);
  expect(user?.revocationProgress ?? null).toBeNull();
  await setPlan(scene, 'BUILDER');
  expect(await progressOf(scene, scene.connector.id, await scene.app.user('one'))).toEqual({
    grantsRevokedAt: null,
    revocationProgress: null,
  });
  expect(await readAs(scene, 'one')).toMatchObject(refused);
});

test('T8. pressed twice, it revokes nothing twice; pressed again later, it revokes what was connected since', async () => {
  const scene = await setScene(await startService());
  for (const user of ['one', 'two']) await connectUser(scene, user);
  const outage = failRevocations(scene);
  expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 2 });
  expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 0 });
  await expect.poll(outage.count, eventually).toBe(2);
  expect((await progressOf(scene, scene.connector.id)).revocationProgress).toEqual(
    finished(2, { pending: 2, revoked: 0 }), // what the first has left to do is not forgotten
  );
  outage.stop();
  scene.service.clock.advance(60_000);
  await wakeWorker(scene.service);
  await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
  expect(scene.provider.counts.revocation).toBe(2);

  await connectUser(scene, 'one');
  expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 1 });
  await untilRevoked(scene, scene.connector.id, finished(1));
  expect(scene.provider.counts.revocation).toBe(3);
});

test('T8. lists count what was revoked as to be reconnected, before and after its tokens are gone', async () => {
  const { service, release } = await startHolding();
  const scene = await setScene(service);
  for (const user of ['one', 'two']) await connectUser(scene, user);
  const list = async (status: string) => {
    const answer = await service.graphql(
      'query ($id: ID!, $status: ConnectionStatus) { connector(id: $id) { connections(filter: { status: $status }) { edges { node { status } } } } }',
      { id: scene.connector.id, status },
      scene.workspace.owner,
    );
    return field<{ connections: { edges: unknown[] } }>(answer, 'connector').connections.edges.length;
  };
  const counts = async () => [await list('CONNECTED'), await list('RECONNECT_REQUIRED'), await list('NOT_CONNECTED')];
  expect(await counts()).toEqual([2, 0, 0]);
  await revokeAll(scene);
  expect(await counts()).toEqual([0, 2, 0]);
  await release();
  await wakeWorker(service);
  await untilRevoked(scene, scene.connector.id, finished(2));
  expect(await counts()).toEqual([0, 2, 0]);
  await connectUser(scene, 'one');
  expect(await counts()).toEqual([1, 1, 0]);
});

test('T8. an account that an app shares is revoked as well, and whoever may connect it can put another in its place', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  expect((await readShared(stage)).accessToken).toMatch(/./);
  expect(await revokeAll(stage)).toMatchObject({ revokedConnections: 1 });
  expect(await readShared(stage)).toMatchObject(refused);
  await untilRevoked(stage, stage.connector.id, finished(1));
  const anna = await stage.member('anna');
  expect(await sharedOf(stage, anna)).toMatchObject({
    status: 'RECONNECT_REQUIRED',
    reconnectReason: 'ACCESS_REVOKED',
  });
  await connectSharedAs(stage, 'anna');
  expect((await readShared(stage)).accessToken).toMatch(/./);
});

describe('T8. a refresh', () => {
  test('of revoked tokens does not begin', async () => {
    const { service } = await startHolding({}, { sweepMs: 50 });
    const scene = await setScene(service);
    await connectUser(scene, 'one');
    await revokeAll(scene);
    service.clock.advance(expiredMs);
    expect(await readAs(scene, 'one')).toMatchObject(refused);
    // once another's idle grant is kept alive, the sweep has passed this one
    const marker = await setScene(service);
    await connectUser(marker, 'one');
    service.clock.advance(4 * 86_400_000);
    await expect.poll(() => marker.provider.counts.refresh_token, eventually).toBeGreaterThan(0);
    expect(scene.provider.counts.refresh_token).toBe(0);
  });

  test.each(['request', 'answer'] as const)(
    'that is under way, its %s held, brings tokens that nobody gets, and that are revoked',
    async (held) => {
      const scene = await setScene(await startService());
      await connectUser(scene, 'one');
      const passed = watchTokens(scene.provider);
      scene.service.clock.advance(expiredMs);
      const { reached, release } = holdTokenRequest(scene.provider, held);
      const reading = readAs(scene, 'one');
      await reached;
      await revokeAll(scene);
      await untilRevoked(scene, scene.connector.id, finished(1));
      release();
      expect(await reading).toMatchObject(refused);
      await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
      for (const accessToken of passed.accessTokens) {
        const { status } = await fetch(scene.provider.eventsUrl, {
          headers: { authorization: `Bearer ${accessToken}` },
        });
        expect(status).toBe(401);
      }
      expect(await readAs(scene, 'one')).toMatchObject(refused);
      expect(await statusOf(scene, 'one')).toEqual(['RECONNECT_REQUIRED', 'ACCESS_REVOKED']);
    },
  );
});

test('T8. a flow whose code was being exchanged connects nobody, and what it was granted is revoked', async () => {
  const scene = await setScene(await startService());
  const { reached, release } = holdTokenRequest(scene.provider, 'answer');
  const connecting = connectUser(scene, 'one');
  await reached;
  expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 0 });
  release();
  await expect(connecting).rejects.toThrow('FLOW_EXPIRED');
  await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
  expect(await statusOf(scene, 'one')).toEqual(['NOT_CONNECTED', null]);
  await connectUser(scene, 'one');
  expect(await tokenOf(scene, 'one')).toMatch(/./);
});

test('T8. a flow that comes back afterwards makes a new grant, which is left alone; the old one is revoked all the same', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector, provider } = scene;
  await connectUser(scene, 'one', 'blue');
  const outage = failRevocations(scene);
  const started = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(started.redirectUrl, { account: 'green' });
  await revokeAll(scene);
  await expect.poll(outage.count, eventually).toBe(1);
  expect(returnOf(await started.browser.open(service, back)).params).toMatchObject({ connection_status: 'connected' });
  outage.stop();
  service.clock.advance(60_000);
  await wakeWorker(service);
  await untilRevoked(scene, connector.id, finished(1));
  expect(grantsAt(scene)).toEqual(['green']);
  expect(await statusOf(scene, 'one')).toEqual(['CONNECTED', null]);
  expect(provider.counts.revocation).toBe(1);
});

/** A second connector of the same client: their grants of one account are one at the provider. */
async function addTwin(scene: Scene): Promise<Scene> {
  const { service, workspace, app, provider, connector } = scene;
  const { clientId, clientSecret } = connector;
  const custom = { discovery: { issuer: provider.issuer } };
  const id = await addCustomConnector(service, workspace, {
    clientId,
    clientSecret,
    scopes: ['openid', 'email'],
    custom,
  });
  provider.allowRedirectUris([`${app.origin}/api/external-auth/callback/${id}`], clientId);
  return { ...scene, connector: { ...connector, id } };
}

test('T8. a grant that a connector outside of what is revoked stands on is skipped, and says so', async () => {
  const scene = await setScene(await startService());
  const { connector } = scene;
  const twin = await addTwin(scene);
  await connectUser(scene, 'one');
  await connectUser(twin, 'one');
  await revokeAll(scene, { connectorId: connector.id });
  await untilRevoked(scene, connector.id, finished(0, { total: 1, skippedSharedGrant: 1 }));
  expect(await readAs(scene, 'one')).toMatchObject(refused);
  expect(await tokenOf(twin, 'one')).toMatch(/./);

  await revokeAll(scene, { providerKey: 'custom' });
  await untilRevoked(scene, twin.connector.id, finished(1));
  await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
});

/** A provider of the test's own that grants at once, and counts what it is told to revoke. */
async function startCountingProvider(revokes: boolean) {
  const granted = new Set<string>();
  const revoked: string[] = [];
  const server = await startServer((request, response, url) => {
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const body = new URLSearchParams(text);
      const say = (status: number, answer: object) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      if (url.pathname === '/token') {
        const refreshToken = `refresh-${randomUUID()}`;
        granted.add(refreshToken);
        say(200, { access_token: randomUUID(), refresh_token: refreshToken, token_type: 'Bearer', expires_in: 3600 });
      } else {
        revoked.push(body.get('token') ?? '');
        say(200, {});
      }
    })();
  });
  const { origin } = server;
  const endpoints = {
    authorizationUrl: `${origin}/authorize`,
    tokenUrl: `${origin}/token`,
    ...(revokes && { revocationUrl: `${origin}/revoke` }),
  };
  return {
    custom: { endpoints },
    granted,
    revoked,
    paths: server.paths,
  };
}

/** The whole flow of one person; the provider has said yes. */
async function grant(
  { service, app, connector }: Pick<Scene, 'service' | 'app'> & { connector: { id: string } },
  userId: string,
) {
  const { state, browser, redirectUrl } = await startFlow(service, await app.browser(userId), connector.id);
  const back = new URL(new URL(redirectUrl).searchParams.get('redirect_uri') ?? '');
  back.searchParams.set('state', state);
  back.searchParams.set('code', randomUUID());
  expect(returnOf(await browser.open(service, back.href)).params).toMatchObject({ connection_status: 'connected' });
}

/** A connector at such a provider, in a workspace and an app of its own. */
async function setCounting(service: Service, revokes = true) {
  const provider = await startCountingProvider(revokes);
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const id = await addCustomConnector(service, workspace, { name: 'Counting', custom: provider.custom });
  return { service, workspace, app, provider, connector: { id } };
}

test('T8. where a provider has no way to take a grant back, the receipts say so, and the admin is told what to do there', async () => {
  const scene = await setCounting(await startService(), false);
  await grant(scene, 'one');
  const { notices } = await revokeAll(scene);
  expect(notices).toEqual([
    { path: 'input', message: expect.stringMatching(/^Counting: .*[Rr]otate the client secret/) },
  ]);
  await untilRevoked(scene, scene.connector.id, finished(0, { total: 1, unsupported: 1 }));
  expect(await readAs(scene, 'one')).toMatchObject(refused);
  expect(scene.provider.paths).toEqual(['/token']);
  expect((await revokeAll(scene)).notices).toEqual([]); // nothing was left to be revoked
});

/** Puts further connections beside the one that is there, each with tokens of its own. Answers their refresh tokens. */
async function addConnections(pglite: PGlite, keyring: Keyring, userIds: string[]): Promise<string[]> {
  const { rows } = await pglite.query<{ connectorId: string; appId: string }>('SELECT * FROM connection');
  const [{ connectorId, appId } = { connectorId: '', appId: '' }] = rows;
  const copies = userIds.map((userId) => {
    const id = connectionId(connectorId, appId, userId);
    const refreshToken = `refresh-${randomUUID()}`;
    const tokens = {
      accessTokenSealed: seal(keyring, tokenOwner(id, 'accessToken'), new Secret(randomUUID())),
      refreshTokenSealed: seal(keyring, tokenOwner(id, 'refreshToken'), new Secret(refreshToken)),
    };
    return { connection: { id, userId }, credential: { connectionId: id, ...tokens }, refreshToken };
  });
  for (const table of ['connection', 'credential'] as const) {
    await pglite.query(
      `INSERT INTO ${table} SELECT (json_populate_record(first, copy)).* FROM ${table} first, json_array_elements($1::json) copy`,
      [JSON.stringify(copies.map((copy) => copy[table]))],
    );
  }
  return copies.map(({ refreshToken }) => refreshToken);
}

test(
  'T8. the drill: a thousand connections are refused at once, and each is revoked once, although the service is stopped in the middle',
  async () => {
    const pglite = await takeDatabase(onTestFinished);
    const env = { ENCRYPTION_KEYS: newKey('a'), DATA_DIR: 'memory://' };
    const first = await startService(env, { pglite });
    const scene = await setCounting(first);
    const { connector, provider } = scene;
    await grant(scene, 'user-0');
    const others = Array.from({ length: 999 }, (_value, index) => `user-${index + 1}`);
    const refreshTokens = await addConnections(pglite, parseKeyring(env.ENCRYPTION_KEYS), others);
    for (const user of ['user-0', 'user-999']) expect(await readAs(scene, user)).toHaveProperty('accessToken');

    expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 1_000 });
    for (const user of ['user-0', 'user-500', 'user-999']) expect(await readAs(scene, user)).toMatchObject(refused);
    await expect.poll(() => provider.revoked.length, { ...eventually, interval: 1 }).toBeGreaterThan(0);
    await first.app.stop();
    expect(provider.revoked.length).toBeLessThan(1_000);

    const again = { ...scene, service: await startService({ ...env, PUBLIC_URL: first.config.publicUrl }, { pglite }) };
    for (const user of ['user-0', 'user-999']) expect(await readAs(again, user)).toMatchObject(refused);
    const progress = async () => (await progressOf(again, connector.id)).revocationProgress;
    await expect.poll(progress, { timeout: heavy }).toEqual(finished(1_000));
    expect([...provider.revoked].sort()).toEqual([...provider.granted, ...refreshTokens].sort());
    const receipts = await pglite.query(
      `SELECT "connectionId" FROM outbox_item WHERE kind = 'REVOKE_GRANT' AND receipt = 'REVOKED' GROUP BY 1 HAVING count(*) = 1`,
    );
    expect(receipts.rows).toHaveLength(1_000);
    const left = await pglite.query('SELECT * FROM credential');
    expect(left.rows).toEqual([]);
  },
  heavy,
);

describe.skipIf(!servicesAreThere)('T8. on PostgreSQL', () => {
  async function databaseOf(service: Service): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: service.config.databaseUrl?.reveal() });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  }

  test('what is revoked on one is refused on the other by the next read, and its open pages are told', async () => {
    const [one, two] = (await startInstances(2)) as [Service, Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    const elsewhere = { ...scene, service: two };
    expect(await tokenOf(elsewhere, 'one')).toMatch(/./);
    const { ws } = await listen(two);
    const stream = openWebSocket(ws, await scene.app.user('one'), scene.connector.id);
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

    await revokeAll(scene);
    expect(await readAs(elsewhere, 'one')).toMatchObject(refused);
    expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });
    await untilRevoked(elsewhere, scene.connector.id, finished(1));
    expect(scene.provider.counts.revocation).toBe(1);
  });

  test('a connection that was stored by an instance whose clock is ahead is revoked as well', async () => {
    const [one] = (await startInstances(1)) as [Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    const client = await databaseOf(one);
    await client.query(`UPDATE connection SET "connectedAt" = "connectedAt" + interval '1 minute'`);
    expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 1 });
    expect(await readAs(scene, 'one')).toMatchObject(refused);
    await untilRevoked(scene, scene.connector.id, finished(1));
  });

  test('who reconnects before the worker has come to them keeps the new grant, and the receipt of the old one says so', async () => {
    const [one] = (await startInstances(1)) as [Service];
    const scene = await setScene(one);
    for (const user of ['one', 'two']) await connectUser(scene, user, user === 'one' ? 'blue' : 'green');
    const client = await databaseOf(one);
    await client.query(`SELECT pg_advisory_lock(42);
      CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
      CREATE TRIGGER hold BEFORE UPDATE ON outbox_item FOR EACH ROW WHEN (NEW.kind = 'REVOKE_ALL_GRANTS') EXECUTE FUNCTION hold()`);
    await revokeAll(scene);
    await connectUser(scene, 'one', 'blue');
    const token = await tokenOf(scene, 'one');
    await client.query('SELECT pg_advisory_unlock(42)');
    await untilRevoked(scene, scene.connector.id, finished(1, { total: 2, skippedSharedGrant: 1 }));
    expect(await tokenOf(scene, 'one')).toBe(token);
    expect(await readAs(scene, 'two')).toMatchObject(refused);

    expect(await revokeAll(scene)).toMatchObject({ revokedConnections: 1 }); // as the guide says
    await expect.poll(() => grantsAt(scene), eventually).toEqual([]);
  });

  test('a grant is not left alone for the sake of another that is revoked and waits for its turn', async () => {
    const [one, two] = (await startInstances(2)) as [Service, Service];
    const scene = await setScene(one);
    const twin = await addTwin(scene);
    await connectUser(scene, 'one');
    await connectUser(twin, 'two');
    const client = await databaseOf(one);
    await client.query(`BEGIN; SELECT id FROM connection WHERE "userId" = 'two' FOR UPDATE`); // the worker cannot take its tokens
    await revokeAll(scene, { connectorId: twin.connector.id });
    await revokeAll({ ...scene, service: two }, { connectorId: scene.connector.id });
    await untilRevoked(scene, scene.connector.id, finished(1));
    expect((await progressOf(scene, twin.connector.id)).revocationProgress).toMatchObject({ total: 1, pending: 1 });
    await client.query('COMMIT');
    await untilRevoked(scene, twin.connector.id, finished(1));
  });
});
