import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googleslides',
  name: 'Google Slides',
  description: 'Reads, creates and edits presentations.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/presentations',
      description: "See, edit, create and delete all of the person's presentations.",
    },
    {
      scope: 'https://www.googleapis.com/auth/presentations.readonly',
      description: "See all of the person's presentations.",
    },
    {
      scope: 'https://www.googleapis.com/auth/drive.file',
      description: 'See and edit only presentations that were made or opened with this app.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Build a quote from a template.',
    'Refresh the figures in a monthly deck.',
    'Turn an outline into slides.',
  ],
  setupSteps: setupSteps('Google Slides API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
