import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  call,
  calls,
  createPlace,
  leavesOf,
  nodeTypes,
  outcomeOf,
  type Place,
  rootFields,
  withLeaf,
} from '../support/calls.ts';
import {
  addTestConnector,
  createWorkspaceKey,
  field,
  type GraphqlAnswer,
  operatorKey,
  type Service,
  startProvider,
  startService,
} from '../support/harness.ts';
import { connectByCookie, connectionOf, readToken } from '../support/journey.ts';
import { openBack, readShared, startShared } from '../support/shared-account.ts';

/** For hundreds of calls on a machine that does other things as well. */
const heavy = 120_000;

type Headers = Record<string, string>;

/** Two workspaces: one where user `one` is connected, and another one whose people try to look in. */
interface Neighbours {
  service: Service;
  home: Place;
  away: Place;
  /** The connector of `home` that user `one` of its app is connected through. */
  connected: { connectorId: string; connectionId: string; accessToken: string };
  callers: Record<string, Headers>;
}

async function createNeighbours(): Promise<Neighbours> {
  const service = await startService();
  const [home, away] = [await createPlace(service), await createPlace(service)];
  const connector = await addTestConnector(service, home.workspace, await startProvider());
  const backend = await home.app.backend('one');
  await connectByCookie(service, await home.app.browser('one'), connector.id);
  const { id: connectionId } = (await connectionOf(service, backend, connector.id)) as { id: string };
  const { accessToken } = field<{ accessToken: string }>(
    await readToken(service, backend, connector.id),
    'currentAppUserConnection',
  );
  const key = async (role: string) => ({
    authorization: `Bearer ${await createWorkspaceKey(service, home.workspace.id, role)}`,
  });
  const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'x-app-id': home.app.id });
  return {
    service,
    home,
    away,
    connected: { connectorId: connector.id, connectionId, accessToken },
    callers: {
      user: await home.app.user('one'),
      otherApp: await home.otherApp.user('one'),
      appKey: { authorization: `Bearer ${home.app.key}` },
      backend,
      VIEWER: await key('VIEWER'),
      EDITOR: await key('EDITOR'),
      ADMIN: await key('ADMIN'),
      OWNER: home.workspace.owner,
      operator: { authorization: `Bearer ${operatorKey}` },
      awayOWNER: away.workspace.owner,
      awayUser: await away.app.user('one'),
      awayBackend: await away.app.backend('one'),
      nobody: {},
      revokedKey: await revoked(service, home, 'workspace'),
      revokedAppKey: await revoked(service, home, 'app'),
      expired: bearer(await home.app.identityToken('one', { expiresIn: -1 })),
      audience: bearer(await home.app.identityToken('one', { audience: 'another-audience' })),
      mixed: { ...(await home.otherApp.user('one')), 'x-app-id': home.app.id },
    },
  };
}

/** Deletes a connector that somebody is connected through. Answers the ids of what shows it. */
async function deleteConnectorOf(service: Service, { workspace, app }: Place) {
  const connector = await addTestConnector(service, workspace, await startProvider());
  await connectByCookie(service, await app.browser('one'), connector.id);
  await service.graphql(
    'mutation ($id: ID!) { deleteConnector(input: { connectorId: $id, confirm: true }) { __typename } }',
    { id: connector.id },
    workspace.owner,
  );
  const ask = async () => {
    const answer = await service.graphql(
      `query ($id: ID!) { workspace(id: $id) { deletedConnectors { edges { node { id revocations { edges { node { id } } } } } } } }`,
      { id: workspace.id },
      workspace.owner,
    );
    type Page<T> = { edges: { node: T }[] };
    const found = field<{ deletedConnectors: Page<{ id: string; revocations: Page<{ id: string }> }> }>(
      answer,
      'workspace',
    );
    const [deleted] = found.deletedConnectors.edges.map(({ node }) => node);
    return { DeletedConnector: deleted?.id ?? '', Revocation: deleted?.revocations.edges[0]?.node.id ?? '' };
  };
  await expect.poll(async () => (await ask()).Revocation, { timeout: 15_000 }).toMatch(/^Revocation_/);
  return ask();
}

/** The id of a row of the workspace's audit. */
async function auditEventOf(service: Service, { workspace }: Place): Promise<string> {
  const query = 'query ($id: ID!) { workspace(id: $id) { audit(first: 1) { edges { node { id } } } } }';
  const answer = await service.graphql(query, { id: workspace.id }, workspace.owner);
  const { audit } = field<{ audit: { edges: { node: { id: string } }[] } }>(answer, 'workspace');
  return audit.edges[0]?.node.id ?? '';
}

/** A caller whose key has been revoked. */
async function revoked(service: Service, { workspace, app }: Place, what: 'workspace' | 'app'): Promise<Headers> {
  const [create, revoke] =
    what === 'workspace'
      ? [
          `mutation ($id: ID!) { made: createWorkspaceKey(input: { workspaceId: $id, name: "Key", role: OWNER }) {
             ... on CreateWorkspaceKeyPayload { key: workspaceKey { id } secret: workspaceKeySecret } } }`,
          `mutation ($id: ID!) { done: revokeWorkspaceKey(input: { workspaceKeyId: $id }) { __typename } }`,
        ]
      : [
          `mutation ($id: ID!) { made: createAppKey(input: { appId: $id }) {
             ... on CreateAppKeyPayload { key: appKey { id } secret: appKeySecret } } }`,
          `mutation ($id: ID!) { done: revokeAppKey(input: { appKeyId: $id }) { __typename } }`,
        ];
  const made = await service.graphql(create, { id: what === 'workspace' ? workspace.id : app.id }, workspace.owner);
  const { key, secret } = field<{ key: { id: string }; secret: string }>(made, 'made');
  const done = field(await service.graphql(revoke, { id: key.id }, workspace.owner), 'done');
  expect(done.__typename).toMatch(/Payload$/);
  const user = what === 'app' ? { 'on-behalf-of': `Bearer ${await app.identityToken('one')}` } : {};
  return { authorization: `Bearer ${secret}`, ...user };
}

const words: Record<string, string> = {
  UNAUTHENTICATED: '401',
  FORBIDDEN: '403',
  NOT_FOUND: '404',
  VALIDATION: '400',
  FLOW_EXPIRED: 'code',
  NOT_CONNECTED: 'NOT',
  CONNECTED: 'CONN',
  UNAVAILABLE: 'UN',
};

/** Columns: every kind of caller; the last six are taken for nobody. Things are those of `home`. */
const columns = [
  'user',
  'otherApp',
  'appKey',
  'backend',
  'VIEWER',
  'EDITOR',
  'ADMIN',
  'OWNER',
  'operator',
  'awayOWNER',
  'awayUser',
  'awayBackend',
  'nobody',
  'revokedKey',
  'revokedAppKey',
  'expired',
  'audience',
  'mixed',
];
const nobodies = (outcome: string) => Array.from({ length: 6 }, () => outcome).join(' ');

/** What each caller is answered: `ok`, `null`, 401 (UNAUTHENTICATED), 403 (FORBIDDEN), 404 (NOT_FOUND), or as `words` says. */
const rows: Record<string, string> = {
  //                                      user     otherApp appKey back  VIEWER EDITOR ADMIN OWNER operator  away: OWNER user back
  'Query.viewer': `                       ok       ok       ok     ok    ok     ok     ok    ok    ok        ok    ok   ok    ${nobodies('401')}`,
  'Query.node': `                         ok       ok       ok     ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  'Query.workspace': `                    null     null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  'Query.workspaces': `                   403      403      403    403   ok     ok     ok    ok    ok        ok    403  403   ${nobodies('401')}`,
  'Query.app': `                          ok       null     ok     ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  'Query.connector': `                    ok       ok       ok     ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  'Query.previewConnectorEdit': `         404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Query.availableConnectors': `          ok       ok       ok     ok    403    403    403   403   403       403   ok   ok    ${nobodies('401')}`,
  'Query.providers': `                    ok       ok       ok     ok    ok     ok     ok    ok    ok        ok    ok   ok    ${nobodies('ok')}`,
  'Query.operatorClients': `              403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Query.serviceAudit': `                 403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Query.currentAppUserConnection': `     403      403      401    ok    401    401    401   401   401       401   403  404   ${nobodies('401')}`,
  'Query.sharedConnection': `             403      403      NOT    NOT   401    401    401   401   401       401   403  404   ${nobodies('401')}`,
  'Mutation.createWorkspace': `           403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Mutation.setWorkspacePlan': `          403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Mutation.createWorkspaceKey': `        404      404      404    404   403    403    ok    ok    ok        404   404  404   ${nobodies('401')}`,
  'Mutation.revokeWorkspaceKey': `        404      404      404    404   403    403    ok    ok    ok        404   404  404   ${nobodies('401')}`,
  'Mutation.setWorkspaceMember': `        404      404      404    404   403    403    ok    ok    ok        404   404  404   ${nobodies('401')}`,
  'Mutation.removeWorkspaceMember': `     404      404      404    404   403    403    ok    ok    ok        404   404  404   ${nobodies('401')}`,
  'Mutation.createApp': `                 404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.editApp': `                   404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.deleteApp': `                 404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.createAppKey': `              404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.revokeAppKey': `              404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.addConnector': `              404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.editConnector': `             404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.checkConnector': `            404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.deleteConnector': `           404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.revokeAllConnections': `      404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.setProviderAvailability': `   404      404      404    404   403    403    ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.setOperatorClient': `         403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Mutation.removeOperatorClient': `      403      403      403    403   403    403    403   403   ok        403   403  403   ${nobodies('401')}`,
  'Mutation.connectAppUser': `            ok       ok       401    ok    401    401    401   401   401       401   404  404   ${nobodies('401')}`,
  'Mutation.completeConnection': `        code     code     401    code  code   code   code  code  401       code  code code  ${nobodies('401')}`,
  'Mutation.disconnectAppUser': `         NOT      NOT      401    NOT   401    401    401   401   401       401   404  404   ${nobodies('401')}`,
  'Mutation.connectSharedAccount': `      404      404      404    404   403    ok     ok    ok    403       404   404  404   ${nobodies('401')}`,
  'Mutation.disconnectSharedAccount': `   404      404      404    404   403    NOT    NOT   NOT   403       404   404  404   ${nobodies('401')}`,
  'Subscription.connectionStatus': `      CONN     NOT      401    CONN  400    400    400   400   403       400   UN   UN    ${nobodies('401')}`,
};

/** Rows whose call must go through the connector that a user is really connected through. */
const onTheConnection = new Set(['Query.currentAppUserConnection', 'Subscription.connectionStatus']);

async function variablesFor({ home, connected }: Neighbours, path: string): Promise<Record<string, unknown>> {
  const variables = await calls[path]?.variables(home);
  if (!variables) throw new Error(`${path} has no row in test/support/calls.ts`);
  if (path === 'Mutation.connectAppUser') return { input: { connectorId: home.connectorId } };
  return onTheConnection.has(path) ? { connectorId: connected.connectorId } : variables;
}

const split = (row: string) => row.trim().split(/\s+/);
const lines = (table: Record<string, string[]>) =>
  Object.entries(table).map(([name, outcomes]) => `${name}: ${outcomes.join(' ')}`);
const expectedLines = (table: Record<string, string>) =>
  lines(Object.fromEntries(Object.entries(table).map(([name, row]) => [name, split(row)])));

test('T11. every query, mutation and subscription of the schema has a row in the table, and the table no other', () => {
  expect(Object.keys(rows).sort()).toEqual([...rootFields].sort());
  expect(Object.keys(calls).sort()).toEqual([...rootFields].sort());
  for (const row of Object.values(rows)) expect(split(row)).toHaveLength(columns.length);
});

test(
  'T11. every root field × every kind of caller answers as the table says, and the token goes to one of them only',
  async () => {
    const neighbours = await createNeighbours();
    const { service, callers, connected } = neighbours;
    expect(Object.keys(callers)).toEqual(columns);

    const actual: Record<string, string[]> = {};
    for (const path of Object.keys(rows)) {
      actual[path] = [];
      let variables = await variablesFor(neighbours, path);
      for (const [caller, headers] of Object.entries(callers)) {
        const answer = await call(service, path, variables, headers);
        const outcome = outcomeOf(path, answer);
        if (outcome === 'ok') variables = await variablesFor(neighbours, path); // it may have used them up
        actual[path].push(words[outcome] ?? outcome);
        const mayHoldToken = path === 'Query.currentAppUserConnection' && caller === 'backend';
        expect(JSON.stringify(answer.data).includes(connected.accessToken), `${path} by ${caller}`).toBe(mayHoldToken);
      }
    }
    expect(lines(actual)).toEqual(expectedLines(rows));
    expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
  },
  heavy,
);

test(
  'T11. what belongs to another workspace is answered, word for word, like what does not exist',
  async () => {
    const neighbours = await createNeighbours();
    const { service, home, callers } = neighbours;
    const outsiders = ['awayOWNER', 'awayUser', 'awayBackend'];
    const compared = [];
    for (const path of Object.keys(rows)) {
      const variables = await variablesFor(neighbours, path);
      const ids = leavesOf(path, variables).filter(({ typeName }) => typeName === 'ID');
      for (const { path: at, value } of ids) {
        const unknown = `${String(value).split('_')[0]}_${randomUUID()}`;
        for (const caller of outsiders) {
          const headers = callers[caller] ?? {};
          const say = async (id: string) => {
            const { status, data, errors } = await call(service, path, withLeaf(variables, at, id), headers);
            return JSON.stringify({ status, data, errors })
              .replaceAll(id, '<id>')
              .replaceAll(/"at":"[^"]+"/g, '"at":0');
          };
          expect(await say(String(value)), `${path} by ${caller}`).toBe(await say(unknown));
          compared.push(`${path} ${caller}`);
        }
      }
    }
    expect(compared.length).toBeGreaterThan(60);

    // an app of the same workspace is as foreign to another app's user
    for (const caller of ['user', 'otherApp'] as const) {
      const foreign = caller === 'user' ? home.otherApp.id : home.app.id;
      for (const path of ['Query.app', 'Query.node']) {
        const answers = [];
        for (const id of [foreign, `App_${randomUUID()}`]) {
          const { data, errors } = await call(service, path, { id }, callers[caller] ?? {});
          answers.push({ data, errors });
        }
        expect(answers[0]).toEqual(answers[1]);
      }
    }
  },
  heavy,
);

/** What each caller is answered about an account that is connected and shared by `home`'s app; a member and the key alone name no user. */
const sharedRows: Record<string, string> = {
  //                               user otherApp appKey back VIEWER EDITOR ADMIN OWNER operator  away: OWNER user back
  sharedConnection: `              403  403      ok     ok   401    401    401   401   401       401   403  404  ${nobodies('401')}`,
  connectionStatus: `              NOT  404      CONN   NOT  CONN   CONN   CONN  CONN  403       UN    404  404  ${nobodies('401')}`,
  'Connector.sharedConnection': `  null null     CONN   CONN CONN   CONN   CONN  CONN  CONN      null  null null ${nobodies('401')}`,
  node: `                          null null     ok     ok   ok     ok     ok    ok    ok        null  null null ${nobodies('401')}`,
};

test('T11. an account shared by an app × every kind of caller answers as the table says, and its token goes to that app’s backend only', async () => {
  const { service, home, callers } = await createNeighbours();
  const connector = await addTestConnector(service, home.workspace, await startProvider(), undefined, 'SHARED');
  const shared = { service, workspace: home.workspace, app: home.app, connector };
  const page = { ...home.workspace.owner, origin: home.app.origin, 'sec-fetch-site': 'same-origin' };
  expect(await openBack(shared, await startShared(shared, page))).toMatchObject({ connection_status: 'connected' });
  const { accessToken, connection } = await readShared(shared);
  const asks: Record<string, (headers: Headers) => Promise<[GraphqlAnswer, string]>> = {
    sharedConnection: async (headers) => {
      const path = 'Query.sharedConnection';
      const answer = await call(service, path, { connectorId: connector.id }, headers);
      return [answer, outcomeOf(path, answer)];
    },
    connectionStatus: async (headers) => {
      const path = 'Subscription.connectionStatus';
      const answer = await call(service, path, { connectorId: connector.id, appId: home.app.id }, headers);
      return [answer, outcomeOf(path, answer)];
    },
    'Connector.sharedConnection': async (headers) => {
      const query =
        'query ($id: ID!, $appId: ID!) { connector(id: $id) { sharedConnection(appId: $appId) { status } } }';
      const answer = await service.graphql(query, { id: connector.id, appId: home.app.id }, headers);
      const found = answer.data?.connector as { sharedConnection: { status: string } | null } | null | undefined;
      const code = answer.errors[0]?.extensions?.code as string | undefined;
      return [answer, found?.sharedConnection?.status ?? code ?? 'null'];
    },
    node: async (headers) => {
      const answer = await call(service, 'Query.node', { id: connection.id }, headers);
      return [answer, outcomeOf('Query.node', answer)];
    },
  };
  const actual: Record<string, string[]> = {};
  for (const [name, ask] of Object.entries(asks)) {
    actual[name] = [];
    for (const [caller, headers] of Object.entries(callers)) {
      const [answer, outcome] = await ask(headers);
      actual[name].push(words[outcome] ?? outcome);
      const mayHoldToken = name === 'sharedConnection' && ['appKey', 'backend'].includes(caller);
      expect(JSON.stringify(answer.data).includes(accessToken), `${name} by ${caller}`).toBe(mayHoldToken);
      const isMember = ['VIEWER', 'EDITOR', 'ADMIN', 'OWNER', 'operator'].includes(caller);
      if (!isMember) expect(JSON.stringify(answer.data), `${name} by ${caller}`).not.toContain('"ownedBy":"');
    }
  }
  expect(lines(actual)).toEqual(expectedLines(sharedRows));
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});

/** `node(id)` of each type with an id, by the same columns. */
const nodeRows: Record<string, string> = {
  //                          user otherApp appKey back  VIEWER EDITOR ADMIN OWNER operator  away: OWNER user back
  App: `                      ok   null     ok     ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  AppKey: `                   null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  AppUserConnection: `        ok   null     null   ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  AuditEvent: `               null null     null   null  null   null   ok    ok    ok        null  null null  ${nobodies('401')}`,
  Connector: `                ok   ok       ok     ok    ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  DeletedConnector: `         null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  Revocation: `               null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  Workspace: `                null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  WorkspaceKey: `             null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
  WorkspaceMember: `          null null     null   null  ok     ok     ok    ok    ok        null  null null  ${nobodies('401')}`,
};

test('T11. node(id) answers every type of thing to those who may see it, and null to everybody else', async () => {
  expect(Object.keys(nodeRows).sort()).toEqual([...nodeTypes].sort());
  const { service, home, connected, callers } = await createNeighbours();
  const ids: Record<string, string> = {
    App: home.app.id,
    AppKey: home.appKeyId,
    AppUserConnection: connected.connectionId,
    AuditEvent: await auditEventOf(service, home),
    Connector: home.connectorId,
    ...(await deleteConnectorOf(service, home)),
    Workspace: home.workspace.id,
    WorkspaceKey: home.workspaceKeyId,
    WorkspaceMember: home.memberId,
  };
  const actual: Record<string, string[]> = {};
  for (const [type, id] of Object.entries(ids)) {
    actual[type] = [];
    for (const headers of Object.values(callers)) {
      const answer = await call(service, 'Query.node', { id }, headers);
      const outcome = outcomeOf('Query.node', answer);
      actual[type].push(words[outcome] ?? outcome);
      if (outcome === 'ok') expect(field<{ __typename: string }>(answer, 'node').__typename).toBe(type);
      if (outcome === 'null') expect(answer.errors).toEqual([]);
    }
  }
  expect(lines(actual)).toEqual(expectedLines(nodeRows));
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});

test('T11. lists hold what is of the caller’s own workspace and nothing else', async () => {
  const { service, home, away, connected, callers } = await createNeighbours();
  const ask = async (query: string, caller: string) =>
    JSON.stringify((await service.graphql(query, {}, callers[caller] ?? {})).data);
  const everything = `{ workspaces { edges { node { id
    members { edges { node { id subject } } } keys { edges { node { id } } }
    apps { edges { node { id origins { origin } redirectUris { uri } connectors { edges { node { id redirectUris { uri } } } } keys { edges { node { id } } } } } }
    connectors { edges { node { id redirectUris { uri } } } } } } } }`;
  const idsOf = (place: Place) => [
    place.workspace.id,
    place.app.id,
    place.otherApp.id,
    place.app.origin,
    place.connectorId,
    place.appKeyId,
    place.workspaceKeyId,
    place.memberId,
    place.memberSubject,
  ];

  const own = await ask(everything, 'VIEWER');
  const foreign = await ask(everything, 'awayOWNER');
  const all = await ask(everything, 'operator');
  for (const id of idsOf(home))
    expect([own, foreign, all].map((text) => text.includes(id))).toEqual([true, false, true]);
  for (const id of idsOf(away))
    expect([own, foreign, all].map((text) => text.includes(id))).toEqual([false, true, true]);

  const page = '{ availableConnectors { id name redirectUris { uri } currentUserConnection { id status } } }';
  const seen = await ask(page, 'user');
  expect(seen).toContain(home.connectorId);
  expect(seen).toContain(connected.connectionId);
  expect(seen).not.toContain(home.otherApp.origin);
  expect(await ask(page, 'otherApp')).not.toContain(connected.connectionId);
  const theirs = await ask(page, 'awayUser');
  expect(theirs).toContain(away.connectorId);
  for (const id of [...idsOf(home), connected.connectorId, connected.connectionId]) expect(theirs).not.toContain(id);
});
