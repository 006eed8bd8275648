import { expect, onTestFinished, test } from 'vitest';
import type { AuthorizationServer, OAuthClient } from '../../src/oauth/authorization-server.ts';
import { createProviderFetch, type ProviderFetch, type ProviderFetchPolicy } from '../../src/oauth/fetch.ts';
import { probeAddress, probeClient, probeRedirectUris } from '../../src/oauth/probe.ts';
import { Secret } from '../../src/lib/secret.ts';
import { startSmallProvider } from '../support/small-provider.ts';
import { startServer } from '../support/stage.ts';
import { serverFixture } from './support/server-fixture.ts';

type SmallProvider = Awaited<ReturnType<typeof startSmallProvider>>;

function fetchWith(changes: Partial<ProviderFetchPolicy> = {}): ProviderFetch {
  const policy = { allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 1_000, ...changes };
  const { fetch, close } = createProviderFetch(policy);
  onTestFinished(close);
  return fetch;
}

const clientOf = ({ client }: SmallProvider): OAuthClient => ({
  clientId: client.clientId,
  clientSecret: new Secret(client.clientSecret),
});

const registered = 'https://app.example.com/callback';
const other = 'https://preview.example.com/callback';

function probesOf(provider: SmallProvider, changes: Partial<AuthorizationServer> = {}, fetch = fetchWith()) {
  const { authorizationUrl, tokenUrl } = provider;
  const probe = { fetch, server: serverFixture({ authorizationUrl, tokenUrl, ...changes }) };
  return {
    client: (client: Partial<OAuthClient> = {}) => probeClient(probe, { ...clientOf(provider), ...client }, registered),
    redirectUris: (redirectUris: string[], clientIsAccepted: boolean) =>
      probeRedirectUris(probe, { clientId: 'client', scopes: ['read', 'write'], redirectUris, clientIsAccepted }),
  };
}

const told = (acceptance: string) => ({ acceptance, silence: null });

test('55. an address answers whatever it says; where none comes, it is told why', async () => {
  const { origin } = await startServer((_request, response, { pathname }) => {
    const status = Number(pathname.slice(1));
    response.writeHead(status).end(status === 200 ? 'x'.repeat(2_000) : '');
  });
  for (const status of [200, 204, 302, 401, 404, 429, 503])
    expect([status, await probeAddress(fetchWith(), `${origin}/${status}`)]).toEqual([status, null]);
});

test('55. an address that does not answer in time, is not there or may not be asked leaves client and redirect URIs unknown, with the reason', async () => {
  const silent = () => null;
  const provider = await startSmallProvider({ token: silent, authorization: silent });
  const gone = { authorizationUrl: 'http://127.0.0.1:9/authorize', tokenUrl: 'http://127.0.0.1:9/token' };
  const givenUp: ProviderFetch = (url, init) => fetchWith()(url, { ...init, signal: AbortSignal.abort() });
  for (const [code, fetch, urls] of [
    ['TIMEOUT', fetchWith({ timeoutMs: 100 }), provider],
    ['NETWORK_ERROR', fetchWith(), gone],
    ['ABORTED', givenUp, provider],
    ['BLOCKED_HOST', fetchWith({ allowLoopback: false }), provider],
  ] as const) {
    const { authorizationUrl, tokenUrl } = urls;
    const probes = probesOf(provider, { authorizationUrl, tokenUrl }, fetch);
    const silence = expect.objectContaining({ code });
    expect(await probeAddress(fetch, tokenUrl)).toEqual(silence);
    expect(await probes.client()).toEqual({ acceptance: 'UNKNOWN', silence });
    const uris = await probes.redirectUris([registered, other], true);
    expect(uris).toEqual({ acceptances: ['UNKNOWN', 'UNKNOWN'], silence });
  }
});

test('55. a client is accepted where another secret in its place is not, refused where it is itself; no code is asked with twice, and no token could be got', async () => {
  const provider = await startSmallProvider();
  const probes = probesOf(provider);
  expect(await probes.client()).toEqual(told('ACCEPTED'));
  const [own, control] = provider.askedAt('/token');
  expect(own!.get('redirect_uri')).toBe(registered);
  expect([own!.get('client_secret'), control!.get('client_id')]).toEqual(['secret', 'client']);
  expect(control!.get('client_secret')).toMatch(/^[\w-]{32}$/);
  const codes = [own, control].map((params) => params!.get('code'));
  expect(new Set(codes).size).toBe(2);
  for (const code of codes) expect(code).toMatch(/^connector-check-[\w-]{32}$/);

  expect(await probes.client({ clientSecret: new Secret('rotated') })).toEqual(told('REFUSED'));
  expect(await probes.client({ clientId: 'nobody' })).toEqual(told('REFUSED'));
  expect(provider.askedAt('/token')).toHaveLength(4); // a refusal is not doubted
});

test('55. a client without a secret is accepted where another id in its place is refused', async () => {
  const provider = await startSmallProvider({
    token: (asked) => [400, { error: asked.get('client_id') === 'client' ? 'invalid_grant' : 'invalid_client' }],
  });
  const probes = probesOf(provider, { clientAuthentication: 'NONE' });
  expect(await probes.client({ clientSecret: null })).toEqual(told('ACCEPTED'));
  expect(provider.askedAt('/token').map((params) => params.has('client_secret'))).toEqual([false, false]);
  expect(await probes.client({ clientId: 'nobody', clientSecret: null })).toEqual(told('REFUSED'));
});

test('55. the client of an issuer that names itself in each answer is tried like any other', async () => {
  const provider = await startSmallProvider();
  const probes = probesOf(provider, { issuer: provider.origin, issParameterSupported: true });
  expect(await probes.client()).toEqual(told('ACCEPTED'));
});

test('55. a provider that takes any code, minds the code alone, is busy or has no known word tells nothing of the client', async () => {
  const tokens = { access_token: 'given-away', token_type: 'bearer' };
  for (const [status, body, asked] of [
    [200, tokens, 1],
    [400, { error: 'invalid_grant' }, 2],
    [400, { error: 'bad_code' }, 2],
    [429, { error: 'invalid_client' }, 1],
    [503, {}, 1],
    [200, {}, 1],
  ] as const) {
    const provider = await startSmallProvider({ token: () => [status, body] });
    expect([status, body, await probesOf(provider).client()]).toEqual([status, body, told('UNKNOWN')]);
    expect([status, body, provider.askedAt('/token').length]).toEqual([status, body, asked]);
  }
});

test('55. redirect URIs are accepted or refused where one that cannot be is refused, whether the provider shows a page or leads to one', async () => {
  for (const fine of [200, 302]) {
    const provider = await startSmallProvider({
      authorization: (asked) => (asked.get('redirect_uri') === registered ? fine : 400),
    });
    const { redirectUris } = probesOf(provider);
    const answer = { acceptances: ['REFUSED', 'ACCEPTED'], silence: null };
    expect(await redirectUris([other, registered], false)).toEqual(answer);
    const asked = provider.askedAt('/authorize');
    expect(asked.map((params) => params.get('redirect_uri'))).toContainEqual(
      expect.stringMatching(/^https:\/\/unregistered\.invalid\/[\w-]{32}$/),
    );
    for (const params of asked) {
      expect(Object.fromEntries(params)).toMatchObject({
        client_id: 'client',
        scope: 'read write',
        response_type: 'code',
        state: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      });
    }
  }
});

test('55. a refusal of every redirect URI counts only where the client is known to be accepted: it may be meant for that', async () => {
  const { redirectUris } = probesOf(await startSmallProvider());
  expect((await redirectUris([registered, other], true)).acceptances).toEqual(['REFUSED', 'REFUSED']);
  expect((await redirectUris([registered, other], false)).acceptances).toEqual(['UNKNOWN', 'UNKNOWN']);
});

test('55. a provider that sends everybody to sign in, or turns machines away, tells nothing of redirect URIs', async () => {
  for (const status of [200, 302, 403, 429, 500]) {
    const { redirectUris } = probesOf(await startSmallProvider({ authorization: () => status }));
    const unknown = { acceptances: ['UNKNOWN', 'UNKNOWN'], silence: null };
    expect([status, await redirectUris([registered, other], true)]).toEqual([status, unknown]);
  }
  const { redirectUris } = probesOf(
    await startSmallProvider({ authorization: (asked) => (asked.get('redirect_uri') === other ? 429 : 400) }),
  );
  expect((await redirectUris([registered, other], true)).acceptances).toEqual(['REFUSED', 'UNKNOWN']);
});

test('55. of many redirect URIs ten are tried, and the rest are unknown; a fault of our own is no answer of the provider’s', async () => {
  const provider = await startSmallProvider();
  const many = Array.from({ length: 12 }, (_, index) => `https://app-${index}.example.com/callback`);
  provider.redirectUris.push(...many);
  const { acceptances } = await probesOf(provider).redirectUris(many, true);
  expect(acceptances).toEqual([...Array.from({ length: 10 }, () => 'ACCEPTED'), 'UNKNOWN', 'UNKNOWN']);
  expect(provider.askedAt('/authorize')).toHaveLength(11);

  const broken: ProviderFetch = () => Promise.reject(new TypeError('no such agent'));
  await expect(probeAddress(broken, provider.tokenUrl)).rejects.toThrow('no such agent');
  await expect(probesOf(provider, {}, broken).redirectUris(many, true)).rejects.toThrow('no such agent');
});
