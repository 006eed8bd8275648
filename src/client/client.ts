import {
  errorOf,
  isConnectorError,
  NotFoundError,
  PopupBlockedError,
  PopupClosedError,
  ServiceUnavailableError,
} from './connector-error.ts';
import type {
  AvailableConnectorsQuery,
  ConnectAppUserMutation,
  ConnectionFieldsFragment,
} from './generated/operations.ts';
import { type Endpoint, type Fetch, graphqlUrlOf, send, unwrap } from './graphql-call.ts';
import { type GetToken, withIdentity } from './identity.ts';
import * as operations from './operations.ts';
import { hearPopup, readReturn, type Return, returnOfPopup, tellOpener, withoutReturn } from './return-page.ts';
import {
  type ConnectionStatusEvent,
  createStatusStreams,
  type StatusListener,
  statusesOf,
  type StreamState,
  type WebSocketClass,
} from './status-stream.ts';

export { type AnyConnectorError, ConnectorError, isConnectorError, type Remedy } from './connector-error.ts';
export type { ConnectionStatus, ReconnectReason } from './generated/operations.ts';
export type { ConnectionStatusEvent, Fetch, GetToken, StatusListener, StreamState, WebSocketClass };

/** A user's connection to a connector, connected or not. It carries no token. */
export type AppUserConnection = ConnectionFieldsFragment;

/** A connector that the app may use, with the current user's own connection. */
export type AvailableConnector = AvailableConnectorsQuery['availableConnectors'][number];

/** A flow that has begun: the browser goes, or is sent, to `redirectUrl`. */
export type StartedConnection = Extract<
  ConnectAppUserMutation['connectAppUser'],
  { readonly __typename: 'ConnectAppUserPayload' }
>;

/** A flow that has come back and is finished. */
export interface CompletedConnection {
  /** Null where the address does not say. */
  connectorId: string | null;
  connection: AppUserConnection;
}

/** How `createClient` is set up. */
export interface ClientOptions {
  /**
   * The service's address; or an origin of the app that forwards `/graphql` and `/api/external-auth/*` to it, so that flows are
   * bound by a cookie and finish by themselves.
   */
  url: string | URL;
  /** The app's id. */
  appId: string;
  /** Answers the identity token of whoever is signed in. */
  getToken: GetToken;
  /** Whether a page that a flow comes back to completes it by itself. True unless given. */
  completeOnReturn?: boolean;
  /** Hears whether statuses are followed at this moment: to show that a page is live, or offline. */
  onStreamState?: (state: StreamState) => void;
  /** Sends the requests; the global `fetch` unless given. */
  fetch?: Fetch;
  /** Opens the sockets; the global `WebSocket` unless given. Node before 22 has none: pass that of the package `ws`. */
  webSocket?: WebSocketClass;
}

/** Where a flow comes back to, and how the browser gets to the provider. */
export interface ConnectOptions {
  /** Where the browser goes afterwards, on an origin of the app. The present page unless given; outside browsers the LIVE origin. */
  returnTo?: string;
  /** `redirect` leaves the page; `popup` opens a window, and must be called from a click; `url` goes nowhere. */
  mode?: 'redirect' | 'popup' | 'url';
}

/** The connectors, as a page sees them for whoever is signed in. */
export interface Connectors {
  /**
   * The connectors that the app may use, each with the current user's own connection.
   *
   * @throws UnauthenticatedError, ServiceUnavailableError
   */
  list(): Promise<readonly AvailableConnector[]>;

  /**
   * Connects the user's account in a window of its own. Answers the connection once it is connected.
   *
   * @throws PopupBlockedError, PopupClosedError, and everything that a flow can end with: ConsentDeniedError, FlowExpiredError, …
   */
  connectAppUser(connectorId: string, options: ConnectOptions & { mode: 'popup' }): Promise<AppUserConnection>;
  /**
   * Begins to connect the user's account: sends the browser to the provider, and answers where that is. The page that it comes
   * back to completes the flow (`completeConnection`). Outside browsers, and in mode `url`, it goes nowhere.
   *
   * @throws UnauthenticatedError, NotFoundError, ConnectorDisabledError, ConnectorIncompleteError, PlanRequiredError,
   *   ProviderUnavailableError, RateLimitedError, ValidationError, ForbiddenError, ServiceUnavailableError
   */
  connectAppUser(
    connectorId: string,
    options?: ConnectOptions & { mode?: 'redirect' | 'url' },
  ): Promise<StartedConnection>;

  /**
   * Disconnects the user's account: its tokens are destroyed, and the grant revoked at the provider where that can be.
   *
   * @throws NotConnectedError, UnauthenticatedError, NotFoundError, ServiceUnavailableError
   */
  disconnectAppUser(connectorId: string): Promise<AppUserConnection>;

  /**
   * The user's status now, then every change, to loop over with `for await`. It comes back by itself after an interruption, asks
   * `getToken` again when the identity token has expired, and ends when nobody is signed in; leaving the loop ends it too.
   *
   * @throws UnauthenticatedError where the service refuses the token and `getToken` has no other
   */
  status(connectorId: string): AsyncIterable<ConnectionStatusEvent>;
  /** The same, told to a function or a listener. Answers a function that ends it. */
  status(connectorId: string, listener: StatusListener | StatusListener['next']): () => void;

  /**
   * Completes the flow that this page is the return of: reads it from the address, cleans the address, and finishes what has to
   * be finished. Null where this page is no return, or nobody is signed in yet: call it again after signing in. It runs by itself
   * (but for `completeOnReturn: false`), and answers however often it is called how that ended. In a popup it then closes it.
   * Where there is no page, hand over the address that the flow came back to.
   *
   * @throws everything that a flow can end with, with the `connectorId`: ConsentDeniedError, FlowExpiredError, FlowMismatchError,
   *   ProviderUnavailableError, InvalidClientError, …
   */
  completeConnection(address?: string): Promise<CompletedConnection | null>;
}

/** A client for one app. */
export interface Client {
  connectors: Connectors;
}

/** Makes the client of an app: for browsers, and for anything else that acts as a signed-in user. */
export function createClient(options: ClientOptions): Client {
  const { appId, getToken } = options;
  const graphqlUrl = graphqlUrlOf(options.url);
  const callFetch: Fetch = options.fetch ?? ((input, init) => fetch(input, init));
  const endpoint: Endpoint = { graphqlUrl, fetch: callFetch };
  const watch = createStatusStreams({
    graphqlUrl,
    appId,
    getToken,
    webSocket: options.webSocket,
    onState: options.onStreamState ?? (() => {}),
  });
  let completion: Promise<CompletedConnection | null> | null = null;

  /** Sends an operation as the user, and picks out of its data; an error in there is thrown as its class. */
  function asUser<Result, Variables, Picked extends object>(
    operation: operations.Operation<Result, Variables>,
    variables: Variables,
    pick: (data: Result) => Picked,
  ) {
    return withIdentity(getToken, async (token) => {
      const headers = { authorization: `Bearer ${token}`, 'x-app-id': appId };
      return unwrap(pick(await send(endpoint, headers, operation, variables)));
    });
  }

  async function connectionOf(connectorId: string): Promise<AppUserConnection> {
    const { connection } = await asUser(operations.currentUserConnection, { connectorId }, (data) => ({
      connection: data.connector?.currentUserConnection,
    }));
    if (!connection) throw new NotFoundError({ connectorId });
    return connection;
  }

  async function start(connectorId: string, returnTo: string | undefined): Promise<StartedConnection> {
    const input = { connectorId, ...(returnTo !== undefined && { returnTo }) };
    return asUser(operations.connectAppUser, { input }, (data) => data.connectAppUser);
  }

  async function connectInPopup(connectorId: string, returnTo: string | undefined): Promise<AppUserConnection> {
    // before anything is awaited: browsers open windows for a click only
    const popup = open('about:blank', '_blank', 'popup,width=520,height=720');
    if (!popup) throw new PopupBlockedError({ connectorId });
    const name = crypto.randomUUID();
    const heard = hearPopup(name, popup);
    let connectedBefore: string | null;
    try {
      const { redirectUrl, connection } = await start(connectorId, returnOfPopup(absolute(returnTo), name));
      connectedBefore = connection.connectedAt;
      popup.location.replace(redirectUrl);
    } catch (error) {
      heard.stop();
      popup.close();
      throw error;
    }
    try {
      await heard.ended;
    } catch (error) {
      if (!(error instanceof PopupClosedError)) throw await withRemedy(error, connectorId);
      // a window that is cut off from this page, or closed before it told how it ended, may have connected all the same
      const connection = await connectionOf(connectorId).catch(() => null);
      if (connection?.status === 'CONNECTED' && connection.connectedAt !== connectedBefore) return connection;
      error.connectorId = connectorId;
      throw error;
    }
    return connectionOf(connectorId);
  }

  /** A flow comes back with the code of its failure alone: what to do about it the service tells the person who began. */
  async function withRemedy(error: unknown, connectorId: string | null): Promise<unknown> {
    if (!isConnectorError(error)) return error;
    error.connectorId ??= connectorId;
    if (error.remedy !== null || error.connectorId === null) return error;
    const { problem } = await asUser(operations.flowProblem, { connectorId: error.connectorId }, (data) => ({
      problem: data.connector?.currentUserConnection?.flowProblem?.problem,
    })).catch(() => ({ problem: null }));
    if (problem?.code === error.code) error.remedy = problem.remedy;
    return error;
  }

  function connectAppUser(connectorId: string, asked: ConnectOptions & { mode: 'popup' }): Promise<AppUserConnection>;
  function connectAppUser(
    connectorId: string,
    asked?: ConnectOptions & { mode?: 'redirect' | 'url' },
  ): Promise<StartedConnection>;
  async function connectAppUser(
    connectorId: string,
    { mode = 'redirect', returnTo }: ConnectOptions = {},
  ): Promise<AppUserConnection | StartedConnection> {
    if (mode === 'popup') return connectInPopup(connectorId, returnTo);
    const started = await start(connectorId, isPage() ? absolute(returnTo) : returnTo);
    if (mode === 'redirect' && isPage()) location.assign(started.redirectUrl);
    return started;
  }

  async function complete(): Promise<CompletedConnection | null> {
    const found = isPage() ? readReturn(location.href) : null;
    if (!found) return null;
    const { connectorId, popup, outcome } = found;
    // A code is burnt by whoever shows it: it stays in the address until somebody is signed in.
    if (outcome.kind !== 'error' && (await getToken({ rejectedToken: null })) === null) return null;
    const came = location.href;
    history.replaceState(history.state, '', withoutReturn(came));
    try {
      const completed = await finish(found);
      if (popup !== null) tellOpener(popup, connectorId, null);
      return completed;
    } catch (error) {
      if (error instanceof ServiceUnavailableError) {
        // the code is still good: a reload, or another call, tries again
        history.replaceState(history.state, '', came);
        completion = null;
      } else if (popup !== null) tellOpener(popup, connectorId, error);
      throw error;
    }
  }

  async function finish(found: Return): Promise<CompletedConnection | null> {
    try {
      return await finishAs(found);
    } catch (error) {
      throw await withRemedy(error, found.connectorId);
    }
  }

  async function finishAs({ connectorId, outcome }: Return): Promise<CompletedConnection | null> {
    if (outcome.kind === 'error') throw errorOf(outcome.code);
    if (outcome.kind === 'code') {
      const input = { connectCode: outcome.connectCode };
      const { connection } = await asUser(operations.completeConnection, { input }, (data) => data.completeConnection);
      return { connectorId, connection };
    }
    // An address proves nothing: anybody can write one, and somebody else may be signed in here by now.
    const connection = await connectionOf(outcome.connectorId);
    return connection.status === 'CONNECTED' ? { connectorId, connection } : null;
  }

  function completeConnection(address?: string): Promise<CompletedConnection | null> {
    if (address !== undefined) {
      const found = readReturn(address);
      return found ? finish(found) : Promise.resolve(null);
    }
    if (completion) return completion;
    const running = complete();
    completion = running;
    // null says nothing final: there may be a return, or somebody signed in, later
    running.then(
      (result) => {
        if (result === null) completion = null;
      },
      () => {},
    );
    return running;
  }

  function status(connectorId: string): AsyncIterable<ConnectionStatusEvent>;
  function status(connectorId: string, listener: StatusListener | StatusListener['next']): () => void;
  function status(connectorId: string, listener?: StatusListener | StatusListener['next']) {
    if (!listener) return statusesOf((own) => watch(connectorId, own));
    return watch(connectorId, typeof listener === 'function' ? { next: listener } : listener);
  }

  // whoever wants to know how it ended calls it too
  if (options.completeOnReturn !== false) queueMicrotask(() => void completeConnection().catch(() => {}));

  return {
    connectors: {
      list: () => asUser(operations.availableConnectors, {}, (data) => data.availableConnectors),
      connectAppUser,
      async disconnectAppUser(connectorId) {
        const input = { connectorId };
        const { connection } = await asUser(operations.disconnectAppUser, { input }, (data) => data.disconnectAppUser);
        return connection;
      },
      status,
      completeConnection,
    },
  };
}

/** Whether this runs in a page: workers and servers have no address to come back to. */
function isPage(): boolean {
  return typeof document !== 'undefined' && typeof location !== 'undefined';
}

/** `returnTo` as seen from this page; the page itself, without what a flow brought back, where none is given. */
function absolute(returnTo: string | undefined): string {
  return withoutReturn(new URL(returnTo ?? location.href, location.href).href);
}
