import type { Endpoint, Fetch } from './graphql-call.ts';
import { graphqlUrlOf, send, unwrap } from './graphql-call.ts';
import type { CurrentAppUserConnectionQuery, SharedConnectionQuery } from './generated/operations.ts';
import { UnauthenticatedError } from './connector-error.ts';
import * as operations from './operations.ts';

export { type AnyConnectorError, ConnectorError, isConnectorError, type Remedy } from './connector-error.ts';

/** A user's valid access token, with what belongs to it. It must not reach a browser, a log or a URL. */
export type CurrentAppUserConnection = Extract<
  CurrentAppUserConnectionQuery['currentAppUserConnection'],
  { readonly __typename: 'CurrentAppUserConnection' }
>;

/** The valid access token of an account that a whole app shares, with what belongs to it. */
export type SharedConnection = Extract<
  SharedConnectionQuery['sharedConnection'],
  { readonly __typename: 'SharedConnection' }
>;

/** How `createClientFromRequest` is set up. */
export interface ServerClientOptions {
  /** The service's address, such as https://connectors.example.com. */
  url: string | URL;
  /** The app's key (`apk_…`). It stays on the server. */
  appKey: string;
  /** The user's identity token, where it does not come as `Authorization: Bearer …`. Null: nobody is signed in. */
  identityToken?: string | null;
  /** Sends the requests to the service; the global `fetch` unless given. */
  fetch?: Fetch;
}

/** What is asked of a shared account's token. */
export interface SharedTokenOptions {
  /** The token must be good for at least so many seconds (at most 86400). */
  minValiditySeconds?: number;
  /** The `accessTokenFingerprint` of a token that the provider refused: it is replaced, if it is still the stored one. */
  rejectedTokenFingerprint?: string;
}

/** What is asked of a user's token. */
export interface TokenOptions extends SharedTokenOptions {
  /** While SCOPES_CHANGED waits for the user, answer the old token instead of a ReconnectRequiredError. */
  acceptOutdatedScopes?: boolean;
}

/** The connectors, as a backend function sees them. */
export interface ServerConnectors {
  /**
   * The valid access token of the user whose request it is.
   *
   * @throws NotConnectedError, ReconnectRequiredError, ProviderUnavailableError, UnauthenticatedError, ForbiddenError,
   *   NotFoundError, PlanRequiredError, ConnectorDisabledError, ConnectorIncompleteError, RateLimitedError, ValidationError,
   *   ServiceUnavailableError
   */
  getCurrentAppUserConnection(connectorId: string, options?: TokenOptions): Promise<CurrentAppUserConnection>;

  /**
   * The valid access token of the account that the whole app shares. Needs no user.
   *
   * @throws as `getCurrentAppUserConnection`
   */
  getSharedConnection(connectorId: string, options?: SharedTokenOptions): Promise<SharedConnection>;

  /**
   * Calls the provider's API as the user whose request it is. A 401 is told to the service, and the call repeated once with the
   * token that it answers then; what the provider says to that is answered as it is.
   *
   * @throws as `getCurrentAppUserConnection`, and what `fetch` throws
   */
  fetchAsCurrentAppUser(connectorId: string, input: string | URL | Request, init?: RequestInit): Promise<Response>;

  /** The same with the account that the whole app shares. */
  fetchAsSharedAccount(connectorId: string, input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

/** A client for one request: it acts for the user whose request it is. */
export interface ServerClient {
  connectors: ServerConnectors;
}

/**
 * A client for a backend function. Whose token it gets is told by the identity token in the incoming request's
 * `Authorization: Bearer …`, which the service verifies; there is no user id to pass. Needs nothing but web APIs: Node,
 * Deno, Bun, and edge runtimes alike.
 */
export function createClientFromRequest(
  request: { readonly headers: Pick<Headers, 'get'> },
  options: ServerClientOptions,
): ServerClient {
  const callFetch: Fetch = options.fetch ?? ((input, init) => fetch(input, init));
  const endpoint: Endpoint = { graphqlUrl: graphqlUrlOf(options.url), fetch: callFetch };
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  const identityToken = options.identityToken === undefined ? bearer : options.identityToken;
  const app = { authorization: `Bearer ${options.appKey}` };

  const connectors: ServerConnectors = {
    async getCurrentAppUserConnection(connectorId, asked = {}) {
      if (!identityToken) {
        throw new UnauthenticatedError({ message: 'The request shows no identity token: its user has to sign in.' });
      }
      const headers = { ...app, 'on-behalf-of': `Bearer ${identityToken}` };
      const data = await send(endpoint, headers, operations.currentAppUserConnection, { connectorId, ...asked });
      return unwrap(data.currentAppUserConnection);
    },
    async getSharedConnection(connectorId, asked = {}) {
      const data = await send(endpoint, app, operations.sharedConnection, { connectorId, ...asked });
      return unwrap(data.sharedConnection);
    },
    fetchAsCurrentAppUser: (connectorId, input, init) =>
      fetchInsisting((asked) => connectors.getCurrentAppUserConnection(connectorId, asked), input, init),
    fetchAsSharedAccount: (connectorId, input, init) =>
      fetchInsisting((asked) => connectors.getSharedConnection(connectorId, asked), input, init),
  };
  return { connectors };
}

async function fetchInsisting(
  readToken: (asked: SharedTokenOptions) => Promise<CurrentAppUserConnection | SharedConnection>,
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const request = new Request(input, init);
  const first = await readToken({});
  const response = await fetch(withToken(request.clone(), first.accessToken));
  if (response.status !== 401) return response;
  await response.body?.cancel();
  // The provider no longer takes this token, though its time is not over: say which one it was, and ask once more.
  const second = await readToken({ rejectedTokenFingerprint: first.accessTokenFingerprint });
  return fetch(withToken(request, second.accessToken));
}

function withToken(request: Request, accessToken: string): Request {
  request.headers.set('authorization', `Bearer ${accessToken}`);
  return request;
}
