import type { WorkspaceRole } from '../db/generated/prisma/enums.ts';
import { type DomainError, remedy } from '../lib/domain-error.ts';
import type { Caller } from './caller.ts';
import { ForbiddenError, NotFoundError } from './errors.ts';

/** What can be done in a workspace, by the lowest role that may. One table for the whole service. */
const lowestRole = {
  'workspace.view': 'VIEWER',
  'account.connect': 'EDITOR',
  'audit.view': 'ADMIN',
  'member.manage': 'ADMIN',
  'owner.manage': 'OWNER',
  'key.manage': 'ADMIN',
  'app.manage': 'ADMIN',
  'connector.manage': 'ADMIN',
  'availability.manage': 'ADMIN',
} as const satisfies Record<string, WorkspaceRole>;

export type WorkspaceAction = keyof typeof lowestRole;

const rank: Record<WorkspaceRole, number> = { VIEWER: 0, EDITOR: 1, ADMIN: 2, OWNER: 3 };

/** The caller's role in a workspace; null where they have none. The operator is no member. */
function roleIn(caller: Caller, workspaceId: string): WorkspaceRole | null {
  if (caller.kind !== 'member') return null;
  return caller.memberships.find((membership) => membership.workspaceId === workspaceId)?.role ?? null;
}

/** Whether the caller may do something in a workspace. The operator sees everything (but secrets) and changes nothing in it. */
export function can(caller: Caller, action: WorkspaceAction, workspaceId: string): boolean {
  if (caller.kind === 'operator') return action === 'workspace.view' || action === 'audit.view';
  return roleMay(roleIn(caller, workspaceId), action);
}

/** Whether a role (null: none) is enough for something. */
export function roleMay(role: WorkspaceRole | null, action: WorkspaceAction): boolean {
  return role !== null && rank[role] >= rank[lowestRole[action]];
}

/**
 * @throws UnauthenticatedError for nobody, NotFoundError for somebody of another workspace (who must not learn that the
 * thing exists), ForbiddenError for a role that is too low.
 */
export function assertCan(caller: Caller, action: WorkspaceAction, workspaceId: string, what: string): void {
  if (caller.kind === 'anonymous') throw caller.error;
  if (can(caller, action, workspaceId)) return;
  if (!can(caller, 'workspace.view', workspaceId)) throw new NotFoundError(what);
  throw roleTooLow(action);
}

/** @throws UnauthenticatedError for nobody, ForbiddenError for everybody but the operator: what is done to the service, or to a workspace from outside. */
export function requireOperator(caller: Caller): void {
  if (caller.kind === 'operator') return;
  if (caller.kind === 'anonymous') throw caller.error;
  throw new ForbiddenError('Only the operator may do this.');
}

/** Whoever tries has no role that is high enough. */
export function roleTooLow(action: WorkspaceAction): DomainError {
  const role = lowestRole[action];
  return new ForbiddenError(`This needs the role ${role} or higher in the workspace.`, {
    remedy: remedy('ADMIN', `Ask an OWNER or ADMIN of the workspace to do this, or to give you the role ${role}.`),
  });
}

/** The workspace would be left without an owner. */
export function lastOwnerError(): DomainError {
  return new ForbiddenError('The last OWNER of a workspace cannot be removed or given another role.', {
    remedy: remedy('ADMIN', 'Make somebody else an OWNER first.'),
  });
}
