import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'tiktok',
  name: 'TikTok',
  description: "Reads a person's TikTok profile and videos, and publishes for them.",
  scopes: [
    { scope: 'user.info.basic', description: 'Read the id, the display name and the picture.' },
    { scope: 'user.info.profile', description: 'Read the biography, the profile link and whether it is verified.' },
    { scope: 'user.info.stats', description: 'Read the numbers of followers, likes and videos.' },
    { scope: 'video.list', description: 'Read the public videos.' },
    { scope: 'video.upload', description: 'Upload videos as drafts.' },
    { scope: 'video.publish', description: 'Publish videos.' },
  ],
  exampleUses: [
    'Publish a planned video at the right time.',
    "Show how the person's videos do.",
    'Bring a profile into a directory of creators.',
  ],
  setupSteps: [
    'Open developers.tiktok.com, create an app and add the product "Login Kit" for the web.',
    'Paste the redirect URIs of your apps in its settings.',
    'Add the scopes that this connector asks for, and submit the app for review; until then only sandbox users can connect.',
    'Copy the client key as client id, and the client secret, into this connector.',
  ],
  docsUrl: 'https://developers.tiktok.com/doc/oauth-user-access-token-management',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.tiktok.com/v2/auth/authorize/',
    tokenUrl: 'https://open.tiktokapis.com/v2/oauth/token/',
    revocation: { url: 'https://open.tiktokapis.com/v2/oauth/revoke/', style: 'rfc7009', token: 'access' },
    identity: {
      url: 'https://open.tiktokapis.com/v2/user/info/?fields=open_id,display_name',
      method: 'GET',
      idPaths: ['data.user.open_id'],
      emailPaths: [],
      namePaths: ['data.user.display_name'],
    },
    scopeSeparator: ',',
    parameterNames: { client_id: 'client_key' },
    pkce: false,
    accountPaths: { id: ['open_id'], email: [], name: [] },
    keepFromToken: ['open_id'],
  }),
  refreshTokenIdleDays: 180,
  sources: [
    'Endpoints with their trailing slashes, client_key and scopes by commas: the documentation of TikTok and arctic; identity: Auth.js.',
    'Access tokens live 2 hours to a day, refresh tokens 180 to 365 days and are replaced at each use (two pages of the documentation differ; the answer says it).',
    'A code verifier is for mobile and desktop clients there, so none is sent.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
