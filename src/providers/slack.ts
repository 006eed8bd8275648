import type { AuthorizationServer } from '../oauth/authorization-server.ts';
import { oauthServer } from './provider.ts';

export const botServer = oauthServer({
  authorizationUrl: 'https://slack.com/oauth/v2/authorize',
  tokenUrl: 'https://slack.com/api/oauth.v2.access',
  revocation: { url: 'https://slack.com/api/auth.revoke', style: 'bearer', token: 'access' },
  identity: {
    url: 'https://slack.com/api/auth.test',
    method: 'POST',
    idPaths: ['team_id'],
    emailPaths: [],
    namePaths: ['team'],
  },
  scopeSeparator: ',',
  pkce: false,
  deadGrantErrors: ['invalid_refresh_token', 'token_revoked', 'account_inactive', 'invalid_code', 'code_already_used'],
  accountPaths: { id: ['team.id'], email: [], name: ['team.name'] },
  keepFromToken: ['team.id', 'team.name', 'bot_user_id'],
});

export const userServer: AuthorizationServer = {
  ...botServer,
  scopeParameter: 'user_scope',
  tokenPath: 'authed_user',
  identity: {
    url: 'https://slack.com/api/auth.test',
    method: 'POST',
    idPaths: ['user_id'],
    emailPaths: [],
    namePaths: ['user'],
  },
  accountPaths: { id: ['authed_user.id'], email: [], name: [] },
  keepFromToken: ['team.id', 'team.name'],
};

export const sources = [
  'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
  'Endpoints, client credentials in the body, separator and the nested user token: Nango and the documentation of oauth.v2.access.',
  'Rotation is off unless the Slack app switches it on; then access tokens live 12 hours and a refresh token works once (documentation).',
  'PKCE is off: switching it on turns the Slack app into a public client for good, without a secret, and its refresh tokens then end after 30 days (docs.slack.dev).',
  'Uncertain: auth.test as the identity endpoint and some of the error words are from memory; whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
];

export function setupSteps(kind: 'Bot Token Scopes' | 'User Token Scopes'): string[] {
  return [
    'Open api.slack.com/apps and create an app from scratch in a workspace of yours.',
    'Under "OAuth & Permissions", paste the redirect URLs of your apps and save them.',
    `On the same page, add the scopes you need under "${kind}".`,
    'To let people of other workspaces connect, activate public distribution under "Manage Distribution".',
    'Under "Basic Information", copy the client ID and the client secret into this connector.',
  ];
}
