import { docsUrl, identityScopes, server, setupSteps, sources } from '../microsoft.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'share_point',
  name: 'SharePoint',
  description: 'Reads and changes sites, lists and documents of SharePoint in Microsoft 365.',
  scopes: [
    { scope: 'Sites.Read.All', description: 'Read documents and list items of all sites that the person can open.' },
    {
      scope: 'Sites.ReadWrite.All',
      description: 'Read, change and delete documents and list items of all sites that the person can open.',
    },
    { scope: 'Sites.Manage.All', description: 'Create and delete lists and libraries too.' },
    { scope: 'Files.Read.All', description: 'Read all files that the person can open.' },
    { scope: 'Files.ReadWrite.All', description: 'Read and write all files that the person can open.' },
    ...identityScopes,
  ],
  exampleUses: [
    'File signed contracts in a library.',
    'Answer questions from the intranet with the rights of the person who asks.',
    'Keep a list in step with another system.',
  ],
  setupSteps: setupSteps('Sites.Read.All'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 90,
  sources: [...sources, "Access is by Microsoft Graph; tokens for SharePoint's own REST API are not asked for."],
};
