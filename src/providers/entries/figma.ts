import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'figma',
  name: 'Figma',
  description: "Reads a person's design files, comments and libraries.",
  scopes: [
    { scope: 'current_user:read', description: "Read the person's name, e-mail address and picture." },
    { scope: 'file_content:read', description: 'Read the contents of files.' },
    { scope: 'file_metadata:read', description: 'Read the names, dates and thumbnails of files.' },
    { scope: 'file_comments:read', description: 'Read comments.' },
    { scope: 'file_comments:write', description: 'Write comments.' },
    { scope: 'projects:read', description: 'List projects and their files.' },
  ],
  exampleUses: [
    'Show the newest version of a design beside its task.',
    'Export icons for a website.',
    'Collect open comments.',
  ],
  setupSteps: [
    'Open figma.com/developers/apps and create an app.',
    'Paste the redirect URIs of your apps.',
    'Choose the scopes that this connector asks for, and publish the app, privately for your own organisation or publicly after a review.',
    'Copy the client ID and the client secret, which is shown once, into this connector.',
  ],
  docsUrl: 'https://developers.figma.com/docs/rest-api/authentication/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.figma.com/oauth',
    tokenUrl: 'https://api.figma.com/v1/oauth/token',
    refreshUrl: 'https://api.figma.com/v1/oauth/refresh',
    identity: {
      url: 'https://api.figma.com/v1/me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['handle', 'email'],
      anyScope: ['current_user:read'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    scopeSeparator: ',',
    pkce: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints with a refresh URL of its own, Basic authentication, and scopes by commas: Nango and the documentation of Figma; identity: Auth.js.',
    'Access tokens live 90 days. A refresh answers no new refresh token: the first one stays (Nango).',
    'PKCE is off, as in Nango. No end of an unused refresh token is documented.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
