import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'box',
  name: 'Box',
  description: 'Finds, reads and stores files in Box as the person who connects.',
  scopes: [
    { scope: 'root_readonly', description: 'Read all files and folders that the person can see.' },
    { scope: 'root_readwrite', description: 'Read and write all files and folders that the person can see.' },
    { scope: 'manage_managed_users', description: 'Manage people of the company.' },
    { scope: 'manage_groups', description: 'Manage groups of the company.' },
    { scope: 'manage_webhook', description: 'Be told of changes.' },
  ],
  exampleUses: [
    'File signed contracts in a folder.',
    'Let people attach a file from Box.',
    'Search documents for an answer.',
  ],
  setupSteps: [
    'Open the Box developer console and create a custom app (platform app) with user authentication by OAuth 2.0.',
    'Under "Configuration", paste the redirect URIs of your apps.',
    'Tick the application scopes that this connector asks for, and save.',
    'People of companies that restrict apps need an admin of theirs to authorise the app.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developer.box.com/guides/authentication/oauth2/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://account.box.com/api/oauth2/authorize',
    tokenUrl: 'https://api.box.com/oauth2/token',
    revocation: { url: 'https://api.box.com/oauth2/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://api.box.com/2.0/users/me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['login'],
      namePaths: ['name', 'login'],
    },
  }),
  refreshTokenIdleDays: 60,
  sources: [
    'Endpoints: Nango and arctic; identity: Auth.js; revocation with client id, secret and token in a form: open-source connectors agree.',
    'Access tokens live an hour; a refresh token works once and lapses after 60 days (developer.box.com).',
    'Uncertain: the names of the manage_ scopes are from memory. Granted scopes are not told in the answer.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
