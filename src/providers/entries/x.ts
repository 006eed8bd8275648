import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'x',
  name: 'X (Twitter)',
  description: "Reads and writes posts in the person's name.",
  scopes: [
    { scope: 'offline.access', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'users.read', description: 'Read profiles; with tweet.read it tells apps which account is connected.' },
    { scope: 'tweet.read', description: 'Read posts.' },
    { scope: 'tweet.write', description: 'Publish and delete posts.' },
    { scope: 'follows.read', description: 'See who follows whom.' },
    { scope: 'follows.write', description: 'Follow and unfollow.' },
  ],
  exampleUses: ['Publish a planned post.', 'Show the latest posts of an account.', 'Follow up on mentions.'],
  setupSteps: [
    'Open the X developer console, and create a project and an app in it.',
    'Set up user authentication: choose the permissions, and the type "Web App", which makes the client a confidential one.',
    'Paste the redirect URIs of your apps as callback URIs.',
    'Under "Keys and tokens", copy the OAuth 2.0 client ID and client secret, not the API key, into this connector.',
  ],
  docsUrl: 'https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://x.com/i/oauth2/authorize',
    tokenUrl: 'https://api.x.com/2/oauth2/token',
    revocation: { url: 'https://api.x.com/2/oauth2/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://api.x.com/2/users/me',
      method: 'GET',
      idPaths: ['data.id'],
      emailPaths: [],
      namePaths: ['data.username', 'data.name'],
      anyScope: ['users.read'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    scopeAliases: { 'offline.access': '' },
    deadGrantErrors: [
      'invalid_request: Value passed for the token was invalid',
      'invalid_request: Value passed for the authorization code was invalid',
    ],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, Basic authentication of confidential clients, PKCE as a must, and offline.access for a refresh token: docs.x.com; revocation and identity: arctic and Auth.js.',
    'Access tokens live two hours (documentation).',
    'A dead refresh token is called invalid_request with a text (the tests of several open-source connectors), and so is a used code (github.com/plhery/node-twitter-api-v2/issues/496).',
    'Uncertain: that a refresh token is replaced at each use is from memory; whichever the answer carries is kept.',
    'Uncertain: whether offline.access is named among the granted scopes; it is not counted as missing where it is not.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
