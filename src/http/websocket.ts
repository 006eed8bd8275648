import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, type execute, GraphQLError, type subscribe } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
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
import type { TrustedDocuments } from './trusted-documents.ts';

export interface WebsocketDeps {
  yoga: Yoga;
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

/** What is kept of the request that a socket began with. */
type CameFrom = Required<Pick<Credentials, 'origin' | 'address'>>;

export interface Websocket {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells every client to come back, and closes. */
  stop(): Promise<void>;
}

const maxPayloadBytes = 256 * 1024;
const longestTimerMs = 2 ** 31 - 1;
/** A peer that has not answered one ping by the next is gone, or reads nothing: it is cut off, and what was kept for it goes. */
const pingMs = 12_000;
const maxOperations = 100;
/** Sockets of one caller, and of all, at one instance. */
const maxSocketsOfCaller = 200;
const maxSockets = 20_000;
const goodbyeMs = 3_000;
/** Clients come back after this one (RFC 6455's registry), but not after an internal error. */
const tryAgainLater = 1013;
/** So long after its cause is a socket closed, for the streams' last events to go out first. */
const lastEventsMs = 250;

/** GraphQL over WebSocket (graphql-transport-ws). Credentials travel in `connection_init`'s payload under the headers' names. */
export function createWebsocket(deps: WebsocketDeps): Websocket {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxPayloadBytes });
  const { yoga } = deps;
  const held = createHolding({ each: maxSocketsOfCaller });

  /** Whether the caller may have one more socket, which then counts until it is closed. */
  function admit(socket: WebSocket, name: string): boolean {
    const release = held.take(name);
    if (release) socket.on('close', release);
    return release !== null;
  }

  /** An operation is a trace of its own: a socket lives for longer than anything that anybody wants to look at as one. */
  async function traced<T>({ contextValue }: ExecutionArgs, work: () => Promise<T>): Promise<T> {
    const span = deps.tracing.begin('operation', { kind: 'server' });
    try {
      return await span.run(work);
    } finally {
      span.end(attributesOf((contextValue as GraphqlContext).exchange));
    }
  }

  const cleanup = useServer<
    Record<string, unknown>,
    { socket: WebSocket; request: CameFrom; caller?: () => Promise<Caller> }
  >(
    {
      async onConnect(context) {
        const { socket, request } = context.extra;
        const { origin, address } = request;
        const credentials = { ...readCredentials(context.connectionParams), origin, address };
        const caller = await deps.identify(credentials).catch((error: unknown) => {
          deps.log.error({ err: error }, 'a socket could not be let in');
          return null;
        });
        if (!caller) {
          socket.close(tryAgainLater, 'try again later');
          return undefined;
        }
        if (caller.kind === 'anonymous' && caller.error instanceof RateLimitedError) {
          socket.close(tryAgainLater, closeReason(caller.error));
          return undefined;
        }
        if (caller.kind === 'anonymous') {
          socket.close(accessEndedCloseCode, closeReason(caller.error));
          return undefined;
        }
        if (!admit(socket, holderOf(caller))) {
          socket.close(tryAgainLater, `at most ${maxSocketsOfCaller} sockets at a time`);
          return undefined;
        }
        const expiresAt = expiryOf(caller);
        if (expiresAt) closeAtExpiry(socket, expiresAt);
        // asked again for each operation: a key may have been revoked since
        context.extra.caller = () => deps.identify(credentials);
        return undefined;
      },
      async onSubscribe(context, _id, payload) {
        const { caller, request } = context.extra;
        const { origin, address } = request;
        if (Object.keys(context.subscriptions).length > maxOperations) return [tooManyOperations()];
        const exchange = beginExchange(undefined);
        const { schema, contextFactory, parse, validate, ...run } = yoga.getEnveloped({
          socket: { caller, origin, address },
          exchange,
          params: payload,
        } as never);
        try {
          const args: ExecutionArgs = {
            schema,
            operationName: payload.operationName ?? null,
            document: parse(deps.trusted ? deps.trusted.textOf(payload) : payload.query),
            variableValues: payload.variables ?? null,
            contextValue: await contextFactory(),
            rootValue: run,
          };
          const errors = validate(args.schema, args.document);
          return errors.length > 0 ? errors : args;
        } catch (error) {
          if (!(error instanceof GraphQLError)) throw error;
          const { code } = error.extensions;
          const outcome = code === 'DOCUMENT_NOT_TRUSTED' ? code : 'GRAPHQL_PARSE_FAILED';
          deps.metrics.graphqlOperation({ ...exchange, outcome });
          return [error];
        }
      },
      onNext(context, _id, _payload, _args, result) {
        const { errors = [] } = result;
        const reason = errors.find(({ extensions }) => extensions?.['closeCode'])?.extensions?.['reason'];
        if (typeof reason === 'string') closeSoon(context.extra.socket, reason);
      },
      execute: (args) => traced(args, async () => (args.rootValue as { execute: typeof execute }).execute(args)),
      subscribe: (args) =>
        traced(args, async () => (args.rootValue as { subscribe: typeof subscribe }).subscribe(args)),
    },
    sockets,
    pingMs,
  );

  const tellMalformed = (error: Error) => deps.log.debug({ err: error }, 'a socket sent what is no WebSocket frame');

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { origin } = request.headers;
    if (origin !== undefined && !(await deps.originIsKnown(origin))) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    if (sockets.clients.size >= (deps.maxSockets ?? maxSockets)) {
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n',
      );
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('close', deps.metrics.socketOpened());
      // in the request's place, which is a kilobyte and a half for as long as the socket lasts
      const cameFrom: CameFrom = { origin: origin ?? null, address: deps.addressOf(request) };
      sockets.emit('connection', client, cameFrom);
      // graphql-ws would print each malformed frame, with a stack; ws has already closed the socket for it
      client.removeAllListeners('error');
      client.on('error', tellMalformed);
    });
  }

  return {
    upgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      accept(request, socket, head).catch((error: unknown) => {
        deps.log.error({ err: error }, 'a WebSocket upgrade failed');
        socket.destroy();
      });
    },
    async stop() {
      // a peer that reads nothing does not answer a close either
      const impatient = setTimeout(() => sockets.clients.forEach((client) => client.terminate()), goodbyeMs);
      await cleanup.dispose();
      clearTimeout(impatient);
    },
  };
}

function readCredentials(params: Readonly<Record<string, unknown>> | undefined): Omit<Credentials, keyof CameFrom> {
  const named = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const text = (name: string) => {
    const value = named.get(name);
    return typeof value === 'string' ? value : null;
  };
  return { authorization: text('authorization'), appId: text('x-app-id'), onBehalfOf: text('on-behalf-of') };
}

/** A close reason has at most 123 bytes (RFC 6455 5.5). */
function closeReason(error: Error): string {
  const expired: StreamEnd = 'identity-token-expired';
  return error instanceof IdentityTokenExpiredError ? expired : error.message.slice(0, 120);
}

function closeAtExpiry(socket: WebSocket, expiresAt: Date): void {
  const reason: StreamEnd = 'identity-token-expired';
  const waitMs = Math.max(0, expiresAt.getTime() - Date.now());
  if (waitMs > longestTimerMs) return; // streams look at the time by themselves
  const timer = setTimeout(() => closeSoon(socket, reason), waitMs);
  socket.on('close', () => clearTimeout(timer));
}

function closeSoon(socket: WebSocket, reason: string): void {
  setTimeout(() => socket.close(accessEndedCloseCode, reason), lastEventsMs);
}

function tooManyOperations(): GraphQLError {
  return new GraphQLError(`This socket has ${maxOperations} operations under way: end some, or open another.`, {
    extensions: { code: 'RATE_LIMITED' },
  });
}
