import { DomainError } from '../lib/domain-error.ts';
import { OAuthError } from '../oauth/failure.ts';
import { clientFacts, flowError, hostFacts, ProviderUnavailableError } from './errors.ts';

/**
 * Says that the account, not the person, was refused: by the OAuth app's testing mode, or by an administrator at the provider.
 * AADSTS90094 and 90095: an administrator must consent; 50105: the user is not assigned to the app; 50020: not of its tenant.
 */
const accountRefused = /\bAADSTS(?:90094|90095|50105|50020)\b/;
/** The OAuth app is not in that tenant. */
const clientUnknown = /\bAADSTS(?:700016|7000215)\b/;

/**
 * RFC 6749 4.1.2.1, OIDC Core 3.1.2.6, and what providers add. Everything else is the provider's own trouble. Of the description,
 * which anybody can write into an address, only the codes that a provider documents are looked for; nothing of it is shown.
 */
export function errorResponse(error: string, description: string | null): DomainError {
  if (accountRefused.test(description ?? '')) return flowError('PROVIDER_TESTING_MODE');
  if (clientUnknown.test(description ?? '')) return flowError('INVALID_CLIENT');
  switch (error.toLowerCase()) {
    case 'access_denied':
    case 'user_cancelled_login':
    case 'user_cancelled_authorize':
    case 'consent_required':
    case 'interaction_required':
    case 'login_required':
    case 'account_selection_required':
      return flowError('CONSENT_DENIED');
    case 'invalid_scope':
    case 'unauthorized_scope_error': // LinkedIn
      return flowError('INVALID_SCOPE');
    case 'invalid_client':
    case 'unauthorized_client':
    case 'invalid_client_id': // Slack, Salesforce
      return flowError('INVALID_CLIENT');
    case 'redirect_uri_mismatch':
      return flowError('REDIRECT_URI_MISMATCH');
    case 'org_internal': // Google
    case 'admin_policy_enforced': // Google
    case 'oauth_app_blocked': // Salesforce
    case 'oauth_app_access_denied': // Salesforce
    case 'invalid_team_for_non_distributed_app': // Slack
      return flowError('PROVIDER_TESTING_MODE');
    default:
      return unreachable(30);
  }
}

/** Asks a provider something before a flow has begun: metadata in another issuer's name is its fault, not the flow's. */
export async function askProvider<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof OAuthError && error.verdict.kind === 'rejected') throw unreachable(300);
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
      return unreachable(verdict.retryAfterSeconds ?? 30);
    case 'misconfigured':
      if (verdict.code === 'BLOCKED_HOST')
        return new ProviderUnavailableError(300, hostFacts(error.host), 'ADDRESS_BLOCKED');
      return verdict.code === 'UNSUPPORTED' ? unreachable(300) : flowError(verdict.code);
  }
}

/** Why a token could not be refreshed, with what is to be mended where the provider refuses a setting. The connection is kept. */
export function refreshFailure(
  error: OAuthError | null,
  retryAfterSeconds: number,
  connector: Parameters<typeof clientFacts>[0] & { scopes: readonly string[] },
): ProviderUnavailableError {
  const code = error?.verdict.kind === 'misconfigured' ? error.verdict.code : null;
  if (code === 'BLOCKED_HOST')
    return new ProviderUnavailableError(retryAfterSeconds, hostFacts(error?.host ?? null), 'ADDRESS_BLOCKED');
  const refusal = code === 'UNSUPPORTED' ? null : code;
  return new ProviderUnavailableError(retryAfterSeconds, {
    refusal,
    scopes: connector.scopes,
    ...clientFacts(connector),
  });
}

/** Nothing was connected, whatever the provider's trouble. */
function unreachable(retryAfterSeconds: number): DomainError {
  return new ProviderUnavailableError(retryAfterSeconds, {}, 'PROVIDER_UNREACHABLE');
}
