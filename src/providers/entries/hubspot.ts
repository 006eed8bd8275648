import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'hubspot',
  name: 'HubSpot',
  description: 'Reads and changes contacts, companies, deals and the rest of a HubSpot account.',
  scopes: [
    { scope: 'oauth', description: 'Needed by every HubSpot app.' },
    { scope: 'crm.objects.contacts.read', description: 'Read contacts.' },
    { scope: 'crm.objects.contacts.write', description: 'Create and change contacts.' },
    { scope: 'crm.objects.companies.read', description: 'Read companies.' },
    { scope: 'crm.objects.deals.read', description: 'Read deals.' },
    { scope: 'crm.objects.deals.write', description: 'Create and change deals.' },
  ],
  exampleUses: [
    'Create a contact for everybody who fills in a form.',
    'Show the deals of the salesperson who is signed in.',
    'Note a phone call at the right contact.',
  ],
  setupSteps: [
    'Open a HubSpot developer account and create a public app.',
    'On its "Auth" page paste the redirect URLs of your apps.',
    'Choose the same scopes there as in this connector; HubSpot refuses a request that asks for others.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl:
    'https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth/working-with-oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://app.hubspot.com/oauth/authorize',
    tokenUrl: 'https://api.hubapi.com/oauth/2026-03/token',
    revocation: {
      url: 'https://api.hubapi.com/oauth/v1/refresh-tokens/{token}',
      style: 'path',
      token: 'refresh',
    },
    identity: {
      url: 'https://api.hubapi.com/oauth/v1/access-tokens/{token}',
      method: 'GET',
      idPaths: ['user_id'],
      emailPaths: ['user'],
      namePaths: ['hub_domain', 'user'],
    },
    deadGrantErrors: ['BAD_REFRESH_TOKEN'],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Token endpoint: the one of 2026-03, since the older /oauth/v1/token ends on 2027-02-16 (documentation).',
    'Revocation: as Nango does it. Identity: as Auth.js does it, with the token in the path.',
    'Uncertain: whether the v1 addresses for revocation and identity stay; the word BAD_REFRESH_TOKEN and the names of the identity members are from memory.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
