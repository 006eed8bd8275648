import type { AuthorizationServer } from '../oauth/authorization-server.ts';
import type { Provider } from './provider.ts';

const identityScopes = [
  { scope: 'openid', description: 'Tells apps which account is connected, by an id that never changes.' },
  {
    scope: 'https://www.googleapis.com/auth/userinfo.email',
    description: "Shows the account's e-mail address. The short form `email` is granted under this name.",
  },
];

const server: AuthorizationServer = {
  issuer: 'https://accounts.google.com',
  authorizationUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
  tokenUrl: 'https://oauth2.googleapis.com/token',
  jwksUrl: 'https://www.googleapis.com/oauth2/v3/certs',
  issParameterSupported: false,
  revocation: { url: 'https://oauth2.googleapis.com/revoke', style: 'rfc7009', token: 'refresh' },
  identity: {
    url: 'https://openidconnect.googleapis.com/v1/userinfo',
    method: 'GET',
    idPaths: ['sub'],
    emailPaths: ['email'],
    namePaths: ['name', 'email'],
    anyScope: [
      'openid',
      'email',
      'profile',
      'https://www.googleapis.com/auth/userinfo.email',
      'https://www.googleapis.com/auth/userinfo.profile',
    ],
  },
  clientAuthentication: 'CLIENT_SECRET_POST',
  bodyFormat: 'form',
  scopeSeparator: ' ',
  scopeParameter: 'scope',
  pkce: true,
  // A refresh token comes only with `offline`, and again only when consent is asked for again.
  authorizationParams: { access_type: 'offline', prompt: 'consent' },
  refreshes: true,
  tokenPath: null,
  deadGrantErrors: [],
  accountPaths: null,
  keepFromToken: [],
  revocationReach: 'account',
};

const sources = [
  'Endpoints, parameters and client authentication: Nango, arctic and Auth.js; identity by OpenID Connect.',
  'Refresh tokens end after six months without use, seven days in testing mode, or when an account has more than 100 of one client (documentation).',
  'Uncertain: the address of the signing keys is from memory; whether revoking one token ends all of the account is taken as true, the safe choice.',
  'Uncertain: how userinfo answers a token without an identity scope, so it is not asked then.',
];

function setupSteps(api: string): string[] {
  return [
    'Open the Google Cloud console and choose a project, or create one.',
    `Under "APIs & Services", open the library and enable the ${api}.`,
    'Set up the OAuth consent screen: user type, name of the app, contact addresses, and the scopes you will ask for.',
    'While its publishing status is "Testing", add every person who will connect as a test user; their grants end after seven days.',
    'Under "Credentials", create an OAuth client ID of the type "Web application".',
    'Paste the redirect URIs of your apps under "Authorized redirect URIs" and save.',
    'Copy the client ID and the client secret into this connector.',
  ];
}

export const googleCalendar: Provider = {
  key: 'googlecalendar',
  name: 'Google Calendar',
  description: "Reads and changes people's calendars and events.",
  scopes: [
    { scope: 'https://www.googleapis.com/auth/calendar.readonly', description: 'See calendars and their events.' },
    { scope: 'https://www.googleapis.com/auth/calendar.events', description: 'See, add, change and delete events.' },
    {
      scope: 'https://www.googleapis.com/auth/calendar.freebusy',
      description: 'See when the person is busy, without details.',
    },
    {
      scope: 'https://www.googleapis.com/auth/calendar',
      description: 'Everything: calendars, events, sharing and settings.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Offer free slots from the calendar of whoever is signed in.',
    'Put a booking into the calendars of both sides.',
    "Show today's meetings on a dashboard.",
  ],
  setupSteps: setupSteps('Google Calendar API'),
  docsUrl: 'https://developers.google.com/identity/protocols/oauth2/web-server',
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources,
};

export const gmail: Provider = {
  key: 'gmail',
  name: 'Gmail',
  description: "Reads, sends and organises people's e-mail.",
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/gmail.send',
      description: 'Send e-mail as the person; nothing can be read.',
    },
    { scope: 'https://www.googleapis.com/auth/gmail.readonly', description: 'Read messages and settings.' },
    {
      scope: 'https://www.googleapis.com/auth/gmail.modify',
      description: 'Read, send, label and move messages to the bin.',
    },
    { scope: 'https://www.googleapis.com/auth/gmail.labels', description: 'See and edit labels.' },
    {
      scope: 'https://www.googleapis.com/auth/gmail.metadata',
      description: 'See headers and labels, but no message text.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    "Send a quote from the salesperson's own address.",
    'Collect invoices that arrive by e-mail.',
    'Draft answers for the person to check.',
  ],
  setupSteps: setupSteps('Gmail API'),
  docsUrl: 'https://developers.google.com/workspace/gmail/api/auth/scopes',
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: [...sources, 'A change of the Google password ends grants that hold Gmail scopes (documentation).'],
};
