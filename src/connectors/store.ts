import type { Db, Tx } from '../db/client.ts';
import { type Connector, Prisma } from '../db/generated/prisma/client.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
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

/** The apps with users connected through the connector, and how many users that is. */
export async function countUsers(db: Db, connectorId: string): Promise<{ users: number; appIds: string[] }> {
  const groups = await db.connection.groupBy({
    by: ['appId'],
    where: { connectorId, disconnectedAt: null, app: { deletedAt: null } },
    _count: true,
    orderBy: { appId: 'asc' },
  });
  return { users: groups.reduce((sum, group) => sum + group._count, 0), appIds: groups.map((group) => group.appId) };
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
