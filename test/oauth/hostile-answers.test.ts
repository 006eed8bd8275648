import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { Secret } from '../../src/lib/secret.ts';
import type { AuthorizationServer, ProviderAccount, TokenGrant } from '../../src/oauth/authorization-server.ts';
import { keptFromCallback, readAuthorizationResponse } from '../../src/oauth/authorization.ts';
import { discover } from '../../src/oauth/discovery.ts';
import { challengeError, judgeTokenError, OAuthError } from '../../src/oauth/failure.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { memberAt, parseMembers, readAccount, textAt } from '../../src/oauth/members.ts';
import { exchangeCode, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { searchProviders } from '../../src/providers/catalogue.ts';
import { answering, clientFixture, serverFixture } from './support/server-fixture.ts';

/** Names that a provider's answer may use, those of JavaScript's own among them. */
const names = (
  'access_token refresh_token token_type expires_in expires_at scope id_token error status ok data authed_user team sub ' +
  'id user email name instance_url issuer authorization_endpoint token_endpoint jwks_uri revocation_endpoint userinfo_endpoint ' +
  '__proto__ constructor prototype toString hasOwnProperty polluted'
).split(' ');
const long = fc.constantFrom('x'.repeat(20_000), '\u202eevil\u0000\r\n', 'é'.repeat(400), '\ud800', ' ', 'Bearer');
const { json, leaf } = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.string({ unit: 'binary' }),
    long,
    fc.double(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
  ),
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('json'), { maxLength: 3 }),
    fc
      .array(fc.tuple(fc.constantFrom(...names), tie('json')), { maxLength: 8 })
      // written by hand, so that names may repeat and `__proto__` is a member like any other
      .map(
        (members) => new Raw(`{${members.map(([name, value]) => `${JSON.stringify(name)}:${text(value)}`).join()}}`),
      ),
  ),
}));

class Raw {
  readonly json: string;
  constructor(json: string) {
    this.json = json;
  }
}

function text(value: unknown): string {
  if (value instanceof Raw) return value.json;
  if (Array.isArray(value)) return `[${value.map(text).join()}]`;
  return JSON.stringify(value) ?? 'null';
}

const body = fc.oneof(
  // one value in all the places that are looked at
  leaf.map((value) => {
    const account = ['sub', 'id', 'user_id', 'email', 'name', 'login'].map((name) => `"${name}":${text(value)}`).join();
    return `{"access_token":"a","refresh_token":${text(value)},"scope":${text(value)},"instance_url":${text(value)},${account}}`;
  }),
  json.map(text),
  // a usable token with whatever else
  json.map((value) => `{"access_token":"a","data":${text(value)},"authed_user":${text(value)},"scope":${text(value)}}`),
  json.map((value) => `{"access_token":"a","refresh_token":${text(value)},"expires_in":${text(value)}}`),
  fc.array(fc.tuple(fc.constantFrom(...names), fc.string())).map((entries) => new URLSearchParams(entries).toString()),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    '<html>',
    '['.repeat(200_000),
    '{"a":'.repeat(50_000),
    `{"access_token":"${'a'.repeat(16_385)}"}`,
  ),
);
const answer = fc.record({
  status: fc.oneof(
    fc.constantFrom(200, 201, 204, 302, 400, 401, 403, 429, 500, 999),
    fc.integer({ min: 200, max: 999 }),
  ),
  body,
  headers: fc.constantFrom<Record<string, string>>(
    {},
    { 'content-type': 'application/json', date: 'x' },
    { 'www-authenticate': 'Bearer error="invalid_grant", error_description="\\"' },
    { 'retry-after': '-1e9' },
  ),
});
const servers = [
  serverFixture(),
  serverFixture({ issuer: 'https://provider.example', jwksUrl: 'https://provider.example/keys' }),
  serverFixture({ tokenPath: '__proto__', keepFromToken: ['constructor', '__proto__', 'instance_url'] }),
  ...searchProviders(null).map(({ server }) => server),
];
const anyServer = fc.constantFrom<AuthorizationServer>(...servers);

afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('polluted');
  expect(({} as Record<string, unknown>).access_token).toBeUndefined();
});

/** What came of it; fails for an error that is not of the one kind that may leave, or that shows what the provider said. */
async function outcomeOf<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    expect(error.cause).toBeUndefined();
    expect(error.message.length).toBeLessThan(300);
    expect(JSON.stringify(error.verdict).length).toBeLessThan(400);
    return null;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/;

function expectLabel(label: string | null): void {
  if (label === null) return;
  expect(label.length).toBeGreaterThan(0);
  expect(label.length).toBeLessThanOrEqual(320);
  expect(label).not.toMatch(control);
  expect(() => encodeURIComponent(label)).not.toThrow(); // no half of a character
}

function expectAccount(account: ProviderAccount | null): void {
  if (account === null) return;
  expect(Object.keys(account).sort()).toEqual(['email', 'id', 'name']);
  for (const label of Object.values(account) as (string | null)[]) expectLabel(label);
}

function expectWithinCaps(grant: TokenGrant): void {
  for (const token of [grant.accessToken, grant.refreshToken]) {
    const value = token?.reveal();
    if (value === undefined) continue;
    expect(value.length).toBeLessThanOrEqual(16_384);
    expect(value).not.toMatch(/[\s\u007f]/);
  }
  expect(grant.tokenType).toMatch(/^bearer$/i);
  if (grant.expiresInSeconds !== null) {
    expect(Number.isInteger(grant.expiresInSeconds)).toBe(true);
    expect(grant.expiresInSeconds).toBeGreaterThanOrEqual(1);
    expect(grant.expiresInSeconds).toBeLessThanOrEqual(10 * 366 * 24 * 3600);
  }
  expect(grant.scopes?.join(' ').length ?? 0).toBeLessThanOrEqual(16_384);
  expect(new Set(grant.scopes).size).toBe(grant.scopes?.length ?? 0);
  expectAccount(grant.account);
  for (const { value } of grant.kept) expectLabel(value);
}

/** Fewer where each of many mutants is judged. */
const runs = { numRuns: Number(process.env.HOSTILE_RUNS ?? 400) };

test('T25. whatever a token endpoint answers, a refresh ends in a grant within its caps or in the one error there is', async () => {
  await fc.assert(
    fc.asyncProperty(anyServer, answer, async (server, { status, body: said, headers }) => {
      const { fetch } = answering(status, said, headers);
      const refreshToken = new Secret('r');
      const call = refreshGrant({ fetch, server, client: clientFixture, refreshToken, timeoutMs: 1_000 });
      const grant = await outcomeOf(call);
      if (grant) expectWithinCaps(grant);
    }),
    runs,
  );
});

test('T25. the same of a code exchange, with an id_token asked for and without', async () => {
  await fc.assert(
    fc.asyncProperty(anyServer, answer, fc.boolean(), async (server, { status, body: said, headers }, openid) => {
      const { fetch } = answering(status, said, headers);
      const call = exchangeCode({
        fetch,
        server,
        client: clientFixture,
        callbackParams: new URLSearchParams({ code: 'c', ...(server.issuer !== null && { iss: server.issuer }) }),
        redirectUri: 'https://app.example/callback',
        codeVerifier: 'v',
        nonce: openid ? 'n' : null,
        scopes: ['openid'],
        now: new Date(),
        onUnusable: async (grant) => expectWithinCaps(grant),
      });
      const grant = await outcomeOf(call);
      if (grant) expectWithinCaps(grant);
    }),
    runs,
  );
});

test('T25. the same of revocations, of the account’s endpoint and of metadata', async () => {
  await fc.assert(
    fc.asyncProperty(anyServer, answer, async (server, { status, body: said, headers }) => {
      const { fetch } = answering(status, said, headers);
      const tokens = { accessToken: new Secret('a'), refreshToken: new Secret('r') };
      expect(['REVOKED', 'UNSUPPORTED', null]).toContain(
        await outcomeOf(revokeGrant({ fetch, server, client: clientFixture, ...tokens })),
      );
      const told = await fetchAccount({ fetch, server, accessToken: new Secret('a') }); // never throws
      if (told.kind === 'account') expectAccount(told.account);
      const found = await outcomeOf(discover(fetch, 'https://provider.example'));
      if (found) expect(found.issuer).toBe('https://provider.example');
    }),
    runs,
  );
});

test('T25. reading members never throws, and leads neither to a prototype nor to what it holds', () => {
  const paths = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'));
  fc.assert(
    fc.property(body, paths, fc.string({ unit: 'binary' }), (said, path, header) => {
      const members = parseMembers(said);
      const found = memberAt(members, path);
      expect([Object.prototype, Function.prototype, Object, Array.prototype]).not.toContain(found);
      expect(typeof found).not.toBe('function');
      expectLabel(textAt(members, [path]));
      expectAccount(readAccount(members, { id: [path], email: ['email', path], name: ['name.__proto__', path] }));
      const headers = new Headers();
      try {
        headers.set('www-authenticate', header);
      } catch {
        return; // no header that could come over a connection
      }
      expect(challengeError(headers)?.length ?? 0).toBeLessThanOrEqual(200);
      expect(judgeTokenError(servers[0]!, 400, headers, { code: header }).kind).toMatch(
        /^(retry|misconfigured|reauth)/,
      );
    }),
    runs,
  );
});

test('T25. an authorization response of any kind is read, or refused with the one error there is', async () => {
  const entries = fc.array(
    fc.tuple(
      fc.constantFrom('code', 'error', 'state', 'iss', 'realmId', 'accounts-server', '__proto__'),
      fc.string({ unit: 'binary' }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(anyServer, entries, async (server, params) => {
      const query = new URLSearchParams(params);
      const read = await outcomeOf((async () => readAuthorizationResponse(server, query))());
      if (read?.kind === 'error') expect(read.error).toMatch(/^[a-z_]{1,64}$/);
      const kept = await outcomeOf((async () => keptFromCallback(server, query))());
      for (const { value } of kept ?? []) expectLabel(value);
    }),
    runs,
  );
});
