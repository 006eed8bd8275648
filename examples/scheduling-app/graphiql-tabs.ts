import type { SeededWorkspace } from './seed.ts';

/** GraphiQL names a tab after its operation. */
export interface GraphiqlTab {
  query: string;
  variables: string;
  headers: string;
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
  const draft = {
    workspaceId,
    providerKey: 'custom',
    kind: 'APP_USER',
    name: 'Second calendar',
    scopes: ['openid', 'calendar.read'],
    custom: { discovery: { issuer: providerIssuer } },
  };

  return [
    { query: CONNECTORS, variables: json({ appId, connectorId }), headers: admin },
    { query: ADD, variables: json({ input: draft }), headers: admin },
    {
      query: EDIT_SCOPES,
      variables: json({ input: { connectorId, scopes: [...scopes, 'calendar.write'] } }),
      headers: admin,
    },
    { query: PUT_SCOPES_BACK, variables: json({ input: { connectorId, scopes } }), headers: admin },
    { query: DELETE, variables: json({ input: { connectorId, confirm: false } }), headers: admin },
    { query: CONNECT, variables: json({ input: { connectorId } }), headers: personOne },
    { query: WATCH, variables: json({ connectorId }), headers: personOne },
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

const CONNECTORS = `# The app with its redirect URIs, and its connector.
# The client secret can be written, never read.
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

const ADD = `# A draft, since it has no client id and secret
# yet: the app's page shows a second card that says
# so. To complete it, register the redirect URIs at
# the provider, then run editConnector with both.
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

const EDIT_SCOPES = `# One scope more. Keep the app's page open beside
# this: it turns to Reconnect by itself.
${editScopes('EditScopes')}`;

const PUT_SCOPES_BACK = `# The old set again: everybody is connected as
# before, and nobody has to act.
${editScopes('PutScopesBack')}`;

function editScopes(name: string): string {
  return `mutation ${name}($input: EditConnectorInput!) {
  editConnector(input: $input) {
    ... on EditConnectorPayload {
      connector { name scopes updatedAt }
    }
    ${ERROR_FIELDS}
  }
}
`;
}

const DELETE = `# Says first who would be affected, and changes
# nothing. With "confirm": true it is done, and
# cannot be undone.
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

const CONNECT = `# What the app's Connect button does, as Person one.
# Open redirectUrl in this browser to go on.
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

const WATCH = `# Person one's status at once, then every change.
# Run it, then press Connect or Disconnect in the
# app as Person one.
subscription WatchStatus($connectorId: ID!) {
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
