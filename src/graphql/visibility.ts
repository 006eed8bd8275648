import type { Prisma } from '../db/generated/prisma/client.ts';
import { type Caller, callingApp } from '../workspaces/caller.ts';
import { can } from '../workspaces/membership.ts';

/** Matches nothing. */
const none = { id: { in: [] as string[] } };

/** The workspaces whose inside the caller may look at; null: all. */
function workspaceIds(caller: Caller): string[] | null {
  if (caller.kind === 'operator') return null;
  return caller.kind === 'member' ? caller.memberships.map((membership) => membership.workspaceId) : [];
}

export function workspacesVisibleTo(caller: Caller): Prisma.WorkspaceWhereInput {
  const ids = workspaceIds(caller);
  return ids === null ? {} : { id: { in: ids } };
}

/** What lies in a workspace and is for its members only. */
export function memberRowsVisibleTo(caller: Caller): { workspaceId?: { in: string[] } } {
  const ids = workspaceIds(caller);
  return ids === null ? {} : { workspaceId: { in: ids } };
}

/** The audit of the workspaces where the caller may look at it. */
export function auditVisibleTo(caller: Caller): { workspaceId?: { in: string[] } } {
  const ids = workspaceIds(caller);
  return ids === null ? {} : { workspaceId: { in: ids.filter((id) => can(caller, 'audit.view', id)) } };
}

export function appsVisibleTo(caller: Caller): Prisma.AppWhereInput {
  const app = callingApp(caller);
  return { deletedAt: null, ...(app ? { id: app.id } : memberRowsVisibleTo(caller)) };
}

/** An app sees all of its workspace's connectors, members those of their workspaces. */
export function connectorsVisibleTo(caller: Caller): Prisma.ConnectorWhereInput {
  const app = callingApp(caller);
  return { deletedAt: null, ...(app ? { workspaceId: app.workspaceId } : memberRowsVisibleTo(caller)) };
}

/** The connectors that the calling app may use. */
export function connectorsUsableBy(caller: Caller): Prisma.ConnectorWhereInput {
  const app = callingApp(caller);
  return app ? { deletedAt: null, workspaceId: app.workspaceId, kind: 'APP_USER' } : none;
}

export function appKeysVisibleTo(caller: Caller): Prisma.AppKeyWhereInput {
  return { app: { deletedAt: null, ...memberRowsVisibleTo(caller) } };
}
