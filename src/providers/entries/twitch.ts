import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'twitch',
  name: 'Twitch',
  description: "Reads a person's Twitch channel and chat, and acts in it for them.",
  scopes: [
    { scope: 'openid', description: 'Tells which user connects, by an id that never changes.' },
    { scope: 'user:read:email', description: "Read the account's e-mail address." },
    { scope: 'channel:read:subscriptions', description: 'See who has subscribed to the channel.' },
    { scope: 'moderator:read:followers', description: 'See who follows the channel.' },
    { scope: 'user:read:chat', description: 'Read chat.' },
    { scope: 'user:write:chat', description: 'Write in chat.' },
    { scope: 'clips:edit', description: 'Make clips.' },
  ],
  exampleUses: [
    'Thank new subscribers.',
    'Show the next streams on a website.',
    'Make a clip at the press of a button.',
  ],
  setupSteps: [
    'Open dev.twitch.tv/console and register an application; the account needs two-factor authentication.',
    'Paste the redirect URIs of your apps as OAuth redirect URLs.',
    'Choose the client type "Confidential" and create a secret.',
    'Copy the client ID and the secret into this connector.',
  ],
  docsUrl: 'https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://id.twitch.tv/oauth2/authorize',
    tokenUrl: 'https://id.twitch.tv/oauth2/token',
    revocation: { url: 'https://id.twitch.tv/oauth2/revoke', style: 'rfc7009', token: 'access' },
    identity: {
      url: 'https://id.twitch.tv/oauth2/userinfo',
      method: 'GET',
      idPaths: ['sub'],
      emailPaths: ['email'],
      namePaths: ['preferred_username'],
      anyScope: ['openid'],
    },
    deadGrantErrors: ['Bad Request: Invalid refresh token'],
    refusedClientErrors: ['400: invalid client', '403: invalid client secret'],
  }),
  refreshTokenIdleDays: 30,
  sources: [
    "Endpoints: Nango; the answer's scope is an array, and errors hold status and message (Auth.js). PKCE is sent, as by Nango.",
    'Tokens are tested once an hour by whoever keeps a session, says the documentation: reading a token here does not ask Twitch.',
    'A refused refresh token is answered with status 400, the error "Bad Request" and the message "Invalid refresh token"; revocation takes the client id and the access token (dev.twitch.tv).',
    'A refused client is answered with status and message alone (github.com/PhantomBot/PhantomBot/issues/2860, and the tests of several open-source connectors).',
    'Uncertain: userinfo without an issuer being checked, and that an unused refresh token lapses after 30 days, are from memory.',
    'API calls send the client id as Client-Id besides the token.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
