import {
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
} from 'oauth4webapi';
import type { AuthorizationServer, KeptValue } from './authorization-server.ts';
import { OAuthError } from './failure.ts';
import { textAt } from './members.ts';
import { regionOf } from './region.ts';

/** Parameters of the authorization request that this service sets, or that would undo those: no catalogue entry and no admin can. */
export const RESERVED_AUTHORIZATION_PARAMS: ReadonlySet<string> = new Set([
  'response_type',
  'response_mode', // the callback reads the query and nothing else
  'client_id',
  'client_secret',
  'redirect_uri',
  'scope',
  'user_scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request', // RFC 9101: would stand for all the others
  'request_uri',
]);

/**
 * The URL that the browser is sent to (RFC 6749 4.1.1, RFC 7636 4.3). Query parameters that the authorization URL
 * already has are kept, unless they are reserved. `nonce` is null where no id_token is asked for; the code challenge is
 * left out where the provider does not take PKCE.
 */
export function buildAuthorizationUrl(request: {
  server: AuthorizationServer;
  clientId: string;
  redirectUri: string;
  scopes: readonly string[];
  state: string;
  codeChallenge: string | null;
  nonce: string | null;
}): string {
  const { server, scopes, codeChallenge, nonce } = request;
  const url = new URL(server.authorizationUrl);
  const params = new URLSearchParams(url.search);
  for (const name of RESERVED_AUTHORIZATION_PARAMS) {
    // BambooHR's endpoint is `authorize.php?request=authorize`; a request object is a JWT, which has dots.
    if (name !== 'request' || params.get(name)?.includes('.')) params.delete(name);
  }
  for (const [name, value] of Object.entries(server.authorizationParams)) {
    if (!RESERVED_AUTHORIZATION_PARAMS.has(name)) params.set(name, value);
  }
  params.delete(server.scopeParameter);

  params.set('response_type', 'code');
  const names = {
    client_id: 'client_id',
    redirect_uri: 'redirect_uri',
    ...server.parameterNames,
    ...server.authorizationNames,
  };
  params.set(names.client_id, request.clientId);
  params.set(names.redirect_uri, request.redirectUri);
  if (scopes.length > 0) params.set(server.scopeParameter, scopes.join(server.scopeSeparator));
  params.set('state', request.state);
  if (server.pkce && codeChallenge !== null) {
    params.set('code_challenge', codeChallenge);
    params.set('code_challenge_method', 'S256');
  }
  if (nonce !== null) params.set('nonce', nonce);

  // `%20` is a space to every reader of a query, `+` only to those that expect a form.
  url.search = params.toString().replaceAll('+', '%20');
  url.hash = '';
  return url.href;
}

/** A code verifier of 256 random bits, with its S256 challenge (RFC 7636 4.1, 4.2). */
export async function newPkce(): Promise<{ codeVerifier: string; codeChallenge: string }> {
  const codeVerifier = generateRandomCodeVerifier();
  return { codeVerifier, codeChallenge: await calculatePKCECodeChallenge(codeVerifier) };
}

/** 256 random bits as base64url: 43 characters. */
export function newState(): string {
  return generateRandomState();
}

/** 256 random bits as base64url: 43 characters. */
export function newNonce(): string {
  return generateRandomNonce();
}

/** What the provider sent the browser back with. `error` is its own word, or `unknown_error` where that is none. */
export type AuthorizationResponse = { kind: 'code'; code: string } | { kind: 'error'; error: string };

/**
 * Reads the authorization response (RFC 6749 4.1.2) after its state has been found and consumed. The issuer is checked
 * for errors too (RFC 9207 2.4): it must be there where the server always sends it, and right wherever it comes.
 * @throws OAuthError `rejected`: ISSUER_MISMATCH, or MALFORMED_RESPONSE for a repeated parameter or neither code nor error.
 */
export function readAuthorizationResponse(
  server: Pick<AuthorizationServer, 'issuer' | 'issParameterSupported'>,
  params: URLSearchParams,
): AuthorizationResponse {
  if (new Set(params.keys()).size !== params.size) {
    throw new OAuthError(
      { kind: 'rejected', code: 'MALFORMED_RESPONSE' },
      'The authorization response repeats a parameter.',
    );
  }
  const iss = params.get('iss');
  const isIssuerDue = server.issParameterSupported || (iss !== null && server.issuer !== null);
  if (isIssuerDue && (iss === null || iss !== server.issuer)) {
    throw new OAuthError(
      { kind: 'rejected', code: 'ISSUER_MISMATCH' },
      'The authorization response does not come from the issuer that was asked.',
    );
  }
  const error = params.get('error');
  if (error) return { kind: 'error', error: /^[a-z_]{1,64}$/.test(error) ? error : 'unknown_error' };
  const code = params.get('code');
  if (code) return { kind: 'code', code };
  throw new OAuthError(
    { kind: 'rejected', code: 'MALFORMED_RESPONSE' },
    'The authorization response holds neither a code nor an error.',
  );
}

/**
 * What of the authorization response belongs to the connection. The origin that holds the account is among it only as an
 * origin of the provider's own list.
 * @throws OAuthError `rejected` MALFORMED_RESPONSE where another origin is named: nobody but the provider may say where secrets go.
 */
export function keptFromCallback(
  server: Pick<AuthorizationServer, 'keepFromCallback' | 'regionalOrigin'>,
  params: URLSearchParams,
): KeptValue[] {
  const kept = server.keepFromCallback.flatMap((name) => {
    const value = textAt({ value: params.get(name) }, ['value']);
    return value === null ? [] : [{ name, value }];
  });
  if (!server.regionalOrigin) return kept;
  const { parameter, hosts } = server.regionalOrigin;
  const told = params.get(parameter);
  if (told === null) return kept;
  const value = regionOf(hosts, told);
  if (value === null) {
    throw new OAuthError(
      { kind: 'rejected', code: 'MALFORMED_RESPONSE' },
      'The authorization response names a region that is none of the provider.',
    );
  }
  return [...kept.filter(({ name }) => name !== parameter), { name: parameter, value }];
}
