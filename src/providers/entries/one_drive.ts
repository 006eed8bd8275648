import { docsUrl, identityScopes, server, setupSteps, sources } from '../microsoft.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'one_drive',
  name: 'OneDrive',
  description: "Finds, reads and stores files in people's OneDrive.",
  scopes: [
    { scope: 'Files.Read', description: "Read the person's files." },
    { scope: 'Files.ReadWrite', description: "Read, create, change and delete the person's files." },
    { scope: 'Files.Read.All', description: 'Read all files that the person can open, shared ones included.' },
    { scope: 'Files.ReadWrite.All', description: 'Read and write all files that the person can open.' },
    { scope: 'Files.ReadWrite.AppFolder', description: 'Read and write only in a folder of this app.' },
    ...identityScopes,
  ],
  exampleUses: [
    'Save reports to a folder of the person.',
    'Let people attach a file from OneDrive.',
    'Search documents for an answer.',
  ],
  setupSteps: setupSteps('Files.ReadWrite'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 90,
  sources: [
    ...sources,
    'Nango has a token client of its own for the file picker of OneDrive; here all goes through Microsoft Graph.',
  ],
};
