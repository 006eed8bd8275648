import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'bitbucket',
  name: 'Bitbucket',
  description: 'Works with repositories, pull requests and issues of Bitbucket Cloud as the person who connects.',
  scopes: [
    { scope: 'account', description: "Read the person's account; tells apps which account is connected." },
    { scope: 'email', description: "Read the person's e-mail addresses." },
    { scope: 'repository', description: 'Read repositories.' },
    { scope: 'repository:write', description: 'Write to repositories.' },
    { scope: 'pullrequest', description: 'Read pull requests, and the repositories they belong to.' },
    { scope: 'pullrequest:write', description: 'Create, change and merge pull requests.' },
    { scope: 'issue', description: 'Read issues.' },
    { scope: 'issue:write', description: 'Create and change issues.' },
    { scope: 'webhook', description: 'Be told of events.' },
  ],
  exampleUses: [
    'List pull requests that wait for the person.',
    'Commit generated files to a repository.',
    'Comment on a pull request with the result of a check.',
  ],
  setupSteps: [
    'In Bitbucket open the settings of your workspace and there "OAuth consumers".',
    'Add a consumer and paste the redirect URI as callback URL. Bitbucket takes one: use a consumer of its own per origin.',
    'Tick the permissions: they are the most that this connector can ask for.',
    'Save, and copy the key as client ID and the secret as client secret into this connector.',
  ],
  docsUrl: 'https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://bitbucket.org/site/oauth2/authorize',
    tokenUrl: 'https://bitbucket.org/site/oauth2/access_token',
    identity: {
      url: 'https://api.bitbucket.org/2.0/user',
      method: 'GET',
      idPaths: ['account_id', 'uuid'],
      emailPaths: [],
      namePaths: ['display_name', 'username'],
      anyScope: ['account'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC',
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and Basic authentication: developer.atlassian.com/cloud/bitbucket/oauth-2; identity with account_id: Auth.js; PKCE is sent, as by Nango.',
    'A dead refresh token is called invalid_request with the text "Invalid refresh_token" (github.com/readthedocs/readthedocs.org/issues/2992), which counts everywhere.',
    'Access tokens live two hours. The granted scopes come as "scopes", which is not read: the consumer decides them.',
    'Uncertain: the names of the scopes are from memory; that the consumer, not the request, decides what is granted too.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
