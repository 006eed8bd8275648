import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'wix',
  name: 'Wix',
  description: 'Works with the content, contacts, orders and bookings of a Wix site that the app is installed on.',
  scopes: [],
  exampleUses: [
    "Bring a shop's orders into the accounts.",
    'Offer the free slots of a bookings site.',
    'Add a contact for everybody who signs up.',
  ],
  setupSteps: [
    'Open the Wix developers centre, and there an app that already uses custom authentication: Wix no longer offers it to new apps.',
    'Under "OAuth", set the redirect URL of your app. Wix has one: make an app per origin.',
    'Add the permissions that your app needs: they belong to the app, so leave the scopes of this connector empty.',
    'Copy the app ID as client id, and the app secret key, into this connector.',
  ],
  docsUrl: 'https://dev.wix.com/docs/build-apps/develop-your-app/access/authentication/use-advanced-oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.wix.com/installer/install',
    tokenUrl: 'https://www.wixapis.com/oauth/access',
    bodyFormat: 'json',
    authorizationNames: { client_id: 'appId', redirect_uri: 'redirectUrl' },
    pkce: false,
    keepFromCallback: ['instanceId'],
    assumedLifetimeSeconds: 300,
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints, JSON bodies, and instanceId in the callback: the documentation of Wix's custom OAuth flow.",
    'Access tokens live five minutes and the answer does not say so; refresh tokens do not lapse while the app is installed.',
    'The installer calls the client id appId and the redirect URI redirectUrl, while the token request keeps client_id (the same documentation).',
    'Uncertain: whether the installer minds response_type, which is sent as to everybody.',
    'Custom authentication is closed to new apps, which ask for tokens by app instance without a person (dev.wix.com). This service does not speak that flow.',
    'No source names a way to revoke tokens, so none is used: the owner removes the app from the site.',
  ],
};
