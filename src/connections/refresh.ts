import { randomUUID } from 'node:crypto';
import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { InFlight } from '../lib/in-flight.ts';
import type { Logger } from '../lib/logger.ts';
import { singleFlight } from '../lib/single-flight.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { AuthorizationServer, TokenGrant } from '../oauth/authorization-server.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { OAuthError, type OAuthVerdict } from '../oauth/failure.ts';
import { refreshGrant } from '../oauth/tokens.ts';
import { byService, recordAct } from '../workspaces/audit.ts';
import { actOn } from './audit.ts';
import { backoffMs, isRevoked } from './connection.ts';
import { noteAcceptance, noteRefusal } from './connector-refusal.ts';
import { clientOf, grantEnd, keptAnew, keptOf, openToken, sealGrant } from './grant.ts';
import { insist } from './insist.ts';
import { queueRevocation } from './outbox.ts';
import * as store from './store.ts';

/** Counts what refreshes come to. */
export interface RefreshMetrics {
  refresh(providerKey: string, verdict: OAuthVerdict['kind'] | 'refreshed'): void;
  leaseWait(): void;
}

export interface RefreshDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  events: StatusEvents;
  log: Logger;
  metrics: RefreshMetrics;
  tracing: Tracing;
  wakeWorker: () => void;
  /** A stop waits for what is tracked. */
  track: InFlight['track'];
  /** How long a request waits for its provider now, where that is not as usual. */
  refreshTimeoutMs?: () => number;
}

/**
 * How a refresh ended.
 * - `moved`: there are newer tokens than the version asked about, by us or somebody else. Read again.
 * - `ended`: disconnected, refused or reconnected meanwhile. Read again.
 * - `unavailable`: nothing is decided; not before `retryAfterSeconds`. `error`: why, where this refresh has found it out.
 */
export type RefreshOutcome =
  | { kind: 'moved' }
  | { kind: 'ended' }
  | { kind: 'unavailable'; retryAfterSeconds: number; error: OAuthError | null };

/** Refreshes the given version of a connection's tokens, exactly once however many ask. Never throws for what a provider does. */
export type Refresh = (connectionId: string, version: number) => Promise<RefreshOutcome>;

type ForRefresh = NonNullable<Awaited<ReturnType<typeof store.findForRefresh>>>;

const leaseMs = 8_000;
/** Longer than other requests wait: the answer that is not waited for may be the one with the new tokens. */
const requestTimeoutMs = 30_000;
/** How long a loser waits before it looks again: most refreshes are quick, a slow one is not worth asking after often. */
const firstPollMs = 25;
const longestPollMs = 250;
const misconfiguredWaitMs = 10_000;
/** So long are tokens kept that the database does not take: a process that has them must not be the one to give up. */
const storeForMs = 600_000;
/**
 * So long a lease that lapsed with its request under way is left alone after it was first seen: whoever holds the answer may only
 * have been cut off from the database, and writes it as soon as that is back.
 */
const graceMs = 1_500;

/**
 * Makes the fenced refresh: collapse in this process; take a lease in the row, so that of all processes one calls; read again;
 * call; write only if nobody has written since. A loser waits for the winner and never calls unfenced.
 */
export function createRefresh(deps: RefreshDeps): Refresh {
  const collapse = singleFlight<RefreshOutcome>();
  return (connectionId, version) =>
    collapse(`${connectionId}:${version}`, () =>
      deps.track(
        deps.tracing.span('token refresh', async () => {
          const outcome = await fenced(deps, connectionId, version);
          deps.tracing.note({ 'connectors.outcome': outcome.kind });
          return outcome;
        }),
      ),
    );
}

async function fenced(deps: RefreshDeps, connectionId: string, version: number): Promise<RefreshOutcome> {
  let abandoned: string | null = null;
  for (let turn = 0; ; turn += 1) {
    const now = deps.clock.now();
    const leaseToken = randomUUID();
    const leaseUntil = new Date(now.getTime() + leaseMs);
    await store.takeLease(deps.db, { connectionId, version }, { leaseToken, leaseUntil }, now, abandoned);
    const row = await store.findForRefresh(deps.db, connectionId);
    if (!row || row.connection.refusedAt || row.connection.disconnectedAt) return { kind: 'ended' };
    if (row.version !== version) return { kind: 'moved' };
    if (row.leaseToken === leaseToken) {
      const outcome = await holdingLease(deps, row, leaseToken);
      if (outcome.kind !== 'overtaken') return outcome;
      continue;
    }
    if (row.retryAt && row.retryAt > now) {
      const { refusal } = row.connection.connector; // what the provider refused a moment ago is still what is to be mended
      const error = refusal && new OAuthError({ kind: 'misconfigured', code: refusal }, 'a setting was refused');
      return { kind: 'unavailable', retryAfterSeconds: secondsUntil(row.retryAt, now), error };
    }
    const isAbandoned = row.attemptedAt !== null && row.leaseUntil !== null && row.leaseUntil <= now;
    if (turn === 0) deps.metrics.leaseWait();
    await sleep(isAbandoned ? graceMs : Math.min(firstPollMs * 2 ** turn, longestPollMs) * (1 + Math.random()));
    if (isAbandoned) abandoned = row.leaseToken;
  }
}

/** The lease lapsed before the request had left: whoever holds it now decides. */
type Overtaken = { kind: 'overtaken' };

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function holdingLease(
  deps: RefreshDeps,
  row: ForRefresh,
  leaseToken: string,
): Promise<RefreshOutcome | Overtaken> {
  const { connectionId } = row;
  const lease: Lease = { token: leaseToken, until: row.leaseUntil ?? deps.clock.now() };
  const renewal = setInterval(() => {
    renew(deps, connectionId, lease).catch((error: unknown) => {
      deps.log.warn({ err: error, connectionId }, 'the lease of a refresh could not be renewed');
    });
  }, leaseMs / 3);
  try {
    return await attempt(deps, row, lease);
  } catch (error) {
    await store.releaseLease(deps.db, { connectionId, leaseToken }, {});
    throw error;
  } finally {
    clearInterval(renewal);
  }
}

/** A lease as its holder knows it. */
interface Lease {
  token: string;
  /** When it lapses unless it is renewed: as the database last confirmed. */
  until: Date;
}

async function renew(deps: RefreshDeps, connectionId: string, lease: Lease): Promise<void> {
  const until = new Date(deps.clock.now().getTime() + leaseMs);
  const isOurs = await store.extendLease(deps.db, connectionId, lease.token, until);
  lease.until = isOurs ? until : new Date(0);
}

async function attempt(deps: RefreshDeps, row: ForRefresh, lease: Lease): Promise<RefreshOutcome | Overtaken> {
  const { connection, connectionId, refreshTokenSealed } = row;
  const { connector } = connection;
  const leaseToken = lease.token;
  if (
    refreshTokenSealed === null ||
    connector.deletedAt ||
    isRevoked(connector, connection) ||
    connector.clientFingerprint !== connection.clientFingerprint ||
    (connection.grantExpiresAt && connection.grantExpiresAt <= deps.clock.now())
  ) {
    await store.releaseLease(deps.db, { connectionId, leaseToken }, {});
    // a grant goes to no other client, and to no other address, than it was given for; one that has ended goes nowhere
    return { kind: 'ended' };
  }
  // A process that slept for longer than its lease must not send what another may have sent since. The last look is when the
  // connection to the provider stands, just before the request is written.
  let mayLeave = true;
  const fetch: ProviderFetch = (url, init) =>
    deps.fetch(url, { ...init, mayLeave: () => (mayLeave = deps.clock.now() < lease.until) });
  let server: AuthorizationServer;
  let grant: TokenGrant;
  try {
    server = await deps.resolveServer(connector, keptOf(connection));
    const client = await clientOf(deps, connector);
    if (!client) {
      await store.releaseLease(deps.db, { connectionId, leaseToken }, {});
      return { kind: 'ended' };
    }
    const refreshToken = openToken(deps.keyring, connectionId, 'refreshToken', refreshTokenSealed);
    const now = deps.clock.now();
    const until = new Date(now.getTime() + leaseMs);
    if (!(await store.recordAttempt(deps.db, { connectionId, leaseToken }, now, until))) return { kind: 'overtaken' };
    lease.until = until;
    const timeoutMs = deps.refreshTimeoutMs?.() ?? requestTimeoutMs;
    if (row.attemptedAt) {
      deps.log.info({ connectionId }, 'the answer of the last refresh was lost: its refresh token is tried once more');
    }
    grant = await refreshGrant({ fetch, server, client, refreshToken, timeoutMs });
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    return mayLeave ? failed(deps, row, leaseToken, error) : { kind: 'overtaken' };
  }
  tell(deps, connector.providerKey, 'refreshed');
  return succeeded(deps, row, leaseToken, server, grant);
}

/**
 * The new tokens are stored before anything else happens: the provider may have ended the old ones already. If the lease has lapsed
 * meanwhile they are still the tokens that the provider answered first; but another may have shown the old refresh token again, for
 * which some providers end the whole grant. Then they are stored as expired, so that the next read asks and hears the truth.
 */
async function succeeded(
  deps: RefreshDeps,
  row: ForRefresh,
  leaseToken: string,
  server: AuthorizationServer,
  grant: TokenGrant,
): Promise<RefreshOutcome> {
  const { connection, connectionId, version } = row;
  const now = deps.clock.now();
  const tokens = sealGrant(deps.keyring, connectionId, grant, now, row.refreshTokenSealed);
  const write = async (tx: Tx): Promise<'moved' | 'ended'> => {
    const before = await store.lockWithCredential(tx, connectionId);
    const isDoubtful = Boolean(before?.refusedAt) || before?.credential?.leaseToken !== leaseToken;
    const kept = isDoubtful ? { ...tokens, accessTokenExpiresAt: now } : tokens;
    const stored = await store.storeRefreshed(tx, { connectionId, version }, kept, {
      lastRefreshedAt: now,
      lastVerifiedAt: now,
      refusedAt: null,
      grantExpiresAt: grantEnd(tokens, { ...server, refreshes: true }),
      ...(grant.scopes && { grantedScopes: grant.scopes }),
      ...(grant.kept.length > 0 && { connectionConfig: keptAnew(before ?? connection, grant.kept) }),
    });
    if (stored) {
      await recordAct(deps, tx, byService, { act: 'TOKEN_REFRESHED', ...actOn(connection) });
      return 'moved';
    }
    const isLive = Boolean(before?.credential);
    if (isLive && before?.connectedAt.getTime() === connection.connectedAt.getTime()) return 'moved'; // refreshed by another
    // disconnected or reconnected while the provider answered: what it gave must not live on, nor take the new grant with it
    const sharesGrant = isLive && server.revocationReach === 'account';
    await queueRevocation(deps, tx, { ...connection, connectionId }, grant, sharesGrant ? null : now);
    return isLive ? 'moved' : 'ended';
  };
  const kind = await insist(deps, storeForMs, () => deps.db.$transaction(write));
  deps.events.publish({ connectionId });
  await noteAcceptance(deps, connection.connector);
  if (kind === 'ended') deps.wakeWorker();
  return { kind };
}

async function failed(
  deps: RefreshDeps,
  row: ForRefresh,
  leaseToken: string,
  error: OAuthError,
): Promise<RefreshOutcome> {
  const { connectionId, version } = row;
  const { verdict } = error;
  const now = deps.clock.now();
  const { connectorId } = row.connection;
  const afterLostAnswer = row.attemptedAt !== null;
  deps.log.warn({ connectionId, connectorId, verdict, afterLostAnswer }, 'a refresh failed');
  tell(deps, row.connection.connector.providerKey, verdict.kind);
  await noteRefusal(deps, row.connection.connector, verdict);
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
  return { kind: 'unavailable', retryAfterSeconds: secondsUntil(retryAt, now), error };
}

function tell({ metrics, tracing }: RefreshDeps, provider: string, verdict: OAuthVerdict['kind'] | 'refreshed'): void {
  metrics.refresh(provider, verdict);
  tracing.note({ 'connectors.provider': provider, 'connectors.verdict': verdict });
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
