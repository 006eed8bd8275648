import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'gitlab',
  name: 'GitLab',
  description: 'Works with projects, issues and merge requests on GitLab.com as the person who connects.',
  scopes: [
    { scope: 'read_user', description: "Read the person's profile; tells apps which account is connected." },
    { scope: 'api', description: 'Everything the person may do by the API.' },
    { scope: 'read_api', description: 'Read everything that the person can see by the API.' },
    { scope: 'read_repository', description: 'Read repositories.' },
    { scope: 'write_repository', description: 'Read and write repositories.' },
    { scope: 'openid', description: 'Tells apps which account is connected, for signing in.' },
  ],
  exampleUses: [
    'Open an issue in the name of whoever reports a fault.',
    'List merge requests that wait for the person.',
    'Start a pipeline from a chat.',
  ],
  setupSteps: [
    'On GitLab.com open the preferences of your profile, or a group, and there "Applications".',
    'Add an application; leave it "confidential".',
    'Paste the redirect URIs of your apps, one a line.',
    'Tick the scopes that this connector asks for, and save.',
    'Copy the application ID as client ID and the secret as client secret into this connector.',
    'For a GitLab of your own, set up a custom provider by discovery instead.',
  ],
  docsUrl: 'https://docs.gitlab.com/integration/oauth_provider/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://gitlab.com/oauth/authorize',
    tokenUrl: 'https://gitlab.com/oauth/token',
    revocation: { url: 'https://gitlab.com/oauth/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://gitlab.com/api/v4/user',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['username', 'name'],
      anyScope: ['read_user', 'api', 'read_api'],
    },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints: Nango and Auth.js; revocation: arctic and open-source connectors; PKCE is sent, as by both.',
    'Access tokens live two hours. Refresh tokens are replaced at each use, and the former stays good until the new access token is used, as the server software that GitLab builds on does it (tried out).',
    'A refused refresh carries WWW-Authenticate besides invalid_grant (tried out).',
    'The id_token is not read: the profile endpoint names the account.',
    'Uncertain: how the profile endpoint answers a token without read_user, api or read_api, so it is not asked then.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
