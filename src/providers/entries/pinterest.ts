import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'pinterest',
  name: 'Pinterest',
  description: "Reads a person's boards and pins, and publishes for them.",
  scopes: [
    { scope: 'user_accounts:read', description: 'Read the profile; tells apps which account is connected.' },
    { scope: 'boards:read', description: 'Read public boards.' },
    { scope: 'boards:write', description: 'Create and change boards.' },
    { scope: 'pins:read', description: 'Read public pins.' },
    { scope: 'pins:write', description: 'Create and change pins.' },
    { scope: 'ads:read', description: 'Read advertising.' },
  ],
  exampleUses: ['Publish planned pins.', 'Show how pins did.', 'Make a board of the products of a shop.'],
  setupSteps: [
    'Open developers.pinterest.com with a business account, and register an app under "My apps".',
    'Wait until Pinterest has granted access to it; trial access comes first.',
    'Paste the redirect URIs of your apps.',
    'Copy the app ID as client id, and the app secret key, into this connector.',
  ],
  docsUrl: 'https://developers.pinterest.com/docs/getting-started/set-up-authentication-and-authorization/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.pinterest.com/oauth/',
    tokenUrl: 'https://api.pinterest.com/v5/oauth/token',
    identity: {
      url: 'https://api.pinterest.com/v5/user_account',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: [],
      namePaths: ['username', 'business_name'],
      anyScope: ['user_accounts:read'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    scopeSeparator: ',',
    tokenParams: { continuous_refresh: 'true' },
    deadGrantErrors: ['283'],
    refusedClientErrors: ['2: Authentication failed'],
  }),
  refreshTokenIdleDays: 60,
  sources: [
    'Endpoints and Basic authentication: Nango and a directory of OAuth providers; identity: Auth.js. PKCE is sent, as by Nango.',
    'With continuous_refresh, the default of newer apps, a refresh token lives 60 days and is replaced at each use (open-source connectors; continuous refresh itself: the library of Pinterest).',
    'Uncertain: scopes are joined by commas from memory; Nango has spaces. Uncertain too: that the profile holds `id` beside the user name.',
    'Errors hold a number as code: 283 for a dead refresh token (github.com/pinterest/pinterest-python-sdk/issues/114), 2 for a refused client (volcengine.com/article/2158429, a forum).',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
