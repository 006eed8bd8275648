import { oauthServer } from './provider.ts';

export const identityScopes = [
  { scope: 'openid', description: 'Tells apps which account is connected, by an id that never changes.' },
  {
    scope: 'https://www.googleapis.com/auth/userinfo.email',
    description: "Shows the account's e-mail address. The short form `email` is granted under this name.",
  },
];

export const docsUrl = 'https://developers.google.com/identity/protocols/oauth2/web-server';

export const server = oauthServer({
  issuer: 'https://accounts.google.com',
  authorizationUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
  tokenUrl: 'https://oauth2.googleapis.com/token',
  jwksUrl: 'https://www.googleapis.com/oauth2/v3/certs',
  revocation: { url: 'https://oauth2.googleapis.com/revoke', style: 'rfc7009', token: 'refresh' },
  identity: {
    url: 'https://openidconnect.googleapis.com/v1/userinfo',
    method: 'GET',
    idPaths: ['sub'],
    emailPaths: ['email'],
    namePaths: ['name', 'email'],
    anyScope: [
      'openid',
      'email',
      'profile',
      'https://www.googleapis.com/auth/userinfo.email',
      'https://www.googleapis.com/auth/userinfo.profile',
    ],
  },
  scopeAliases: {
    email: 'https://www.googleapis.com/auth/userinfo.email',
    profile: 'https://www.googleapis.com/auth/userinfo.profile',
  },
  // A refresh token comes only with `offline`, and again only when consent is asked for again.
  authorizationParams: { access_type: 'offline', prompt: 'consent' },
});

export const sources = [
  'Scopes: the list of scopes of the Google APIs, developers.google.com/identity/protocols/oauth2/scopes.',
  'Endpoints, parameters and client authentication: Nango, arctic and Auth.js; identity by OpenID Connect.',
  'Refresh tokens end after six months without use, seven days in testing mode, or when an account has more than 100 of one client (documentation).',
  'Uncertain: the address of the signing keys is from memory; whether revoking one token ends all of the account is taken as true, the safe choice.',
  'Uncertain: how userinfo answers a token without an identity scope, so it is not asked then.',
];

export function setupSteps(api: string): string[] {
  return [
    'Open the Google Cloud console and choose a project, or create one.',
    `Under "APIs & Services", open the library and enable the ${api}.`,
    'Set up the OAuth consent screen: user type, name of the app, contact addresses, and the scopes you will ask for.',
    'While its publishing status is "Testing", add every person who will connect as a test user; their grants end after seven days.',
    'Under "Credentials", create an OAuth client ID of the type "Web application".',
    'Paste the redirect URIs of your apps under "Authorized redirect URIs" and save.',
    'Copy the client ID and the client secret into this connector.',
  ];
}
