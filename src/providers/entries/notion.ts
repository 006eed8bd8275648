import { oauthServer, type Provider } from '../provider.ts';

const apiVersion = { 'notion-version': '2022-06-28' };

export const provider: Provider = {
  key: 'notion',
  name: 'Notion',
  description: 'Reads and writes the pages and databases that the person chooses to share.',
  scopes: [],
  exampleUses: [
    'Add a row to a database for every request that comes in.',
    'Turn meeting notes into tasks.',
    'Search the shared pages for an answer.',
  ],
  setupSteps: [
    'Open notion.so/my-integrations and create an integration of the type "Public".',
    'Fill in what Notion asks of public integrations: company, website, privacy policy, support address.',
    'Choose its capabilities: Notion has no scopes, so leave the scopes of this connector empty.',
    'Paste the redirect URIs of your apps and save.',
    'Copy the OAuth client ID and the OAuth client secret into this connector.',
  ],
  docsUrl: 'https://developers.notion.com/docs/authorization',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://api.notion.com/v1/oauth/authorize',
    tokenUrl: 'https://api.notion.com/v1/oauth/token',
    revocation: {
      url: 'https://api.notion.com/v1/oauth/revoke',
      style: 'rfc7009',
      headers: apiVersion,
      token: 'access',
    },
    identity: {
      url: 'https://api.notion.com/v1/users/me',
      method: 'GET',
      headers: apiVersion,
      idPaths: ['bot.owner.user.id', 'id'],
      emailPaths: ['bot.owner.user.person.email'],
      namePaths: ['bot.owner.user.name', 'bot.workspace_name', 'name'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
    bodyFormat: 'json',
    authorizationParams: { owner: 'user' },
    accountPaths: {
      id: ['owner.user.id', 'bot_id'],
      email: ['owner.user.person.email'],
      name: ['owner.user.name', 'workspace_name'],
    },
    keepFromToken: ['workspace_id', 'workspace_name', 'bot_id'],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'Endpoints, Basic authentication with a JSON body, and refresh tokens that are replaced at each use: developers.notion.com.',
    "Revocation: developers.notion.com/reference/revoke-token, and Notion's own library.",
    'The documented token answer has no expires_in: nothing is known of how long a token lives, so it counts as not ending; the app reports one that is refused and it is refreshed.',
    'Uncertain: users/me as the identity endpoint is from memory; whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
    'Uncertain: with several redirect URIs registered Notion wants redirect_uri in the token request, with one it may refuse it; it is always sent, so register more than one if it is refused.',
  ],
};
