import { docsUrl, identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'googletasks',
  name: 'Google Tasks',
  description: "Reads and changes people's task lists.",
  scopes: [
    { scope: 'https://www.googleapis.com/auth/tasks', description: 'See, add, change and delete tasks and lists.' },
    { scope: 'https://www.googleapis.com/auth/tasks.readonly', description: 'See tasks and lists.' },
    ...identityScopes,
  ],
  exampleUses: [
    'Turn action items of a meeting into tasks.',
    'Show what is due today.',
    'Tick off a task when its ticket is closed.',
  ],
  setupSteps: setupSteps('Google Tasks API'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: sources,
};
