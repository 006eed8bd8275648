import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googlebigquery',
  name: 'Google BigQuery',
  description: 'Queries and manages data in BigQuery as the person who connects.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/bigquery',
      description: 'See, query and change data and jobs in BigQuery.',
    },
    {
      scope: 'https://www.googleapis.com/auth/bigquery.readonly',
      description: 'See and query data; nothing can be changed.',
    },
    { scope: 'https://www.googleapis.com/auth/bigquery.insertdata', description: 'Add rows to tables.' },
    {
      scope: 'https://www.googleapis.com/auth/cloud-platform.read-only',
      description: 'See data of all Google Cloud services.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Answer questions from a data warehouse with the rights of the person who asks.',
    'Add events of an app to a table.',
    'Send a weekly report built from a query.',
  ],
  setupSteps: setupSteps('BigQuery API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
