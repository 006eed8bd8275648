import type { AuthorizationServer } from '../oauth/authorization-server.ts';
import type { Provider } from './provider.ts';

const botServer: AuthorizationServer = {
  issuer: null,
  authorizationUrl: 'https://slack.com/oauth/v2/authorize',
  tokenUrl: 'https://slack.com/api/oauth.v2.access',
  jwksUrl: null,
  issParameterSupported: false,
  revocation: { url: 'https://slack.com/api/auth.revoke', style: 'bearer', token: 'access' },
  identity: {
    url: 'https://slack.com/api/auth.test',
    method: 'POST',
    idPaths: ['team_id'],
    emailPaths: [],
    namePaths: ['team'],
  },
  clientAuthentication: 'CLIENT_SECRET_POST',
  bodyFormat: 'form',
  scopeSeparator: ',',
  scopeParameter: 'scope',
  pkce: false,
  authorizationParams: {},
  refreshes: true,
  tokenPath: null,
  deadGrantErrors: ['invalid_refresh_token', 'token_revoked', 'account_inactive', 'invalid_code', 'code_already_used'],
  accountPaths: { id: ['team.id'], email: [], name: ['team.name'] },
  keepFromToken: ['team.id', 'team.name', 'bot_user_id'],
  revocationReach: 'account',
};

const userServer: AuthorizationServer = {
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

const sources = [
  'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
  'Endpoints, separator and the nested user token: Nango and the documentation of oauth.v2.access.',
  'Rotation is off unless the Slack app switches it on; then access tokens live 12 hours and a refresh token works once (documentation).',
  'PKCE is off, as in Nango.',
  'Uncertain: auth.test as the identity endpoint and some of the error words are from memory; whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
];

function setupSteps(kind: 'Bot Token Scopes' | 'User Token Scopes'): string[] {
  return [
    'Open api.slack.com/apps and create an app from scratch in a workspace of yours.',
    'Under "OAuth & Permissions", paste the redirect URLs of your apps and save them.',
    `On the same page, add the scopes you need under "${kind}".`,
    'To let people of other workspaces connect, activate public distribution under "Manage Distribution".',
    'Under "Basic Information", copy the client ID and the client secret into this connector.',
  ];
}

export const slack: Provider = {
  key: 'slack',
  name: 'Slack',
  description: 'Acts in Slack as the person who connects: their messages, channels and search.',
  scopes: [
    { scope: 'channels:read', description: 'List public channels.' },
    { scope: 'channels:history', description: "Read messages in the person's public channels." },
    { scope: 'chat:write', description: 'Send messages as the person.' },
    { scope: 'search:read', description: "Search the person's messages and files." },
    { scope: 'users:read', description: 'See the members of the workspace.' },
    { scope: 'users:read.email', description: 'See e-mail addresses of members; needs users:read too.' },
  ],
  exampleUses: [
    'Summarise what the person has missed.',
    'Post in the name of the person who pressed the button.',
    "Search the person's conversations for a decision.",
  ],
  setupSteps: setupSteps('User Token Scopes'),
  docsUrl: 'https://docs.slack.dev/authentication/installing-with-oauth',
  configFields: [],
  server: userServer,
  refreshTokenIdleDays: 90,
  sources,
};

export const slackBot: Provider = {
  key: 'slackbot',
  name: 'Slack bot',
  description: 'Acts in Slack as a bot that the person installs in their workspace.',
  scopes: [
    { scope: 'chat:write', description: 'Send messages as the bot, in channels it is in.' },
    { scope: 'chat:write.public', description: 'Send messages to public channels without joining them.' },
    { scope: 'channels:read', description: 'List public channels.' },
    { scope: 'im:write', description: 'Open direct messages with people.' },
    { scope: 'users:read', description: 'See the members of the workspace.' },
  ],
  exampleUses: [
    'Announce every new order in a channel.',
    'Remind people by direct message.',
    'Ask a channel for approval before something is published.',
  ],
  setupSteps: setupSteps('Bot Token Scopes'),
  docsUrl: 'https://docs.slack.dev/authentication/installing-with-oauth',
  configFields: [],
  server: botServer,
  refreshTokenIdleDays: 90,
  sources,
};
