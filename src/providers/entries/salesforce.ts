import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'salesforce',
  name: 'Salesforce',
  description: 'Reads and changes accounts, contacts, opportunities and other records of a Salesforce organisation.',
  scopes: [
    { scope: 'api', description: 'Use the REST and Bulk APIs with the rights of the person.' },
    { scope: 'refresh_token', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'openid', description: 'Tells which user connects, by an id that never changes.' },
    { scope: 'email', description: "The user's e-mail address." },
    { scope: 'profile', description: "The user's name." },
    { scope: 'full', description: 'Everything that the person may do.' },
  ],
  exampleUses: [
    'Create a lead for everybody who asks for an offer.',
    "Show the signed-in salesperson's opportunities.",
    'Log a call at the right contact.',
  ],
  setupSteps: [
    'In Salesforce Setup open the "App Manager" and create an external client app (or connected app) with OAuth enabled.',
    'Paste the redirect URIs of your apps as callback URLs, one a line.',
    'Select the scopes that this connector asks for, refresh_token among them.',
    'Leave "Require secret for web server flow" and "Require secret for refresh token flow" on.',
    'Copy the consumer key as client id, and the consumer secret, into this connector. A new app may take some minutes until it works.',
    'For a sandbox, enter "test" as the login host.',
  ],
  docsUrl: 'https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm&type=5',
  configFields: [
    {
      name: 'loginHost',
      description: 'Where people sign in, before .salesforce.com: login for production, test for sandboxes.',
      required: true,
      pattern: '^(login|test)$',
      errorText: 'Enter "login" for production, or "test" for a sandbox.',
    },
  ],
  server: oauthServer({
    authorizationUrl: 'https://{loginHost}.salesforce.com/services/oauth2/authorize',
    tokenUrl: 'https://{loginHost}.salesforce.com/services/oauth2/token',
    revocation: {
      url: 'https://{loginHost}.salesforce.com/services/oauth2/revoke',
      style: 'rfc7009',
      token: 'refresh',
    },
    identity: {
      url: 'https://{loginHost}.salesforce.com/services/oauth2/userinfo',
      method: 'GET',
      idPaths: ['sub'],
      emailPaths: ['email'],
      namePaths: ['name', 'preferred_username'],
      anyScope: ['openid', 'id', 'full'],
    },
    authorizationParams: { prompt: 'consent' },
    scopeAliases: { offline_access: 'refresh_token' },
    accountPaths: { id: ['id'], email: [], name: [] },
    assumedLifetimeSeconds: 900,
    keepFromToken: ['instance_url'],
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints and prompt: Nango; revocation: arctic; identity by OpenID Connect. The base of API calls is instance_url of the token answer (Nango).',
    'The account is the identity URL of organisation and user: `id` of the token answer, which userinfo has as `sub` (documentation and examples of answers).',
    'The answer holds no expires_in: how long a token lives is a setting of the organisation, from 15 minutes; the shortest is assumed.',
    'Whether refresh tokens are replaced or lapse is a setting of the app (help.salesforce.com); the newest is always kept.',
    "Uncertain: sign-in at a My Domain of one's own is left out, since its host is not known beforehand; login and test reach every organisation that allows them.",
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
