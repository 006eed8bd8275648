import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googlesheets',
  name: 'Google Sheets',
  description: 'Reads and writes spreadsheets.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/spreadsheets',
      description: "See, edit, create and delete all of the person's spreadsheets.",
    },
    {
      scope: 'https://www.googleapis.com/auth/spreadsheets.readonly',
      description: "See all of the person's spreadsheets.",
    },
    {
      scope: 'https://www.googleapis.com/auth/drive.file',
      description: 'See and edit only spreadsheets that were made or opened with this app.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Add a row for every order.',
    'Read a price list that people keep up by hand.',
    'Export a report as a spreadsheet.',
  ],
  setupSteps: setupSteps('Google Sheets API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
