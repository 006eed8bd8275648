import { DomainError } from '../lib/domain-error.ts';
import { OAuthError } from '../oauth/failure.ts';
import { flowError, ProviderUnavailableError } from './errors.ts';

/** RFC 6749 4.1.2.1, OIDC Core 3.1.2.6, and what providers add. Everything else is the provider's own trouble. */
export function errorResponse(error: string): DomainError {
  switch (error) {
    case 'access_denied':
    case 'user_cancelled_login':
    case 'user_cancelled_authorize':
    case 'consent_required':
    case 'interaction_required':
    case 'login_required':
    case 'account_selection_required':
      return flowError('CONSENT_DENIED');
    case 'invalid_scope':
      return flowError('INVALID_SCOPE');
    case 'invalid_client':
    case 'unauthorized_client':
      return flowError('INVALID_CLIENT');
    case 'redirect_uri_mismatch':
      return flowError('REDIRECT_URI_MISMATCH');
    case 'org_internal':
    case 'admin_policy_enforced':
      return flowError('PROVIDER_TESTING_MODE');
    default:
      return unavailable(30);
  }
}

/** Asks a provider something before a flow has begun: metadata in another issuer's name is its fault, not the flow's. */
export async function askProvider<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof OAuthError && error.verdict.kind === 'rejected') throw unavailable(300);
    throw asDomainError(error);
  }
}

/** What a provider's failure means to the person in a connect flow. A bug stays one. */
export function asDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (!(error instanceof OAuthError)) throw error;
  const { verdict } = error;
  switch (verdict.kind) {
    case 'reauthorize':
      return flowError('FLOW_EXPIRED'); // the code was refused: too old, or not this flow's
    case 'rejected':
      return flowError('FLOW_MISMATCH');
    case 'retry':
      return unavailable(verdict.retryAfterSeconds ?? 30);
    case 'misconfigured':
      return verdict.code === 'BLOCKED_HOST' || verdict.code === 'UNSUPPORTED'
        ? unavailable(300)
        : flowError(verdict.code);
  }
}

/** Nothing was connected, whatever the provider's trouble. */
function unavailable(retryAfterSeconds: number): DomainError {
  return new ProviderUnavailableError(retryAfterSeconds, { connecting: true });
}
