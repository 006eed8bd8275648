import { inspect } from 'node:util';
import fc from 'fast-check';
import * as library from 'oauth4webapi';
import { expect, onTestFinished, test } from 'vitest';
import type { AuthorizationServer } from '../../src/oauth/authorization-server.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { exchangeCode, normaliseTokenAnswer, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { findProvider } from '../../src/providers/catalogue.ts';
import { Secret } from '../../src/lib/secret.ts';
import { answering, clientFixture, serverFixture, verdictOf } from './support/server-fixture.ts';

const slack = findProvider('slack')!.server;
const slackBot = findProvider('slackbot')!.server;
const github = findProvider('github')!.server;
const hubspot = findProvider('hubspot')!.server;
const notion = findProvider('notion')!.server;
const plain = serverFixture();
const zoho = serverFixture({ deadGrantErrors: ['invalid_code'] });
const meta = serverFixture({ deadGrantErrors: ['OAuthException:190'] });
const envelope = serverFixture({ tokenPath: 'data' });
const openid = serverFixture({ issuer: 'https://provider.example', jwksUrl: 'https://provider.example/keys' });

const refresh = (server: AuthorizationServer, status: number, body: unknown, headers: Record<string, string> = {}) =>
  refreshGrant({
    fetch: answering(status, body, headers).fetch,
    server,
    client: clientFixture,
    refreshToken: new Secret('r-old'),
    timeoutMs: 1000,
  });

/** What a grant holds, with its secrets shown. */
async function plainGrant(grant: ReturnType<typeof refresh>) {
  const { accessToken, refreshToken, tokenType, expiresInSeconds, scopes } = await grant;
  return [accessToken.reveal(), refreshToken?.reveal() ?? null, tokenType, expiresInSeconds, scopes];
}

const standard = { access_token: 'a', token_type: 'Bearer', expires_in: 3600, refresh_token: 'r', scope: 'x y' };

test.each<[string, AuthorizationServer, number, unknown, unknown[]]>([
  ['plain standard answer', plain, 200, standard, ['a', 'r', 'Bearer', 3600, ['x', 'y']]],
  ['no token_type', plain, 200, { access_token: 'a' }, ['a', null, 'Bearer', null, null]],
  ['token_type "bearer"', plain, 200, { access_token: 'a', token_type: 'bearer' }, ['a', null, 'bearer', null, null]],
  [
    'token_type "bot" (Slack)',
    slackBot,
    200,
    { ok: true, access_token: 'a', token_type: 'bot', scope: 'x,y' },
    ['a', null, 'Bearer', null, ['x', 'y']],
  ],
  [
    'token under authed_user (Slack)',
    slack,
    200,
    {
      ok: true,
      token_type: 'bot',
      scope: 'bot',
      authed_user: {
        id: 'U1',
        access_token: 'a',
        refresh_token: 'r',
        expires_in: 43200,
        token_type: 'user',
        scope: 'x,y',
      },
    },
    ['a', 'r', 'Bearer', 43_200, ['x', 'y']],
  ],
  [
    'refreshed user token at the top (Slack)',
    slack,
    200,
    { ok: true, access_token: 'a', refresh_token: 'r', token_type: 'user' },
    ['a', 'r', 'Bearer', null, null],
  ],
  [
    'form-encoded (GitHub)',
    github,
    200,
    'access_token=a&scope=repo%2Cgist&token_type=bearer',
    ['a', null, 'bearer', null, ['repo', 'gist']],
  ],
  ['expires_in as a text', plain, 200, { access_token: 'a', expires_in: '3600' }, ['a', null, 'Bearer', 3600, null]],
  ['expires_in empty', plain, 200, { access_token: 'a', expires_in: '' }, ['a', null, 'Bearer', null, null]],
  ['expires_in null', plain, 200, { access_token: 'a', expires_in: null }, ['a', null, 'Bearer', null, null]],
  ['expires_in 0', plain, 200, { access_token: 'a', expires_in: 0 }, ['a', null, 'Bearer', null, null]],
  ['expires_in negative', plain, 200, { access_token: 'a', expires_in: -1 }, ['a', null, 'Bearer', null, null]],
  ['expires_in huge', plain, 200, { access_token: 'a', expires_in: 1e12 }, ['a', null, 'Bearer', 315_360_000, null]],
  ['expires_in broken', plain, 200, { access_token: 'a', expires_in: 3.5 }, ['a', null, 'Bearer', 3, null]],
  ['expires_in an object', plain, 200, { access_token: 'a', expires_in: {} }, ['a', null, 'Bearer', null, null]],
  ['refresh_token null', plain, 200, { ...standard, refresh_token: null }, ['a', null, 'Bearer', 3600, ['x', 'y']]],
  ['refresh_token empty', plain, 200, { ...standard, refresh_token: '' }, ['a', null, 'Bearer', 3600, ['x', 'y']]],
  ['scope as an array', plain, 200, { ...standard, scope: ['x', 'y', 'x', 3] }, ['a', 'r', 'Bearer', 3600, ['x', 'y']]],
  ['scope null', plain, 200, { ...standard, scope: null }, ['a', 'r', 'Bearer', 3600, null]],
  ['scope empty', plain, 200, { ...standard, scope: '' }, ['a', 'r', 'Bearer', 3600, null]],
  [
    'scope by the separator of the server',
    serverFixture({ scopeSeparator: '+' }),
    200,
    { ...standard, scope: 'x+y' },
    ['a', 'r', 'Bearer', 3600, ['x', 'y']],
  ],
  ['HTTP 201', plain, 201, standard, ['a', 'r', 'Bearer', 3600, ['x', 'y']]],
  ['id_token without iss', openid, 200, { ...standard, id_token: 'e30.e30.x' }, ['a', 'r', 'Bearer', 3600, ['x', 'y']]],
  ['id_token that is none', plain, 200, { ...standard, id_token: 7 }, ['a', 'r', 'Bearer', 3600, ['x', 'y']]],
  [
    'envelope',
    envelope,
    200,
    { code: 0, data: { access_token: 'a', refresh_token: 'r' } },
    ['a', 'r', 'Bearer', null, null],
  ],
  ['envelope nobody told of', plain, 200, { data: { access_token: 'a' } }, ['a', null, 'Bearer', null, null]],
  [
    'tokens beside an error',
    plain,
    200,
    { ...standard, error: 'odd', ok: false },
    ['a', 'r', 'Bearer', 3600, ['x', 'y']],
  ],
  ['duplicate keys', plain, 200, '{"access_token":"a","access_token":"b"}', ['b', null, 'Bearer', null, null]],
  [
    'token of 16 KiB',
    plain,
    200,
    { access_token: 'a', refresh_token: 'r'.repeat(16_384) },
    ['a', 'r'.repeat(16_384), 'Bearer', null, null],
  ],
  [
    'refresh token too long',
    plain,
    200,
    { access_token: 'a', refresh_token: 'r'.repeat(16_385) },
    ['a', null, 'Bearer', null, null],
  ],
])('T25. %s: tokens', async (_name, server, status, body, expected) => {
  expect(await plainGrant(refresh(server, status, body))).toEqual(expected);
});

test.each(['text/plain', 'text/javascript', 'text/html', ''])('JSON as %j is read', async (type) => {
  expect(await plainGrant(refresh(plain, 200, standard, { 'content-type': type }))).toEqual([
    'a',
    'r',
    'Bearer',
    3600,
    ['x', 'y'],
  ]);
});

test('T20. expires_at is measured by the clock that wrote it', async () => {
  const body = { access_token: 'a', expires_at: Date.parse('2031-01-01T01:00:00Z') / 1000 };
  const grant = await refresh(plain, 200, body, { date: 'Wed, 01 Jan 2031 00:00:00 GMT' });
  expect(grant.expiresInSeconds).toBe(3600);
});

const unusable = { kind: 'retry', code: 'UNUSABLE_ANSWER', retryAfterSeconds: null, lost: true };
const unknown = { kind: 'retry', code: 'UNKNOWN_ERROR', retryAfterSeconds: null, lost: false };
const html = '<!doctype html><html><body><a href="/login?a=b&c=d">Sign in</a></body></html>';

test.each<[string, AuthorizationServer, number, unknown, Record<string, string>, unknown]>([
  [
    'Slack 200 invalid_code',
    slack,
    200,
    { ok: false, error: 'invalid_code' },
    {},
    { kind: 'reauthorize', code: 'invalid_code' },
  ],
  [
    'Slack 200 invalid_refresh_token',
    slack,
    200,
    { ok: false, error: 'invalid_refresh_token' },
    {},
    { kind: 'reauthorize', code: 'invalid_refresh_token' },
  ],
  [
    'GitHub 200 bad_verification_code',
    github,
    200,
    { error: 'bad_verification_code' },
    {},
    { kind: 'reauthorize', code: 'bad_verification_code' },
  ],
  [
    'GitHub 200 form-encoded error',
    github,
    200,
    'error=incorrect_client_credentials&error_description=no',
    {},
    { kind: 'misconfigured', code: 'INVALID_CLIENT' },
  ],
  ['400 invalid_grant', plain, 400, { error: 'invalid_grant' }, {}, { kind: 'reauthorize', code: 'invalid_grant' }],
  [
    '403 invalid_grant (Atlassian)',
    plain,
    403,
    { error: 'invalid_grant' },
    {},
    { kind: 'reauthorize', code: 'invalid_grant' },
  ],
  [
    '400 invalid_grant with a challenge (GitLab)',
    plain,
    400,
    { error: 'invalid_grant' },
    { 'www-authenticate': 'Bearer realm="Doorkeeper", error="invalid_grant"' },
    { kind: 'reauthorize', code: 'invalid_grant' },
  ],
  [
    '401 invalid_client with a challenge',
    plain,
    401,
    { error: 'invalid_client' },
    { 'www-authenticate': 'Basic realm="x"' },
    { kind: 'misconfigured', code: 'INVALID_CLIENT' },
  ],
  ['400 empty body', plain, 400, '', {}, unknown],
  ['400 invalid_code (Zoho)', zoho, 400, { error: 'invalid_code' }, {}, { kind: 'reauthorize', code: 'invalid_code' }],
  ['200 invalid_code (Zoho)', zoho, 200, { error: 'invalid_code' }, {}, { kind: 'reauthorize', code: 'invalid_code' }],
  ['400 too many tokens (Zoho)', zoho, 400, { error: 'Access Denied', status: 'failure' }, {}, unknown],
  [
    '400 OAuthException 190 (Meta)',
    meta,
    400,
    { error: { message: 'x', type: 'OAuthException', code: 190 } },
    {},
    { kind: 'reauthorize', code: 'OAuthException:190' },
  ],
  ['400 OAuthException 2 (Meta)', meta, 400, { error: { message: 'x', type: 'OAuthException', code: 2 } }, {}, unknown],
  [
    '400 BAD_REFRESH_TOKEN (HubSpot)',
    hubspot,
    400,
    { status: 'BAD_REFRESH_TOKEN', message: 'x' },
    {},
    { kind: 'reauthorize', code: 'BAD_REFRESH_TOKEN' },
  ],
  [
    '429 with Retry-After',
    plain,
    429,
    { error: 'rate_limited' },
    { 'retry-after': '30' },
    { kind: 'retry', code: 'RATE_LIMITED', retryAfterSeconds: 30, lost: false },
  ],
  [
    '503 HTML',
    plain,
    503,
    html,
    { 'content-type': 'text/html' },
    { kind: 'retry', code: 'PROVIDER_UNAVAILABLE', retryAfterSeconds: null, lost: false },
  ],
  ['200 HTML', plain, 200, html, { 'content-type': 'text/html' }, unusable],
  ['200 empty', plain, 200, '', {}, unusable],
  ['204', plain, 204, '', {}, unusable],
  ['200 an array', plain, 200, '[{"access_token":"a"}]', {}, unusable],
  ['200 cut off', plain, 200, '{"access_token":"a"', {}, unusable],
  ['200 token that is no text', plain, 200, { access_token: { value: 'a' } }, {}, unusable],
  ['200 token with a line break', plain, 200, { access_token: 'a\r\nx-evil: 1' }, {}, unusable],
  ['200 token too long', plain, 200, { access_token: 'a'.repeat(16_385) }, {}, unusable],
  ['200 token of the prototype', plain, 200, '{"__proto__":{"access_token":"a"}}', {}, unusable],
  [
    '999 (LinkedIn)',
    plain,
    999,
    '',
    {},
    { kind: 'retry', code: 'PROVIDER_UNAVAILABLE', retryAfterSeconds: null, lost: false },
  ],
  ['400 with tokens', plain, 400, standard, {}, unknown],
])('T19. %s: verdict', async (_name, server, status, body, headers, verdict) => {
  expect(await verdictOf(refresh(server, status, body, headers))).toEqual(verdict);
});

test('T25. whatever comes, the normaliser answers, and oauth4webapi accepts every token answer of it', async () => {
  const member = fc.oneof(fc.string(), fc.constantFrom('a', 'Bearer', 'x y', ''), fc.anything());
  const names = [
    'access_token',
    'refresh_token',
    'token_type',
    'expires_in',
    'expires_at',
    'scope',
    'error',
    'status',
    'ok',
    '__proto__',
    'constructor',
  ];
  const members = fc.dictionary(fc.constantFrom(...names), member);
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    members.map((value) => JSON.stringify(value) ?? ''),
    fc
      .record({ access_token: fc.constant('a'), data: members, authed_user: members, more: members })
      .map((value) => JSON.stringify({ ...value.more, ...value })),
    members.map((value) =>
      new URLSearchParams(
        Object.entries(value).map(([name, text]): [string, string] => [name, String(JSON.stringify(text))]),
      ).toString(),
    ),
  );
  const server = fc.constantFrom(plain, slack, zoho, envelope, openid);
  const headers = fc.constantFrom<Record<string, string>>(
    {},
    { 'www-authenticate': 'Basic' },
    { date: 'nonsense', 'content-type': 'text/html' },
  );
  const metadata = { issuer: 'https://provider.example' };

  await fc.assert(
    fc.asyncProperty(server, fc.integer({ min: 100, max: 999 }), headers, body, async (target, status, given, text) => {
      const response = normaliseTokenAnswer(target, status, new Headers(given), text);
      const tokens = (await response.clone().json()) as Record<string, unknown>;
      expect(Object.getPrototypeOf(tokens)).toBe(Object.prototype);
      for (const value of Object.values(tokens)) expect(String(value).length).toBeLessThanOrEqual(16_384);
      if (response.status === 200) {
        delete tokens.id_token; // dropped before the library sees it, unless it is wanted
        const accepted = await library.processRefreshTokenResponse(metadata, { client_id: 'c' }, Response.json(tokens));
        expect(accepted.access_token).toBe(tokens.access_token);
      } else {
        const error: unknown = await library
          .processRefreshTokenResponse(metadata, { client_id: 'c' }, response)
          .catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 500 },
  );
  expect(({} as Record<string, unknown>).access_token).toBeUndefined();
});

test('a refresh sends the refresh token and nothing it need not', async () => {
  const { fetch, sent } = answering(200, standard);
  await refreshGrant({
    fetch,
    server: plain,
    client: clientFixture,
    refreshToken: new Secret('r-old'),
    timeoutMs: 1000,
  });
  expect(sent).toHaveLength(1);
  expect(Object.fromEntries(new URLSearchParams(sent[0]!.body))).toEqual({
    client_id: 'client-1',
    client_secret: 's-e:c%r e+t',
    grant_type: 'refresh_token',
    refresh_token: 'r-old',
  });
});

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test.each([
  ['CLIENT_SECRET_POST', undefined, true],
  ['CLIENT_SECRET_BASIC', basic('client%2D1:s%2De%3Ac%25r+e%2Bt'), false],
  ['CLIENT_SECRET_BASIC_RAW', basic('client-1:s-e:c%r e+t'), false],
  ['NONE', undefined, false],
] as const)('the client proves itself by %s', async (clientAuthentication, header, inBody) => {
  const { fetch, sent } = answering(200, standard);
  const server = serverFixture({ clientAuthentication });
  await refreshGrant({ fetch, server, client: clientFixture, refreshToken: new Secret('r'), timeoutMs: 1000 });
  expect(sent[0]!.headers.authorization).toBe(header);
  expect(new URLSearchParams(sent[0]!.body).has('client_secret')).toBe(inBody);
});

test('a client without its secret is the admin’s to mend, and asks nothing', async () => {
  const { fetch, sent } = answering(200, standard);
  const client = { clientId: 'c', clientSecret: null };
  const call = refreshGrant({ fetch, server: plain, client, refreshToken: new Secret('r'), timeoutMs: 1000 });
  expect(await verdictOf(call)).toEqual({ kind: 'misconfigured', code: 'INVALID_CLIENT' });
  expect(sent).toHaveLength(0);
});

test('Notion gets JSON with raw Basic, and its answer names the account', async () => {
  const { fetch, sent } = answering(200, {
    access_token: 'a',
    workspace_id: 'w1',
    workspace_name: 'Ours',
    bot_id: 'b1',
    owner: { type: 'user', user: { id: 'u1', name: 'Ann', person: { email: 'ann@example.com' } } },
  });
  const grant = await exchangeCode({ ...exchangeFixture, fetch, server: notion });
  expect(sent[0]!.headers).toMatchObject({
    'content-type': 'application/json',
    authorization: basic('client-1:s-e:c%r e+t'),
  });
  expect(JSON.parse(sent[0]!.body!)).toEqual({
    grant_type: 'authorization_code',
    code: 'code-1',
    redirect_uri: 'https://app.example/callback',
    code_verifier: 'v'.repeat(43),
  });
  expect(grant.account).toEqual({ id: 'u1', email: 'ann@example.com', name: 'Ann' });
  expect(grant.kept).toEqual([
    { name: 'workspace_id', value: 'w1' },
    { name: 'workspace_name', value: 'Ours' },
    { name: 'bot_id', value: 'b1' },
  ]);
});

const exchangeFixture = {
  client: clientFixture,
  callbackParams: new URLSearchParams({ code: 'code-1', state: 'consumed' }),
  redirectUri: 'https://app.example/callback',
  codeVerifier: 'v'.repeat(43),
  nonce: null,
  scopes: [],
  now: new Date(),
};

test('the code verifier stays here where the provider takes no PKCE', async () => {
  const { fetch, sent } = answering(200, { ok: true, authed_user: { id: 'U1', access_token: 'a' } });
  const grant = await exchangeCode({ ...exchangeFixture, fetch, server: slack });
  expect(new URLSearchParams(sent[0]!.body).has('code_verifier')).toBe(false);
  expect(grant.account?.id).toBe('U1');
});

test('a callback that is refused asks the provider nothing', async () => {
  const { fetch, sent } = answering(200, standard);
  const callbackParams = new URLSearchParams({ code: 'c', iss: 'https://evil.example' });
  const call = exchangeCode({ ...exchangeFixture, fetch, server: openid, callbackParams });
  expect(await verdictOf(call)).toEqual({ kind: 'rejected', code: 'ISSUER_MISMATCH' });
  expect(sent).toHaveLength(0);
});

test('no answer full of secrets shows any of them in the error that leaves', async () => {
  const canary = 'ctk_canary';
  const everything = {
    access_token: [`${canary}-at`],
    refresh_token: `${canary}-rt`,
    error: `${canary}_error`,
    error_description: `${canary}-description`,
    id_token: `${canary}.id.token`,
  };
  const challenge = { 'www-authenticate': `Bearer error="${canary}", error_description="${canary}"`, location: canary };
  const client = { clientId: 'c', clientSecret: new Secret(`${canary}-secret`) };
  const calls = [200, 201, 204, 400, 401, 403, 404, 429, 500, 503, 999].flatMap((status) =>
    [
      everything,
      `<html>${canary}</html>`,
      { access_token: 7, [canary]: canary },
      `access_token=&x=${canary}`,
      '',
    ].flatMap((body) => {
      const { fetch } = answering(status, body, challenge);
      const revoking = (style: 'rfc7009' | 'bearer' | 'path' | 'basic-json') =>
        serverFixture({ revocation: { url: 'https://provider.example/{token}', style, token: 'access' } });
      const token = new Secret(`${canary}-held`);
      return [
        () => refreshGrant({ fetch, server: plain, client, refreshToken: token, timeoutMs: 1000 }),
        () => exchangeCode({ ...exchangeFixture, fetch, server: openid, client, nonce: 'n', scopes: ['openid'] }),
        ...(['rfc7009', 'bearer', 'path', 'basic-json'] as const).map(
          (style) => () =>
            revokeGrant({ fetch, server: revoking(style), client, accessToken: token, refreshToken: null }),
        ),
      ];
    }),
  );
  const { fetch } = answering(200, {
    access_token: `${canary}-at`,
    refresh_token: `${canary}-rt`,
    id_token: `${canary}.${canary}.x`,
  });
  calls.push(() => exchangeCode({ ...exchangeFixture, fetch, server: openid, client, nonce: 'n', scopes: ['openid'] }));
  calls.push(() =>
    refreshGrant({
      fetch,
      server: serverFixture({ tokenUrl: `no url ${canary}` }),
      client,
      refreshToken: new Secret(canary),
      timeoutMs: 1,
    }),
  );

  let errors = 0;
  for (const call of calls) {
    const error: unknown = await call().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (error === null) continue;
    errors += 1;
    const shown =
      inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error) + String((error as Error).stack);
    expect(shown).not.toContain('canary');
    expect(error).toHaveProperty('verdict');
  }
  expect(errors).toBeGreaterThan(150);
});

test.each([
  ['rfc7009', 200, '', 'REVOKED'],
  ['rfc7009', 400, { error: 'invalid_token' }, 'REVOKED'],
  ['rfc7009', 400, { error: 'invalid_grant' }, 'REVOKED'],
  ['rfc7009', 400, { error: 'unsupported_token_type' }, 'UNSUPPORTED'],
  ['bearer', 200, { ok: true, revoked: true }, 'REVOKED'],
  ['bearer', 200, { ok: false, error: 'token_revoked' }, 'REVOKED'],
  ['bearer', 401, { error: 'invalid_token' }, 'REVOKED'],
  ['path', 204, '', 'REVOKED'],
  ['path', 404, '', 'REVOKED'],
  ['basic-json', 204, '', 'REVOKED'],
  ['basic-json', 404, { message: 'Not Found' }, 'REVOKED'],
] as const)('revocation by %s answered with %i %j: %s', async (style, status, body, outcome) => {
  const server = serverFixture({
    revocation: { url: 'https://provider.example/revoke', style, token: 'access' },
    deadGrantErrors: ['token_revoked'],
  });
  const { fetch } = answering(status, body);
  expect(await revokeGrant({ ...revokeFixture, fetch, server })).toBe(outcome);
});

const revokeFixture = { client: clientFixture, accessToken: new Secret('at/1'), refreshToken: new Secret('rt/1') };

test.each([
  ['rfc7009', 503, '', { kind: 'retry', code: 'PROVIDER_UNAVAILABLE' }],
  ['rfc7009', 404, '', { kind: 'retry', code: 'UNKNOWN_ERROR' }],
  ['rfc7009', 401, { error: 'invalid_client' }, { kind: 'misconfigured', code: 'INVALID_CLIENT' }],
  ['bearer', 200, { ok: false, error: 'ratelimited' }, { kind: 'retry', code: 'UNKNOWN_ERROR' }],
  ['bearer', 429, '', { kind: 'retry', code: 'RATE_LIMITED' }],
] as const)('revocation by %s answered with %i %j fails', async (style, status, body, verdict) => {
  const server = serverFixture({ revocation: { url: 'https://provider.example/revoke', style, token: 'access' } });
  expect(
    await verdictOf(revokeGrant({ ...revokeFixture, fetch: answering(status, body).fetch, server })),
  ).toMatchObject(verdict);
});

test('each style of revocation asks in its own way', async () => {
  const ask = async (server: AuthorizationServer) => {
    const { fetch, sent } = answering(200, '');
    await revokeGrant({ ...revokeFixture, fetch, server });
    const { url, method, headers, body } = sent[0]!;
    return { url, method, authorization: headers.authorization, body };
  };
  const google = findProvider('gmail')!.server;
  expect(await ask(google)).toEqual({
    url: 'https://oauth2.googleapis.com/revoke',
    method: 'POST',
    authorization: undefined,
    body: 'token_type_hint=refresh_token&token=rt%2F1&client_id=client-1&client_secret=s-e%3Ac%25r+e%2Bt',
  });
  expect(await ask(slack)).toEqual({
    url: 'https://slack.com/api/auth.revoke',
    method: 'POST',
    authorization: 'Bearer at/1',
    body: undefined,
  });
  expect(await ask(hubspot)).toEqual({
    url: 'https://api.hubapi.com/oauth/v1/refresh-tokens/rt%2F1',
    method: 'DELETE',
    authorization: undefined,
    body: undefined,
  });
  expect(await ask(github)).toEqual({
    url: 'https://api.github.com/applications/client-1/token',
    method: 'DELETE',
    authorization: basic('client-1:s-e:c%r e+t'),
    body: '{"access_token":"at/1"}',
  });
  expect(await ask(notion)).toEqual({
    url: 'https://api.notion.com/v1/oauth/revoke',
    method: 'POST',
    authorization: basic('client-1:s-e:c%r e+t'),
    body: '{"token":"at/1"}',
  });
});

test('without an endpoint or a token that it takes, revocation is unsupported', async () => {
  const { fetch, sent } = answering(200, '');
  expect(await revokeGrant({ ...revokeFixture, fetch, server: plain })).toBe('UNSUPPORTED');
  expect(await revokeGrant({ ...revokeFixture, accessToken: null, fetch, server: github })).toBe('UNSUPPORTED');
  expect(sent).toHaveLength(0);
  const google = findProvider('gmail')!.server;
  expect(await revokeGrant({ ...revokeFixture, refreshToken: null, fetch, server: google })).toBe('REVOKED');
  expect(new URLSearchParams(sent[0]!.body).get('token_type_hint')).toBe('access_token');
});

const identityFixture = serverFixture({
  identity: {
    url: 'https://provider.example/me',
    method: 'GET',
    headers: { 'x-version': '1' },
    idPaths: ['sub', 'user.id'],
    emailPaths: ['email'],
    namePaths: ['name'],
  },
});
const accountOf = (status: number, body: unknown, headers: Record<string, string> = {}, server = identityFixture) =>
  fetchAccount({ fetch: answering(status, body, headers).fetch, server, accessToken: new Secret('a') });

test.each([
  [
    { sub: 's1', email: 'a@b.example', name: 'Ann' },
    { id: 's1', email: 'a@b.example', name: 'Ann' },
  ],
  [{ user: { id: 42 } }, { id: '42', email: null, name: null }],
  [
    { sub: { a: 1 }, user: { id: 1.5 }, email: ['x'], name: true },
    { id: null, email: null, name: null },
  ],
  [
    { sub: 's', name: ' \u202eAnn\u0000\u2066 B\n' },
    { id: 's', email: null, name: 'Ann B' },
  ],
  [
    { sub: 's', name: '\ud800A\u200f' },
    { id: 's', email: null, name: 'A' },
  ],
  [
    { sub: 's', name: 'é'.repeat(999) },
    { id: 's', email: null, name: 'é'.repeat(320) },
  ],
  [
    { sub: 's', name: '\u0000' },
    { id: 's', email: null, name: null },
  ],
  [
    { sub: 's', name: '👩‍💻 Ann' },
    { id: 's', email: null, name: '👩‍💻 Ann' },
  ],
  [{}, { id: null, email: null, name: null }],
])('the account of %j', async (body, account) => {
  expect(await accountOf(200, body)).toEqual({ kind: 'account', account });
});

test('T25. a label is cut after it has been cleaned, and never within a character', async () => {
  const nameOf = async (name: string) => {
    const answer = await accountOf(200, { name });
    return answer.kind === 'account' ? answer.account.name : answer.kind;
  };
  expect(await nameOf(`${'\u0000'.repeat(400)}Ann`)).toBe('Ann');
  expect(await nameOf(`${'a'.repeat(319)}👩`)).toBe('a'.repeat(319));
});

test('T25. members that only the prototype has name nobody', async () => {
  const prototype = Object.prototype as { inherited?: string };
  prototype.inherited = 'x';
  onTestFinished(() => {
    delete prototype.inherited;
  });
  const idPaths = ['inherited', '__proto__.inherited', 'constructor.name'];
  const server = serverFixture({
    identity: { url: 'https://provider.example/me', method: 'GET', idPaths, emailPaths: [], namePaths: [] },
  });
  const nobody = { kind: 'account', account: { id: null, email: null, name: null } };
  expect(await accountOf(200, {}, {}, server)).toEqual(nobody);
});

test.each([
  [401, '', {}, 'refused'],
  [403, '', { 'www-authenticate': 'Bearer error="invalid_token"' }, 'refused'],
  [403, '', { 'www-authenticate': 'Bearer error="insufficient_scope"' }, 'unknown'],
  [403, '', {}, 'unknown'],
  [404, '{}', {}, 'unknown'],
  [500, '{}', {}, 'unknown'],
  [200, '<html>', {}, 'unknown'],
  [200, { ok: false, error: 'invalid_auth' }, {}, 'unknown'],
  [200, { error: 'invalid_token' }, {}, 'refused'],
  [200, { error: 'busy' }, {}, 'unknown'],
  [503, { error: 'invalid_token' }, {}, 'unknown'],
] as const)('an identity answer of %i %j %j is %s', async (status, body, headers, kind) => {
  expect(await accountOf(status, body, headers)).toEqual({ kind });
});

test('a refusal by an endpoint that wants a scope counts only for a token that is known to hold it', async () => {
  const server = findProvider('googlecalendar')!.server;
  const accessToken = new Secret('a');
  const { fetch, sent } = answering(401, '');
  expect(await fetchAccount({ fetch, server, accessToken, scopes: ['calendar'] })).toEqual({ kind: 'unknown' });
  expect(sent).toHaveLength(0);
  expect(await fetchAccount({ fetch, server, accessToken })).toEqual({ kind: 'unknown' });
  expect(await fetchAccount({ fetch, server, accessToken, scopes: ['openid'] })).toEqual({ kind: 'refused' });
  expect(sent[0]!.headers.authorization).toBe('Bearer a');
  const told = await fetchAccount({ fetch: answering(200, { sub: 's' }).fetch, server, accessToken });
  expect(told).toMatchObject({ kind: 'account', account: { id: 's' } });
});
