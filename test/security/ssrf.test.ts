import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { generateKeyPair, SignJWT } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failures } from '../../src/failures/failures.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { RevocationEndpoint } from '../../src/oauth/authorization-server.ts';
import { discover } from '../../src/oauth/discovery.ts';
import { createProviderFetch, type ProviderFetch, type ProviderFetchPolicy } from '../../src/oauth/fetch.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { exchangeCode, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { privateHosts } from '../oauth/support/private-hosts.ts';
import { answering, clientFixture, serverFixture, verdictOf } from '../oauth/support/server-fixture.ts';
import { createTestApp, createWorkspace, field, type Service, startService } from '../support/harness.ts';
import { connectAppUser, connectionOf, disconnectAppUser, readToken, returnOf } from '../support/journey.ts';
import { startNodeOauth } from '../support/oauth-servers/node-oauth.ts';
import { addCustomConnector, startFlow } from '../support/stage.ts';

/** Each request that leaves this service for a provider, to a URL under `base`. */
const calls: Record<string, (fetch: ProviderFetch, base: string, timeoutMs?: number) => Promise<unknown>> = {
  discovery: (fetch, base) => discover(fetch, base),
  'code exchange': (fetch, base) => exchangeAt(fetch, { tokenUrl: `${base}/token` }),
  'keys of an id_token': async (fetch, base) => {
    const { privateKey } = await keys;
    const seconds = Math.floor(Date.now() / 1000);
    const idToken = await new SignJWT({ nonce: 'n' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(issuer)
      .setAudience(clientFixture.clientId)
      .setSubject('s')
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + 60)
      .sign(privateKey);
    const token = answering(200, { access_token: 'a', id_token: idToken });
    const tokenThenKeys: ProviderFetch = (url, init) => (url === tokenUrl ? token.fetch : fetch)(url, init);
    return exchangeAt(tokenThenKeys, { tokenUrl, issuer, jwksUrl: `${base}/keys` });
  },
  refresh: (fetch, base, timeoutMs = 5_000) => {
    const server = serverFixture({ tokenUrl: `${base}/token` });
    return refreshGrant({ fetch, server, client: clientFixture, refreshToken: new Secret('r'), timeoutMs });
  },
  'renewal of an access token by itself': (fetch, base, timeoutMs = 5_000) => {
    const server = serverFixture({ renewal: { ...further, url: `${base}/renew` } });
    return refreshGrant({ fetch, server, client: clientFixture, refreshToken: new Secret('r'), timeoutMs });
  },
  'exchange for the token to keep': (fetch, base) => {
    const token = answering(200, { access_token: 'a' });
    const tokenThenFurther: ProviderFetch = (url, init) => (url === tokenUrl ? token.fetch : fetch)(url, init);
    return exchangeAt(tokenThenFurther, { tokenUrl, upgrade: { ...further, url: `${base}/upgrade` } });
  },
  ...Object.fromEntries(
    (['rfc7009', 'bearer', 'path', 'basic-json'] satisfies RevocationEndpoint['style'][]).map((style) => [
      `revocation (${style})`,
      (fetch: ProviderFetch, base: string) => {
        const server = serverFixture({ revocation: { url: `${base}/revoke`, style, token: 'access' } });
        const tokens = { accessToken: new Secret('a'), refreshToken: null };
        return revokeGrant({ fetch, server, client: clientFixture, ...tokens });
      },
    ]),
  ),
};
const issuer = 'https://issuer.example';
const tokenUrl = `${issuer}/token`;
const keys = generateKeyPair('ES256');
const further = { method: 'GET', grantType: 'exchange', tokenParameter: 'token', sendsClient: true } as const;

function exchangeAt(fetch: ProviderFetch, server: Parameters<typeof serverFixture>[0]) {
  return exchangeCode({
    fetch,
    server: serverFixture(server),
    client: clientFixture,
    callbackParams: new URLSearchParams({ code: 'c' }),
    redirectUri: 'https://app.example/callback',
    codeVerifier: 'v',
    nonce: 'n',
    scopes: ['openid'],
    now: new Date(),
  });
}

/** The account's endpoint is asked besides: its failure is no error, and tells nothing. */
function askAccount(fetch: ProviderFetch, base: string) {
  const server = serverFixture({
    identity: { url: `${base}/me`, method: 'GET', idPaths: ['id'], emailPaths: [], namePaths: [] },
  });
  return fetchAccount({ fetch, server, accessToken: new Secret('a') });
}

function fetchWith(changes: Partial<ProviderFetchPolicy>): ProviderFetch {
  const policy = { allowedHosts: [], allowLoopback: false, timeoutMs: 5_000, maxBytes: 65_536, ...changes };
  const { fetch, close } = createProviderFetch(policy);
  onTestFinished(close);
  return fetch;
}

/** A server on loopback that counts the connections made to it, whether or not a request follows. */
async function listen(server: Server = createServer((_request, response) => response.end('{}'))) {
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { port, origin: `http://127.0.0.1:${port}`, connections: () => connections };
}

const blocked = { kind: 'misconfigured', code: 'BLOCKED_HOST' };

describe.each(Object.entries(calls))('T7. %s', (_name, call) => {
  test('goes to no address that is not public, however it is spelt, and to no name that resolves to one', async () => {
    const inside = await listen();
    const strict = fetchWith({ lookup: async () => ['8.8.8.8', '169.254.169.254'] });
    for (const host of [...privateHosts, 'user@provider.example', 'provider.example:1@127.0.0.1', 'provider.example']) {
      expect([host, await verdictOf(call(strict, `https://${host}:${inside.port}`))]).toEqual([host, blocked]);
    }
    expect(await verdictOf(call(strict, inside.origin))).toEqual(blocked);
    expect(inside.connections()).toBe(0);
  });

  test('goes nowhere when its name, public a moment ago, answers with a private address', async () => {
    const inside = await listen();
    let address = '127.0.0.1';
    // localhost stands for the public name: it is allowed with one address, and only with that
    const fetch = fetchWith({ allowLoopback: true, lookup: async () => [address] });
    await fetch(`http://localhost:${inside.port}/`, { method: 'GET' });
    address = '169.254.169.254';
    expect(await verdictOf(call(fetch, `http://localhost:${inside.port}`))).toEqual(blocked);
    expect(inside.connections()).toBe(1);
  });

  test.each([302, 307])('does not follow a %i to the metadata service', async (status) => {
    const inside = await listen();
    const location = `${inside.origin}/latest/meta-data/`;
    const outside = await listen(createServer((_request, response) => response.writeHead(status, { location }).end()));
    expect(await verdictOf(call(fetchWith({ allowLoopback: true }), outside.origin))).toMatchObject({ kind: 'retry' });
    expect(outside.connections()).toBeGreaterThan(0);
    expect(inside.connections()).toBe(0);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    [
      'an endless body',
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(16_384)));
        };
        response.on('drain', more);
        more();
      },
    ],
    [
      'a gzip bomb',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('0'.repeat(10_000_000))),
    ],
    [
      'an answer that trickles (slow loris)',
      (response) => {
        const timer = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(timer));
      },
    ],
    ['no answer', () => {}],
  ])('ends on %s', async (_what, answer) => {
    const server = await listen(createServer((_request, response) => answer(response)));
    const local = fetchWith({ allowLoopback: true, timeoutMs: 150 });
    expect(await verdictOf(call(local, server.origin, 150))).toMatchObject({ kind: 'retry' });
  });
});

test('T7. the account’s endpoint: the same, and its failure tells nothing of the token', async () => {
  const inside = await listen();
  const strict = fetchWith({ lookup: async () => ['8.8.8.8', '10.0.0.1'] });
  for (const host of [...privateHosts, 'user@provider.example', 'provider.example']) {
    expect([host, await askAccount(strict, `https://${host}:${inside.port}`)]).toEqual([host, { kind: 'unknown' }]);
  }
  const redirecting = await listen(
    createServer((_request, response) => response.writeHead(302, { location: inside.origin }).end()),
  );
  const bomb = await listen(
    createServer((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('0'.repeat(10_000_000))),
    ),
  );
  const silent = await listen(createServer(() => {}));
  const local = fetchWith({ allowLoopback: true, timeoutMs: 150 });
  for (const { origin } of [redirecting, bomb, silent]) {
    expect(await askAccount(local, origin)).toEqual({ kind: 'unknown' });
  }
  expect(inside.connections()).toBe(0);
});

const production = {
  NODE_ENV: 'production',
  ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  PUBLIC_URL: 'https://connect.example.com',
};

interface Saved {
  connector?: { id: string };
  notices?: { message: string }[];
  fields?: { path: string; message: string }[];
}

function save(service: Service, mutation: 'add' | 'edit', headers: Record<string, string>, input: object) {
  const type = mutation === 'add' ? 'AddConnector' : 'EditConnector';
  return service
    .graphql(
      `mutation ($input: ${type}Input!) { ${mutation}Connector(input: $input) { __typename ... on ${type}Payload { connector { id } notices { message } } ... on ValidationError { fields { path message } } } }`,
      { input },
      headers,
    )
    .then((answer) => field<Saved>(answer, `${mutation}Connector`));
}

test('53. T7. in production every URL of a custom provider is refused when it is entered, in adding and editing alike', async () => {
  const lookups: string[] = [];
  const service = await startService(production, {
    lookup: async (name) => {
      lookups.push(name);
      return ['169.254.169.254'];
    },
  });
  const workspace = await createWorkspace(service);
  const names = ['authorizationUrl', 'tokenUrl', 'revocationUrl', 'userinfoUrl'];
  const endpointsAt = (base: string) => ({
    endpoints: Object.fromEntries(names.map((name) => [name, `${base}/${name}`])),
  });
  const input = { workspaceId: workspace.id, providerKey: 'custom', name: 'Connector', scopes: [] };
  const { connector } = await save(service, 'add', workspace.owner, {
    ...input,
    custom: endpointsAt('https://provider.example.com'),
  });
  const message = expect.any(String);
  for (const base of [
    // a tenth of them: each call of the matrix above goes through all
    ...privateHosts.filter((_host, index) => index % 10 === 0).map((host) => `https://${host}`),
    'http://provider.example.com',
    'https://a@b.example.com',
  ]) {
    const custom = endpointsAt(base);
    const expected = names.map((name) => ({ path: `input.custom.endpoints.${name}`, message }));
    expect([base, (await save(service, 'add', workspace.owner, { ...input, custom })).fields]).toEqual([
      base,
      expected,
    ]);
    const edit = { connectorId: connector?.id, custom };
    expect([base, (await save(service, 'edit', workspace.owner, edit)).fields]).toEqual([base, expected]);
    const discovery = { ...input, custom: { discovery: { issuer: base } } };
    expect([base, (await save(service, 'add', workspace.owner, discovery)).fields]).toEqual([
      base,
      [{ path: 'input.custom.discovery.issuer', message }],
    ]);
  }
  expect(lookups).toEqual([]);

  // a name says nothing until it is resolved: it is saved with a notice, and nobody is sent anywhere
  const named = await save(service, 'add', workspace.owner, {
    ...input,
    clientId: 'c',
    clientSecret: 's',
    custom: { discovery: { issuer: 'https://metadata.example.com' } },
  });
  expect(named.notices).toHaveLength(1);
  const app = await createTestApp(service, workspace);
  const started = await connectAppUser(service, await app.browser('one'), { connectorId: named.connector?.id });
  expect(field(started, 'connectAppUser')).toMatchObject({ __typename: 'ProviderUnavailableError' });
  expect(new Set(lookups)).toEqual(new Set(['metadata.example.com']));
});

test('53. a host that the operator allows by name works in production over http, and one like it does not', async () => {
  const server = await startNodeOauth();
  const { port } = new URL(server.origin);
  const lookups: string[] = [];
  const service = await startService(
    { ...production, ALLOWED_PROVIDER_HOSTS: 'idp.internal' },
    {
      lookup: async (name) => {
        lookups.push(name);
        return ['127.0.0.1'];
      },
    },
  );
  const workspace = await createWorkspace(service);
  const endpointsAt = (host: string) => ({
    endpoints: {
      authorizationUrl: `http://${host}:${port}/authorize`,
      tokenUrl: `http://${host}:${port}/token`,
      userinfoUrl: `http://${host}:${port}/me`,
    },
  });
  for (const host of ['a.idp.internal', 'idp.internal.example.com', 'idp-internal', '127.0.0.1', 'localhost']) {
    const input = { workspaceId: workspace.id, providerKey: 'custom', name: 'Connector', scopes: ['read'] };
    const { fields } = await save(service, 'add', workspace.owner, { ...input, custom: endpointsAt(host) });
    expect([host, fields?.length]).toEqual([host, 3]);
  }
  const { id: clientId, secret: clientSecret } = server.client;
  const custom = endpointsAt('idp.internal');
  const connectorId = await addCustomConnector(service, workspace, { clientId, clientSecret, custom });
  const app = await createTestApp(service, workspace);
  server.client.redirectUris.push(`${app.origin}/api/external-auth/callback/${connectorId}`);
  const user = await app.browser('one');
  const flow = await startFlow(service, user, connectorId);
  const back = await fetch(flow.redirectUrl.replace('idp.internal', '127.0.0.1'), { redirect: 'manual' });
  const { params } = returnOf(await flow.browser.open(service, back.headers.get('location') ?? ''));
  expect(params.connection_status).toBe('connected');
  expect(await connectionOf(service, user, connectorId)).toMatchObject({ account: { id: 'blue' } });
  expect(new Set(lookups)).toEqual(new Set(['idp.internal']));
});

test('T7. a provider whose name turns to a private address after people have connected is asked for nothing any more', async () => {
  const server = await startNodeOauth();
  const base = server.origin.replace('127.0.0.1', 'localhost');
  let address = '127.0.0.1';
  const service = await startService({}, { lookup: async () => [address] });
  const workspace = await createWorkspace(service);
  const { id: clientId, secret: clientSecret } = server.client;
  const connectorId = await addCustomConnector(service, workspace, {
    clientId,
    clientSecret,
    custom: {
      endpoints: {
        authorizationUrl: `${base}/authorize`,
        tokenUrl: `${base}/token`,
        revocationUrl: `${base}/revoke`,
        userinfoUrl: `${base}/me`,
      },
    },
  });
  const app = await createTestApp(service, workspace);
  server.client.redirectUris.push(`${app.origin}/api/external-auth/callback/${connectorId}`);
  const user = await app.browser('one');
  const callback = async () => {
    const flow = await startFlow(service, user, connectorId);
    const url = flow.redirectUrl.replace(base, server.origin);
    const back = await fetch(url, { redirect: 'manual' });
    return returnOf(await flow.browser.open(service, back.headers.get('location') ?? '')).params;
  };
  expect(await callback()).toMatchObject({ connection_status: 'connected' });

  address = '169.254.169.254';
  const before = server.requests.length;
  service.clock.advance(3_601_000);
  const read = await readToken(service, await app.backend('one'), connectorId);
  expect(field(read, 'currentAppUserConnection')).toMatchObject({
    __typename: 'ProviderUnavailableError',
    message: failures.ADDRESS_BLOCKED.sentence,
    remedy: { actor: 'OPERATOR', values: [{ label: 'Host', value: 'localhost' }] },
  });
  const now = await app.browser('one');
  expect(await connectionOf(service, now, connectorId)).toMatchObject({ status: 'CONNECTED' });
  const gone = await disconnectAppUser(service, now, connectorId);
  expect(field(gone, 'disconnectAppUser').__typename).toBe('DisconnectAppUserPayload');
  Object.assign(user, now);
  expect(await callback()).toMatchObject({ connection_error: 'PROVIDER_UNAVAILABLE' });
  expect(server.requests.slice(before)).toEqual(['/authorize']);
  expect(service.logs.join('\n')).not.toContain(server.grants[0]?.accessToken);
});
