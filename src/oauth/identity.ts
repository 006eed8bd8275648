import type { Secret } from '../lib/secret.ts';
import type { AuthorizationServer, ProviderAccount } from './authorization-server.ts';
import { challengeError, OAuthError } from './failure.ts';
import type { ProviderFetch, ProviderResponse } from './fetch.ts';
import { memberAt, parseMembers, readAccount } from './members.ts';

/**
 * Asks the provider whose account an access token belongs to, which also tells whether the token is still accepted:
 * `refused` only where the provider says that it is not (RFC 6750 3.1). An account may name nobody where the answer does
 * not. `scopes` are those granted: an endpoint that wants one of its own (`anyScope`) is not asked where they lack it, and
 * where they are not given its refusal is `unknown`. Never throws for anything a provider does.
 */
export async function fetchAccount(request: {
  fetch: ProviderFetch;
  server: AuthorizationServer;
  accessToken: Secret;
  scopes?: readonly string[];
}): Promise<{ kind: 'account'; account: ProviderAccount } | { kind: 'refused' } | { kind: 'unknown' }> {
  const { identity } = request.server;
  if (!identity) return { kind: 'unknown' };
  const { anyScope } = identity;
  const holdsScope = !anyScope || anyScope.some((scope) => request.scopes?.includes(scope));
  if (request.scopes && !holdsScope) return { kind: 'unknown' };

  const token = request.accessToken.reveal();
  let answer: ProviderResponse;
  try {
    answer = await request.fetch(
      identity.url.replace('{token}', () => encodeURIComponent(token)),
      {
        method: identity.method,
        headers: {
          ...identity.headers,
          authorization: `Bearer ${token}`,
          ...(identity.body && { 'content-type': 'application/json' }),
        },
        ...(identity.body && { body: JSON.stringify(identity.body) }),
      },
    );
  } catch (error) {
    if (error instanceof OAuthError) return { kind: 'unknown' };
    throw error;
  }

  const members = parseMembers(answer.body);
  const error = memberAt(members, 'error');
  const isOk = answer.status >= 200 && answer.status <= 299;
  const isRefused =
    answer.status === 401 ||
    (answer.status === 403 && challengeError(answer.headers) === 'invalid_token') ||
    (isOk && error === 'invalid_token'); // Mailchimp reports its errors with 200
  if (isRefused) return { kind: holdsScope ? 'refused' : 'unknown' };
  // Slack reports its errors with 200.
  if (!isOk || !members || memberAt(members, 'ok') === false || typeof error === 'string') return { kind: 'unknown' };
  const { idPaths: id, emailPaths: email, namePaths: name } = identity;
  return {
    kind: 'account',
    account: readAccount(members, { id, email, name }) ?? { id: null, email: null, name: null },
  };
}
