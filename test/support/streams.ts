import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { Service } from './harness.ts';

/** One event of `connectionStatus`, as far as these tests look at it. */
export interface StatusEvent {
  connectorId: string;
  status: string;
  reconnectReason: string | null;
  missingScopes: string[];
  problem: { __typename: string; code: string; currentPlan?: string } | null;
  connection: { id: string } | null;
  at: string;
}

export interface StreamResult {
  data?: { connectionStatus: StatusEvent } | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
}

export interface StatusStream {
  /** The next event; fails where the stream has ended. */
  next(): Promise<StatusEvent>;
  /** The next result as it comes, errors and all; undefined at the end. */
  nextResult(): Promise<StreamResult | undefined>;
  stop(): Promise<void>;
  /** How the socket was closed; never settles over SSE. */
  closed: Promise<{ code: number; reason: string }>;
}

const query = `subscription ($connectorId: ID!, $appId: ID) { connectionStatus(connectorId: $connectorId, appId: $appId) {
  connectorId status reconnectReason missingScopes at connection { id }
  problem { __typename code ... on PlanRequiredError { currentPlan } } } }`;

function streamOf(results: AsyncIterableIterator<unknown>, closed: StatusStream['closed']): StatusStream {
  const nextResult = async () => {
    const { done, value } = await results.next();
    return done ? undefined : (value as StreamResult);
  };
  return {
    nextResult,
    async next() {
      const result = await nextResult();
      if (!result?.data) throw new Error(`no event: ${JSON.stringify(result)}`);
      return result.data.connectionStatus;
    },
    async stop() {
      await results.return?.();
    },
    closed,
  };
}

/** Listens, and answers where: `localhost` may stand for an address that nobody listens on. */
export async function listen(service: Service): Promise<{ http: string; ws: string }> {
  const { port } = new URL((await service.app.listen()).url);
  return { http: `http://127.0.0.1:${port}/graphql`, ws: `ws://127.0.0.1:${port}/graphql` };
}

/** Opens the subscription over graphql-transport-ws, as the page at `origin` where one is given. */
export function openWebSocket(
  url: string,
  headers: Record<string, string>,
  connectorId: string,
  origin?: string,
  appId?: string,
): StatusStream {
  let tell: (closed: { code: number; reason: string }) => void = () => {};
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    tell = resolve;
  });
  const client = createWsClient({
    url,
    webSocketImpl: class extends WebSocket {
      constructor(address: string, protocols: string | string[]) {
        super(address, protocols, origin === undefined ? {} : { origin });
      }
    },
    connectionParams: headers,
    retryAttempts: 0,
    lazyCloseTimeout: 10_000, // so that it is the service that closes
    on: { closed: (event) => tell(event as { code: number; reason: string }) },
  });
  onTestFinished(() => client.dispose());
  return streamOf(client.iterate({ query, variables: { connectorId, appId } }), closed);
}

/** Opens the subscription over server-sent events. */
export function openSse(
  url: string,
  headers: Record<string, string>,
  connectorId: string,
  appId?: string,
): StatusStream {
  const client = createSseClient({ url, headers, retryAttempts: 0 });
  onTestFinished(() => client.dispose());
  return streamOf(client.iterate({ query, variables: { connectorId, appId } }), new Promise(() => {}));
}
