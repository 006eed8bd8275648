import type { Db, Tx } from '../db/client.ts';
import { type Connector, Prisma } from '../db/generated/prisma/client.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
import type { AffectedApp } from '../workspaces/errors.ts';
import type { CustomProvider, NamedValue } from './connector.ts';

/** What of a connector an edit may change. */
export interface ConnectorColumns {
  name: string;
  clientId: string | null;
  clientSecretSealed: string | null;
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

/** How many are connected through the connector: in each app, and together. */
export function countUsers(db: Db, connectorId: string) {
  return countConnections(db, { connectorId });
}

/** Those of them that need not connect again as the connector is now. */
export function countUndisturbed(
  db: Db,
  { id, clientFingerprint, scopesFingerprint }: Pick<Connector, 'id' | 'clientFingerprint' | 'scopesFingerprint'>,
  now: Date,
) {
  return countConnections(db, {
    connectorId: id,
    clientFingerprint,
    scopesFingerprint,
    refusedAt: null,
    OR: [{ grantExpiresAt: null }, { grantExpiresAt: { gt: now } }],
  });
}

async function countConnections(
  db: Db,
  where: Prisma.ConnectionWhereInput,
): Promise<{ users: number; apps: AffectedApp[] }> {
  const groups = await db.connection.groupBy({
    by: ['appId'],
    where: { ...where, disconnectedAt: null, app: { deletedAt: null } },
    _count: true,
    orderBy: { appId: 'asc' },
  });
  const apps = groups.map(({ appId, _count }) => ({ appId, connections: _count }));
  return { users: apps.reduce((sum, app) => sum + app.connections, 0), apps };
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
