import type { AppIdentity } from './app-server.ts';
import type { CalendarProvider } from './calendar-provider.ts';

export interface SeededWorkspace {
  workspaceId: string;
  /** A workspace key with the role ADMIN. */
  workspaceKey: string;
  appId: string;
  appKey: string;
  identity: AppIdentity;
  connectorId: string;
  /** The second connector of users' own accounts, at another provider. */
  tasksConnectorId: string;
  /** The connector whose account everyone in the app shares. */
  sharedConnectorId: string;
  scopes: string[];
}

export interface SeedOptions {
  graphqlUrl: string;
  operatorKey: string;
  appOrigin: string;
  /** Who becomes an EDITOR of the workspace, by the `sub` of their admin identity tokens. */
  leads: readonly string[];
  provider: CalendarProvider;
  taskProvider: CalendarProvider;
}

interface ErrorFields {
  __typename: string;
  message?: string;
  remedy?: { steps: string[] } | null;
}

const USER_ERROR = '... on UserError { message remedy { steps } }';

const CREATE_WORKSPACE = /* GraphQL */ `
  mutation CreateWorkspace($input: CreateWorkspaceInput!) {
    result: createWorkspace(input: $input) {
      __typename
      ... on CreateWorkspacePayload { workspace { id } }
      ${USER_ERROR}
    }
  }
`;

const CREATE_WORKSPACE_KEY = /* GraphQL */ `
  mutation CreateWorkspaceKey($input: CreateWorkspaceKeyInput!) {
    result: createWorkspaceKey(input: $input) {
      __typename
      ... on CreateWorkspaceKeyPayload { workspaceKeySecret }
      ${USER_ERROR}
    }
  }
`;

const CREATE_APP = /* GraphQL */ `
  mutation CreateApp($input: CreateAppInput!) {
    result: createApp(input: $input) {
      __typename
      ... on CreateAppPayload { app { id } appKeySecret identitySecret }
      ${USER_ERROR}
    }
  }
`;

const ADD_CONNECTOR = /* GraphQL */ `
  mutation AddConnector($input: AddConnectorInput!) {
    result: addConnector(input: $input) {
      __typename
      ... on AddConnectorPayload { connector { id redirectUris { uri } } }
      ${USER_ERROR}
    }
  }
`;

const EDIT_CONNECTOR = /* GraphQL */ `
  mutation EditConnector($input: EditConnectorInput!) {
    result: editConnector(input: $input) {
      __typename
      ... on EditConnectorPayload { connector { id } }
      ${USER_ERROR}
    }
  }
`;

const SET_WORKSPACE_MEMBER = /* GraphQL */ `
  mutation SetWorkspaceMember($input: SetWorkspaceMemberInput!) {
    result: setWorkspaceMember(input: $input) {
      __typename
      ${USER_ERROR}
    }
  }
`;

/** Sets up a workspace with an app and a connector as people would: the operator first, then an admin. */
export async function seedWorkspace(options: SeedOptions): Promise<SeededWorkspace> {
  const { graphqlUrl, operatorKey, appOrigin } = options;

  const { workspace } = await mutate<{ workspace: { id: string } }>(graphqlUrl, operatorKey, CREATE_WORKSPACE, {
    name: 'Demo workspace',
    plan: 'BUILDER',
  });
  const { workspaceKeySecret: workspaceKey } = await mutate<{ workspaceKeySecret: string }>(
    graphqlUrl,
    operatorKey,
    CREATE_WORKSPACE_KEY,
    { workspaceId: workspace.id, name: 'Demo admin', role: 'ADMIN' },
  );

  const issuer = appOrigin;
  const audience = 'scheduling-app';
  const { app, appKeySecret, identitySecret } = await mutate<{
    app: { id: string };
    appKeySecret: string;
    identitySecret: string;
  }>(graphqlUrl, workspaceKey, CREATE_APP, {
    workspaceId: workspace.id,
    name: 'Scheduling app',
    origins: [{ kind: 'LIVE', origin: appOrigin }],
    identity: { secret: { issuer, audience } },
  });

  const scopes = ['openid', 'email', 'calendar.read'];
  const add = (provider: CalendarProvider, client: string, connector: Omit<NewConnector, 'workspaceId'>) =>
    addCompleteConnector(graphqlUrl, workspaceKey, { ...connector, workspaceId: workspace.id }, provider, client);
  const connectorId = await add(options.provider, 'Scheduling app', {
    kind: 'APP_USER',
    name: 'Team calendar',
    scopes,
  });
  const tasksConnectorId = await add(options.taskProvider, 'Scheduling app', {
    kind: 'APP_USER',
    name: 'Task list',
    scopes: ['openid', 'email', 'tasks.read'],
  });
  const sharedConnectorId = await add(options.provider, 'Scheduling app for the team', {
    kind: 'SHARED',
    name: 'Team channel',
    scopes,
  });
  for (const subject of options.leads) {
    await mutate(graphqlUrl, workspaceKey, SET_WORKSPACE_MEMBER, {
      workspaceId: workspace.id,
      subject,
      role: 'EDITOR',
    });
  }

  return {
    workspaceId: workspace.id,
    workspaceKey,
    appId: app.id,
    appKey: appKeySecret,
    identity: { issuer, audience, secret: identitySecret },
    connectorId,
    tasksConnectorId,
    sharedConnectorId,
    scopes,
  };
}

interface NewConnector {
  workspaceId: string;
  kind: 'APP_USER' | 'SHARED';
  name: string;
  scopes: string[];
}

/** A draft first: the provider wants the redirect URIs before it gives out a client id and secret. */
async function addCompleteConnector(
  graphqlUrl: string,
  workspaceKey: string,
  input: NewConnector,
  provider: CalendarProvider,
  clientName: string,
): Promise<string> {
  const custom = { discovery: { issuer: provider.issuer } };
  const { connector } = await mutate<{ connector: { id: string; redirectUris: { uri: string }[] } }>(
    graphqlUrl,
    workspaceKey,
    ADD_CONNECTOR,
    { ...input, providerKey: 'custom', custom },
  );
  const redirectUris = connector.redirectUris.map(({ uri }) => uri);
  const { clientId, clientSecret } = provider.registerClient({ name: clientName, redirectUris });
  await mutate(graphqlUrl, workspaceKey, EDIT_CONNECTOR, { connectorId: connector.id, clientId, clientSecret });
  return connector.id;
}

async function mutate<Payload>(url: string, key: string, query: string, input: object): Promise<Payload> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const answer = (await response.json()) as {
    data?: { result: ErrorFields & Payload } | null;
    errors?: { message: string }[];
  };
  const result = answer.data?.result;
  if (!result?.__typename.endsWith('Payload')) {
    const reason = result?.message ?? answer.errors?.[0]?.message ?? `status ${response.status}`;
    const operation = /mutation (\w+)/.exec(query)?.[1];
    throw new Error(
      [`Setting up the demo stopped at ${operation}: ${reason}`, ...(result?.remedy?.steps ?? [])].join('\n'),
    );
  }
  return result;
}
