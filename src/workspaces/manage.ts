import type { Db } from '../db/client.ts';
import type { Plan, WorkspaceRole } from '../db/generated/prisma/enums.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { actorOf, recordAct } from './audit.ts';
import type { Caller } from './caller.ts';
import { NotFoundError } from './errors.ts';
import { assertCan, lastOwnerError, requireOperator } from './membership.ts';
import { readText } from './read-text.ts';
import * as store from './store.ts';

/** Creates a workspace. Operator only. */
export async function createWorkspace(
  deps: { db: Db; clock: Clock; defaultPlan: Plan },
  caller: Caller,
  input: { name: string; plan: Plan | null },
) {
  requireOperator(caller);
  const name = readText(input.name, 'input.name', 'A name');
  const plan = input.plan ?? deps.defaultPlan;
  return deps.db.$transaction(async (tx) => {
    const workspace = await store.insertWorkspace(tx, name, plan);
    const act = { act: 'WORKSPACE_CREATED', workspaceId: workspace.id, details: { plan } } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return workspace;
  });
}

/** Changes what a workspace pays for. Operator only; every open page of its apps is told. */
export async function setWorkspacePlan(
  deps: { db: Db; clock: Clock; events: StatusEvents },
  caller: Caller,
  input: { workspaceId: string; plan: Plan },
) {
  requireOperator(caller);
  const workspace = await deps.db.$transaction(async (tx) => {
    await store.lockWorkspace(tx, input.workspaceId);
    const before = await store.findPlan(tx, input.workspaceId);
    const [after] = await store.updatePlan(tx, input.workspaceId, input.plan);
    if (!before || !after) throw new NotFoundError('workspace');
    const details = { from: before.plan, to: after.plan };
    await recordAct(deps, tx, actorOf(caller), { act: 'PLAN_SET', workspaceId: after.id, details });
    return after;
  });
  deps.events.publish({ workspaceId: workspace.id });
  return workspace;
}

interface MemberDeps {
  db: Db;
  clock: Clock;
  events: StatusEvents;
}

/** Makes a person a member, or gives a member another role. Only an OWNER makes or unmakes an OWNER; the last one stays. */
export async function setWorkspaceMember(
  deps: MemberDeps,
  caller: Caller,
  input: { workspaceId: string; subject: string; role: WorkspaceRole },
) {
  const subject = readText(input.subject, 'input.subject', 'A subject', 255);
  return changeMember(deps, caller, { workspaceId: input.workspaceId, subject }, input.role, async (tx) => {
    const { workspace, ...member } = await store.upsertMember(tx, input.workspaceId, subject, input.role);
    return { workspace, member };
  });
}

/** Takes a person's membership away. */
export async function removeWorkspaceMember(
  deps: MemberDeps,
  caller: Caller,
  input: { workspaceId: string; subject: string },
): Promise<void> {
  const subject = readText(input.subject, 'input.subject', 'A subject', 255);
  await changeMember(deps, caller, { workspaceId: input.workspaceId, subject }, null, async (tx) => {
    const { count } = await store.deleteMember(tx, input.workspaceId, subject);
    if (count === 0) throw new NotFoundError('member');
  });
}

async function changeMember<T>(
  deps: MemberDeps,
  caller: Caller,
  who: { workspaceId: string; subject: string },
  role: WorkspaceRole | null,
  change: (tx: Parameters<typeof store.upsertMember>[0]) => Promise<T>,
): Promise<T> {
  if (caller.kind === 'operator') {
    if (!(await store.findPlan(deps.db, who.workspaceId))) throw new NotFoundError('workspace');
  } else {
    assertCan(caller, role === 'OWNER' ? 'owner.manage' : 'member.manage', who.workspaceId, 'workspace');
  }
  const changed = await deps.db.$transaction(async (tx) => {
    await store.lockWorkspace(tx, who.workspaceId);
    const before = await store.findMember(tx, who.workspaceId, who.subject);
    if (before?.role === 'OWNER' && role !== 'OWNER') {
      if (caller.kind !== 'operator') assertCan(caller, 'owner.manage', who.workspaceId, 'workspace');
      if ((await store.countOwners(tx, who.workspaceId)) === 1) throw lastOwnerError();
    }
    const changed = await change(tx);
    const details = { ...(before && { from: before.role }), ...(role && { to: role }) };
    const act = role === null ? 'MEMBER_REMOVED' : 'MEMBER_SET';
    await recordAct(deps, tx, actorOf(caller), { act, workspaceId: who.workspaceId, targetId: who.subject, details });
    return changed;
  });
  deps.events.publish({ workspaceId: who.workspaceId }); // for the streams that the person has open
  return changed;
}
