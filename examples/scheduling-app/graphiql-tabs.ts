import type { SeededWorkspace } from './seed.ts';

export interface GraphiqlTab {
  title: string;
  query: string;
  variables?: string;
  headers?: string;
}

export interface GraphiqlTabsOptions extends SeededWorkspace {
  providerIssuer: string;
  /** An identity token of person one. */
  identityToken: string;
}

/** What an admin of the seeded workspace, and one user of its app, can run in GraphiQL without typing anything. */
export function graphiqlTabs(options: GraphiqlTabsOptions): GraphiqlTab[] {
  const { workspaceId, appId, connectorId, scopes, providerIssuer } = options;
  const admin = json({ Authorization: `Bearer ${options.workspaceKey}` });
  const personOne = json({ Authorization: `Bearer ${options.identityToken}`, 'X-App-Id': appId });

  return [
    { title: 'Connectors', query: CONNECTORS, variables: json({ appId, connectorId }), headers: admin },
    {
      title: 'Add',
      query: ADD,
      variables: json({
        input: {
          workspaceId,
          providerKey: 'custom',
          kind: 'APP_USER',
          name: 'Second calendar',
          scopes: ['openid', 'calendar.read'],
          custom: { discovery: { issuer: providerIssuer } },
        },
      }),
      headers: admin,
    },
    {
      title: 'Edit scopes',
      query: editScopes('EditScopes', '# Keep the page of the app open beside this: it turns to Reconnect by itself.'),
      variables: json({ input: { connectorId, scopes: [...scopes, 'calendar.write'] } }),
      headers: admin,
    },
    {
      title: 'Put scopes back',
      query: editScopes(
        'PutScopesBack',
        '# The old set again: everybody is connected as before, and nobody has to act.',
      ),
      variables: json({ input: { connectorId, scopes } }),
      headers: admin,
    },
    {
      title: 'Delete (asks first)',
      query: DELETE,
      variables: json({ input: { connectorId, confirm: false } }),
      headers: admin,
    },
    {
      title: 'Connect (as person one)',
      query: CONNECT,
      variables: json({ input: { connectorId } }),
      headers: personOne,
    },
    {
      title: 'Watch status (subscription)',
      query: WATCH,
      variables: json({ connectorId }),
      headers: personOne,
    },
  ];
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

const ERROR_FIELDS = `... on UserError {
      code
      message
      remedy { actor steps values { label value } }
    }`;

const CONNECTORS = `# The app with its redirect URIs, and the connector as everybody in the workspace sees it. The secret cannot be read.
query Connectors($appId: ID!, $connectorId: ID!) {
  app(id: $appId) {
    name
    origins { kind origin }
    redirectUris { kind uri }
  }
  connector(id: $connectorId) {
    id
    name
    provider { key name }
    kind
    clientId
    scopes
    redirectUris { kind uri }
    updatedAt
  }
}
`;

const ADD = `# A draft, since it has no client id and secret yet: the app shows a second card, and Connect says what is missing.
# Register the redirect URIs at the provider, then run editConnector with clientId and clientSecret.
mutation Add($input: AddConnectorInput!) {
  addConnector(input: $input) {
    ... on AddConnectorPayload {
      connector { id name redirectUris { kind uri } }
      notices { message }
    }
    ${ERROR_FIELDS}
  }
}
`;

function editScopes(name: string, comment: string): string {
  return `${comment}
mutation ${name}($input: EditConnectorInput!) {
  editConnector(input: $input) {
    ... on EditConnectorPayload {
      connector { id scopes updatedAt }
    }
    ${ERROR_FIELDS}
  }
}
`;
}

const DELETE = `# Says first who would be affected, and changes nothing. With "confirm": true it is done, and cannot be undone.
mutation Delete($input: DeleteConnectorInput!) {
  deleteConnector(input: $input) {
    ... on DeleteConnectorPayload { deletedConnectorId }
    ... on ConfirmationRequiredError {
      affectedUsers
      affectedApps { id name }
    }
    ${ERROR_FIELDS}
  }
}
`;

const CONNECT = `# What the app's Connect button does. Open redirectUrl in this browser to go on.
mutation Connect($input: ConnectAppUserInput!) {
  connectAppUser(input: $input) {
    ... on ConnectAppUserPayload {
      redirectUrl
      expiresAt
      binding
    }
    ${ERROR_FIELDS}
  }
}
`;

const WATCH = `# The present status at once, then every change. Run it, and press Connect or Disconnect in the app as Person one.
subscription Watch($connectorId: ID!) {
  connectionStatus(connectorId: $connectorId) {
    status
    reconnectReason
    missingScopes
    problem { code message }
    connection {
      account { email name }
      grantedScopes
      lastRefreshedAt
    }
    at
  }
}
`;
