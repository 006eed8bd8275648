import type { Db, RunPrepared, Tx } from '../db/client.ts';
import { type AuditEvent, Prisma } from '../db/generated/prisma/client.ts';
import type { AuditAct } from '../db/generated/prisma/enums.ts';

/** Names of what changed, scopes that came and went, a receipt. Never a value that may be a secret. */
export type AuditDetails = Record<string, string | string[]>;

export type NewAuditEvent = Omit<AuditEvent, 'sequence' | 'hash' | 'details'> & { details: AuditDetails };

/** A place in a chain: the row's number, and its hash, which stands for all rows up to it. */
export interface ChainLink {
  sequence: bigint;
  hash: string;
}

const columns = Prisma.sql`id, "workspaceId", at, act, outcome, "actorKind", actor, "appId", "connectorId", "connectionId", "targetId", details`;

// one value for all rows: Prisma's createMany takes ten times as long over each
const rowsOf = (events: readonly NewAuditEvent[]) => Prisma.sql`
  json_to_recordset(${JSON.stringify(events)}::json) AS (
    id text, "workspaceId" text, at timestamptz, act "AuditAct", outcome text, "actorKind" "AuditActorKind", actor text,
    "appId" text, "connectorId" text, "connectionId" text, "targetId" text, details jsonb)`;

function linksOf(links: readonly ChainLink[]): Prisma.Sql {
  const json = JSON.stringify(links.map(({ sequence, hash }) => ({ sequence: String(sequence), hash })));
  return Prisma.sql`json_to_recordset(${json}::json) AS (sequence bigint, hash text)`;
}

/** Inserts rows that no chain holds yet. One that is there already is left alone: a batch whose answer was lost may be sent again. */
export async function insertAuditEvents(db: Db | Tx, events: readonly NewAuditEvent[]): Promise<void> {
  await db.$executeRaw`
    INSERT INTO audit_event (${columns}) SELECT ${columns} FROM ${rowsOf(events)} ON CONFLICT (id) DO NOTHING`;
}

/** The place of a row among those of its workspace, by time. */
export interface AuditPlace {
  at: Date;
  id: string;
}

// the first condition is what the index can seek to, the second settles rows of one millisecond
const newerThan = ({ at, id }: AuditPlace): Prisma.AuditEventWhereInput => ({
  at: { gte: at },
  OR: [{ at: { gt: at } }, { id: { gt: id } }],
});

/** The next rows of a workspace beyond a place, without counting those before it. */
export function findAuditEvents(
  db: Db,
  where: Prisma.AuditEventWhereInput & { workspaceId: string },
  page: { newerThan: AuditPlace | null; oldestFirst: boolean; limit: number },
) {
  const order = page.oldestFirst ? 'asc' : 'desc';
  return db.auditEvent.findMany({
    where: {
      AND: [where, ...(page.newerThan ? [newerThan(page.newerThan)] : [])],
    },
    orderBy: [{ at: order }, { id: order }],
    take: page.limit,
  });
}

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

/** The same page of the audits of several workspaces: two statements, each page at the same cost wherever it lies. */
export async function findAuditPages(
  db: Db,
  workspaceIds: readonly string[],
  { acts, actor, appId, connectorId, outcome, since, until }: AuditFilter,
  page: AuditPage,
): Promise<AuditEvent[]> {
  const { olderThan, newerThan, oldestFirst, limit } = page;
  const order = oldestFirst ? Prisma.sql`ASC` : Prisma.sql`DESC`;
  const is = (column: Prisma.Sql, value: string | undefined) =>
    value === undefined ? [] : [Prisma.sql`event.${column} = ${value}`];
  const conditions = [
    Prisma.sql`event."workspaceId" = workspace.id`,
    ...(acts ? [Prisma.sql`event.act::text = ANY(${acts})`] : []),
    ...is(Prisma.sql`actor`, actor),
    ...is(Prisma.sql`"appId"`, appId),
    ...is(Prisma.sql`"connectorId"`, connectorId),
    ...is(Prisma.sql`outcome`, outcome),
    ...(since ? [Prisma.sql`event.at >= ${since}`] : []),
    ...(until ? [Prisma.sql`event.at < ${until}`] : []),
    ...(olderThan ? [Prisma.sql`(event.at, event.id) < (${olderThan.at}, ${olderThan.id})`] : []),
    ...(newerThan ? [Prisma.sql`(event.at, event.id) > (${newerThan.at}, ${newerThan.id})`] : []),
  ];
  const ids = await db.$queryRaw<{ id: string }[]>`
    SELECT page.id FROM unnest(${workspaceIds}::text[]) AS workspace(id) CROSS JOIN LATERAL (
      SELECT event.id FROM audit_event event WHERE ${Prisma.join(conditions, ' AND ')}
      ORDER BY event.at ${order}, event.id ${order} LIMIT ${limit}) page`;
  const direction = oldestFirst ? 'asc' : 'desc';
  return db.auditEvent.findMany({
    where: { id: { in: ids.map(({ id }) => id) } },
    orderBy: [{ at: direction }, { id: direction }],
  });
}

// --- the chain ---

/** The lock of whoever changes chains, one instance at a time, for a transaction's length. */
const takeTurn = Prisma.sql`pg_try_advisory_xact_lock(72707370)`;

/** False where another instance has the turn. */
export async function takeChainTurn(tx: Tx): Promise<boolean> {
  // The planner takes it that few rows wait, and would gather and sort all of them for each batch: the index has them in order.
  const [row] = await tx.$queryRaw<{ taken: boolean }[]>`
    SELECT ${takeTurn} AS taken, set_config('enable_bitmapscan', 'off', true)`;
  return row?.taken ?? false;
}

/** New rows of a workspace, their places in its chain, and its checkpoints before (null: there is none yet) and behind them. */
export interface Lengthening {
  workspaceId: string;
  events: readonly NewAuditEvent[];
  links: readonly ChainLink[];
  from: string | null;
  to: string;
  at: Date;
}

/**
 * Writes all of the rows, each in its chain, or none: past Prisma, which would write and read their JSON once more. False where the
 * chain has moved on, or another instance has the turn. The statement sees what was there before it took the turn; only the
 * checkpoint, compared as it is when it is replaced, tells that nobody came in between.
 * @throws where a row is there already
 */
export async function lengthenChain(
  run: RunPrepared,
  { workspaceId, events, links, from, to, at }: Lengthening,
): Promise<boolean> {
  const { text, values } = Prisma.sql`
    WITH turn AS MATERIALIZED (SELECT ${takeTurn} AS taken),
    moved AS (
      INSERT INTO audit_chain (id, "checkpointSealed", "sealedAt")
      SELECT ${workspaceId}, ${to}, ${at.toISOString()}::timestamptz FROM turn
      WHERE taken AND (${from}::text IS NOT NULL OR NOT EXISTS (${sealedRowsOf(workspaceId)}))
      ON CONFLICT (id) DO UPDATE SET "checkpointSealed" = excluded."checkpointSealed", "sealedAt" = excluded."sealedAt"
      WHERE audit_chain."checkpointSealed" = ${from}
      RETURNING id
    ),
    written AS (
      INSERT INTO audit_event (${columns}, sequence, hash)
      SELECT ${columns}, sequence, hash FROM ROWS FROM (${rowsOf(events)}, ${linksOf(links)}) AS given
      WHERE EXISTS (SELECT FROM moved)
    )
    SELECT id FROM moved`;
  return (await run({ name: 'audit-lengthen', text }, values)).length > 0;
}

/** A row that no chain holds yet. */
export type UnsealedAuditEvent = Omit<AuditEvent, 'sequence' | 'hash'>;

/** The next rows that no chain holds yet, the oldest first. */
export async function findUnsealed(
  tx: Tx,
  before: Date,
  exceptWorkspaces: string[],
  limit: number,
): Promise<UnsealedAuditEvent[]> {
  // one value for all rows, as they were written; `sequence` is the same for all of them, and lets the index give them in order
  const [found] = await tx.$queryRaw<{ rows: (Omit<UnsealedAuditEvent, 'at'> & { at: string })[] }[]>`
    SELECT coalesce(json_agg(waiting), '[]') AS rows FROM (
      SELECT ${columns}
      FROM audit_event WHERE sequence IS NULL AND at < ${before} AND "workspaceId" <> ALL(${exceptWorkspaces})
      ORDER BY sequence, at, id LIMIT ${limit}) waiting`;
  return found ? found.rows.map((row) => ({ ...row, at: new Date(row.at) })) : [];
}

export function findChain(tx: Db | Tx, workspaceId: string) {
  return tx.auditChain.findUnique({ where: { id: workspaceId } });
}

const sealedRowsOf = (workspaceId: string) =>
  Prisma.sql`SELECT FROM audit_event WHERE "workspaceId" = ${workspaceId} AND sequence IS NOT NULL`;

export async function hasSealedRows(tx: Tx, workspaceId: string): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ any: boolean }[]>`SELECT EXISTS (${sealedRowsOf(workspaceId)}) AS any`;
  return row?.any ?? false;
}

/** Sealing is the one change that a row ever sees. */
export async function sealRows(tx: Tx, ids: readonly string[], links: readonly ChainLink[]): Promise<number> {
  return tx.$executeRaw`
    UPDATE audit_event SET sequence = given.sequence, hash = given.hash
    FROM ROWS FROM (
      unnest(${ids}::text[]), ${linksOf(links)}
    ) AS given(id)
    WHERE audit_event.id = given.id AND audit_event.hash IS NULL`; // by its id: those without a sequence may be many
}

export async function writeCheckpoint(tx: Tx, workspaceId: string, checkpointSealed: string, at: Date): Promise<void> {
  await tx.auditChain.upsert({
    where: { id: workspaceId },
    create: { id: workspaceId, checkpointSealed, sealedAt: at },
    update: { checkpointSealed, sealedAt: at },
  });
}

/** The sealed rows of a workspace behind a sequence number, in the chain's order. */
export function findSealed(tx: Tx, workspaceId: string, after: bigint, limit: number) {
  return tx.auditEvent.findMany({
    where: { workspaceId, sequence: { gt: after } },
    orderBy: { sequence: 'asc' },
    take: limit,
  });
}

/** Workspaces whose chain begins with a row from before an instant. */
export async function findChainsToCut(tx: Tx, before: Date, exceptWorkspaces: string[], limit: number) {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT chain.id FROM audit_chain chain CROSS JOIN LATERAL (
      SELECT at FROM audit_event WHERE "workspaceId" = chain.id AND sequence IS NOT NULL ORDER BY sequence LIMIT 1) first
    WHERE first.at < ${before} AND NOT chain.id = ANY(${exceptWorkspaces}) LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

export async function deleteSealed(tx: Tx, workspaceId: string, upTo: bigint): Promise<number> {
  const { count } = await tx.auditEvent.deleteMany({ where: { workspaceId, sequence: { lte: upTo } } });
  return count;
}

/** Every workspace that has a chain, or a row that claims to be in one. */
export async function findChainedWorkspaces(tx: Tx): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM audit_chain UNION SELECT "workspaceId" FROM audit_event WHERE sequence IS NOT NULL ORDER BY 1`;
  return rows.map(({ id }) => id);
}

export function countUnsealed(tx: Tx): Promise<number> {
  return tx.auditEvent.count({ where: { sequence: null } });
}
