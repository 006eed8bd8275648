import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { StatusEvents } from '../events/status-events.ts';
import { type AuditActor, actorOf, recordAct } from '../workspaces/audit.ts';
import { type Caller, requireUser } from '../workspaces/caller.ts';
import { NotFoundError } from '../workspaces/errors.ts';
import { actOn } from './audit.ts';
import { connectionId } from './connection.ts';
import { NotConnectedError } from './errors.ts';
import { queueStoredRevocation } from './outbox.ts';
import * as store from './store.ts';

export interface DisconnectDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  events: StatusEvents;
  log: Logger;
  wakeWorker: () => void;
}

/**
 * Disconnects the calling user from a connector: the tokens are gone when this returns, the grant is revoked at the provider in
 * the background. Works whatever the plan. Answers the connection's id.
 * @throws UnauthenticatedError, NotFoundError, NotConnectedError
 */
export async function disconnect(deps: DisconnectDeps, caller: Caller, connectorId: string): Promise<string> {
  const user = requireUser(caller);
  const [connector] = await store.findConnectors(deps.db, [connectorId], [user.app.workspaceId]);
  if (!connector || connector.deletedAt) throw new NotFoundError('connector');
  return endOwn(deps, caller, connectionId(connector.id, user.app.id, user.userId));
}

/** Ends a connection that the caller has a right to end, tells of it, and answers its id. */
export async function endOwn(deps: DisconnectDeps, caller: Caller, id: string): Promise<string> {
  try {
    const ended = await deps.db.$transaction((tx) => endConnection(deps, tx, id, actorOf(caller)));
    if (!ended) throw new NotConnectedError();
  } finally {
    deps.events.publish({ connectionId: id }); // a commit whose answer was lost has ended it all the same
    deps.wakeWorker();
  }
  return id;
}

/** Forgets the tokens and queues the revocation. False where there was nothing to end. */
export async function endConnection(
  deps: { keyring: Keyring; clock: Clock; log: Logger },
  tx: Tx,
  id: string,
  actor: AuditActor,
): Promise<boolean> {
  const now = deps.clock.now();
  const ended = await store.endConnection(tx, id, now);
  if (!ended) return false;
  await recordAct(deps, tx, actor, { act: 'ACCOUNT_DISCONNECTED', ...actOn(ended) });
  await handOver(deps, tx, ended, null, now);
  return true;
}

/** Takes the tokens from a connection that was made before all of its connector's were revoked, and queues the revocation: whose it is must connect again. */
export async function revokeConnection(
  deps: { keyring: Keyring; clock: Clock; log: Logger },
  tx: Tx,
  id: string,
  grantsRevokedAt: Date,
): Promise<void> {
  const now = deps.clock.now();
  const revoked = await store.takeTokens(tx, id, grantsRevokedAt, now);
  if (revoked) await handOver(deps, tx, revoked, grantsRevokedAt, now);
}

/** Queues the revocation of a connection's tokens, and lets go what has waited for its end. */
async function handOver(
  deps: { keyring: Keyring; log: Logger },
  tx: Tx,
  ended: NonNullable<Awaited<ReturnType<typeof store.endConnection>>>,
  grantsRevokedAt: Date | null,
  now: Date,
): Promise<void> {
  await store.releaseParkedRevocations(tx, ended, now);
  await store.releaseHeldRevocations(tx, ended.id, now);
  if (!ended.credential) return;
  const grant = { ...ended, connectionId: ended.id, grantsRevokedAt };
  await queueStoredRevocation(deps, tx, grant, ended.credential, now);
}
