import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'google_search_console',
  name: 'Google Search Console',
  description: 'Reads how sites do in Google Search and manages the list of sites.',
  scopes: [
    { scope: 'https://www.googleapis.com/auth/webmasters.readonly', description: 'See data of verified sites.' },
    {
      scope: 'https://www.googleapis.com/auth/webmasters',
      description: 'See and manage data of verified sites, such as sitemaps.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    'Show which searches lead to a site.',
    'Warn when pages fall out of the index.',
    'Hand in a sitemap after publishing.',
  ],
  setupSteps: setupSteps('Google Search Console API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
