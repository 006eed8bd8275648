import type { AuthorizationServer } from './authorization-server.ts';

/**
 * What a failed exchange with a provider means.
 * - `reauthorize`: the provider refuses this grant for good; only the person can renew it.
 * - `retry`: nothing is decided; the same request may work later. `lost` tells that the request may have been carried out although no answer came.
 * - `misconfigured`: the connector is set up wrong; its admin must act.
 * - `rejected`: the answer is not what this provider may say, and is not acted on. Beginning anew may help; repeating does not.
 */
export type OAuthVerdict =
  | { kind: 'reauthorize'; code: string }
  | { kind: 'retry'; code: RetryCode; retryAfterSeconds: number | null; lost: boolean }
  | {
      kind: 'misconfigured';
      code: 'INVALID_CLIENT' | 'INVALID_SCOPE' | 'REDIRECT_URI_MISMATCH' | 'BLOCKED_HOST' | 'UNSUPPORTED';
    }
  | { kind: 'rejected'; code: 'ISSUER_MISMATCH' | 'MALFORMED_RESPONSE' | 'ID_TOKEN_INVALID' };

/**
 * Why nothing is decided.
 * - No answer: `NETWORK_ERROR`, `TIMEOUT`, `ABORTED`.
 * - An answer that cannot be used: `REDIRECTED`, `RESPONSE_TOO_LARGE`, `UNUSABLE_ANSWER`, `DISCOVERY_FAILED`.
 * - The provider says so: `RATE_LIMITED`, `PROVIDER_UNAVAILABLE`, `UNKNOWN_ERROR`.
 */
export type RetryCode =
  | 'NETWORK_ERROR'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'REDIRECTED'
  | 'RESPONSE_TOO_LARGE'
  | 'UNUSABLE_ANSWER'
  | 'DISCOVERY_FAILED'
  | 'RATE_LIMITED'
  | 'PROVIDER_UNAVAILABLE'
  | 'UNKNOWN_ERROR';

/** The one error that leaves oauth/. It carries no text of the provider, no token and no cause: only the verdict and a sentence of ours. */
export class OAuthError extends Error {
  readonly verdict: OAuthVerdict;
  /** With BLOCKED_HOST, the name that was not asked; null where there is none to tell. */
  readonly host: string | null;
  constructor(verdict: OAuthVerdict, message: string, host: string | null = null) {
    super(message);
    this.name = 'OAuthError';
    this.verdict = verdict;
    this.host = host;
  }
}

const clientErrors = new Set([
  'invalid_client',
  'unauthorized_client',
  'incorrect_client_credentials', // GitHub
  'bad_client_secret', // Slack
  'invalid_client_id', // Slack
]);
const redirectErrors = new Set([
  'redirect_uri_mismatch', // GitHub, Google
  'bad_redirect_uri', // Slack
]);
const busyErrors = new Set(['server_error', 'temporarily_unavailable', 'slow_down']);

/**
 * Judges an error of the token endpoint (RFC 6749 5.2 and the dialects that providers speak instead). Only words that
 * are known to mean something decide; whatever else comes is worth another try, so that no outage ends a connection.
 * `error.code` is null where the body names no error; `error.text` is what the body says of it. `status` is the provider's
 * own, also where it reports errors with 200.
 */
export function judgeTokenError(
  server: Pick<AuthorizationServer, 'deadGrantErrors' | 'refusedClientErrors'>,
  status: number,
  headers: Headers,
  error: { code: string | null; text?: string | null },
  now: Date = new Date(),
): OAuthVerdict {
  const retry = (code: RetryCode, lost = false): OAuthVerdict => ({
    kind: 'retry',
    code,
    retryAfterSeconds: readRetryAfter(headers, now),
    lost,
  });
  if (status === 429) return retry('RATE_LIMITED');
  // A gateway that gave up waiting cannot know whether the server behind it has finished.
  if (status >= 500) return retry('PROVIDER_UNAVAILABLE', status === 502 || status === 504);
  if (status === 408 || status === 425) return retry('PROVIDER_UNAVAILABLE');

  const code = error.code ?? challengeError(headers);
  if (code === null && status < 300) return retry('UNUSABLE_ANSWER', true);
  if (code === null && status === 401 && headers.has('www-authenticate')) {
    return { kind: 'misconfigured', code: 'INVALID_CLIENT' };
  }
  if (code === null) return retry('UNKNOWN_ERROR');
  const text = error.text ?? '';
  const says = (words: readonly string[]) => words.includes(code) || words.includes(`${code}: ${text}`);
  const isDead = code === 'invalid_grant' || says(server.deadGrantErrors) || blamesRefreshToken(code, text);
  if (isDead) return { kind: 'reauthorize', code };
  if (clientErrors.has(code) || says(server.refusedClientErrors))
    return { kind: 'misconfigured', code: 'INVALID_CLIENT' };
  if (code === 'invalid_scope') return { kind: 'misconfigured', code: 'INVALID_SCOPE' };
  if (redirectErrors.has(code)) return { kind: 'misconfigured', code: 'REDIRECT_URI_MISMATCH' };
  if (code === 'unsupported_grant_type') return { kind: 'misconfigured', code: 'UNSUPPORTED' };
  return retry(busyErrors.has(code) ? 'PROVIDER_UNAVAILABLE' : 'UNKNOWN_ERROR');
}

/**
 * Several servers call a refresh token that is gone a fault of the request: `invalid_request`, with a text that says so (Authlib,
 * league/oauth2-server 8, @jmondi/oauth2-server, Databricks, Bitbucket). What is sent is well formed, so it can mean nothing else.
 */
function blamesRefreshToken(code: string, text: string): boolean {
  return code === 'invalid_request' && goneTexts.some((pattern) => pattern.test(text));
}

/** The words must stand together: the usual text of `invalid_request` speaks of invalid parameters too. */
const goneTexts = [
  /\b(?:invalid|expired|revoked) "?refresh[ _-]?token\b/i,
  /\brefresh[ _-]?token (?:is |was |has |has been )?(?:invalid|expired|revoked|not found)\b/i,
  /\btoken (?:is|has|has been) (?:expired|revoked)\b/i,
];

/** The sentence for a verdict on an answer of the provider: the message of its {@link OAuthError}. */
export function sentenceFor(verdict: OAuthVerdict): string {
  switch (verdict.kind) {
    case 'reauthorize':
      return 'The provider refuses this grant for good.';
    case 'retry':
      return `The provider gave no answer that decides anything (${verdict.code}).`;
    case 'misconfigured':
      return `The provider refuses the connector's settings (${verdict.code}).`;
    case 'rejected':
      return `The provider's answer was refused (${verdict.code}).`;
  }
}

/** The `error` of a WWW-Authenticate challenge (RFC 6750 3); null where there is none. */
export function challengeError(headers: Headers): string | null {
  return (
    /(?:^|[\s,])error="([\x20-\x21\x23-\x5b\x5d-\x7e]{1,200})"/i.exec(headers.get('www-authenticate') ?? '')?.[1] ??
    null
  );
}

const maxRetryAfterSeconds = 24 * 60 * 60;

/** Retry-After as whole seconds, from either of its forms (RFC 9110 10.2.3): at most a day, null where it says nothing. */
function readRetryAfter(headers: Headers, now: Date): number | null {
  const text = headers.get('retry-after')?.trim() ?? '';
  const seconds = /^\d+$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - now.getTime()) / 1000);
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), maxRetryAfterSeconds);
}
