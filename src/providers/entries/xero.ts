import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'xero',
  name: 'Xero',
  description: 'Reads and writes the accounts of the organisations that the person chooses.',
  scopes: [
    { scope: 'offline_access', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'openid', description: 'Tells which user connects, by an id that never changes.' },
    { scope: 'email', description: "The user's e-mail address." },
    { scope: 'profile', description: "The user's name." },
    { scope: 'accounting.transactions', description: 'Read and write invoices, bills and payments.' },
    { scope: 'accounting.contacts', description: 'Read and write contacts.' },
    { scope: 'accounting.settings.read', description: 'Read accounts, tax rates and currencies.' },
  ],
  exampleUses: [
    'Write an invoice when a job is done.',
    'Show which bills are due.',
    'Book expenses from photographs of receipts.',
  ],
  setupSteps: [
    'Open developer.xero.com, "My Apps", and create an app of the type "Web app".',
    'Paste the redirect URIs of your apps under "Configuration".',
    'Generate a client secret.',
    'Copy the client ID and the secret into this connector.',
    'API calls name an organisation in the header Xero-tenant-id: ask api.xero.com/connections for those that were chosen.',
  ],
  docsUrl: 'https://developer.xero.com/documentation/guides/oauth2/auth-flow/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://login.xero.com/identity/connect/authorize',
    tokenUrl: 'https://identity.xero.com/connect/token',
    revocation: { url: 'https://identity.xero.com/connect/revocation', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://identity.xero.com/connect/userinfo',
      method: 'GET',
      idPaths: ['xero_userid', 'sub'],
      emailPaths: ['email'],
      namePaths: ['name', 'email'],
      anyScope: ['openid'],
    },
    scopeAliases: { offline_access: '' },
  }),
  refreshTokenIdleDays: 60,
  sources: [
    'Endpoints and PKCE: Nango.',
    'A refresh token lapses after 60 days without use, and is replaced at each use; the former one can be used again for half an hour (developer.xero.com).',
    'Uncertain: the revocation and userinfo endpoints, and that access tokens live 30 minutes, are from memory.',
    'Uncertain: whether offline_access is named among the granted scopes; it is not counted as missing.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
