import type { ConnectDeps, FlowCookie, StartingRequest } from '../connections/connect.ts';
import type { DisconnectDeps } from '../connections/disconnect.ts';
import type { WatchStatus } from '../connections/status.ts';
import type { TokenDeps } from '../connections/token.ts';
import type { ConnectorDeps } from '../connectors/manage.ts';
import type { Plan } from '../db/generated/prisma/enums.ts';
import type { Exchange } from '../observability/exchange.ts';
import { type Caller, CallerOutdated } from '../workspaces/caller.ts';

/** What the features need, built once in app.ts. */
export type Features = ConnectDeps &
  DisconnectDeps &
  TokenDeps &
  ConnectorDeps & { defaultPlan: Plan; watchStatus: WatchStatus };

/** What a resolver knows of the operation. */
export interface GraphqlContext {
  caller: Caller;
  /** Tells again who calls, by the same credentials: they may not be worth now what they were when the operation began. */
  identify: () => Promise<Caller>;
  features: Features;
  /** What is told of the operation when it has ended. */
  exchange: Exchange;
  request: StartingRequest;
  /** Adds a cookie to the answer. Without effect over WebSocket, where no flow is bound to one. */
  setCookie: (cookie: FlowCookie) => void;
}

/** Reads as the operation's caller. One who was only recalled, and is not what they were, is identified anew first. */
export async function asCurrentCaller<T>(
  context: Pick<GraphqlContext, 'caller' | 'identify'>,
  read: (caller: Caller) => Promise<T>,
): Promise<T> {
  try {
    return await read(context.caller);
  } catch (error) {
    if (!(error instanceof CallerOutdated)) throw error;
    context.caller = await context.identify();
    return read(context.caller);
  }
}
