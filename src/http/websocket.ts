import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, type execute, getOperationAST, GraphQLError, OperationTypeNode } from 'graphql';
import { CloseCode, handleProtocols, makeServer, type WebSocket as Transport } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { GraphqlContext } from '../graphql/context.ts';
import { accessEndedCloseCode } from '../graphql/errors.ts';
import type { Credentials } from '../identity/caller.ts';
import { createHolding } from '../lib/holding.ts';
import type { Logger } from '../lib/logger.ts';
import { attributesOf, beginExchange } from '../observability/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Tracing } from '../observability/tracing.ts';
import { type Caller, expiryOf, holderOf } from '../workspaces/caller.ts';
import type { StreamEnd } from '../connections/status.ts';
import { IdentityTokenExpiredError, RateLimitedError } from '../workspaces/errors.ts';
import type { Yoga } from './graphql.ts';
import type { MaskError } from './mask-error.ts';
import type { ObservedOperations } from './observe-operations.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

export interface WebsocketDeps {
  yoga: Yoga;
  /** Runs subscriptions past yoga, which would wrap each stream in several more. */
  observed: Omit<ObservedOperations, 'plugin'>;
  maskError: MaskError;
  identify: (credentials: Credentials) => Promise<Caller>;
  /** Whether any app has registered the origin, or it is the service's own. */
  originIsKnown: (origin: string) => Promise<boolean>;
  /** Null: every document is answered. */
  trusted: TrustedDocuments | null;
  log: Logger;
  addressOf: (request: IncomingMessage) => string | null;
  metrics: Metrics;
  tracing: Tracing;
  /** How many sockets of all callers there may be, where not as many as usual. */
  maxSockets?: number;
}

export interface Websocket {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells every client to come back, and closes. */
  stop(): Promise<void>;
}

const maxPayloadBytes = 256 * 1024;
/** A peer that has not answered one ping by the next is gone, or reads nothing: it is cut off, and what was kept for it goes. */
const pingMs = 12_000;
/** A client that has not begun with `connection_init` by then is closed. */
const initWithinMs = 3_000;
/** How often sockets are looked at: those that a ping is due to, or whose time has ended. */
const lookMs = 250;
const maxOperations = 100;
/** Sockets of one caller, and of all, at one instance. */
const maxSocketsOfCaller = 200;
const maxSockets = 20_000;
const goodbyeMs = 3_000;
/** Clients come back after this one (RFC 6455's registry), but not after an internal error. */
const tryAgainLater = 1013;
const goingAway = 1001;
const never = Number.POSITIVE_INFINITY;
const identityTokenExpired: StreamEnd = 'identity-token-expired';
/** So long after its cause is a socket closed, for the streams' last events to go out first. */
const lastEventsMs = 250;

/** GraphQL over WebSocket (graphql-transport-ws). Credentials travel in `connection_init`'s payload under the headers' names. */
export function createWebsocket(deps: WebsocketDeps): Websocket {
  const { yoga } = deps;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxPayloadBytes,
    clientTracking: false,
    handleProtocols,
  });
  const peers = new Set<Peer>();
  let looking: NodeJS.Timeout | undefined;
  const held = createHolding({ each: maxSocketsOfCaller });

  /** An operation is a trace of its own: a socket lives for longer than anything that anybody wants to look at as one. */
  async function traced<T>({ contextValue }: ExecutionArgs, work: () => Promise<T>): Promise<T> {
    const span = deps.tracing.begin('operation', { kind: 'server' });
    try {
      return await span.run(work);
    } finally {
      span.end(attributesOf((contextValue as GraphqlContext).exchange));
    }
  }

  const masked = (errors: readonly GraphQLError[]) => errors.map((error) => deps.maskError(error).toJSON());

  const server = makeServer<Record<string, unknown>, Peer>({
    connectionInitWaitTimeout: 0, // a timer of each socket's own
    // false: the socket, which has just been closed, can do nothing more
    async onConnect({ extra: peer, connectionParams }) {
      const { socket } = peer;
      peer.initBy = never;
      peer.credentials = readCredentials(connectionParams, peer.credentials);
      const caller = await deps.identify(peer.credentials).catch((error: unknown) => {
        deps.log.error({ err: error }, 'a socket could not be let in');
        return null;
      });
      if (!caller) {
        socket.close(tryAgainLater, 'try again later');
        return false;
      }
      if (caller.kind === 'anonymous') {
        const { error } = caller;
        socket.close(error instanceof RateLimitedError ? tryAgainLater : accessEndedCloseCode, closeReason(error));
        return false;
      }
      if (!peers.has(peer)) return false; // closed meanwhile
      peer.release = held.take(holderOf(caller));
      if (!peer.release) {
        socket.close(tryAgainLater, `at most ${maxSocketsOfCaller} sockets at a time`);
        return false;
      }
      peer.endsAt = expiryOf(caller)?.getTime() ?? never;
      return true;
    },
    async onSubscribe({ extra: peer, subscriptions }, _id, payload) {
      if (Object.keys(subscriptions).length > maxOperations) return [tooManyOperations()];
      const exchange = beginExchange(undefined);
      const { schema, contextFactory, parse, validate, ...run } = yoga.getEnveloped({
        socket: peer.credentials,
        exchange,
        params: payload,
      } as never);
      try {
        const document = parse(deps.trusted ? deps.trusted.textOf(payload) : payload.query);
        const contextValue: unknown = await contextFactory();
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        const isStream = getOperationAST(document, payload.operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
        return {
          schema,
          operationName: payload.operationName ?? null,
          document,
          variableValues: payload.variables ?? null,
          contextValue,
          rootValue: isStream ? null : run, // kept for as long as a stream lasts
        };
      } catch (error) {
        if (!(error instanceof GraphQLError)) throw error;
        deps.observed.refused({ exchange, socket: peer.credentials }, error);
        return [error];
      }
    },
    execute: (args) => traced(args, async () => (args.rootValue as { execute: typeof execute }).execute(args)),
    subscribe: (args) => traced(args, () => deps.observed.subscribe(args)),
    onNext({ extra: { socket } }, _id, _payload, _args, result) {
      if (!result.errors) return undefined;
      const { data } = result;
      const errors = masked(result.errors);
      const reason = errors.find(({ extensions }) => extensions?.['closeCode'])?.extensions?.['reason'];
      if (typeof reason === 'string') closeSoon(socket, reason);
      return { ...(data !== undefined && { data }), errors };
    },
    onError: (_context, _id, _payload, errors) => masked(errors),
  });

  // ws has already closed the socket for it
  const tellMalformed = (error: Error) => deps.log.debug({ err: error }, 'a socket sent what is no WebSocket frame');

  function open(socket: WebSocket, cameFrom: CameFrom): void {
    const peer = new Peer(socket, cameFrom, deps.log);
    peers.add(peer);
    looking ??= setInterval(look, lookMs).unref();
    deps.metrics.socketOpened();
    socket.on('error', tellMalformed);
    const closed = server.opened(peer, peer);
    socket.on('close', (code, reason) => {
      peers.delete(peer);
      peer.release?.();
      deps.metrics.socketClosed();
      closed(code, reason.toString()).catch((error: unknown) => peer.fail(error));
    });
  }

  function look(): void {
    const [now, date] = [performance.now(), Date.now()];
    for (const peer of peers) {
      if (peer.initBy <= now)
        peer.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
      if (peer.endsAt <= date) peer.end();
      if (peer.pingAt <= now) peer.ping(now);
    }
  }

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { origin } = request.headers;
    if (origin !== undefined && !(await deps.originIsKnown(origin))) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    if (peers.size >= (deps.maxSockets ?? maxSockets)) {
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n',
      );
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      socket.off('error', destroy); // ws listens now
      open(client, { origin: origin ?? null, address: deps.addressOf(request) });
    });
  }

  return {
    upgrade(request, socket, head) {
      socket.on('error', destroy);
      accept(request, socket, head).catch((error: unknown) => {
        deps.log.error({ err: error }, 'a WebSocket upgrade failed');
        socket.destroy();
      });
    },
    async stop() {
      sockets.close(); // to new ones
      const open = [...peers].map(({ socket }) => socket);
      // a peer that reads nothing does not answer a close either
      const impatient = setTimeout(() => open.forEach((socket) => socket.terminate()), goodbyeMs);
      const closed = open.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of open) socket.close(goingAway, 'Going away');
      await Promise.all(closed);
      clearTimeout(impatient);
      clearInterval(looking);
    },
  };
}

/** What is kept of the request that a socket began with, in its place: that is a kilobyte and a half. */
type CameFrom = Pick<Credentials, 'origin' | 'address'>;

/**
 * A socket as graphql-ws sees it, and who is at its other end. There may be tens of thousands: what they can share, functions and timers
 * above all, none has for itself.
 */
class Peer implements Transport {
  readonly socket: WebSocket;
  readonly #log: Logger;
  credentials: Credentials;
  /** When it must have said who it is, and when it is to be pinged, by the clock of `performance.now()`. */
  initBy = performance.now() + initWithinMs;
  pingAt = performance.now() + pingMs;
  /** When its credentials end, in milliseconds since 1970. */
  endsAt = never;
  #hasAnswered = true;
  /** Lets go of the place that it takes among its caller's. */
  release: (() => void) | null = null;

  constructor(socket: WebSocket, { origin, address = null }: CameFrom, log: Logger) {
    this.socket = socket;
    this.#log = log;
    this.credentials = { authorization: null, appId: null, onBehalfOf: null, origin, address };
    socket.on('pong', () => {
      this.#hasAnswered = true;
    });
  }

  get protocol(): string {
    return this.socket.protocol;
  }

  /** Settles when it has left: the next event waits for that. What cannot leave is lost with the socket, whose end ends everything on it. */
  send(text: string): Promise<void> {
    const { socket } = this;
    if (socket.readyState !== socket.OPEN) return Promise.resolve();
    return new Promise((resolve) => {
      socket.send(text, () => resolve());
    });
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }

  onMessage(receive: (text: string) => Promise<void>): void {
    this.socket.on('message', (data: Buffer) => {
      receive(data.toString()).catch((error: unknown) => this.fail(error));
    });
  }

  fail(error: unknown): void {
    this.#log.error({ err: error }, 'what a socket asked for could not be handled');
    this.close(CloseCode.InternalServerError, 'Internal server error');
  }

  end(): void {
    this.endsAt = never;
    closeSoon(this.socket, identityTokenExpired);
  }

  ping(now: number): void {
    const { socket } = this;
    this.pingAt = now + pingMs;
    if (!this.#hasAnswered) socket.terminate();
    this.#hasAnswered = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  }
}

function destroy(this: Duplex): void {
  this.destroy();
}

function readCredentials(
  params: Readonly<Record<string, unknown>> | undefined,
  { origin, address = null }: CameFrom,
): Credentials {
  const named = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const text = (name: string) => {
    const value = named.get(name);
    return typeof value === 'string' ? value : null;
  };
  return {
    authorization: text('authorization'),
    appId: text('x-app-id'),
    onBehalfOf: text('on-behalf-of'),
    origin,
    address,
  };
}

/** A close reason has at most 123 bytes (RFC 6455 5.5). */
function closeReason(error: Error): string {
  return error instanceof IdentityTokenExpiredError ? identityTokenExpired : error.message.slice(0, 120);
}

function closeSoon(socket: WebSocket, reason: string): void {
  setTimeout(() => socket.close(accessEndedCloseCode, reason), lastEventsMs);
}

function tooManyOperations(): GraphQLError {
  return new GraphQLError(`This socket has ${maxOperations} operations under way: end some, or open another.`, {
    extensions: { code: 'RATE_LIMITED' },
  });
}
