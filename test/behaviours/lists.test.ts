import { expect, test } from 'vitest';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  createWorkspaceKey,
  field,
  operatorKey,
  type Service,
  startService,
  type TestApp,
  type TestWorkspace,
} from '../support/harness.ts';
import { connectByCookie, disconnectAppUser } from '../support/journey.ts';
import { connectUser, deleteConnector, eventually, readAs, type Scene, setPlan, setScene } from '../support/scene.ts';
import { recordSql } from '../support/sql-log.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

type Headers = Record<string, string>;
type Page<T> = { edges: { node: T; cursor: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };

const operator = { authorization: `Bearer ${operatorKey}` };

async function mutate(service: Service, name: string, input: Record<string, unknown>, headers: Headers, select = '') {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const answer = await service.graphql(
    `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ${type}Payload { ${select || '__typename'} } ... on UserError { message } } }`,
    { input },
    headers,
  );
  const result = field<Record<string, never>>(answer, name);
  if (result.__typename !== `${type}Payload`) throw new Error(JSON.stringify(result));
  return result;
}

/** One list of the workspace, as its owner asks for it. */
async function listOf<T>(service: Service, { id, owner }: TestWorkspace, list: string, select: string): Promise<T[]> {
  const answer = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { list: ${list} { edges { node { ${select} } } } } }`,
    { id },
    owner,
  );
  expect(answer.errors).toEqual([]);
  return field<{ list: Page<T> }>(answer, 'workspace').list.edges.map(({ node }) => node);
}

async function namesOf(service: Service, workspace: TestWorkspace, list: string): Promise<string[]> {
  return (await listOf<{ name: string }>(service, workspace, list, 'name')).map(({ name }) => name);
}

test('9. connectors and apps of a workspace are listed by name, provider and kind; no sign in a search stands for others', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const connectors = [
    { name: 'Team calendar', providerKey: 'googlecalendar', kind: 'SHARED' },
    { name: 'My calendar', providerKey: 'googlecalendar', kind: 'APP_USER' },
    { name: 'Sales 100%', providerKey: 'slack', kind: 'APP_USER' },
    { name: 'a_b\\c', providerKey: 'github', kind: 'APP_USER' },
  ];
  for (const connector of connectors) {
    await mutate(service, 'addConnector', { workspaceId: workspace.id, scopes: ['x'], ...connector }, workspace.owner);
  }
  const all = connectors.map(({ name }) => name);
  const wanted: [string, string[]][] = [
    ['', all],
    ['filter: {}', all],
    ['filter: null', all],
    ['filter: { search: null, kind: null, providerKey: null }', all],
    ['filter: { search: "  " }', all],
    ['filter: { search: " CALENDAR " }', ['Team calendar', 'My calendar']],
    ['filter: { search: "calendar", kind: SHARED }', ['Team calendar']],
    ['filter: { providerKey: " GoogleCalendar " }', ['Team calendar', 'My calendar']],
    ['filter: { providerKey: "googlecalendar", kind: APP_USER }', ['My calendar']],
    ['filter: { kind: SHARED }', ['Team calendar']],
    ['filter: { providerKey: "custom" }', []],
    ['filter: { search: "%" }', ['Sales 100%']],
    ['filter: { search: "_" }', ['a_b\\c']],
    ['filter: { search: "\\\\" }', ['a_b\\c']],
    ['filter: { search: "aXb" }', []],
    ['first: 1, filter: { search: "calendar" }', ['Team calendar']],
  ];
  for (const [args, names] of wanted) {
    const list = args === '' ? 'connectors' : `connectors(${args})`;
    expect([args, await namesOf(service, workspace, list)]).toEqual([args, names]);
  }
  // the same through an app, where they come along with it
  const app = await createTestApp(service, workspace);
  const answer = await service.graphql(
    `query ($id: ID!) { app(id: $id) {
       all: connectors { edges { node { name } } } second: connectors(first: 1, filter: { search: "calendar" }) { edges { node { name } cursor } pageInfo { hasNextPage endCursor } } } }`,
    { id: app.id },
    await app.user('one'),
  );
  const seen = field<{ all: Page<{ name: string }>; second: Page<{ name: string }> }>(answer, 'app');
  expect(seen.all.edges.map(({ node }) => node.name)).toEqual(all);
  expect(seen.second.edges.map(({ node }) => node.name)).toEqual(['Team calendar']);
  expect(seen.second.pageInfo.hasNextPage).toBe(true);
  const next = await service.graphql(
    `query ($id: ID!, $after: String) { app(id: $id) { connectors(after: $after, filter: { search: "calendar" }) { edges { node { name } } pageInfo { hasNextPage } } } }`,
    { id: app.id, after: seen.second.pageInfo.endCursor },
    await app.user('one'),
  );
  expect(field(next, 'app')).toEqual({
    connectors: { edges: [{ node: { name: 'My calendar' } }], pageInfo: { hasNextPage: false } },
  });

  for (const name of ['Kiosk', 'Kitchen']) {
    const identity = { secret: { issuer: 'https://identity.example.com', audience: 'audience' } };
    await mutate(service, 'createApp', { workspaceId: workspace.id, name, origins: [], identity }, workspace.owner);
  }
  expect(await namesOf(service, workspace, 'apps(filter: { search: "ki" })')).toEqual(['Kiosk', 'Kitchen']);
  expect(await namesOf(service, workspace, 'apps(filter: { search: "kit" })')).toEqual(['Kitchen']);
});

test('3. members are listed by role, keys by role and by whether they were revoked', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  for (const [subject, role] of [
    ['person-one', 'EDITOR'],
    ['person-two', 'VIEWER'],
    ['person-three', 'EDITOR'],
  ]) {
    await mutate(service, 'setWorkspaceMember', { workspaceId: workspace.id, subject, role }, workspace.owner);
  }
  const members = (list: string) => listOf<{ subject: string }>(service, workspace, list, 'subject');
  expect(await members('members(filter: { role: EDITOR })')).toEqual([
    { subject: 'person-one' },
    { subject: 'person-three' },
  ]);
  expect(await members('members(filter: { role: OWNER })')).toEqual([]);
  expect(await members('members')).toHaveLength(3);

  for (const role of ['VIEWER', 'EDITOR']) await createWorkspaceKey(service, workspace.id, role);
  const input = { workspaceId: workspace.id, name: 'Lost', role: 'VIEWER' };
  const { workspaceKey } = await mutate(service, 'createWorkspaceKey', input, workspace.owner, 'workspaceKey { id }');
  const { id } = workspaceKey as unknown as { id: string };
  await mutate(service, 'revokeWorkspaceKey', { workspaceKeyId: id }, workspace.owner);
  const keys = (filter: string) => namesOf(service, workspace, `keys(filter: { ${filter} })`);
  expect(await keys('')).toEqual(['OWNER', 'VIEWER', 'EDITOR', 'Lost']);
  expect(await keys('role: VIEWER')).toEqual(['VIEWER', 'Lost']);
  expect(await keys('revoked: true')).toEqual(['Lost']);
  expect(await keys('revoked: false')).toEqual(['OWNER', 'VIEWER', 'EDITOR']);
  expect(await keys('revoked: false, role: VIEWER')).toEqual(['VIEWER']);
});

test('6. workspaces are listed by name and plan, to a member their own and no other by any filter', async () => {
  const service = await startService();
  const made: Record<string, string> = {};
  for (const [name, plan] of [
    ['North', 'FREE'],
    ['Northwest', 'PRO'],
    ['South', 'PRO'],
  ] as const) {
    const result = await mutate(service, 'createWorkspace', { name, plan }, operator, 'workspace { id }');
    made[name] = (result.workspace as unknown as { id: string }).id;
  }
  const names = async (filter: Record<string, unknown>, headers: Headers) => {
    const asked = 'query ($filter: WorkspaceFilter) { workspaces(filter: $filter) { edges { node { name } } } }';
    const page = field<Page<{ name: string }>>(await service.graphql(asked, { filter }, headers), 'workspaces');
    return page.edges.map(({ node }) => node.name);
  };
  expect(await names({ search: 'north' }, operator)).toEqual(['North', 'Northwest']);
  expect(await names({ plan: 'PRO' }, operator)).toEqual(['Northwest', 'South']);
  expect(await names({ plan: 'PRO', search: 'NORTH' }, operator)).toEqual(['Northwest']);
  const member = { authorization: `Bearer ${await createWorkspaceKey(service, made.North ?? '', 'OWNER')}` };
  expect(await names({}, member)).toEqual(['North']);
  expect(await names({ search: 'north' }, member)).toEqual(['North']);
  expect(await names({ plan: 'PRO' }, member)).toEqual([]);
  for (const search of ['a\u0000b', '\ud800', 'x'.repeat(70_000), "'; --"]) {
    expect([search, await names({ search }, operator)]).toEqual([search, []]);
  }
});

interface Listed {
  id: string;
  status: string;
  reconnectReason: string | null;
  account: { email: string } | null;
}

async function connectionsOf(
  { service, workspace, connector }: Scene,
  args: Record<string, unknown> = {},
  headers: Headers = workspace.owner,
) {
  return service.graphql(
    `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $filter: ConnectionFilter) { connector(id: $id) {
       connections(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
         edges { cursor node { id status reconnectReason account { email } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`,
    { id: connector.id, ...args },
    headers,
  );
}

async function listed(scene: Scene, filter: Record<string, unknown> | null = null): Promise<string[]> {
  const answer = await connectionsOf(scene, { filter });
  expect(answer.errors).toEqual([]);
  const { edges } = field<{ connections: Page<Listed> }>(answer, 'connector').connections;
  return edges
    .map(({ node: { status, reconnectReason, account } }) => [status, reconnectReason, account?.email].filter(Boolean))
    .map((words) => words.join(' '))
    .sort();
}

test('45. members see who is connected through a connector, by status and app: accounts and statuses, never a token', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, app, provider, connector } = scene;
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  await connectUser(scene, 'fine');
  await connectUser(scene, 'refused', 'green');
  await connectUser(scene, 'gone');
  await connectByCookie(service, await other.browser('fine'), connector.id, { account: 'green' });
  const token = await readAs(scene, 'fine');
  await disconnectAppUser(service, await app.user('gone'), connector.id);
  const { accessTokenFingerprint } = await readAs(scene, 'refused');
  const { stop } = answerTokenRequests(provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  await readAs(scene, 'refused', { rejectedTokenFingerprint: accessTokenFingerprint });
  stop();

  const refused = 'RECONNECT_REQUIRED ACCESS_REVOKED green@example.com';
  const connected = ['CONNECTED blue@example.com', 'CONNECTED green@example.com'];
  expect(await listed(scene)).toEqual([...connected, 'NOT_CONNECTED', refused]);
  expect(await listed(scene, { status: 'CONNECTED' })).toEqual(connected);
  expect(await listed(scene, { status: 'RECONNECT_REQUIRED' })).toEqual([refused]);
  expect(await listed(scene, { status: 'NOT_CONNECTED' })).toEqual(['NOT_CONNECTED']);
  expect(await listed(scene, { status: 'UNAVAILABLE' })).toEqual([]);
  expect(await listed(scene, { appId: other.id })).toEqual(['CONNECTED green@example.com']);
  expect(await listed(scene, { appId: app.id, status: 'CONNECTED' })).toEqual(['CONNECTED blue@example.com']);
  for (const appId of ['', 'nothing', workspace.id, 'App_\u0000']) expect(await listed(scene, { appId })).toEqual([]);

  const pages: string[] = [];
  let after: string | null = null;
  do {
    const answer = await connectionsOf(scene, { first: 1, after, filter: { status: 'CONNECTED' } });
    const { connections } = field<{ connections: Page<Listed> }>(answer, 'connector');
    expect(connections.edges).toHaveLength(1);
    pages.push(...connections.edges.map(({ node }) => node.id));
    after = connections.pageInfo.hasNextPage ? connections.pageInfo.endCursor : null;
  } while (after !== null);
  expect(new Set(pages).size).toBe(2);
  const last = await connectionsOf(scene, { last: 1, filter: { status: 'CONNECTED' } });
  expect(field<{ connections: Page<Listed> }>(last, 'connector').connections.edges[0]?.node.id).toBe(pages[1]);

  const viewer = { authorization: `Bearer ${await createWorkspaceKey(service, workspace.id, 'VIEWER')}` };
  for (const headers of [viewer, operator, workspace.owner]) {
    const answer = await connectionsOf(scene, {}, headers);
    expect(answer.errors).toEqual([]);
    expect(JSON.stringify(answer.data)).not.toContain(token.accessToken);
  }
  for (const headers of [await app.user('fine'), await app.backend('fine')]) {
    const answer = await connectionsOf(scene, {}, headers);
    expect(answer.errors[0]?.extensions?.code).toBe('FORBIDDEN');
    expect(JSON.stringify(answer.data)).not.toContain('example.com');
  }
  const stranger = await createWorkspace(service);
  expect((await connectionsOf(scene, {}, stranger.owner)).data).toEqual({ connector: null });

  await setPlan(scene, 'FREE');
  expect(await listed(scene, { status: 'CONNECTED' })).toEqual([]);
  expect(await listed(scene, { status: 'UNAVAILABLE' })).toHaveLength(4);
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});

test('6. the lists cost the same statements at any size and depth, also one that is asked for twice', {
  timeout: 90_000,
}, async () => {
  const service = await startService({ DATA_DIR: 'memory://' });
  const everything = `{ workspaces(first: 10) { edges { node { id name plan availability { kind }
    members { edges { node { subject } } } keys(filter: { revoked: false }) { edges { node { name } } }
    deletedConnectors { edges { node { id progress { total } revocations(first: 5) { edges { node { id receipt } } }
      all: revocations { edges { node { connectionId } } } } } }
    audit(first: 5) { edges { node { id act } } } acts: audit(filter: { acts: [APP_CREATED] }) { edges { node { appId } } }
    owners: members(filter: { role: OWNER }) { edges { node { role } } } revoked: keys(filter: { revoked: true }) { edges { node { id } } }
    found: apps(filter: { search: "a" }, first: 1) { edges { node { name origins { origin } keys(first: 1) { edges { node { prefix } } } } } }
    shared: connectors(filter: { kind: SHARED }) { edges { node { name provider { operatorClient } redirectUris { uri }
      connections(first: 1) { edges { node { status } } } } } }
    apps(first: 5) { edges { node { id origins { origin } redirectUris { uri } keys { edges { node { id } } } first: keys(first: 1) { edges { node { id } } }
      connectors(first: 10, filter: { kind: APP_USER }) { edges { node { id redirectUris { uri }
        connections(filter: { status: CONNECTED }, first: 5) { edges { node { id account { email } connector { id name redirectUris { uri } } } } } } } }
      shared: connectors(first: 1, filter: { kind: SHARED }) { edges { node { name connections { edges { node { id } } } } } } } } }
    connectors(filter: { search: "a" }) { edges { node { id redirectUris { uri }
      connections { edges { node { id status account { email } connector { name } } } } } } } } } } }`;
  const ask = async () => {
    const answer = await service.graphql(everything, {}, operator);
    expect(answer.errors).toEqual([]);
    return JSON.stringify(answer.data);
  };
  const scene = await setScene(service);
  await connectUser(scene, 'one');
  const addMore = async (workspace: TestWorkspace, app: TestApp, count: number) => {
    for (let turn = 0; turn < count; turn += 1) {
      await addTestConnector(service, workspace, scene.provider, ['openid'], 'SHARED');
      const connector = await addTestConnector(service, workspace, scene.provider, ['openid']);
      await connectByCookie(service, await app.browser('one'), connector.id);
      await deleteConnector({ ...scene, workspace, connector });
      await revokeNewKey(service, workspace);
    }
  };
  const everyGrantIsQueued = (count: number) =>
    expect.poll(async () => (await ask()).match(/"receipt"/g)?.length, eventually).toBe(count);
  await addMore(scene.workspace, scene.app, 1);
  await everyGrantIsQueued(1);
  const small = await recordSql(ask);

  for (let workspaces = 0; workspaces < 2; workspaces += 1) {
    const workspace = await createWorkspace(service);
    const app = await createTestApp(service, workspace);
    await addMore(workspace, app, 2);
    await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
    for (let connectors = 0; connectors < 3; connectors += 1) {
      const connector = await addTestConnector(service, workspace, scene.provider);
      for (const user of ['one', 'two']) await connectByCookie(service, await app.browser(user), connector.id);
    }
  }
  await everyGrantIsQueued(5);
  let text = '';
  const large = await recordSql(async () => {
    text = await ask();
  });
  expect(text.match(/"email"/g)?.length).toBeGreaterThan(30);
  expect(tablesOf(small.statements)).toMatchInlineSnapshot(`
    {
      "app": 7,
      "app_key": 3,
      "app_origin": 6,
      "audit_event": 3,
      "connection": 2,
      "connector": 12,
      "operator_client": 1,
      "outbox_item": 4,
      "provider_availability": 6,
      "unnest": 4,
      "workspace": 12,
      "workspace_key": 2,
      "workspace_member": 2,
    }
  `);
  expect(tablesOf(large.statements)).toEqual(tablesOf(small.statements));
});

async function revokeNewKey(service: Service, workspace: TestWorkspace): Promise<void> {
  const input = { workspaceId: workspace.id, name: 'Old', role: 'VIEWER' };
  const made = await mutate(service, 'createWorkspaceKey', input, workspace.owner, 'workspaceKey { id }');
  const { id } = made.workspaceKey as unknown as { id: string };
  await mutate(service, 'revokeWorkspaceKey', { workspaceKeyId: id }, workspace.owner, 'revokedWorkspaceKeyId');
}

/** How many statements read each table first. */
function tablesOf(statements: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const statement of statements) {
    const table = /FROM (?:"public"\.)?"?(\w+)"?/.exec(statement)?.[1] ?? statement;
    counts[table] = (counts[table] ?? 0) + 1;
  }
  return counts;
}
