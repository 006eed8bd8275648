import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'strava',
  name: 'Strava',
  description: "Reads an athlete's activities and profile, and uploads activities for them.",
  scopes: [
    { scope: 'read', description: 'Read the public profile, segments and routes.' },
    { scope: 'profile:read_all', description: 'Read the whole profile.' },
    { scope: 'activity:read', description: 'Read activities that others may see.' },
    { scope: 'activity:read_all', description: 'Read all activities, private ones included.' },
    { scope: 'activity:write', description: 'Upload and change activities.' },
  ],
  exampleUses: ["Count a team's kilometres.", 'Show the last rides on a website.', 'Upload workouts from a device.'],
  setupSteps: [
    'Open strava.com/settings/api and create an app.',
    'Enter the domain of the redirect URIs of your apps as authorization callback domain. Strava takes one: create an app per domain.',
    'Copy the client ID and the client secret into this connector.',
    'A new app can be connected by few people only, until Strava has reviewed it.',
  ],
  docsUrl: 'https://developers.strava.com/docs/authentication/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://www.strava.com/oauth/authorize',
    tokenUrl: 'https://www.strava.com/api/v3/oauth/token',
    revocation: { url: 'https://www.strava.com/oauth/deauthorize', style: 'bearer', token: 'access' },
    identity: {
      url: 'https://www.strava.com/api/v3/athlete',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: [],
      namePaths: ['username', 'firstname'],
    },
    scopeSeparator: ',',
    authorizationParams: { approval_prompt: 'auto' },
    accountPaths: { id: ['athlete.id'], email: [], name: ['athlete.username', 'athlete.firstname'] },
    keepFromCallback: ['scope'],
    deadGrantErrors: ['RefreshToken:refresh_token:invalid', 'AuthorizationCode:code:invalid'],
    refusedClientErrors: ['Application:client_id:invalid', 'Application::invalid'],
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints, scopes by commas and approval_prompt: Nango and arctic; identity: Auth.js; revocation: open-source connectors, some with the token as bearer and some in the body.',
    'People may untick scopes, and the granted ones come as `scope` in the callback (developers.strava.com): that is kept for the app, while this service counts the scopes as asked.',
    'Uncertain: that the token answer names the athlete, access tokens live six hours and the newest refresh token is the one to keep is from memory. PKCE is sent, as by Nango.',
    'Errors are a list of resource, field and code: of a dead refresh token (github.com/dreeveapp/dreeve/issues/1449), of a used code (github.com/yihong0618/running_page/issues/523), of a wrong client (github.com/dreeveapp/dreeve/issues/372, github.com/node-strava/node-strava-v3/issues/37).',
    'No end of an unused refresh token is documented. Taking back a grant ends all tokens of the athlete for the app.',
  ],
};
