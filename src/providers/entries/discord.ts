import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'discord',
  name: 'Discord',
  description: "Reads the person's profile and servers, and acts in Discord for them.",
  scopes: [
    { scope: 'identify', description: 'Name and picture; tells apps which account is connected.' },
    { scope: 'email', description: "The account's e-mail address." },
    { scope: 'guilds', description: 'List the servers that the person is in.' },
    { scope: 'guilds.members.read', description: 'Read how the person appears in a server.' },
    { scope: 'guilds.join', description: 'Add the person to a server.' },
    { scope: 'connections', description: 'See accounts of other services that the person has linked.' },
  ],
  exampleUses: [
    'Give members of a server access to an app.',
    'Invite customers to a support server.',
    'Show the servers of a person.',
  ],
  setupSteps: [
    'Open discord.com/developers/applications and create an application.',
    'Under "OAuth2", add the redirects of your apps.',
    'On the same page copy the client ID, and reset the client secret to see it.',
    'Paste both into this connector.',
  ],
  docsUrl: 'https://discord.com/developers/docs/topics/oauth2',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://discord.com/api/oauth2/authorize',
    tokenUrl: 'https://discord.com/api/oauth2/token',
    revocation: { url: 'https://discord.com/api/oauth2/token/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://discord.com/api/users/@me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['global_name', 'username'],
      anyScope: ['identify'],
    },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints: Nango and arctic; identity: Auth.js. PKCE is sent, as by both.',
    'Uncertain: that access tokens live seven days, and that a revocation ends every token of the authorization, is from memory; the latter is the safe choice too.',
    'A refresh token works once; a dead one is told by invalid_grant (github.com/discord/discord-api-docs/issues/5942), and was by invalid_request with a text that names it (github.com/member-gentei/member-gentei/issues/18).',
    'Uncertain: how /users/@me answers a token without identify, so it is not asked then.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
  ],
};
