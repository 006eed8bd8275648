import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { SealError } from '../crypto/seal.ts';
import type { Db } from '../db/client.ts';
import type { OutboxReceipt } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { StatusEvents } from '../events/status-events.ts';
import { OAuthError } from '../oauth/failure.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { revokeGrant } from '../oauth/tokens.ts';
import { type Act, byService, recordAct } from '../workspaces/audit.ts';
import { endConnection, revokeConnection } from './disconnect.ts';
import { clientOf } from './grant.ts';
import { openFromOutbox } from './outbox.ts';
import * as store from './store.ts';

export interface RevokeDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  events: StatusEvents;
  log: Logger;
}

type OutboxItem = Awaited<ReturnType<typeof store.claimOutbox>>[number];

const claimMs = 30_000;
const batchSize = 20;
const fanOutSize = 100;
/** With waits that grow to an hour: about a week. */
const maxAttempts = 180;

/** Does one batch of due work. Answers how much there was. */
export async function drainOutbox(deps: RevokeDeps): Promise<number> {
  const now = deps.clock.now();
  const items = await store.claimOutbox(deps.db, now, new Date(now.getTime() + claimMs), batchSize);
  const done = await Promise.allSettled(
    items.map((item) => (item.kind === 'REVOKE_ALL_GRANTS' ? fanOut(deps, item) : revoke(deps, item))),
  );
  const failed = done.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return items.length;
}

/** Ends the next connections of a deleted connector or app, or takes the tokens of those that were revoked. The row stays until there are none. */
async function fanOut(deps: RevokeDeps, item: OutboxItem): Promise<void> {
  const connections = await store.findConnectionsToEnd(deps.db, item, fanOutSize);
  const { grantsRevokedAt } = item;
  for (const { id } of connections) {
    if (grantsRevokedAt) {
      await deps.db.$transaction((tx) => revokeConnection(deps, tx, id, grantsRevokedAt));
      continue; // nobody sees a change: it has been revoked since that instant
    }
    const ended = await deps.db.$transaction((tx) => endConnection(deps, tx, id, byService));
    if (ended) deps.events.publish({ connectionId: id });
  }
  if (connections.length < fanOutSize) await store.finishOutboxItem(deps.db, item.id, deps.clock.now(), null);
  else await store.postponeOutboxItem(deps.db, item.id, deps.clock.now());
}

/** Revokes one grant at the provider: at least once, until it is done or given up. */
async function revoke(deps: RevokeDeps, item: OutboxItem): Promise<void> {
  const { id, connectorId, accountId, tokensSealed } = item;
  const finish = (receipt: 'REVOKED' | 'UNSUPPORTED') => endRevocation(deps, item, receipt);
  const connector = connectorId && (await store.findConnectorOfGrant(deps.db, connectorId));
  if (!connector || connectorId === null || tokensSealed === null) return finish('UNSUPPORTED');
  try {
    const { clientFingerprint, kept, ...tokens } = openFromOutbox(deps.keyring, id, tokensSealed);
    const server = await deps.resolveServer(connector, kept);
    // the connector was edited meanwhile: tokens go to no other address than they were given for, so wait for it to be put back
    if (connector.clientFingerprint !== clientFingerprint) return await retryLater(deps, item);
    if (server.revocationReach === 'account' && accountId !== null) {
      const grant = { clientFingerprint, accountId };
      if (await park(deps, item, grant)) return;
    }
    const client = await clientOf(deps, connector);
    if (!client) return await retryLater(deps, item);
    await finish(await revokeGrant({ fetch: deps.fetch, server, client, ...tokens }));
  } catch (error) {
    if (error instanceof SealError) deps.log.error({ err: error, connectorId }, 'tokens to revoke cannot be opened');
    else if (error instanceof OAuthError) deps.log.warn({ connectorId, verdict: error.verdict }, 'a revocation failed');
    else throw error;
    await retryLater(deps, item);
  }
}

/** What an audit row says of a revocation. */
function actOf({ workspaceId, connectorId, connectionId }: OutboxItem, receipt: OutboxReceipt): Act {
  const outcome = receipt === 'REVOKED' ? 'OK' : receipt;
  return { act: 'GRANT_REVOKED', outcome, workspaceId, connectorId, connectionId };
}

async function endRevocation(
  deps: RevokeDeps,
  item: OutboxItem,
  receipt: 'REVOKED' | 'UNSUPPORTED' | 'GAVE_UP',
): Promise<void> {
  await deps.db.$transaction(async (tx) => {
    const { count } = await store.finishOutboxItem(tx, item.id, deps.clock.now(), receipt);
    if (count > 0) await recordAct(deps, tx, byService, actOf(item, receipt));
  });
}

/** Lets a revocation wait that would end another live connection. False where there is none. */
function park(
  deps: RevokeDeps,
  item: OutboxItem,
  grant: Parameters<typeof store.parkWhereAnotherStands>[2],
): Promise<boolean> {
  return deps.db.$transaction(async (tx) => {
    const isParked = await store.parkWhereAnotherStands(tx, item.id, grant);
    if (isParked) await recordAct(deps, tx, byService, actOf(item, 'SKIPPED_SHARED_GRANT'));
    return isParked;
  });
}

async function retryLater(deps: RevokeDeps, item: OutboxItem): Promise<void> {
  const { id, attempts } = item;
  const now = deps.clock.now();
  if (attempts + 1 >= maxAttempts) return endRevocation(deps, item, 'GAVE_UP');
  const waitMs = Math.min(5_000 * 2 ** attempts, 3_600_000);
  await store.postponeOutboxItem(deps.db, id, new Date(now.getTime() + waitMs));
}
