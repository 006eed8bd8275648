import { hash } from 'node:crypto';
import { ConnectorDisabledError, ConnectorIncompleteError } from '../connectors/errors.ts';
import type { Plan } from '../db/generated/prisma/enums.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { NotFoundError, PlanRequiredError } from '../workspaces/errors.ts';
import { connectorPlan, planIncludesConnectors } from '../workspaces/plan.ts';

/** Why a person must consent again. GRANT_EXPIRED: expired, and the provider gave nothing to refresh with. */
export type ReconnectReason = 'SCOPES_CHANGED' | 'CREDENTIALS_CHANGED' | 'ACCESS_REVOKED' | 'GRANT_EXPIRED';

/** What a connection is at an instant. */
export type Status =
  | { status: 'NOT_CONNECTED' }
  | { status: 'CONNECTED' }
  | { status: 'RECONNECT_REQUIRED'; reason: ReconnectReason }
  | { status: 'UNAVAILABLE'; problem: DomainError };

/** What the status is derived from. Nothing is written when a connector changes: the facts simply stop agreeing. */
export interface StatusFacts {
  connector: {
    deletedAt: Date | null;
    complete: boolean;
    plan: Plan;
    /** Whether the workspace has its provider switched on for this kind of connector. */
    available: boolean;
    providerKey: string;
    clientFingerprint: string;
    scopesFingerprint: string;
    grantsRevokedAt: Date | null;
  } | null;
  connection: {
    clientFingerprint: string;
    scopesFingerprint: string;
    connectedAt: Date;
    refusedAt: Date | null;
    grantExpiresAt: Date | null;
    disconnectedAt: Date | null;
  } | null;
}

/** Derives the status: what blocks everybody first, then what only a new consent heals, then the rest. */
export function deriveStatus({ connector, connection }: StatusFacts, now: Date): Status {
  const problem = connectorProblem(connector);
  if (problem || !connector) return { status: 'UNAVAILABLE', problem: problem ?? new NotFoundError('connector') };
  if (!connection || connection.disconnectedAt) return { status: 'NOT_CONNECTED' };
  const reason = reconnectReason(connector, connection, now);
  return reason ? { status: 'RECONNECT_REQUIRED', reason } : { status: 'CONNECTED' };
}

/** What stops a connector from being used by anybody; null where nothing does. */
export function connectorProblem(connector: StatusFacts['connector']): DomainError | null {
  if (!connector || connector.deletedAt) return new NotFoundError('connector');
  if (!planIncludesConnectors(connector.plan)) return new PlanRequiredError(connectorPlan, connector.plan);
  if (!connector.available) return new ConnectorDisabledError({ provider: connector.providerKey });
  return connector.complete ? null : new ConnectorIncompleteError();
}

function reconnectReason(
  connector: NonNullable<StatusFacts['connector']>,
  connection: NonNullable<StatusFacts['connection']>,
  now: Date,
): ReconnectReason | null {
  if (connection.refusedAt || isRevoked(connector, connection)) return 'ACCESS_REVOKED';
  if (connection.clientFingerprint !== connector.clientFingerprint) return 'CREDENTIALS_CHANGED';
  if (connection.grantExpiresAt && connection.grantExpiresAt <= now) return 'GRANT_EXPIRED';
  return connection.scopesFingerprint === connector.scopesFingerprint ? null : 'SCOPES_CHANGED';
}

/** Whether a connection stands on a grant from before all of its connector's were revoked. */
export function isRevoked(
  { grantsRevokedAt }: { grantsRevokedAt: Date | null },
  { connectedAt }: { connectedAt: Date },
): boolean {
  return grantsRevokedAt !== null && connectedAt <= grantsRevokedAt;
}

/** What was asked for and not granted, in the order asked. `aliases`: what the provider grants under another name, or (empty) under none. */
export function missingScopes(
  requested: readonly string[],
  granted: readonly string[],
  aliases: Readonly<Record<string, string>>,
): string[] {
  return requested.filter((scope) => {
    if (granted.includes(scope)) return false;
    const alias = Object.hasOwn(aliases, scope) ? aliases[scope] : undefined;
    return alias !== '' && (alias === undefined || !granted.includes(alias));
  });
}

/**
 * The id of the connection between a connector, an app and a user (null: the account shared by the app). The same before,
 * during and after being connected, and it names the connector, so that one that has no row yet can be found by it.
 */
export function connectionId(connectorId: string, appId: string, userId: string | null): string {
  const subject = hash('sha256', JSON.stringify([appId, userId]), 'base64url').slice(0, 22);
  return `${connectorId}.${subject}`;
}

/** The connector that a connection id names; null where the id is of no such form. */
export function connectorOf(id: string): string | null {
  const [connectorId, subject, ...rest] = id.split('.');
  return connectorId && subject && rest.length === 0 ? connectorId : null;
}

/** Whose account a member's flow would replace without having been asked to; null where there is nobody else's. */
export function ownerInTheWay(
  connection: { ownedBy: string | null; disconnectedAt: Date | null } | null,
  flow: { startedBy: string | null; takeOver: boolean },
): string | null {
  if (!connection || connection.disconnectedAt || flow.takeOver) return null;
  return connection.ownedBy === flow.startedBy ? null : connection.ownedBy;
}

/** What is known of a stored access token, without the token. Instants in the service's own clock. */
export interface CredentialFacts {
  fingerprint: string;
  issuedAt: Date;
  accessTokenExpiresAt: Date | null;
  refreshable: boolean;
}

/** What the caller of a token read asks for. */
export interface TokenDemand {
  minValidityMs: number;
  /** The fingerprint of a token that the provider has refused. */
  rejectedTokenFingerprint: string | null;
}

/** What to do about a token read, and why. */
export type RefreshDecision =
  | { act: 'serve'; reason: 'fresh' | 'no-expiry' | 'just-issued' | 'not-refreshable' }
  | { act: 'serve-and-refresh'; reason: 'within-margin' }
  | { act: 'refresh-and-serve'; reason: 'expired' | 'too-short' | 'rejected' }
  | { act: 'verify'; reason: 'rejected-and-not-refreshable' }
  | { act: 'fail'; reason: 'expired-and-not-refreshable' };

const minuteMs = 60_000;

/** How long before its end a token is refreshed: a quarter of an hour where it lives longer than an hour, else 15 % of its life. */
export function refreshMarginMs(lifetimeMs: number): number {
  return lifetimeMs > 60 * minuteMs ? 15 * minuteMs : lifetimeMs * 0.15;
}

/** A token this close to its end would not survive the way to the provider: it counts as expired. */
function lastUseMarginMs(lifetimeMs: number): number {
  return Math.min(5_000, lifetimeMs * 0.1);
}

/** Decides what a token read does. Pure: what follows from it is done in token.ts. */
export function refreshDecision(credential: CredentialFacts, now: Date, demand: TokenDemand): RefreshDecision {
  if (demand.rejectedTokenFingerprint === credential.fingerprint) {
    return credential.refreshable
      ? { act: 'refresh-and-serve', reason: 'rejected' }
      : { act: 'verify', reason: 'rejected-and-not-refreshable' };
  }
  if (!credential.accessTokenExpiresAt) return { act: 'serve', reason: 'no-expiry' };
  const lifetimeMs = credential.accessTokenExpiresAt.getTime() - credential.issuedAt.getTime();
  const remainingMs = credential.accessTokenExpiresAt.getTime() - now.getTime();
  if (remainingMs <= lastUseMarginMs(lifetimeMs)) {
    return credential.refreshable
      ? { act: 'refresh-and-serve', reason: 'expired' }
      : { act: 'fail', reason: 'expired-and-not-refreshable' };
  }
  if (!credential.refreshable) return { act: 'serve', reason: 'not-refreshable' };
  if (remainingMs < demand.minValidityMs) {
    return now.getTime() - credential.issuedAt.getTime() < minuteMs
      ? { act: 'serve', reason: 'just-issued' }
      : { act: 'refresh-and-serve', reason: 'too-short' };
  }
  if (remainingMs <= refreshMarginMs(lifetimeMs)) return { act: 'serve-and-refresh', reason: 'within-margin' };
  return { act: 'serve', reason: 'fresh' };
}

/** How long to wait after a number of failed refreshes in a row: doubling from 2 s to 5 min, with up to half of it by chance. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const base = Math.min(2_000 * 2 ** Math.max(0, failures - 1), 5 * minuteMs);
  return Math.round(base * (0.5 + random() / 2));
}
