import { type Client as Socket, createClient as createSocket } from 'graphql-ws/client';
import { UnauthenticatedError } from './connector-error.ts';
import type { ConnectionStatusSubscription } from './generated/operations.ts';
import { errorOfFailure } from './graphql-call.ts';
import type { GetToken } from './identity.ts';
import { connectionStatus } from './operations.ts';

/** What a connection is as of an instant. */
export type ConnectionStatusEvent = ConnectionStatusSubscription['connectionStatus'];

/** Whether an account was connected between two events, which ends what was wrong before. */
export function hasConnected(before: ConnectionStatusEvent | null, now: ConnectionStatusEvent | null): boolean {
  if (before === null || now?.status !== 'CONNECTED') return false;
  return before.connection?.connectedAt !== now.connection?.connectedAt;
}

/** Whether the statuses are followed at this moment. */
export type StreamState = 'connecting' | 'live' | 'waiting';

/** Who hears of a status. */
export interface StatusListener {
  /** The status now, then every change. After an interruption the present one comes again. */
  next: (event: ConnectionStatusEvent) => void;
  /** It ended for good: the service refused, and asking again would not help. Nothing follows. */
  error?: (error: unknown) => void;
  /** It ended because nobody is signed in any more. Nothing follows. */
  complete?: () => void;
}

/** A class like the browser's WebSocket. */
export type WebSocketClass = new (url: string | URL, protocols?: string | string[]) => object;

export interface StatusStreamOptions {
  graphqlUrl: string;
  appId: string;
  getToken: GetToken;
  webSocket: WebSocketClass | undefined;
  onState: (state: StreamState) => void;
}

const firstWaitMs = 500;
const longestWaitMs = 30_000;
const pingMs = 15_000;
const pongMs = 10_000;
/** The service's close code for whoever may not, or no longer, ask. */
const accessEnded = 4403;

/**
 * Follows statuses over one WebSocket however many there are: over HTTP/1.1 a browser opens six requests to an origin, all tabs
 * together, and a handful of event streams would leave none for anything else. Answers a function that watches one connector,
 * which answers one that ends it.
 */
export function createStatusStreams(
  options: StatusStreamOptions,
): (connectorId: string, listener: StatusListener) => () => void {
  const { getToken, onState } = options;
  let current: { socket: Socket; shownToken: string | null } | null = null;

  function openSocket() {
    const opened: NonNullable<typeof current> = { socket: connect(), shownToken: null };
    return opened;

    function connect(): Socket {
      let pong: ReturnType<typeof setTimeout> | undefined;
      const socket = createSocket({
        url: options.graphqlUrl.replace(/^http/, 'ws'),
        webSocketImpl: options.webSocket,
        retryAttempts: 0, // each watcher comes back by itself, and the first to do so brings the socket for all
        keepAlive: pingMs,
        async connectionParams() {
          opened.shownToken = await getToken({ rejectedToken: null });
          return { Authorization: `Bearer ${opened.shownToken ?? ''}`, 'X-App-Id': options.appId };
        },
        on: {
          connecting: () => onState('connecting'),
          connected: () => onState('live'),
          ping(received) {
            if (!received) pong = setTimeout(() => socket.terminate(), pongMs);
          },
          pong: () => clearTimeout(pong),
          closed(event) {
            clearTimeout(pong);
            if (current === opened && (event as { code?: number }).code !== 1000) onState('waiting');
          },
        },
      });
      return socket;
    }
  }

  return function watch(connectorId, listener) {
    let isOver = false;
    let stopNow = () => {};
    let failures = 0;
    let refusals = 0;

    function end(tell?: () => void): void {
      if (isOver) return;
      isOver = true;
      stopNow();
      tell?.();
    }

    async function attempt(): Promise<void> {
      if ((await getToken({ rejectedToken: null })) === null) return end(() => listener.complete?.());
      if (isOver) return;
      current ??= openSocket();
      const used = current;
      stopNow = used.socket.subscribe<ConnectionStatusSubscription>(
        { query: connectionStatus, variables: { connectorId } },
        {
          next({ data, errors }) {
            if (isOver) return;
            const failure = errors?.[0];
            if (failure) {
              stopNow();
              judge(errorOfFailure(failure));
            } else if (data) {
              failures = 0;
              refusals = 0;
              // what a listener throws is its own affair, and not the socket's
              queueMicrotask(() => isOver || listener.next(data.connectionStatus));
            }
          },
          error: (reason) => judge(reasonOf(reason)),
          complete: () => judge(null),
        },
      );

      let isJudged = false;
      function judge(error: unknown): void {
        if (isJudged || isOver) return;
        isJudged = true;
        if (error === null) comeBack();
        else if (error instanceof UnauthenticatedError) askForAnotherToken(used, error).catch(fail);
        else fail(error);
      }
    }

    /** The token that the socket showed is no good any more: another socket shows another one, if there is one. */
    async function askForAnotherToken(used: NonNullable<typeof current>, error: UnauthenticatedError): Promise<void> {
      refusals += 1;
      const fresh = await getToken({ rejectedToken: used.shownToken });
      if (current === used) {
        current = null;
        used.socket.terminate();
      }
      if (isOver) return;
      if (fresh === null) end(() => listener.complete?.());
      else if (fresh === used.shownToken || refusals > 1) fail(error);
      else await attempt();
    }

    function comeBack(): void {
      const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** failures) * (0.5 + Math.random() / 2);
      failures += 1;
      const timer = setTimeout(begin, waitMs);
      stopNow = () => clearTimeout(timer);
    }

    function fail(error: unknown): void {
      end(() => listener.error?.(error));
    }

    function begin(): void {
      // a token that cannot be had just now, because the app does not answer, is asked for again later
      attempt().catch(() => isOver || comeBack());
    }

    begin();
    return () => end();
  };
}

/** Why a subscription ended: an error to judge, or null for an accident after which it is worth coming back. */
function reasonOf(reason: unknown): unknown {
  if (Array.isArray(reason)) return errorOfFailure(reason[0] as { message: string });
  const { code, reason: told } = reason as { code?: unknown; reason?: unknown };
  return code === accessEnded ? new UnauthenticatedError({ message: typeof told === 'string' ? told : '' }) : null;
}

/** The same as something to loop over; leaving the loop ends it. */
export function statusesOf(watch: (listener: StatusListener) => () => void): AsyncIterable<ConnectionStatusEvent> {
  return {
    [Symbol.asyncIterator]() {
      const events: ConnectionStatusEvent[] = [];
      let end: { error: unknown } | 'complete' | null = null;
      let wake = () => {};
      const stop = watch({
        next(event) {
          events.push(event);
          wake();
        },
        error(error) {
          end = { error };
          wake();
        },
        complete() {
          end = 'complete';
          wake();
        },
      });
      return {
        async next() {
          for (;;) {
            const value = events.shift();
            if (value) return { done: false, value };
            const ended = end as { error: unknown } | 'complete' | null; // set by the listener meanwhile
            if (ended === 'complete') return { done: true, value: undefined };
            if (ended) {
              end = 'complete';
              throw ended.error;
            }
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        },
        async return() {
          stop();
          end = 'complete';
          wake();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
