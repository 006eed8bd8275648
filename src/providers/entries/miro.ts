import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'miro',
  name: 'Miro',
  description: 'Reads and changes boards of the team that the person installs the app in.',
  scopes: [],
  exampleUses: [
    'Put the notes of a workshop on a board.',
    'Show the boards of a project in an app of your own.',
    'Turn sticky notes into tasks.',
  ],
  setupSteps: [
    'In Miro open "Your apps" in the settings of your profile, and create an app.',
    'Switch on the expiry of user authorization tokens, if you want tokens that are refreshed: it cannot be changed later.',
    'Paste the redirect URIs of your apps.',
    'Choose the permissions there: they belong to the app, so leave the scopes of this connector empty.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developers.miro.com/docs/getting-started-with-oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://miro.com/oauth/authorize',
    tokenUrl: 'https://api.miro.com/v1/oauth/token',
    identity: {
      url: 'https://api.miro.com/v1/oauth-token',
      method: 'GET',
      idPaths: ['user.id'],
      emailPaths: [],
      namePaths: ['user.name'],
    },
  }),
  refreshTokenIdleDays: 60,
  sources: [
    'Endpoints and lifetimes: developers.miro.com; client credentials in the body and PKCE, which is sent: Nango.',
    'With expiry switched on, access tokens live an hour and refresh tokens 60 days, and both are replaced at each refresh; without it tokens stay good until the app is uninstalled (documentation).',
    'The token answer gives the team as a number that does not fit into a number of JSON, so it is not kept: ask /v1/oauth-token for it.',
    'Revocation there takes the access token in the query, which this entry cannot say: nothing is revoked, and people uninstall the app in Miro.',
  ],
};
