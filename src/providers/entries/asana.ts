import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'asana',
  name: 'Asana',
  description: 'Reads and changes tasks, projects and comments as the person who connects.',
  scopes: [
    { scope: 'default', description: 'Everything the person may do; for Asana apps with full permissions.' },
    { scope: 'tasks:read', description: 'Read tasks.' },
    { scope: 'tasks:write', description: 'Create and change tasks.' },
    { scope: 'projects:read', description: 'Read projects.' },
    { scope: 'projects:write', description: 'Create and change projects.' },
    { scope: 'workspaces:read', description: 'List workspaces.' },
    { scope: 'users:read', description: 'See people, the person who connects included.' },
    { scope: 'attachments:read', description: 'Read attachments.' },
  ],
  exampleUses: [
    'Turn a customer request into a task.',
    'Show what is due this week.',
    'Close a task when its pull request is merged.',
  ],
  setupSteps: [
    'Open app.asana.com/0/my-apps and create an app.',
    'Under "OAuth", add the redirect URLs of your apps.',
    'Choose either full permissions, and ask for the scope "default", or the single scopes that this connector asks for.',
    'Under "Manage distribution", allow the workspaces whose people will connect.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developers.asana.com/docs/oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://app.asana.com/-/oauth_authorize',
    tokenUrl: 'https://app.asana.com/-/oauth_token',
    revocation: { url: 'https://app.asana.com/-/oauth_revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://app.asana.com/api/1.0/users/me',
      method: 'GET',
      idPaths: ['data.gid'],
      emailPaths: ['data.email'],
      namePaths: ['data.name'],
      anyScope: ['default', 'users:read'],
    },
    accountPaths: { id: ['data.gid', 'data.id'], email: ['data.email'], name: ['data.name'] },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and client authentication: Nango. Revocation with client id, secret and the refresh token in a form: several open-source connectors agree.',
    'Scopes: developers.asana.com/docs/oauth-scopes. The token answer names the account under "data".',
    'Uncertain: that access tokens live one hour and refresh tokens are kept is from memory; whichever the answer says holds.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
