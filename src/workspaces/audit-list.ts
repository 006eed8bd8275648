import type { Db } from '../db/client.ts';
import type { Prisma } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import { DomainError } from '../lib/domain-error.ts';
import { type AuditFilter, type AuditPage, type AuditPlace, findAuditEvents, findAuditPages } from './audit-store.ts';
import type { Caller } from './caller.ts';
import { assertCan } from './membership.ts';

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
 * The same page of the audits of workspaces, in order. In the place of one: UnauthenticatedError, NotFoundError, ForbiddenError for
 * everybody but that workspace's ADMINs and OWNERs and the operator.
 */
export async function listAudits(
  deps: { db: Db },
  caller: Caller,
  workspaceIds: readonly string[],
  filter: AuditFilter,
  page: AuditPage,
): Promise<(AuditRow[] | DomainError)[]> {
  const refusals = workspaceIds.map((id) => refusalOf(() => assertCan(caller, 'audit.view', id, 'workspace')));
  const rows = await findAuditPages(
    deps.db,
    workspaceIds.filter((_, index) => refusals[index] === null),
    filter,
    page,
  );
  return workspaceIds.map((id, index) => refusals[index] ?? rows.filter(({ workspaceId }) => workspaceId === id));
}

function refusalOf(assert: () => void): DomainError | null {
  try {
    assert();
    return null;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

export type AuditRow = Awaited<ReturnType<typeof findAuditEvents>>[number];

const exportBatch = 500;

/**
 * A workspace's audit from the oldest row on, in batches: up to now, unless `until` is given.
 * @throws what listAudits answers, before the first batch
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
