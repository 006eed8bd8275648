import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'atlassian',
  name: 'Atlassian (Jira, Confluence)',
  description: 'Works with Jira issues and Confluence pages as the person who connects.',
  scopes: [
    { scope: 'offline_access', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'read:me', description: "The person's profile; tells apps which account is connected." },
    { scope: 'read:jira-work', description: 'Read projects and issues.' },
    { scope: 'write:jira-work', description: 'Create and change issues, comments and worklogs.' },
    { scope: 'read:jira-user', description: 'See people in Jira.' },
    { scope: 'read:confluence-content.all', description: 'Read pages, blog posts and comments.' },
    { scope: 'write:confluence-content', description: 'Create and change pages.' },
    { scope: 'search:confluence', description: 'Search Confluence.' },
  ],
  exampleUses: [
    'File an issue from a support chat.',
    'Show the sprint on a dashboard.',
    'Answer questions from the pages that the person may read.',
  ],
  setupSteps: [
    'Open developer.atlassian.com/console/myapps and create an OAuth 2.0 integration.',
    'Under "Authorization", add OAuth 2.0 (3LO) and paste the redirect URI as callback URL; Atlassian takes one per app, so use an app of its own per origin.',
    'Under "Permissions", add the Jira and Confluence APIs that you need and the User identity API, and choose the scopes that this connector asks for.',
    'Under "Distribution", share the app, or only you can connect.',
    'Under "Settings", copy the client ID and the secret into this connector.',
    'Ask for offline_access in this connector; it is not listed in the console.',
  ],
  docsUrl: 'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/',
  configFields: [],
  server: oauthServer({
    // Granted, it may not be named in the answer.
    scopeAliases: { offline_access: '' },
    authorizationUrl: 'https://auth.atlassian.com/authorize',
    tokenUrl: 'https://auth.atlassian.com/oauth/token',
    identity: {
      url: 'https://api.atlassian.com/me',
      method: 'GET',
      idPaths: ['account_id'],
      emailPaths: ['email'],
      namePaths: ['name'],
      anyScope: ['read:me'],
    },
    authorizationParams: { audience: 'api.atlassian.com', prompt: 'consent' },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Uncertain: whether offline_access is named among the granted scopes; it is not counted as missing where it is not.',
    'Endpoints and parameters: Nango and Auth.js; client id and secret in the body: arctic.',
    'Refresh tokens are replaced at each use and end after 90 days without use, 365 days at the latest (documentation). A dead one is answered with status 403 and invalid_grant.',
    'API calls need a cloud id: GET https://api.atlassian.com/oauth/token/accessible-resources lists those that a token reaches.',
    'Uncertain: the names of the Confluence scopes are from memory; newer APIs want granular ones, which the documentation of each call names.',
    'Uncertain: how /me answers a token without read:me, so it is not asked then.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
