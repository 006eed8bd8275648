import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'splitwise',
  name: 'Splitwise',
  description: 'Reads and adds shared expenses, groups and friends.',
  scopes: [],
  exampleUses: [
    'Add the costs of a trip to its group.',
    'Show what the person owes, and is owed.',
    'Split a bill straight from a receipt.',
  ],
  setupSteps: [
    'Open secure.splitwise.com/apps and register your application.',
    'Paste the redirect URI of your app as callback URL.',
    'Splitwise has no scopes: leave those of this connector empty.',
    'Copy the consumer key as client id, and the consumer secret, into this connector.',
  ],
  docsUrl: 'https://dev.splitwise.com/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://secure.splitwise.com/oauth/authorize',
    tokenUrl: 'https://secure.splitwise.com/oauth/token',
    identity: {
      url: 'https://secure.splitwise.com/api/v3.0/get_current_user',
      method: 'GET',
      idPaths: ['user.id'],
      emailPaths: ['user.email'],
      namePaths: ['user.first_name', 'user.email'],
    },
    pkce: false,
    refreshes: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints and the identity endpoint: Splitwise's API documentation.",
    'Uncertain: access tokens are taken not to end, since the answer says nothing of an end and no refresh token is described.',
    'Uncertain: whether PKCE is taken is not documented, so it is not sent, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
