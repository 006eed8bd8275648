import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'snowflake',
  name: 'Snowflake',
  description: 'Runs queries in a Snowflake account as the person who connects, with one of their roles.',
  scopes: [
    { scope: 'refresh_token', description: 'Keeps the connection alive: without it there is no refresh token.' },
    {
      scope: 'session:role:PUBLIC',
      description: "Queries with the role PUBLIC. Write another of the person's roles in its place.",
    },
  ],
  exampleUses: [
    'Show figures of the warehouse that the signed-in person may see.',
    "Answer questions about data with the asker's own rights.",
    'Load a list of customers into an app.',
  ],
  setupSteps: [
    "As ACCOUNTADMIN, create a security integration of TYPE = OAUTH with OAUTH_CLIENT = CUSTOM and OAUTH_CLIENT_TYPE = 'CONFIDENTIAL'.",
    'Give it one redirect URI of your app as OAUTH_REDIRECT_URI. It takes one: make an integration per origin.',
    'Set OAUTH_ISSUE_REFRESH_TOKENS = TRUE, and how long refresh tokens live.',
    'Call SYSTEM$SHOW_OAUTH_CLIENT_SECRETS for the client id and secret, and copy them into this connector.',
    'Enter the account identifier with hyphens, such as myorg-account1, in this connector.',
  ],
  docsUrl: 'https://docs.snowflake.com/en/user-guide/oauth-custom',
  configFields: [
    {
      name: 'account',
      description: 'The account identifier: organisation and account name with a hyphen between, as in the address.',
      required: true,
      pattern: '^[a-z0-9-]{1,63}$',
      errorText:
        'Enter the part of your Snowflake address before .snowflakecomputing.com, in small letters, digits and hyphens, such as "myorg-account1".',
    },
  ],
  server: oauthServer({
    authorizationUrl: 'https://{account}.snowflakecomputing.com/oauth/authorize',
    tokenUrl: 'https://{account}.snowflakecomputing.com/oauth/token-request',
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    scopeAliases: { refresh_token: '' },
    accountPaths: { id: [], email: [], name: ['username'] },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints, Basic authentication, PKCE, scopes and the single redirect URI: the documentation of custom clients (docs.snowflake.com).',
    'Access tokens live ten minutes; a refresh token lives for the validity of the integration, at most 90 days, whether it is used or not.',
    'Account identifiers of the older form, with dots for the region, are not taken: every account also has one with hyphens.',
    'Uncertain: that the answer names the user as username, and whether refresh_token is named among the scopes, are from memory.',
    'No source names a way to revoke tokens over OAuth, so none is used: people or admins take the access back in Snowflake.',
  ],
};
