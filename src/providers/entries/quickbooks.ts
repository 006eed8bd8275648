import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'quickbooks',
  name: 'QuickBooks',
  description: 'Reads and writes the books of a QuickBooks Online company: invoices, customers, payments.',
  scopes: [
    { scope: 'com.intuit.quickbooks.accounting', description: "Read and write the company's books." },
    { scope: 'com.intuit.quickbooks.payment', description: 'Take and look up payments.' },
    { scope: 'openid', description: 'Tells which Intuit user connects, by an id that never changes.' },
    { scope: 'email', description: "The user's e-mail address." },
    { scope: 'profile', description: "The user's name." },
  ],
  exampleUses: [
    'Write an invoice when a job is done.',
    'Show which invoices are overdue.',
    'Book the payments of a shop.',
  ],
  setupSteps: [
    'Open the Intuit developer portal and create an app for QuickBooks Online with the scopes that this connector asks for.',
    'Under "Keys & credentials", choose "Production"; the development keys only reach sandbox companies.',
    'Paste the redirect URIs of your apps there and save.',
    'Copy the client ID and the client secret of the same tab into this connector.',
  ],
  docsUrl: 'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://appcenter.intuit.com/connect/oauth2',
    tokenUrl: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
    revocation: {
      url: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
      style: 'rfc7009',
      token: 'refresh',
    },
    keepFromCallback: ['realmId'],
  }),
  refreshTokenIdleDays: 100,
  sources: [
    "Endpoints, revocation, and client credentials in the body: Intuit's discovery document and Nango; lifetimes: Intuit's SDK and Airbyte's issues.",
    'The company that was chosen comes as realmId in the callback, and every API call needs it.',
    'Access tokens live an hour; the value of a refresh token changes about daily, so the newest is always kept. It lapses after 100 idle days, and after five years in any case.',
    'The identity endpoint answers only with openid and has another host for sandboxes, whose tokens the one of production may refuse: it is not asked, and nobody is named.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
