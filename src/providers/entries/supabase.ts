import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'supabase',
  name: 'Supabase',
  description: "Manages the projects of a person's Supabase organisation through the Management API.",
  scopes: [],
  exampleUses: [
    'Create a database project for a new app.',
    'Show the state of all projects on a dashboard.',
    'Run migrations from a deployment tool.',
  ],
  setupSteps: [
    'In the Supabase dashboard open the settings of your organisation, "OAuth Apps", and add an application.',
    'Paste the redirect URIs of your apps as authorization callback URLs.',
    'Choose what it may do there: the scopes belong to the application, so leave those of this connector empty.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://supabase.com/docs/guides/integrations/build-a-supabase-oauth-integration',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://api.supabase.com/v1/oauth/authorize',
    tokenUrl: 'https://api.supabase.com/v1/oauth/token',
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
  }),
  refreshTokenIdleDays: 90,
  sources: [
    "Endpoints, Basic authentication and PKCE with S256: Supabase's guide to OAuth integrations.",
    'Uncertain: how long a refresh token lives unused; it is used every 45 days, the safe choice.',
    'No source names an endpoint that tells a stable id of the account, so none is asked.',
    'Revocation there takes client id, secret and refresh token as JSON, which this entry cannot say: nothing is revoked, and people take the access back at Supabase.',
  ],
};
