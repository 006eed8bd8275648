import { hash } from 'node:crypto';
import DataLoader from 'dataloader';
import { isComplete } from '../connectors/connector.ts';
import type { NamedValue } from '../connectors/connector.ts';
import type { Db } from '../db/client.ts';
import type { Connection, Connector } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { createHolding } from '../lib/holding.ts';
import { createTurns } from '../lib/turns.ts';
import type { StatusEvents, StatusSubscription, Wake } from '../events/status-events.ts';
import type { Logger } from '../lib/logger.ts';
import { findProvider } from '../providers/catalogue.ts';
import { type Caller, callingApp, callingUser, expiryOf, holderOf, requireUser } from '../workspaces/caller.ts';
import {
  ForbiddenError,
  IdentityTokenExpiredError,
  NotFoundError,
  RateLimitedError,
  ValidationError,
} from '../workspaces/errors.ts';
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
  /** The member who connected an account shared by the app; null for everybody but members of the workspace. */
  ownedBy: string | null;
  /** When the status changes by itself; null where it does not. */
  endsAt: Date | null;
}

export function connectorFacts(connector: store.ReadConnector): NonNullable<StatusFacts['connector']> {
  const { deletedAt, grantsRevokedAt, clientFingerprint, scopesFingerprint, providerKey, kind, workspace } = connector;
  return {
    deletedAt,
    grantsRevokedAt,
    clientFingerprint,
    scopesFingerprint,
    complete: isComplete(connector),
    plan: workspace.plan,
    providerKey,
    available: !workspace.switchedOff.some((off) => off.providerKey === providerKey && off.kind === kind),
  };
}

/** Puts together what is known. `connection` null: there is no row yet, which means not connected. */
export function viewConnection(
  id: string,
  connector: store.ReadConnector,
  connection: store.ReadConnection | null,
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
    missingScopes: live ? missingScopes(connector.scopes, live.grantedScopes, scopeAliasesOf(connector)) : [],
    connectionConfig: live ? configOf(connector, live) : [],
    connectedAt: live?.connectedAt ?? null,
    lastRefreshedAt: live?.lastRefreshedAt ?? null,
    lastVerifiedAt: live?.lastVerifiedAt ?? null,
    ownedBy: null,
    endsAt: status.status === 'CONNECTED' ? (live?.grantExpiresAt ?? null) : null,
  };
}

function scopeAliasesOf({ providerKey }: store.ReadConnector): Readonly<Record<string, string>> {
  return findProvider(providerKey)?.server.scopeAliases ?? {};
}

/** The connector's settings and what the provider told at consent; the latter wins. */
function configOf(connector: store.ReadConnector, connection: store.ReadConnection): NamedValue[] {
  const entries = [connector.connectionConfig, connection.connectionConfig] as unknown as NamedValue[][];
  const merged = new Map(entries.flat().map(({ name, value }) => [name, value]));
  return [...merged].map(([name, value]) => ({ name, value }));
}

interface Rows {
  connectors: Map<string, store.ConnectorInWorkspace>;
  connections: Map<string, Connection>;
  /** The ids of shared accounts that no row has been made for, as far as they were asked about: apps that have not connected yet. */
  unconnected: Set<string>;
}

/** The workspaces whose connections the caller may see, their own or all; null: of all workspaces. */
function workspacesOf(caller: Caller): string[] | null {
  if (caller.kind === 'operator') return null;
  if (caller.kind === 'member') return caller.memberships.map(({ workspaceId }) => workspaceId);
  const app = callingApp(caller);
  return app ? [app.workspaceId] : [];
}

/** Reads what connections by these ids are made of, in the given workspaces (null: in all), in two statements; a third where an id may be of an app that has not connected yet. */
async function readRows(db: Db, ids: readonly string[], workspaceIds: string[] | null): Promise<Rows> {
  const connectorIds = ids.flatMap((id) => connectorOf(id) ?? []);
  const unique = (values: readonly string[]) => [...new Set(values)];
  const [connectors, connections] = await Promise.all([
    store.findConnectors(db, unique(connectorIds), workspaceIds && unique(workspaceIds)),
    store.findConnections(db, unique(ids)),
  ]);
  const rows = {
    connectors: new Map(connectors.map((row) => [row.id, row])),
    connections: new Map(connections.map((row) => [row.id, row])),
  };
  const isUnknown = (id: string) => !rows.connections.has(id);
  const unknown = new Set(ids.filter(isUnknown).map(connectorOf));
  const shared = connectors.filter(({ id, kind }) => kind === 'SHARED' && unknown.has(id));
  return { ...rows, unconnected: await sharedIds(db, shared) };
}

/** The connection of each shared connector in each app of its workspace. */
async function sharedIds(db: Db, connectors: Connector[]): Promise<Set<string>> {
  if (connectors.length === 0) return new Set();
  const apps = await store.findAppIds(
    db,
    connectors.map(({ workspaceId }) => workspaceId),
  );
  const ids = connectors.flatMap((connector) =>
    apps
      .filter(({ workspaceId }) => workspaceId === connector.workspaceId)
      .map((app) => connectionId(connector.id, app.id, null)),
  );
  return new Set(ids);
}

/**
 * What the caller may see of a connection. A user: their own, connected or not. A backend function: its app's shared ones as
 * well. A member: those of the workspace that exist, and every app's shared ones.
 */
function viewFor(rows: Rows, caller: Caller, id: string, now: Date): ConnectionView | null {
  const connector = rows.connectors.get(connectorOf(id) ?? '');
  if (!connector) return null;
  const connection = rows.connections.get(id) ?? null;
  if (callingApp(caller)) return isOwn(caller, connector, id) ? viewConnection(id, connector, connection, now) : null;
  if (!can(caller, 'workspace.view', connector.workspaceId)) return null;
  if (!connection && !rows.unconnected.has(id)) return null;
  return { ...viewConnection(id, connector, connection, now), ownedBy: connection?.ownedBy ?? null };
}

/** Whether a connection is that of the calling user or, for a backend function, the one its app shares. */
function isOwn(caller: Caller, connector: Connector, id: string): boolean {
  const app = callingApp(caller);
  if (app?.workspaceId !== connector.workspaceId) return false;
  const user = callingUser(caller);
  if (user && id === connectionId(connector.id, app.id, user.userId)) return true;
  const mayShare = caller.kind === 'backend-function' && connector.kind === 'SHARED';
  return mayShare && id === connectionId(connector.id, app.id, null);
}

/** Reads connections by id, in order. Null for an id that the caller may not know of. */
export async function loadConnections(
  deps: { db: Db; clock: Clock },
  caller: Caller,
  ids: readonly string[],
): Promise<(ConnectionView | null)[]> {
  const rows = await readRows(deps.db, ids, workspacesOf(caller));
  const now = deps.clock.now();
  return ids.map((id) => viewFor(rows, caller, id, now));
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
  findForStatus: store.FindForStatus;
  clock: Clock;
  events: StatusEvents;
  log: Logger;
}

/** How many streams read, or tell, at a turn of the event loop: those who read share round trips, those who tell do a millisecond's work. */
const readsPerTurn = 16;
const tellsPerTurn = 4;
/** How much of the time, beside each part that they take, is left to everybody else. */
const rest = 4;
/** After how long a reading that failed is tried again: longer each time, up to the other. */
const shortestRereadMs = 1_000;
const longestRereadMs = 30_000;
/** A stream also looks by itself now and then: an instance that was killed between its commit and its event told nobody. */
const lookMs = 300_000;
const warnEveryMs = 10_000;
const never = Number.POSITIVE_INFINITY;
/** Streams of one caller, over all their sockets and requests, and of all callers, at one instance. */
const maxStreamsOfCaller = 500;
const maxStreams = 50_000;
const tooManyRetrySeconds = 60;

/**
 * The status at a connector of the calling user, of the account that the calling app shares or, for a member, of the one that an
 * app of theirs shares: now, then at every change. Subscribes before it reads, so that nothing falls between.
 * Before every value `identify` tells again who calls: a key may have been revoked, a role taken away, or the app deleted. The stream ends, and says why, with the identity token or with the right to ask; or when its reader returns.
 * @throws UnauthenticatedError, ForbiddenError for the operator, RateLimitedError where so many are open, ValidationError for a member who names no app, NotFoundError for another app than the calling one
 */
export type WatchStatus = (
  caller: Caller,
  identify: () => Promise<Caller>,
  connectorId: string,
  appId?: string | null,
) => AsyncIterableIterator<StatusChange | StreamEnd>;

/** The app and the user (null: all of the app) whose connection the caller asks to hear of. */
function watchedBy(caller: Caller, appId: string | null): { appId: string; userId: string | null } {
  if (caller.kind === 'operator') throw new ForbiddenError('This is not for this kind of caller.');
  if (caller.kind === 'member') {
    if (appId !== null) return { appId, userId: null };
    const message = 'Say of which app: the account of a shared connector is connected once per app.';
    throw new ValidationError([{ path: 'appId', message }]);
  }
  const app = callingApp(caller) ?? requireUser(caller).app;
  if (appId !== null && appId !== app.id) throw new NotFoundError('app');
  return { appId: app.id, userId: callingUser(caller)?.userId ?? null };
}

export function createWatchStatus(deps: WatchDeps): WatchStatus {
  const views = new DataLoader<{ caller: Caller; id: string }, ConnectionView | null>(
    async (keys) => {
      const rows = await readRows(
        deps.db,
        keys.map(({ id }) => id),
        keys.flatMap(({ caller }) => workspacesOf(caller) ?? []),
      );
      return keys.map(({ caller, id }) => viewFor(rows, caller, id, deps.clock.now()));
    },
    { cache: false, maxBatchSize: store.mostReadsAtOnce, batchScheduleFn: store.gather },
  );

  const toRead = createTurns(readsPerTurn, rest);
  const toTell = createTurns(tellsPerTurn, rest);

  const held = createHolding({ each: maxStreamsOfCaller, all: maxStreams });

  let failures = 0;
  let warnedAt = Number.NEGATIVE_INFINITY;
  function warn(error: unknown): void {
    failures += 1;
    if (performance.now() < warnedAt + warnEveryMs) return;
    deps.log.warn({ err: error, failures }, 'statuses cannot be read; the streams stay open and try again');
    warnedAt = performance.now();
    failures = 0;
  }

  /** What there is to tell a user now, if they may still hear it. */
  async function presentOwn(identify: () => Promise<Caller>, key: Parameters<store.FindForStatus>[0]) {
    const [caller, row] = await Promise.all([identify(), deps.findForStatus(key)]);
    if (!callingUser(caller)) return endOf(caller);
    return { view: row && viewConnection(key.connectionId, row.connector, row.connection, deps.clock.now()) };
  }

  /** What there is to tell of a shared account now. What could be seen, and no longer can, was taken out of the caller's sight. */
  async function presentShared(wasSeen: boolean, identify: () => Promise<Caller>, id: string) {
    const caller = await identify();
    if (caller.kind === 'anonymous') return endOf(caller);
    if (!wasSeen) await requireShared(caller, id);
    const view = await views.load({ caller, id });
    return wasSeen && !view ? endOf(caller) : { view };
  }

  /** Of users' own connections nobody hears but they. */
  async function requireShared(caller: Caller, id: string): Promise<void> {
    const [connector] = await store.findConnectors(deps.db, [connectorOf(id) ?? ''], workspacesOf(caller));
    if (connector?.kind !== 'APP_USER') return;
    if (caller.kind !== 'member') requireUser(caller);
    const message = 'Each user has an account of their own at this connector, of which only they hear.';
    throw new ValidationError([{ path: 'connectorId', message }]);
  }

  async function* stream(
    changes: StatusSubscription,
    close: () => void,
    expiresAt: number,
    read: (wasSeen: boolean) => Promise<{ view: ConnectionView | null } | StreamEnd>,
    connectorId: string,
  ): AsyncGenerator<StatusChange | StreamEnd, void> {
    let told: string | null = null;
    let wasSeen = false;
    let wake: Wake = 'changed';
    let rereads = 0;
    try {
      while (wake !== 'closed') {
        const now = deps.clock.now().getTime();
        if (now >= expiresAt) return yield 'identity-token-expired';
        let next: number;
        try {
          await toRead();
          const found = await read(wasSeen);
          await toTell();
          if (typeof found === 'string') return yield found;
          const seen = hash('sha256', JSON.stringify(found.view), 'base64'); // shorter than what it stands for: there may be thousands
          if (seen !== told || wake === 'recovered') yield { connectorId, view: found.view, at: deps.clock.now() };
          told = seen;
          wasSeen = found.view !== null;
          next = Math.min(expiresAt, found.view?.endsAt?.getTime() ?? never, now + scattered(lookMs));
          rereads = 0;
        } catch (error) {
          if (told === null) throw error;
          // ended now, it would only be opened again at once, along with everybody else's
          warn(error);
          told = 'unknown';
          next = Math.min(expiresAt, now + scattered(Math.min(shortestRereadMs * 2 ** rereads, longestRereadMs)));
          rereads += 1;
        }
        wake = await changes.next(Math.max(0, next - deps.clock.now().getTime()));
      }
    } finally {
      close(); // a reader returns only from a stream that has not ended by itself
    }
  }

  return (caller, identify, connectorId, askedAppId = null) => {
    const { appId, userId } = watchedBy(caller, askedAppId);
    const id = connectionId(connectorId, appId, userId);
    const workspaces = (workspacesOf(caller) ?? []).map((workspaceId) => ({ workspaceId }));
    const release = held.take(holderOf(caller));
    if (!release) {
      const message = `There are ${maxStreamsOfCaller} subscriptions of yours open, or more of all than this service holds: end some, or try again in a minute.`;
      throw new RateLimitedError(tooManyRetrySeconds, message);
    }
    const changes = deps.events.subscribe([{ connectionId: id }, { connectorId }, ...workspaces]);
    const workspaceId = callingUser(caller)?.app.workspaceId;
    const read =
      workspaceId === undefined
        ? (wasSeen: boolean) => presentShared(wasSeen, identify, id)
        : () => presentOwn(identify, { connectorId, workspaceId, connectionId: id });
    const expiresAt = expiryOf(caller)?.getTime() ?? never;
    const close = () => {
      changes.close();
      release();
    };
    return new StatusStream(stream(changes, close, expiresAt, read, connectorId), close);
  };
}

class StatusStream implements AsyncIterableIterator<StatusChange | StreamEnd, void> {
  readonly #values: AsyncGenerator<StatusChange | StreamEnd, void>;
  readonly #close: () => void;

  constructor(values: AsyncGenerator<StatusChange | StreamEnd, void>, close: () => void) {
    this.#values = values;
    this.#close = close;
  }

  next(): Promise<IteratorResult<StatusChange | StreamEnd, void>> {
    return this.#values.next();
  }

  /** A generator that waits would only return after the next change: it is woken first. One that was never read has nothing to return from. */
  return(): Promise<IteratorResult<StatusChange | StreamEnd, void>> {
    this.#close();
    return this.#values.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function endOf(caller: Caller): StreamEnd {
  const hasExpired = caller.kind === 'anonymous' && caller.error instanceof IdentityTokenExpiredError;
  return hasExpired ? 'identity-token-expired' : 'access-ended';
}

/** So long, and by chance up to half of that longer: what began together must not come back together. */
function scattered(ms: number): number {
  return ms * (1 + Math.random() / 2);
}
