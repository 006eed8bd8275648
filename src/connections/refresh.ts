import { randomUUID } from 'node:crypto';
import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { singleFlight } from '../lib/single-flight.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { AuthorizationServer, TokenGrant } from '../oauth/authorization-server.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { OAuthError, type OAuthVerdict } from '../oauth/failure.ts';
import { refreshGrant } from '../oauth/tokens.ts';
import { byService, recordAct } from '../workspaces/audit.ts';
import { actOn } from './audit.ts';
import { backoffMs } from './connection.ts';
import { noteAcceptance, noteRefusal } from './connector-refusal.ts';
import { clientOf, grantEnd, openToken, sealGrant } from './grant.ts';
import { queueRevocation } from './outbox.ts';
import * as store from './store.ts';

export interface RefreshDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  events: StatusEvents;
  log: Logger;
  wakeWorker: () => void;
}

/**
 * How a refresh ended.
 * - `moved`: there are newer tokens than the version asked about, by us or somebody else. Read again.
 * - `ended`: disconnected, refused or reconnected meanwhile. Read again.
 * - `unavailable`: nothing is decided; not before `retryAfterSeconds`. `misconfigured`: an admin must act.
 */
export type RefreshOutcome =
  | { kind: 'moved' }
  | { kind: 'ended' }
  | { kind: 'unavailable'; retryAfterSeconds: number; misconfigured: boolean };

/** Refreshes the given version of a connection's tokens, exactly once however many ask. Never throws for what a provider does. */
export type Refresh = (connectionId: string, version: number) => Promise<RefreshOutcome>;

type ForRefresh = NonNullable<Awaited<ReturnType<typeof store.findForRefresh>>>;

const leaseMs = 10_000;
const requestTimeoutMs = 30_000;
/** How long a loser waits before it looks again: most refreshes are quick, a slow one is not worth asking after often. */
const firstPollMs = 25;
const longestPollMs = 250;
const storeRetryMs = 150;
const misconfiguredWaitMs = 10_000;
const storeAttempts = 6;

/**
 * Makes the fenced refresh: collapse in this process; take a lease in the row, so that of all processes one calls; read again;
 * call; write only if nobody has written since. A loser waits for the winner and never calls unfenced.
 */
export function createRefresh(deps: RefreshDeps): Refresh {
  const collapse = singleFlight<RefreshOutcome>();
  return (connectionId, version) => collapse(`${connectionId}:${version}`, () => fenced(deps, connectionId, version));
}

async function fenced(deps: RefreshDeps, connectionId: string, version: number): Promise<RefreshOutcome> {
  for (let turn = 0; ; turn += 1) {
    const now = deps.clock.now();
    const leaseToken = randomUUID();
    const leaseUntil = new Date(now.getTime() + leaseMs);
    await store.takeLease(deps.db, { connectionId, version }, { leaseToken, leaseUntil }, now);
    const row = await store.findForRefresh(deps.db, connectionId);
    if (!row || row.connection.refusedAt || row.connection.disconnectedAt) return { kind: 'ended' };
    if (row.version !== version) return { kind: 'moved' };
    if (row.leaseToken === leaseToken) {
      const outcome = await holdingLease(deps, row, leaseToken);
      if (outcome.kind !== 'overtaken') return outcome;
      continue;
    }
    if (row.retryAt && row.retryAt > now) {
      return { kind: 'unavailable', retryAfterSeconds: secondsUntil(row.retryAt, now), misconfigured: false };
    }
    const waitMs = Math.min(firstPollMs * 2 ** turn, longestPollMs);
    await new Promise((resolve) => setTimeout(resolve, waitMs * (1 + Math.random())));
  }
}

/** The lease lapsed before the request had left: whoever holds it now decides. */
type Overtaken = { kind: 'overtaken' };

async function holdingLease(
  deps: RefreshDeps,
  row: ForRefresh,
  leaseToken: string,
): Promise<RefreshOutcome | Overtaken> {
  const { connectionId } = row;
  const renewal = setInterval(() => {
    const leaseUntil = new Date(deps.clock.now().getTime() + leaseMs);
    store.extendLease(deps.db, connectionId, leaseToken, leaseUntil).catch((error: unknown) => {
      deps.log.warn({ err: error, connectionId }, 'the lease of a refresh could not be renewed');
    });
  }, leaseMs / 3);
  try {
    return await attempt(deps, row, leaseToken);
  } catch (error) {
    await store.releaseLease(deps.db, { connectionId, leaseToken }, {});
    throw error;
  } finally {
    clearInterval(renewal);
  }
}

async function attempt(deps: RefreshDeps, row: ForRefresh, leaseToken: string): Promise<RefreshOutcome | Overtaken> {
  const { connection, connectionId, refreshTokenSealed } = row;
  const { connector } = connection;
  if (
    refreshTokenSealed === null ||
    connector.deletedAt ||
    connector.clientFingerprint !== connection.clientFingerprint
  ) {
    await store.releaseLease(deps.db, { connectionId, leaseToken }, {});
    return { kind: 'ended' }; // a grant goes to no other client, and to no other address, than it was given for
  }
  let server: AuthorizationServer;
  let grant: TokenGrant;
  try {
    server = await deps.resolveServer(connector);
    const client = clientOf(deps.keyring, connector);
    const refreshToken = openToken(deps.keyring, connectionId, 'refreshToken', refreshTokenSealed);
    const now = deps.clock.now();
    const leaseUntil = new Date(now.getTime() + leaseMs);
    const isRecorded = await store.recordAttempt(deps.db, { connectionId, leaseToken }, now, leaseUntil);
    // a process that slept for longer than its lease, even in this write, must not send what another may have sent since
    if (!isRecorded || deps.clock.now() >= leaseUntil) return { kind: 'overtaken' };
    if (row.attemptedAt) {
      deps.log.info({ connectionId }, 'the answer of the last refresh was lost: its refresh token is tried once more');
    }
    grant = await refreshGrant({ fetch: deps.fetch, server, client, refreshToken, timeoutMs: requestTimeoutMs });
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    return failed(deps, row, leaseToken, error.verdict);
  }
  return succeeded(deps, row, server, grant);
}

/**
 * The new tokens are stored before anything else happens: the provider may have ended the old ones already. Whose lease it is by
 * now does not matter: if it lapsed, these are still the tokens that the provider answered first.
 */
async function succeeded(
  deps: RefreshDeps,
  row: ForRefresh,
  server: AuthorizationServer,
  grant: TokenGrant,
): Promise<RefreshOutcome> {
  const { connection, connectionId, version } = row;
  const now = deps.clock.now();
  const tokens = sealGrant(deps.keyring, connectionId, grant, now, row.refreshTokenSealed);
  const write = async (tx: Tx): Promise<'moved' | 'ended'> => {
    const stored = await store.storeRefreshed(tx, { connectionId, version }, tokens, {
      lastRefreshedAt: now,
      lastVerifiedAt: now,
      refusedAt: null,
      grantExpiresAt: grantEnd(tokens, true),
      ...(grant.scopes && { grantedScopes: grant.scopes }),
    });
    if (stored) {
      await recordAct(deps, tx, byService, { act: 'TOKEN_REFRESHED', ...actOn(connection) });
      return 'moved';
    }
    const present = await store.lockWithCredential(tx, connectionId);
    const isLive = Boolean(present?.credential);
    if (isLive && present?.connectedAt.getTime() === connection.connectedAt.getTime()) return 'moved'; // refreshed by another
    // disconnected or reconnected while the provider answered: what it gave must not live on, nor take the new grant with it
    const sharesGrant = isLive && server.revocationReach === 'account';
    await queueRevocation(deps, tx, { ...connection, connectionId }, grant, sharesGrant ? null : now);
    return isLive ? 'moved' : 'ended';
  };
  const kind = await insist(deps.log, () => deps.db.$transaction(write));
  deps.events.publish({ connectionId });
  await noteAcceptance(deps, connection.connector);
  if (kind === 'ended') deps.wakeWorker();
  return { kind };
}

/** Repeats a write that the database refuses for the moment: what it is to keep exists nowhere else. */
async function insist<T>(log: Logger, write: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await write();
    } catch (error) {
      if (attempts === storeAttempts) throw error;
      log.warn({ err: error, attempts }, 'refreshed tokens could not be stored; they are kept and tried again');
      await new Promise((resolve) => setTimeout(resolve, storeRetryMs * 2 ** attempts));
    }
  }
}

async function failed(
  deps: RefreshDeps,
  row: ForRefresh,
  leaseToken: string,
  verdict: OAuthVerdict,
): Promise<RefreshOutcome> {
  const { connectionId, version } = row;
  const now = deps.clock.now();
  const { connectorId } = row.connection;
  const afterLostAnswer = row.attemptedAt !== null;
  deps.log.warn({ connectionId, connectorId, verdict, afterLostAnswer }, 'a refresh failed');
  await noteRefusal(deps, connectorId, verdict);
  if (verdict.kind === 'reauthorize') {
    // refused for good, unless somebody else has stored newer tokens: then it was a race
    const refused = await deps.db.$transaction(async (tx) => {
      const recorded = await store.recordRefusal(tx, { connectionId, version }, now);
      if (!recorded) return false;
      await store.releaseParkedRevocations(tx, row.connection, now);
      const act = { act: 'GRANT_REFUSED', outcome: 'RECONNECT_REQUIRED', ...actOn(row.connection) } as const;
      await recordAct(deps, tx, byService, act);
      return true;
    });
    if (refused) deps.events.publish({ connectionId });
    return { kind: refused ? 'ended' : 'moved' };
  }
  const failures = row.failures + 1;
  const retryAt = new Date(now.getTime() + waitAfter(verdict, failures));
  const lost = verdict.kind === 'retry' && verdict.lost;
  const outcome = verdict.kind === 'misconfigured' ? verdict.code : 'PROVIDER_UNAVAILABLE';
  await deps.db.$transaction(async (tx) => {
    const lesson = { failures, retryAt, ...(!lost && { attemptedAt: null }) };
    await store.releaseLease(tx, { connectionId, leaseToken }, lesson);
    await recordAct(deps, tx, byService, { act: 'TOKEN_REFRESHED', outcome, ...actOn(row.connection) });
  });
  return {
    kind: 'unavailable',
    retryAfterSeconds: secondsUntil(retryAt, now),
    misconfigured: verdict.kind === 'misconfigured',
  };
}

/**
 * What an admin mends should work soon after: a misconfiguration does not back off further. Retry-After is the least wait, not
 * the whole of it: a provider may say 0.
 */
function waitAfter(verdict: OAuthVerdict, failures: number): number {
  if (verdict.kind === 'misconfigured') return misconfiguredWaitMs;
  const askedSeconds = verdict.kind === 'retry' ? (verdict.retryAfterSeconds ?? 0) : 0;
  return Math.max(askedSeconds * 1000, backoffMs(failures));
}

function secondsUntil(instant: Date, now: Date): number {
  return Math.max(1, Math.ceil((instant.getTime() - now.getTime()) / 1000));
}
