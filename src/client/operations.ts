import type {
  AvailableConnectorsQuery,
  AvailableConnectorsQueryVariables,
  CompleteConnectionMutation,
  CompleteConnectionMutationVariables,
  ConnectAppUserMutation,
  ConnectAppUserMutationVariables,
  ConnectionQuery,
  ConnectionQueryVariables,
  ConnectionStatusSubscription,
  ConnectionStatusSubscriptionVariables,
  CurrentAppUserConnectionQuery,
  CurrentAppUserConnectionQueryVariables,
  DisconnectAppUserMutation,
  DisconnectAppUserMutationVariables,
  FlowProblemQuery,
  FlowProblemQueryVariables,
  SharedConnectionQuery,
  SharedConnectionQueryVariables,
} from './generated/operations.ts';

/** The text of an operation, which knows what it takes and what it answers. */
export type Operation<Result, Variables> = string & { readonly of?: (variables: Variables) => Result };

// Plain strings: no parser and no GraphQL package is needed at run time. Codegen checks them against schema.graphql.
const userError = /* GraphQL */ `
  fragment UserErrorFields on UserError {
    __typename code message remedy { actor steps values { label value } docsUrl }
    ... on ValidationError { fields { path message } }
    ... on PlanRequiredError { requiredPlan currentPlan }
    ... on ReconnectRequiredError { reconnectReason missingScopes }
    ... on ProviderUnavailableError { retryAfterSeconds }
    ... on RateLimitedError { retryAfterSeconds }
    ... on AccountOwnedError { owner }
  }
`;

const connection = /* GraphQL */ `
  fragment ConnectionFields on AppUserConnection {
    id status reconnectReason problem { ...UserErrorFields } account { id email name }
    requestedScopes grantedScopes missingScopes connectionConfig { name value } connectedAt lastRefreshedAt lastVerifiedAt
  }
`;

export const availableConnectors: Operation<AvailableConnectorsQuery, AvailableConnectorsQueryVariables> =
  /* GraphQL */ `
  query AvailableConnectors {
    availableConnectors { id name kind scopes provider { key name } currentUserConnection { ...ConnectionFields } }
  }
  ${connection} ${userError}
`;

export const currentUserConnection: Operation<ConnectionQuery, ConnectionQueryVariables> = /* GraphQL */ `
  query Connection($connectorId: ID!) {
    connector(id: $connectorId) { id currentUserConnection { ...ConnectionFields } }
  }
  ${connection} ${userError}
`;

export const flowProblem: Operation<FlowProblemQuery, FlowProblemQueryVariables> = /* GraphQL */ `
  query FlowProblem($connectorId: ID!) {
    connector(id: $connectorId) { id currentUserConnection { id flowProblem { problem { ...UserErrorFields } } } }
  }
  ${userError}
`;

export const connectAppUser: Operation<ConnectAppUserMutation, ConnectAppUserMutationVariables> = /* GraphQL */ `
  mutation ConnectAppUser($input: ConnectAppUserInput!) {
    connectAppUser(input: $input) {
      ... on ConnectAppUserPayload { __typename redirectUrl expiresAt binding connection { id connectedAt } }
      ...UserErrorFields
    }
  }
  ${userError}
`;

export const completeConnection: Operation<CompleteConnectionMutation, CompleteConnectionMutationVariables> =
  /* GraphQL */ `
  mutation CompleteConnection($input: CompleteConnectionInput!) {
    completeConnection(input: $input) {
      ... on CompleteConnectionPayload { __typename connection { ...ConnectionFields } }
      ...UserErrorFields
    }
  }
  ${connection} ${userError}
`;

export const disconnectAppUser: Operation<DisconnectAppUserMutation, DisconnectAppUserMutationVariables> =
  /* GraphQL */ `
  mutation DisconnectAppUser($input: DisconnectAppUserInput!) {
    disconnectAppUser(input: $input) {
      ... on DisconnectAppUserPayload { __typename connection { ...ConnectionFields } }
      ...UserErrorFields
    }
  }
  ${connection} ${userError}
`;

export const connectionStatus: Operation<ConnectionStatusSubscription, ConnectionStatusSubscriptionVariables> =
  /* GraphQL */ `
  subscription ConnectionStatus($connectorId: ID!) {
    connectionStatus(connectorId: $connectorId) {
      connectorId status reconnectReason missingScopes at
      problem { ...UserErrorFields } connection { ...ConnectionFields }
    }
  }
  ${connection} ${userError}
`;

export const currentAppUserConnection: Operation<
  CurrentAppUserConnectionQuery,
  CurrentAppUserConnectionQueryVariables
> = /* GraphQL */ `
  query CurrentAppUserConnection(
    $connectorId: ID!, $minValiditySeconds: Int, $acceptOutdatedScopes: Boolean, $rejectedTokenFingerprint: String
  ) {
    currentAppUserConnection(
      connectorId: $connectorId, minValiditySeconds: $minValiditySeconds
      acceptOutdatedScopes: $acceptOutdatedScopes, rejectedTokenFingerprint: $rejectedTokenFingerprint
    ) {
      ... on CurrentAppUserConnection {
        __typename accessToken tokenType accessTokenExpiresAt accessTokenFingerprint grantedScopes missingScopes
        connectionConfig { name value } connection { ...ConnectionFields }
      }
      ...UserErrorFields
    }
  }
  ${connection} ${userError}
`;

export const sharedConnection: Operation<SharedConnectionQuery, SharedConnectionQueryVariables> = /* GraphQL */ `
  query SharedConnection($connectorId: ID!, $minValiditySeconds: Int, $rejectedTokenFingerprint: String) {
    sharedConnection(
      connectorId: $connectorId, minValiditySeconds: $minValiditySeconds
      rejectedTokenFingerprint: $rejectedTokenFingerprint
    ) {
      ... on SharedConnection {
        __typename accessToken tokenType accessTokenExpiresAt accessTokenFingerprint grantedScopes missingScopes
        connectionConfig { name value } connection { ...ConnectionFields }
      }
      ...UserErrorFields
    }
  }
  ${connection} ${userError}
`;
