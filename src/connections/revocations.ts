import type { Db } from '../db/client.ts';
import type { OutboxReceipt } from '../db/generated/prisma/enums.ts';
import * as store from './store.ts';

/** How far the revocation of a connector's grants has come. */
export interface RevocationProgress {
  total: number;
  pending: number;
  receipts: Record<OutboxReceipt, number>;
}

/** Reads the progress for deleted connectors, in order: what the worker has yet to queue, and what became of the rest. */
export async function readRevocationProgress(db: Db, connectorIds: readonly string[]): Promise<RevocationProgress[]> {
  const [unqueued, queued] = await Promise.all([
    store.countConnectionsToEnd(db, connectorIds),
    store.countRevocations(db, connectorIds),
  ]);
  return progressOf(
    connectorIds,
    unqueued.map(({ connectorId, _count: count }) => ({ connectorId, count })),
    queued.map(({ connectorId, receipt, _count: count }) => ({ connectorId, receipt, count })),
  );
}

/** Reads the progress for living connectors whose connections were all revoked, in order; null where they never were. */
export async function readRevokeAllProgress(
  db: Db,
  connectors: readonly { id: string; grantsRevokedAt: Date | null }[],
): Promise<(RevocationProgress | null)[]> {
  const revoked = connectors.flatMap(({ id, grantsRevokedAt }) => (grantsRevokedAt ? [id] : []));
  if (revoked.length === 0) return connectors.map(() => null);
  const [unqueued, queued] = await Promise.all([
    store.countRevokedToQueue(db, revoked),
    store.countRevokedQueued(db, revoked),
  ]);
  const progress = progressOf(revoked, unqueued, queued);
  return connectors.map(({ id }) => progress[revoked.indexOf(id)] ?? null);
}

function progressOf(
  connectorIds: readonly string[],
  unqueued: readonly { connectorId: string; count: number }[],
  queued: readonly { connectorId: string | null; receipt: OutboxReceipt | null; count: number }[],
): RevocationProgress[] {
  return connectorIds.map((connectorId) => {
    const own = queued.filter((group) => group.connectorId === connectorId);
    const count = (receipt: OutboxReceipt | null) => own.find((group) => group.receipt === receipt)?.count ?? 0;
    const receipts = {
      REVOKED: count('REVOKED'),
      UNSUPPORTED: count('UNSUPPORTED'),
      GAVE_UP: count('GAVE_UP'),
      SKIPPED_SHARED_GRANT: count('SKIPPED_SHARED_GRANT'),
    };
    const pending = (unqueued.find((group) => group.connectorId === connectorId)?.count ?? 0) + count(null);
    return { pending, receipts, total: Object.values(receipts).reduce((sum, some) => sum + some, pending) };
  });
}

/** Reads the same page of the revocations of connectors, in order. */
export async function listRevocations(db: Db, connectorIds: readonly string[], page: store.RevocationPage) {
  const rows = await store.findRevocations(db, connectorIds, page);
  return connectorIds.map((id) => rows.filter(({ connectorId }) => connectorId === id));
}
