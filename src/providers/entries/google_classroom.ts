import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'google_classroom',
  name: 'Google Classroom',
  description: 'Reads and manages courses, rosters and course work.',
  scopes: [
    { scope: 'https://www.googleapis.com/auth/classroom.courses.readonly', description: 'See courses.' },
    {
      scope: 'https://www.googleapis.com/auth/classroom.courses',
      description: 'See, create, change and delete courses.',
    },
    {
      scope: 'https://www.googleapis.com/auth/classroom.rosters.readonly',
      description: 'See who takes part in courses.',
    },
    {
      scope: 'https://www.googleapis.com/auth/classroom.coursework.me.readonly',
      description: "See the person's own course work and grades.",
    },
    {
      scope: 'https://www.googleapis.com/auth/classroom.coursework.students',
      description: 'Manage course work and grades of students in courses that the person teaches.',
    },
    { scope: 'https://www.googleapis.com/auth/classroom.announcements', description: 'See and write announcements.' },
    ...identityScopes,
  ],
  exampleUses: [
    'List what is due this week.',
    'Hand out an exercise to a whole course.',
    'Bring grades back from a learning app.',
  ],
  setupSteps: setupSteps('Google Classroom API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
