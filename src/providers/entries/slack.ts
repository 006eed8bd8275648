import { sources, setupSteps, userServer } from '../slack.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'slack',
  name: 'Slack',
  description: 'Acts in Slack as the person who connects: their messages, channels and search.',
  scopes: [
    { scope: 'channels:read', description: 'List public channels.' },
    { scope: 'channels:history', description: "Read messages in the person's public channels." },
    { scope: 'chat:write', description: 'Send messages as the person.' },
    { scope: 'search:read', description: "Search the person's messages and files." },
    { scope: 'users:read', description: 'See the members of the workspace.' },
    { scope: 'users:read.email', description: 'See e-mail addresses of members; needs users:read too.' },
  ],
  exampleUses: [
    'Summarise what the person has missed.',
    'Post in the name of the person who pressed the button.',
    "Search the person's conversations for a decision.",
  ],
  setupSteps: setupSteps('User Token Scopes'),
  docsUrl: 'https://docs.slack.dev/authentication/installing-with-oauth',
  configFields: [],
  server: userServer,
  refreshTokenIdleDays: 90,
  sources,
};
