import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuthorizationServer } from '../../src/oauth/authorization-server.ts';
import { createProviderFetch } from '../../src/oauth/fetch.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { atRegion } from '../../src/oauth/region.ts';
import { exchangeCode, refreshGrant, revokeGrant } from '../../src/oauth/tokens.ts';
import { searchProviders, serverOf } from '../../src/providers/catalogue.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { Secret } from '../../src/lib/secret.ts';
import { verdictOf } from '../oauth/support/server-fixture.ts';
import { auditOf } from '../support/audit.ts';
import {
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startService,
  type TestApp,
  type TestWorkspace,
} from '../support/harness.ts';
import { connectionOf, disconnectAppUser, readToken, returnOf } from '../support/journey.ts';
import { dialects, type RecordedAnswer, unrecorded } from '../support/provider-dialects.ts';
import {
  deadAnswer,
  keptValue,
  type ProviderSimulator,
  type SeenRequest,
  startProviderSimulator,
} from '../support/provider-simulator.ts';
import { eventually, type TokenRead } from '../support/scene.ts';
import { addCustomConnector, startFlow, withParams } from '../support/stage.ts';

// Every entry of the catalogue, whichever there are, goes through its life at a provider that speaks its dialect: the same
// service, one connector each. What a new entry needs beyond its own file is at most a line in provider-dialects.ts.

const closers: (() => Promise<void>)[] = [];
let service: Service;
let workspace: TestWorkspace;
let app: TestApp;
let simulator: ProviderSimulator;
const real = createProviderFetch({ allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 262_144 });

beforeAll(async () => {
  simulator = await startProviderSimulator(() => service.clock.now());
  service = await startService({}, { aroundProviderFetch: (fetch) => simulator.around(fetch) }, (close) =>
    closers.push(close),
  );
  workspace = await createWorkspace(service);
  app = await createTestApp(service, workspace);
});

afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await simulator.stop();
  await real.close();
});

const client = { clientId: 'client-1', clientSecret: 's:e c%r+e/t=' };

/** Values for the settings that entries declare: the first that its pattern takes. */
const settings = [
  'acme',
  'account',
  'login',
  'acme-1',
  'eu',
  'com',
  'us',
  'acme.example',
  'acme.cloud.example',
  'sandbox',
  '12345678',
  'production',
  'https://acme.example.com',
];

function configOf({ key, configFields }: Provider): { name: string; value: string }[] {
  return configFields.map(({ name, pattern }) => {
    const value = settings.find((text) => new RegExp(pattern).test(text));
    if (value === undefined) throw new Error(`add a value for ${name} of ${key}, which is to match ${pattern}`);
    return { name, value };
  });
}

/** The first scopes, and those that OpenID Connect gives a meaning. */
function scopesOf({ scopes }: Provider): string[] {
  const names = scopes.map(({ scope }) => scope);
  return names.filter((scope, index) => index < 3 || ['openid', 'email', 'offline_access'].includes(scope));
}

/** An entry with its connector, at the provider that the simulator plays from here on. */
async function setUp(provider: Provider) {
  const config = configOf(provider);
  const server = serverOf(provider, Object.fromEntries(config.map(({ name, value }) => [name, value])));
  const scopes = scopesOf(provider);
  simulator.play({ provider, server, ...client, scopes, redirectUris: [`${app.origin}/api/external-auth/callback`] });
  const connectorId = await addCustomConnector(service, workspace, {
    providerKey: provider.key,
    name: provider.name,
    ...client,
    clientSecret: server.clientAuthentication === 'NONE' ? null : client.clientSecret,
    scopes,
    connectionConfig: config,
  });
  return { provider, server, scopes, connectorId };
}

type Entry = Awaited<ReturnType<typeof setUp>>;

/** Goes through consent; answers what the app is told. `change` is what happens to the callback on the way. */
async function consent({ connectorId }: Entry, account: string, change = (back: string) => back) {
  const flow = await startFlow(service, await app.browser(account), connectorId);
  const back = change(await simulator.consent(flow.redirectUrl, account));
  return returnOf(await flow.browser.open(service, back)).params;
}

async function connect(entry: Entry, account: string): Promise<void> {
  expect(await consent(entry, account)).toMatchObject({ connection_status: 'connected' });
}

async function read(entry: Entry, account: string, options: Record<string, unknown> = {}) {
  const answer = await readToken(service, await app.backend(account), entry.connectorId, options);
  return field<TokenRead & { tokenType: string; connection: { account: { id: string | null } | null } }>(
    answer,
    'currentAppUserConnection',
  );
}

const statusOf = async ({ connectorId }: Entry, account: string) =>
  connectionOf(service, await app.user(account), connectorId);

/** A read by a caller whom the provider has refused the stored token: it makes the service refresh. */
async function readAgain(entry: Entry, account: string) {
  const { accessTokenFingerprint } = await read(entry, account);
  return read(entry, account, { rejectedTokenFingerprint: accessTokenFingerprint });
}

const requests = (kind: SeenRequest['kind']) => simulator.seen.filter((request) => request.kind === kind);

/** The service's own, and that of the browser that these tests play. */
const usualAgents = ['app-user-connectors', 'node'];
const unsaid =
  /^(?:host|connection|content-length|accept|accept-encoding|accept-language|sec-fetch-mode|transfer-encoding|x-account)$/;

/** A request as text, with what chance has made replaced. */
function shown(request: SeenRequest | undefined): string {
  if (!request) return 'none';
  const headers = Object.entries(request.headers).filter(
    ([name, value]) => !unsaid.test(name) && !usualAgents.includes(value),
  );
  const lines = [
    `${request.method} ${request.url}`,
    ...headers.sort(([a], [b]) => a.localeCompare(b)).map(([name, value]) => `${name}: ${value}`),
  ];
  const text = [...lines, ...(request.body ? ['', request.body] : [])].join('\n');
  return text
    .replace(/\b(state|nonce|code_challenge|code_verifier)=[\w-]{43}/g, '$1=<$1>')
    .replace(/"code_verifier":"[\w-]{43}"/g, '"code_verifier":"<code_verifier>"');
}

/** The three ways to ask a token endpoint and its neighbour, without a service around them. */
function requestsAt(server: AuthorizationServer) {
  const { clientId, clientSecret } = client;
  const exchange = {
    fetch: simulator.around(real.fetch),
    server,
    client: { clientId, clientSecret: new Secret(clientSecret) },
  };
  return {
    refresh: () => refreshGrant({ ...exchange, refreshToken: new Secret('refresh-0'), timeoutMs: 10_000 }),
    token: () =>
      exchangeCode({
        ...exchange,
        callbackParams: new URLSearchParams({ code: 'code-0', ...(server.issuer && { iss: server.issuer }) }),
        redirectUri: 'https://app.example.com/callback',
        codeVerifier: 'v'.repeat(43),
        nonce: null,
        scopes: [],
        now: new Date(),
      }),
    revocation: () =>
      revokeGrant({ ...exchange, accessToken: new Secret('access-0'), refreshToken: new Secret('refresh-0') }),
  };
}

const html = '<!doctype html><title>Maintenance</title>';
const inHtml = { 'content-type': 'text/html' };
const maintenance: RecordedAnswer = { status: 503, body: html, headers: inHtml };
const rateLimited: RecordedAnswer = { status: 429, body: { error: 'rate_limited' }, headers: { 'retry-after': '120' } };
const undecided: RecordedAnswer[] = [
  maintenance,
  rateLimited,
  { status: 500, body: html, headers: inHtml },
  { status: 200, body: html, headers: inHtml },
  { status: 400, body: '' },
];
const refusedClient: RecordedAnswer = { status: 401, body: { error: 'invalid_client' } };

/** What this provider says when it is in trouble; a page of HTML, where nothing of its own is known. */
function trouble(key: string): RecordedAnswer {
  return dialects[key]?.undecided?.[0] ?? { status: 500, body: html, headers: inHtml };
}

describe.each(searchProviders(null).map((provider) => [provider.key, provider] as const))('%s', (key, provider) => {
  test('connects, names the account, refreshes, sits out a fault, hears of a dead grant, revokes', async () => {
    const entry = await setUp(provider);
    const { server, scopes, connectorId } = entry;
    const region = server.regionalOrigin && `https://${server.regionalOrigin.hosts.at(-1)}`;
    const told = region && server.regionalOrigin ? [{ name: server.regionalOrigin.parameter, value: region }] : [];
    const there = atRegion(server, told);

    await connect(entry, 'one');
    const first = await read(entry, 'one');
    expect(first).toMatchObject({
      __typename: 'CurrentAppUserConnection',
      tokenType: expect.stringMatching(/^bearer$/i),
      missingScopes: [],
      connection: { status: 'CONNECTED' },
    });
    const names = first.connectionConfig.map(({ name }) => name);
    const regional = told.map(({ name }) => name);
    expect(names.sort()).toEqual(
      [
        ...new Set([
          ...configOf(provider).map(({ name }) => name),
          ...server.keepFromToken,
          ...server.keepFromCallback,
          ...regional,
        ]),
      ].sort(),
    );
    const namesAccount = [server.identity?.idPaths, server.accountPaths?.id].some((paths) => paths && paths.length > 0);
    const hasIdToken = server.issuer !== null && server.jwksUrl !== null && scopes.includes('openid');
    if (namesAccount || hasIdToken) expect(first.connection.account).toMatchObject({ id: 'one' });
    if (server.identity && requests('identity').length === 0) {
      const accessToken = new Secret(first.accessToken);
      const asked = await fetchAccount({ fetch: simulator.around(real.fetch), server: there, accessToken });
      expect(asked).toMatchObject({ kind: 'account' });
    }

    const refreshable = server.refreshes || server.renewal !== null;
    if (refreshable) {
      const second = await readAgain(entry, 'one');
      expect(second).toMatchObject({ __typename: 'CurrentAppUserConnection', connection: { status: 'CONNECTED' } });
      expect(second.accessToken).not.toBe(first.accessToken);

      const kept = (list: { name: string; value: string }[]) =>
        Object.fromEntries(list.map((one) => [one.name, one.value]));
      for (const name of server.keepFromToken)
        expect([name, kept(second.connectionConfig)[name]]).toEqual([name, keptValue(name, 'one', true)]);
      for (const { name, value } of first.connectionConfig)
        if (!server.keepFromToken.includes(name)) expect(kept(second.connectionConfig)[name]).toBe(value);

      const { accessTokenFingerprint: rejectedTokenFingerprint } = second;
      for (const fault of [maintenance, trouble(key), rateLimited]) {
        simulator.answer('refresh', fault);
        const unavailable = { __typename: 'ProviderUnavailableError', remedy: { actor: 'PROVIDER' } };
        const answer = await read(entry, 'one', { rejectedTokenFingerprint });
        expect([fault, answer]).toMatchObject([fault, unavailable]);
        if (fault === rateLimited) expect(answer).toMatchObject({ retryAfterSeconds: 120 });
        service.clock.advance(120_000);
      }
      expect(await statusOf(entry, 'one')).toMatchObject({ status: 'CONNECTED' });
      simulator.answer('refresh', null);
      expect((await readAgain(entry, 'one')).accessToken).not.toBe(second.accessToken);

      simulator.answer('refresh', deadAnswer(provider));
      const dead = { __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' };
      expect(await readAgain(entry, 'one')).toMatchObject(dead);
      simulator.answer('refresh', null);
    } else {
      // without a refresh token only the identity endpoint can tell: an entry has one or the other
      expect(server.identity).not.toBeNull();
      simulator.answer('identity', maintenance);
      expect((await readAgain(entry, 'one')).accessToken).toBe(first.accessToken);
      expect(await statusOf(entry, 'one')).toMatchObject({ status: 'CONNECTED' });
      simulator.answer('identity', null);
      simulator.forget('one');
      const dead = { __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' };
      expect(await readAgain(entry, 'one')).toMatchObject(dead);
    }

    await connect(entry, 'two');
    const disconnected = await disconnectAppUser(service, await app.user('two'), connectorId);
    expect(field(disconnected, 'disconnectAppUser')).toMatchObject({ connection: { status: 'NOT_CONNECTED' } });
    await expect.poll(() => receiptOf(connectorId), eventually).toBe(server.revocation ? 'OK' : 'UNSUPPORTED');
    expect(requests('revocation')).toHaveLength(server.revocation ? 1 : 0);

    const asked = requests('token').length;
    const error = dialects[key]?.denied ?? 'access_denied';
    const denied = await consent(entry, 'three', (back) => withParams(back, { code: null, error }));
    expect(denied).toMatchObject({ connection_error: 'CONSENT_DENIED' });
    expect(requests('token')).toHaveLength(asked);
    expect(simulator.faults.splice(0)).toEqual([]);

    const further = server.upgrade ? (['upgrade'] as const) : [];
    const kinds = ['authorization', 'token', ...further, 'identity', 'refresh', 'revocation'] as const;
    const text = kinds.map((kind) => `${kind}\n${shown(requests(kind)[0])}`.replaceAll('\n', '\n  ')).join('\n');
    expect(`\n${text}\n`).toMatchSnapshot();
  });

  test('what it has been known to answer is judged for what it means', async () => {
    const { server } = provider;
    const { dead = [], undecided: own = [], refusedClient: refused = refusedClient } = dialects[key] ?? {};
    const config = Object.fromEntries(configOf(provider).map(({ name, value }) => [name, value]));
    const here = serverOf(provider, config);
    const region = server.regionalOrigin && `https://${server.regionalOrigin.hosts.at(-1)}`;
    const at = atRegion(
      here,
      region && server.regionalOrigin ? [{ name: server.regionalOrigin.parameter, value: region }] : [],
    );
    simulator.play({ provider, server: here, ...client, scopes: [], redirectUris: [] });
    const words = ['invalid_grant', ...server.deadGrantErrors].filter((word) => !word.includes(':'));
    const deadAnswers = [
      ...dead,
      ...[400, 403].flatMap((status) => words.map((error) => ({ status, body: { error } }))),
    ];
    const ask = requestsAt(at);
    const expectAll = async (kind: keyof typeof ask, answers: RecordedAnswer[], verdict: string) => {
      for (const answer of answers) {
        simulator.answer(kind, answer);
        expect([kind, answer, (await verdictOf(ask[kind]())).kind]).toEqual([kind, answer, verdict]);
      }
    };
    await expectAll('refresh', deadAnswers, 'reauthorize');
    await expectAll('refresh', [...undecided, ...own], 'retry');
    await expectAll('refresh', [refused], 'misconfigured');
    const recorded = [deadAnswer(provider), ...dead];
    await expectAll('token', recorded, 'reauthorize');
    await expectAll('token', [maintenance, ...own], 'retry');
    await expectAll('token', [refused], 'misconfigured');
    if (server.revocation) {
      await expectAll('revocation', [maintenance, rateLimited], 'retry');
      await expectAll('revocation', [refused], 'misconfigured');
      for (const answer of recorded) {
        simulator.answer('revocation', answer);
        expect([answer, await ask.revocation()]).toEqual([answer, 'REVOKED']);
      }
    }
    expect(simulator.faults.splice(0)).toEqual([]);
  });
});

/** How the revocation of a connector's grant has ended, as the audit tells. */
async function receiptOf(connectorId: string): Promise<string | null> {
  const { rows } = await auditOf(service, workspace, { first: 10, filter: { connectorId, acts: ['GRANT_REVOKED'] } });
  return rows[0]?.outcome ?? null;
}

const having = (word: 'upgrade' | 'renewal' | 'regionalOrigin') =>
  searchProviders(null)
    .filter(({ server }) => server[word] !== null)
    .map((provider) => [provider.key, provider] as const);

test.each(having('upgrade'))(
  '%s: where the token to keep does not come, nothing is connected',
  async (_key, provider) => {
    const entry = await setUp(provider);
    simulator.answer('upgrade', { status: 503, body: html });
    expect(await consent(entry, 'one')).toMatchObject({ connection_error: 'PROVIDER_UNAVAILABLE' });
    expect(requests('upgrade')).toHaveLength(1);
    expect(await statusOf(entry, 'one')).toMatchObject({ status: 'NOT_CONNECTED' });
    await expect
      .poll(() => receiptOf(entry.connectorId), eventually)
      .toBe(provider.server.revocation ? 'OK' : 'UNSUPPORTED');
    simulator.answer('upgrade', null);
    await connect(entry, 'one');
    expect(simulator.faults.splice(0)).toEqual([]);
  },
);

test.each(having('renewal'))(
  '%s: an access token renews itself while it is valid, and no longer',
  async (_key, provider) => {
    const entry = await setUp(provider);
    await connect(entry, 'one');
    const { accessTokenExpiresAt } = await read(entry, 'one');
    const untilEnd = () => new Date(accessTokenExpiresAt).getTime() - service.clock.now().getTime();

    service.clock.advance(untilEnd() - 60_000);
    expect(await read(entry, 'one')).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    await expect.poll(() => requests('refresh').length, eventually).toBe(1);
    await expect.poll(async () => (await statusOf(entry, 'one')).lastRefreshedAt, eventually).not.toBeNull();
    service.clock.advance(120_000);
    expect(await read(entry, 'one')).toMatchObject({ __typename: 'CurrentAppUserConnection' });

    const renewed = await read(entry, 'one');
    service.clock.advance(new Date(renewed.accessTokenExpiresAt).getTime() - service.clock.now().getTime() + 1);
    const ended = { __typename: 'ReconnectRequiredError', reconnectReason: 'GRANT_EXPIRED' };
    expect(await read(entry, 'one')).toMatchObject(ended);
    expect(await statusOf(entry, 'one')).toMatchObject({
      status: 'RECONNECT_REQUIRED',
      reconnectReason: 'GRANT_EXPIRED',
    });
    expect(requests('refresh')).toHaveLength(1);
    expect(simulator.faults.splice(0)).toEqual([]);
  },
);

test.each(having('regionalOrigin'))(
  '%s: an origin that is none of the provider is asked nothing',
  async (_key, provider) => {
    const entry = await setUp(provider);
    const parameter = provider.server.regionalOrigin?.parameter ?? '';
    for (const origin of ['https://accounts.example.com', 'https://127.0.0.1', 'http://169.254.169.254']) {
      const told = await consent(entry, 'one', (back) => withParams(back, { [parameter]: origin }));
      expect(told).toMatchObject({ connection_error: 'FLOW_MISMATCH' });
    }
    expect(requests('token')).toEqual([]);
    expect(await statusOf(entry, 'one')).toMatchObject({ status: 'NOT_CONNECTED' });
    expect(simulator.faults.splice(0)).toEqual([]);
  },
);

test('how a dead refresh token is told is recorded of every entry that has some, or known to be unknown', () => {
  const unknown = searchProviders(null)
    .filter(({ server }) => server.refreshes || server.renewal)
    .filter(({ key, server }) => !dialects[key]?.dead && server.deadGrantErrors.length === 0);
  expect(unknown.map(({ key }) => key).sort()).toEqual(unrecorded);
});

test('every dialect that is told of is one of an entry', () => {
  const keys = searchProviders(null).map(({ key }) => key);
  expect(Object.keys(dialects).filter((key) => !keys.includes(key))).toEqual([]);
});
