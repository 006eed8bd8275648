/** A saved operation of the console. `variables` holds `{workspaceId}`, `{appId}` and such, which the page fills in. */
export interface ConsoleTask {
  query: string;
  variables: Record<string, unknown>;
}

/** What the page asks when somebody signs in: who they are, and their workspaces. */
export const consoleQuestion = `query Console {
  viewer {
    ... on MemberViewer { subject }
  }
  workspaces(first: 100) {
    edges {
      node {
        id
        name
        apps(first: 1) { edges { node { id } } }
        connectors(first: 1) { edges { node { id } } }
        shared: connectors(first: 1, filter: { kind: SHARED }) { edges { node { id } } }
      }
    }
  }
}`;

const errorFields = `... on UserError {
      code
      message
      remedy { actor steps values { label value } }
    }`;

const validationFields = '... on ValidationError { fields { path message } }';

/** What admins do, in the order they come to it. Each runs as it is, and says above what its variables mean. */
export const consoleTasks: ConsoleTask[] = [
  {
    query: `# The workspace: its apps with the redirect URIs to register, and its connectors.
# workspaceId: filled in with the workspace chosen above.
query Overview($workspaceId: ID!) {
  workspace(id: $workspaceId) {
    id
    name
    plan
    apps { edges { node { id name redirectUris { kind uri } } } }
    connectors {
      edges {
        node {
          id
          name
          kind
          provider { key name }
          scopes
          hasClientSecret
          problem { code message }
        }
      }
    }
  }
}
`,
    variables: { workspaceId: '{workspaceId}' },
  },
  {
    query: `# What can be connected to, with the scopes and the steps at each provider.
# search: part of a name or of what it is for; null shows all.
query Providers($search: String) {
  providers(search: $search) {
    key
    name
    description
    scopes { scope description }
    setupSteps
    configFields { name description required }
  }
}
`,
    variables: { search: null },
  },
  {
    query: `# Adds a connector. Without clientId and clientSecret it is a draft, whose
# redirect URIs you can register at the provider before it gives you a client.
#
# providerKey: the key of one of the providers.
# kind: APP_USER, each user connects an account of their own;
#       SHARED, one account for everyone in an app.
# name: what admins and users read.
# clientId, clientSecret: of your OAuth app at the provider.
# scopes: as the provider writes them.
mutation AddConnector($input: AddConnectorInput!) {
  addConnector(input: $input) {
    ... on AddConnectorPayload {
      connector { id name redirectUris { kind uri } }
      notices { path message }
    }
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: {
      input: {
        workspaceId: '{workspaceId}',
        providerKey: 'googlecalendar',
        kind: 'APP_USER',
        name: 'Calendar',
        clientId: null,
        clientSecret: null,
        scopes: ['openid', 'email', 'https://www.googleapis.com/auth/calendar.readonly'],
      },
    },
  },
  {
    query: `# What an edit would do to those who are connected. Nothing is changed.
# connectorId: of Overview. Leave out what stays as it is.
query PreviewEdit($input: PreviewConnectorEditInput!) {
  previewConnectorEdit(input: $input) {
    __typename
    ... on ConnectorEditPreview {
      affectedUsers
      affectedApps { id name }
      reconnectReason
      scopesAdded
      scopesRemoved
    }
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: { input: { connectorId: '{connectorId}', scopes: ['openid', 'email'] } },
  },
  {
    query: `# Edits a connector. Leave out what stays as it is.
# scopes: another set asks everybody to reconnect; the old set puts them back.
# clientSecret: can be written, and never read.
mutation EditConnector($input: EditConnectorInput!) {
  editConnector(input: $input) {
    ... on EditConnectorPayload {
      connector { id name clientId scopes updatedAt }
      notices { path message }
    }
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: { input: { connectorId: '{connectorId}', name: 'Calendar' } },
  },
  {
    query: `# Tries a connector at its provider: addresses, client, redirect URIs, scopes. Changes nothing there.
# client is UNKNOWN where the provider does not let one ask. problems come with what to do.
mutation CheckConnector($input: CheckConnectorInput!) {
  checkConnector(input: $input) {
    ... on CheckConnectorPayload {
      checkedAt
      client
      endpoints { name url reachable }
      redirectUris { kind uri acceptance }
      problems { code message remedy { actor steps values { label value } } }
    }
    ${errorFields}
  }
}
`,
    variables: { input: { connectorId: '{connectorId}' } },
  },
  {
    query: `# Deletes a connector for all apps, and revokes what its users granted.
# confirm: false only says whom it would touch; true cannot be undone.
mutation DeleteConnector($input: DeleteConnectorInput!) {
  deleteConnector(input: $input) {
    ... on DeleteConnectorPayload { deletedConnectorId }
    ... on ConfirmationRequiredError { affectedUsers affectedApps { id name } }
    ${errorFields}
  }
}
`,
    variables: { input: { connectorId: '{connectorId}', confirm: false } },
  },
  {
    query: `# After a breach: revokes every connection of the workspace. Tokens are refused at
# once, everybody must reconnect, and the connectors stay.
# providerKey or connectorId: only the connections of that one; null is the whole workspace.
# confirm: false only says whom it would touch; true cannot be undone.
mutation RevokeAll($input: RevokeAllConnectionsInput!) {
  revokeAllConnections(input: $input) {
    ... on RevokeAllConnectionsPayload {
      revokedConnections
      connectors { id name grantsRevokedAt }
      notices { path message }
    }
    ... on ConfirmationRequiredError { affectedUsers affectedApps { id name } }
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: { input: { workspaceId: '{workspaceId}', providerKey: null, connectorId: null, confirm: false } },
  },
  {
    query: `# How far the providers have taken back what RevokeAll revoked. pending 0: finished.
# unsupported, gaveUp: end these at the provider, by rotating the client secret there.
# skippedSharedGrant: somebody has reconnected on the same grant.
query RevocationProgress($workspaceId: ID!) {
  workspace(id: $workspaceId) {
    connectors {
      edges {
        node {
          id
          name
          grantsRevokedAt
          revocationProgress { total pending revoked unsupported gaveUp skippedSharedGrant }
        }
      }
    }
  }
}
`,
    variables: { workspaceId: '{workspaceId}' },
  },
  {
    query: `# What is switched off in the workspace; everything else is on.
query Availability($workspaceId: ID!) {
  workspace(id: $workspaceId) {
    availability { provider { key name } kind available switchedOffAt }
  }
}
`,
    variables: { workspaceId: '{workspaceId}' },
  },
  {
    query: `# Switches a provider off or on for one kind of connector. ENTERPRISE only.
# confirm: false first shows the apps affected; nothing is ever deleted.
mutation SetAvailability($input: SetProviderAvailabilityInput!) {
  setProviderAvailability(input: $input) {
    ... on SetProviderAvailabilityPayload { availability { available switchedOffAt } }
    ... on ConfirmationRequiredError { affectedConnections { app { id name } count } }
    ${errorFields}
  }
}
`,
    variables: {
      input: {
        workspaceId: '{workspaceId}',
        providerKey: 'slack',
        kind: 'SHARED',
        available: false,
        confirm: false,
      },
    },
  },
  {
    query: `# Who did what, the latest first.
# filter: acts, actor, outcome, appId, connectorId, since, until; null shows all.
# after: the endCursor of the page before.
query Audit($workspaceId: ID!, $filter: AuditFilterInput, $after: String) {
  workspace(id: $workspaceId) {
    audit(first: 20, after: $after, filter: $filter) {
      edges { node { at act outcome actorKind actor appId connectorId details { name values } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`,
    variables: { workspaceId: '{workspaceId}', filter: null, after: null },
  },
  {
    query: `# The account that an app shares: its status at once, then every change.
# Press the button again to stop.
# connectorId: of kind SHARED. appId: the app that shares the account.
subscription WatchStatus($connectorId: ID!, $appId: ID!) {
  connectionStatus(connectorId: $connectorId, appId: $appId) {
    status
    reconnectReason
    missingScopes
    problem { code message }
    connection { account { email name } grantedScopes lastRefreshedAt }
    at
  }
}
`,
    variables: { connectorId: '{sharedConnectorId}', appId: '{appId}' },
  },
  {
    query: `# Who is in the workspace, and which keys it has.
query Members($workspaceId: ID!) {
  workspace(id: $workspaceId) {
    members { edges { node { subject role createdAt } } }
    keys { edges { node { id name role prefix createdAt revokedAt } } }
  }
}
`,
    variables: { workspaceId: '{workspaceId}' },
  },
  {
    query: `# Takes a member in, or gives one another role.
# subject: the \`sub\` of their sign-in. role: OWNER, ADMIN, EDITOR or VIEWER.
mutation SetMember($input: SetWorkspaceMemberInput!) {
  setWorkspaceMember(input: $input) {
    __typename
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: { input: { workspaceId: '{workspaceId}', subject: '', role: 'VIEWER' } },
  },
  {
    query: `# Makes a workspace key. workspaceKeySecret is shown this once.
mutation CreateKey($input: CreateWorkspaceKeyInput!) {
  createWorkspaceKey(input: $input) {
    ... on CreateWorkspaceKeyPayload { workspaceKey { id name role } workspaceKeySecret }
    ${validationFields}
    ${errorFields}
  }
}
`,
    variables: { input: { workspaceId: '{workspaceId}', name: 'Automation', role: 'VIEWER' } },
  },
  {
    query: `# Ends a workspace key at once. workspaceKeyId: of Members.
mutation RevokeKey($input: RevokeWorkspaceKeyInput!) {
  revokeWorkspaceKey(input: $input) {
    __typename
    ${errorFields}
  }
}
`,
    variables: { input: { workspaceKeyId: '' } },
  },
];
