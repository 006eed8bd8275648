import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'typeform',
  name: 'Typeform',
  description: "Reads a person's forms and the answers to them, and builds new ones.",
  scopes: [
    { scope: 'offline', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'accounts:read', description: "Read the account's name and e-mail address." },
    { scope: 'forms:read', description: 'Read forms.' },
    { scope: 'forms:write', description: 'Create and change forms.' },
    { scope: 'responses:read', description: 'Read answers.' },
    { scope: 'webhooks:write', description: 'Be told of new answers.' },
    { scope: 'workspaces:read', description: 'Read workspaces.' },
  ],
  exampleUses: [
    'Bring answers into a table of your own.',
    'Start a task when somebody fills in a form.',
    'Build a survey from a template.',
  ],
  setupSteps: [
    'In Typeform open the settings of your organisation, "Developer apps", and register a new app.',
    'Paste the redirect URIs of your apps, separated as the form asks.',
    'Copy the client ID and the client secret, which is shown once, into this connector.',
    'Ask for the scope `offline`: otherwise people must connect again every week.',
  ],
  docsUrl: 'https://www.typeform.com/developers/get-started/applications/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://api.typeform.com/oauth/authorize',
    tokenUrl: 'https://api.typeform.com/oauth/token',
    identity: {
      url: 'https://api.typeform.com/me',
      method: 'GET',
      idPaths: ['user_id'],
      emailPaths: ['email'],
      namePaths: ['alias', 'email'],
      anyScope: ['accounts:read'],
    },
    scopeAliases: { offline: '' },
    pkce: false,
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, the scope offline, and no PKCE: Nango and the documentation of Typeform.',
    'Uncertain: the identity endpoint and its user_id are from memory; whether `offline` is named among the granted scopes is not known, so it is not counted as missing.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
