import { expect, onTestFinished, test } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { auditOf, lineOf } from '../support/audit.ts';
import { createTestApp, field, type Service } from '../support/harness.ts';
import { operator, removeOperatorClient, setOperatorClient } from '../support/operator-client.ts';
import { editConnector, eventually, expiredMs } from '../support/scene.ts';
import {
  complete,
  connectShared,
  disconnectShared,
  openBack,
  readShared,
  setSharedStage,
  type SharedStage,
  sharedOf,
  startShared,
} from '../support/shared-account.ts';
import { returnOf } from '../support/journey.ts';
import { recordSql } from '../support/sql-log.ts';
import { listen, openSse } from '../support/streams.ts';
import { watchTokens } from '../support/token-endpoint.ts';

const providerKey = 'googlecalendar';
const path = '/api/external-auth/callback';

/** A shared stage where `googlecalendar` stands for the local provider, which the operator has a client at. */
async function setOperatorStage(env: Record<string, string> = {}) {
  let issuer = '';
  const resolveServer: NonNullable<Overrides['resolveServer']> = (usual) => (connector) =>
    usual(
      connector.providerKey === providerKey
        ? {
            providerKey: 'custom',
            connectionConfig: [],
            custom: {
              type: 'discovery',
              issuer,
              clientAuthentication: 'CLIENT_SECRET_POST',
              extraAuthorizationParams: [],
            },
          }
        : connector,
    );
  const { connector: _, ...stage } = await setSharedStage(env, { resolveServer });
  issuer = stage.provider.issuer;
  const { publicUrl } = stage.service.config;
  const client = {
    providerKey,
    ...stage.provider.registerClient({ name: 'Operator', redirectUris: [publicUrl + path] }),
  };
  return { ...stage, publicUrl, client };
}

const shown = `id clientId usesOperatorClient hasClientSecret redirectUris { kind uri } provider { operatorClient }`;

async function addConnector({ service, workspace }: Pick<SharedStage, 'service' | 'workspace'>, input: object = {}) {
  const answer = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { ... on AddConnectorPayload { connector { ${shown} } } ... on UserError { code message } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey,
        kind: 'SHARED',
        name: 'Team',
        scopes: ['openid', 'email', 'calendar.read'],
        ...input,
      },
    },
    workspace.owner,
  );
  const { connector } = field<{ connector: { id: string } & Record<string, unknown> }>(answer, 'addConnector');
  return connector;
}

async function connectorOf(service: Service, id: string, headers: Record<string, string>) {
  return field(
    await service.graphql(`query ($id: ID!) { connector(id: $id) { ${shown} } }`, { id }, headers),
    'connector',
  );
}

type OperatorStage = Awaited<ReturnType<typeof setOperatorStage>> & { connector: SharedStage['connector'] };

/** A connector through the operator's client, which anna has connected from a page of the app. */
async function setConnected(env: Record<string, string> = {}): Promise<OperatorStage> {
  const stage = await setOperatorStage(env);
  await setOperatorClient(stage.service, stage.client);
  const added = await addConnector(stage);
  const at = { ...stage, connector: { ...stage.client, id: added.id, redirectUris: [] } };
  await connectAs(at, 'anna');
  return at;
}

async function connectAs(stage: OperatorStage, subject: string): Promise<void> {
  const flow = await startShared(stage, await stage.page(subject), { returnTo: '/team' });
  expect(flow.binding).toBe('CODE');
  const { connect_code = '' } = await openBack(stage, flow);
  expect(await complete(stage, await stage.member(subject), connect_code)).toMatchObject({
    connection: { status: 'CONNECTED' },
  });
}

test('59. a shared connector without a client of its own connects, refreshes and revokes through the operator’s', async () => {
  const stage = await setOperatorStage();
  const { service, app, workspace, provider, client, publicUrl } = stage;
  const own = { kind: 'SERVICE', uri: publicUrl + path };
  const draft = await addConnector(stage);
  expect(draft).toMatchObject({ clientId: null, usesOperatorClient: false, provider: { operatorClient: false } });
  expect((draft.redirectUris as unknown[]).length).toBe(2);
  const at = { ...stage, connector: { ...client, id: draft.id, redirectUris: [] } };
  expect(await connectShared(at, await stage.page('anna'))).toMatchObject({ code: 'CONNECTOR_INCOMPLETE' });

  expect(await setOperatorClient(service, { ...client, confirm: false })).toEqual({
    __typename: 'SetOperatorClientPayload',
    operatorClient: { clientId: client.clientId, provider: { key: providerKey }, redirectUris: [own] },
    notices: [],
  });
  const inUse = {
    id: draft.id,
    clientId: null,
    usesOperatorClient: true,
    hasClientSecret: false,
    redirectUris: [own],
    provider: { operatorClient: true },
  };
  expect(await connectorOf(service, draft.id, workspace.owner)).toEqual(inUse);
  const forUser = { ...inUse, provider: { operatorClient: null } };
  expect(await connectorOf(service, draft.id, await app.user('one'))).toEqual(forUser);
  expect(await addConnector(stage)).toMatchObject({ usesOperatorClient: true });
  expect(await addConnector(stage, { kind: 'APP_USER' })).toMatchObject({ usesOperatorClient: false });
  expect(await addConnector(stage, { clientId: 'own' })).toMatchObject({ clientId: 'own', usesOperatorClient: false });

  const passed = watchTokens(provider);
  await connectAs(at, 'anna'); // from a page of the app, whose own redirect URI the operator has not registered
  const first = await readShared(at);
  expect(first).toMatchObject({ __typename: 'SharedConnection', connection: { status: 'CONNECTED' } });
  service.clock.advance(expiredMs);
  const second = await readShared(at);
  expect(second.__typename).toBe('SharedConnection');
  expect(second.accessToken).not.toBe(first.accessToken);
  expect(passed.clientIds).toEqual([client.clientId, client.clientId]);
  await disconnectShared(at, await stage.member('anna'));
  await expect.poll(() => provider.grants().length, eventually).toBe(0);

  const flow = await startShared(at, await stage.page('anna', publicUrl)); // on the service's own page the cookie does
  expect(flow.binding).toBe('COOKIE');
  expect(await openBack(at, flow)).toMatchObject({ connection_status: 'connected' });
});

test('59. what the provider refuses of the operator’s client is for the operator to mend, wherever it is told', async () => {
  const stage = await setConnected();
  const { service, workspace, provider, client, connector, app } = stage;
  provider.changeClientSecret('rotated-secret-of-the-tests', client.clientId);
  const userError = '... on UserError { code remedy { actor steps values { value } } }';
  const refused = (...values: string[]) => ({
    code: 'INVALID_CLIENT',
    remedy: {
      actor: 'OPERATOR',
      steps: [
        "Copy client id and client secret again from the provider's settings.",
        'Enter both with setOperatorClient.',
        'Press Connect again.',
      ],
      values: values.map((value) => ({ value })),
    },
  });

  const flow = await startShared(stage, await stage.page('ben', stage.publicUrl), { takeOver: true });
  const page = await flow.browser.open(service, flow.back);
  expect(returnOf(page).params).toMatchObject({ connection_error: 'INVALID_CLIENT' });
  service.clock.advance(expiredMs);
  const read = await service.graphql(
    `query ($id: ID!) { sharedConnection(connectorId: $id) { __typename ${userError} } }`,
    { id: connector.id },
    { authorization: `Bearer ${app.key}` },
  );
  const { remedy } = refused(client.clientId);
  expect(field(read, 'sharedConnection')).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', remedy });
  const checked = await service.graphql(
    `mutation ($id: ID!) { checkConnector(input: { connectorId: $id }) { ... on CheckConnectorPayload { problems { ${userError} } } } }`,
    { id: connector.id },
    workspace.owner,
  );
  expect(field(checked, 'checkConnector')).toEqual({ problems: [refused(client.clientId)] });
  const answer = await service.graphql(
    `query ($id: ID!) { connector(id: $id) { problem { ${userError} } flowProblems { problem { ${userError} } } } }`,
    { id: connector.id },
    workspace.owner,
  );
  expect(field(answer, 'connector')).toEqual({
    problem: refused(client.clientId),
    flowProblems: [{ problem: refused(client.clientId) }],
  });
});

test('59. the callback’s page tells whoever runs the service that the operator’s client is refused, in both languages', async () => {
  const stage = await setConnected();
  const { service, workspace, provider, client, publicUrl } = stage;
  // without a live origin there is no page of the app to go back to
  const app = await createTestApp(service, workspace, [{ kind: 'PREVIEW', origin: 'https://preview.example.com' }]);
  provider.changeClientSecret('rotated-secret-of-the-tests', client.clientId);
  for (const [language, sentences] of [
    ['en', ['This is for whoever runs this service.', 'Enter both with setOperatorClient.']],
    ['de', ['die diesen Dienst betreibt', 'Tragen Sie beide mit setOperatorClient ein.']],
  ] as const) {
    const flow = await startShared({ ...stage, app }, await stage.page('anna', publicUrl));
    const cookie = [...flow.browser.cookies].map((pair) => pair.join('=')).join('; ');
    const response = await service.app.fetch(
      new Request(flow.back, { headers: { cookie, 'accept-language': language } }),
    );
    const html = await response.text();
    for (const sentence of sentences) expect(html).toContain(sentence);
    expect(html).toContain(client.clientId);
    expect(html).not.toContain('editConnector');
  }
});

test('59. another client of the operator’s asks for new consent, none blocks, the same one heals; streams hear of it, and it costs the same for all', async () => {
  const stage = await setConnected({ DATA_DIR: 'memory://' });
  const { service, app, provider, client } = stage;
  const { http } = await listen(service);
  const stream = openSse(http, { authorization: `Bearer ${app.key}` }, stage.connector.id);
  onTestFinished(() => stream.stop());
  expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
  const token = (await readShared(stage)).accessToken;
  const other = { providerKey, ...provider.registerClient({ name: 'Other', redirectUris: [] }) };

  const affected = { affectedUsers: 0, affectedConnections: [{ app: { id: app.id }, count: 1 }] };
  for (const asked of [
    await setOperatorClient(service, { ...other, confirm: false }),
    await removeOperatorClient(service, providerKey, false),
  ]) {
    expect(asked).toMatchObject({ code: 'CONFIRMATION_REQUIRED', ...affected });
  }
  expect((await readShared(stage)).accessToken).toBe(token);

  const { statements, rowsWritten } = await recordSql(() => setOperatorClient(service, other));
  expect(rowsWritten).toBe(4); // the client, the one connector, and an audit row for each
  expect(statements.filter((statement) => /"(connection|credential)"/.test(statement))).toEqual([]);
  expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'CREDENTIALS_CHANGED' });
  service.clock.advance(expiredMs);
  const refreshed = provider.counts.refresh_token;
  expect(await readShared(stage)).toMatchObject({ reconnectReason: 'CREDENTIALS_CHANGED' });

  await setOperatorClient(service, client);
  expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
  expect(provider.counts.refresh_token).toBe(refreshed);
  await removeOperatorClient(service, providerKey);
  expect(await stream.next()).toMatchObject({ status: 'UNAVAILABLE', problem: { code: 'CONNECTOR_INCOMPLETE' } });
  expect(await readShared(stage)).toMatchObject({ code: 'CONNECTOR_INCOMPLETE' });
  expect(await removeOperatorClient(service, providerKey)).toMatchObject({ code: 'NOT_FOUND' });
  await setOperatorClient(service, { ...client, confirm: false });
  expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

  provider.changeClientSecret('rotated-secret-of-the-tests', client.clientId);
  const rotated = await setOperatorClient(service, {
    ...client,
    clientSecret: 'rotated-secret-of-the-tests',
    confirm: false,
  });
  expect(rotated.__typename).toBe('SetOperatorClientPayload');
  expect(await readShared(stage)).toMatchObject({ __typename: 'SharedConnection' });
});

test('59. a connector leaves the operator’s client with a whole client of its own, and follows it no more', async () => {
  const stage = await setConnected();
  const { service, workspace, connector, provider, client, app } = stage;
  const edit = async (input: Record<string, unknown>) =>
    field(
      await service.graphql(
        `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename ... on ValidationError { fields { path } } } }`,
        { input: { connectorId: connector.id, ...input } },
        workspace.owner,
      ),
      'editConnector',
    );
  expect(await edit({ clientId: 'own' })).toMatchObject({ fields: [{ path: 'input.clientSecret' }] });
  expect(await edit({ clientSecret: 'own' })).toMatchObject({ fields: [{ path: 'input.clientId' }] });
  expect(await edit({ name: 'Renamed' })).toMatchObject({ __typename: 'EditConnectorPayload' });
  const status = async () => sharedOf(stage, workspace.owner);
  expect(await status()).toMatchObject({ status: 'CONNECTED' });

  const own = provider.registerClient({ name: 'Own', redirectUris: [`${app.origin}${path}`] });
  await editConnector(stage, { ...own });
  expect(await status()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'CREDENTIALS_CHANGED' });
  expect(await connectorOf(service, connector.id, workspace.owner)).toMatchObject({
    clientId: own.clientId,
    usesOperatorClient: false,
    hasClientSecret: true,
  });
  const flow = await startShared(stage, await stage.page('anna'));
  expect(await openBack(stage, flow)).toMatchObject({ connection_status: 'connected' });
  expect(await removeOperatorClient(service, client.providerKey, false)).toMatchObject({ affectedConnections: [] });
  await removeOperatorClient(service, client.providerKey);
  expect(await status()).toMatchObject({ status: 'CONNECTED' });
});

test('59. the operator’s secret is shown to nobody; every change is in the audits; what is no client is refused', async () => {
  const stage = await setConnected();
  const { service, workspace, connector, client } = stage;
  const everything =
    '{ operatorClients { clientId provider { key } connectionConfig { name } redirectUris { uri } createdAt updatedAt } }';
  const listed = await service.graphql(everything, {}, operator);
  expect(listed.data).toMatchObject({
    operatorClients: [{ clientId: client.clientId, provider: { key: providerKey } }],
  });
  expect((await service.graphql(everything, {}, workspace.owner)).errors[0]?.extensions?.code).toBe('FORBIDDEN');

  for (const [input, paths] of [
    [{ providerKey: 'custom' }, ['input.providerKey']],
    [{ providerKey: 'a\u0000b' }, ['input.providerKey']],
    [{ clientId: ' ', clientSecret: '' }, ['input.clientId', 'input.clientSecret']],
    [{ connectionConfig: [{ name: 'unknown', value: 'x' }] }, ['input.connectionConfig.0.name']],
  ] as const) {
    const refused = await setOperatorClient(service, { ...client, ...input });
    expect((refused.fields as { path: string }[]).map((fault) => fault.path)).toEqual(paths);
  }
  expect(await setOperatorClient(service, client, workspace.owner)).toMatchObject({ code: 'FORBIDDEN' });

  await removeOperatorClient(service, providerKey);
  const filter = { acts: ['OPERATOR_CLIENT_SET', 'OPERATOR_CLIENT_REMOVED'] };
  const { rows } = await auditOf(service, workspace, { filter });
  expect(rows.map((row) => [lineOf(row), row.connectorId])).toEqual([
    [`OPERATOR_CLIENT_REMOVED OK OPERATOR provider=${providerKey}`, connector.id],
  ]);
  const answer = await service.graphql(
    'query ($filter: AuditFilterInput) { serviceAudit(filter: $filter) { edges { node { act outcome actorKind actor details { name values } } } } }',
    { filter },
    operator,
  );
  const page = field<{ edges: { node: Parameters<typeof lineOf>[0] }[] }>(answer, 'serviceAudit');
  expect(page.edges.map(({ node }) => lineOf(node))).toEqual([
    `OPERATOR_CLIENT_REMOVED OK OPERATOR provider=${providerKey}`,
    `OPERATOR_CLIENT_SET OK OPERATOR changed=clientId,clientSecret provider=${providerKey}`,
  ]);
  const told = [JSON.stringify([listed.data, rows, answer.data]), ...service.logs].join('\n');
  expect(told).not.toContain(client.clientSecret);
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});

test('59. an account of one app is not another’s: each is connected by itself, and each is affected', async () => {
  const stage = await setConnected();
  const { service, workspace } = stage;
  const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  expect(await readShared({ ...stage, app })).toMatchObject({ __typename: 'NotConnectedError' });
  const flow = await startShared({ ...stage, app }, await stage.page('ben', app.origin));
  const { connect_code = '' } = await openBack(stage, flow);
  await complete(stage, await stage.member('ben'), connect_code);
  expect(await readShared({ ...stage, app })).toMatchObject({ __typename: 'SharedConnection' });
  expect(await removeOperatorClient(service, providerKey, false)).toMatchObject({
    affectedConnections: expect.arrayContaining([
      { app: { id: stage.app.id }, count: 1 },
      { app: { id: app.id }, count: 1 },
    ]),
  });
});

test("59. the settings of the operator's client are its own: they lead its flows, and a wrong one is told by name", async () => {
  const { connector: _, ...stage } = await setSharedStage();
  const { service, workspace } = stage;
  const input = { providerKey: 'zendesk', clientId: 'operators-id', clientSecret: 'operators-secret' };
  for (const connectionConfig of [[], [{ name: 'subdomain', value: 'evil.example#' }]]) {
    expect(await setOperatorClient(service, { ...input, connectionConfig })).toMatchObject({
      __typename: 'ValidationError',
    });
  }
  const given = await setOperatorClient(service, {
    ...input,
    connectionConfig: [{ name: 'subdomain', value: 'helpdesk' }],
  });
  expect(given.__typename).toBe('SetOperatorClientPayload');
  const { id } = await addConnector({ service, workspace }, { providerKey: 'zendesk', scopes: ['read'] });
  const started = await connectShared({ ...stage, connector: { id } }, await stage.page('anna'));
  const url = new URL(started.redirectUrl ?? '');
  expect([url.origin, url.searchParams.get('client_id'), url.searchParams.get('redirect_uri')]).toEqual([
    'https://helpdesk.zendesk.com',
    'operators-id',
    service.config.publicUrl + path,
  ]);

  // once the client is gone, so are they: a client of the connector's own comes with settings of its own
  await removeOperatorClient(service, 'zendesk');
  const complete = async (settings: object) =>
    field(
      await service.graphql(
        `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename ... on ValidationError { fields { path message } } } }`,
        { input: { connectorId: id, clientId: 'own', clientSecret: 'own', ...settings } },
        workspace.owner,
      ),
      'editConnector',
    );
  expect(await complete({})).toMatchObject({
    __typename: 'ValidationError',
    fields: [{ path: 'input.connectionConfig', message: expect.stringContaining('The setting subdomain is needed') }],
  });
  const connectionConfig = [{ name: 'subdomain', value: 'support' }];
  expect(await complete({ connectionConfig })).toEqual({ __typename: 'EditConnectorPayload' });
});
