import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { Db } from '../db/client.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import type { Secret } from '../lib/secret.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { AuthorizationServer } from '../oauth/authorization-server.ts';
import { OAuthError } from '../oauth/failure.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { fetchAccount } from '../oauth/identity.ts';
import { byService, recordAct } from '../workspaces/audit.ts';
import {
  type Caller,
  type CallerApp,
  CallerOutdated,
  callingApp,
  callingUser,
  requireBackend,
  type RecalledKey,
  requireBackendWithUser,
} from '../workspaces/caller.ts';
import { NotFoundError, ValidationError } from '../workspaces/errors.ts';
import type { NoteTokenRead } from '../workspaces/audit-reads.ts';
import type { RateLimiter } from '../workspaces/rate-limits.ts';
import { actOn, auditedRead } from './audit.ts';
import { connectionId, refreshDecision, type TokenDemand } from './connection.ts';
import { NotConnectedError, ProviderUnavailableError, ReconnectRequiredError } from './errors.ts';
import { keptOf, openToken } from './grant.ts';
import { refreshFailure } from './provider-failure.ts';
import type { Refresh } from './refresh.ts';
import { type ConnectionView, viewConnection } from './status.ts';
import * as store from './store.ts';

export interface TokenDeps {
  db: Db;
  findForRead: store.FindForRead;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  events: StatusEvents;
  refresh: Refresh;
  /** Goes on with a promise after the answer; a stop waits for it. */
  background: (work: Promise<unknown>) => void;
  noteTokenRead: NoteTokenRead;
  tracing: Tracing;
  limits: RateLimiter;
}

/** What a token read asks for beyond the connector. */
export interface TokenReadOptions {
  /** The token must be good for at least this long. */
  minValiditySeconds: number | null;
  /** Serve the old token while SCOPES_CHANGED waits for the user. */
  acceptOutdatedScopes: boolean;
  /** First 16 hex digits of the SHA-256 of a token that the provider refused. */
  rejectedTokenFingerprint: string | null;
}

/** A token, and what is known of it. */
export interface TokenAnswer {
  accessToken: Secret;
  tokenType: string;
  accessTokenExpiresAt: Date | null;
  accessTokenFingerprint: string;
  providerKey: string;
  connection: ConnectionView;
}

const longestValiditySeconds = 86_400;

/**
 * The calling user's access token for a connector, fresh enough. While the stored one is good nobody waits for the provider.
 * @throws UnauthenticatedError, ForbiddenError (a user's credential alone), NotFoundError, PlanRequiredError,
 * ConnectorIncompleteError, ValidationError, NotConnectedError, ReconnectRequiredError, ProviderUnavailableError
 */
export function readToken(
  deps: TokenDeps,
  caller: Caller,
  connectorId: string,
  options: TokenReadOptions,
): Promise<TokenAnswer> {
  const idOf = () => {
    const user = callingUser(caller);
    return user && connectionId(connectorId, user.app.id, user.userId);
  };
  return auditedRead(deps, caller, connectorId, idOf, () => {
    const { app, userId } = requireBackendWithUser(caller);
    return readTokenOf(deps, { app, userId, recalled: recalledKey(caller) }, connectorId, options);
  });
}

/**
 * The access token of the account that the calling app shares, fresh enough. Needs the app's key alone.
 * @throws as readToken
 */
export function readSharedToken(
  deps: TokenDeps,
  caller: Caller,
  connectorId: string,
  options: Omit<TokenReadOptions, 'acceptOutdatedScopes'>,
): Promise<TokenAnswer> {
  const idOf = () => {
    const app = callingApp(caller);
    return app && connectionId(connectorId, app.id, null);
  };
  return auditedRead(deps, caller, connectorId, idOf, () => {
    const subject = { app: requireBackend(caller), userId: null, recalled: recalledKey(caller) };
    return readTokenOf(deps, subject, connectorId, { ...options, acceptOutdatedScopes: false });
  });
}

function recalledKey(caller: Caller): RecalledKey | null {
  return (caller.kind === 'backend-function' && caller.recalled) || null;
}

/** The token of an app's user or, where `userId` is null, of its shared account. */
async function readTokenOf(
  deps: TokenDeps,
  { app, userId, recalled }: { app: CallerApp; userId: string | null; recalled: RecalledKey | null },
  connectorId: string,
  options: TokenReadOptions,
): Promise<TokenAnswer> {
  const demand = readDemand(options);
  await deps.limits.take('token-reads-by-app', app.id);
  await deps.limits.take('token-reads', `${app.id} ${userId === null ? 'shared' : `user ${userId}`}`);
  const key = {
    connectorId,
    workspaceId: app.workspaceId,
    connectionId: connectionId(connectorId, app.id, userId),
    appKeyId: recalled?.keyId ?? null,
  };
  // Each turn acts on one version of the tokens. A refresh moves it; the second turn serves what it brought.
  for (let turn = 0; ; turn += 1) {
    const row = await deps.findForRead(key);
    if (recalled && row?.appAsOf?.getTime() !== recalled.appAsOf.getTime()) throw new CallerOutdated();
    if (!row || row.connector.deletedAt) throw new NotFoundError('connector');
    deps.tracing.note({ 'connectors.provider': row.connector.providerKey });
    assertKind(row.connector.kind, userId);
    const now = deps.clock.now();
    const view = viewConnection(key.connectionId, row.connector, row.connection, now);
    assertReadable(view, options.acceptOutdatedScopes);
    const { credential } = row;
    if (!credential) throw new NotConnectedError();
    const { fingerprint, issuedAt, accessTokenExpiresAt } = credential;
    const facts = { fingerprint, issuedAt, accessTokenExpiresAt, refreshable: credential.refreshTokenSealed !== null };
    const decision = refreshDecision(facts, now, turn === 0 ? demand : { ...demand, rejectedTokenFingerprint: null });
    // what a caller says of its token makes the provider be asked: now and then that is so, all the time it is not
    if (turn === 0 && demand.rejectedTokenFingerprint === credential.fingerprint)
      await deps.limits.take('rejected-tokens', key.connectionId);
    switch (decision.act) {
      case 'serve-and-refresh':
        // while a back-off runs there is nothing to ask the database about
        if (!credential.retryAt || credential.retryAt <= now) {
          deps.background(deps.refresh(key.connectionId, credential.version));
        }
        return serve(deps, credential, row.connector, view);
      case 'serve':
        return serve(deps, credential, row.connector, view);
      case 'verify':
        await verify(deps, row);
        break;
      case 'fail':
        throw new ReconnectRequiredError('GRANT_EXPIRED', view.missingScopes);
      case 'refresh-and-serve': {
        const outcome = await deps.refresh(key.connectionId, credential.version);
        if (outcome.kind === 'unavailable')
          throw refreshFailure(outcome.error, outcome.retryAfterSeconds, row.connector);
        break;
      }
    }
    if (turn >= maxTurns) throw new ProviderUnavailableError(1);
  }
}

/** A connector has accounts of one kind only: the other read would never find one. */
function assertKind(kind: ConnectorKind, userId: string | null): void {
  if (kind === (userId === null ? 'SHARED' : 'APP_USER')) return;
  const message =
    kind === 'SHARED'
      ? 'The account of this connector is shared by the whole app: read it with sharedConnection.'
      : 'Each user has an account of their own at this connector: read it with currentAppUserConnection.';
  throw new ValidationError([{ path: 'connectorId', message }]);
}

/** More than enough for a refresh that others overtake; it stops a provider whose tokens are born expired. */
const maxTurns = 3;

function serve(
  deps: TokenDeps,
  credential: store.ReadCredential,
  { providerKey }: store.ReadConnector,
  view: ConnectionView,
): TokenAnswer {
  return {
    accessToken: openToken(deps.keyring, credential.connectionId, 'accessToken', credential.accessTokenSealed),
    tokenType: credential.tokenType,
    accessTokenExpiresAt: credential.accessTokenExpiresAt,
    accessTokenFingerprint: credential.fingerprint,
    providerKey,
    connection: view,
  };
}

function assertReadable(view: ConnectionView, acceptOutdatedScopes: boolean): void {
  if (view.problem) throw view.problem;
  if (view.status === 'NOT_CONNECTED') throw new NotConnectedError();
  if (view.reconnectReason === null) return;
  if (view.reconnectReason === 'SCOPES_CHANGED' && acceptOutdatedScopes) return;
  throw new ReconnectRequiredError(view.reconnectReason, view.missingScopes);
}

/** The provider refused a token that nothing can refresh: ask whether it means it. */
async function verify(deps: TokenDeps, row: store.ConnectionRow): Promise<void> {
  const { connector, connection, credential } = row;
  if (!connection || !credential) return;
  const { connectionId, version } = credential;
  const server = await resolveOrNull(deps, connector, connection);
  if (!server?.identity) return;
  const accessToken = openToken(deps.keyring, connectionId, 'accessToken', credential.accessTokenSealed);
  const answer = await fetchAccount({ fetch: deps.fetch, server, accessToken, scopes: connection.grantedScopes });
  const now = deps.clock.now();
  if (answer.kind === 'account') await store.recordVerified(deps.db, connectionId, now);
  if (answer.kind !== 'refused') return;
  const refused = await deps.db.$transaction(async (tx) => {
    const recorded = await store.recordRefusal(tx, { connectionId, version }, now);
    const act = { act: 'GRANT_REFUSED', outcome: 'RECONNECT_REQUIRED', ...actOn(connection) } as const;
    if (recorded) await recordAct(deps, tx, byService, act);
    return recorded;
  });
  if (refused) deps.events.publish({ connectionId });
}

/** How to speak to the provider; null where its issuer gives no answer now, which decides nothing. */
async function resolveOrNull(
  { resolveServer }: TokenDeps,
  connector: store.ConnectionRow['connector'],
  connection: store.ReadConnection,
): Promise<AuthorizationServer | null> {
  try {
    return await resolveServer(connector, keptOf(connection));
  } catch (error) {
    if (error instanceof OAuthError) return null;
    throw error;
  }
}

function readDemand({ minValiditySeconds, rejectedTokenFingerprint }: TokenReadOptions): TokenDemand {
  const faults: { path: string; message: string }[] = [];
  if (minValiditySeconds !== null && (minValiditySeconds < 0 || minValiditySeconds > longestValiditySeconds)) {
    faults.push({
      path: 'minValiditySeconds',
      message: `minValiditySeconds is a number from 0 to ${longestValiditySeconds}.`,
    });
  }
  if (rejectedTokenFingerprint !== null && !/^[0-9a-f]{16}$/.test(rejectedTokenFingerprint)) {
    faults.push({
      path: 'rejectedTokenFingerprint',
      message: 'rejectedTokenFingerprint is the accessTokenFingerprint of the refused token: 16 lower-case hex digits.',
    });
  }
  if (faults.length > 0) throw new ValidationError(faults);
  return { minValidityMs: (minValiditySeconds ?? 0) * 1000, rejectedTokenFingerprint };
}
