import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { buildAuthorizationUrl, newNonce, newPkce, newState } from '../../src/oauth/authorization.ts';
import type { AuthorizationServer, OAuthClient } from '../../src/oauth/authorization-server.ts';
import { discover } from '../../src/oauth/discovery.ts';
import { createProviderFetch, type ProviderFetch } from '../../src/oauth/fetch.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { exchangeCode, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { customServer } from '../../src/providers/catalogue.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type CalendarProvider, consentAt, startCalendarProvider } from '../support/local-provider.ts';
import { answering, verdictOf } from './support/server-fixture.ts';

const redirectUri = 'http://127.0.0.1:9/callback';
const policy = { allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 262_144 };
const { fetch, close } = createProviderFetch(policy);
let provider: CalendarProvider;
let server: AuthorizationServer;

beforeAll(async () => {
  provider = await startCalendarProvider({ port: 0, clients: [{ name: 'Tests', redirectUris: [redirectUri] }] });
  server = await discovered('CLIENT_SECRET_POST');
});
afterAll(async () => {
  await provider.stop();
  await close();
});

async function discovered(clientAuthentication: 'CLIENT_SECRET_POST' | 'CLIENT_SECRET_BASIC' | 'NONE') {
  const found = await discover(fetch, provider.issuer);
  return customServer({ ...found, clientAuthentication, authorizationParams: {}, scopeSeparator: ' ' });
}

const theClient = (): OAuthClient => ({ clientId: provider.clientId, clientSecret: new Secret(provider.clientSecret) });
const scopes = ['openid', 'email', 'offline_access'];

/** Walks through consent, and answers all that the exchange needs. */
async function consent(target = server, client = theClient()) {
  const { codeVerifier, codeChallenge } = await newPkce();
  const [state, nonce] = [newState(), newNonce()];
  const { clientId } = client;
  const url = buildAuthorizationUrl({ server: target, clientId, redirectUri, scopes, state, codeChallenge, nonce });
  const callbackParams = new URL(await consentAt(url)).searchParams;
  expect(callbackParams.get('state')).toBe(state);
  return { fetch, server: target, client, callbackParams, redirectUri, codeVerifier, nonce, scopes, now: new Date() };
}

const refreshed = (refreshToken: Secret) =>
  refreshGrant({ fetch, server, client: theClient(), refreshToken, timeoutMs: 5_000 });

test('discovery finds the endpoints of a real provider', async () => {
  expect(await discover(fetch, provider.issuer)).toEqual({
    issuer: provider.issuer,
    authorizationUrl: `${provider.issuer}/auth`,
    tokenUrl: `${provider.issuer}/token`,
    jwksUrl: `${provider.issuer}/jwks`,
    revocationUrl: `${provider.issuer}/token/revocation`,
    userinfoUrl: `${provider.issuer}/me`,
    issParameterSupported: true,
    pkce: true,
  });
});

test('a grant is given, renewed, and ends when a used refresh token comes back', async () => {
  const grant = await exchangeCode(await consent());
  expect(grant).toMatchObject({
    tokenType: 'Bearer',
    expiresInSeconds: 30,
    scopes,
    account: { email: expect.stringContaining('@') },
  });
  const known = await fetchAccount({ fetch, server, accessToken: grant.accessToken });
  expect(known).toMatchObject({ kind: 'account', account: { id: grant.account?.id } });

  const second = await refreshed(grant.refreshToken!);
  expect(second.refreshToken!.reveal()).not.toBe(grant.refreshToken!.reveal());
  expect((await fetchAccount({ fetch, server, accessToken: second.accessToken })).kind).toBe('account');

  expect(await verdictOf(refreshed(grant.refreshToken!))).toEqual({ kind: 'reauthorize', code: 'invalid_grant' });
  expect(await verdictOf(refreshed(second.refreshToken!))).toEqual({ kind: 'reauthorize', code: 'invalid_grant' });
  expect(await fetchAccount({ fetch, server, accessToken: second.accessToken })).toEqual({ kind: 'refused' });
});

test('a revoked grant is gone, and revoking it again is no error', async () => {
  const grant = await exchangeCode(await consent());
  const revoke = () =>
    revokeGrant({
      fetch,
      server,
      client: theClient(),
      accessToken: grant.accessToken,
      refreshToken: grant.refreshToken,
    });
  expect(await revoke()).toBe('REVOKED');
  expect(await verdictOf(refreshed(grant.refreshToken!))).toMatchObject({ kind: 'reauthorize' });
  expect(await revoke()).toBe('REVOKED');
});

test.each(['client_secret_basic', 'none'] as const)(
  'a client that proves itself by %s is accepted',
  async (authentication) => {
    const secret = 's-e:c%r&e+t/~'.repeat(3);
    const { clientId } = provider.registerClient({
      name: 'Other',
      redirectUris: [redirectUri],
      authentication,
      clientSecret: secret,
    });
    const target = await discovered(authentication === 'none' ? 'NONE' : 'CLIENT_SECRET_BASIC');
    const client = { clientId, clientSecret: authentication === 'none' ? null : new Secret(secret) };
    const grant = await exchangeCode(await consent(target, client));
    const next = await refreshGrant({
      fetch,
      server: target,
      client,
      refreshToken: grant.refreshToken!,
      timeoutMs: 5_000,
    });
    expect(next.accessToken.reveal()).not.toBe(grant.accessToken.reveal());
  },
);

test('a wrong client secret is for the admin to mend', async () => {
  const grant = await exchangeCode(await consent());
  const client = { ...theClient(), clientSecret: new Secret('wrong') };
  const call = refreshGrant({ fetch, server, client, refreshToken: grant.refreshToken!, timeoutMs: 5_000 });
  expect(await verdictOf(call)).toEqual({ kind: 'misconfigured', code: 'INVALID_CLIENT' });
  expect((await refreshed(grant.refreshToken!)).refreshToken).not.toBeNull();
});

test('T5. a code works once, and not with the verifier of another flow', async () => {
  const [one, two] = [await consent(), await consent()];
  const swapped = exchangeCode({ ...one, codeVerifier: two.codeVerifier });
  expect(await verdictOf(swapped)).toEqual({ kind: 'reauthorize', code: 'invalid_grant' });
  await exchangeCode(two);
  expect(await verdictOf(exchangeCode(two))).toEqual({ kind: 'reauthorize', code: 'invalid_grant' });
});

test('T2. a callback with a wrong or missing issuer costs no request', async () => {
  const flow = await consent();
  const before = provider.counts.authorization_code;
  for (const iss of ['https://evil.example', `${provider.issuer}/`, null]) {
    const callbackParams = new URLSearchParams(flow.callbackParams);
    if (iss === null) callbackParams.delete('iss');
    else callbackParams.set('iss', iss);
    expect(await verdictOf(exchangeCode({ ...flow, callbackParams }))).toEqual({
      kind: 'rejected',
      code: 'ISSUER_MISMATCH',
    });
  }
  expect(provider.counts.authorization_code).toBe(before);
});

test('an id_token with another nonce is refused, and one that nobody asked for is not looked at', async () => {
  const flow = await consent();
  expect(await verdictOf(exchangeCode({ ...flow, nonce: newNonce() }))).toEqual({
    kind: 'rejected',
    code: 'ID_TOKEN_INVALID',
  });
  const other = await consent();
  expect((await exchangeCode({ ...other, nonce: null })).account).toBeNull();
});

test('the present that counts for an id_token is the one given', async () => {
  const flow = await consent();
  const now = new Date(Date.now() + 3_600_000);
  expect(await verdictOf(exchangeCode({ ...flow, now }))).toEqual({ kind: 'rejected', code: 'ID_TOKEN_INVALID' });
  const soon = { ...(await consent()), now: new Date(Date.now() + 600_000) };
  expect((await exchangeCode(soon)).account?.id).toEqual(expect.any(String));
});

test('each claim of an id_token, and its signature, is checked', async () => {
  const issuer = 'https://signing.example';
  const [own, foreign] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
  const jwks = { keys: [{ ...(await exportJWK(own.publicKey)), alg: 'RS256', use: 'sig' }] };
  const target = { ...server, issuer, issParameterSupported: false, jwksUrl: `${issuer}/keys` };
  const seconds = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: 'c', sub: 's1', nonce: 'n', iat: seconds, exp: seconds + 60, name: 'Ann\u202e' };

  const exchange = async (
    changes: Record<string, unknown>,
    key = own.privateKey,
    keys: unknown = jwks,
    { keysStatus = 200, alg = 'RS256' } = {},
  ) => {
    const idToken = await new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg }).sign(key);
    const tokens = answering(200, { access_token: 'a', id_token: idToken });
    const published = answering(keysStatus, keys);
    const both: ProviderFetch = (url, init) => (url.endsWith('/keys') ? published : tokens).fetch(url, init);
    return exchangeCode({
      fetch: both,
      server: target,
      client: { clientId: 'c', clientSecret: new Secret('s') },
      callbackParams: new URLSearchParams({ code: 'c' }),
      redirectUri,
      codeVerifier: 'v',
      nonce: 'n',
      scopes: ['openid'],
      now: new Date(),
    });
  };

  expect((await exchange({})).account).toEqual({ id: 's1', email: null, name: 'Ann' });
  for (const alg of ['RS512', 'PS384', 'PS512', 'ES384', 'EdDSA']) {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    const keys = { keys: [{ ...(await exportJWK(publicKey)), alg, use: 'sig' }] };
    expect([alg, (await exchange({}, privateKey, keys, { alg })).account?.id]).toEqual([alg, 's1']);
  }
  // Clocks differ by a little.
  expect((await exchange({ iat: seconds + 30, exp: seconds - 30 })).account?.id).toBe('s1');
  const wrong: Record<string, unknown>[] = [
    { iss: 'https://evil.example' },
    { aud: 'other' },
    { aud: ['c', 'other'] },
    { nonce: 'other' },
    { nonce: undefined },
    { exp: seconds - 3600 },
    { sub: 7 },
    { sub: undefined },
  ];
  for (const changes of wrong) {
    expect([changes, await verdictOf(exchange(changes))]).toEqual([
      changes,
      { kind: 'rejected', code: 'ID_TOKEN_INVALID' },
    ]);
  }
  expect(await verdictOf(exchange({}, foreign.privateKey))).toEqual({ kind: 'rejected', code: 'ID_TOKEN_INVALID' });
  expect(await verdictOf(exchange({}, own.privateKey, { keys: [] }))).toEqual({
    kind: 'rejected',
    code: 'ID_TOKEN_INVALID',
  });
  // keys that did not come decide nothing
  expect(await verdictOf(exchange({}, own.privateKey, jwks, { keysStatus: 503 }))).toEqual({
    kind: 'retry',
    code: 'PROVIDER_UNAVAILABLE',
    retryAfterSeconds: null,
    lost: false,
  });
});

/** An issuer that publishes what the test says, at the paths it says. */
async function publishing(documents: (issuer: string) => Record<string, [number, unknown]>) {
  const paths: string[] = [];
  const issuing = createServer((request, response) => {
    paths.push(request.url ?? '');
    const [status, body] = documents(issuer)[request.url ?? ''] ?? [404, 'nothing here'];
    const location = status === 302 ? { location: '/login' } : {};
    response
      .writeHead(status, { 'content-type': 'application/json', ...location })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => issuing.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void issuing.close());
  const issuer = `http://127.0.0.1:${(issuing.address() as AddressInfo).port}`;
  return { issuer, paths };
}

const oidcPath = '/.well-known/openid-configuration';
const oauthPath = '/.well-known/oauth-authorization-server';
const metadata = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: 'https://tokens.example/token',
});
const discoveryFailed = { kind: 'retry', code: 'DISCOVERY_FAILED', retryAfterSeconds: null, lost: false };

test.each([
  [404, 'nothing'],
  [302, ''],
  [200, '<html>'],
  [500, '{}'],
] as const)('where the OpenID document is answered with %i %j, the one of RFC 8414 is read', async (status, body) => {
  const { issuer, paths } = await publishing((own) => ({
    [oidcPath]: [status, body],
    [oauthPath]: [200, metadata(own)],
  }));
  expect(await discover(fetch, issuer)).toEqual({
    issuer,
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: 'https://tokens.example/token',
    jwksUrl: null,
    revocationUrl: null,
    userinfoUrl: null,
    issParameterSupported: false,
    pkce: true,
  });
  expect(paths).toEqual([oidcPath, oauthPath]);
});

test('an issuer with a path has its document below it, or before it', async () => {
  const { issuer, paths } = await publishing(() => ({}));
  expect(await verdictOf(discover(fetch, `${issuer}/tenant`))).toEqual(discoveryFailed);
  expect(paths).toEqual([`/tenant${oidcPath}`, `${oauthPath}/tenant`]);
});

test('T2. metadata that names another issuer is refused', async () => {
  for (const named of ['https://evil.example', 'x']) {
    const { issuer } = await publishing((own) => ({ [oidcPath]: [200, { ...metadata(own), issuer: named }] }));
    expect(await verdictOf(discover(fetch, issuer))).toMatchObject(
      named === 'x' ? discoveryFailed : { kind: 'rejected', code: 'ISSUER_MISMATCH' },
    );
  }
});

test.each([
  ['authorization_endpoint', undefined],
  ['authorization_endpoint', 'javascript:alert(1)'],
  ['authorization_endpoint', '/authorize'],
  ['authorization_endpoint', 'https://a@evil.example/'],
  ['token_endpoint', 'ftp://x.example/'],
  ['token_endpoint', 7],
  ['jwks_uri', 'data:x'],
  ['revocation_endpoint', {}],
  ['userinfo_endpoint', 'https://x.example/#y'],
])('metadata whose %s is %j is not used', async (name, value) => {
  const { issuer } = await publishing((own) => ({ [oidcPath]: [200, { ...metadata(own), [name]: value }] }));
  expect(await verdictOf(discover(fetch, issuer))).toEqual(discoveryFailed);
});

test.each([
  [undefined, true],
  [['plain', 'S256'], true],
  [['plain'], false],
  [[], false],
])('with the challenge methods %j PKCE is %s', async (methods, pkce) => {
  const { issuer } = await publishing((own) => ({
    [oidcPath]: [200, { ...metadata(own), code_challenge_methods_supported: methods }],
  }));
  expect((await discover(fetch, issuer)).pkce).toBe(pkce);
});

test('T7. an issuer that is not allowed is not asked', async () => {
  const strict = createProviderFetch({ ...policy, allowLoopback: false });
  onTestFinished(strict.close);
  expect(await verdictOf(discover(strict.fetch, provider.issuer))).toEqual({
    kind: 'misconfigured',
    code: 'BLOCKED_HOST',
  });
  expect(await verdictOf(discover(strict.fetch, 'no url'))).toEqual(discoveryFailed);
});
