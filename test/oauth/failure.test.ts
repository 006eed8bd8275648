import { expect, test } from 'vitest';
import { judgeTokenError, type OAuthVerdict, sentenceFor } from '../../src/oauth/failure.ts';

const now = new Date('2026-11-20T12:00:00Z');

function judge(
  status: number,
  code: string | null,
  headers: Record<string, string> = {},
  deadGrantErrors: string[] = [],
  text: string | null = null,
): OAuthVerdict {
  const server = { deadGrantErrors, refusedClientErrors: ['odd: Not you'] };
  return judgeTokenError(server, status, new Headers(headers), { code, text }, now);
}

function retry(code: string, changes: Partial<Extract<OAuthVerdict, { kind: 'retry' }>> = {}) {
  return { kind: 'retry', code, retryAfterSeconds: null, lost: false, ...changes };
}

test.each([200, 400, 401, 403])('T19. invalid_grant with status %i is a dead grant', (status) => {
  expect(judge(status, 'invalid_grant')).toEqual({ kind: 'reauthorize', code: 'invalid_grant' });
});

test('T19. a challenge beside the error does not hide a dead grant', () => {
  expect(judge(400, 'invalid_grant', { 'www-authenticate': 'Bearer realm="x"' }).kind).toBe('reauthorize');
  expect(judge(401, null, { 'www-authenticate': 'Bearer realm="x", error="invalid_grant"' }).kind).toBe('reauthorize');
});

test.each(['invalid_code', 'invalid_refresh_token', 'token_revoked', 'BAD_REFRESH_TOKEN', 'OAuthException:190'])(
  '%s is a dead grant only where the provider uses that word',
  (word) => {
    expect(judge(400, word, {}, [word])).toEqual({ kind: 'reauthorize', code: word });
    expect(judge(200, word, {}, [word])).toEqual({ kind: 'reauthorize', code: word });
    expect(judge(400, word)).toEqual(retry('UNKNOWN_ERROR'));
  },
);

test('a word that means several things is a dead grant only with its text', () => {
  const words = ['odd: Value passed for the token was invalid'];
  const text = 'Value passed for the token was invalid';
  expect(judge(400, 'odd', {}, words, text)).toEqual({ kind: 'reauthorize', code: 'odd' });
  expect(judge(400, 'odd', {}, words, `${text}, too`)).toEqual(retry('UNKNOWN_ERROR'));
  expect(judge(400, 'odd', {}, words)).toEqual(retry('UNKNOWN_ERROR'));
  expect(judge(400, 'odder', {}, words, text)).toEqual(retry('UNKNOWN_ERROR'));
  expect(judge(400, 'odd', {}, words, 'Not you')).toEqual({ kind: 'misconfigured', code: 'INVALID_CLIENT' });
});

test.each([
  ['Refresh token is invalid', 'reauthorize'], // databricks/cli#667
  ['Invalid refresh_token', 'reauthorize'], // readthedocs/readthedocs.org#2992, of Bitbucket
  ['Invalid "refresh_token" in request', 'reauthorize'], // lepture/authlib#112
  ['The refresh token is invalid', 'reauthorize'], // league/oauth2-server 8
  ['session with that refresh-token not found', 'reauthorize'],
  ['RefreshToken expired', 'reauthorize'],
  ['expired refreshToken', 'reauthorize'],
  ['The refresh token has been revoked', 'reauthorize'],
  ['Token has expired', 'reauthorize'], // @jmondi/oauth2-server
  // not said of the token, or not that it is gone
  ['Missing parameter: refresh_token', 'retry'],
  ['Token is not linked to client', 'retry'],
  ['The token request is invalid', 'retry'],
  ['invalid grant_type refresh_token', 'retry'],
  ['revalidate the refresh token', 'retry'],
  ['The request includes an invalid parameter value: check the refresh_token parameter', 'retry'],
])('T19. invalid_request with the text %j: %s', (text, kind) => {
  expect(judge(400, 'invalid_request', {}, [], text).kind).toBe(kind);
  expect(judge(503, 'invalid_request', {}, [], text).kind).toBe('retry');
  expect(judge(400, 'whatever', {}, [], text).kind).toBe('retry');
});

test.each([
  [401, 'invalid_client', 'INVALID_CLIENT'],
  [400, 'unauthorized_client', 'INVALID_CLIENT'],
  [200, 'incorrect_client_credentials', 'INVALID_CLIENT'],
  [200, 'bad_client_secret', 'INVALID_CLIENT'],
  [200, 'invalid_client_id', 'INVALID_CLIENT'],
  [400, 'invalid_scope', 'INVALID_SCOPE'],
  [400, 'redirect_uri_mismatch', 'REDIRECT_URI_MISMATCH'],
  [200, 'bad_redirect_uri', 'REDIRECT_URI_MISMATCH'],
  [400, 'unsupported_grant_type', 'UNSUPPORTED'],
])('T19. %i %s is for the admin', (status, word, code) => {
  expect(judge(status, word)).toEqual({ kind: 'misconfigured', code });
});

test('T19. a refused client may be told by a challenge alone', () => {
  expect(judge(401, null, { 'www-authenticate': 'Basic realm="token"' })).toEqual({
    kind: 'misconfigured',
    code: 'INVALID_CLIENT',
  });
  expect(judge(401, null)).toEqual(retry('UNKNOWN_ERROR'));
  expect(judge(400, null, { 'www-authenticate': 'Basic realm="token"' })).toEqual(retry('UNKNOWN_ERROR'));
});

test.each([
  [400, null, retry('UNKNOWN_ERROR')],
  [404, null, retry('UNKNOWN_ERROR')],
  [418, 'i_am_a_teapot', retry('UNKNOWN_ERROR')],
  [400, 'invalid_request', retry('UNKNOWN_ERROR')],
  [400, 'temporarily_unavailable', retry('PROVIDER_UNAVAILABLE')],
  [400, 'server_error', retry('PROVIDER_UNAVAILABLE')],
  [400, 'slow_down', retry('PROVIDER_UNAVAILABLE')],
  [408, null, retry('PROVIDER_UNAVAILABLE')],
  [425, null, retry('PROVIDER_UNAVAILABLE')],
  [429, 'invalid_grant', retry('RATE_LIMITED')],
  [500, 'invalid_grant', retry('PROVIDER_UNAVAILABLE')],
  [502, null, retry('PROVIDER_UNAVAILABLE', { lost: true })],
  [503, 'invalid_client', retry('PROVIDER_UNAVAILABLE')],
  [504, null, retry('PROVIDER_UNAVAILABLE', { lost: true })],
  [999, null, retry('PROVIDER_UNAVAILABLE')],
  [200, null, retry('UNUSABLE_ANSWER', { lost: true })],
])('T19. %i with the error %s decides nothing', (status, code, verdict) => {
  expect(judge(status, code)).toEqual(verdict);
});

test.each([
  ['120', 120],
  [' 7 ', 7],
  ['0', 0],
  ['99999999999', 86_400],
  ['Fri, 20 Nov 2026 12:05:00 GMT', 300],
  ['Fri, 20 Nov 2026 11:00:00 GMT', 0],
  ['Fri, 20 Nov 2099 11:00:00 GMT', 86_400],
  ['-5', 0],
  ['soon', null],
  ['', null],
])('Retry-After %j is %j seconds', (text, retryAfterSeconds) => {
  expect(judge(429, null, { 'retry-after': text })).toEqual(retry('RATE_LIMITED', { retryAfterSeconds }));
});

test('no word of the provider that is not known gets into a verdict', () => {
  expect(JSON.stringify(judge(400, 'canary_word', { 'www-authenticate': 'Basic error="canary"' }))).not.toMatch(
    /canary/,
  );
});

test.each<[OAuthVerdict, string]>([
  [{ kind: 'reauthorize', code: 'invalid_grant' }, 'The provider refuses this grant for good.'],
  [
    { kind: 'retry', code: 'TIMEOUT', retryAfterSeconds: null, lost: true },
    'The provider gave no answer that decides anything (TIMEOUT).',
  ],
  [{ kind: 'misconfigured', code: 'UNSUPPORTED' }, "The provider refuses the connector's settings (UNSUPPORTED)."],
  [{ kind: 'rejected', code: 'ISSUER_MISMATCH' }, "The provider's answer was refused (ISSUER_MISMATCH)."],
])('the verdict %o is told in a sentence of ours', (verdict, sentence) => {
  expect(sentenceFor(verdict)).toBe(sentence);
});
