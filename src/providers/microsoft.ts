import { oauthServer } from './provider.ts';

export const identityScopes = [
  { scope: 'User.Read', description: "Read the person's profile; tells apps which account is connected." },
  { scope: 'offline_access', description: 'Keeps the connection alive: without it there is no refresh token.' },
];

export const docsUrl = 'https://learn.microsoft.com/en-us/entra/identity-platform/quickstart-register-app';

/** One server for all products: Microsoft Graph grants them by scope. */
export const server = oauthServer({
  authorizationUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
  tokenUrl: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
  identity: {
    url: 'https://graph.microsoft.com/v1.0/me',
    method: 'GET',
    idPaths: ['id'],
    emailPaths: ['mail', 'userPrincipalName'],
    namePaths: ['displayName', 'userPrincipalName'],
    anyScope: ['User.Read', 'https://graph.microsoft.com/User.Read'],
  },
  // Asked for, and granted without being named in the answer.
  scopeAliases: { offline_access: '' },
  pkce: false,
  deadGrantErrors: ['interaction_required', 'consent_required', 'login_required'],
});

export const sources = [
  'Endpoints and client authentication: Nango and arctic. PKCE is off, as in Nango.',
  'Scopes are delegated permissions of Microsoft Graph, in their short form (learn.microsoft.com). Uncertain: some of the names are from memory.',
  'A refresh token is replaced at each use while the former stays good, and lapses after 90 days (learn.microsoft.com/entra/identity-platform/refresh-tokens).',
  'Tokens cannot be revoked one by one (learn.microsoft.com): people take the access back at myapps.microsoft.com.',
  'The id_token is not read: its issuer is the tenant of the person, not the address that all share.',
  'Uncertain: /v1.0/me as the identity endpoint, its members and what it does without User.Read (it is not asked then), and the words by which a refresh asks for the person again, are from memory.',
  'Uncertain: that offline_access is not among the granted scopes of the answer is from memory.',
];

export function setupSteps(permissions: string): string[] {
  return [
    'Open the Microsoft Entra admin center and there "App registrations", and register a new app.',
    'As supported accounts choose those of any organisation, with or without personal Microsoft accounts; for an app of one tenant only, set up a custom provider with the addresses of that tenant.',
    'Add the redirect URIs of your apps on the platform "Web"; on "Single-page application" refresh tokens end after a day.',
    `Under "API permissions", add the delegated permissions of Microsoft Graph that this connector asks for, such as ${permissions}; some need the consent of an admin.`,
    'Under "Certificates & secrets", create a client secret and note when it ends.',
    'Copy the application (client) ID and the value of the secret, not its ID, into this connector.',
  ];
}
