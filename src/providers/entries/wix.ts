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
    'Open the Wix developers centre and create an app.',
    'Under "OAuth", set the redirect URL of your app. Wix has one: make an app per origin.',
    'Add the permissions that your app needs: they belong to the app, so leave the scopes of this connector empty.',
    'Copy the app ID as client id, and the app secret key, into this connector.',
  ],
  docsUrl: 'https://dev.wix.com/docs/build-apps/develop-your-app/access/authentication/use-oauth-advanced',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.wix.com/installer/install',
    tokenUrl: 'https://www.wixapis.com/oauth/access',
    bodyFormat: 'json',
    pkce: false,
    keepFromCallback: ['instanceId'],
    assumedLifetimeSeconds: 300,
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints, JSON bodies, and instanceId in the callback: the documentation of Wix's custom OAuth flow.",
    'Access tokens live five minutes and the answer does not say so; refresh tokens do not lapse while the app is installed.',
    'Uncertain: Wix calls the client id appId and the redirect URI redirectUrl in the address of the installer; both names go with this entry as far as its words allow, and the rest must be tried with an app of your own.',
    'Wix is moving apps to another flow without people (client credentials by instance), which this service does not speak.',
    'No source names a way to revoke tokens, so none is used: the owner removes the app from the site.',
  ],
};
