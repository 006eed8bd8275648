import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'wrike',
  name: 'Wrike',
  description: 'Reads and changes tasks, folders and projects in Wrike as the person who connects.',
  scopes: [
    { scope: 'Default', description: "The person's own rights, as far as the app's settings allow." },
    { scope: 'wsReadOnly', description: 'Read tasks, folders and projects.' },
    { scope: 'wsReadWrite', description: 'Read and change tasks, folders and projects.' },
    { scope: 'amReadOnlyUser', description: 'See the people of the account.' },
  ],
  exampleUses: [
    "Make a task of a customer's message.",
    "Show the person's tasks for today.",
    'Report the hours of a project.',
  ],
  setupSteps: [
    'In Wrike open "Apps & Integrations", "API", and create an app.',
    'Paste the redirect URIs of your apps.',
    'Copy the client ID and the client secret into this connector.',
    'API calls go to the host that is kept as `host` of the connection.',
  ],
  docsUrl: 'https://developers.wrike.com/oauth-20-authorization/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://login.wrike.com/oauth2/authorize/v4',
    tokenUrl: 'https://login.wrike.com/oauth2/token',
    scopeSeparator: ',',
    keepFromToken: ['host'],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, scopes by commas, and the API host in the token answer: Nango and the documentation of Wrike.',
    'Uncertain: the names of the scopes beyond Default are from memory.',
    'The identity endpoint lies on the host of the account, which this entry cannot ask: nobody is named.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
