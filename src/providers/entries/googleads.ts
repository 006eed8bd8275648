import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googleads',
  name: 'Google Ads',
  description: 'Reads and manages Google Ads accounts: campaigns, budgets and their figures.',
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/adwords',
      description: 'See, edit, create and delete campaigns and everything else of the Ads accounts.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Show what each campaign cost and earned.',
    'Pause a campaign when its budget is used up.',
    'Upload conversions that happened offline.',
  ],
  setupSteps: setupSteps('Google Ads API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: [
    ...sources,
    'Calls of the Google Ads API also need a developer token of a manager account, which is no part of OAuth (documentation).',
  ],
};
