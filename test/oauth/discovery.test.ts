import { expect, test } from 'vitest';
import { discover } from '../../src/oauth/discovery.ts';
import { OAuthError } from '../../src/oauth/failure.ts';
import type { ProviderFetch } from '../../src/oauth/fetch.ts';
import { verdictOf } from './support/server-fixture.ts';

const issuer = 'https://provider.example/tenant';
const openid = `${issuer}/.well-known/openid-configuration`;
const oauth = 'https://provider.example/.well-known/oauth-authorization-server/tenant';
const least = {
  issuer,
  authorization_endpoint: 'https://provider.example/authorize',
  token_endpoint: 'https://provider.example/token',
};

/** An issuer that publishes these documents and no other. */
function publishing(documents: Record<string, object>) {
  const asked: string[] = [];
  const fetch: ProviderFetch = async (url) => {
    asked.push(url);
    const document = documents[url];
    const headers = new Headers({ 'content-type': 'application/json' });
    return { status: document ? 200 : 404, headers, body: JSON.stringify(document ?? { error: 'x' }) };
  };
  return { asked, fetch };
}

const failed = { kind: 'retry', code: 'DISCOVERY_FAILED', retryAfterSeconds: null, lost: false };
const mismatch = { kind: 'rejected', code: 'ISSUER_MISMATCH' };

test('an issuer is asked for its OpenID configuration, and for nothing else where that is there', async () => {
  const { fetch, asked } = publishing({
    [openid]: {
      ...least,
      jwks_uri: 'https://keys.example/jwks',
      revocation_endpoint: 'https://provider.example/revoke',
      userinfo_endpoint: 'http://provider.example/me',
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['plain', 'S256'],
    },
  });
  expect(await discover(fetch, issuer)).toEqual({
    issuer,
    authorizationUrl: 'https://provider.example/authorize',
    tokenUrl: 'https://provider.example/token',
    jwksUrl: 'https://keys.example/jwks',
    revocationUrl: 'https://provider.example/revoke',
    userinfoUrl: 'http://provider.example/me',
    issParameterSupported: true,
    pkce: true,
  });
  expect(asked).toEqual([openid]);
});

test('else for that of RFC 8414; what it does not name there is not', async () => {
  const { fetch, asked } = publishing({ [oauth]: { ...least, revocation_endpoint: null } });
  expect(await discover(fetch, issuer)).toMatchObject({
    jwksUrl: null,
    revocationUrl: null,
    userinfoUrl: null,
    issParameterSupported: false,
    pkce: true, // RFC 6749 3.1: who does not know it ignores it
  });
  expect(asked).toEqual([openid, oauth]);
  const old = publishing({ [oauth]: { ...least, code_challenge_methods_supported: ['plain'] } });
  expect(await discover(old.fetch, issuer)).toMatchObject({ pkce: false });
});

test.each([
  undefined,
  null,
  7,
  'token',
  'javascript:alert(1)',
  'xhttps://provider.example/token',
  'https://user@provider.example/token',
  'https://:password@provider.example/token',
  'https://provider.example/token#here',
])('T25. metadata whose token endpoint is %j is of no use', async (token_endpoint) => {
  const { fetch } = publishing({ [openid]: { ...least, token_endpoint } });
  const call = discover(fetch, issuer);
  expect(await verdictOf(call)).toEqual(failed);
  await expect(call).rejects.toThrow('lacks an endpoint');
});

test('T2. metadata in another issuer’s name is refused, whichever document it is and whatever became of the other', async () => {
  const foreign = { ...least, issuer: 'https://honest.example' };
  for (const documents of [{ [openid]: foreign }, { [oauth]: foreign }, { [openid]: foreign, [oauth]: foreign }]) {
    const call = discover(publishing(documents).fetch, issuer);
    expect(await verdictOf(call)).toEqual(mismatch);
    await expect(call).rejects.toThrow('names another issuer');
  }
});

test('an issuer that publishes nothing, cannot be asked, or is no URL, is told as such', async () => {
  const silent = discover(publishing({}).fetch, issuer);
  expect(await verdictOf(silent)).toEqual(failed);
  await expect(silent).rejects.toThrow('no metadata that can be used');
  const away = { ...failed, code: 'TIMEOUT' } as const;
  const fetch: ProviderFetch = () => Promise.reject(new OAuthError(away as never, 'a sentence'));
  expect(await verdictOf(discover(fetch, issuer))).toEqual(away);
  const none = publishing({});
  const nowhere = discover(none.fetch, 'provider.example');
  expect(await verdictOf(nowhere)).toEqual(failed);
  await expect(nowhere).rejects.toThrow('not a URL');
  expect(none.asked).toEqual([]);
});
