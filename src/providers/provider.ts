import type { AuthorizationServer } from '../oauth/authorization-server.ts';

/** A setting beyond client id, secret and scopes that the provider needs, such as a subdomain. Its `{name}` in the URLs is replaced by the value. */
export interface ProviderConfigField {
  name: string;
  description: string;
  required: boolean;
  /** An anchored regular expression that the value must match. */
  pattern: string;
  /** What to tell whoever enters something else. */
  errorText: string;
}

/** One entry of the catalogue: what a provider is for, how to register with it, and how it speaks OAuth. Data only. */
export interface Provider {
  /** Lower case, stable, safe in a URL. */
  key: string;
  name: string;
  description: string;
  scopes: readonly { scope: string; description: string }[];
  exampleUses: readonly string[];
  /** What an admin does at the provider to get a client id and secret, one act a step. */
  setupSteps: readonly string[];
  docsUrl: string;
  configFields: readonly ProviderConfigField[];
  server: AuthorizationServer;
  /** After how many days without use the provider lets a refresh token lapse; null where it does not, or where using it does not help. */
  refreshTokenIdleDays: number | null;
  /** Where the facts come from, and which of them are uncertain. */
  sources: readonly string[];
}

/** What most providers have in common: plain OAuth 2.0 (RFC 6749) with PKCE, and the safe choice where nothing is known. */
const plain = {
  issuer: null,
  refreshUrl: null,
  jwksUrl: null,
  issParameterSupported: false,
  revocation: null,
  identity: null,
  clientAuthentication: 'CLIENT_SECRET_POST',
  bodyFormat: 'form',
  scopeSeparator: ' ',
  scopeParameter: 'scope',
  scopeAliases: {},
  pkce: true,
  authorizationParams: {},
  tokenParams: {},
  refreshParams: {},
  tokenHeaders: {},
  parameterNames: {},
  authorizationNames: {},
  upgrade: null,
  renewal: null,
  refreshes: true,
  tokenPath: null,
  assumedLifetimeSeconds: null,
  deadGrantErrors: [],
  refusedClientErrors: [],
  accountPaths: null,
  keepFromToken: [],
  keepFromCallback: [],
  regionalOrigin: null,
  revocationReach: 'account',
} satisfies Partial<AuthorizationServer>;

/** An entry's server: its endpoints, and what differs from plain OAuth. */
export function oauthServer(
  facts: Pick<AuthorizationServer, 'authorizationUrl' | 'tokenUrl'> & Partial<AuthorizationServer>,
): AuthorizationServer {
  return { ...plain, ...facts };
}
