import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'klaviyo',
  name: 'Klaviyo',
  description: 'Works with the profiles, lists, campaigns and events of a Klaviyo account.',
  scopes: [
    { scope: 'accounts:read', description: 'Read the account; tells apps which one is connected.' },
    { scope: 'profiles:read', description: 'Read profiles.' },
    { scope: 'profiles:write', description: 'Create and change profiles.' },
    { scope: 'lists:read', description: 'Read lists.' },
    { scope: 'lists:write', description: 'Create lists, and add profiles to them.' },
    { scope: 'campaigns:read', description: 'Read campaigns.' },
    { scope: 'events:write', description: 'Record events.' },
  ],
  exampleUses: [
    'Add whoever signs up to a list.',
    'Record an event for every order.',
    'Show how the last campaign did.',
  ],
  setupSteps: [
    'In Klaviyo, as an owner, admin or manager, open the page of your apps under "Integrations" and create an app.',
    'Paste the redirect URLs of your apps.',
    'Choose the scopes that this connector asks for.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developers.klaviyo.com/en/docs/set_up_oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.klaviyo.com/oauth/authorize',
    tokenUrl: 'https://a.klaviyo.com/oauth/token',
    revocation: { url: 'https://a.klaviyo.com/oauth/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://a.klaviyo.com/api/accounts',
      method: 'GET',
      headers: { revision: '2026-10-15' },
      idPaths: ['data.0.id'],
      emailPaths: [],
      namePaths: ['data.0.attributes.contact_information.organization_name'],
      anyScope: ['accounts:read'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    deadGrantErrors: ['invalid_grant_type'],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, with token and revocation at a.klaviyo.com alone, and PKCE: developers.klaviyo.com; Basic authentication: Nango and open-source connectors.',
    'Uncertain: a dead refresh token is documented under the name invalid_grant_type (developers.klaviyo.com/en/docs/troubleshoot_oauth_errors), which counts besides invalid_grant.',
    'API calls carry the header revision with a date (developers.klaviyo.com).',
    'Uncertain: the members of the identity answer, and that a refresh token lapses after 90 days without use, are from memory.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
