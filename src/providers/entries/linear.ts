import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'linear',
  name: 'Linear',
  description: 'Reads and changes issues and projects as the person who connects.',
  scopes: [
    { scope: 'read', description: 'Read everything that the person can see; always granted.' },
    { scope: 'write', description: 'Create and change everything that the person may.' },
    { scope: 'issues:create', description: 'Create issues and their attachments only.' },
    { scope: 'comments:create', description: 'Create comments on issues only.' },
    { scope: 'admin', description: 'Everything an admin may do; avoid it where you can.' },
  ],
  exampleUses: [
    'File an issue from a chat.',
    'Show the current cycle on a dashboard.',
    'Close an issue when its fix is released.',
  ],
  setupSteps: [
    'In Linear open the settings of a workspace kept for the purpose, and there "API".',
    'Create an OAuth application and paste the redirect URLs of your apps.',
    'Make it public if people of other workspaces will connect.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://linear.app/developers/oauth-2-0-authentication',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://linear.app/oauth/authorize',
    tokenUrl: 'https://api.linear.app/oauth/token',
    revocation: { url: 'https://api.linear.app/oauth/revoke', style: 'bearer', token: 'access' },
    identity: {
      url: 'https://api.linear.app/graphql',
      method: 'POST',
      idPaths: ['data.viewer.id'],
      emailPaths: ['data.viewer.email'],
      namePaths: ['data.viewer.name'],
      body: { query: '{ viewer { id name email } }' },
    },
    scopeSeparator: ',',
    pkce: false,
    authorizationParams: { prompt: 'consent' },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    "Endpoints, scopes by commas: Linear's documentation and Nango. PKCE is off, as in Nango.",
    'Applications since October 2025 get refresh tokens; the others have had to move to them by April 2026 (documentation).',
    'Identity: the viewer of the GraphQL API, as Nango asks it.',
    'Uncertain: whether the revocation takes the token as bearer or in a form; open-source connectors do both, and the bearer form ends the access token in any case.',
    'Uncertain: the scope admin is from memory.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
