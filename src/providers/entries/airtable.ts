import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'airtable',
  name: 'Airtable',
  description: 'Reads and changes records and tables of the bases that the person chooses.',
  scopes: [
    { scope: 'data.records:read', description: 'Read records.' },
    { scope: 'data.records:write', description: 'Create, change and delete records.' },
    { scope: 'data.recordComments:read', description: 'Read comments on records.' },
    { scope: 'data.recordComments:write', description: 'Write comments on records.' },
    { scope: 'schema.bases:read', description: 'See which tables and fields a base has.' },
    { scope: 'schema.bases:write', description: 'Create and change tables and fields.' },
    { scope: 'webhook:manage', description: 'Be told of changes in a base.' },
    { scope: 'user.email:read', description: "See the account's e-mail address." },
  ],
  exampleUses: [
    'Add a record for every form that is handed in.',
    'Show a base as a calendar in an app of your own.',
    'Keep a stock list up to date.',
  ],
  setupSteps: [
    'Open airtable.com/create/oauth and register a new OAuth integration.',
    'Paste the redirect URLs of your apps.',
    'Tick the scopes that this connector asks for; Airtable refuses others.',
    'Generate a client secret: this service needs one.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://airtable.com/developers/web/api/oauth-reference',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://airtable.com/oauth2/v1/authorize',
    tokenUrl: 'https://airtable.com/oauth2/v1/token',
    identity: {
      url: 'https://api.airtable.com/v0/meta/whoami',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['email'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC',
  }),
  refreshTokenIdleDays: 60,
  sources: [
    "Endpoints, Basic authentication, PKCE with S256 as a must, and scopes by spaces: Airtable's OAuth reference and Nango.",
    'A refresh token is replaced at each use, and the former access token ends at once (documentation of third parties).',
    'Identity: /v0/meta/whoami, as several open-source connectors ask it.',
    'Uncertain: that a refresh token lapses after 60 days is from memory; the answer carries refresh_expires_in.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
