import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googledrive',
  name: 'Google Drive',
  description: "Finds, reads and stores files in people's Drive.",
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/drive.file',
      description: 'See and edit only files that were made or opened with this app.',
    },
    {
      scope: 'https://www.googleapis.com/auth/drive.metadata.readonly',
      description: 'See names and other metadata of all files, but not what is in them.',
    },
    { scope: 'https://www.googleapis.com/auth/drive.readonly', description: 'See and download all files.' },
    { scope: 'https://www.googleapis.com/auth/drive', description: 'See, edit, create and delete all files.' },
    { scope: 'https://www.googleapis.com/auth/drive.appdata', description: 'Keep hidden data of this app.' },
    ...identityScopes,
  ],
  exampleUses: [
    'Let people attach a file from their Drive.',
    'File invoices in a shared folder.',
    'Search documents for an answer.',
  ],
  setupSteps: setupSteps('Google Drive API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
