import type { Db } from '../db/client.ts';
import { remedy } from '../lib/domain-error.ts';
import { keyIdOf, type Member } from './caller.ts';
import { ForbiddenError } from './errors.ts';
import * as store from './store.ts';

/**
 * What somebody may do now in a workspace who showed their credentials earlier: for what is decided in their name later on.
 * @throws ForbiddenError where they have no role there any more
 */
export async function memberNow(db: Db, workspaceId: string, subject: string, assistant: string): Promise<Member> {
  const role = await store.findRole(db, workspaceId, subject);
  if (role === null) {
    throw new ForbiddenError('Whoever this was asked for has no access to the workspace any more.', {
      remedy: remedy('ADMIN', 'Ask the assistant again, with a workspace key that works.'),
    });
  }
  return { kind: 'member', subject, memberships: [{ workspaceId, role }], expiresAt: null, assistant };
}

/** What people know a member by: a key's name, or a person's `sub`. */
export async function memberName(db: Db, subject: string): Promise<{ isKey: boolean; name: string }> {
  const keyId = keyIdOf(subject);
  const key = keyId === null ? null : await store.findWorkspaceKey(db, keyId);
  return key ? { isKey: true, name: key.name } : { isKey: false, name: subject };
}
