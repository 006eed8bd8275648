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

type Told = Pick<DomainError, 'code' | 'message'> & { retryAfterSeconds?: number };

/** What the routes that are no GraphQL say of an error: the same code and sentence as there, and a status. */
export function restErrorParts({ code, message, retryAfterSeconds }: Told, status = statuses[code] ?? 400) {
  return {
    status,
    headers: {
      'Cache-Control': 'no-store',
      ...(retryAfterSeconds !== undefined && { 'Retry-After': String(retryAfterSeconds) }),
    },
    body: { detail: message, code, error: { code, message } },
  };
}

/** The same as an answer. */
export function restError(error: Told, asStatus?: number): Response {
  const { body, ...init } = restErrorParts(error, asStatus);
  return Response.json(body, init);
}
