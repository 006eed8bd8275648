import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'reddit',
  name: 'Reddit',
  description: 'Reads, posts and votes on Reddit as the person who connects.',
  scopes: [
    { scope: 'identity', description: "Read the person's name and when they joined." },
    { scope: 'read', description: 'Read posts and comments.' },
    { scope: 'history', description: "Read the person's posts, comments and votes." },
    { scope: 'mysubreddits', description: 'See which communities the person follows.' },
    { scope: 'submit', description: 'Post and comment.' },
    { scope: 'vote', description: 'Vote.' },
  ],
  exampleUses: [
    'Post an announcement in a community.',
    'Watch what is said about a product.',
    "Collect the person's saved posts.",
  ],
  setupSteps: [
    'Open reddit.com/prefs/apps and create an app of the type "web app".',
    'Paste the redirect URI of your app. Reddit takes one per app: create an app per origin.',
    'Copy the id under the name of the app as client id, and the secret, into this connector.',
  ],
  docsUrl: 'https://github.com/reddit-archive/reddit/wiki/OAuth2',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.reddit.com/api/v1/authorize',
    tokenUrl: 'https://www.reddit.com/api/v1/access_token',
    revocation: {
      url: 'https://www.reddit.com/api/v1/revoke_token',
      style: 'rfc7009',
      headers: { 'user-agent': 'web:app-user-connectors:0.1' },
      token: 'refresh',
    },
    identity: {
      url: 'https://oauth.reddit.com/api/v1/me',
      method: 'GET',
      headers: { 'user-agent': 'web:app-user-connectors:0.1' },
      idPaths: ['id'],
      emailPaths: [],
      namePaths: ['name'],
      anyScope: ['identity'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    authorizationParams: { duration: 'permanent' },
    tokenHeaders: { 'user-agent': 'web:app-user-connectors:0.1' },
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints, Basic authentication, and duration=permanent for a refresh token: Reddit's OAuth wiki and Nango; identity: Auth.js.",
    'Reddit refuses requests without a User-Agent of their own (from memory), so one is sent. PKCE is sent, as by Nango.',
    'Access tokens live an hour to a day; a refresh token stays until it is revoked (wiki).',
    'Uncertain: the revocation endpoint is from memory; whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
    'Uncertain: a dead refresh token is said to be answered with a bare 400 (github.com/praw-dev/praw/issues/677), as other mistakes are: that decides nothing here, so the connection stays, and is shown as unavailable.',
  ],
};
