import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'pipedrive',
  name: 'Pipedrive',
  description: 'Reads and changes the deals, contacts and activities of a Pipedrive company.',
  scopes: [],
  exampleUses: [
    'Open a deal for everybody who asks for an offer.',
    "Plan an activity in the salesperson's calendar.",
    'Show the pipeline on a dashboard.',
  ],
  setupSteps: [
    'Open the developer hub of Pipedrive and create an app, private or for the marketplace.',
    'Paste the redirect URI of your app as callback URL. Pipedrive takes one per app: make an app per origin.',
    'Choose the scopes there: they belong to the app, so leave those of this connector empty.',
    'Copy the client ID and the client secret into this connector.',
    'API calls go to the address that is kept as `api_domain` of the connection.',
  ],
  docsUrl: 'https://pipedrive.readme.io/docs/marketplace-oauth-authorization',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://oauth.pipedrive.com/oauth/authorize',
    tokenUrl: 'https://oauth.pipedrive.com/oauth/token',
    revocation: { url: 'https://oauth.pipedrive.com/oauth/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://api.pipedrive.com/users/me',
      method: 'GET',
      idPaths: ['data.id'],
      emailPaths: ['data.email'],
      namePaths: ['data.name', 'data.email'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    pkce: false,
    keepFromToken: ['api_domain'],
  }),
  refreshTokenIdleDays: 60,
  sources: [
    'Endpoints, Basic authentication, no PKCE, and api_domain in the answer: Nango and the documentation of Pipedrive; identity: Auth.js.',
    'A refresh token lapses after 60 days without use (documentation).',
    'Revocation, with Basic authentication: open-source connectors. Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
