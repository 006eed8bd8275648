import {
  type CustomProvider,
  type NamedValue,
  type Notice as ConnectorNotice,
  redirectUrisOf,
} from '../../connectors/connector.ts';
import {
  addConnector,
  deleteConnector,
  editConnector,
  type EditConnectorInput as Edit,
} from '../../connectors/manage.ts';
import { type ConnectorEditPreview as Preview, previewConnectorEdit } from '../../connectors/preview.ts';
import { connectionId } from '../../connections/connection.ts';
import { clientFacts, flowError } from '../../connections/errors.ts';
import {
  loadOwnFlowProblems,
  loadFlowProblems,
  type FlowProblem as ConnectFlowProblem,
} from '../../connections/flow-problem.ts';
import { globalId, idOf } from '../../lib/global-id.ts';
import { callingApp, callingUser } from '../../workspaces/caller.ts';
import { countUsers } from '../../workspaces/errors.ts';
import { can } from '../../workspaces/membership.ts';
import { builder, confirmable } from '../builder.ts';
import type { GraphqlContext } from '../context.ts';
import { AffectedConnections, asValue, UserError } from '../errors.ts';
import { appsVisibleTo, connectorsUsableBy, connectorsVisibleTo } from '../visibility.ts';
import { AppUserConnection } from './connection.ts';
import { ClientAuthentication, ConnectorKind, ReconnectReason } from './enums.ts';
import { ConnectionConfigEntry, ConnectionConfigEntryInput } from './named-value.ts';
import { Provider, providerOf } from './provider.ts';
import { RedirectUri } from './redirect-uri.ts';

const FlowProblem = builder.objectRef<ConnectFlowProblem>('FlowProblem').implement({
  description: 'A connect flow that has come to nothing, or not come back.',
  fields: (t) => ({
    redirectUri: t.exposeString('redirectUri', { description: 'Where the provider was to send the browser.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it began.' }),
    problem: t.field({
      type: UserError,
      description: 'Why, and what to do about it.',
      resolve: ({ problem }) => asValue(problem),
    }),
  }),
});

type Owned = { id: string; providerKey: string; workspaceId: string; operatorClientId: string | null };

/** The apps of connectors' workspaces as far as the caller sees them, oldest first, read in one go. */
async function appsOf(connectors: readonly Owned[], { caller, features }: GraphqlContext) {
  const own = callingApp(caller);
  if (own) return () => [own];
  const workspaceIds = [...new Set(connectors.map(({ workspaceId }) => workspaceId))];
  const apps = await features.db.app.findMany({
    where: { workspaceId: { in: workspaceIds }, AND: appsVisibleTo(caller) },
    select: { workspaceId: true, origins: { orderBy: { position: 'asc' } } },
    orderBy: { createdAt: 'asc' },
  });
  return (workspaceId: string) => apps.filter((app) => app.workspaceId === workspaceId);
}

export const Connector = builder.prismaNode('Connector', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, { caller }) => ({ id, AND: connectorsVisibleTo(caller) }),
  fields: (t) => ({
    name: t.exposeString('name', {}),
    provider: t.field({
      type: Provider,
      description: 'The provider that accounts are connected at.',
      select: { providerKey: true },
      resolve: ({ providerKey }) => providerOf(providerKey),
    }),
    kind: t.expose('kind', { type: ConnectorKind }),
    clientId: t.exposeString('clientId', { nullable: true }),
    usesOperatorClient: t.boolean({
      description:
        "Whether it connects through the operator's client at the provider, having none of its own. Its flows always come back to the service's own redirect URI, the one that the operator has registered. A client entered with editConnector takes its place, and its accounts must be connected again.",
      select: { operatorClientId: true },
      resolve: ({ operatorClientId }) => operatorClientId !== null,
    }),
    hasClientSecret: t.boolean({
      description: 'Whether a client secret is stored. It is never shown.',
      select: { clientSecretSealed: true },
      resolve: ({ clientSecretSealed }) => clientSecretSealed !== null,
    }),
    scopes: t.exposeStringList('scopes', {}),
    connectionConfig: t.field({
      type: [ConnectionConfigEntry],
      description: 'Further settings that the provider needs.',
      select: { connectionConfig: true },
      resolve: ({ connectionConfig }) => connectionConfig as unknown as NamedValue[],
    }),
    redirectUris: t.loadableList({
      type: RedirectUri,
      description:
        "The redirect URIs to register at the provider: those of the calling app or, for members, of all the workspace's apps; the service's own last. Where the operator's client is used, only that one: the operator has registered it.",
      loaderOptions: { cache: false },
      load: async (connectors: Owned[], context) => {
        const apps = await appsOf(connectors, context);
        return connectors.map((connector) =>
          redirectUrisOf(apps(connector.workspaceId), context.features.publicUrl, connector),
        );
      },
      resolve: (connector): Owned => connector,
    }),
    currentUserConnection: t.field({
      type: AppUserConnection,
      nullable: true,
      description:
        "The calling user's connection, connected or not; null where no app user calls, or the connector is shared.",
      select: { id: true, kind: true },
      resolve: ({ id, kind }, _args, { caller }) => {
        const user = callingUser(caller);
        return user && kind === 'APP_USER' ? connectionId(id, user.app.id, user.userId) : null;
      },
    }),
    sharedConnection: t.field({
      type: AppUserConnection,
      nullable: true,
      description:
        'The account that everyone in an app shares, connected or not: for members, and for the backend function of that app. Null for everybody else, and where each user has an account of their own.',
      args: { appId: t.arg.id({ description: 'The app.' }) },
      select: { id: true, kind: true },
      resolve: ({ id, kind }, { appId }) =>
        kind === 'SHARED' ? connectionId(id, idOf('App', appId) ?? '', null) : null,
    }),
    problem: t.field({
      type: UserError,
      nullable: true,
      description:
        'What the provider last refused of the connector itself, with what an admin, or the operator whose client it is, can do about it; null where nothing. Its users stay connected meanwhile. For members.',
      select: {
        id: true,
        refusal: true,
        workspaceId: true,
        providerKey: true,
        clientId: true,
        operatorClientId: true,
        scopes: true,
      },
      resolve: async ({ refusal, scopes, ...connector }, _args, context) => {
        if (!refusal || !can(context.caller, 'workspace.view', connector.workspaceId)) return null;
        const apps = (await appsOf([connector], context))(connector.workspaceId);
        const redirectUris = redirectUrisOf(apps, context.features.publicUrl, connector).map(({ uri }) => uri);
        return asValue(flowError(refusal, { redirectUris, scopes, ...clientFacts(connector) }));
      },
    }),
    flowProblems: t.loadableList({
      type: FlowProblem,
      description:
        'Connect flows of the last day that came to nothing for want of an admin, the latest to each redirect URI: the provider refused something, or never sent the browser back. None once somebody has connected since. For members.',
      loaderOptions: { cache: false },
      load: async (connectors: Owned[], { caller, features }) => {
        const mayLook = connectors.filter(({ workspaceId }) => can(caller, 'workspace.view', workspaceId));
        const flows = await loadFlowProblems(
          features,
          mayLook.map(({ id }) => id),
        );
        return connectors.map((connector) => flows[mayLook.indexOf(connector)] ?? []);
      },
      resolve: (connector): Owned => connector,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
  }),
});

builder.objectField(AppUserConnection, 'flowProblem', (t) =>
  t.loadable({
    type: FlowProblem,
    nullable: true,
    description:
      "Why the calling user's latest connect flow came to nothing, for a day: as it failed, or that it began at least a minute ago and has not come back, since the provider may have stopped it on a page of its own. Null for everybody else, and once the user has connected since.",
    loaderOptions: { cache: false },
    load: (connections: { id: string; connectorId: string }[], { caller, features }) =>
      loadOwnFlowProblems(features, caller, connections),
    resolve: ({ id, connectorId }) => ({ id, connectorId }),
  }),
);

builder.objectField(AppUserConnection, 'connector', (t) =>
  t.loadable({
    type: Connector,
    nullable: true,
    description: 'What it is connected through; null once that is deleted.',
    loaderOptions: { cache: false },
    load: async (ids: string[], { caller, features }) => {
      const connectors = await features.db.connector.findMany({
        where: { id: { in: [...new Set(ids)] }, AND: connectorsVisibleTo(caller) },
      });
      return ids.map((id) => connectors.find((connector) => connector.id === id) ?? null);
    },
    resolve: ({ connectorId }) => connectorId,
  }),
);

builder.queryFields((t) => ({
  connector: t.prismaField({
    type: Connector,
    nullable: true,
    authScopes: { signedIn: true },
    description: 'A connector by id; null for one that the caller may not know of.',
    args: { id: t.arg.id({ description: "The connector's id." }) },
    resolve: (query, _root, { id }, { caller, features }) =>
      features.db.connector.findFirst({
        ...query,
        where: { id: idOf('Connector', id) ?? '', AND: connectorsVisibleTo(caller) },
      }),
  }),
  availableConnectors: t.prismaField({
    type: [Connector],
    authScopes: { app: true },
    description:
      'The connectors that the calling app may use for its users, oldest first. For app users and backend functions.',
    resolve: (query, _root, _args, { caller, features }) =>
      features.db.connector.findMany({
        ...query,
        where: connectorsUsableBy(caller),
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      }),
  }),
}));

export const Notice = builder.objectRef<ConnectorNotice>('Notice').implement({
  description: 'Something to know although the call succeeded.',
  fields: (t) => ({
    path: t.exposeString('path', { description: 'The input it is about.' }),
    message: t.exposeString('message', { description: 'What there is to know, in a sentence for people.' }),
    problem: t.field({
      type: UserError,
      nullable: true,
      description: 'What is wrong and what to do about it, where a check has found something.',
      resolve: ({ problem }) => (problem ? asValue(problem) : null),
    }),
  }),
});

const clientAuthentication = {
  type: ClientAuthentication,
  required: false as const,
  defaultValue: 'CLIENT_SECRET_POST' as const,
  description: 'How the client proves itself at the token endpoint.',
};

const DiscoveryProviderInput = builder.inputType('DiscoveryProviderInput', {
  description: 'A provider found by its issuer (OIDC Discovery, RFC 8414).',
  fields: (t) => ({
    issuer: t.field({ type: 'URL', description: 'The issuer identifier.' }),
    clientAuthentication: t.field(clientAuthentication),
    extraAuthorizationParams: t.field({
      type: [ConnectionConfigEntryInput],
      required: false,
      description: 'Further parameters of the authorization request. Those of the protocol are refused.',
    }),
  }),
});

const EndpointsProviderInput = builder.inputType('EndpointsProviderInput', {
  description: 'A provider given by its endpoints.',
  fields: (t) => ({
    authorizationUrl: t.field({ type: 'URL', description: 'Where users are sent to consent.' }),
    tokenUrl: t.field({ type: 'URL', description: 'Where codes and refresh tokens are exchanged.' }),
    revocationUrl: t.field({ type: 'URL', required: false, description: 'Where tokens are revoked (RFC 7009).' }),
    userinfoUrl: t.field({ type: 'URL', required: false, description: 'Where the account behind a token is told.' }),
    scopeSeparator: t.string({
      required: false,
      defaultValue: ' ',
      description: 'What stands between scopes: a space, mostly.',
    }),
    clientAuthentication: t.field(clientAuthentication),
    extraAuthorizationParams: t.field({
      type: [ConnectionConfigEntryInput],
      required: false,
      description: 'Further parameters of the authorization request. Those of the protocol are refused.',
    }),
  }),
});

const CustomProviderInput = builder.inputType('CustomProviderInput', {
  description: 'A provider that is not in the catalogue: one of the two.',
  isOneOf: true,
  fields: (t) => ({
    discovery: t.field({ type: DiscoveryProviderInput, required: false, description: 'By its issuer.' }),
    endpoints: t.field({ type: EndpointsProviderInput, required: false, description: 'By its endpoints.' }),
  }),
});

function customOf(input: typeof CustomProviderInput.$inferInput | null | undefined): CustomProvider | null {
  if (input?.discovery) {
    const { issuer, clientAuthentication, extraAuthorizationParams } = input.discovery;
    return {
      type: 'discovery',
      issuer: issuer.href === `${issuer.origin}/` ? issuer.origin : issuer.href,
      clientAuthentication: clientAuthentication ?? 'CLIENT_SECRET_POST',
      extraAuthorizationParams: extraAuthorizationParams ?? [],
    };
  }
  if (input?.endpoints) {
    const { endpoints } = input;
    return {
      type: 'endpoints',
      authorizationUrl: endpoints.authorizationUrl.href,
      tokenUrl: endpoints.tokenUrl.href,
      revocationUrl: endpoints.revocationUrl?.href ?? null,
      userinfoUrl: endpoints.userinfoUrl?.href ?? null,
      scopeSeparator: endpoints.scopeSeparator ?? ' ',
      clientAuthentication: endpoints.clientAuthentication ?? 'CLIENT_SECRET_POST',
      extraAuthorizationParams: endpoints.extraAuthorizationParams ?? [],
    };
  }
  return null;
}

const AddConnectorInput = builder.inputType('AddConnectorInput', {
  description:
    "A new connector. Without client id and secret it is a draft, whose redirect URIs can be read; or, where it is SHARED and the provider has `operatorClient`, it uses the operator's client.",
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace that owns it.' }),
    providerKey: t.string({ description: 'A key from `providers`, or "custom".' }),
    kind: t.field({
      type: ConnectorKind,
      required: false,
      defaultValue: 'APP_USER',
      description: 'Whose account it connects.',
    }),
    name: t.string({ description: 'Tells this connector from others; at most 100 characters.' }),
    clientId: t.string({ required: false, description: 'The OAuth client id at the provider.' }),
    clientSecret: t.string({ required: false, description: 'The OAuth client secret. It is never shown again.' }),
    scopes: t.stringList({
      description: 'What to ask for, one scope a line. Order is kept; blanks and duplicates are dropped.',
    }),
    connectionConfig: t.field({
      type: [ConnectionConfigEntryInput],
      required: false,
      description: "Further settings that the provider needs: see the provider's `configFields`.",
    }),
    custom: t.field({ type: CustomProviderInput, required: false, description: 'For the provider "custom" only.' }),
  }),
});

const connectorPayload = (name: string, description: string) =>
  builder.objectRef<{ connector: typeof Connector.$inferType; notices: ConnectorNotice[] }>(name).implement({
    description,
    fields: (t) => ({
      connector: t.expose('connector', { type: Connector, description: 'The connector as it is now.' }),
      notices: t.expose('notices', {
        type: [Notice],
        description: 'What was changed on the way, or could not be checked.',
      }),
    }),
  });

const AddConnectorPayload = connectorPayload('AddConnectorPayload', 'The connector was added.');
const EditConnectorPayload = connectorPayload('EditConnectorPayload', 'The connector was changed.');

builder.mutationField('addConnector', (t) =>
  t.field({
    type: AddConnectorPayload,
    errors: {},
    description: 'Registers a connector, for all apps of the workspace. OWNER and ADMIN.',
    args: { input: t.arg({ type: AddConnectorInput, description: 'The new connector.' }) },
    resolve: (_root, { input }, { caller, features }) =>
      addConnector(features, caller, {
        ...input,
        workspaceId: idOf('Workspace', input.workspaceId) ?? '',
        kind: input.kind ?? 'APP_USER',
        clientId: input.clientId ?? null,
        clientSecret: input.clientSecret ?? null,
        connectionConfig: input.connectionConfig ?? [],
        custom: customOf(input.custom),
      }),
  }),
);

const editInput = (name: string, description: string) =>
  builder.inputType(name, {
    description,
    fields: (t) => ({
      connectorId: t.id({ description: 'The connector.' }),
      name: t.string({ required: false, description: 'At most 100 characters.' }),
      clientId: t.string({ required: false, description: 'Another client: its users must reconnect.' }),
      clientSecret: t.string({ required: false, description: 'It is never shown again.' }),
      scopes: t.stringList({ required: false, description: 'All scopes from now on, one a line.' }),
      connectionConfig: t.field({
        type: [ConnectionConfigEntryInput],
        required: false,
        description: 'All further settings from now on. Asks for the client secret again.',
      }),
      custom: t.field({
        type: CustomProviderInput,
        required: false,
        description: 'For the provider "custom" only. New addresses ask for the client secret again.',
      }),
    }),
  });

const EditConnectorInput = editInput(
  'EditConnectorInput',
  'What to change of a connector; what is left out stays. Changed scopes ask every user to reconnect until they are put back; a rotated secret disturbs nobody.',
);

function editOf(input: typeof EditConnectorInput.$inferInput): Edit {
  return {
    connectorId: idOf('Connector', input.connectorId) ?? '',
    name: input.name ?? null,
    clientId: input.clientId ?? null,
    clientSecret: input.clientSecret ?? null,
    scopes: input.scopes ?? null,
    connectionConfig: input.connectionConfig ?? null,
    custom: customOf(input.custom),
  };
}

builder.mutationField('editConnector', (t) =>
  t.field({
    type: EditConnectorPayload,
    errors: {},
    description: 'Changes a connector in place; its apps see it at once. OWNER and ADMIN.',
    args: { input: t.arg({ type: EditConnectorInput, description: 'What to change.' }) },
    resolve: (_root, { input }, { caller, features }) => editConnector(features, caller, editOf(input)),
  }),
);

const PreviewConnectorEditInput = editInput(
  'PreviewConnectorEditInput',
  'An edit to look at before it is made: the same fields as EditConnectorInput.',
);

const ConnectorEditPreview = builder.objectRef<Preview>('ConnectorEditPreview').implement({
  description: 'What an edit would do. Nothing has changed.',
  fields: (t) => ({
    affectedUsers: t.int({
      description:
        'How many users would have to connect their own accounts again who need not as things are; 0 for a shared connector, whose accounts `affectedConnections` counts.',
      resolve: ({ apps }) => countUsers(apps),
    }),
    affectedApps: t.prismaField({
      type: ['App'],
      description: 'The apps in which they are connected.',
      resolve: (query, { apps }, _args, { features }) =>
        features.db.app.findMany({
          ...query,
          where: { id: { in: apps.map(({ appId }) => appId) } },
          orderBy: { createdAt: 'asc' },
        }),
    }),
    affectedConnections: t.expose('apps', {
      type: [AffectedConnections],
      description:
        'How many connections of each of these apps would have to be made again: of its users, or the one that it shares.',
    }),
    reconnectReason: t.expose('reconnectReason', {
      type: ReconnectReason,
      nullable: true,
      description: 'Why they would have to; null where nobody would.',
    }),
    scopesAdded: t.exposeStringList('scopesAdded', { description: 'What would be asked for that is not now.' }),
    scopesRemoved: t.exposeStringList('scopesRemoved', { description: 'What would not be asked for any more.' }),
  }),
});

builder.queryField('previewConnectorEdit', (t) =>
  t.field({
    type: ConnectorEditPreview,
    errors: {},
    description:
      'What editConnector would do with the same input, and to whom; or what it would say against it. Changes nothing. OWNER and ADMIN.',
    args: { input: t.arg({ type: PreviewConnectorEditInput, description: 'The edit to look at.' }) },
    resolve: (_root, { input }, { caller, features }) => previewConnectorEdit(features, caller, editOf(input)),
  }),
);

const DeleteConnectorInput = builder.inputType('DeleteConnectorInput', {
  description: 'The connector to delete.',
  fields: (t) => ({
    connectorId: t.id({ description: 'The connector.' }),
    confirm: t.boolean({ defaultValue: false, description: 'Without it, the answer says who would be disconnected.' }),
  }),
});

const DeleteConnectorPayload = builder.objectRef<{ id: string }>('DeleteConnectorPayload').implement({
  description: 'The connector is gone, in every app; the grants of its users are being revoked.',
  fields: (t) => ({
    deletedConnectorId: t.id({
      description: 'The connector that is gone.',
      resolve: ({ id }) => globalId('Connector', id),
    }),
  }),
});

builder.mutationField('deleteConnector', (t) =>
  t.field({
    type: DeleteConnectorPayload,
    errors: confirmable,
    description: 'Deletes a connector, once confirmed, and revokes what users granted through it. OWNER and ADMIN.',
    args: { input: t.arg({ type: DeleteConnectorInput, description: 'The connector to delete.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const id = idOf('Connector', input.connectorId) ?? '';
      await deleteConnector(features, caller, { connectorId: id, confirm: input.confirm });
      return { id };
    },
  }),
);
