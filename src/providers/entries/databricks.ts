import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'databricks',
  name: 'Databricks',
  description: 'Queries and manages data in a Databricks workspace as the person who connects.',
  scopes: [
    { scope: 'all-apis', description: 'Everything the person may do in the workspace.' },
    { scope: 'sql', description: 'Run queries on SQL warehouses.' },
    { scope: 'offline_access', description: 'Keeps the connection alive: without it there is no refresh token.' },
  ],
  exampleUses: [
    'Answer questions from the lakehouse with the rights of the person who asks.',
    'Start a job from another app.',
    'Show the result of a query on a dashboard.',
  ],
  setupSteps: [
    'Open the Databricks account console as an account admin: "Settings", "App connections", "Add connection".',
    'Paste the redirect URLs of your apps, and have a client secret generated.',
    'Choose the scopes that this connector asks for.',
    'Set how long access and refresh tokens live, and single-use refresh tokens if you like: both work.',
    'Enter the part of the address of the workspace before .cloud.databricks.com as workspace in this connector.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://docs.databricks.com/aws/en/integrations/enable-disable-oauth',
  configFields: [
    {
      name: 'workspace',
      description: 'The part of the address of your workspace before .cloud.databricks.com.',
      required: true,
      pattern: '^[a-z0-9-]{1,63}$',
      errorText:
        'Enter only the part before .cloud.databricks.com, in small letters, digits and hyphens, such as "dbc-a1b2c3d4-e5f6".',
    },
  ],
  server: oauthServer({
    // Granted, it may not be named in the answer.
    scopeAliases: { offline_access: '' },
    authorizationUrl: 'https://{workspace}.cloud.databricks.com/oidc/v1/authorize',
    tokenUrl: 'https://{workspace}.cloud.databricks.com/oidc/v1/token',
    identity: {
      url: 'https://{workspace}.cloud.databricks.com/api/2.0/preview/scim/v2/Me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['emails.0.value'],
      namePaths: ['displayName', 'userName'],
      anyScope: ['all-apis'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC',
  }),
  refreshTokenIdleDays: 7,
  sources: [
    'Uncertain: whether offline_access is named among the granted scopes; it is not counted as missing where it is not.',
    'Endpoints per workspace, scopes and PKCE: the OAuth guides of Databricks and its SDKs; Basic authentication at the same token endpoint: examples for machine clients.',
    'Identity: the SCIM endpoint of the signed-in user that the Databricks SDKs call.',
    'A dead refresh token is called invalid_request with the text "Refresh token is invalid" (github.com/databricks/cli/issues/667), which counts everywhere.',
    'Token lifetimes are settings of the app connection; single-use refresh tokens too (documentation).',
    'Uncertain: a refresh token is taken to lapse after seven days without use, the shortest likely setting; a total session lifetime ends it all the same.',
    'Workspaces on Azure and Google Cloud have addresses of two labels, which this entry does not reach; connect those as a custom provider by discovery.',
    'Uncertain: how the identity endpoint answers a token without all-apis, so it is not asked then.',
    "No revocation: the server's metadata names no endpoint for it.",
  ],
};
