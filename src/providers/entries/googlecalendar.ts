import { identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
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
