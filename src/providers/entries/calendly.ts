import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'calendly',
  name: 'Calendly',
  description: 'Reads event types and appointments, and books meetings.',
  scopes: [
    { scope: 'users:read', description: "Read the person's profile; tells apps which account is connected." },
    { scope: 'event_types:read', description: 'Read event types and their free times.' },
    { scope: 'event_types:write', description: 'Create and change event types.' },
    { scope: 'scheduled_events:read', description: 'Read appointments and who is invited.' },
    { scope: 'scheduled_events:write', description: 'Book and cancel appointments.' },
    { scope: 'availability:read', description: 'Read when the person is available.' },
    { scope: 'webhooks:write', description: 'Be told of bookings and cancellations.' },
  ],
  exampleUses: [
    'Show the next appointments on a dashboard.',
    'Create a lead for everybody who books.',
    'Offer free times in a chat.',
  ],
  setupSteps: [
    'Open developer.calendly.com, sign in with a developer account and create an OAuth app.',
    'Choose the kind "Web" and the environment "Production".',
    'Paste the redirect URI of your app.',
    'Choose the scopes that this connector asks for; an app without scopes reaches nothing.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl:
    'https://developer.calendly.com/docs/authentication/how-to-access-calendly-data-on-behalf-of-authenticated-users',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://auth.calendly.com/oauth/authorize',
    tokenUrl: 'https://auth.calendly.com/oauth/token',
    revocation: { url: 'https://auth.calendly.com/oauth/revoke', style: 'rfc7009', token: 'refresh' },
    identity: {
      url: 'https://api.calendly.com/users/me',
      method: 'GET',
      idPaths: ['resource.uri'],
      emailPaths: ['resource.email'],
      namePaths: ['resource.name'],
      anyScope: ['users:read'],
    },
    accountPaths: { id: ['owner'], email: [], name: [] },
    keepFromToken: ['owner', 'organization'],
  }),
  refreshTokenIdleDays: null,
  sources: [
    "Endpoints, revocation, lifetimes and scopes: Calendly's documentation. Access tokens live two hours; a refresh token works once and does not end before it is used.",
    'Client id and secret go in the body, as by Nango; the documentation asks for Basic at the token endpoint and for the body when revoking.',
    'The account is its URI, which the token answer names as owner (Nango).',
    'Uncertain: that scopes are asked for with spaces between; the names scheduled_events:write and webhooks:write.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
