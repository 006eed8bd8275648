import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'docusign',
  name: 'DocuSign',
  description: 'Sends documents to be signed and follows them, as the person who connects.',
  scopes: [
    { scope: 'signature', description: 'Create, send and read envelopes.' },
    { scope: 'extended', description: 'Lets a refresh token start anew at each use, so that the connection lasts.' },
    { scope: 'openid', description: 'Tells which user connects, by an id that never changes.' },
  ],
  exampleUses: [
    'Send a contract as soon as an offer is accepted.',
    'Show which signatures are missing.',
    'File what has been signed.',
  ],
  setupSteps: [
    'In DocuSign open "Settings", "Apps and Keys", and add an app. A new one works in the developer environment until it has gone live.',
    'Choose the authorization code grant with a client secret.',
    'Paste the redirect URIs of your apps and save.',
    'Copy the integration key as client id, and a secret key, into this connector.',
    'In this connector enter account for production, or account-d for the developer environment.',
  ],
  docsUrl: 'https://developers.docusign.com/platform/auth/authcode/',
  configFields: [
    {
      name: 'environment',
      description: 'Where people sign in, before .docusign.com: account, or account-d for developers.',
      required: true,
      pattern: '^account(-d)?$',
      errorText: 'Enter "account" for production, or "account-d" for the developer environment.',
    },
  ],
  server: oauthServer({
    authorizationUrl: 'https://{environment}.docusign.com/oauth/auth',
    tokenUrl: 'https://{environment}.docusign.com/oauth/token',
    identity: {
      url: 'https://{environment}.docusign.com/oauth/userinfo',
      method: 'GET',
      idPaths: ['sub'],
      emailPaths: ['email'],
      namePaths: ['name'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    scopeAliases: { extended: '' },
  }),
  refreshTokenIdleDays: 30,
  sources: [
    'Endpoints, Basic authentication, PKCE and userinfo: Nango and the documentation of DocuSign.',
    'Access tokens live 8 hours, refresh tokens 30 days; with the scope extended each use starts the 30 days anew (documentation).',
    'The base of API calls is base_uri in the answer of userinfo, which the app asks for itself.',
    'Uncertain: whether `extended` is named among the granted scopes; it is not counted as missing.',
    'No source names a way to revoke tokens of one app, so none is used: people take the access back at the provider.',
  ],
};
