import { type ConnectDeps, startConnect } from '../connections/connect.ts';
import { disconnect, type DisconnectDeps } from '../connections/disconnect.ts';
import { AmbiguousProviderError } from '../connections/errors.ts';
import { readSharedTokenOfProvider } from '../connections/shared-token.ts';
import { readSharedToken, readToken, type TokenAnswer, type TokenDeps } from '../connections/token.ts';
import type { NamedValue } from '../connectors/connector.ts';
import type { Credentials } from '../identity/caller.ts';
import { DomainError, remedy } from '../lib/domain-error.ts';
import { globalId, idOf } from '../lib/global-id.ts';
import { type Caller, callingApp, requireBackend } from '../workspaces/caller.ts';
import { ForbiddenError, NotFoundError } from '../workspaces/errors.ts';
import { resolveReturnTo } from '../workspaces/origin.ts';
import { setCookieHeader } from './cookies.ts';
import { unavailableSentence } from './health.ts';
import { restError } from './rest-error.ts';

/** Where the calls of the npm package `@base44/sdk` go. */
export const base44Path = /^\/api\/apps\/([^/]+)\/(.+)$/;

export interface Base44Deps {
  features: ConnectDeps & DisconnectDeps & TokenDeps;
  identify: (credentials: Credentials) => Promise<Caller>;
  /** Whether an error only says that something the service needs does not answer for the moment. */
  isUnavailable: (error: unknown) => boolean;
}

/** Which app's call it is, and where it comes from. */
interface CallTo {
  appId: string;
  path: string;
  address: string | null;
}

/** One call, with what its path names: a connector, or a provider. */
interface Call {
  features: Base44Deps['features'];
  caller: Caller;
  request: Request;
  address: string | null;
  named: string;
}

/** Reads a token as a caller. */
export type ReadByPath = (features: TokenDeps, caller: Caller) => Promise<TokenAnswer>;

const freshEnough = { minValiditySeconds: null, rejectedTokenFingerprint: null };

/** The calls that read a token, all by GET. */
const tokenReads: {
  path: RegExp;
  read: (features: TokenDeps, caller: Caller, named: string) => Promise<TokenAnswer>;
}[] = [
  {
    path: /^app-user-auth\/connectors\/([^/]+)\/token$/, // getCurrentAppUserConnection
    read: (features, caller, named) =>
      readToken(features, caller, connectorIdOf(named), { ...freshEnough, acceptOutdatedScopes: false }),
  },
  {
    path: /^external-auth\/tokens\/connectors\/([^/]+)$/, // getWorkspaceConnection
    read: (features, caller, named) => readSharedToken(features, caller, connectorIdOf(named), freshEnough),
  },
  {
    path: /^external-auth\/tokens\/([^/]+)$/, // getConnection
    read: readSharedTokenOfProvider,
  },
];

/** The calls there are. Each is one of the features that GraphQL calls, under another name. */
const calls: { method: string; path: RegExp; answer: (call: Call) => Promise<Response> }[] = [
  {
    method: 'POST', // connectAppUser
    path: /^app-user-auth\/connectors\/([^/]+)\/initiate$/,
    async answer({ features, caller, request, address, named }) {
      const started = await startConnect(
        features,
        caller,
        { connectorId: connectorIdOf(named), returnTo: pageOf(caller, request), origin: null },
        { origin: request.headers.get('origin'), secFetchSite: request.headers.get('sec-fetch-site'), address },
      );
      const response = Response.json({
        redirect_url: started.redirectUrl,
        connection_id: globalId('AppUserConnection', started.connectionId),
        already_authorized: false,
      });
      if (started.cookie) response.headers.append('Set-Cookie', setCookieHeader(started.cookie));
      return response;
    },
  },
  {
    method: 'DELETE', // disconnectAppUser
    path: /^app-user-auth\/connectors\/([^/]+)$/,
    async answer({ features, caller, named }) {
      await disconnect(features, caller, connectorIdOf(named));
      return Response.json({ status: 'disconnected', connector_id: named });
    },
  },
  ...tokenReads.map(({ path, read }) => ({
    method: 'GET',
    path,
    answer: async ({ features, caller, named }: Call) =>
      Response.json(base44TokenBody(await read(features, caller, named))),
  })),
  {
    method: 'POST', // callApi
    path: /^connectors\/([^/]+)\/call$/,
    async answer({ caller }) {
      requireBackend(caller);
      throw new ForbiddenError('This service calls no provider in your place, and meters nothing.', {
        remedy: remedy(
          'USER',
          'Read the token with getConnection, getWorkspaceConnection or getCurrentAppUserConnection.',
          "Call the provider's API with it.",
        ),
      });
    },
  },
];

/** The read of a token that a path of {@link base44Path} names, for one who has recognised the caller; null for every other call. */
export function base44TokenRead(pathname: string): ReadByPath | null {
  const [, appId = '', path = ''] = base44Path.exec(pathname) ?? [];
  const found = tokenReads.find((candidate) => candidate.path.test(path));
  if (!found) return null;
  const named = found.path.exec(path)?.[1] ?? '';
  return async (features, caller) => found.read(features, assertOwnApp(caller, appId), named);
}

/** `/api/apps/:appId/…`: the connector calls of an unmodified `@base44/sdk` (CONTRACT, "Routes"). Anything else of it is not here. */
export async function base44Compat(deps: Base44Deps, request: Request, to: CallTo): Promise<Response> {
  const response =
    request.method === 'OPTIONS' ? new Response(null, { status: 204 }) : await answerCall(deps, request, to);
  for (const [name, value] of Object.entries(base44Cors)) response.headers.set(name, value);
  response.headers.set('Cache-Control', 'no-store');
  return response;
}

/** As for GraphQL: any page may call without credentials of the browser's own; what the SDK sends along is let through. */
export const base44Cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, DELETE, OPTIONS',
  'Access-Control-Allow-Headers':
    'Accept, Content-Type, Authorization, X-App-Id, On-Behalf-Of, X-Origin-URL, X-Base44-Anonymous-Id, X-Data-Env, Base44-State, Base44-Functions-Version',
  'Access-Control-Max-Age': '7200',
};

async function answerCall(deps: Base44Deps, request: Request, { appId, path, address }: CallTo): Promise<Response> {
  try {
    const here = calls.filter((call) => call.path.test(path));
    const call = here.find(({ method }) => method === request.method);
    if (!call) return nothingHere(here.map(({ method }) => method));
    const caller = await identifyFor(deps, request, appId, address);
    const named = call.path.exec(path)?.[1] ?? '';
    return await call.answer({ features: deps.features, caller, request, address, named });
  } catch (error) {
    if (error instanceof AmbiguousProviderError) return restError(error, 409);
    if (error instanceof DomainError) return restError(error);
    if (!deps.isUnavailable(error)) throw error;
    return restError({ code: 'SERVICE_UNAVAILABLE', message: unavailableSentence(error), retryAfterSeconds: 5 });
  }
}

/** Who calls for the app that the path names. */
async function identifyFor(deps: Base44Deps, request: Request, appId: string, address: string | null): Promise<Caller> {
  const header = (name: string) => request.headers.get(name);
  const caller = await deps.identify({
    authorization: header('authorization'),
    appId,
    onBehalfOf: header('on-behalf-of'),
    origin: header('origin'),
    address,
  });
  return assertOwnApp(caller, appId);
}

/** Refuses another app's key; its owner learns no more than that. */
function assertOwnApp(caller: Caller, appId: string): Caller {
  const app = callingApp(caller);
  if (app && app.id !== idOf('App', appId)) throw new NotFoundError('app');
  return caller;
}

function nothingHere(methods: string[]): Response {
  const message = 'This service answers the connector calls of @base44/sdk, and no others.';
  const response = restError({ code: 'NOT_FOUND', message }, methods.length > 0 ? 405 : 404);
  if (methods.length > 0) response.headers.set('Allow', [...methods, 'OPTIONS'].join(', '));
  return response;
}

/** The page that the browser is on, as the SDK tells it: there the person comes back to, where it is one of the app's own. */
function pageOf(caller: Caller, request: Request): string | null {
  const page = request.headers.get('x-origin-url');
  const app = callingApp(caller);
  return page !== null && app ? resolveReturnTo(app, null, page) : null;
}

const connectorIdOf = (named: string) => idOf('Connector', named) ?? '';

/** A token as `@base44/sdk` expects it. */
export function base44TokenBody({ accessToken, providerKey, connection }: TokenAnswer) {
  return {
    access_token: accessToken.reveal(),
    integration_type: providerKey,
    connection_config: connectionConfig(connection.connectionConfig),
  };
}

function connectionConfig(entries: NamedValue[]): Record<string, string> | null {
  return entries.length === 0 ? null : Object.fromEntries(entries.map(({ name, value }) => [name, value]));
}
