import { expect, test } from 'vitest';
import { readConnectionConfig } from '../../src/connectors/connector.ts';
import { parseUrl } from '../../src/lib/parse-url.ts';
import { findProvider } from '../../src/providers/catalogue.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startProvider,
  startService,
  type TestApp,
  type TestConnector,
  type TestWorkspace,
} from '../support/harness.ts';
import { connect, connectAppUser, connectByCookie, connectionOf, readToken, returnOf } from '../support/journey.ts';
import type { CalendarProvider } from '../support/local-provider.ts';
import { recordSql } from '../support/sql-log.ts';

interface ConnectorAnswer {
  __typename: string;
  code?: string;
  connector: {
    id: string;
    name: string;
    clientId: string | null;
    hasClientSecret: boolean;
    scopes: string[];
    kind: string;
    provider: { key: string };
  };
  notices: { path: string; message: string }[];
  fields: { path: string; message: string }[];
}

const connectorFields = 'id name clientId hasClientSecret scopes kind provider { key } connectionConfig { name value }';

async function change(
  service: Service,
  name: 'addConnector' | 'editConnector',
  workspace: TestWorkspace,
  input: object,
) {
  const type = name === 'addConnector' ? 'AddConnector' : 'EditConnector';
  const answer = await service.graphql(
    `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename
       ... on ${type}Payload { connector { ${connectorFields} } notices { path message } }
       ... on UserError { code message } ... on ValidationError { fields { path message } } } }`,
    { input },
    workspace.owner,
  );
  return field<ConnectorAnswer>(answer, name);
}

const github = (workspace: TestWorkspace, more: object = {}) => ({
  workspaceId: workspace.id,
  providerKey: 'github',
  name: 'Code',
  clientId: 'id',
  clientSecret: 'a-secret-that-is-kept',
  scopes: ['repo'],
  ...more,
});

interface Set {
  service: Service;
  workspace: TestWorkspace;
  app: TestApp;
  provider: CalendarProvider;
  connector: TestConnector;
}

/** On the embedded database, where statements are counted. */
const embedded = { DATA_DIR: 'memory://' };

/** A service with one app and one connector at a real provider, whose access tokens live 300 s. */
async function set(env: Record<string, string> = {}): Promise<Set> {
  const service = await startService(env);
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const provider = await startProvider({ accessTokenSeconds: 300, now: () => service.clock.now() });
  const connector = await addTestConnector(service, workspace, provider);
  return { service, workspace, app, provider, connector };
}

const token = async ({ service, app, connector }: Set, user = 'one') =>
  field<{ __typename: string; accessToken?: string; reconnectReason?: string }>(
    await readToken(service, await app.backend(user), connector.id),
    'currentAppUserConnection',
  );

const statusOf = async ({ service, app, connector }: Set, user = 'one') => {
  const seen = await connectionOf(service, await app.user(user), connector.id);
  const { status, reconnectReason } = seen as { status: string; reconnectReason: string | null };
  return reconnectReason === null ? status : `${status} ${reconnectReason}`;
};

test('7. a connector has a provider of the catalogue or a custom one, a name, a client and scopes; its secret is written and never read back', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const added = await change(service, 'addConnector', workspace, github(workspace));
  expect(added.connector).toEqual({
    id: expect.stringMatching(/^Connector_/),
    name: 'Code',
    clientId: 'id',
    hasClientSecret: true,
    scopes: ['repo'],
    kind: 'APP_USER',
    provider: { key: 'github' },
    connectionConfig: [],
  });
  const custom = {
    endpoints: { authorizationUrl: 'https://p.example.com/authorize', tokenUrl: 'https://p.example.com/token' },
  };
  const own = await change(service, 'addConnector', workspace, github(workspace, { providerKey: 'custom', custom }));
  expect(own.connector.provider).toEqual({ key: 'custom' });

  const user = await app.user('one');
  const started = await connectAppUser(service, user, { connectorId: added.connector.id });
  await service.graphql('{ availableConnectors { id name clientId } }', {}, user);
  const everything = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { connectors { edges { node { ${connectorFields} } } } } }`,
    { id: workspace.id },
    workspace.owner,
  );
  const said = JSON.stringify([added, own, started.data, everything.data, service.logs]);
  for (const form of ['a-secret-that-is-kept', Buffer.from('a-secret-that-is-kept').toString('base64')]) {
    expect(said).not.toContain(form);
  }
});

test('7. a connector without a client is a draft: its redirect URIs can be read, connecting answers ConnectorIncompleteError until it is completed', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const draft = await change(
    service,
    'addConnector',
    workspace,
    github(workspace, { clientId: null, clientSecret: null }),
  );
  expect(draft.connector).toMatchObject({ clientId: null, hasClientSecret: false });
  const { id } = draft.connector;
  const uris = await service.graphql(
    'query ($id: ID!) { connector(id: $id) { redirectUris { uri } } }',
    { id },
    workspace.owner,
  );
  expect(JSON.stringify(uris.data)).toContain(`${app.origin}/api/external-auth/callback`);
  const user = await app.user('one');
  const start = async () =>
    field(await connectAppUser(service, user, { connectorId: id }), 'connectAppUser').__typename;
  expect(await start()).toBe('ConnectorIncompleteError');
  expect(await connectionOf(service, user, id)).toMatchObject({
    status: 'UNAVAILABLE',
    problem: { code: 'CONNECTOR_INCOMPLETE' },
  });
  await change(service, 'editConnector', workspace, { connectorId: id, clientId: 'id' });
  expect(await start()).toBe('ConnectorIncompleteError');
  await change(service, 'editConnector', workspace, { connectorId: id, clientSecret: 'secret' });
  expect(await start()).toBe('ConnectAppUserPayload');
});

test('8. scopes are kept as entered, in order, without blank lines and duplicates, and go to the provider so', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const entered = [
    'z:last',
    ' repo ',
    '',
    'a.first',
    'repo',
    '\n\nuser:email\r\nZ:last\n',
    "https://p.example.com/~!#$%&'()*+,/:;=?@[]",
  ];
  const { connector } = await change(service, 'addConnector', workspace, github(workspace, { scopes: entered }));
  const kept = ['z:last', 'repo', 'a.first', 'user:email', 'Z:last', "https://p.example.com/~!#$%&'()*+,/:;=?@[]"];
  expect(connector.scopes).toEqual(kept);
  const started = field<{ redirectUrl: string }>(
    await connectAppUser(service, await app.user('one'), { connectorId: connector.id }),
    'connectAppUser',
  );
  expect(new URL(started.redirectUrl).searchParams.get('scope')).toBe(kept.join(' '));
  const none = await change(service, 'editConnector', workspace, { connectorId: connector.id, scopes: ['', '\n'] });
  expect(none.connector.scopes).toEqual([]);
});

test('8. a scope with a character that RFC 6749 forbids gets ValidationError naming the line, and nothing is changed', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const { connector } = await change(service, 'addConnector', workspace, github(workspace));
  const scopes = ['fine', 'two words', '', 'quo"te', 'back\\slash', 'tab\there', 'größe', 'nul\u0000', 'x'.repeat(501)];
  const refused = await change(service, 'editConnector', workspace, { connectorId: connector.id, name: 'New', scopes });
  expect(refused.__typename).toBe('ValidationError');
  expect(refused.fields.map(({ path, message }) => [path, message.split(':')[0]])).toEqual(
    [2, 4, 5, 6, 7, 8, 9].map((line) => [`input.scopes.${line - 1}`, `Line ${line}`]),
  );
  const inOneText = await change(service, 'editConnector', workspace, {
    connectorId: connector.id,
    scopes: ['fine\ntwo words\n\nquo"te'],
  });
  expect(inOneText.fields.map(({ message }) => message.split(':')[0])).toEqual(['Line 2', 'Line 4']);
  const many = Array.from({ length: 201 }, (_, index) => `s${index}`);
  const tooMany = await change(service, 'editConnector', workspace, { connectorId: connector.id, scopes: many });
  expect(tooMany.fields).toEqual([{ path: 'input.scopes', message: 'At most 200 scopes can be asked for.' }]);
  const stored = await service.graphql(
    'query ($id: ID!) { connector(id: $id) { name scopes } }',
    { id: connector.id },
    workspace.owner,
  );
  expect(stored.data?.connector).toEqual({ name: 'Code', scopes: ['repo'] });
});

/** Three connectors of one provider, and where the authorization URL of each leads. */
async function threeOfOneProvider() {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const inputs = [{ name: 'Read', scopes: ['read:user'] }, { name: 'Write', clientId: 'other' }, { name: 'Read' }];
  const ids: string[] = [];
  for (const input of inputs) {
    ids.push((await change(service, 'addConnector', workspace, github(workspace, input))).connector.id);
  }
  const user = await app.user('one');
  const asked = async (connectorId: string) => {
    const answer = await connectAppUser(service, user, { connectorId });
    const { redirectUrl } = field<{ redirectUrl?: string }>(answer, 'connectAppUser');
    if (redirectUrl === undefined) return null;
    const { searchParams } = new URL(redirectUrl);
    return [searchParams.get('client_id'), searchParams.get('scope')];
  };
  return { service, user, ids, asked };
}

test('9. connectors of one provider, with different names and scopes, live side by side', async () => {
  const { service, user, ids, asked } = await threeOfOneProvider();
  const page = await service.graphql('{ availableConnectors { id name scopes } }', {}, user);
  expect(page.data?.availableConnectors).toEqual([
    { id: ids[0], name: 'Read', scopes: ['read:user'] },
    { id: ids[1], name: 'Write', scopes: ['repo'] },
    { id: ids[2], name: 'Read', scopes: ['repo'] },
  ]);
  expect(await Promise.all(ids.map(asked))).toEqual([
    ['id', 'read:user'],
    ['other', 'repo'],
    ['id', 'repo'],
  ]);
});

test('10. a connector is named by its opaque id; neither its provider nor its name is a name for it', async () => {
  const { ids, asked } = await threeOfOneProvider();
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(encodeURIComponent(id)).toBe(id);
  for (const name of ['github', 'GitHub', 'Read', 'Connector_github', ids[0]?.replace('Connector_', '') ?? '']) {
    expect(await asked(name)).toBeNull();
  }
});

test('11. a provider’s further settings are taken as the catalogue declares them: required, by pattern, with its own error text', () => {
  const catalogued = findProvider('github');
  if (!catalogued) throw new Error('the catalogue has no github');
  const fieldOf = (name: string, required: boolean) => ({
    name,
    description: 'Your address before .example.com.',
    required,
    pattern: '^[a-z0-9-]{1,63}$',
    errorText: 'Enter the part before .example.com.',
  });
  const provider = { ...catalogued, configFields: [fieldOf('subdomain', true), fieldOf('site', false)] };
  const read = (...entries: [string, string][]) =>
    readConnectionConfig(
      entries.map(([name, value]) => ({ name, value })),
      provider,
    );
  expect(read(['subdomain', ' acme '])).toEqual({
    value: [{ name: 'subdomain', value: 'acme' }],
    faults: [],
    notices: [],
  });
  expect(read(['subdomain', 'acme'], ['site', 'one']).faults).toEqual([]);
  expect(read().faults).toEqual([
    { path: 'input.connectionConfig', message: 'The setting subdomain is needed: Your address before .example.com.' },
  ]);
  for (const evil of ['acme.example.com', 'a/b', 'evil.com#', 'x/../', '', 'ACME', 'a\nb']) {
    expect(read(['subdomain', evil]).faults).toEqual([
      { path: 'input.connectionConfig.0.value', message: 'Enter the part before .example.com.' },
    ]);
  }
  expect(read(['subdomain', 'a'], ['subdomain', 'b']).faults.map(({ path }) => path)).toEqual([
    'input.connectionConfig.1.name',
  ]);
  expect(read(['subdomain', 'a'], ['other', 'b']).faults.map(({ path }) => path)).toEqual([
    'input.connectionConfig.1.name',
  ]);
});

test('11. a setting that the provider does not declare is refused', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const connectionConfig = [{ name: 'subdomain', value: 'acme' }];
  const refused = await change(service, 'addConnector', workspace, github(workspace, { connectionConfig }));
  expect(refused.fields).toEqual([
    { path: 'input.connectionConfig.0.name', message: 'This provider has no setting named "subdomain".' },
  ]);
});

test('12. every field is edited in place under the same id, and apps pick it up at once', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const custom = (host: string, param: string) => ({
    endpoints: {
      authorizationUrl: `https://${host}/authorize`,
      tokenUrl: `https://${host}/token`,
      scopeSeparator: ',',
      extraAuthorizationParams: [{ name: 'prompt', value: param }],
    },
  });
  const first = github(workspace, { providerKey: 'custom', custom: custom('one.example.com', 'login') });
  const { id } = (await change(service, 'addConnector', workspace, first)).connector;
  const user = await app.user('one');
  const asSeen = async () => {
    const page = await service.graphql('{ availableConnectors { id name scopes } }', {}, user);
    const started = await connectAppUser(service, user, { connectorId: id });
    const url = new URL(field<{ redirectUrl: string }>(started, 'connectAppUser').redirectUrl);
    const { client_id, scope, prompt } = Object.fromEntries(url.searchParams);
    return [page.data?.availableConnectors, url.host, client_id, scope, prompt];
  };
  const edit = (more: object) => change(service, 'editConnector', workspace, { connectorId: id, ...more });

  expect(await asSeen()).toEqual([[{ id, name: 'Code', scopes: ['repo'] }], 'one.example.com', 'id', 'repo', 'login']);
  await edit({ name: 'Renamed' });
  await edit({ clientId: 'corrected' });
  await edit({ scopes: ['b', 'a'] });
  await edit({ custom: custom('two.example.com', 'consent'), clientSecret: 'corrected' });
  expect(await asSeen()).toEqual([
    [{ id, name: 'Renamed', scopes: ['b', 'a'] }],
    'two.example.com',
    'corrected',
    'b,a',
    'consent',
  ]);
});

test('12. a wrong client secret is put right by an edit: what failed before works then, with nothing deleted', async () => {
  const scene = await set();
  const { service, workspace, app, provider, connector } = scene;
  provider.changeClientSecret('the-new-secret', connector.clientId);
  const browser = await app.browser('one');
  const failed = await connect(service, browser, connector.id);
  expect(returnOf(failed.response).params.connection_error).toBe('INVALID_CLIENT');
  await change(service, 'editConnector', workspace, { connectorId: connector.id, clientSecret: 'the-new-secret' });
  await connectByCookie(service, browser, connector.id);
  expect(await statusOf(scene)).toBe('CONNECTED');
});

test('13. editing the scopes asks everybody to reconnect; putting the old set back heals it with nobody acting; order, name and secret disturb no one', async () => {
  const scene = await set();
  const { service, workspace, app, provider, connector } = scene;
  await connectByCookie(service, await app.browser('one'), connector.id);
  await connectByCookie(service, await app.browser('two'), connector.id, { account: 'green' });
  const first = (await token(scene)).accessToken;
  const edit = (more: object) => change(service, 'editConnector', workspace, { connectorId: connector.id, ...more });
  const both = async () => [await statusOf(scene), await statusOf(scene, 'two')];

  for (const scopes of [['openid', 'email'], ['openid', 'email', 'calendar.read', 'calendar.write'], ['openid']]) {
    await edit({ scopes });
    expect(await both()).toEqual(['RECONNECT_REQUIRED SCOPES_CHANGED', 'RECONNECT_REQUIRED SCOPES_CHANGED']);
    expect(await token(scene)).toMatchObject({
      __typename: 'ReconnectRequiredError',
      reconnectReason: 'SCOPES_CHANGED',
    });
  }
  await edit({ scopes: ['openid', 'email', 'calendar.read'] });
  expect(await both()).toEqual(['CONNECTED', 'CONNECTED']);
  expect((await token(scene)).accessToken).toBe(first);

  await edit({ scopes: ['calendar.read', '', 'email', 'openid', 'email'] });
  await edit({ name: 'Renamed' });
  await edit({ clientSecret: connector.clientSecret });
  provider.changeClientSecret('rotated', connector.clientId);
  await edit({ clientSecret: 'rotated' });
  expect(await both()).toEqual(['CONNECTED', 'CONNECTED']);
  expect((await token(scene)).accessToken).toBe(first);
  service.clock.advance(301_000);
  const refreshed = await token(scene); // with the rotated secret, under the old grant
  expect(refreshed.__typename).toBe('CurrentAppUserConnection');
  expect(refreshed.accessToken).not.toBe(first);
});

test('13. a scope edit costs the same with one connection and with many: the same statements, one row written and one of the audit', async () => {
  const scene = await set(embedded);
  const { service, workspace, app, connector } = scene;
  const edit = (scope: string) =>
    recordSql(() =>
      change(service, 'editConnector', workspace, { connectorId: connector.id, scopes: ['openid', scope] }),
    );
  await connectByCookie(service, await app.browser('user-0'), connector.id);
  const one = await edit('email');
  await change(service, 'editConnector', workspace, {
    connectorId: connector.id,
    scopes: ['openid', 'email', 'calendar.read'],
  });
  for (let index = 1; index < 6; index += 1) {
    await connectByCookie(service, await app.browser(`user-${index}`), connector.id);
  }
  const six = await edit('email');
  expect(six).toEqual(one);
  expect(six.rowsWritten).toBe(2); // the connector, and the audit's row of the edit
  for (let index = 0; index < 6; index += 1) {
    expect(await statusOf(scene, `user-${index}`)).toBe('RECONNECT_REQUIRED SCOPES_CHANGED');
  }
});

test('14. another client id asks everybody to reconnect; nothing is refreshed under it; putting the old one back heals it', async () => {
  const scene = await set();
  const { service, workspace, app, provider, connector } = scene;
  await connectByCookie(service, await app.browser('one'), connector.id);
  const other = provider.registerClient({ name: 'Other', redirectUris: connector.redirectUris.map(({ uri }) => uri) });
  const edit = (more: object) => change(service, 'editConnector', workspace, { connectorId: connector.id, ...more });

  await edit(other);
  service.clock.advance(301_000); // the token would have to be refreshed now
  expect(await statusOf(scene)).toBe('RECONNECT_REQUIRED CREDENTIALS_CHANGED');
  expect(await token(scene)).toMatchObject({
    __typename: 'ReconnectRequiredError',
    reconnectReason: 'CREDENTIALS_CHANGED',
  });
  expect(provider.counts.refresh_token).toBe(0);

  await edit({ clientId: connector.clientId, clientSecret: connector.clientSecret });
  expect(await statusOf(scene)).toBe('CONNECTED');
  expect((await token(scene)).__typename).toBe('CurrentAppUserConnection');
  expect(provider.counts.refresh_token).toBe(1);

  await edit(other);
  await connectByCookie(service, await app.browser('one'), connector.id); // or by connecting again
  expect(await statusOf(scene)).toBe('CONNECTED');
});

test('14. other endpoints ask for the client secret again and everybody to reconnect; nothing goes to the new address; putting them back heals it', async () => {
  const scene = await set();
  const { service, workspace, app, provider, connector } = scene;
  await connectByCookie(service, await app.browser('one'), connector.id);
  const elsewhere = await startProvider();
  let asked = 0;
  elsewhere.around(async (context, next) => {
    if (context.method === 'POST') asked += 1;
    await next();
  });
  const edit = (more: object) => change(service, 'editConnector', workspace, { connectorId: connector.id, ...more });
  const custom = { discovery: { issuer: elsewhere.issuer } };

  for (const without of [{ custom }, { custom, clientId: 'new' }, { custom, name: 'New' }]) {
    expect(await edit(without)).toMatchObject({ fields: [{ path: 'input.clientSecret' }] });
  }
  expect(await statusOf(scene)).toBe('CONNECTED');
  expect((await edit({ custom, clientSecret: connector.clientSecret })).__typename).toBe('EditConnectorPayload');
  service.clock.advance(301_000);
  expect(await statusOf(scene)).toBe('RECONNECT_REQUIRED CREDENTIALS_CHANGED');
  expect((await token(scene)).reconnectReason).toBe('CREDENTIALS_CHANGED');

  const back = { custom: { discovery: { issuer: provider.issuer } }, clientSecret: connector.clientSecret };
  expect((await edit(back)).__typename).toBe('EditConnectorPayload');
  expect((await token(scene)).__typename).toBe('CurrentAppUserConnection');
  expect(asked).toBe(0);
});

test('15. deleting asks first: the answer names the apps and the number of users, and nothing changes until it is confirmed', async () => {
  const scene = await set();
  const { service, workspace, app, provider, connector } = scene;
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://unused.example.com' }]);
  // the provider knows the callbacks of the app that was there when it was registered
  provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  await connectByCookie(service, await app.browser('one'), connector.id);
  await connectByCookie(service, await app.browser('two'), connector.id, { account: 'green' });
  await connectByCookie(service, await other.browser('one'), connector.id);
  const remove = async (confirm?: boolean) =>
    field<Record<string, unknown>>(
      await service.graphql(
        `mutation ($input: DeleteConnectorInput!) { deleteConnector(input: $input) { __typename
           ... on DeleteConnectorPayload { deletedConnectorId } ... on UserError { code }
           ... on ConfirmationRequiredError { message affectedUsers affectedApps { id } affectedConnections { app { id } count } remedy { actor } } } }`,
        { input: { connectorId: connector.id, ...(confirm !== undefined && { confirm }) } },
        workspace.owner,
      ),
      'deleteConnector',
    );
  for (const asked of [await remove(), await remove(false)]) {
    expect(asked).toEqual({
      __typename: 'ConfirmationRequiredError',
      code: 'CONFIRMATION_REQUIRED',
      message:
        'Deleting this connector ends 3 connections in 2 apps: every grant is revoked, and this cannot be undone. Nothing has changed yet.',
      affectedUsers: 3,
      affectedApps: [{ id: app.id }, { id: other.id }],
      affectedConnections: expect.toSatisfy(
        (apps: { app: { id: string }; count: number }[]) =>
          apps
            .map(({ app: { id }, count }) => `${id} ${count}`)
            .sort()
            .join() === [`${app.id} 2`, `${other.id} 1`].sort().join(),
      ),
      remedy: { actor: 'ADMIN' },
    });
  }
  expect(await statusOf(scene)).toBe('CONNECTED');
  expect((await token(scene, 'two')).__typename).toBe('CurrentAppUserConnection');
  expect([provider.grants().length, provider.counts.revocation]).toEqual([3, 0]);

  expect(await remove(true)).toEqual({ __typename: 'DeleteConnectorPayload', deletedConnectorId: connector.id });
  expect(await remove(true)).toEqual({ __typename: 'NotFoundError', code: 'NOT_FOUND' });
});

test('17. a page of connectors, each with the current user’s own status, is one query, and costs the same statements for two connectors and for twelve', async () => {
  const scene = await set(embedded);
  const { service, workspace, app, connector } = scene;
  const draft = await change(service, 'addConnector', workspace, github(workspace, { clientId: null }));
  const shared = await change(service, 'addConnector', workspace, github(workspace, { kind: 'SHARED' }));
  await connectByCookie(service, await app.browser('one'), connector.id);
  const page = async (user: string) => {
    const answer = await service.graphql(
      '{ availableConnectors { id name currentUserConnection { status account { email } problem { code } } } }',
      {},
      await app.user(user),
    );
    expect(answer.errors).toEqual([]);
    return answer.data?.availableConnectors as { id: string; currentUserConnection: unknown }[];
  };
  const incomplete = { status: 'UNAVAILABLE', account: null, problem: { code: 'CONNECTOR_INCOMPLETE' } };
  expect(await page('one')).toEqual([
    {
      id: connector.id,
      name: 'Calendar',
      currentUserConnection: { status: 'CONNECTED', account: { email: 'blue@example.com' }, problem: null },
    },
    { id: draft.connector.id, name: 'Code', currentUserConnection: incomplete },
  ]);
  const [own] = await page('two');
  expect(own?.currentUserConnection).toEqual({ status: 'NOT_CONNECTED', account: null, problem: null });

  const two = await recordSql(() => page('one'));
  for (let index = 0; index < 10; index += 1) await change(service, 'addConnector', workspace, github(workspace));
  const twelve = await recordSql(async () => expect(await page('one')).toHaveLength(12));
  expect(twelve.statements.length).toBe(two.statements.length);
  expect(twelve.statements.length).toBeGreaterThan(0);
  expect((await page('one')).map(({ id }) => id)).not.toContain(shared.connector.id);
});

test('60. the catalogue is listed by name, each provider with all that an admin needs, and `custom` last; anybody may look', async () => {
  const service = await startService();
  const answer = await service.graphql(
    `{ providers { key name description docsUrl exampleUses setupSteps scopes { scope description }
       configFields { name description required pattern errorText } } }`,
  );
  expect(answer.errors).toEqual([]);
  const providers = answer.data?.providers as {
    key: string;
    name: string;
    description: string;
    docsUrl: string;
    exampleUses: string[];
    setupSteps: string[];
    scopes: { scope: string; description: string }[];
  }[];
  const [custom, ...rest] = [...providers].reverse();
  expect(custom?.key).toBe('custom');
  const names = rest.reverse().map(({ name }) => name);
  expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b, 'en')));
  expect(rest.length).toBeGreaterThanOrEqual(8);
  // their rights belong to the app that is registered there
  const withoutScopes = 'clickup intercom mailchimp miro notion pipedrive splitwise supabase wix'.split(' ');
  for (const { key, description, docsUrl, exampleUses, setupSteps, scopes } of rest) {
    expect([key, description.length > 10, exampleUses.length > 1, setupSteps.length > 2]).toEqual([
      key,
      true,
      true,
      true,
    ]);
    expect([key, parseUrl(docsUrl)?.protocol]).toEqual([key, 'https:']);
    if (!withoutScopes.includes(key)) expect([key, scopes.length > 0]).toEqual([key, true]); // these have none
    for (const { scope, description: what } of scopes)
      expect([key, scope, what.endsWith('.')]).toEqual([key, scope, true]);
  }
});

test('60. the catalogue is searched by key, name, purpose and scope, in any case; what is not found is an empty list', async () => {
  const service = await startService();
  const search = async (term: string) => {
    const answer = await service.graphql('query ($search: String) { providers(search: $search) { key } }', {
      search: term,
    });
    expect(answer.errors).toEqual([]);
    return field<{ key: string }[]>(answer, 'providers').map(({ key }) => key);
  };
  const all = await search('');
  expect(await search('   ')).toEqual(all);
  expect(await search('googlecalendar')).toEqual(['googlecalendar']);
  expect(await search('  GITHUB ')).toEqual(['github']);
  expect(await search('google calendar')).toEqual(['googlecalendar']); // its name is written with capitals
  expect(await search('pull requests')).toContain('github');
  expect(await search('gmail.send')).toContain('gmail');
  expect(await search('crm.objects')).toEqual(['hubspot']);
  expect(await search('calendar')).toContain('googlecalendar');
  expect(await search('nothing of that kind')).toEqual([]);
  expect(await search('.*')).toEqual([]);
  expect(await search('%')).toEqual([]);
});
