import { expect, test } from 'vitest';
import { FlowExpiredError, ProviderUnavailableError } from '../../src/connections/errors.ts';
import { asDomainError, askProvider, errorResponse, refreshFailure } from '../../src/connections/provider-failure.ts';
import type { DomainError } from '../../src/lib/domain-error.ts';
import { OAuthError, type OAuthVerdict } from '../../src/oauth/failure.ts';

/** Which documented failure an error tells, and when to try again where it says so. */
function told(error: DomainError): string {
  const after = error instanceof ProviderUnavailableError ? ` after ${error.retryAfterSeconds}` : '';
  return `${error.failure?.name}${after}`;
}

test.each([
  ['access_denied', 'CONSENT_DENIED'],
  ['ACCESS_DENIED', 'CONSENT_DENIED'],
  ['user_cancelled_login', 'CONSENT_DENIED'],
  ['user_cancelled_authorize', 'CONSENT_DENIED'],
  ['consent_required', 'CONSENT_DENIED'],
  ['interaction_required', 'CONSENT_DENIED'],
  ['login_required', 'CONSENT_DENIED'],
  ['account_selection_required', 'CONSENT_DENIED'],
  ['invalid_scope', 'INVALID_SCOPE'],
  ['unauthorized_scope_error', 'INVALID_SCOPE'],
  ['invalid_client', 'INVALID_CLIENT'],
  ['unauthorized_client', 'INVALID_CLIENT'],
  ['invalid_client_id', 'INVALID_CLIENT'],
  ['redirect_uri_mismatch', 'REDIRECT_URI_MISMATCH'],
  ['org_internal', 'PROVIDER_TESTING_MODE'],
  ['admin_policy_enforced', 'PROVIDER_TESTING_MODE'],
  ['oauth_app_blocked', 'PROVIDER_TESTING_MODE'],
  ['oauth_app_access_denied', 'PROVIDER_TESTING_MODE'],
  ['invalid_team_for_non_distributed_app', 'PROVIDER_TESTING_MODE'],
  ['server_error', 'PROVIDER_UNREACHABLE after 30'],
  ['temporarily_unavailable', 'PROVIDER_UNREACHABLE after 30'],
  ['whatever', 'PROVIDER_UNREACHABLE after 30'],
])('26. a callback with the error %s is told as %s', (error, expected) => {
  expect(told(errorResponse(error, null))).toBe(expected);
});

test.each([
  ['AADSTS90094: an administrator must consent', 'PROVIDER_TESTING_MODE'],
  ['AADSTS90095', 'PROVIDER_TESTING_MODE'],
  ['AADSTS50105: not assigned', 'PROVIDER_TESTING_MODE'],
  ['refused (AADSTS50020)', 'PROVIDER_TESTING_MODE'],
  ['AADSTS700016: not found', 'INVALID_CLIENT'],
  ['AADSTS7000215', 'INVALID_CLIENT'],
  // a code that only begins or ends like one of them is another
  ['AADSTS900941', 'CONSENT_DENIED'],
  ['XAADSTS90094', 'CONSENT_DENIED'],
  ['AADSTS7000161', 'CONSENT_DENIED'],
  ['XAADSTS700016', 'CONSENT_DENIED'],
])('26. of a description only the documented code counts: %s', (description, expected) => {
  expect(told(errorResponse('access_denied', description))).toBe(expected);
});

const retry = (retryAfterSeconds: number | null): OAuthVerdict => ({
  kind: 'retry',
  code: 'TIMEOUT',
  retryAfterSeconds,
  lost: false,
});

test.each<[OAuthVerdict, string]>([
  [{ kind: 'reauthorize', code: 'invalid_grant' }, 'FLOW_EXPIRED'],
  [{ kind: 'rejected', code: 'ISSUER_MISMATCH' }, 'FLOW_MISMATCH'],
  [retry(null), 'PROVIDER_UNREACHABLE after 30'],
  [retry(0), 'PROVIDER_UNREACHABLE after 0'],
  [retry(90), 'PROVIDER_UNREACHABLE after 90'],
  [{ kind: 'misconfigured', code: 'INVALID_CLIENT' }, 'INVALID_CLIENT'],
  [{ kind: 'misconfigured', code: 'INVALID_SCOPE' }, 'INVALID_SCOPE'],
  [{ kind: 'misconfigured', code: 'REDIRECT_URI_MISMATCH' }, 'REDIRECT_URI_MISMATCH'],
  [{ kind: 'misconfigured', code: 'BLOCKED_HOST' }, 'ADDRESS_BLOCKED after 300'],
  [{ kind: 'misconfigured', code: 'UNSUPPORTED' }, 'PROVIDER_UNREACHABLE after 300'],
])('26. in a flow the verdict %o means %s', (verdict, expected) => {
  expect(told(asDomainError(new OAuthError(verdict, 'a sentence')))).toBe(expected);
});

test.each<[OAuthVerdict | null, string, string, string[]]>([
  [null, 'PROVIDER_UNAVAILABLE', 'PROVIDER', []],
  [retry(7), 'PROVIDER_UNAVAILABLE', 'PROVIDER', []],
  [{ kind: 'misconfigured', code: 'INVALID_CLIENT' }, 'PROVIDER_UNAVAILABLE', 'ADMIN', ['client-1']],
  [{ kind: 'misconfigured', code: 'INVALID_SCOPE' }, 'PROVIDER_UNAVAILABLE', 'ADMIN', ['read']],
  [{ kind: 'misconfigured', code: 'BLOCKED_HOST' }, 'ADDRESS_BLOCKED', 'OPERATOR', ['idp.internal']],
  [{ kind: 'misconfigured', code: 'UNSUPPORTED' }, 'PROVIDER_UNAVAILABLE', 'PROVIDER', []],
])('35. a refresh that ends with %o says what is to be mended', (verdict, name, actor, values) => {
  const connector = { providerKey: 'custom', clientId: 'client-1', operatorClientId: null, scopes: ['read'] };
  const failed = refreshFailure(verdict && new OAuthError(verdict, 'a sentence', 'idp.internal'), 7, connector);
  expect([failed.failure?.name, failed.retryAfterSeconds, failed.remedy?.actor]).toEqual([name, 7, actor]);
  expect(failed.remedy?.values.map(({ value }) => value)).toEqual(values);
});

test('26. what is told already stays as it is, and a bug stays a bug', async () => {
  const known = new FlowExpiredError('FLOW_EXPIRED');
  expect(asDomainError(known)).toBe(known);
  const bug = new TypeError('a bug');
  expect(() => asDomainError(bug)).toThrow(bug);
  await expect(askProvider(() => Promise.reject(bug))).rejects.toBe(bug);
});

test('26. metadata in another issuer’s name is the provider’s fault, and not that of a flow which has not begun', async () => {
  const failing = (verdict: OAuthVerdict) =>
    askProvider(() => Promise.reject(new OAuthError(verdict, 'a sentence'))).then(
      () => 'answered',
      (error: DomainError) => told(error),
    );
  expect(await failing({ kind: 'rejected', code: 'ISSUER_MISMATCH' })).toBe('PROVIDER_UNREACHABLE after 300');
  expect(await failing(retry(7))).toBe('PROVIDER_UNREACHABLE after 7');
  expect(await failing({ kind: 'misconfigured', code: 'INVALID_CLIENT' })).toBe('INVALID_CLIENT');
  expect(await askProvider(async () => 'metadata')).toBe('metadata');
});
