import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'zoom',
  name: 'Zoom',
  description: 'Plans meetings, and reads recordings and participants, as the person who connects.',
  scopes: [
    { scope: 'user:read:user', description: "Read the person's id, name and e-mail address." },
    { scope: 'meeting:write:meeting', description: 'Create meetings.' },
    { scope: 'meeting:read:meeting', description: 'Read meetings.' },
    { scope: 'cloud_recording:read:list_user_recordings', description: 'List cloud recordings.' },
  ],
  exampleUses: ['Add a meeting link to a booking.', 'Collect recordings after a course.', "Show the day's meetings."],
  setupSteps: [
    'Open the Zoom app marketplace, "Develop", "Build app", and create a general app that is managed by users.',
    'Paste the redirect URI of your app, and all of them in the allow list.',
    'Add the scopes that this connector asks for.',
    'Copy the client ID and the client secret into this connector: of "Development" for people of your own account, of "Production" once the app is published.',
  ],
  docsUrl: 'https://developers.zoom.us/docs/integrations/oauth/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://zoom.us/oauth/authorize',
    tokenUrl: 'https://zoom.us/oauth/token',
    revocation: { url: 'https://zoom.us/oauth/revoke', style: 'rfc7009', token: 'access' },
    identity: {
      url: 'https://api.zoom.us/v2/users/me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['display_name', 'first_name', 'email'],
      anyScope: ['user:read:user', 'user:read'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and PKCE: Nango and arctic; identity: Auth.js; a code lives five minutes (developers.zoom.us).',
    'Access tokens live an hour; each refresh brings a new refresh token and ends the former; about 90 days unused (open-source descriptions of the token life cycle).',
    'Basic authentication is what the documentation shows (from memory); Nango sends the credentials in the body.',
    'Uncertain: scopes are joined by spaces, as RFC 6749 has it and arctic does; Nango has commas. The names of the scopes are those of newer apps, from memory.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
