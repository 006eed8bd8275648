import { globalId, idOf } from '../../lib/global-id.ts';
import type { Secret } from '../../lib/secret.ts';
import { createWorkspaceKey, revokeWorkspaceKey } from '../../workspaces/keys.ts';
import {
  createWorkspace,
  removeWorkspaceMember,
  setWorkspaceMember,
  setWorkspacePlan,
} from '../../workspaces/manage.ts';
import type { Prisma } from '../../db/generated/prisma/client.ts';
import { listOfMany } from '../batch.ts';
import { builder } from '../builder.ts';
import type { GraphqlContext } from '../context.ts';
import { providerOf } from './provider.ts';
import { memberRowsVisibleTo, workspacesVisibleTo } from '../visibility.ts';
import { nameHolding, where } from '../search.ts';
import { ConnectorKind, Plan, WorkspaceRole } from './enums.ts';

const oldestFirst = [{ createdAt: 'asc' as const }, { id: 'asc' as const }];

const WorkspaceMember = builder.prismaNode('WorkspaceMember', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, ...memberRowsVisibleTo(caller) }),
  fields: (t) => ({
    subject: t.exposeString('subject', {}),
    role: t.expose('role', { type: WorkspaceRole }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
});

const WorkspaceKey = builder.prismaNode('WorkspaceKey', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, ...memberRowsVisibleTo(caller) }),
  fields: (t) => ({
    name: t.exposeString('name', {}),
    role: t.expose('role', { type: WorkspaceRole }),
    prefix: t.exposeString('prefix', {}),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true }),
  }),
});

const WorkspaceFilter = builder.inputType('WorkspaceFilter', {
  description: 'Which workspaces to list: those that fit all that is given.',
  fields: (t) => ({
    search: t.string({ required: false, description: 'What the name holds, in any case.' }),
    plan: t.field({ type: Plan, required: false, description: 'The plan in force.' }),
  }),
});

const AppFilter = builder.inputType('AppFilter', {
  description: 'Which apps to list.',
  fields: (t) => ({ search: t.string({ required: false, description: 'What the name holds, in any case.' }) }),
});

export const ConnectorFilter = builder.inputType('ConnectorFilter', {
  description: 'Which connectors to list: those that fit all that is given.',
  fields: (t) => ({
    search: t.string({ required: false, description: 'What the name holds, in any case.' }),
    providerKey: t.string({ required: false, description: 'A key from `providers`, or "custom".' }),
    kind: t.field({ type: ConnectorKind, required: false, description: 'Whose account they connect.' }),
  }),
});

/** The connectors of a workspace that a filter lets through. */
export function connectorsWhere(filter: typeof ConnectorFilter.$inferInput | null | undefined) {
  const providerKey = filter?.providerKey?.trim().toLowerCase();
  return {
    deletedAt: null,
    ...where('name', nameHolding(filter?.search)),
    ...where('kind', filter?.kind),
    ...(providerKey !== undefined && {
      providerKey: { in: providerOf(providerKey).key === providerKey ? [providerKey] : [] },
    }),
  };
}

const WorkspaceMemberFilter = builder.inputType('WorkspaceMemberFilter', {
  description: 'Which members to list.',
  fields: (t) => ({ role: t.field({ type: WorkspaceRole, required: false, description: 'What they may do.' }) }),
});

const WorkspaceKeyFilter = builder.inputType('WorkspaceKeyFilter', {
  description: 'Which keys to list: those that fit all that is given.',
  fields: (t) => ({
    role: t.field({ type: WorkspaceRole, required: false, description: 'What a caller with the key may do.' }),
    revoked: t.boolean({ required: false, description: 'Those that were revoked, or those that work.' }),
  }),
});

/** The argument of a list that can be narrowed. */
export const filterArg = { required: false as const, description: 'Which of them; all by default.' };

/** Workspaces with one of their lists each: a page of it, however many there are. */
function readWorkspaces<T extends Prisma.WorkspaceSelect>({ features }: GraphqlContext, ids: string[], list: T) {
  return features.db.workspace.findMany({ where: { id: { in: ids } }, select: { ...list, id: true as const } });
}

export const Workspace = builder.prismaNode('Workspace', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, AND: workspacesVisibleTo(caller) }),
  fields: (t) => ({
    name: t.exposeString('name', {}),
    plan: t.expose('plan', { type: Plan }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    members: t.relatedConnection('members', {
      cursor: 'id',
      description: 'Who may sign in to the workspace, oldest first.',
      args: { filter: t.arg({ type: WorkspaceMemberFilter, ...filterArg }) },
      query: ({ filter }) => ({ where: where('role', filter?.role), orderBy: oldestFirst }),
      resolve: listOfMany('members', async (context, ids, members: Prisma.Workspace$membersArgs) => {
        const parents = await readWorkspaces(context, ids, { members });
        return parents.map((parent) => ({ id: parent.id, rows: parent.members }));
      }),
    }),
    keys: t.relatedConnection('keys', {
      cursor: 'id',
      description: "The workspace's keys, oldest first, revoked ones included.",
      args: { filter: t.arg({ type: WorkspaceKeyFilter, ...filterArg }) },
      query: ({ filter }) => ({
        where: {
          ...where('role', filter?.role),
          ...(typeof filter?.revoked === 'boolean' && { revokedAt: filter.revoked ? { not: null } : null }),
        },
        orderBy: oldestFirst,
      }),
      resolve: listOfMany('keys', async (context, ids, keys: Prisma.Workspace$keysArgs) => {
        const parents = await readWorkspaces(context, ids, { keys });
        return parents.map((parent) => ({ id: parent.id, rows: parent.keys }));
      }),
    }),
    apps: t.relatedConnection('apps', {
      cursor: 'id',
      description: "The workspace's apps, oldest first.",
      args: { filter: t.arg({ type: AppFilter, ...filterArg }) },
      query: ({ filter }) => ({
        where: { deletedAt: null, ...where('name', nameHolding(filter?.search)) },
        orderBy: oldestFirst,
      }),
      resolve: listOfMany('apps', async (context, ids, apps: Prisma.Workspace$appsArgs) => {
        const parents = await readWorkspaces(context, ids, { apps });
        return parents.map((parent) => ({ id: parent.id, rows: parent.apps }));
      }),
    }),
    connectors: t.relatedConnection('connectors', {
      cursor: 'id',
      description: "The workspace's connectors, oldest first. Each is usable in all of the workspace's apps.",
      args: { filter: t.arg({ type: ConnectorFilter, ...filterArg }) },
      query: ({ filter }) => ({ where: connectorsWhere(filter), orderBy: oldestFirst }),
      resolve: listOfMany('connectors', async (context, ids, connectors: Prisma.Workspace$connectorsArgs) => {
        const parents = await readWorkspaces(context, ids, { connectors });
        return parents.map((parent) => ({ id: parent.id, rows: parent.connectors }));
      }),
    }),
  }),
});

builder.queryFields((t) => ({
  workspace: t.prismaField({
    type: Workspace,
    nullable: true,
    authScopes: { signedIn: true },
    description: 'A workspace by id; null for one that the caller may not know of.',
    args: { id: t.arg.id({ description: "The workspace's id." }) },
    resolve: (query, _root, { id }, { caller, features }) =>
      features.db.workspace.findFirst({
        ...query,
        where: { id: idOf('Workspace', id) ?? '', AND: workspacesVisibleTo(caller) },
      }),
  }),
  workspaces: t.prismaConnection({
    type: Workspace,
    cursor: 'id',
    authScopes: { member: true },
    description: 'The operator sees all workspaces, a member their own; oldest first.',
    args: { filter: t.arg({ type: WorkspaceFilter, ...filterArg }) },
    resolve: (query, _root, { filter }, { caller, features }) =>
      features.db.workspace.findMany({
        ...query,
        where: {
          AND: [workspacesVisibleTo(caller), where('name', nameHolding(filter?.search)), where('plan', filter?.plan)],
        },
        orderBy: oldestFirst,
      }),
  }),
}));

const CreateWorkspaceInput = builder.inputType('CreateWorkspaceInput', {
  description: 'A new workspace.',
  fields: (t) => ({
    name: t.string({ description: 'At most 100 characters.' }),
    plan: t.field({ type: Plan, required: false, description: 'By default what DEFAULT_PLAN says.' }),
  }),
});

const CreateWorkspacePayload = builder
  .objectRef<{ workspace: typeof Workspace.$inferType }>('CreateWorkspacePayload')
  .implement({
    description: 'The workspace was created.',
    fields: (t) => ({ workspace: t.expose('workspace', { type: Workspace, description: 'The new workspace.' }) }),
  });

builder.mutationField('createWorkspace', (t) =>
  t.field({
    type: CreateWorkspacePayload,
    errors: {},
    description: 'Creates a workspace. Operator only.',
    args: { input: t.arg({ type: CreateWorkspaceInput, description: 'The new workspace.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      workspace: await createWorkspace(features, caller, { name: input.name, plan: input.plan ?? null }),
    }),
  }),
);

const SetWorkspacePlanInput = builder.inputType('SetWorkspacePlanInput', {
  description: "A change of a workspace's plan.",
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    plan: t.field({ type: Plan, description: 'The new plan.' }),
  }),
});

const SetWorkspacePlanPayload = builder
  .objectRef<{ workspace: typeof Workspace.$inferType }>('SetWorkspacePlanPayload')
  .implement({
    description: 'The plan was changed.',
    fields: (t) => ({ workspace: t.expose('workspace', { type: Workspace, description: 'The workspace.' }) }),
  });

builder.mutationField('setWorkspacePlan', (t) =>
  t.field({
    type: SetWorkspacePlanPayload,
    errors: {},
    description: 'Changes what a workspace pays for. Nothing is lost on a lower plan. Operator only.',
    args: { input: t.arg({ type: SetWorkspacePlanInput, description: 'The workspace and its new plan.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const workspaceId = idOf('Workspace', input.workspaceId) ?? '';
      return { workspace: await setWorkspacePlan(features, caller, { workspaceId, plan: input.plan }) };
    },
  }),
);

const SetWorkspaceMemberInput = builder.inputType('SetWorkspaceMemberInput', {
  description: 'A person and what they may do in a workspace.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    subject: t.string({ description: "The `sub` of the person's admin identity token; at most 255 characters." }),
    role: t.field({ type: WorkspaceRole, description: 'What the person may do. Only an OWNER makes an OWNER.' }),
  }),
});

const SetWorkspaceMemberPayload = builder
  .objectRef<{ member: typeof WorkspaceMember.$inferType; workspace: typeof Workspace.$inferType }>(
    'SetWorkspaceMemberPayload',
  )
  .implement({
    description: 'The person is a member with that role.',
    fields: (t) => ({
      workspace: t.expose('workspace', { type: Workspace, description: 'The workspace.' }),
      member: t.expose('member', { type: WorkspaceMember, description: 'The member.' }),
    }),
  });

builder.mutationField('setWorkspaceMember', (t) =>
  t.field({
    type: SetWorkspaceMemberPayload,
    errors: {},
    description: 'Makes a person a member, or gives a member another role. OWNER and ADMIN.',
    args: { input: t.arg({ type: SetWorkspaceMemberInput, description: 'Who, and what they may do.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const workspaceId = idOf('Workspace', input.workspaceId) ?? '';
      return setWorkspaceMember(features, caller, { ...input, workspaceId });
    },
  }),
);

const RemoveWorkspaceMemberInput = builder.inputType('RemoveWorkspaceMemberInput', {
  description: 'Who is to leave a workspace.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    subject: t.string({ description: "The `sub` of the person's admin identity token." }),
  }),
});

const RemoveWorkspaceMemberPayload = builder
  .objectRef<{ removedSubject: string }>('RemoveWorkspaceMemberPayload')
  .implement({
    description: 'The person is no member any more.',
    fields: (t) => ({ removedSubject: t.exposeString('removedSubject', { description: 'Who left.' }) }),
  });

builder.mutationField('removeWorkspaceMember', (t) =>
  t.field({
    type: RemoveWorkspaceMemberPayload,
    errors: {},
    description: 'Ends a membership. OWNER and ADMIN; the last OWNER stays.',
    args: { input: t.arg({ type: RemoveWorkspaceMemberInput, description: 'Who is to leave which workspace.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const workspaceId = idOf('Workspace', input.workspaceId) ?? '';
      await removeWorkspaceMember(features, caller, { workspaceId, subject: input.subject });
      return { removedSubject: input.subject };
    },
  }),
);

const CreateWorkspaceKeyInput = builder.inputType('CreateWorkspaceKeyInput', {
  description: 'A new workspace key.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    name: t.string({ description: 'Tells this key from others; at most 100 characters.' }),
    role: t.field({ type: WorkspaceRole, description: 'What a caller with the key may do.' }),
  }),
});

const CreateWorkspaceKeyPayload = builder
  .objectRef<{ workspaceKey: typeof WorkspaceKey.$inferType; secret: Secret }>('CreateWorkspaceKeyPayload')
  .implement({
    description: 'The key was made.',
    fields: (t) => ({
      workspaceKey: t.expose('workspaceKey', { type: WorkspaceKey, description: 'What is kept of the key.' }),
      workspaceKeySecret: t.string({
        description: 'The key itself, for `Authorization: Bearer`. It is shown this once.',
        resolve: ({ secret }) => secret.reveal(),
      }),
    }),
  });

builder.mutationField('createWorkspaceKey', (t) =>
  t.field({
    type: CreateWorkspaceKeyPayload,
    errors: {},
    description:
      'Makes a workspace key with a role. OWNER and ADMIN; the operator too, so that a new workspace gets its first.',
    args: { input: t.arg({ type: CreateWorkspaceKeyInput, description: 'The new key.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      createWorkspaceKey(features, caller, { ...input, workspaceId: idOf('Workspace', input.workspaceId) ?? '' }),
  }),
);

const RevokeWorkspaceKeyInput = builder.inputType('RevokeWorkspaceKeyInput', {
  description: 'The key to end.',
  fields: (t) => ({ workspaceKeyId: t.id({ description: 'The key, by its id.' }) }),
});

const RevokeWorkspaceKeyPayload = builder.objectRef<{ id: string }>('RevokeWorkspaceKeyPayload').implement({
  description: 'The key does not work any more.',
  fields: (t) => ({
    revokedWorkspaceKeyId: t.id({
      description: 'The key that ended.',
      resolve: ({ id }) => globalId('WorkspaceKey', id),
    }),
  }),
});

builder.mutationField('revokeWorkspaceKey', (t) =>
  t.field({
    type: RevokeWorkspaceKeyPayload,
    errors: {},
    description: 'Ends a workspace key at once.',
    args: { input: t.arg({ type: RevokeWorkspaceKeyInput, description: 'The key to end.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      id: await revokeWorkspaceKey(features, caller, idOf('WorkspaceKey', input.workspaceKeyId) ?? ''),
    }),
  }),
);
