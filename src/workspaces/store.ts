import type { Db, Tx } from '../db/client.ts';
import type { ConnectorKind, Plan, WorkspaceRole } from '../db/generated/prisma/enums.ts';
import { keyIdOf } from './caller.ts';
import type { AppOrigin } from './origin.ts';
import { isLocalhost } from './origin.ts';

const appWithOrigins = { include: { origins: { orderBy: { position: 'asc' } } } } as const;

export function insertWorkspace(db: Db | Tx, name: string, plan: Plan) {
  return db.workspace.create({ data: { name, plan } });
}

export function updatePlan(db: Db | Tx, workspaceId: string, plan: Plan) {
  return db.workspace.updateManyAndReturn({ where: { id: workspaceId }, data: { plan } });
}

export function findPlan(db: Db | Tx, workspaceId: string) {
  return db.workspace.findUnique({ where: { id: workspaceId }, select: { plan: true } });
}

export function findName(db: Db, workspaceId: string) {
  return db.workspace.findUnique({ where: { id: workspaceId }, select: { name: true } });
}

/** A provider in a workspace, for one kind of connector. */
export interface ProviderUse {
  workspaceId: string;
  providerKey: string;
  kind: ConnectorKind;
}

const useOf = ({ workspaceId, providerKey, kind }: ProviderUse) => ({ workspaceId, providerKey, kind });

/** Null where the provider is on. */
export function findSwitchedOff(db: Db, use: ProviderUse) {
  return db.providerAvailability.findUnique({ where: { workspaceId_providerKey_kind: useOf(use) } });
}

export async function switchOff(db: Db | Tx, use: ProviderUse, at: Date): Promise<void> {
  await db.providerAvailability.createMany({ data: { ...useOf(use), createdAt: at }, skipDuplicates: true });
}

export async function switchOn(db: Db | Tx, use: ProviderUse): Promise<void> {
  await db.providerAvailability.deleteMany({ where: useOf(use) });
}

/** The live connections of a provider in each app of a workspace. A user with several of them counts once. */
export function countUse(db: Db, { workspaceId, providerKey, kind }: ProviderUse) {
  return db.$queryRaw<{ appId: string; connections: number; users: number }[]>`
    SELECT connection."appId", count(*)::int AS connections, count(DISTINCT connection."userId")::int AS users
    FROM connection
    JOIN connector ON connector.id = connection."connectorId"
    JOIN app ON app.id = connection."appId"
    WHERE connector."workspaceId" = ${workspaceId} AND connector."providerKey" = ${providerKey}
      AND connector.kind = ${kind}::"ConnectorKind" AND connector."deletedAt" IS NULL
      AND connection."disconnectedAt" IS NULL AND app."deletedAt" IS NULL
    GROUP BY connection."appId", app."createdAt" ORDER BY app."createdAt", connection."appId"`;
}

/** Serialises changes to a workspace's members: whoever holds the row decides alone. */
export async function lockWorkspace(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT id FROM workspace WHERE id = ${workspaceId} FOR NO KEY UPDATE`;
}

export function findMember(tx: Tx, workspaceId: string, subject: string) {
  return tx.workspaceMember.findUnique({ where: { workspaceId_subject: { workspaceId, subject } } });
}

export function countOwners(tx: Tx, workspaceId: string) {
  return tx.workspaceMember.count({ where: { workspaceId, role: 'OWNER' } });
}

export function upsertMember(tx: Tx, workspaceId: string, subject: string, role: WorkspaceRole) {
  return tx.workspaceMember.upsert({
    where: { workspaceId_subject: { workspaceId, subject } },
    create: { workspaceId, subject, role },
    update: { role },
    include: { workspace: true },
  });
}

export function deleteMember(tx: Tx, workspaceId: string, subject: string) {
  return tx.workspaceMember.deleteMany({ where: { workspaceId, subject } });
}

export function findMemberships(db: Db, subject: string) {
  return db.workspaceMember.findMany({ where: { subject }, select: { workspaceId: true, role: true } });
}

/** The role that somebody has now, by the subject they called with; null where they have none. */
export async function findRole(db: Db | Tx, workspaceId: string, subject: string): Promise<WorkspaceRole | null> {
  const id = keyIdOf(subject);
  const found =
    id === null
      ? await db.workspaceMember.findUnique({ where: { workspaceId_subject: { workspaceId, subject } } })
      : await db.workspaceKey.findFirst({ where: { id, workspaceId, revokedAt: null } });
  return found?.role ?? null;
}

export function insertWorkspaceKey(
  db: Db | Tx,
  key: { workspaceId: string; name: string; role: WorkspaceRole; hash: string; prefix: string },
) {
  return db.workspaceKey.create({ data: key });
}

export function findWorkspaceKey(db: Db, id: string) {
  return db.workspaceKey.findUnique({ where: { id } });
}

export function findLiveWorkspaceKey(db: Db, hash: string) {
  return db.workspaceKey.findFirst({ where: { hash, revokedAt: null } });
}

export function revokeWorkspaceKeyRow(db: Db | Tx, id: string, at: Date) {
  return db.workspaceKey.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: at } });
}

export function insertApp(
  tx: Tx,
  app: {
    id: string;
    workspaceId: string;
    name: string;
    identityIssuer: string;
    identityAudience: string;
    identityJwksUrl: string | null;
    identitySecretSealed: string | null;
  },
) {
  return tx.app.create({ data: app });
}

/** The update takes the row's lock, so that of two edits at once the second replaces the first's origins whole. */
export function updateApp(
  tx: Tx,
  id: string,
  data: {
    name?: string;
    identityIssuer?: string;
    identityAudience?: string;
    identityJwksUrl?: string | null;
    identitySecretSealed?: string | null;
    updatedAt: Date;
  },
) {
  return tx.app.update({ where: { id }, data });
}

export async function replaceOrigins(tx: Tx, app: { id: string; workspaceId: string }, origins: AppOrigin[]) {
  await tx.appOrigin.deleteMany({ where: { appId: app.id } });
  await tx.appOrigin.createMany({
    data: origins.map(({ kind, origin }, position) => ({
      appId: app.id,
      workspaceId: app.workspaceId,
      kind,
      origin,
      position,
      claim: isLocalhost(new URL(origin).hostname) ? null : origin,
    })),
  });
}

/** Which of these origins another app of the workspace holds already (localhost may be held by many). */
export function findClaimed(tx: Tx, workspaceId: string, appId: string, origins: string[]) {
  return tx.appOrigin.findMany({
    where: { workspaceId, claim: { in: origins }, appId: { not: appId } },
    select: { origin: true },
  });
}

export function findApp(db: Db | Tx, id: string) {
  return db.app.findFirst({ where: { id, deletedAt: null }, ...appWithOrigins });
}

/** A workspace's apps, oldest first. */
export function findWorkspaceApps(db: Db, workspaceId: string) {
  return db.app.findMany({ where: { workspaceId, deletedAt: null }, ...appWithOrigins, orderBy: { createdAt: 'asc' } });
}

/** Apps by id, in order; null for one that is not there. */
export async function findApps(db: Db, ids: readonly string[]) {
  const apps = await db.app.findMany({ where: { id: { in: [...new Set(ids)] }, deletedAt: null }, ...appWithOrigins });
  return inOrder(ids, apps, (app) => app.id);
}

function inOrder<T>(keys: readonly string[], rows: T[], keyOf: (row: T) => string): (T | null)[] {
  const found = new Map(rows.map((row) => [keyOf(row), row]));
  return keys.map((key) => found.get(key) ?? null);
}

export async function originIsKnown(db: Db, origin: string): Promise<boolean> {
  return (await db.appOrigin.findFirst({ where: { origin, app: { deletedAt: null } }, select: { id: true } })) !== null;
}

/** The tombstone ends access; the origins go, so that another app can take them. False where it was gone already. */
export async function tombstoneApp(tx: Tx, app: { id: string; workspaceId: string }, at: Date) {
  const { count } = await tx.app.updateMany({ where: { id: app.id, deletedAt: null }, data: { deletedAt: at } });
  if (count === 0) return false;
  await tx.appKey.updateMany({ where: { appId: app.id, revokedAt: null }, data: { revokedAt: at } });
  await tx.appOrigin.deleteMany({ where: { appId: app.id } });
  await tx.outboxItem.create({
    data: { kind: 'REVOKE_ALL_GRANTS', workspaceId: app.workspaceId, appId: app.id, dueAt: at },
  });
  return true;
}

/** The live connections of an app. A user with several of them counts once. */
export async function countAppUse(db: Db, appId: string) {
  const rows = await db.$queryRaw<{ connections: number; users: number }[]>`
    SELECT count(*)::int AS connections, count(DISTINCT connection."userId")::int AS users
    FROM connection JOIN connector ON connector.id = connection."connectorId"
    WHERE connection."appId" = ${appId} AND connection."disconnectedAt" IS NULL AND connector."deletedAt" IS NULL`;
  return rows.map((row) => ({ ...row, appId }));
}

export function insertAppKey(tx: Db | Tx, key: { appId: string; hash: string; prefix: string }) {
  return tx.appKey.create({ data: key });
}

export function findAppKey(db: Db, id: string) {
  return db.appKey.findUnique({ where: { id }, include: { app: true } });
}

/** Keys that work, with their apps, by hash, in order; null for one that does not. */
export async function findLiveAppKeys(db: Db, hashes: readonly string[]) {
  const keys = await db.appKey.findMany({
    where: { hash: { in: [...new Set(hashes)] }, revokedAt: null, app: { deletedAt: null } },
    include: { app: appWithOrigins },
  });
  return inOrder(hashes, keys, (key) => key.hash);
}

export function revokeAppKeyRow(db: Db | Tx, id: string, at: Date) {
  return db.appKey.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: at } });
}
