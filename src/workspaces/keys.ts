import { randomBytes } from 'node:crypto';
import type { Db, Tx } from '../db/client.ts';
import type { WorkspaceRole } from '../db/generated/prisma/enums.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret, sha256Hex } from '../lib/secret.ts';
import { actorOf, recordAct } from './audit.ts';
import type { Caller } from './caller.ts';
import { NotFoundError } from './errors.ts';
import { assertCan } from './membership.ts';
import { readText } from './read-text.ts';
import * as store from './store.ts';

interface KeyDeps {
  db: Db;
  clock: Clock;
}

/** A fresh key: shown once, stored hashed, recognised by its prefix. */
function newKey(prefix: 'wsk_' | 'apk_'): { secret: Secret; hash: string; prefix: string } {
  const text = `${prefix}${randomBytes(32).toString('base64url')}`;
  return { secret: new Secret(text), hash: sha256Hex(text), prefix: text.slice(0, 12) };
}

/** Makes a key with a role. OWNER and ADMIN may; only an OWNER (or the operator, for a workspace's first key) makes an OWNER. */
export async function createWorkspaceKey(
  deps: KeyDeps,
  caller: Caller,
  input: { workspaceId: string; name: string; role: WorkspaceRole },
) {
  if (caller.kind === 'operator') {
    if (!(await store.findPlan(deps.db, input.workspaceId))) throw new NotFoundError('workspace');
  } else {
    assertCan(caller, input.role === 'OWNER' ? 'owner.manage' : 'key.manage', input.workspaceId, 'workspace');
  }
  const name = readText(input.name, 'input.name', 'A name');
  const { secret, hash, prefix } = newKey('wsk_');
  const { workspaceId, role } = input;
  const workspaceKey = await deps.db.$transaction(async (tx) => {
    const key = await store.insertWorkspaceKey(tx, { workspaceId, name, role, hash, prefix });
    const act = { act: 'WORKSPACE_KEY_CREATED', workspaceId, targetId: key.id, details: { role } } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return key;
  });
  return { workspaceKey, secret };
}

/** Ends a workspace key at once, and the streams opened with it. */
export async function revokeWorkspaceKey(
  deps: KeyDeps & { events: StatusEvents },
  caller: Caller,
  workspaceKeyId: string,
) {
  const key = await store.findWorkspaceKey(deps.db, workspaceKeyId);
  if (!key) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('workspace key');
  if (caller.kind !== 'operator') {
    assertCan(caller, key.role === 'OWNER' ? 'owner.manage' : 'key.manage', key.workspaceId, 'workspace key');
  }
  await deps.db.$transaction(async (tx) => {
    const { count } = await store.revokeWorkspaceKeyRow(tx, key.id, deps.clock.now());
    const act = { act: 'WORKSPACE_KEY_REVOKED', workspaceId: key.workspaceId, targetId: key.id } as const;
    if (count > 0) await recordAct(deps, tx, actorOf(caller), act);
  });
  deps.events.publish({ workspaceId: key.workspaceId });
  return key.id;
}

/** Stores a fresh key of an app. */
export async function insertNewAppKey(tx: Tx, appId: string) {
  const { secret, hash, prefix } = newKey('apk_');
  return { appKey: await store.insertAppKey(tx, { appId, hash, prefix }), secret };
}

/** Makes a further key for an app; the others go on working until they are revoked. */
export async function createAppKey(deps: KeyDeps, caller: Caller, appId: string) {
  const app = await store.findApp(deps.db, appId);
  if (!app) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('app');
  assertCan(caller, 'app.manage', app.workspaceId, 'app');
  return deps.db.$transaction(async (tx) => {
    const made = await insertNewAppKey(tx, app.id);
    const act = { act: 'APP_KEY_CREATED', workspaceId: app.workspaceId, appId, targetId: made.appKey.id } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return made;
  });
}

/** Ends an app's key at once, and the streams opened with it. */
export async function revokeAppKey(deps: KeyDeps & { events: StatusEvents }, caller: Caller, appKeyId: string) {
  const key = await store.findAppKey(deps.db, appKeyId);
  if (!key) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('app key');
  assertCan(caller, 'app.manage', key.app.workspaceId, 'app key');
  const { appId } = key;
  await deps.db.$transaction(async (tx) => {
    const { count } = await store.revokeAppKeyRow(tx, key.id, deps.clock.now());
    const act = { act: 'APP_KEY_REVOKED', workspaceId: key.app.workspaceId, appId, targetId: key.id } as const;
    if (count > 0) await recordAct(deps, tx, actorOf(caller), act);
  });
  deps.events.publish({ workspaceId: key.app.workspaceId });
  return key.id;
}
