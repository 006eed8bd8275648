import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'google_analytics',
  name: 'Google Analytics',
  description: 'Reads reports of Google Analytics properties and manages their set-up.',
  scopes: [
    { scope: 'https://www.googleapis.com/auth/analytics.readonly', description: 'See and download Analytics data.' },
    { scope: 'https://www.googleapis.com/auth/analytics', description: 'See and manage Analytics data.' },
    {
      scope: 'https://www.googleapis.com/auth/analytics.edit',
      description: 'Edit accounts, properties and their settings.',
    },
    {
      scope: 'https://www.googleapis.com/auth/analytics.manage.users.readonly',
      description: 'See who may use an account.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Show visitors of the last week on a dashboard.',
    'Compare campaigns by the orders that they brought.',
    'Warn when the visits of a page fall off.',
  ],
  setupSteps: setupSteps('Google Analytics Data API and, to manage properties, the Google Analytics Admin API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
