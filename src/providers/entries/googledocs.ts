import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googledocs',
  name: 'Google Docs',
  description: 'Reads, creates and edits documents.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/documents',
      description: "See, edit, create and delete all of the person's documents.",
    },
    { scope: 'https://www.googleapis.com/auth/documents.readonly', description: "See all of the person's documents." },
    {
      scope: 'https://www.googleapis.com/auth/drive.file',
      description: 'See and edit only documents that were made or opened with this app.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Fill in a contract from a template.',
    'Write the minutes of a meeting into a document.',
    'Pull the text of a document into a knowledge base.',
  ],
  setupSteps: setupSteps('Google Docs API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
