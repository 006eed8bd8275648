import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  call,
  calls,
  createPlace,
  inputsGiven,
  inputsOf,
  leavesOf,
  outcomeOf,
  type Place,
  rootFields,
  withLeaf,
} from './support/calls.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  operatorKey,
  type Service,
  startProvider,
  startService,
} from './support/harness.ts';
import { connectByCookie, readToken } from './support/journey.ts';

/** For hundreds of calls on a machine that does other things as well. */
const heavy = 120_000;

type Variables = Record<string, unknown>;

/** All that members of a workspace see of it. */
async function snapshot(service: Service, { workspace }: Place): Promise<unknown> {
  const page = (fields: string) => `(first: 100) { edges { node { ${fields} } } }`;
  const answer = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { name plan members ${page('id subject role')} keys ${page('id name role revokedAt')}
       apps ${page(`id name updatedAt identityIssuer identityAudience origins { kind origin } keys ${page('id revokedAt')}`)}
       connectors ${page('id name clientId hasClientSecret scopes updatedAt')} } workspaces ${page('id name')} }`,
    { id: workspace.id },
    { authorization: `Bearer ${operatorKey}` },
  );
  return field(answer, 'workspace') && answer.data;
}

async function headersOf(place: Place, by: 'operator' | 'owner' | 'backend with user') {
  if (by === 'operator') return { authorization: `Bearer ${operatorKey}` };
  return by === 'owner' ? place.workspace.owner : place.app.backend('one');
}

const noErrorsLogged = (service: Service) =>
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);

test(
  'bad input: every id of every call, empty, garbage, unknown, of another type or of another workspace, is answered like one that does not exist',
  async () => {
    const service = await startService();
    const [place, other] = [await createPlace(service), await createPlace(service)];
    const typedAnswers = new Set(['NOT_FOUND', 'null', 'UNAVAILABLE']);
    const tried: string[] = [];
    for (const path of rootFields) {
      const row = calls[path];
      if (!row) throw new Error(`${path} has no row in test/support/calls.ts`);
      const headers = await headersOf(place, row.by);
      const variables = await row.variables(place);
      const theirs = await row.variables(other);
      for (const { path: at, value } of leavesOf(path, variables).filter(({ typeName }) => typeName === 'ID')) {
        const [type] = String(value).split('_');
        const unknown = `${type}_${randomUUID()}`;
        const foreign = leavesOf(path, theirs).find((leaf) => leaf.path.join() === at.join())?.value;
        const ids: Record<string, string> = {
          empty: '',
          blank: ' ',
          garbage: 'garbage',
          'with a zero byte': `${type}_\u0000`,
          'too long': `${type}_${'x'.repeat(10_000)}`,
          'the bare id': String(value).slice(`${type}_`.length),
          'half an id': `${type}_`,
          'of another type': type === 'App' ? place.connectorId : place.app.id,
          'of a type that there is not': `Nothing_${randomUUID()}`,
          // the operator is in every workspace
          ...(row.by !== 'operator' && { 'of another workspace': String(foreign) }),
        };
        const before = await snapshot(service, place);
        const say = async (id: string) => {
          const answer = await call(service, path, withLeaf(variables, at, id), headers);
          const { status, data, errors } = answer;
          const text = JSON.stringify({ status, data, errors }).replaceAll(/"at":"[^"]+"/g, '"at":0');
          // an event says which id was asked about
          return [outcomeOf(path, answer), text.replace(`"connectorId":${JSON.stringify(id)}`, '"connectorId":0')];
        };
        const reference = await say(unknown);
        expect([path, typedAnswers.has(reference[0] ?? '')]).toEqual([path, true]);
        for (const [what, id] of Object.entries(ids)) {
          // node() takes the id of any type that the caller may see
          if (path === 'Query.node' && what === 'of another type') continue;
          expect([path, what, ...(await say(id))]).toEqual([path, what, ...reference]);
          tried.push(what);
        }
        expect(await snapshot(service, place)).toEqual(before);
      }
    }
    expect(tried.length).toBeGreaterThan(190);
    noErrorsLogged(service);
  },
  heavy,
);

test(
  'bad input: a value of the wrong type, for any argument of the schema, is refused before anything runs, with a sentence that names it',
  async () => {
    const service = await startService();
    const place = await createPlace(service);
    const given = new Set<string>();
    const wanted = new Set<string>();
    for (const path of rootFields) {
      for (const name of inputsOf(path)) wanted.add(name);
      for (const name of inputsGiven(path, (await calls[path]?.variables(place)) ?? {})) given.add(name);
    }
    // the other halves of what takes one of two, and the rest of paging, have tests of their own below; what else an audit is
    // filtered by has them in behaviours/audit.test.ts, for no row of the service's own names an app; a provider's connections are
    // revoked in behaviours/revoke-all.test.ts
    const elsewhere =
      /^(AppIdentityInput\.jwks|JwksIdentityInput\.|CustomProviderInput\.discovery|DiscoveryProviderInput\.|AuditFilterInput\.(appId|connectorId)$|RevokeAllConnectionsInput\.providerKey$|Query\.(workspaces|serviceAudit)\.(after|before|last)$)/;
    expect([...wanted].filter((name) => !given.has(name) && !elsewhere.test(name))).toEqual([]);
    const wrong: Record<string, unknown[]> = {
      ID: [{}, [], true, 1.5, null],
      String: [1, true, {}, ['a', 'b'], null],
      Int: ['1', 1.5, 2 ** 31, {}, true],
      Boolean: ['true', 1, {}, null],
      URL: ['not a url', '', '//host', 1, {}, null],
      Plan: ['GOLD', 'builder', 1, ''],
      WorkspaceRole: ['ROOT', 1, '', null],
      ConnectorKind: ['BOTH', 1, ''],
      OriginKind: ['OTHER', 1, '', null],
      ClientAuthentication: ['JWT', 1, ''],
      AuditAct: ['NOTHING', 1, '', null],
      DateTime: ['yesterday', '', {}],
    };
    let tried = 0;
    for (const path of rootFields.filter((name) => !name.startsWith('Subscription.'))) {
      const row = calls[path];
      if (!row) throw new Error(`${path} has no row in test/support/calls.ts`);
      const variables = await row.variables(place);
      const headers = await headersOf(place, row.by);
      const before = await snapshot(service, place);
      for (const leaf of leavesOf(path, variables)) {
        const values = wrong[leaf.typeName];
        if (!values) throw new Error(`no wrong values for ${leaf.typeName}`);
        for (const value of values) {
          if (value === null && leaf.nullable) continue;
          const answer = await call(service, path, withLeaf(variables, leaf.path, value), headers);
          expect([path, leaf.path.join('.'), value, answer.data]).toEqual([path, leaf.path.join('.'), value, null]);
          const [error] = answer.errors;
          expect(error?.extensions?.code).not.toBe('INTERNAL_SERVER_ERROR');
          expect(error?.message).toContain(`$${String(leaf.path[0])}`);
          tried += 1;
        }
      }
      expect(await snapshot(service, place)).toEqual(before);
    }
    expect(tried).toBeGreaterThan(250);
    noErrorsLogged(service);
  },
  heavy,
);

test(
  'bad input: no text, however odd, breaks anything: each gets a typed answer, and a refused call has written nothing',
  async () => {
    const service = await startService();
    const place = await createPlace(service);
    const odd: Record<string, string> = {
      empty: '',
      blank: ' \t\n',
      'very long': 'x'.repeat(70_000),
      'with a zero byte': 'a\u0000b',
      'with line breaks': 'a\r\nb',
      'with half a character': 'a\ud800b',
      'with direction marks': 'a\u202eb',
      'with markup': `<script>"'\`\${{}}</script>`,
      'for a database': `'; DROP TABLE "app"; --`,
    };
    const tried: string[] = [];
    const broken: string[] = [];
    for (const path of rootFields) {
      const row = calls[path];
      if (!row) throw new Error(`${path} has no row in test/support/calls.ts`);
      const headers = await headersOf(place, row.by);
      const texts = leavesOf(path, await row.variables(place)).filter(({ typeName }) => typeName === 'String');
      for (const leaf of texts) {
        const variables = await row.variables(place);
        let before = await snapshot(service, place);
        for (const [what, text] of Object.entries(odd)) {
          const answer = await call(service, path, withLeaf(variables, leaf.path, text), headers);
          const outcome = outcomeOf(path, answer);
          tried.push(outcome);
          if (!/^(ok|[A-Z_]+)$/.test(outcome) || outcome === 'INTERNAL_SERVER_ERROR') {
            broken.push(`${path} ${leaf.path.join('.')} ${what}: ${outcome}`);
          }
          if (outcome !== 'ok') continue;
          before = await snapshot(service, place);
        }
        expect([path, leaf.path, await snapshot(service, place)]).toEqual([path, leaf.path, before]);
      }
    }
    expect(broken).toEqual([]);
    expect(tried.length).toBeGreaterThan(250);
    expect(tried.filter((outcome) => outcome === 'VALIDATION').length).toBeGreaterThan(150);
    noErrorsLogged(service);
  },
  heavy,
);

/** A service with one of everything, and a sender whose answer is cut down to what is told of a refusal. */
async function setUp() {
  const service = await startService();
  const place = await createPlace(service);
  const send = async (name: string, input: Variables, headers: Record<string, string> = place.workspace.owner) => {
    const path = `Mutation.${name}`;
    const good = ((await calls[path]?.variables(place)) ?? {}) as { input: Variables };
    const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    const answer = await service.graphql(
      `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ValidationError { message fields { path message } } } }`,
      { input: { ...good.input, ...input } },
      headers,
    );
    return field<Refusal>(answer, name);
  };
  const pathsOf = async (name: string, input: Variables, headers?: Record<string, string>) => {
    const { __typename, fields } = await send(name, input, headers);
    return fields?.map(({ path }) => path) ?? __typename;
  };
  return { service, place, send, pathsOf };
}
interface Refusal {
  __typename: string;
  message?: string;
  fields?: { path: string; message: string }[];
}

test('bad input: names are needed, have at most 100 characters, and hold no control characters', async () => {
  const { service, place, pathsOf } = await setUp();
  const operator = { authorization: `Bearer ${operatorKey}` };
  const before = await snapshot(service, place);
  for (const name of ['', '   ', 'x'.repeat(101), 'two\nlines', 'bell\u0007', 'zero\u0000']) {
    for (const mutation of ['createWorkspaceKey', 'createApp', 'addConnector']) {
      expect([mutation, name, await pathsOf(mutation, { name })]).toEqual([mutation, name, ['input.name']]);
    }
    expect(await pathsOf('createWorkspace', { name }, operator)).toEqual(['input.name']);
  }
  for (const subject of ['', ' ', 'x'.repeat(256), 'zero\u0000']) {
    for (const mutation of ['setWorkspaceMember', 'removeWorkspaceMember']) {
      expect(await pathsOf(mutation, { subject, workspaceId: place.workspace.id })).toEqual(['input.subject']);
    }
  }
  const after = (await snapshot(service, place)) as typeof before;
  // removeWorkspaceMember's call made the members that it then did not remove
  expect({ ...(after as object), workspace: 0 }).toEqual({ ...(before as object), workspace: 0 });
  expect(await pathsOf('createApp', { name: ` ${'x'.repeat(100)} ` })).toBe('CreateAppPayload');
});

test('bad input: a secret or id pasted with white space around it is trimmed, said so, and works', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const connector = await addTestConnector(service, workspace, await startProvider());
  const edit = async (input: Variables) =>
    field<{ __typename: string; notices: unknown; fields: { path: string; message: string }[] }>(
      await service.graphql(
        `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename
           ... on EditConnectorPayload { notices { path message } } ... on ValidationError { fields { path message } } } }`,
        { input: { connectorId: connector.id, ...input } },
        workspace.owner,
      ),
      'editConnector',
    );
  const pasted = await edit({ clientId: `\n  ${connector.clientId}`, clientSecret: `\t${connector.clientSecret}\r\n` });
  expect(pasted).toEqual({
    __typename: 'EditConnectorPayload',
    notices: [
      { path: 'input.clientId', message: 'White space around the client id was removed.' },
      { path: 'input.clientSecret', message: 'White space around the client secret was removed.' },
    ],
  });
  await connectByCookie(service, await app.browser('one'), connector.id);
  const read = await readToken(service, await app.backend('one'), connector.id);
  expect(field(read, 'currentAppUserConnection').__typename).toBe('CurrentAppUserConnection');

  expect(await edit({ clientSecret: connector.clientSecret })).toMatchObject({ notices: [] });
  for (const [clientSecret, message] of [
    ['sec\nret', 'contains a line break'],
    ['sec\u200bret', 'contains a line break or a character that cannot be part of it'],
    ['sécret', 'cannot be part of it'],
    ['x'.repeat(4097), 'longer than 4096 characters'],
    ['', 'cannot be blank'],
    [' \n ', 'cannot be blank'],
  ]) {
    expect((await edit({ clientSecret })).fields).toEqual([
      { path: 'input.clientSecret', message: expect.stringContaining(message ?? '') },
    ]);
  }
  for (const clientId of ['', ' ', 'i\nd', 'x'.repeat(513)]) {
    expect((await edit({ clientId })).fields.map(({ path }) => path)).toEqual(['input.clientId']);
  }
  const still = await readToken(service, await app.backend('one'), connector.id);
  expect(field(still, 'currentAppUserConnection').__typename).toBe('CurrentAppUserConnection');
});

test('bad input: an admin hears of every fault of a connector at once, and nothing of it is written', async () => {
  const { service, place, send } = await setUp();
  const input = {
    providerKey: 'custom',
    name: '',
    clientId: 'i\nd',
    clientSecret: 'sec\nret',
    scopes: ['fine', 'two words', 'quo"te'],
    connectionConfig: [{ name: 'subdomain', value: 'x' }],
    custom: {
      endpoints: {
        authorizationUrl: 'http://provider.example.com/authorize',
        tokenUrl: 'https://10.0.0.1/token',
        revocationUrl: 'https://user:pass@provider.example.com/revoke',
        userinfoUrl: 'https://provider.example.com/me#fragment',
        scopeSeparator: 'xx',
        extraAuthorizationParams: [
          { name: 'redirect_uri', value: 'https://evil.example' },
          { name: 'na me', value: 'x' },
          { name: 'long', value: 'x'.repeat(1001) },
        ],
      },
    },
  };
  const before = await snapshot(service, place);
  const { fields } = await send('addConnector', input);
  expect(fields?.map(({ path }) => path)).toEqual([
    'input.name',
    'input.clientId',
    'input.scopes.1',
    'input.scopes.2',
    'input.connectionConfig.0.name',
    'input.custom.endpoints.authorizationUrl',
    'input.custom.endpoints.tokenUrl',
    'input.custom.endpoints.revocationUrl',
    'input.custom.endpoints.userinfoUrl',
    'input.custom.endpoints.scopeSeparator',
    'input.custom.endpoints.extraAuthorizationParams.0.name',
    'input.custom.endpoints.extraAuthorizationParams.1',
    'input.custom.endpoints.extraAuthorizationParams.2',
    'input.clientSecret',
  ]);
  for (const { message } of fields ?? []) expect(message).toMatch(/^\S.+\.$/);
  expect(JSON.stringify(fields)).not.toMatch(/sec\\nret|user:pass/);
  expect(await snapshot(service, place)).toEqual(before);
});

test('bad input: addresses to be called are https on the public internet; parameters of the protocol are no extra ones; one of two is one of two', async () => {
  const { service, place, pathsOf, send } = await setUp();
  const discovery = (issuer: string, more: Variables = {}) => ({ custom: { discovery: { issuer, ...more } } });
  const jwks = (jwksUrl: string) => ({
    identity: { jwks: { issuer: 'https://i.example.com', audience: 'a', jwksUrl } },
  });
  for (const url of [
    'http://provider.example.com',
    'https://127.0.0.1.nip.io@10.0.0.1',
    'https://192.168.0.1',
    'https://169.254.169.254/latest',
    'https://[fd00::1]',
    'https://[::ffff:10.0.0.1]',
    'https://0x0a000001',
    'https://100.64.0.1',
    'https://service.localhost',
    'ftp://provider.example.com',
    'javascript:alert(1)',
    'data:text/html,x',
    'https://provider.example.com/#fragment',
    `https://provider.example.com/${'x'.repeat(2048)}`,
  ]) {
    expect([url, await pathsOf('addConnector', discovery(url))]).toEqual([url, ['input.custom.discovery.issuer']]);
    expect([url, await pathsOf('createApp', jwks(url))]).toEqual([url, ['input.identity.jwks.jwksUrl']]);
  }
  for (const name of [
    'client_id',
    'redirect_uri',
    'state',
    'code_challenge',
    'code_challenge_method',
    'response_type',
    'scope',
    'nonce',
  ]) {
    const extraAuthorizationParams = [{ name, value: 'x' }];
    expect(await pathsOf('addConnector', discovery('https://p.example.com', { extraAuthorizationParams }))).toEqual([
      'input.custom.discovery.extraAuthorizationParams.0.name',
    ]);
  }
  expect(await pathsOf('addConnector', { providerKey: 'nothing', custom: null })).toEqual(['input.providerKey']);
  expect(await pathsOf('addConnector', { providerKey: 'custom', custom: null })).toEqual(['input.custom']);
  expect(await pathsOf('addConnector', { providerKey: 'github' })).toEqual(['input.custom']);
  expect(await pathsOf('editConnector', { connectorId: place.connectorId })).toEqual(['input.custom']);
  for (const custom of [{}, { ...discovery('https://p.example.com').custom, endpoints: null }]) {
    await expect(send('addConnector', { custom })).rejects.toThrow(/exactly one key|must be non-null/i);
  }
  await expect(send('createApp', { identity: {} })).rejects.toThrow(/exactly one key/i);
  noErrorsLogged(service);
});

test('bad input: an edit with one fault changes none of the fields that were right', async () => {
  const { service, place, pathsOf } = await setUp();
  const appId = await place.fresh.app();
  const connectorId = await place.fresh.connector();
  const before = await snapshot(service, place);
  const app = { appId, name: 'New', origins: undefined, identity: undefined };
  const rightIdentity = { secret: { issuer: 'https://new.example.com', audience: 'new' } };
  for (const [faulty, path] of [
    [{ origins: [{ kind: 'LIVE', origin: 'https://new.example.com/path' }] }, 'input.origins.0.origin'],
    [{ origins: [{ kind: 'LIVE', origin: place.app.origin }] }, 'input.origins.0.origin'],
    [{ identity: { secret: { issuer: '', audience: 'new' } } }, 'input.identity.secret.issuer'],
    [{ identity: { secret: { issuer: 'i', audience: 'x'.repeat(256) } } }, 'input.identity.secret.audience'],
    [{ identity: rightIdentity, name: '' }, 'input.name'],
  ] as const) {
    // editApp's own call would make an app of its own
    const answer = await service.graphql(
      `mutation ($input: EditAppInput!) { editApp(input: $input) { __typename ... on ValidationError { fields { path } } } }`,
      { input: { ...app, ...faulty } },
      place.workspace.owner,
    );
    expect(field(answer, 'editApp')).toEqual({ __typename: 'ValidationError', fields: [{ path }] });
  }
  for (const [faulty, path] of [
    [{ scopes: ['two words'] }, 'input.scopes.0'],
    [{ clientSecret: 'sec\nret' }, 'input.clientSecret'],
    [{ clientId: '' }, 'input.clientId'],
  ] as const) {
    const answer = await service.graphql(
      `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename ... on ValidationError { fields { path } } } }`,
      { input: { connectorId, name: 'New', scopes: ['new'], ...faulty } },
      place.workspace.owner,
    );
    expect(field(answer, 'editConnector')).toEqual({ __typename: 'ValidationError', fields: [{ path }] });
  }
  expect(await snapshot(service, place)).toEqual(before);
  expect(await pathsOf('createApp', { origins: [{ kind: 'LIVE', origin: place.app.origin }] })).toEqual([
    'input.origins.0.origin',
  ]);
  expect(await snapshot(service, place)).toEqual(before);
});

test('bad input: what a user sends to connect or to read a token is checked too', async () => {
  const { service, place, pathsOf } = await setUp();
  const user = await place.app.user('one');
  for (const returnTo of [
    '',
    'page',
    '//evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/\\evil.example',
    '/\n',
    `/${'x'.repeat(2048)}`,
  ]) {
    expect([returnTo, await pathsOf('connectAppUser', { returnTo }, user)]).toEqual([returnTo, ['input.returnTo']]);
  }
  for (const origin of ['', 'app.example.com', 'https://app.example.com/path', 'https://*.example.com', 'null']) {
    expect([origin, await pathsOf('connectAppUser', { origin }, user)]).toEqual([origin, ['input.origin']]);
  }
  const backend = await place.app.backend('one');
  const read = async (options: Variables) => {
    const answer = await service.graphql(
      `query ($connectorId: ID!, $minValiditySeconds: Int, $rejectedTokenFingerprint: String) {
         currentAppUserConnection(connectorId: $connectorId, minValiditySeconds: $minValiditySeconds, rejectedTokenFingerprint: $rejectedTokenFingerprint) {
           __typename ... on ValidationError { fields { path } } } }`,
      { connectorId: place.connectorId, ...options },
      backend,
    );
    return field<{ fields?: { path: string }[] }>(answer, 'currentAppUserConnection').fields?.map(({ path }) => path);
  };
  for (const minValiditySeconds of [-1, 86_401, 2 ** 31 - 1]) {
    expect(await read({ minValiditySeconds })).toEqual(['minValiditySeconds']);
  }
  for (const rejectedTokenFingerprint of [
    '',
    '0123456789ABCDEF',
    '0123456789abcde',
    '0123456789abcdef0',
    'zzzzzzzzzzzzzzzz',
  ]) {
    expect(await read({ rejectedTokenFingerprint })).toEqual(['rejectedTokenFingerprint']);
  }
  expect(await read({ minValiditySeconds: -1, rejectedTokenFingerprint: 'x' })).toEqual([
    'minValiditySeconds',
    'rejectedTokenFingerprint',
  ]);
  expect(await read({ minValiditySeconds: 86_400, rejectedTokenFingerprint: '0123456789abcdef' })).toBeUndefined();
});

test('bad input: paging refuses what is no cursor and no number of entries, and gives at most 100', async () => {
  const { service, place } = await setUp();
  const page = (args: string, field = `keys(${args})`) =>
    service.graphql(
      `query ($id: ID!) { workspace(id: $id) { ${field} { edges { cursor node { name } } pageInfo { hasNextPage } } } }`,
      { id: place.workspace.id },
      place.workspace.owner,
    );
  const cursor = (text: string) => Buffer.from(text).toString('base64');
  const good = cursor(`GPC:S:${randomUUID()}`);
  const wrong = [
    '',
    'garbage',
    '\u0000',
    good.slice(0, -1),
    `${good}\u0000`,
    `${good} `,
    ...[
      'N:1',
      'N:x',
      'I:1',
      'I:x',
      'D:0',
      'D:x',
      'O:true',
      'O:{"a":1}',
      'B:AAAA',
      'M:1',
      'Z:',
      'J:{"not":1}',
      'J:["a"]',
    ].map((chunk) => cursor(`GPC:${chunk}`)),
    ...['T:["S:a"]', 'S:', 'S:a\u0000', 'S:a b', "S:'", `S:${'x'.repeat(201)}`].map((chunk) => cursor(`GPC:${chunk}`)),
    cursor('OffsetConnection:1'),
  ];
  const refused = async (name: string, answer: ReturnType<typeof page>, sentence: RegExp) => {
    const { data, errors } = await answer;
    expect([name, data, errors.length, errors[0]?.extensions?.code]).toEqual([name, null, 1, 'VALIDATION']);
    expect(errors[0]?.message).toMatch(sentence);
  };
  for (const text of wrong) {
    for (const name of ['after', 'before']) {
      const args = `${name}: ${JSON.stringify(text)}`;
      await refused(args, page(args), new RegExp(`^\`${name}\` holds no cursor: .+\\.$`));
    }
    // in a list at the root, in one of its entries, from a variable, its default, and within a fragment
    const query = (text: string, variables = {}) => service.graphql(text, variables, place.workspace.owner);
    const value = JSON.stringify(text);
    for (const answer of [
      query(`{ workspaces(after: ${value}) { edges { node { id } } } }`),
      query(
        `{ workspaces { edges { node { apps { edges { node { connectors(after: ${value}) { edges { cursor } } } } } } } } }`,
      ),
      query(`query ($after: String) { workspaces(after: $after) { edges { node { id } } } }`, { after: text }),
      query(`query ($after: String = ${value}) { workspaces(after: $after) { edges { node { id } } } }`),
      query(
        `fragment F on Workspace { keys(after: ${value}) { edges { cursor } } } { workspaces { edges { node { ...F } } } }`,
      ),
    ]) {
      await refused(text, answer, /^`after` holds no cursor/);
    }
  }
  await refused('first', page('first: -1'), /^`first` cannot be negative/);
  await refused('last', page('last: -1'), /^`last` cannot be negative/);
  for (const args of [
    'first: 1, last: 1',
    `after: "${good}", before: "${good}"`,
    `first: 1, before: "${good}"`,
    `last: 1, after: "${good}"`,
  ]) {
    await refused(args, page(args), /and not by both\.$/);
  }
  expect((await page(`after: "${good}", first: null`)).errors).toEqual([]);

  for (let index = 0; index < 101; index += 1) await place.fresh.workspaceKey();
  type Keys = { keys: { edges: { cursor: string }[]; pageInfo: { hasNextPage: boolean } } };
  const { keys } = field<Keys>(await page('first: 1000000'), 'workspace');
  expect([keys.edges.length, keys.pageInfo.hasNextPage]).toEqual([100, true]);
  const rest = field<Keys>(await page(`first: 100, after: "${keys.edges.at(-1)?.cursor}"`), 'workspace').keys;
  expect(rest.edges.length).toBeGreaterThan(0);
  const back = field<Keys>(await page(`last: 100, before: "${rest.edges[0]?.cursor}"`), 'workspace').keys;
  expect(back.edges).toEqual(keys.edges);
  noErrorsLogged(service);
});

test('bad input: a subscription with page arguments that name no page is refused like any other operation', async () => {
  const { service, place } = await setUp();
  const { errors } = await service.graphql(
    `subscription ($id: ID!) { connectionStatus(connectorId: $id) { problem { ... on ConfirmationRequiredError {
       affectedApps { keys(after: "x") { edges { cursor } } } } } } }`,
    { id: place.connectorId },
    await place.app.user('one'),
  );
  expect(errors.map(({ extensions }) => extensions?.code)).toEqual(['VALIDATION']);
});
