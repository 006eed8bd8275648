import { useMemo, useSyncExternalStore } from 'react';
import type { Client, ConnectionStatusEvent, ConnectOptions } from './client.ts';
import {
  type AnyConnectorError,
  isConnectorError,
  PopupClosedError,
  UnexpectedAnswerError,
} from './connector-error.ts';
import { hasConnected } from './status-stream.ts';

/** The signed-in user's connection to a connector, as it is now. */
export interface Connection {
  /** What the service told last; null before the first word, and where nobody is signed in. */
  readonly event: ConnectionStatusEvent | null;
  /** Whether nobody is signed in. */
  readonly isSignedOut: boolean;
  /** Whether an act is under way: connecting, or disconnecting. */
  readonly isBusy: boolean;
  /** How the last act failed, or the flow that this page is the return of; null otherwise. */
  readonly error: AnyConnectorError | null;
}

/** What a component draws, and what its buttons do. */
export interface UsedConnection extends Connection {
  /** Connects, or connects again; in a popup unless told otherwise, so call it from a click. Failures come as `error`. */
  readonly connect: (options?: ConnectOptions) => Promise<void>;
  /** Disconnects. Failures come as `error`. */
  readonly disconnect: () => Promise<void>;
}

const unknown: Connection = { event: null, isSignedOut: false, isBusy: false, error: null };

function createStore({ connectors }: Client, connectorId: string) {
  let connection = unknown;
  const listeners = new Set<() => void>();
  function set(change: Partial<Connection>): void {
    connection = { ...connection, ...change };
    for (const listener of listeners) listener();
  }
  const fail = (error: unknown) =>
    set({ error: isConnectorError(error) ? error : new UnexpectedAnswerError({ cause: error }) });

  async function act(action: () => Promise<unknown>): Promise<void> {
    if (connection.isBusy) return;
    set({ isBusy: true, error: null });
    const { event } = connection;
    await action().catch((error: unknown) => {
      // a window that is cut off from this page looks closed
      if (!(error instanceof PopupClosedError && hasConnected(event, connection.event))) fail(error);
    });
    set({ isBusy: false });
  }

  return {
    get: () => connection,
    subscribe: (listener: () => void): (() => void) => {
      listeners.add(listener);
      const stop = connectors.status(connectorId, {
        next: (event) =>
          set({ event, isSignedOut: false, ...(hasConnected(connection.event, event) && { error: null }) }),
        error: fail,
        complete: () => set({ event: null, isSignedOut: true }),
      });
      // the page may be the return of a flow of this connector, and that may have failed
      connectors.completeConnection().catch((error: unknown) => {
        if (isConnectorError(error) && error.connectorId === connectorId) fail(error);
      });
      return () => {
        listeners.delete(listener);
        stop();
      };
    },
    connect: ({ mode = 'popup', ...options }: ConnectOptions = {}) =>
      act(() =>
        mode === 'popup'
          ? connectors.connectAppUser(connectorId, { ...options, mode })
          : connectors.connectAppUser(connectorId, { ...options, mode }),
      ),
    disconnect: () => act(() => connectors.disconnectAppUser(connectorId)),
  };
}

/**
 * Follows the signed-in user's connection to a connector, and draws the component again at each change. Keep one `client` for the
 * whole app: another one means another stream. On a server it answers what is not known yet, and asks nobody.
 */
export function useConnection(client: Client, connectorId: string): UsedConnection {
  const store = useMemo(() => createStore(client, connectorId), [client, connectorId]);
  const connection = useSyncExternalStore(store.subscribe, store.get, () => unknown);
  return { ...connection, connect: store.connect, disconnect: store.disconnect };
}
