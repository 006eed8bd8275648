import type { Caller, Member } from '../../src/workspaces/caller.ts';
import type { DomainError } from '../../src/lib/domain-error.ts';

const appBy = (id: string, workspaceId: string) => ({ id, workspaceId, name: 'App', origins: [] });
const inYears = new Date('2100-01-01T00:00:00Z');

/** A user of an app, of `a` in the workspace `w` unless told otherwise. */
export const userOf = (userId: string, appId = 'a', workspaceId = 'w', expiresAt = inYears): Caller => ({
  kind: 'app-user',
  app: appBy(appId, workspaceId),
  userId,
  expiresAt,
});

/** The backend of an app, for a user or (null) for none. */
export const backendOf = (userId: string | null, appId = 'a', workspaceId = 'w'): Caller => ({
  kind: 'backend-function',
  app: appBy(appId, workspaceId),
  user: userId === null ? null : { userId, expiresAt: inYears },
});

export const memberOf = (workspaceIds: readonly string[], expiresAt: Date | null = null): Member => ({
  kind: 'member',
  subject: 'member-1',
  memberships: workspaceIds.map((workspaceId) => ({ workspaceId, role: 'VIEWER' })),
  expiresAt,
});

export const anonymous = (error: DomainError): Caller => ({ kind: 'anonymous', error });
