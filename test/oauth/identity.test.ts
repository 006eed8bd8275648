import { expect, test } from 'vitest';
import type { ProviderFetch } from '../../src/oauth/fetch.ts';
import { OAuthError } from '../../src/oauth/failure.ts';
import { fetchAccount } from '../../src/oauth/identity.ts';
import { Secret } from '../../src/lib/secret.ts';
import { answering, serverFixture } from './support/server-fixture.ts';

const server = serverFixture({
  identity: {
    url: 'https://provider.example/tokens/{token}',
    method: 'GET',
    idPaths: ['id'],
    emailPaths: ['email'],
    namePaths: ['name'],
  },
});
const accessToken = new Secret('a/$&b');
const ask = (fetch: ProviderFetch) => fetchAccount({ fetch, server, accessToken });

test('an identity endpoint that has the token in its path is asked with it, encoded', async () => {
  const { fetch, sent } = answering(200, { id: 7, email: 'one@example.com' });
  expect(await ask(fetch)).toEqual({ kind: 'account', account: { id: '7', email: 'one@example.com', name: null } });
  expect(sent[0]?.url).toBe('https://provider.example/tokens/a%2F%24%26b');
});

const invalidToken = { 'www-authenticate': 'Bearer error="invalid_token"' };

test.each<[number, Record<string, string>, string]>([
  [401, {}, 'refused'],
  [403, invalidToken, 'refused'],
  [403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }, 'unknown'],
  [403, {}, 'unknown'],
  [400, invalidToken, 'unknown'],
  [503, invalidToken, 'unknown'],
])('T19. %i with %j means that the token is %s', async (status, headers, kind) => {
  expect(await ask(answering(status, { error: 'x' }, headers).fetch)).toEqual({ kind });
});

test('T19. a provider that cannot be asked says nothing of the token; a bug stays a bug', async () => {
  const verdict = { kind: 'retry', code: 'TIMEOUT', retryAfterSeconds: null, lost: true } as const;
  expect(await ask(() => Promise.reject(new OAuthError(verdict, 'a sentence')))).toEqual({ kind: 'unknown' });
  const bug = new TypeError('a bug');
  await expect(ask(() => Promise.reject(bug))).rejects.toBe(bug);
  const { fetch, sent } = answering(200, { id: 7 });
  expect(await fetchAccount({ fetch, server: serverFixture(), accessToken })).toEqual({ kind: 'unknown' });
  expect(sent).toEqual([]);
});
