import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googlemeet',
  name: 'Google Meet',
  description: 'Creates meeting rooms and reads records of meetings.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/meetings.space.created',
      description: 'Create meeting rooms, and see and change those made by this app.',
    },
    {
      scope: 'https://www.googleapis.com/auth/meetings.space.readonly',
      description: 'See all meeting rooms that the person can open, and records of their meetings.',
    },
    {
      scope: 'https://www.googleapis.com/auth/meetings.space.settings',
      description: "See and change settings of all the person's meeting rooms.",
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Open a room for every appointment.',
    'Fetch the transcript after a call.',
    'See who took part in a lesson.',
  ],
  setupSteps: setupSteps('Google Meet REST API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
