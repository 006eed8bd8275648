import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'clickup',
  name: 'ClickUp',
  description: 'Reads and changes tasks, lists and documents of the workspaces that the person chooses.',
  scopes: [],
  exampleUses: ['Turn a message into a task.', 'Show what is due today.', 'Log time on a task from another app.'],
  setupSteps: [
    'In ClickUp open the settings of a workspace that you own or administer, and there "ClickUp API".',
    'Create an app and enter the redirect URLs of your apps.',
    'ClickUp has no scopes: leave the scopes of this connector empty. People choose workspaces when they connect.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developer.clickup.com/docs/authentication',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://app.clickup.com/api',
    tokenUrl: 'https://api.clickup.com/api/v2/oauth/token',
    identity: {
      url: 'https://api.clickup.com/api/v2/user',
      method: 'GET',
      idPaths: ['user.id'],
      emailPaths: ['user.email'],
      namePaths: ['user.username'],
    },
    refreshes: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints: ClickUp's documentation, Nango and Auth.js; identity: Auth.js. PKCE is sent, as by Nango.",
    'Errors are named by ECODE.',
    'Uncertain: that access tokens do not expire and no refresh token comes is from memory.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
