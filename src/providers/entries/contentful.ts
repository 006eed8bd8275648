import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'contentful',
  name: 'Contentful',
  description: 'Reads and manages content, assets and content types of Contentful spaces.',
  scopes: [
    { scope: 'content_management_read', description: 'Read content and content types.' },
    {
      scope: 'content_management_manage',
      description: 'Read, create, change, publish and delete content and content types.',
    },
  ],
  exampleUses: [
    'Publish an article that was written elsewhere.',
    'Translate entries as they are created.',
    'Find entries that nobody has touched for a year.',
  ],
  setupSteps: [
    'In Contentful open the settings of your account and there "OAuth applications".',
    'Create an application; choose "confidential" where it asks for the kind of client.',
    'Paste the redirect URI of your app.',
    'Choose read or manage access, the same as the one scope of this connector: Contentful grants one at a time.',
    'Choose how long access tokens live.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://www.contentful.com/developers/docs/extensibility/oauth/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://be.contentful.com/oauth/authorize',
    tokenUrl: 'https://be.contentful.com/oauth/token',
    identity: {
      url: 'https://api.contentful.com/users/me',
      method: 'GET',
      idPaths: ['sys.id'],
      emailPaths: ['email'],
      namePaths: ['firstName', 'email'],
    },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and PKCE: Nango; scopes: contentful.com/developers; identity: several open-source sign-in libraries agree.',
    'How long an access token lives is a setting of the application.',
    'Uncertain: whether the answer says how long, and whether a refresh token comes. Where neither does, the token counts as good until Contentful refuses it.',
    'Spaces with data residency in the EU have hosts of their own, which this entry does not reach.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
