import { discoveryRequest, processDiscoveryResponse } from 'oauth4webapi';
import type { AuthorizationServer } from './authorization-server.ts';
import { OAuthError } from './failure.ts';
import { parseUrl } from '../lib/parse-url.ts';
import type { ProviderFetch } from './fetch.ts';
import { libraryFetch } from './library-fetch.ts';

/** What an issuer publishes of itself. */
export type DiscoveredServer = Pick<
  AuthorizationServer,
  'issuer' | 'authorizationUrl' | 'tokenUrl' | 'jwksUrl' | 'issParameterSupported' | 'pkce'
> & { revocationUrl: string | null; userinfoUrl: string | null };

/**
 * Asks an issuer for its metadata: OpenID Connect Discovery 1.0 first, then RFC 8414. The metadata must name the very
 * issuer that was asked (RFC 8414 3.3), so that nobody can speak in another one's name.
 * @throws OAuthError `rejected` ISSUER_MISMATCH; `retry` DISCOVERY_FAILED where neither document can be used; what the
 *   fetch throws where neither could be got.
 */
export async function discover(fetch: ProviderFetch, issuer: string): Promise<DiscoveredServer> {
  const url = parseUrl(issuer);
  if (!url) throw discoveryFailed('The issuer is not a URL.');
  let failure: OAuthError | null = null;
  for (const algorithm of ['oidc', 'oauth2'] as const) {
    try {
      const response = await discoveryRequest(url, { ...libraryFetch(fetch), algorithm });
      return readMetadata({ ...(await processDiscoveryResponse(url, response)) });
    } catch (error) {
      // The first failure is told, unless the second document says more.
      const own = toOAuthError(error);
      if (!failure || own.verdict.kind === 'rejected') failure = own;
    }
  }
  throw failure ?? discoveryFailed('The issuer publishes no metadata.');
}

function readMetadata(metadata: Record<string, unknown>): DiscoveredServer {
  const methods = metadata.code_challenge_methods_supported;
  return {
    issuer: String(metadata.issuer),
    authorizationUrl: requiredUrl(metadata.authorization_endpoint),
    tokenUrl: requiredUrl(metadata.token_endpoint),
    jwksUrl: optionalUrl(metadata.jwks_uri),
    revocationUrl: optionalUrl(metadata.revocation_endpoint),
    userinfoUrl: optionalUrl(metadata.userinfo_endpoint),
    issParameterSupported: metadata.authorization_response_iss_parameter_supported === true,
    // A server that says nothing must ignore what it does not know (RFC 6749 3.1), so sending the challenge is safe.
    pkce: !Array.isArray(methods) || methods.includes('S256'),
  };
}

function optionalUrl(value: unknown): string | null {
  return value === undefined || value === null ? null : requiredUrl(value);
}

function requiredUrl(value: unknown): string {
  const url = typeof value === 'string' ? parseUrl(value) : null;
  const isFine = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === '';
  if (!isFine) throw discoveryFailed('The metadata lacks an endpoint, or names one that is no absolute http(s) URL.');
  return url.href;
}

function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error;
  if ((error as { code?: unknown }).code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') {
    return new OAuthError(
      { kind: 'rejected', code: 'ISSUER_MISMATCH' },
      'The metadata names another issuer than the one asked.',
    );
  }
  return discoveryFailed('The issuer publishes no metadata that can be used.');
}

function discoveryFailed(message: string): OAuthError {
  return new OAuthError({ kind: 'retry', code: 'DISCOVERY_FAILED', retryAfterSeconds: null, lost: false }, message);
}
