import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { call, calls, createPlace, outcomeOf } from '../support/calls.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  createWorkspaceKey,
  field,
  type GraphqlAnswer,
  operatorKey,
  type Service,
  startProvider,
  startService,
  type TestWorkspace,
} from '../support/harness.ts';
import { type Issuer, signJwt, startIssuer } from '../support/issuer.ts';
import {
  completeConnection,
  connect,
  connectAppUser,
  connectByCookie,
  connectionOf,
  readToken,
  returnOf,
} from '../support/journey.ts';

type Headers = Record<string, string>;

const operator = { authorization: `Bearer ${operatorKey}` };

/** What a mutation answers: its type, its code, and what of errors is asked for here. */
interface Outcome {
  __typename: string;
  code?: string;
  message?: string;
  fields?: { path: string; message: string }[];
  requiredPlan?: string;
  currentPlan?: string;
}

async function mutate(service: Service, name: string, input: Record<string, unknown>, headers: Headers, select = '') {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const answer = await service.graphql(
    `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ${type}Payload { ${select || '__typename'} }
       ... on UserError { code message } ... on ValidationError { fields { path message } }
       ... on PlanRequiredError { requiredPlan currentPlan } } }`,
    { input },
    headers,
  );
  return field<Outcome & Record<string, unknown>>(answer, name);
}

const setPlan = (service: Service, workspace: TestWorkspace, plan: string) =>
  mutate(service, 'setWorkspacePlan', { workspaceId: workspace.id, plan }, operator);

const github = (workspace: TestWorkspace) => ({
  workspaceId: workspace.id,
  providerKey: 'github',
  name: 'Code',
  clientId: 'id',
  clientSecret: 'secret',
  scopes: ['repo'],
});

const secretIdentity = { secret: { issuer: 'https://identity.example.com', audience: 'audience' } };

test('1. a connector is defined once in the workspace and usable from every app of it, present and future', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const present = await createTestApp(service, workspace);
  const added = await mutate(service, 'addConnector', github(workspace), workspace.owner, 'connector { id }');
  const { id } = added.connector as { id: string };
  const future = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://future.example.com' }]);

  for (const app of [present, future]) {
    const user = await app.user('one');
    const page = await service.graphql('{ availableConnectors { id name } }', {}, user);
    expect(page.data).toEqual({ availableConnectors: [{ id, name: 'Code' }] });
    const started = field(await connectAppUser(service, user, { connectorId: id }), 'connectAppUser');
    expect(started.__typename).toBe('ConnectAppUserPayload');
  }
});

test('2. below BUILDER nothing can be added, edited, connected or read, nothing is lost, and an upgrade restores everything at once', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const provider = await startProvider();
  const connector = await addTestConnector(service, workspace, provider);
  const user = await app.browser('one');
  const backend = await app.backend('one');
  await connectByCookie(service, user, connector.id);
  const before = field<{ accessToken: string }>(
    await readToken(service, backend, connector.id),
    'currentAppUserConnection',
  );
  const parked = await connect(service, await app.backend('two'), connector.id);
  const connectCode = returnOf(parked.response).params.connect_code ?? '';

  for (const plan of ['FREE', 'STARTER']) {
    await setPlan(service, workspace, plan);
    const refused = {
      __typename: 'PlanRequiredError',
      code: 'PLAN_REQUIRED',
      requiredPlan: 'BUILDER',
      currentPlan: plan,
    };
    expect(await mutate(service, 'addConnector', github(workspace), workspace.owner)).toMatchObject(refused);
    const shared = { ...github(workspace), kind: 'SHARED' };
    expect(await mutate(service, 'addConnector', shared, workspace.owner)).toMatchObject(refused);
    const edit = { connectorId: connector.id, name: 'Renamed', scopes: ['openid'] };
    expect(await mutate(service, 'editConnector', edit, workspace.owner)).toMatchObject(refused);
    const connectInput = { connectorId: connector.id };
    expect(await mutate(service, 'connectAppUser', connectInput, user)).toMatchObject(refused);
    expect(field(await readToken(service, backend, connector.id), 'currentAppUserConnection')).toMatchObject({
      ...refused,
      message: expect.stringContaining('Nothing was lost'),
      remedy: { actor: 'OPERATOR' },
    });
    expect(await connectionOf(service, user, connector.id)).toMatchObject({
      status: 'UNAVAILABLE',
      problem: { code: 'PLAN_REQUIRED' },
    });
  }
  const code = await completeConnection(service, await app.user('two'), connectCode);
  expect(field(code, 'completeConnection').__typename).toBe('PlanRequiredError');
  expect(provider.counts.authorization_code).toBe(1);

  await setPlan(service, workspace, 'BUILDER');
  const after = await readToken(service, backend, connector.id);
  expect(field(after, 'currentAppUserConnection')).toMatchObject({ accessToken: before.accessToken });
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'CONNECTED', problem: null });
  const page = await service.graphql('{ availableConnectors { name scopes } }', {}, user);
  expect(page.data).toEqual({
    availableConnectors: [{ name: 'Calendar', scopes: ['openid', 'email', 'calendar.read'] }],
  });
});

test('2. PRO, ELITE and ENTERPRISE include connectors too; a workspace made without a plan has DEFAULT_PLAN', async () => {
  const service = await startService({ DEFAULT_PLAN: 'STARTER' });
  const made = await mutate(service, 'createWorkspace', { name: 'Workspace' }, operator, 'workspace { plan }');
  expect(made.workspace).toEqual({ plan: 'STARTER' });
  const workspace = await createWorkspace(service, 'FREE');
  for (const plan of ['PRO', 'ELITE', 'ENTERPRISE']) {
    await setPlan(service, workspace, plan);
    const added = await mutate(service, 'addConnector', github(workspace), workspace.owner);
    expect([plan, added.__typename]).toEqual([plan, 'AddConnectorPayload']);
  }
});

/** The lowest roles that may, as rows: OWNER ADMIN EDITOR VIEWER. */
const roleRows: Record<string, string> = {
  'Mutation.addConnector': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.editConnector': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.deleteConnector': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.createApp': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.editApp': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.deleteApp': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.createAppKey': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.revokeAppKey': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.createWorkspaceKey': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.revokeWorkspaceKey': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.setWorkspaceMember': 'ok ok FORBIDDEN FORBIDDEN',
  'Mutation.removeWorkspaceMember': 'ok ok FORBIDDEN FORBIDDEN',
  'Query.workspace': 'ok ok ok ok',
  'Query.workspaces': 'ok ok ok ok',
  'Query.app': 'ok ok ok ok',
  'Query.connector': 'ok ok ok ok',
};
const roles = ['OWNER', 'ADMIN', 'EDITOR', 'VIEWER'];

/** A service whose admins are people who sign in at an issuer of their own. */
async function startServiceWithPeople(): Promise<{ service: Service; admins: Issuer }> {
  const admins = await startIssuer('console');
  const service = await startService({
    ADMIN_ISSUER: admins.issuer,
    ADMIN_AUDIENCE: admins.audience,
    ADMIN_JWKS_URL: admins.jwksUrl,
  });
  return { service, admins };
}

test('3. each role may do what its row says, as a workspace key and as a person signed in', async () => {
  const { service, admins } = await startServiceWithPeople();
  const place = await createPlace(service);
  const workspaceId = place.workspace.id;
  const callers: Headers[] = [];
  for (const role of roles) {
    callers.push({ authorization: `Bearer ${await createWorkspaceKey(service, workspaceId, role)}` });
  }
  for (const role of roles) {
    await mutate(service, 'setWorkspaceMember', { workspaceId, subject: role, role }, operator);
    callers.push({ authorization: `Bearer ${await admins.sign({ sub: role })}` });
  }
  const actual: string[] = [];
  for (const path of Object.keys(roleRows)) {
    const outcomes = [];
    for (const headers of callers) {
      outcomes.push(outcomeOf(path, await call(service, path, (await calls[path]?.variables(place)) ?? {}, headers)));
    }
    actual.push(`${path}: ${outcomes.join(' ')}`);
  }
  expect(actual).toEqual(Object.entries(roleRows).map(([path, row]) => `${path}: ${row} ${row}`));
});

test('3. only an OWNER makes an OWNER, of a person or a key, and only an OWNER unmakes one', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const workspaceId = workspace.id;
  const owner = workspace.owner;
  const admin = { authorization: `Bearer ${await createWorkspaceKey(service, workspaceId, 'ADMIN')}` };
  const setMember = (subject: string, role: string, headers: Headers) =>
    mutate(service, 'setWorkspaceMember', { workspaceId, subject, role }, headers);
  const outcomes = [];

  outcomes.push(await setMember('first', 'OWNER', admin));
  outcomes.push(await setMember('first', 'OWNER', owner));
  outcomes.push(await setMember('second', 'OWNER', owner));
  outcomes.push(await setMember('first', 'ADMIN', admin));
  outcomes.push(await mutate(service, 'removeWorkspaceMember', { workspaceId, subject: 'first' }, admin));
  outcomes.push(await mutate(service, 'createWorkspaceKey', { workspaceId, name: 'Key', role: 'OWNER' }, admin));
  outcomes.push(await mutate(service, 'createWorkspaceKey', { workspaceId, name: 'Key', role: 'ADMIN' }, admin));
  expect(outcomes.map(({ __typename }) => __typename)).toEqual([
    'ForbiddenError',
    'SetWorkspaceMemberPayload',
    'SetWorkspaceMemberPayload',
    'ForbiddenError',
    'ForbiddenError',
    'ForbiddenError',
    'CreateWorkspaceKeyPayload',
  ]);

  const ownerKey = { workspaceId, name: 'Key', role: 'OWNER' };
  const made = await mutate(service, 'createWorkspaceKey', ownerKey, owner, 'workspaceKey { id }');
  const { id } = made.workspaceKey as { id: string };
  const revoke = (headers: Headers) => mutate(service, 'revokeWorkspaceKey', { workspaceKeyId: id }, headers);
  expect((await revoke(admin)).__typename).toBe('ForbiddenError');
  expect((await revoke(owner)).__typename).toBe('RevokeWorkspaceKeyPayload');
});

test('3. the last OWNER can be neither removed nor given another role, not even by two calls at once', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const workspaceId = workspace.id;
  const set = (subject: string, role: string, headers: Headers = workspace.owner) =>
    mutate(service, 'setWorkspaceMember', { workspaceId, subject, role }, headers);
  const remove = (subject: string, headers: Headers = workspace.owner) =>
    mutate(service, 'removeWorkspaceMember', { workspaceId, subject }, headers);

  await set('first', 'OWNER');
  for (const refused of [await remove('first'), await set('first', 'VIEWER'), await remove('first', operator)]) {
    expect(refused).toMatchObject({ __typename: 'ForbiddenError', message: expect.stringContaining('last OWNER') });
  }
  await set('second', 'OWNER');
  const both = await Promise.all([remove('first'), remove('second'), set('first', 'ADMIN'), set('second', 'ADMIN')]);
  const refused = both.filter(({ __typename }) => __typename === 'ForbiddenError');
  expect(refused.length).toBeGreaterThan(0);
  const members = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { members { edges { node { role } } } } }`,
    { id: workspaceId },
    workspace.owner,
  );
  const { edges } = field<{ members: { edges: { node: { role: string } }[] } }>(members, 'workspace').members;
  expect(edges.filter(({ node }) => node.role === 'OWNER')).toHaveLength(1);
});

test('3. a person acts in each workspace by their role there, and a key or a membership that ended means nothing from then on', async () => {
  const { service, admins } = await startServiceWithPeople();
  const [one, two] = [await createWorkspace(service), await createWorkspace(service)];
  const person = { authorization: `Bearer ${await admins.sign({ sub: 'person' })}` };
  const member = (workspace: TestWorkspace, role: string) =>
    mutate(service, 'setWorkspaceMember', { workspaceId: workspace.id, subject: 'person', role }, workspace.owner);
  await member(one, 'ADMIN');
  await member(two, 'VIEWER');
  expect((await mutate(service, 'addConnector', github(one), person)).__typename).toBe('AddConnectorPayload');
  expect((await mutate(service, 'addConnector', github(two), person)).__typename).toBe('ForbiddenError');
  const viewer = await service.graphql(
    '{ viewer { ... on MemberViewer { subject memberships { role workspace { id } } } } }',
    {},
    person,
  );
  const { subject, memberships } = field<{ subject: string; memberships: unknown[] }>(viewer, 'viewer');
  expect(subject).toBe('person');
  expect(memberships).toHaveLength(2);
  expect(memberships).toContainEqual({ role: 'ADMIN', workspace: { id: one.id } });
  expect(memberships).toContainEqual({ role: 'VIEWER', workspace: { id: two.id } });

  await mutate(service, 'removeWorkspaceMember', { workspaceId: one.id, subject: 'person' }, one.owner);
  expect((await mutate(service, 'addConnector', github(one), person)).__typename).toBe('NotFoundError');
  for (const token of [
    await admins.sign({ sub: 'person' }, 'another'),
    await admins.sign({ sub: 'person', exp: -1 }),
  ]) {
    const answer = await mutate(service, 'addConnector', github(two), { authorization: `Bearer ${token}` });
    expect(answer.__typename).toBe('UnauthenticatedError');
  }
});

/** What an origin becomes, or what is wrong with it. */
const originCases: [input: string, kept: string | null][] = [
  ['https://shop.example.com', 'https://shop.example.com'],
  [' https://SHOP.example.com/ ', 'https://shop.example.com'],
  ['https://shop.example.com:443', 'https://shop.example.com'],
  ['https://shop.example.com:8443', 'https://shop.example.com:8443'],
  ['https://münchen.example.com', 'https://xn--mnchen-3ya.example.com'],
  ['http://localhost:3000', 'http://localhost:3000'],
  ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['http://app.localhost:3000', 'http://app.localhost:3000'],
  ['https://localhost', 'https://localhost'],
  ['http://shop.example.com', null],
  ['http://localhost.example.com', null],
  ['http://localhost@shop.example.com', null],
  ['https://shop.example.com/path', null],
  ['https://shop.example.com/?a=1', null],
  ['https://shop.example.com#a', null],
  ['https://shop.example.com//', null],
  ['https://user:pass@shop.example.com', null],
  ['https://*.example.com', null],
  ['https://%2a.example.com', null],
  ['https://＊.example.com', null],
  ['https://shop.example.com\\', null],
  ['https://shop.exa mple.com', null],
  ['https://shop.exam\nple.com', null],
  ['https://', null],
  ['https:shop.example.com', null],
  ['//shop.example.com', null],
  ['shop.example.com', null],
  ['ftp://shop.example.com', null],
  ['javascript:alert(1)', null],
  ['null', null],
  ['*', null],
  ['', null],
  ['https://shop.example.com:99999', null],
  [`https://${'a'.repeat(250)}.example.com`, null],
];

test('4. an origin is https, or http on localhost, without path and wildcard; everything else is refused and nothing is written', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, []);
  const edit = (origin: string) =>
    mutate(
      service,
      'editApp',
      { appId: app.id, name: `For ${origin}`.trim().slice(0, 20), origins: [{ kind: 'CUSTOM', origin }] },
      workspace.owner,
      'app { origins { kind origin } }',
    );
  for (const [origin, kept] of originCases) {
    const answer = await edit(origin);
    if (kept === null) {
      expect({ origin, ...answer }).toMatchObject({
        origin,
        __typename: 'ValidationError',
        fields: [{ path: 'input.origins.0.origin' }],
      });
    } else {
      const own = { kind: 'SERVICE', origin: service.config.publicUrl };
      expect([origin, answer.app]).toEqual([origin, { origins: [{ kind: 'CUSTOM', origin: kept }, own] }]);
    }
  }
  const stored = await service.graphql(`query ($id: ID!) { app(id: $id) { name } }`, { id: app.id }, workspace.owner);
  expect(stored.data?.app).toEqual({ name: 'For https://localhos' }); // the last one that was taken
});

test('4. an app has at most one LIVE origin, any number of CUSTOM and PREVIEW ones, none twice, and none of kind SERVICE', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const create = (origins: { kind: string; origin: string }[]) =>
    mutate(
      service,
      'createApp',
      { workspaceId: workspace.id, name: 'App', origins, identity: secretIdentity },
      workspace.owner,
      'app { origins { kind origin } }',
    );
  const at = (kind: string, name: string) => ({ kind, origin: `https://${name}.example.com` });

  const many = [at('PREVIEW', 'p1'), at('CUSTOM', 'c1'), at('LIVE', 'live'), at('PREVIEW', 'p2'), at('CUSTOM', 'c2')];
  expect((await create(many)).app).toEqual({
    origins: [
      at('LIVE', 'live'),
      at('CUSTOM', 'c1'),
      at('CUSTOM', 'c2'),
      at('PREVIEW', 'p1'),
      at('PREVIEW', 'p2'),
      { kind: 'SERVICE', origin: service.config.publicUrl },
    ],
  });
  const paths = async (origins: { kind: string; origin: string }[]) =>
    (await create(origins)).fields?.map(({ path }) => path);
  expect(await paths([at('LIVE', 'a'), at('LIVE', 'b')])).toEqual(['input.origins']);
  expect(await paths([at('LIVE', 'a'), at('CUSTOM', 'A')])).toEqual(['input.origins.1.origin']);
  expect(await paths([at('SERVICE', 'a')])).toEqual(['input.origins.0.kind']);
  expect(await paths([at('LIVE', '*'), at('SERVICE', 'b'), at('CUSTOM', 'c/d')])).toEqual([
    'input.origins.0.origin',
    'input.origins.1.kind',
    'input.origins.2.origin',
  ]);
  const all = await service.graphql(
    'query ($id: ID!) { workspace(id: $id) { apps { edges { cursor } } } }',
    { id: workspace.id },
    workspace.owner,
  );
  expect(field<{ apps: { edges: unknown[] } }>(all, 'workspace').apps.edges).toHaveLength(1);
});

test('4. within a workspace an origin belongs to one app, localhost excepted; a deleted app frees its origins; another workspace is no matter', async () => {
  const service = await startService();
  const [workspace, other] = [await createWorkspace(service), await createWorkspace(service)];
  const origin = 'https://app.example.com';
  const create = (origins: string[], by = workspace) =>
    mutate(
      service,
      'createApp',
      {
        workspaceId: by.id,
        name: 'App',
        origins: origins.map((own) => ({ kind: 'CUSTOM', origin: own })),
        identity: secretIdentity,
      },
      by.owner,
      'app { id }',
    );
  const first = await create([origin, 'http://localhost:3000']);
  expect(first.__typename).toBe('CreateAppPayload');
  expect(await create(['https://free.example.com', 'HTTPS://APP.example.com:443'])).toMatchObject({
    __typename: 'ValidationError',
    fields: [{ path: 'input.origins.1.origin', message: `${origin} belongs to another app of this workspace.` }],
  });
  expect((await create(['http://localhost:3000'])).__typename).toBe('CreateAppPayload');
  expect((await create([origin], other)).__typename).toBe('CreateAppPayload');
  const again = { appId: (first.app as { id: string }).id, origins: [{ kind: 'LIVE', origin }] };
  expect((await mutate(service, 'editApp', again, workspace.owner)).__typename).toBe('EditAppPayload');
  expect((await create(['https://free.example.com'])).__typename).toBe('CreateAppPayload'); // the refused call kept nothing

  await mutate(service, 'deleteApp', { appId: again.appId, confirm: true }, workspace.owner);
  expect((await create([origin])).__typename).toBe('CreateAppPayload');
});

test('4. of many apps that claim one origin at once, one gets it and the others are told in words', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const apps = await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      createTestApp(service, workspace, [{ kind: 'LIVE', origin: `https://${name}.example.com` }]),
    ),
  );
  const origins = [{ kind: 'CUSTOM', origin: 'https://wanted.example.com' }];
  const claims = await Promise.all([
    ...apps.map((app) => mutate(service, 'editApp', { appId: app.id, origins }, workspace.owner)),
    ...[1, 2, 3].map(() =>
      mutate(
        service,
        'createApp',
        { workspaceId: workspace.id, name: 'App', origins, identity: secretIdentity },
        workspace.owner,
      ),
    ),
  ]);
  const taken = claims.filter(({ __typename }) => __typename.endsWith('Payload'));
  const refused = claims.filter(({ __typename }) => __typename === 'ValidationError');
  expect([taken.length, refused.length]).toEqual([1, 5]);
  for (const { message } of refused) {
    expect(message).toBe('https://wanted.example.com belongs to another app of this workspace.');
  }
});

/** What a call that only a signed-in app user may make comes to. */
async function outcomeFor(service: Service, headers: Headers, connectorId: string): Promise<Outcome> {
  return mutate(service, 'connectAppUser', { connectorId }, headers);
}

test('5. anonymous calls, and tokens that are expired, foreign, incomplete or another app’s, get UnauthenticatedError', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  const added = await mutate(service, 'addConnector', github(workspace), workspace.owner, 'connector { id }');
  const { id } = added.connector as { id: string };

  const key = new TextEncoder().encode(app.identity.secret);
  const right = { iss: app.identity.issuer, aud: app.identity.audience };
  const token = (claims: Parameters<typeof signJwt>[2]) => signJwt(key, { alg: 'HS256' }, { ...right, ...claims });
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = { sub: 'one', ...right, exp: Math.floor(Date.now() / 1000) + 3600 };
  const tokens: Record<string, string> = {
    expired: await token({ exp: -1 }),
    'not yet valid': await token({ nbf: 3600 }),
    'without expiry': await token({ exp: null }),
    'of another issuer': await token({ iss: 'https://elsewhere.example.com' }),
    'without issuer': await token({ iss: null }),
    'for another audience': await token({ aud: other.identity.audience }),
    'without audience': await token({ aud: null }),
    'without subject': await token({ sub: null }),
    'with an empty subject': await token({ sub: '' }),
    'with too long a subject': await token({ sub: 'x'.repeat(256) }),
    'with a control character in the subject': await token({ sub: 'on\u0000e' }),
    'of another app': await other.identityToken('one'),
    'signed with another secret': await signJwt(new TextEncoder().encode('x'.repeat(43)), { alg: 'HS256' }, right),
    'signed with HS512': await new SignJWT(payload).setProtectedHeader({ alg: 'HS512' }).sign(key),
    unsigned: `${encode({ alg: 'none' })}.${encode(payload)}.`,
    'no token at all': 'text',
  };
  for (const [what, value] of Object.entries(tokens)) {
    const asUser = { authorization: `Bearer ${value}`, 'x-app-id': app.id };
    expect([what, (await outcomeFor(service, asUser, id)).__typename]).toEqual([what, 'UnauthenticatedError']);
    const asBackend = { authorization: `Bearer ${app.key}`, 'on-behalf-of': `Bearer ${value}` };
    expect([what, (await outcomeFor(service, asBackend, id)).__typename]).toEqual([what, 'UnauthenticatedError']);
  }

  const good = await app.identityToken('one');
  const headers: Record<string, Headers> = {
    anonymous: {},
    'with the app id alone': { 'x-app-id': app.id },
    'without the app id': { authorization: `Bearer ${good}` },
    'for an app that is not there': { authorization: `Bearer ${good}`, 'x-app-id': `App_${randomUUID()}` },
    'for another app': { authorization: `Bearer ${good}`, 'x-app-id': other.id },
    'by another scheme': { authorization: `Basic ${good}`, 'x-app-id': app.id },
    'with a key that is not there': { authorization: `Bearer apk_${'x'.repeat(43)}`, 'on-behalf-of': `Bearer ${good}` },
    'with the app’s key alone': { authorization: `Bearer ${app.key}` },
    'with another app’s key': { authorization: `Bearer ${other.key}`, 'on-behalf-of': `Bearer ${good}` },
    'with a bare On-Behalf-Of': { authorization: `Bearer ${app.key}`, 'on-behalf-of': good },
    'as a member': workspace.owner,
    'as the operator': operator,
  };
  for (const [what, own] of Object.entries(headers)) {
    expect([what, (await outcomeFor(service, own, id)).__typename]).toEqual([what, 'UnauthenticatedError']);
  }
  const absent = await outcomeFor(service, headers['for an app that is not there'] ?? {}, id);
  expect(await outcomeFor(service, headers['for another app'] ?? {}, id)).toEqual(absent); // says nothing of the app

  // and the right one is let in, until it expires
  const user = await app.user('one');
  expect((await outcomeFor(service, user, id)).__typename).toBe('ConnectAppUserPayload');
  service.clock.advance(3_601_000);
  expect(await outcomeFor(service, user, id)).toMatchObject({
    __typename: 'UnauthenticatedError',
    message: 'The identity token has expired.',
  });
});

test('5. an app whose issuer publishes its keys takes that issuer’s tokens and no others', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const [issuer, stranger] = [await startIssuer('app'), await startIssuer('app')];
  const { issuer: iss, audience, jwksUrl } = issuer;
  const created = await mutate(
    service,
    'createApp',
    {
      workspaceId: workspace.id,
      name: 'App',
      origins: [{ kind: 'LIVE', origin: 'https://app.example.com' }],
      identity: { jwks: { issuer: iss, audience, jwksUrl } },
    },
    workspace.owner,
    'app { id identityIssuer identityAudience identityJwksUrl } appKeySecret identitySecret',
  );
  expect(created).toMatchObject({
    app: { identityIssuer: iss, identityAudience: audience, identityJwksUrl: jwksUrl },
    identitySecret: null,
  });
  const { id: appId } = created.app as { id: string };
  const viewerOf = async (token: string): Promise<GraphqlAnswer> =>
    service.graphql(
      '{ viewer { __typename ... on AppUserViewer { userId } } }',
      {},
      { authorization: `Bearer ${token}`, 'x-app-id': appId },
    );

  const answer = await viewerOf(await issuer.sign({ sub: 'one' }));
  expect(answer.data).toEqual({ viewer: { __typename: 'AppUserViewer', userId: 'one' } });
  const publicText = new TextEncoder().encode(JSON.stringify(issuer.publicJwk));
  const refused: Record<string, string> = {
    'signed by a key that is not published': await issuer.sign({}, 'another'),
    'of another issuer': await stranger.sign({}),
    'of another issuer in this one’s name': await stranger.sign({ iss }),
    expired: await issuer.sign({ exp: -1 }),
    'for another audience': await issuer.sign({ aud: 'another' }),
    'without subject': await issuer.sign({ sub: null }),
    'without expiry': await issuer.sign({ exp: null }),
    'HS256 with the public key as secret': await signJwt(
      publicText,
      { alg: 'HS256', kid: 'first' },
      { iss, aud: audience },
    ),
  };
  for (const [what, token] of Object.entries(refused)) {
    const { data, errors } = await viewerOf(token);
    expect([what, data, errors[0]?.extensions?.code]).toEqual([what, null, 'UNAUTHENTICATED']);
  }

  // a shared secret instead: from then on the issuer's tokens are refused
  const edited = await mutate(
    service,
    'editApp',
    { appId, identity: { secret: { issuer: iss, audience } } },
    workspace.owner,
    'app { identityJwksUrl } identitySecret',
  );
  expect(edited).toMatchObject({
    app: { identityJwksUrl: null },
    identitySecret: expect.stringMatching(/^[\w-]{43}$/),
  });
  expect((await viewerOf(await issuer.sign())).errors[0]?.extensions?.code).toBe('UNAUTHENTICATED');
  const secret = new TextEncoder().encode(String(edited.identitySecret));
  const own = await viewerOf(await signJwt(secret, { alg: 'HS256' }, { sub: 'two', iss, aud: audience }));
  expect(own.data).toEqual({ viewer: { __typename: 'AppUserViewer', userId: 'two' } });
});

test('6. whoever is in one workspace can neither read nor change anything in another, and is answered as if it were not there', async () => {
  const service = await startService();
  const [home, away] = [await createPlace(service), await createPlace(service)];
  const look = () =>
    service.graphql(
      `query ($id: ID!) { workspace(id: $id) { name plan members { edges { node { id role } } } keys { edges { node { id revokedAt } } }
         apps { edges { node { id name updatedAt origins { origin } } } } connectors { edges { node { id name scopes updatedAt } } } } }`,
      { id: home.workspace.id },
      home.workspace.owner,
    );
  const attempts = Object.keys(calls).filter((path) => path.startsWith('Mutation.') && calls[path]?.by === 'owner');
  const tried = [];
  for (const path of attempts) {
    const variables = (await calls[path]?.variables(home)) ?? {};
    const before = (await look()).data;
    const outcome = outcomeOf(path, await call(service, path, variables, away.workspace.owner));
    tried.push(`${path}: ${outcome}`);
    expect((await look()).data).toEqual(before);
  }
  expect(tried).toEqual(attempts.map((path) => `${path}: NOT_FOUND`));
  expect(attempts.length).toBeGreaterThanOrEqual(12);

  for (const headers of [away.workspace.owner, await away.app.user('one'), await away.app.backend('one')]) {
    const answer = await service.graphql(
      `query ($workspace: ID!, $app: ID!, $connector: ID!) {
         workspace(id: $workspace) { id } app(id: $app) { id } connector(id: $connector) { id } node(id: $connector) { id } }`,
      { workspace: home.workspace.id, app: home.app.id, connector: home.connectorId },
      headers,
    );
    expect(answer.data).toEqual({ workspace: null, app: null, connector: null, node: null });
    expect(answer.errors).toEqual([]);
  }
});
