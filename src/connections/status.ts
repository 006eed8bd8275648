import { isComplete } from '../connectors/connector.ts';
import type { NamedValue } from '../connectors/connector.ts';
import type { Db } from '../db/client.ts';
import type { Connection, Connector } from '../db/generated/prisma/client.ts';
import type { Plan } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import type { StatusEvents, StatusSubscription } from '../lib/status-events.ts';
import { type Caller, callingUser, requireUser } from '../workspaces/caller.ts';
import { can } from '../workspaces/membership.ts';
import {
  connectionId,
  connectorOf,
  deriveStatus,
  missingScopes,
  type ReconnectReason,
  type StatusFacts,
} from './connection.ts';
import * as store from './store.ts';

/** A connection as its user (or an admin) may see it. It holds no token. */
export interface ConnectionView {
  id: string;
  connectorId: string;
  status: 'NOT_CONNECTED' | 'CONNECTED' | 'RECONNECT_REQUIRED' | 'UNAVAILABLE';
  reconnectReason: ReconnectReason | null;
  problem: DomainError | null;
  account: { id: string | null; email: string | null; name: string | null } | null;
  requestedScopes: string[];
  grantedScopes: string[];
  missingScopes: string[];
  connectionConfig: NamedValue[];
  connectedAt: Date | null;
  lastRefreshedAt: Date | null;
  lastVerifiedAt: Date | null;
  /** When the status changes by itself; null where it does not. */
  endsAt: Date | null;
}

type ConnectorWithPlan = Connector & { workspace: { plan: Plan } };

export function connectorFacts(connector: ConnectorWithPlan): NonNullable<StatusFacts['connector']> {
  const { deletedAt, clientFingerprint, scopesFingerprint } = connector;
  return {
    deletedAt,
    clientFingerprint,
    scopesFingerprint,
    complete: isComplete(connector),
    plan: connector.workspace.plan,
  };
}

/** Puts together what is known. `connection` null: there is no row yet, which means not connected. */
export function viewConnection(
  id: string,
  connector: ConnectorWithPlan,
  connection: Connection | null,
  now: Date,
): ConnectionView {
  const status = deriveStatus({ connector: connectorFacts(connector), connection }, now);
  const live = connection && !connection.disconnectedAt ? connection : null;
  return {
    id,
    connectorId: connector.id,
    status: status.status,
    reconnectReason: status.status === 'RECONNECT_REQUIRED' ? status.reason : null,
    problem: status.status === 'UNAVAILABLE' ? status.problem : null,
    account: live && { id: live.accountId, email: live.accountEmail, name: live.accountName },
    requestedScopes: live?.requestedScopes ?? [],
    grantedScopes: live?.grantedScopes ?? [],
    missingScopes: live ? missingScopes(connector.scopes, live.grantedScopes) : [],
    connectionConfig: live ? configOf(connector, live) : [],
    connectedAt: live?.connectedAt ?? null,
    lastRefreshedAt: live?.lastRefreshedAt ?? null,
    lastVerifiedAt: live?.lastVerifiedAt ?? null,
    endsAt: status.status === 'CONNECTED' ? (live?.grantExpiresAt ?? null) : null,
  };
}

/** The connector's settings and what the provider told at consent; the latter wins. */
function configOf(connector: Connector, connection: Connection): NamedValue[] {
  const entries = [connector.connectionConfig, connection.connectionConfig] as unknown as NamedValue[][];
  const merged = new Map(entries.flat().map(({ name, value }) => [name, value]));
  return [...merged].map(([name, value]) => ({ name, value }));
}

/**
 * Reads connections by id, in order, in two statements. Null for an id that the caller may not know of: a user sees their own,
 * connected or not; a member those of the workspace that exist.
 */
export async function loadConnections(
  deps: { db: Db; clock: Clock },
  caller: Caller,
  ids: readonly string[],
): Promise<(ConnectionView | null)[]> {
  const user = callingUser(caller);
  const connectorIds = ids.flatMap((id) => connectorOf(id) ?? []);
  const [connectors, connections] = await Promise.all([
    store.findConnectors(deps.db, connectorIds, user ? [user.app.workspaceId] : null),
    store.findConnections(deps.db, [...ids]),
  ]);
  return ids.map((id) => {
    const connector = connectors.find((row) => row.id === connectorOf(id));
    const connection = connections.find((row) => row.id === id) ?? null;
    if (!connector) return null;
    const visible = user
      ? id === connectionId(connector.id, user.app.id, user.userId)
      : connection !== null && can(caller, 'workspace.view', connector.workspaceId);
    return visible ? viewConnection(id, connector, connection, deps.clock.now()) : null;
  });
}

/** A change of status as it is streamed. `view` null: there is no such connector, or no longer. */
export interface StatusChange {
  connectorId: string;
  view: ConnectionView | null;
  at: Date;
}

/**
 * The calling user's status for a connector: now, then at every change. Ends with the identity token (the last value is then
 * `identity-token-expired`) or when the reader returns. Subscribes before it reads, so that nothing falls between.
 * @throws UnauthenticatedError
 */
export function watchStatus(
  deps: { db: Db; clock: Clock; events: StatusEvents },
  caller: Caller,
  connectorId: string,
): AsyncIterableIterator<StatusChange | 'identity-token-expired'> {
  const user = requireUser(caller);
  const id = connectionId(connectorId, user.app.id, user.userId);
  const changes = deps.events.subscribe([{ connectionId: id }, { connectorId }, { workspaceId: user.app.workspaceId }]);
  const expired = () => deps.clock.now() >= user.expiresAt;

  async function* stream(): AsyncGenerator<StatusChange | 'identity-token-expired', void> {
    let last: string | null = null;
    let view: ConnectionView | null;
    try {
      do {
        if (expired()) return yield 'identity-token-expired';
        [view = null] = await loadConnections(deps, caller, [id]);
        const seen = JSON.stringify(view);
        if (seen !== last) yield { connectorId, view, at: deps.clock.now() };
        last = seen;
      } while (await changeOrInstant(changes, earlier(user.expiresAt, view?.endsAt ?? null), deps.clock));
    } finally {
      changes.close(); // a reader returns only from a stream that has not ended by itself
    }
  }

  const values = stream();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => values.next(),
    // a generator that waits would only return after the next change: wake it first
    return() {
      changes.close();
      return values.return();
    },
  };
}

function earlier(a: Date, b: Date | null): Date {
  return b && b < a ? b : a;
}

const longestTimerMs = 2 ** 31 - 1;

/** Waits for a change or an instant. False when the subscription was closed. */
async function changeOrInstant(changes: StatusSubscription, instant: Date, clock: Clock): Promise<boolean> {
  const waitMs = Math.max(0, instant.getTime() - clock.now().getTime());
  const timer = setTimeout(() => changes.wake(), Math.min(waitMs, longestTimerMs));
  try {
    return await changes.changed();
  } finally {
    clearTimeout(timer);
  }
}
