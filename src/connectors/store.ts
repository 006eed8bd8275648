import type { Db, Tx } from '../db/client.ts';
import { type Connector, type ConnectorRequest, Prisma } from '../db/generated/prisma/client.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
import type { AffectedApp } from '../workspaces/errors.ts';
import type { CustomProvider, NamedValue } from './connector.ts';

/** What of a connector an edit may change. */
export interface ConnectorColumns {
  name: string;
  clientId: string | null;
  clientSecretSealed: string | null;
  operatorClientId: string | null;
  scopes: string[];
  connectionConfig: NamedValue[];
  custom: CustomProvider | null;
  clientFingerprint: string;
  scopesFingerprint: string;
  /** Given as null where an edit may have mended what the provider refuses. */
  refusal?: null;
  refusedAt?: null;
}

function columns({ connectionConfig, custom, ...rest }: ConnectorColumns) {
  return {
    ...rest,
    connectionConfig: connectionConfig as unknown as Prisma.InputJsonArray,
    custom: custom === null ? Prisma.DbNull : (custom as unknown as Prisma.InputJsonObject),
  };
}

export function insertConnector(
  db: Db | Tx,
  row: ConnectorColumns & { id: string; workspaceId: string; providerKey: string; kind: ConnectorKind },
) {
  return db.connector.create({ data: { ...columns(row), id: row.id } as Prisma.ConnectorUncheckedCreateInput });
}

export function findConnector(db: Db | Tx, id: string) {
  return db.connector.findFirst({ where: { id, deletedAt: null } });
}

/** Reads a connector and keeps others from changing it until the transaction ends. */
export async function lockConnector(tx: Tx, id: string): Promise<Connector | null> {
  await tx.$queryRaw`SELECT id FROM connector WHERE id = ${id} FOR NO KEY UPDATE`;
  return findConnector(tx, id);
}

/** The one row that a connector edit writes, however many connections there are. */
export function updateConnector(tx: Tx, id: string, row: ConnectorColumns) {
  return tx.connector.update({ where: { id }, data: columns(row) });
}

/** How many are connected through the connector, in each app. */
export function countConnected(db: Db, connectorId: string) {
  return countConnections(db, { connectorId });
}

/** Those of them that need not connect again as the connector is now. */
export function countUndisturbed(
  db: Db,
  connector: Pick<Connector, 'id' | 'clientFingerprint' | 'scopesFingerprint' | 'grantsRevokedAt'>,
  now: Date,
) {
  const { id, clientFingerprint, scopesFingerprint, grantsRevokedAt } = connector;
  return countConnections(db, {
    connectorId: id,
    ...(grantsRevokedAt && { connectedAt: { gt: grantsRevokedAt } }),
    clientFingerprint,
    scopesFingerprint,
    refusedAt: null,
    OR: [{ grantExpiresAt: null }, { grantExpiresAt: { gt: now } }],
  });
}

async function countConnections(db: Db, where: Prisma.ConnectionWhereInput): Promise<AffectedApp[]> {
  const groups = await db.connection.groupBy({
    by: ['appId'],
    where: { ...where, disconnectedAt: null, app: { deletedAt: null } },
    // of one connector a user has one; an account that an app shares is nobody's own
    _count: { _all: true, userId: true },
    orderBy: { appId: 'asc' },
  });
  return groups.map(({ appId, _count }) => ({ appId, connections: _count._all, users: _count.userId }));
}

/** Access ends with this row and one outbox row, however many connections there are. False where it was gone already. */
export async function tombstoneConnector(tx: Tx, connector: { id: string; workspaceId: string }, at: Date) {
  const { count } = await tx.connector.updateMany({
    where: { id: connector.id, deletedAt: null },
    data: { deletedAt: at },
  });
  if (count === 0) return false;
  await tx.outboxItem.create({
    data: { kind: 'REVOKE_ALL_GRANTS', workspaceId: connector.workspaceId, connectorId: connector.id, dueAt: at },
  });
  return true;
}

/** The connectors of a workspace: all, those of a provider, or one. */
export interface ConnectorScope {
  workspaceId: string;
  providerKey: string | null;
  connectorId: string | null;
}

/** The connectors of a scope that are not deleted. */
export function findLiving(db: Db, { workspaceId, providerKey, connectorId }: ConnectorScope) {
  return db.connector.findMany({
    where: {
      workspaceId,
      deletedAt: null,
      ...(providerKey !== null && { providerKey }),
      ...(connectorId !== null && { id: connectorId }),
    },
    select: { id: true },
  });
}

/** The connections of connectors that hold tokens, in each app. */
export function countHoldingTokens(db: Db, connectorIds: string[]) {
  return countConnections(db, { connectorId: { in: connectorIds }, credential: { isNot: null } });
}

/**
 * Revokes what has been connected through connectors so far: with their rows, and one outbox row for each that somebody is
 * connected through, however many. Answers those not deleted, with how many connections held tokens that were not revoked before.
 */
export async function revokeGrants(tx: Tx, ids: string[], at: Date): Promise<(Connector & { connections: number })[]> {
  // a flow that is storing its grant now finishes first, and is seen; of two that lock several, none waits for the other
  await tx.$queryRaw`SELECT id FROM connector WHERE id = ANY(${ids}) ORDER BY id FOR NO KEY UPDATE`;
  const counts = await tx.$queryRaw<{ connectorId: string; count: number }[]>`
    SELECT connector.id AS "connectorId", count(*)::int AS count
    FROM connector
    JOIN connection ON connection."connectorId" = connector.id
    JOIN credential ON credential."connectionId" = connection.id
    WHERE connector.id = ANY(${ids}) AND connector."deletedAt" IS NULL
      AND (connector."grantsRevokedAt" IS NULL OR connection."connectedAt" > connector."grantsRevokedAt") GROUP BY 1`;
  // not before what an instance has stored whose clock is ahead of this one's
  await tx.$executeRaw`
    UPDATE connector SET "grantsRevokedAt" = GREATEST(${at}, "grantsRevokedAt",
      (SELECT max(connection."connectedAt") FROM connection WHERE connection."connectorId" = connector.id))
    WHERE id = ANY(${ids}) AND "deletedAt" IS NULL`;
  const connectors = await tx.connector.findMany({
    where: { id: { in: ids }, deletedAt: null },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  const held = new Map(counts.map(({ connectorId, count }) => [connectorId, count]));
  await tx.outboxItem.createMany({
    data: connectors
      .filter(({ id }) => held.has(id))
      .map(({ id: connectorId, workspaceId, grantsRevokedAt }) => {
        return { kind: 'REVOKE_ALL_GRANTS', workspaceId, connectorId, grantsRevokedAt, dueAt: at };
      }),
  });
  return connectors.map((connector) => ({ ...connector, connections: held.get(connector.id) ?? 0 }));
}

// --- the operator's clients ---

/** Keeps the operator's client at a provider as it is until the transaction ends, for those who decide by it. */
export async function shareOperatorClient(tx: Tx, providerKey: string) {
  await tx.$queryRaw`SELECT 1 FROM pg_advisory_xact_lock_shared(hashtextextended(${turnOf(providerKey)}, 0))`;
  return findOperatorClient(tx, providerKey);
}

/** Waits for those, and keeps others from deciding until the transaction ends. */
export async function lockOperatorClient(tx: Tx, providerKey: string) {
  await tx.$queryRaw`SELECT 1 FROM pg_advisory_xact_lock(hashtextextended(${turnOf(providerKey)}, 0))`;
  return findOperatorClient(tx, providerKey);
}

const turnOf = (providerKey: string) => `operator-client ${providerKey}`;

export function findOperatorClient(db: Db | Tx, providerKey: string) {
  return db.operatorClient.findUnique({ where: { providerKey } });
}

export function findOperatorClients(db: Db) {
  return db.operatorClient.findMany({ orderBy: { providerKey: 'asc' } });
}

/** Which of these providers the operator has a client at. */
export async function findOperatorProviderKeys(db: Db, providerKeys: readonly string[]): Promise<Set<string>> {
  const rows = await db.operatorClient.findMany({
    where: { providerKey: { in: [...providerKeys] } },
    select: { providerKey: true },
  });
  return new Set(rows.map(({ providerKey }) => providerKey));
}

export function upsertOperatorClient(
  tx: Tx,
  client: { providerKey: string; clientId: string; clientSecretSealed: string; connectionConfig: NamedValue[] },
) {
  const data = { ...client, connectionConfig: client.connectionConfig as unknown as Prisma.InputJsonArray };
  return tx.operatorClient.upsert({ where: { providerKey: client.providerKey }, create: data, update: data });
}

export async function deleteOperatorClient(tx: Tx, providerKey: string): Promise<boolean> {
  return (await tx.operatorClient.deleteMany({ where: { providerKey } })).count > 0;
}

/**
 * Makes the shared connectors of a provider that have neither client nor settings of their own follow the operator's client, or
 * (null) go without: one statement, whatever the number of their connections. Deleted ones too: what is still to be revoked goes to
 * the client that it was given to, or waits.
 */
export function followOperatorClient(
  tx: Tx,
  providerKey: string,
  client: { operatorClientId: string | null; connectionConfig: NamedValue[]; clientFingerprint: string },
) {
  const { operatorClientId, clientFingerprint } = client;
  const connectionConfig = client.connectionConfig as unknown as Prisma.InputJsonArray;
  return tx.connector.updateManyAndReturn({
    where: {
      providerKey,
      kind: 'SHARED',
      clientId: null,
      clientSecretSealed: null,
      OR: [{ operatorClientId: { not: null } }, { connectionConfig: { equals: [] } }],
    },
    data: { operatorClientId, connectionConfig, clientFingerprint, refusal: null, refusedAt: null },
    select: { id: true, workspaceId: true, deletedAt: true },
  });
}

/** The live connections that stand on the operator's client at a provider, in each app. */
export function countOnOperatorClient(db: Db, providerKey: string) {
  return countConnections(db, { connector: { providerKey, operatorClientId: { not: null }, deletedAt: null } });
}

// --- what assistants ask persons for ---

/** Of which services these connectors are. */
export function findCustomProviders(db: Db, connectorIds: string[]) {
  return db.connector.findMany({ where: { id: { in: connectorIds } }, select: { id: true, custom: true } });
}

export function insertRequest(tx: Tx, request: Omit<ConnectorRequest, 'status' | 'decidedAt'>) {
  return tx.connectorRequest.create({ data: { ...request, proposal: request.proposal as Prisma.InputJsonObject } });
}

export function findRequest(db: Db, id: string) {
  return db.connectorRequest.findUnique({ where: { id } });
}

export function findRequestByToken(db: Db, tokenHash: string) {
  return db.connectorRequest.findUnique({ where: { tokenHash } });
}

const waiting = (now: Date): Prisma.ConnectorRequestWhereInput => ({
  status: { in: ['OPEN', 'POSTPONED'] },
  expiresAt: { gt: now },
});

/** The requests of a workspace that wait, those first whose time ends first. */
export function findWaitingRequests(tx: Tx, workspaceId: string, now: Date) {
  return tx.connectorRequest.findMany({
    where: { workspaceId, ...waiting(now) },
    orderBy: { expiresAt: 'asc' },
    select: { expiresAt: true },
  });
}

/** Decides a request that waits, once. False where it does not wait any more. */
export async function settleRequest(tx: Tx, id: string, status: 'APPROVED' | 'REJECTED', now: Date): Promise<boolean> {
  const { count } = await tx.connectorRequest.updateMany({
    where: { id, ...waiting(now) },
    data: { status, decidedAt: now },
  });
  return count > 0;
}

/** Puts off a request that waits. False where it does not wait any more. */
export async function postponeRequest(db: Db, id: string, expiresAt: Date, now: Date): Promise<boolean> {
  const { count } = await db.connectorRequest.updateMany({
    where: { id, ...waiting(now) },
    data: { status: 'POSTPONED', expiresAt },
  });
  return count > 0;
}

export async function deleteRequests(db: Db, expiredBefore: Date): Promise<number> {
  return (await db.connectorRequest.deleteMany({ where: { expiresAt: { lt: expiredBefore } } })).count;
}
