import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, type execute, GraphQLError, type subscribe } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { identityTokenExpiry } from '../graphql/errors.ts';
import type { Credentials } from '../identity/caller.ts';
import type { Logger } from '../lib/logger.ts';
import { type Caller, callingUser } from '../workspaces/caller.ts';
import { IdentityTokenExpiredError } from '../workspaces/errors.ts';
import type { Yoga } from './graphql.ts';

export interface WebsocketDeps {
  yoga: Yoga;
  identify: (credentials: Credentials) => Promise<Caller>;
  /** Whether any app has registered the origin, or it is the service's own. */
  originIsKnown: (origin: string) => Promise<boolean>;
  log: Logger;
}

export interface Websocket {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells every client to come back, and closes. */
  stop(): Promise<void>;
}

const maxPayloadBytes = 256 * 1024;
const longestTimerMs = 2 ** 31 - 1;

/** GraphQL over WebSocket (graphql-transport-ws). Credentials travel in `connection_init`'s payload under the headers' names. */
export function createWebsocket(deps: WebsocketDeps): Websocket {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxPayloadBytes });
  const { yoga } = deps;
  const cleanup = useServer<
    Record<string, unknown>,
    { socket: WebSocket; request: IncomingMessage; caller?: () => Promise<Caller> }
  >(
    {
      async onConnect(context) {
        const { socket, request } = context.extra;
        const credentials = readCredentials(context.connectionParams, request.headers.origin ?? null);
        const caller = await deps.identify(credentials);
        if (caller.kind === 'anonymous') {
          socket.close(4403, closeReason(caller.error));
          return undefined;
        }
        const user = callingUser(caller);
        if (user) closeAtExpiry(socket, user.expiresAt);
        // asked again for each operation: a key may have been revoked since
        context.extra.caller = () => deps.identify(credentials);
        return undefined;
      },
      async onSubscribe(context, _id, payload) {
        const { request, caller } = context.extra;
        const origin = request.headers.origin ?? null;
        const { schema, contextFactory, parse, validate, ...run } = yoga.getEnveloped({
          socket: { caller, origin },
          params: payload,
        } as never);
        try {
          const args: ExecutionArgs = {
            schema,
            operationName: payload.operationName ?? null,
            document: parse(payload.query),
            variableValues: payload.variables ?? null,
            contextValue: await contextFactory(),
            rootValue: run,
          };
          const errors = validate(args.schema, args.document);
          return errors.length > 0 ? errors : args;
        } catch (error) {
          if (error instanceof GraphQLError) return [error];
          throw error;
        }
      },
      execute: (args) => (args.rootValue as { execute: typeof execute }).execute(args),
      subscribe: (args) => (args.rootValue as { subscribe: typeof subscribe }).subscribe(args),
    },
    sockets,
  );

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { origin } = request.headers;
    if (origin !== undefined && !(await deps.originIsKnown(origin))) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
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
      await cleanup.dispose();
    },
  };
}

function readCredentials(params: Readonly<Record<string, unknown>> | undefined, origin: string | null): Credentials {
  const named = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const text = (name: string) => {
    const value = named.get(name);
    return typeof value === 'string' ? value : null;
  };
  return { authorization: text('authorization'), appId: text('x-app-id'), onBehalfOf: text('on-behalf-of'), origin };
}

/** A close reason has at most 123 bytes (RFC 6455 5.5). */
function closeReason(error: Error): string {
  return error instanceof IdentityTokenExpiredError ? identityTokenExpiry.reason : error.message.slice(0, 120);
}

function closeAtExpiry(socket: WebSocket, expiresAt: Date): void {
  // a moment later, so that the streams' last event goes out first
  const waitMs = Math.min(Math.max(0, expiresAt.getTime() - Date.now()) + 250, longestTimerMs);
  const timer = setTimeout(() => socket.close(identityTokenExpiry.closeCode, identityTokenExpiry.reason), waitMs);
  socket.once('close', () => clearTimeout(timer));
}
