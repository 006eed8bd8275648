import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'linkedin',
  name: 'LinkedIn',
  description: "Reads the person's profile and posts in their name.",
  scopes: [
    { scope: 'openid', description: 'Tells apps which account is connected.' },
    { scope: 'profile', description: 'Name and picture.' },
    { scope: 'email', description: "The account's e-mail address." },
    { scope: 'w_member_social', description: 'Publish, comment and react as the person.' },
  ],
  exampleUses: [
    'Publish a post for the person who wrote it.',
    'Fill in a profile from LinkedIn.',
    'Schedule posts for a team, each from their own account.',
  ],
  setupSteps: [
    'Open linkedin.com/developers/apps and create an app; it must be tied to a LinkedIn page.',
    'Under "Products", ask for what you need, such as signing in with OpenID Connect or sharing on LinkedIn.',
    'Under "Auth", paste the redirect URLs of your apps.',
    'Copy the client ID and the primary client secret into this connector.',
  ],
  docsUrl: 'https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.linkedin.com/oauth/v2/authorization',
    tokenUrl: 'https://www.linkedin.com/oauth/v2/accessToken',
    identity: {
      url: 'https://api.linkedin.com/v2/userinfo',
      method: 'GET',
      idPaths: ['sub'],
      emailPaths: ['email'],
      namePaths: ['name'],
      anyScope: ['openid', 'profile'],
    },
    pkce: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints: Nango; credentials in the body only: Auth.js and arctic; PKCE is off, as in Nango.',
    'Access tokens live 60 days. Refresh tokens are for approved partners only and end after 365 days, however often they are used (documentation).',
    'Uncertain: the address of userinfo is from memory. The id_token is not read, since no source names its issuer.',
  ],
};
