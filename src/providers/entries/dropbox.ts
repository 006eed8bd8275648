import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'dropbox',
  name: 'Dropbox',
  description: 'Finds, reads and stores files in Dropbox.',
  scopes: [
    { scope: 'account_info.read', description: 'Name and e-mail address; tells apps which account is connected.' },
    { scope: 'files.metadata.read', description: 'See names and other metadata of files and folders.' },
    { scope: 'files.content.read', description: 'Read files.' },
    { scope: 'files.content.write', description: 'Create, change and delete files.' },
    { scope: 'sharing.read', description: 'See shared links and folders.' },
    { scope: 'sharing.write', description: 'Create shared links and share folders.' },
  ],
  exampleUses: [
    'Save reports to a folder of the person.',
    'Let people attach a file from Dropbox.',
    'Process every picture that is put into a folder.',
  ],
  setupSteps: [
    'Open dropbox.com/developers/apps and create an app with scoped access.',
    'Choose whether it sees a folder of its own or the whole Dropbox.',
    'Under "Permissions", tick the scopes that this connector asks for, and submit.',
    'Under "Settings", add the redirect URIs of your apps.',
    'Apply for production before more than a few people connect.',
    'Copy the app key as client ID and the app secret as client secret into this connector.',
  ],
  docsUrl: 'https://developers.dropbox.com/oauth-guide',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.dropbox.com/oauth2/authorize',
    tokenUrl: 'https://api.dropboxapi.com/oauth2/token',
    revocation: { url: 'https://api.dropboxapi.com/2/auth/token/revoke', style: 'bearer', token: 'access' },
    identity: {
      url: 'https://api.dropboxapi.com/2/users/get_current_account',
      method: 'POST',
      idPaths: ['account_id'],
      emailPaths: ['email'],
      namePaths: ['name.display_name'],
      anyScope: ['account_info.read'],
    },
    authorizationParams: { token_access_type: 'offline' },
    accountPaths: { id: ['account_id'], email: [], name: [] },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, and the parameter that brings a refresh token: Nango and Auth.js; identity by POST without a body: Auth.js; revocation by POST with the access token as bearer: open-source connectors agree.',
    'Uncertain: that refresh tokens do not lapse and are not replaced is from memory; one is used every 45 days all the same, the safe choice.',
    'Uncertain: that the token answer names account_id is from memory. How the identity endpoint answers a token without account_info.read, so it is not asked then.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
