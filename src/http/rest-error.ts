import type { DomainError } from '../lib/domain-error.ts';

/** The status of an answer that tells an error, by the error's code. */
const statuses: Record<string, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  PLAN_REQUIRED: 403,
  CONNECTOR_DISABLED: 403,
  NOT_FOUND: 404,
  NOT_CONNECTED: 404,
  CONNECTOR_INCOMPLETE: 409,
  RECONNECT_REQUIRED: 409,
  RATE_LIMITED: 429,
  PROVIDER_UNAVAILABLE: 503,
  SERVICE_UNAVAILABLE: 503,
};

/** An error as the routes that are no GraphQL tell it: the same code and sentence as there, and a status. */
export function restError(
  { code, message, retryAfterSeconds }: Pick<DomainError, 'code' | 'message'> & { retryAfterSeconds?: number },
  status = statuses[code] ?? 400,
): Response {
  const response = Response.json({ detail: message, code, error: { code, message } }, { status });
  response.headers.set('Cache-Control', 'no-store');
  if (retryAfterSeconds !== undefined) response.headers.set('Retry-After', String(retryAfterSeconds));
  return response;
}
