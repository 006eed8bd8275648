import type { Db } from '../db/client.ts';
import type { Prisma } from '../db/generated/prisma/client.ts';
import type { AuditAct } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import { type AuditPlace, findAuditEvents } from './audit-store.ts';
import type { Caller } from './caller.ts';
import { assertCan } from './membership.ts';

/** Which rows; what is left out does not matter. */
export interface AuditFilter {
  acts?: AuditAct[];
  actor?: string;
  appId?: string;
  connectorId?: string;
  outcome?: string;
  /** From this instant on. */
  since?: Date;
  /** Before this instant. */
  until?: Date;
}

/** Rows of a page: beyond a place, whichever page it is, at the same cost. */
export interface AuditPage {
  olderThan: AuditPlace | null;
  newerThan: AuditPlace | null;
  oldestFirst: boolean;
  limit: number;
}

function conditions(workspaceId: string, filter: AuditFilter): Prisma.AuditEventWhereInput & { workspaceId: string } {
  const { acts, since, until, ...exact } = filter;
  return {
    workspaceId,
    ...exact,
    ...(acts && { act: { in: acts } }),
    at: { ...(since && { gte: since }), ...(until && { lt: until }) },
  };
}

/**
 * A page of a workspace's audit.
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError for everybody but the workspace's ADMINs and OWNERs and the operator
 */
export async function listAudit(
  deps: { db: Db },
  caller: Caller,
  workspaceId: string,
  filter: AuditFilter,
  page: AuditPage,
) {
  assertCan(caller, 'audit.view', workspaceId, 'workspace');
  return findAuditEvents(deps.db, conditions(workspaceId, filter), page);
}

export type AuditRow = Awaited<ReturnType<typeof findAuditEvents>>[number];

const exportBatch = 500;

/**
 * A workspace's audit from the oldest row on, in batches: up to now, unless `until` is given.
 * @throws as listAudit, before the first batch
 */
export function exportAudit(
  deps: { db: Db; clock: Clock },
  caller: Caller,
  workspaceId: string,
  range: { since?: Date; until?: Date },
) {
  assertCan(caller, 'audit.view', workspaceId, 'workspace');
  return batches(deps.db, conditions(workspaceId, { until: deps.clock.now(), ...range }));
}

/** {@link exportAudit} of a running service. */
export type ExportAudit = (
  ...args: Parameters<typeof exportAudit> extends [unknown, ...infer Rest] ? Rest : never
) => ReturnType<typeof exportAudit>;

async function* batches(db: Db, where: ReturnType<typeof conditions>) {
  let newerThan: AuditPlace | null = null;
  for (;;) {
    const rows: AuditRow[] = await findAuditEvents(db, where, {
      newerThan,
      oldestFirst: true,
      limit: exportBatch,
    });
    if (rows.length > 0) yield rows;
    newerThan = rows.at(-1) ?? null;
    if (rows.length < exportBatch) return;
  }
}
