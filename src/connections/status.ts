import DataLoader from 'dataloader';
import { isComplete } from '../connectors/connector.ts';
import type { NamedValue } from '../connectors/connector.ts';
import type { Db } from '../db/client.ts';
import type { Connection, Connector } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import type { StatusEvents, StatusSubscription, Wake } from '../events/status-events.ts';
import type { Logger } from '../lib/logger.ts';
import { type Caller, type CallingUser, callingUser, requireUser } from '../workspaces/caller.ts';
import { IdentityTokenExpiredError } from '../workspaces/errors.ts';
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

export function connectorFacts(connector: store.ConnectorInWorkspace): NonNullable<StatusFacts['connector']> {
  const { deletedAt, clientFingerprint, scopesFingerprint, providerKey, kind, workspace } = connector;
  return {
    deletedAt,
    clientFingerprint,
    scopesFingerprint,
    complete: isComplete(connector),
    plan: workspace.plan,
    available: !workspace.switchedOff.some((off) => off.providerKey === providerKey && off.kind === kind),
  };
}

/** Puts together what is known. `connection` null: there is no row yet, which means not connected. */
export function viewConnection(
  id: string,
  connector: store.ConnectorInWorkspace,
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

interface Rows {
  connectors: Map<string, store.ConnectorInWorkspace>;
  connections: Map<string, Connection>;
}

/** Reads what connections by these ids are made of, in the given workspaces (null: in all), in two statements. */
async function readRows(db: Db, ids: readonly string[], workspaceIds: string[] | null): Promise<Rows> {
  const connectorIds = ids.flatMap((id) => connectorOf(id) ?? []);
  const unique = (values: readonly string[]) => [...new Set(values)];
  const [connectors, connections] = await Promise.all([
    store.findConnectors(db, unique(connectorIds), workspaceIds && unique(workspaceIds)),
    store.findConnections(db, unique(ids)),
  ]);
  return {
    connectors: new Map(connectors.map((row) => [row.id, row])),
    connections: new Map(connections.map((row) => [row.id, row])),
  };
}

/** What a user may see of a connection: their own, connected or not. */
function viewForUser(rows: Rows, user: CallingUser, id: string, now: Date): ConnectionView | null {
  const connector = rows.connectors.get(connectorOf(id) ?? '');
  const isOwn =
    connector?.workspaceId === user.app.workspaceId && id === connectionId(connector.id, user.app.id, user.userId);
  return connector && isOwn ? viewConnection(id, connector, rows.connections.get(id) ?? null, now) : null;
}

/** What a member may see of a connection: those of the workspace that exist. */
function viewForMember(rows: Rows, caller: Caller, id: string, now: Date): ConnectionView | null {
  const connector = rows.connectors.get(connectorOf(id) ?? '');
  const connection = rows.connections.get(id);
  const isVisible = connector && connection && can(caller, 'workspace.view', connector.workspaceId);
  return isVisible ? viewConnection(id, connector, connection, now) : null;
}

/** Reads connections by id, in order. Null for an id that the caller may not know of. */
export async function loadConnections(
  deps: { db: Db; clock: Clock },
  caller: Caller,
  ids: readonly string[],
): Promise<(ConnectionView | null)[]> {
  const user = callingUser(caller);
  const rows = await readRows(deps.db, ids, user && [user.app.workspaceId]);
  const now = deps.clock.now();
  return ids.map((id) => (user ? viewForUser(rows, user, id, now) : viewForMember(rows, caller, id, now)));
}

/** A change of status as it is streamed. `view` null: there is no such connector, or no longer. */
export interface StatusChange {
  connectorId: string;
  view: ConnectionView | null;
  at: Date;
}

/** Why a stream of changes ended, where it was not its reader who ended it. */
export type StreamEnd = 'identity-token-expired' | 'access-ended';

export interface WatchDeps {
  db: Db;
  clock: Clock;
  events: StatusEvents;
  log: Logger;
}

/** How long readings are gathered that follow one change: it may wake thousands of streams at once. */
const gatherMs = 5;
/** After how long a reading that failed is tried again: longer each time, up to the other. */
const shortestRereadMs = 1_000;
const longestRereadMs = 30_000;
/** A stream also looks by itself now and then: an instance that was killed between its commit and its event told nobody. */
const lookMs = 300_000;
const warnEveryMs = 10_000;

/**
 * The calling user's status for a connector: now, then at every change. Subscribes before it reads, so that nothing falls between.
 * Before every value `identify` tells again who calls: a key may have been revoked, or the app deleted. The stream ends, and says why, with the identity token or with the right to ask; or when its reader returns.
 * @throws UnauthenticatedError
 */
export type WatchStatus = (
  caller: Caller,
  identify: () => Promise<Caller>,
  connectorId: string,
) => AsyncIterableIterator<StatusChange | StreamEnd>;

export function createWatchStatus(deps: WatchDeps): WatchStatus {
  const views = new DataLoader<{ user: CallingUser; id: string }, ConnectionView | null>(
    async (keys) => {
      const rows = await readRows(
        deps.db,
        keys.map(({ id }) => id),
        keys.map(({ user }) => user.app.workspaceId),
      );
      return keys.map(({ user, id }) => viewForUser(rows, user, id, deps.clock.now()));
    },
    { cache: false, maxBatchSize: 1_000, batchScheduleFn: (run) => setTimeout(run, gatherMs) },
  );

  let failures = 0;
  let warnedAt = Number.NEGATIVE_INFINITY;
  function warn(error: unknown): void {
    failures += 1;
    if (performance.now() < warnedAt + warnEveryMs) return;
    deps.log.warn({ err: error, failures }, 'statuses cannot be read; the streams stay open and try again');
    warnedAt = performance.now();
    failures = 0;
  }

  /** What there is to tell now, if the caller may still hear it. */
  async function present(user: CallingUser, identify: () => Promise<Caller>, id: string) {
    const [caller, view] = await Promise.all([identify(), views.load({ user, id })]);
    return callingUser(caller) ? { view } : endOf(caller);
  }

  async function* stream(
    changes: StatusSubscription,
    user: CallingUser,
    read: () => Promise<{ view: ConnectionView | null } | StreamEnd>,
    connectorId: string,
  ): AsyncGenerator<StatusChange | StreamEnd, void> {
    let told: string | null = null;
    let wake: Wake = 'changed';
    let rereads = 0;
    try {
      while (wake !== 'closed') {
        const now = deps.clock.now();
        if (now >= user.expiresAt) return yield 'identity-token-expired';
        let next: Date;
        try {
          const found = await read();
          if (typeof found === 'string') return yield found;
          const seen = JSON.stringify(found.view);
          if (seen !== told || wake === 'recovered') yield { connectorId, view: found.view, at: deps.clock.now() };
          told = seen;
          next = earlier(earlier(user.expiresAt, found.view?.endsAt ?? null), after(lookMs, now));
          rereads = 0;
        } catch (error) {
          if (told === null) throw error;
          // ended now, it would only be opened again at once, along with everybody else's
          warn(error);
          told = 'unknown';
          next = earlier(user.expiresAt, after(Math.min(shortestRereadMs * 2 ** rereads, longestRereadMs), now));
          rereads += 1;
        }
        wake = await wakeOrInstant(changes, next, deps.clock);
      }
    } finally {
      changes.close(); // a reader returns only from a stream that has not ended by itself
    }
  }

  return (caller, identify, connectorId) => {
    const user = requireUser(caller);
    const id = connectionId(connectorId, user.app.id, user.userId);
    const topics = [{ connectionId: id }, { connectorId }, { workspaceId: user.app.workspaceId }];
    const changes = deps.events.subscribe(topics);
    const values = stream(changes, user, () => present(user, identify, id), connectorId);
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
  };
}

function endOf(caller: Caller): StreamEnd {
  const hasExpired = caller.kind === 'anonymous' && caller.error instanceof IdentityTokenExpiredError;
  return hasExpired ? 'identity-token-expired' : 'access-ended';
}

/** So long from an instant, and by chance up to half of that longer: what began together must not come back together. */
function after(ms: number, from: Date): Date {
  return new Date(from.getTime() + ms * (1 + Math.random() / 2));
}

function earlier(a: Date, b: Date | null): Date {
  return b && b < a ? b : a;
}

const longestTimerMs = 2 ** 31 - 1;

/** Waits for a change or an instant. */
async function wakeOrInstant(changes: StatusSubscription, instant: Date, clock: Clock): Promise<Wake> {
  const waitMs = Math.max(0, instant.getTime() - clock.now().getTime());
  const timer = setTimeout(() => changes.wake(), Math.min(waitMs, longestTimerMs));
  try {
    return await changes.next();
  } finally {
    clearTimeout(timer);
  }
}
