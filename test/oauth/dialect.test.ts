import { expect, test } from 'vitest';
import type { AuthorizationServer, TokenExchange } from '../../src/oauth/authorization-server.ts';
import { buildAuthorizationUrl, keptFromCallback } from '../../src/oauth/authorization.ts';
import type { ProviderFetch } from '../../src/oauth/fetch.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { atRegion, regionOf } from '../../src/oauth/region.ts';
import { exchangeCode, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { Secret } from '../../src/lib/secret.ts';
import { answering, clientFixture, type SentRequest, serverFixture, verdictOf } from './support/server-fixture.ts';

const standard = { access_token: 'a', token_type: 'Bearer', expires_in: 3600, refresh_token: 'r', scope: 'x y' };

const exchangeFixture = {
  client: clientFixture,
  callbackParams: new URLSearchParams({ code: 'code-1', state: 'consumed' }),
  redirectUri: 'https://app.example/callback',
  codeVerifier: 'v'.repeat(43),
  nonce: null,
  scopes: ['x'],
  now: new Date(),
};

const refresh = (fetch: ProviderFetch, server: AuthorizationServer) =>
  refreshGrant({ fetch, server, client: clientFixture, refreshToken: new Secret('r-old'), timeoutMs: 1000 });

const form = (request: SentRequest | undefined) => Object.fromEntries(new URLSearchParams(request?.body));

test('refresh requests go to the refresh URL, and both kinds carry parameters and headers of their own', async () => {
  const server = serverFixture({
    refreshUrl: 'https://provider.example/renew',
    tokenParams: { request: 'token', code: 'never' },
    refreshParams: { request: 'refresh', refresh_token: 'never' },
    tokenHeaders: { 'x-version': '2' },
  });
  const { fetch, sent } = answering(200, standard);
  await exchangeCode({ ...exchangeFixture, fetch, server });
  await refresh(fetch, server);
  expect(sent.map(({ url }) => url)).toEqual(['https://provider.example/token', 'https://provider.example/renew']);
  expect(form(sent[0])).toEqual({
    client_id: 'client-1',
    client_secret: 's-e:c%r e+t',
    grant_type: 'authorization_code',
    code: 'code-1',
    redirect_uri: 'https://app.example/callback',
    code_verifier: 'v'.repeat(43),
    request: 'token',
  });
  expect(form(sent[1])).toMatchObject({ grant_type: 'refresh_token', refresh_token: 'r-old', request: 'refresh' });
  for (const { headers } of sent) expect(headers).toMatchObject({ 'x-version': '2' });
});

test('a parameter that the provider calls by a name of its own is called so everywhere', async () => {
  const server = serverFixture({
    parameterNames: { client_id: 'client_key', client_secret: 'key_secret', code: 'auth_code', token: 'revoked' },
    revocation: { url: 'https://provider.example/revoke', style: 'rfc7009', token: 'access' },
    bodyFormat: 'json',
  });
  const url = buildAuthorizationUrl({
    server,
    clientId: 'client-1',
    redirectUri: 'https://app.example/callback',
    scopes: [],
    state: 's',
    codeChallenge: null,
    nonce: null,
  });
  expect(Object.fromEntries(new URL(url).searchParams)).toEqual({
    response_type: 'code',
    client_key: 'client-1',
    redirect_uri: 'https://app.example/callback',
    state: 's',
  });
  const { fetch, sent } = answering(200, standard);
  await exchangeCode({ ...exchangeFixture, fetch, server });
  await refresh(fetch, server);
  await revokeGrant({ fetch, server, client: clientFixture, accessToken: new Secret('a'), refreshToken: null });
  const names = sent.map(({ body }) => Object.keys(JSON.parse(body ?? '') as object).sort());
  expect(names).toEqual([
    ['auth_code', 'client_key', 'code_verifier', 'grant_type', 'key_secret', 'redirect_uri'],
    ['client_key', 'grant_type', 'key_secret', 'refresh_token'],
    ['client_key', 'key_secret', 'revoked'],
  ]);
});

const upgrade: TokenExchange = {
  url: 'https://graph.example/access_token',
  method: 'GET',
  grantType: 'own_exchange_token',
  tokenParameter: 'access_token',
  sendsClient: true,
};
const renewal: TokenExchange = {
  url: 'https://graph.example/refresh?v=1',
  method: 'GET',
  grantType: 'own_refresh_token',
  tokenParameter: 'access_token',
  sendsClient: false,
};
const meta = serverFixture({ upgrade, renewal, keepFromToken: ['user_id'], deadGrantErrors: ['OAuthException:190'] });

/** Answers the token endpoint, and the requests to the other URLs, each in its way. */
function answeringTwice(first: unknown, status: number, second: unknown) {
  const [token, further] = [answering(200, first), answering(status, second)];
  const fetch: ProviderFetch = (url, init) =>
    (url === 'https://provider.example/token' ? token : further).fetch(url, init);
  return { fetch, sent: further.sent };
}

test('the token that the code gives is exchanged for the one to keep', async () => {
  const first = { access_token: 'short', user_id: 7, scope: 'x' };
  const { fetch, sent } = answeringTwice(first, 200, { access_token: 'long', expires_in: 5_184_000 });
  const grant = await exchangeCode({ ...exchangeFixture, fetch, server: meta });
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatchObject({ method: 'GET', body: undefined });
  const url = new URL(sent[0]!.url);
  expect(url.origin + url.pathname).toBe(upgrade.url);
  expect(Object.fromEntries(url.searchParams)).toEqual({
    grant_type: 'own_exchange_token',
    access_token: 'short',
    client_id: 'client-1',
    client_secret: 's-e:c%r e+t',
  });
  expect(grant.accessToken.reveal()).toBe('long');
  expect(grant).toMatchObject({
    expiresInSeconds: 5_184_000,
    scopes: ['x'],
    kept: [{ name: 'user_id', value: '7' }],
  });
});

test('a token that cannot be exchanged is handed over to be taken back', async () => {
  const { fetch } = answeringTwice({ access_token: 'short' }, 503, '');
  const unusable: string[] = [];
  const onUnusable = async (grant: { accessToken: Secret }) => void unusable.push(grant.accessToken.reveal());
  const call = exchangeCode({ ...exchangeFixture, fetch, server: meta, onUnusable });
  expect(await verdictOf(call)).toMatchObject({ kind: 'retry', code: 'PROVIDER_UNAVAILABLE' });
  expect(unusable).toEqual(['short']);
});

test('an access token that renews itself is what there is to refresh with', async () => {
  const server = { ...meta, upgrade: null };
  const { fetch, sent } = answering(200, { access_token: 'new', expires_in: 60 });
  const first = await exchangeCode({ ...exchangeFixture, fetch, server });
  expect(first.refreshToken?.reveal()).toBe('new');
  const renewed = await refresh(fetch, server);
  expect(sent[1]).toMatchObject({ method: 'GET', body: undefined });
  expect(sent[1]!.url).toBe('https://graph.example/refresh?v=1&grant_type=own_refresh_token&access_token=r-old');
  expect([renewed.accessToken.reveal(), renewed.refreshToken?.reveal()]).toEqual(['new', 'new']);
  const dead = answering(400, { error: { message: 'x', type: 'OAuthException', code: 190 } });
  expect(await verdictOf(refresh(dead.fetch, server))).toMatchObject({ kind: 'reauthorize' });
});

test('an exchange by POST sends its parameters as the provider takes them', async () => {
  const server = serverFixture({ renewal: { ...renewal, method: 'POST', sendsClient: true }, bodyFormat: 'json' });
  const { fetch, sent } = answering(200, { access_token: 'new' });
  await refresh(fetch, server);
  expect(sent[0]).toMatchObject({ url: renewal.url, headers: { 'content-type': 'application/json' } });
  expect(JSON.parse(sent[0]!.body!)).toEqual({
    grant_type: 'own_refresh_token',
    access_token: 'r-old',
    client_id: 'client-1',
    client_secret: 's-e:c%r e+t',
  });
});

test('a token that says nothing of its end has the assumed one, if it can be refreshed', async () => {
  const server = serverFixture({ assumedLifetimeSeconds: 7200 });
  const lifetime = async (answer: object) => {
    const grant = await exchangeCode({ ...exchangeFixture, fetch: answering(200, answer).fetch, server });
    return grant.expiresInSeconds;
  };
  expect(await lifetime({ access_token: 'a', refresh_token: 'r' })).toBe(7200);
  expect(await lifetime({ access_token: 'a', refresh_token: 'r', expires_in: 60 })).toBe(60);
  expect(await lifetime({ access_token: 'a' })).toBeNull();
  expect((await refresh(answering(200, { access_token: 'a' }).fetch, server)).expiresInSeconds).toBe(7200);
});

const regional = serverFixture({
  tokenUrl: 'https://accounts.example.com/token',
  refreshUrl: 'https://accounts.example.com/refresh',
  revocation: { url: 'https://accounts.example.com/revoke?token={token}', style: 'path', token: 'refresh' },
  identity: { url: 'https://other.example.com/me', method: 'GET', idPaths: [], emailPaths: [], namePaths: [] },
  keepFromCallback: ['realmId', 'location', 'accounts-server'],
  regionalOrigin: { parameter: 'accounts-server', hosts: ['accounts.example.com', 'accounts.example.eu'] },
});

test('what the callback tells is kept, and its origin is asked from then on', async () => {
  const callbackParams = new URLSearchParams({
    code: 'code-1',
    realmId: ' 12\u0000 ',
    location: '',
    'accounts-server': 'https://accounts.example.eu',
  });
  const kept = keptFromCallback(regional, callbackParams);
  expect(kept).toEqual([
    { name: 'realmId', value: '12' },
    { name: 'accounts-server', value: 'https://accounts.example.eu' },
  ]);
  const server = atRegion(regional, kept);
  expect(server).toMatchObject({
    authorizationUrl: regional.authorizationUrl,
    tokenUrl: 'https://accounts.example.eu/token',
    refreshUrl: 'https://accounts.example.eu/refresh',
    revocation: { url: 'https://accounts.example.eu/revoke?token={token}' },
    identity: { url: 'https://other.example.com/me' },
  });
  const { fetch, sent } = answering(200, standard);
  const grant = await exchangeCode({ ...exchangeFixture, fetch, server, callbackParams });
  expect(sent[0]!.url).toBe('https://accounts.example.eu/token');
  expect(grant.kept).toEqual(kept);
  expect(atRegion(regional, [])).toBe(regional);
});

test.each([
  'https://accounts.evil.example',
  'https://accounts.example.eu.evil.example',
  'https://accounts.example.eu@evil.example',
  'https://u:p@accounts.example.eu',
  'https://accounts.example.eu:8443',
  'https://accounts.example.eu/path',
  'https://accounts.example.eu?x',
  'http://accounts.example.eu',
  'accounts.example.eu',
  '//accounts.example.eu',
  'javascript:alert(1)',
  '',
])('the region %j is none of the provider: nothing is asked there', async (told) => {
  const hosts = regional.regionalOrigin?.hosts ?? [];
  expect(regionOf(hosts, told)).toBeNull();
  const { fetch, sent } = answering(200, standard);
  const callbackParams = new URLSearchParams({ code: 'c', 'accounts-server': told });
  const call = exchangeCode({ ...exchangeFixture, fetch, server: regional, callbackParams });
  expect(await verdictOf(call)).toEqual({ kind: 'rejected', code: 'MALFORMED_RESPONSE' });
  expect(sent).toHaveLength(0);
  const verdict = { kind: 'misconfigured', code: 'BLOCKED_HOST' };
  expect(() => atRegion(regional, [{ name: 'accounts-server', value: told }])).toThrow(
    expect.objectContaining({ message: expect.stringContaining('none of the provider'), verdict }),
  );
});

test('identity can be asked with a body', async () => {
  const body = { query: '{ viewer { id } }' };
  const server = serverFixture({
    identity: {
      url: 'https://provider.example/graphql',
      method: 'POST',
      body,
      idPaths: ['data.viewer.id'],
      emailPaths: [],
      namePaths: [],
    },
  });
  const { fetch, sent } = answering(200, { data: { viewer: { id: 'u1' } } });
  const answer = await fetchAccount({ fetch, server, accessToken: new Secret('a') });
  expect(answer).toMatchObject({ kind: 'account', account: { id: 'u1' } });
  expect(sent[0]).toMatchObject({
    method: 'POST',
    headers: { authorization: 'Bearer a', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
});

test.each<[string, number, unknown, string]>([
  ['an error object with a code alone', 400, { error: { code: 'dead' } }, 'reauthorize'],
  ['an error object that says nothing', 400, { error: { message: 'x' } }, 'retry'],
  ['a list of errors', 401, { errors: [{ category: 'AUTH', code: 'dead' }] }, 'reauthorize'],
  ['Strava', 400, { message: 'Bad Request', errors: [{ resource: 'T', field: 'f', code: 'gone' }] }, 'reauthorize'],
  ['Strava, of another field', 400, { errors: [{ resource: 'T', field: 'g', code: 'gone' }] }, 'retry'],
  ['Strava, of the client', 400, { errors: [{ resource: 'A', field: '', code: 'gone' }] }, 'misconfigured'],
  ['a text that makes the word', 401, { message: 'Gone.', type: 'odd' }, 'reauthorize'],
  ['another text', 401, { message: 'Busy', type: 'odd' }, 'retry'],
  ['an empty list of errors', 401, { errors: [] }, 'retry'],
  ['ClickUp', 401, { err: 'Code already used', ECODE: 'dead' }, 'reauthorize'],
  ['Typeform', 403, { code: 'dead', description: 'x' }, 'reauthorize'],
  ['a number', 400, { code: 4004, message: 'x' }, 'reauthorize'],
  ['error: true', 400, { error: true, status: 'dead' }, 'reauthorize'],
  ['200 with an error object', 200, { error: { code: 'dead' } }, 'reauthorize'],
  ['200 with a code that is no error', 200, { code: 'dead' }, 'retry'],
  ['403 with the grant dead', 403, { error: 'invalid_grant' }, 'reauthorize'],
  ['a client error that means the grant here', 403, { error: 'unauthorized_client' }, 'reauthorize'],
])('the error of %s: %i %j is %s', async (_name, status, body, kind) => {
  const server = serverFixture({
    deadGrantErrors: ['dead', '4004', 'unauthorized_client', 'T:f:gone', 'odd: Gone'],
    refusedClientErrors: ['A::gone'],
  });
  expect(await verdictOf(refresh(answering(status, body).fetch, server))).toMatchObject({ kind });
});

test('what the second answer says of a token stands, and else what the first one said', async () => {
  const accountPaths = { id: ['user_id'], email: [], name: [] };
  const server = { ...meta, accountPaths, keepFromToken: ['region', 'user_id'] };
  const grantOf = (second: object) => {
    const first = { access_token: 'short', user_id: 7, region: 'eu', scope: 'x' };
    return exchangeCode({ ...exchangeFixture, fetch: answeringTwice(first, 200, second).fetch, server });
  };
  expect(await grantOf({ access_token: 'long', user_id: 8, scope: 'y' })).toMatchObject({
    scopes: ['y'],
    account: { id: '8' },
    kept: [
      { name: 'region', value: 'eu' },
      { name: 'user_id', value: '8' },
    ],
  });
  expect(await grantOf({ access_token: 'long' })).toMatchObject({ scopes: ['x'], account: { id: '7' } });
});

test.each(['GET', 'POST'] as const)(
  'a renewal by %s waits as long as a refresh, and has its headers',
  async (method) => {
    const server = serverFixture({ renewal: { ...renewal, method }, tokenHeaders: { 'x-version': '2' } });
    const asked: unknown[] = [];
    const fetch: ProviderFetch = (url, init) => {
      asked.push(init.timeoutMs, init.headers?.['x-version']);
      return answering(200, standard).fetch(url, init);
    };
    await refresh(fetch, server);
    expect(asked).toEqual([1000, '2']);
  },
);

test.each([
  [{ expires_in: 1 }, { expiresInSeconds: 1 }],
  [{ expires_in: true }, { expiresInSeconds: null }],
  [{ token_type: 'xBearer' }, { tokenType: 'Bearer' }],
  [{ token_type: 'bearer-like' }, { tokenType: 'Bearer' }],
  [{ token_type: 'bEARER' }, { tokenType: 'bEARER' }],
  [{ scope: 'x'.repeat(16_384) }, { scopes: ['x'.repeat(16_384)] }],
  [{ scope: 'x'.repeat(16_385) }, { scopes: null }],
])('T25. a token answer at an edge: %#', async (members, expected) => {
  const { fetch } = answering(200, { access_token: 'a', ...members });
  expect(await refresh(fetch, serverFixture())).toMatchObject(expected);
});

test('a callback that tells an error, and an address that is none, exchange nothing', async () => {
  const { fetch, sent } = answering(200, standard);
  const callbackParams = new URLSearchParams({ error: 'access_denied' });
  const denied = exchangeCode({ ...exchangeFixture, fetch, server: serverFixture(), callbackParams });
  expect(await verdictOf(denied)).toEqual({ kind: 'rejected', code: 'MALFORMED_RESPONSE' });
  const unsupported = { kind: 'misconfigured', code: 'UNSUPPORTED' };
  expect(await verdictOf(refresh(fetch, serverFixture({ tokenUrl: 'no url' })))).toEqual(unsupported);
  expect(sent).toEqual([]);
});

test('a grant is taken back by whichever token there is, where the way takes both', async () => {
  const revoke = async (
    style: 'rfc7009' | 'bearer',
    token: 'access' | 'refresh',
    tokens: { accessToken: Secret | null; refreshToken: Secret | null },
  ) => {
    const headers = { 'x-version': '2' };
    const server = serverFixture({ revocation: { url: 'https://provider.example/revoke', style, token, headers } });
    const { fetch, sent } = answering(200, '');
    const outcome = await revokeGrant({ fetch, server, client: clientFixture, ...tokens });
    const [request] = sent;
    if (request) expect(request.headers).toMatchObject(headers);
    return [outcome, form(request).token ?? request?.headers.authorization];
  };
  const [accessToken, refreshToken] = [new Secret('a'), new Secret('r')];
  expect(await revoke('rfc7009', 'access', { accessToken, refreshToken })).toEqual(['REVOKED', 'a']);
  expect(await revoke('rfc7009', 'access', { accessToken: null, refreshToken })).toEqual(['REVOKED', 'r']);
  expect(await revoke('rfc7009', 'refresh', { accessToken, refreshToken: null })).toEqual(['REVOKED', 'a']);
  expect(await revoke('bearer', 'access', { accessToken: null, refreshToken })).toEqual(['UNSUPPORTED', undefined]);
});

test('JSON that a revocation sends says that it is', async () => {
  const url = 'https://provider.example/grant';
  const server = serverFixture({ revocation: { url, style: 'basic-json', token: 'access' } });
  const { fetch, sent } = answering(204, '');
  await revokeGrant({ fetch, server, client: clientFixture, accessToken: new Secret('a'), refreshToken: null });
  expect(sent[0]?.headers).toMatchObject({ 'content-type': 'application/json' });
});

test('an id_token that does not come, or that nothing is there to check by, names nobody', async () => {
  const [issuer, jwksUrl] = ['https://provider.example', 'https://provider.example/keys'];
  const withToken = { ...standard, id_token: 'a.b.c' };
  for (const [known, answer] of [
    [{ issuer, jwksUrl }, standard],
    [{ issuer, jwksUrl: null }, withToken],
    [{ issuer: null, jwksUrl }, withToken],
  ] as const) {
    const { fetch, sent } = answering(200, answer);
    const server = serverFixture(known);
    const grant = await exchangeCode({ ...exchangeFixture, fetch, server, nonce: 'n', scopes: ['openid'] });
    expect([grant.account, sent.length]).toEqual([null, 1]);
  }
});
