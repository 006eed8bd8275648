import type { Caller } from '../../workspaces/caller.ts';
import { builder } from '../builder.ts';
import { App } from './app.ts';
import { WorkspaceRole } from './enums.ts';
import { Workspace } from './workspace.ts';

type Of<K extends Caller['kind']> = Extract<Caller, { kind: K }>;

const OperatorViewer = builder.objectRef<Of<'operator'>>('OperatorViewer').implement({
  description: 'Whoever runs this service.',
  fields: (t) => ({
    seesEverything: t.boolean({ description: 'True: all workspaces, but no secrets.', resolve: () => true }),
  }),
});

const Membership = builder.objectRef<Of<'member'>['memberships'][number]>('Membership').implement({
  description: 'A workspace, and what the caller may do in it.',
  fields: (t) => ({
    role: t.expose('role', { type: WorkspaceRole, description: 'What the caller may do.' }),
    workspace: t.prismaField({
      type: Workspace,
      description: 'The workspace.',
      resolve: (query, { workspaceId }, _args, { features }) =>
        features.db.workspace.findUniqueOrThrow({ ...query, where: { id: workspaceId } }),
    }),
  }),
});

const MemberViewer = builder.objectRef<Of<'member'>>('MemberViewer').implement({
  description: 'A person or a key with a role in workspaces.',
  fields: (t) => ({
    subject: t.exposeString('subject', { description: "The person's `sub`, or `key:` and the key's own id." }),
    memberships: t.expose('memberships', { type: [Membership], description: 'The workspaces and roles.' }),
  }),
});

const AppUserViewer = builder.objectRef<Of<'app-user'>>('AppUserViewer').implement({
  description: 'A signed-in user of an app.',
  fields: (t) => ({
    userId: t.exposeString('userId', { description: "The `sub` of the user's identity token." }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When the identity token ends.' }),
    app: t.prismaField({
      type: App,
      description: 'The app.',
      resolve: (query, { app }, _args, { features }) =>
        features.db.app.findUniqueOrThrow({ ...query, where: { id: app.id } }),
    }),
  }),
});

const BackendFunctionViewer = builder.objectRef<Of<'backend-function'>>('BackendFunctionViewer').implement({
  description: "An app's backend, with or without a user.",
  fields: (t) => ({
    userId: t.string({
      nullable: true,
      description: 'The `sub` of the user it calls on behalf of, where it does.',
      resolve: ({ user }) => user?.userId ?? null,
    }),
    app: t.prismaField({
      type: App,
      description: 'The app.',
      resolve: (query, { app }, _args, { features }) =>
        features.db.app.findUniqueOrThrow({ ...query, where: { id: app.id } }),
    }),
  }),
});

const viewerTypes = {
  operator: OperatorViewer,
  member: MemberViewer,
  'app-user': AppUserViewer,
  'backend-function': BackendFunctionViewer,
};

const Viewer = builder.unionType('Viewer', {
  description: 'Who is calling.',
  types: Object.values(viewerTypes),
  resolveType: (caller) => viewerTypes[caller.kind],
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    authScopes: { signedIn: true },
    description: 'Who the service takes the caller for.',
    resolve: (_root, _args, { caller }) => {
      if (caller.kind === 'anonymous') throw caller.error;
      return caller;
    },
  }),
);
