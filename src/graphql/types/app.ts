import { prismaConnectionHelpers, queryFromInfo } from '@pothos/plugin-prisma';
import { globalId, idOf } from '../../lib/global-id.ts';
import type { Secret } from '../../lib/secret.ts';
import { redirectUrisOf } from '../../connectors/connector.ts';
import { createApp, deleteApp, editApp, type IdentityInput } from '../../workspaces/apps.ts';
import { createAppKey, revokeAppKey } from '../../workspaces/keys.ts';
import { originsOf } from '../../workspaces/origin.ts';
import type { Prisma } from '../../db/generated/prisma/client.ts';
import { listOfMany } from '../batch.ts';
import { builder, confirmable } from '../builder.ts';
import { appKeysVisibleTo, appsVisibleTo } from '../visibility.ts';
import { Connector } from './connector.ts';
import { OriginKind } from './enums.ts';
import { RedirectUri } from './redirect-uri.ts';
import { ConnectorFilter, connectorsWhere, filterArg } from './workspace.ts';

const oldestFirst = [{ createdAt: 'asc' as const }, { id: 'asc' as const }];

const AppOrigin = builder.objectRef<{ kind: typeof OriginKind.$inferType; origin: string }>('AppOrigin').implement({
  description: 'An origin (scheme, host and port) that an app is served from.',
  fields: (t) => ({
    kind: t.expose('kind', { type: OriginKind, description: 'What the origin is for.' }),
    origin: t.exposeString('origin', { description: 'As a browser sends it in the Origin header.' }),
  }),
});

const AppKey = builder.prismaNode('AppKey', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, AND: appKeysVisibleTo(caller) }),
  fields: (t) => ({
    prefix: t.exposeString('prefix', {}),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true }),
  }),
});

const connectorPages = prismaConnectionHelpers(builder, Connector, { cursor: 'id' });

export const App = builder.prismaNode('App', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, AND: appsVisibleTo(caller) }),
  fields: (t) => ({
    name: t.exposeString('name', {}),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
    identityIssuer: t.exposeString('identityIssuer', {}),
    identityAudience: t.exposeString('identityAudience', {}),
    identityJwksUrl: t.exposeString('identityJwksUrl', { nullable: true }),
    origins: t.field({
      type: [AppOrigin],
      description: "Where the app is served from: LIVE, CUSTOM, PREVIEW, then this service's own.",
      select: { origins: { orderBy: { position: 'asc' } } },
      resolve: (app, _args, { features }) => originsOf(app, features.publicUrl),
    }),
    redirectUris: t.field({
      type: [RedirectUri],
      description:
        "The redirect URIs to register at catalogue providers, one per origin. A custom connector has its own: see the connector's `redirectUris`.",
      select: { origins: { orderBy: { position: 'asc' } } },
      resolve: (app, _args, { features }) => redirectUrisOf([app], features.publicUrl, null),
    }),
    connectors: t.connection({
      type: Connector,
      description: "The connectors that the app may use: all of its workspace's, oldest first.",
      args: { filter: t.arg({ type: ConnectorFilter, ...filterArg }) },
      // whoever sees an app sees its workspace's connectors: they are read in one statement for any number of apps
      select: { workspaceId: true },
      resolve: async ({ workspaceId }, { filter, ...page }, context, info) => {
        const nested = () => queryFromInfo({ context, info, path: ['edges', 'node'], typeName: 'Connector' });
        const connectors = {
          ...connectorPages.getQuery(page, context, nested),
          where: connectorsWhere(filter),
          orderBy: oldestFirst,
        };
        const read = listOfMany('app connectors', async ({ features }, ids, query: typeof connectors) => {
          const select = { id: true, connectors: query };
          const workspaces = await features.db.workspace.findMany({ where: { id: { in: ids } }, select });
          return workspaces.map(({ id, connectors: rows }) => ({ id, rows }));
        });
        return connectorPages.resolve(await read(connectors, { id: workspaceId }, {}, context), page, context);
      },
    }),
    keys: t.relatedConnection('keys', {
      cursor: 'id',
      authScopes: { member: true },
      description: "The app's keys, oldest first, revoked ones included. For members.",
      query: { orderBy: oldestFirst },
      resolve: listOfMany('appKeys', async ({ features }, ids, keys: Prisma.App$keysArgs) => {
        const parents = await features.db.app.findMany({ where: { id: { in: ids } }, select: { id: true, keys } });
        return parents.map((parent) => ({ id: parent.id, rows: parent.keys }));
      }),
    }),
  }),
});

builder.queryField('app', (t) =>
  t.prismaField({
    type: App,
    nullable: true,
    authScopes: { signedIn: true },
    description: 'An app by id; null for one that the caller may not know of.',
    args: { id: t.arg.id({ description: "The app's id." }) },
    resolve: (query, _root, { id }, { caller, features }) =>
      features.db.app.findFirst({ ...query, where: { id: idOf('App', id) ?? '', AND: appsVisibleTo(caller) } }),
  }),
);

const AppOriginInput = builder.inputType('AppOriginInput', {
  description: 'An origin that an app is served from.',
  fields: (t) => ({
    kind: t.field({ type: OriginKind, description: 'LIVE (at most one), CUSTOM or PREVIEW.' }),
    origin: t.string({ description: 'https (http on localhost), host and perhaps port; no path, no wildcard.' }),
  }),
});

const JwksIdentityInput = builder.inputType('JwksIdentityInput', {
  description: 'Identity tokens are signed by an issuer that publishes its keys.',
  fields: (t) => ({
    issuer: t.string({ description: 'The `iss` that tokens must carry.' }),
    audience: t.string({ description: 'The `aud` that tokens must carry.' }),
    jwksUrl: t.field({ type: 'URL', description: 'Where the issuer publishes its keys (RFC 7517).' }),
  }),
});

const SecretIdentityInput = builder.inputType('SecretIdentityInput', {
  description: 'Identity tokens are signed with a secret (HS256), which is generated and shown once.',
  fields: (t) => ({
    issuer: t.string({ description: 'The `iss` that tokens must carry.' }),
    audience: t.string({ description: 'The `aud` that tokens must carry.' }),
  }),
});

const AppIdentityInput = builder.inputType('AppIdentityInput', {
  description: "How the app's users prove who they are: one of the two.",
  isOneOf: true,
  fields: (t) => ({
    jwks: t.field({ type: JwksIdentityInput, required: false, description: 'By an issuer with published keys.' }),
    secret: t.field({ type: SecretIdentityInput, required: false, description: 'By a shared secret.' }),
  }),
});

function identityOf({ jwks, secret }: typeof AppIdentityInput.$inferInput): IdentityInput {
  if (jwks) return { type: 'jwks', ...jwks, jwksUrl: jwks.jwksUrl.href };
  if (secret) return { type: 'secret', ...secret };
  throw new Error('neither of a oneOf input');
}

const CreateAppInput = builder.inputType('CreateAppInput', {
  description: 'A new app.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace that owns it.' }),
    name: t.string({ description: 'At most 100 characters.' }),
    origins: t.field({ type: [AppOriginInput], description: 'Where it is served from; may be empty.' }),
    identity: t.field({ type: AppIdentityInput, description: 'How its users prove who they are.' }),
  }),
});

const CreateAppPayload = builder
  .objectRef<{
    app: typeof App.$inferType;
    appKey: typeof AppKey.$inferType;
    appKeySecret: Secret;
    identitySecret: Secret | null;
  }>('CreateAppPayload')
  .implement({
    description: 'The app was created, with its first key.',
    fields: (t) => ({
      app: t.expose('app', { type: App, description: 'The new app.' }),
      appKey: t.expose('appKey', { type: AppKey, description: 'What is kept of its key.' }),
      appKeySecret: t.string({
        description: "The key itself, for the app's backend. It is shown this once.",
        resolve: ({ appKeySecret }) => appKeySecret.reveal(),
      }),
      identitySecret: t.string({
        nullable: true,
        description:
          'The HS256 secret for identity tokens, as UTF-8 text, where one was asked for. It is shown this once.',
        resolve: ({ identitySecret }) => identitySecret?.reveal() ?? null,
      }),
    }),
  });

builder.mutationField('createApp', (t) =>
  t.field({
    type: CreateAppPayload,
    errors: {},
    description: 'Creates an app. OWNER and ADMIN.',
    args: { input: t.arg({ type: CreateAppInput, description: 'The new app.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      createApp(features, caller, {
        ...input,
        workspaceId: idOf('Workspace', input.workspaceId) ?? '',
        identity: identityOf(input.identity),
      }),
  }),
);

const EditAppInput = builder.inputType('EditAppInput', {
  description: 'What to change of an app; what is left out stays.',
  fields: (t) => ({
    appId: t.id({ description: 'The app.' }),
    name: t.string({ required: false, description: 'At most 100 characters.' }),
    origins: t.field({ type: [AppOriginInput], required: false, description: 'All origins from now on.' }),
    identity: t.field({ type: AppIdentityInput, required: false, description: 'How its users prove who they are.' }),
  }),
});

const EditAppPayload = builder
  .objectRef<{ app: typeof App.$inferType; identitySecret: Secret | null }>('EditAppPayload')
  .implement({
    description: 'The app was changed.',
    fields: (t) => ({
      app: t.expose('app', { type: App, description: 'The app as it is now.' }),
      identitySecret: t.string({
        nullable: true,
        description: 'The new HS256 secret for identity tokens, where one was asked for. It is shown this once.',
        resolve: ({ identitySecret }) => identitySecret?.reveal() ?? null,
      }),
    }),
  });

builder.mutationField('editApp', (t) =>
  t.field({
    type: EditAppPayload,
    errors: {},
    description: 'Changes an app in place. OWNER and ADMIN.',
    args: { input: t.arg({ type: EditAppInput, description: 'What to change.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      editApp(features, caller, {
        appId: idOf('App', input.appId) ?? '',
        name: input.name ?? null,
        origins: input.origins ?? null,
        identity: input.identity ? identityOf(input.identity) : null,
      }),
  }),
);

const DeleteAppInput = builder.inputType('DeleteAppInput', {
  description: 'The app to delete.',
  fields: (t) => ({
    appId: t.id({ description: 'The app.' }),
    confirm: t.boolean({ defaultValue: false, description: 'Without it, the answer says what would be lost.' }),
  }),
});

const DeleteAppPayload = builder.objectRef<{ id: string }>('DeleteAppPayload').implement({
  description: "The app is gone; its users' grants are being revoked.",
  fields: (t) => ({
    deletedAppId: t.id({ description: 'The app that is gone.', resolve: ({ id }) => globalId('App', id) }),
  }),
});

builder.mutationField('deleteApp', (t) =>
  t.field({
    type: DeleteAppPayload,
    errors: confirmable,
    description: 'Deletes an app, once confirmed: its keys stop and its users are disconnected. OWNER and ADMIN.',
    args: { input: t.arg({ type: DeleteAppInput, description: 'The app to delete.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const id = idOf('App', input.appId) ?? '';
      await deleteApp(features, caller, { appId: id, confirm: input.confirm });
      return { id };
    },
  }),
);

const CreateAppKeyInput = builder.inputType('CreateAppKeyInput', {
  description: 'A further key for an app.',
  fields: (t) => ({ appId: t.id({ description: 'The app.' }) }),
});

const CreateAppKeyPayload = builder
  .objectRef<{ appKey: typeof AppKey.$inferType; secret: Secret }>('CreateAppKeyPayload')
  .implement({
    description: "The key was made. The app's other keys go on working.",
    fields: (t) => ({
      appKey: t.expose('appKey', { type: AppKey, description: 'What is kept of the key.' }),
      appKeySecret: t.string({
        description: "The key itself, for the app's backend. It is shown this once.",
        resolve: ({ secret }) => secret.reveal(),
      }),
    }),
  });

builder.mutationField('createAppKey', (t) =>
  t.field({
    type: CreateAppKeyPayload,
    errors: {},
    description: 'Makes a further key for an app. OWNER and ADMIN.',
    args: { input: t.arg({ type: CreateAppKeyInput, description: 'The app.' }) },
    resolve: (_root, { input }, { caller, features }) => createAppKey(features, caller, idOf('App', input.appId) ?? ''),
  }),
);

const RevokeAppKeyInput = builder.inputType('RevokeAppKeyInput', {
  description: 'The key to end.',
  fields: (t) => ({ appKeyId: t.id({ description: 'The key, by its id.' }) }),
});

const RevokeAppKeyPayload = builder.objectRef<{ id: string }>('RevokeAppKeyPayload').implement({
  description: 'The key does not work any more.',
  fields: (t) => ({
    revokedAppKeyId: t.id({ description: 'The key that ended.', resolve: ({ id }) => globalId('AppKey', id) }),
  }),
});

builder.mutationField('revokeAppKey', (t) =>
  t.field({
    type: RevokeAppKeyPayload,
    errors: {},
    description: "Ends an app's key at once. OWNER and ADMIN.",
    args: { input: t.arg({ type: RevokeAppKeyInput, description: 'The key to end.' }) },
    resolve: async (_root, { input }, { caller, features }) => ({
      id: await revokeAppKey(features, caller, idOf('AppKey', input.appKeyId) ?? ''),
    }),
  }),
);
