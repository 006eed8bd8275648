import type { RemedyActor } from '../lib/domain-error.ts';

/** What a failure can name exactly, for pasting. Which of them are known depends on where it happened. */
export interface FailureFacts {
  redirectUris?: readonly string[];
  origin?: string;
  clientId?: string;
  scopes?: readonly string[];
  host?: string;
  provider?: string;
  retryAfterSeconds?: number;
  /** Whether the connector uses the client that the operator holds at the provider, which no admin can mend. */
  clientIsOperators?: boolean;
  /** Where the provider documents it. */
  docsUrl?: string;
}

export type FailureValue = Exclude<keyof FailureFacts, 'retryAfterSeconds' | 'clientIsOperators' | 'docsUrl'>;

/** What people read of a failure, in one language. `{retryAfterSeconds}` and `{enterClient}`, a mutation, are filled in. */
export interface FailureText {
  title: string;
  sentence: string;
  /** One act a step, in order. */
  steps: readonly string[];
}

export interface Failure extends FailureText {
  /** The code that programs get. Two failures of one code ask for different acts. */
  code: string;
  /** When it happens, for the documentation. */
  when: string;
  actor: RemedyActor;
  /** It is mended at the OAuth client: where that is the operator's, the operator has to act. */
  isOfClient?: true;
  /** The exact values that it comes with, as far as they are known where it happens. */
  values: readonly FailureValue[];
}

/**
 * Every way in which setting up or connecting an account fails, in the words that people get: GraphQL errors, the callback's page
 * and docs/troubleshooting are all made from this table.
 */
export const failures = {
  REDIRECT_URI_MISMATCH: {
    code: 'REDIRECT_URI_MISMATCH',
    title: 'The redirect URI is not registered',
    sentence: 'The provider does not accept the redirect URI.',
    when: 'The redirect URI of the flow is not among those that the OAuth app at the provider lists. Providers compare letter by letter: http and https, a trailing slash and the port all count. Most providers show an error page of their own then and never send the browser back; `checkConnector` finds out about those.',
    actor: 'ADMIN',
    isOfClient: true,
    values: ['redirectUris', 'clientId'],
    steps: [
      "Open the OAuth app in the provider's developer settings.",
      'Add the redirect URI below, letter by letter, and save.',
      'Press Connect again.',
    ],
  },
  FLOW_NOT_RETURNED: {
    code: 'REDIRECT_URI_MISMATCH',
    title: 'The provider did not send the browser back',
    sentence:
      'A connection was begun, and the provider has not sent the browser back. Mostly the redirect URI is not registered there.',
    when: 'A flow was begun at least a minute ago and its callback was never opened. The person may have closed the window; else the provider has stopped on a page of its own, which mostly names the redirect URI or an account that the OAuth app does not allow. Members find such flows in `Connector.flowProblems`, and the person in `AppUserConnection.flowProblem`.',
    actor: 'ADMIN',
    isOfClient: true,
    values: ['redirectUris', 'clientId'],
    steps: [
      "If the provider's page named the redirect URI: add the redirect URI below to the OAuth app, letter by letter.",
      "If it said that access is blocked or the app is not verified: add the account to the app's test users, or publish the app.",
      'If the window was only closed: press Connect again.',
    ],
  },
  ORIGIN_NOT_REGISTERED: {
    code: 'FORBIDDEN',
    title: 'The page is not one of the app’s own',
    sentence: 'The app has not registered the origin of this page.',
    when: 'The page that calls is on an origin that is not among those of the app: mostly a preview whose address is new. The flow does not begin, so that nobody is sent to a redirect URI that the app does not own.',
    actor: 'ADMIN',
    values: ['origin'],
    steps: [
      'Add the origin below to the app with editApp: PREVIEW for a preview, CUSTOM for a domain of your own.',
      "Register the app's new redirect URI at the provider.",
      'Try again from that page.',
    ],
  },
  INVALID_CLIENT: {
    code: 'INVALID_CLIENT',
    title: 'The client id or client secret is wrong',
    sentence: "The provider does not accept the connector's client id or client secret.",
    when: 'The provider answers invalid_client or unauthorized_client, or a word of its own for it: the id or the secret was copied incompletely, belongs to another OAuth app, was rotated or deleted there, or the app may not use the authorization code grant.',
    actor: 'ADMIN',
    isOfClient: true,
    values: ['clientId'],
    steps: [
      "Copy client id and client secret again from the provider's settings.",
      'Enter both with {enterClient}.',
      'Press Connect again.',
    ],
  },
  INVALID_SCOPE: {
    code: 'INVALID_SCOPE',
    title: 'The scopes are not accepted',
    sentence: "The provider does not accept the connector's scopes.",
    when: 'The provider answers invalid_scope: a scope is misspelt, belongs to another API, or is not enabled for the OAuth app. Where a scope is merely missing, the account is connected and `missingScopes` lists it.',
    actor: 'ADMIN',
    values: ['scopes'],
    steps: [
      'Compare the scopes below with those that the provider documents, and with those that its OAuth app is allowed.',
      'Correct them with editConnector, one a line, or enable them for the OAuth app.',
      'Press Connect again.',
    ],
  },
  SCOPES_CHANGED: {
    code: 'RECONNECT_REQUIRED',
    title: 'The connector asks for other scopes now',
    sentence: 'The connector asks for other scopes than you have allowed.',
    when: 'An admin has edited the scopes of the connector since the person connected. Putting the old scopes back heals it for everybody.',
    actor: 'USER',
    values: ['scopes'],
    steps: ['Press Reconnect and allow the access again.'],
  },
  PROVIDER_TESTING_MODE: {
    code: 'PROVIDER_TESTING_MODE',
    title: 'This account may not use the app at the provider',
    sentence: "The provider does not allow this account to use the connector's OAuth app.",
    when: 'The OAuth app is in testing mode, is internal to one organisation, or needs the approval of an administrator at the provider (Google’s org_internal and admin_policy_enforced, Microsoft’s AADSTS90094 and AADSTS50105, Salesforce’s OAUTH_APP_BLOCKED). Google shows a page of its own to accounts that are no test users, and never sends the browser back.',
    actor: 'ADMIN',
    isOfClient: true,
    values: ['clientId'],
    steps: [
      "Add the account to the test users in the provider's settings, or publish the OAuth app.",
      'Where an organisation restricts apps: ask its administrator to approve the OAuth app with the client id below.',
      'Press Connect again.',
    ],
  },
  CONSENT_DENIED: {
    code: 'CONSENT_DENIED',
    title: 'The access was not allowed',
    sentence: 'The access was not allowed at the provider. Nothing has changed.',
    when: 'The person pressed Deny or Cancel on the page of the provider, or was not signed in there.',
    actor: 'USER',
    values: [],
    steps: ['Press Connect again when you want to.', 'Choose Allow on the page of the provider.'],
  },
  FLOW_EXPIRED: {
    code: 'FLOW_EXPIRED',
    title: 'The connect link is no longer good',
    sentence: 'This connect link has expired or was used before.',
    when: 'A flow may take ten minutes and comes back once; a connect code is good for five minutes and for one use. Going back in the browser and reloading the callback uses it again.',
    actor: 'USER',
    values: [],
    steps: ['Go back to the app.', 'Press Connect again.'],
  },
  FLOW_MISMATCH: {
    code: 'FLOW_MISMATCH',
    title: 'Somebody else started this connection',
    sentence: 'This connection was started by somebody else, or on another page. Nothing was connected.',
    when: 'The browser that comes back, or the person who shows the connect code, is not the one who began; or the answer came to the redirect URI of another connector. Nothing is fetched from the provider then.',
    actor: 'USER',
    values: [],
    steps: ['Open the app yourself and sign in.', 'Press Connect there.'],
  },
  ANSWER_TOO_LARGE: {
    code: 'FLOW_MISMATCH',
    title: 'The provider’s answer cannot be read',
    sentence: "The provider's answer is too large to be one. Nothing was connected.",
    when: 'What the browser brought back is longer than any authorization response.',
    actor: 'USER',
    values: [],
    steps: ['Go back to the app.', 'Press Connect again.'],
  },
  CONNECTOR_CHANGED: {
    code: 'FLOW_EXPIRED',
    title: 'The connector was changed meanwhile',
    sentence: 'The connector was changed while you were at the provider. Nothing was connected.',
    when: 'Between the start and the callback an admin has edited the client, the endpoints or the scopes of the connector or revoked its connections, or the app was deleted. What the provider has granted meanwhile is revoked.',
    actor: 'USER',
    values: [],
    steps: ['Go back to the app.', 'Press Connect again: it asks for what the connector needs now.'],
  },
  CONNECTOR_DELETED: {
    code: 'NOT_FOUND',
    title: 'The connector was deleted',
    sentence: 'There is no connector with this id.',
    when: 'The connector was deleted, perhaps while the person was at the provider; or there never was one that the caller may know of.',
    actor: 'ADMIN',
    values: [],
    steps: ['Add the connector again with addConnector.', 'Put its new id into the code of the app.'],
  },
  CONNECTOR_DISABLED: {
    code: 'CONNECTOR_DISABLED',
    title: 'The provider is switched off',
    sentence: 'This provider is switched off in this workspace. Nothing was deleted.',
    when: 'An OWNER or ADMIN has switched the provider off for this kind of connector, perhaps while the person was at the provider.',
    actor: 'ADMIN',
    values: ['provider'],
    steps: ['Switch the provider on again with setProviderAvailability.'],
  },
  CONNECTOR_INCOMPLETE: {
    code: 'CONNECTOR_INCOMPLETE',
    title: 'The connector is still a draft',
    sentence: 'This connector has no client id or client secret yet.',
    when: 'A connector was added without client id or client secret, so that its redirect URIs could be read first.',
    actor: 'ADMIN',
    values: ['redirectUris'],
    steps: [
      "Register an OAuth app at the provider, with the connector's redirect URIs.",
      'Enter its client id and client secret with editConnector.',
    ],
  },
  PROVIDER_UNAVAILABLE: {
    code: 'PROVIDER_UNAVAILABLE',
    title: 'The provider does not answer',
    sentence:
      'The provider cannot be used right now. The connection is kept; try again in {retryAfterSeconds} seconds.',
    when: 'The provider is down, slow or answers nonsense while a token is refreshed. The old token is served while it is good, and nobody has to connect again.',
    actor: 'PROVIDER',
    values: [],
    steps: ['Wait until the provider answers again.', 'Repeat what you did.'],
  },
  PROVIDER_UNREACHABLE: {
    code: 'PROVIDER_UNAVAILABLE',
    title: 'The provider does not answer',
    sentence:
      'The provider cannot be used right now. Nothing was connected; press Connect again in {retryAfterSeconds} seconds.',
    when: 'The provider is down, slow or answers nonsense while an account is being connected.',
    actor: 'PROVIDER',
    values: [],
    steps: ['Wait until the provider answers again.', 'Press Connect again in {retryAfterSeconds} seconds.'],
  },
  ENDPOINT_UNREACHABLE: {
    code: 'PROVIDER_UNAVAILABLE',
    title: 'An address of the provider cannot be reached',
    sentence: 'The provider cannot be reached at this address.',
    when: '`checkConnector`, or saving a connector, gets no answer from the authorization URL, the token URL or the issuer: a mistyped address, or a provider that is down.',
    actor: 'ADMIN',
    values: ['host'],
    steps: [
      "Compare the address with the provider's documentation, and correct it with editConnector.",
      'If it is right, the provider may be down: check again later with checkConnector.',
    ],
  },
  ADDRESS_BLOCKED: {
    code: 'PROVIDER_UNAVAILABLE',
    title: 'The provider’s address is not allowed',
    sentence: 'The address of the provider is not on the public internet, so this service does not ask it.',
    when: 'An address of a custom provider leads to a private, local or metadata address, or is no https. This service asks such an address only where its operator allows the host by name.',
    actor: 'OPERATOR',
    values: ['host'],
    steps: [
      'If this is a provider of your own network, add its host to ALLOWED_PROVIDER_HOSTS and start the service again.',
      'Else correct the address with editConnector.',
    ],
  },
} as const satisfies Record<string, Failure>;

export type FailureName = keyof typeof failures;

export const valueLabels: Record<FailureValue, string> = {
  redirectUris: 'Redirect URI',
  origin: 'Origin',
  clientId: 'Client id',
  scopes: 'Scope',
  host: 'Host',
  provider: 'Provider',
};
