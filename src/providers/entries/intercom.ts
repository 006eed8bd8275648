import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'intercom',
  name: 'Intercom',
  description: 'Reads and answers conversations, and works with the contacts of an Intercom workspace.',
  scopes: [],
  exampleUses: [
    'Open a ticket from a form of your own.',
    "Show a customer's conversations in a CRM.",
    'Answer from another tool.',
  ],
  setupSteps: [
    'Open the Intercom developer hub and create an app in your workspace.',
    'Under "Authentication", switch OAuth on and paste the redirect URLs of your apps.',
    'Choose the permissions there: they belong to the app, so leave the scopes of this connector empty.',
    'Copy the client ID and the client secret under "Basic information" into this connector.',
    'Other workspaces than your own can connect once the app has been reviewed.',
  ],
  docsUrl: 'https://developers.intercom.com/docs/build-an-integration/learn-more/authentication/setting-up-oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://app.intercom.com/oauth',
    tokenUrl: 'https://api.intercom.io/auth/eagle/token',
    revocation: { url: 'https://api.intercom.io/auth/uninstall', style: 'bearer', token: 'access' },
    identity: {
      url: 'https://api.intercom.io/me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['name', 'email'],
    },
    refreshes: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints and the uninstall call that takes the grant back: Nango. PKCE is sent, as by Nango.',
    'Access tokens do not end, and there are no refresh tokens (Nango).',
    'Uncertain: the identity endpoint is from memory. Workspaces in Europe and Australia sign in at app.eu.intercom.com and app.au.intercom.com (Nango), which this entry does not offer.',
    'Taking back a grant removes the app from the workspace: it reaches all tokens of the account.',
  ],
};
