import { identityScopes, server, sources, setupSteps } from '../google.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'gmail',
  name: 'Gmail',
  description: "Reads, sends and organises people's e-mail.",
  scopes: [
    {
      scope: 'https://www.googleapis.com/auth/gmail.send',
      description: 'Send e-mail as the person; nothing can be read.',
    },
    { scope: 'https://www.googleapis.com/auth/gmail.readonly', description: 'Read messages and settings.' },
    {
      scope: 'https://www.googleapis.com/auth/gmail.modify',
      description: 'Read, send, label and move messages to the bin.',
    },
    { scope: 'https://www.googleapis.com/auth/gmail.labels', description: 'See and edit labels.' },
    {
      scope: 'https://www.googleapis.com/auth/gmail.metadata',
      description: 'See headers and labels, but no message text.',
    },
    ...identityScopes,
  ],
  exampleUses: [
    "Send a quote from the salesperson's own address.",
    'Collect invoices that arrive by e-mail.',
    'Draft answers for the person to check.',
  ],
  setupSteps: setupSteps('Gmail API'),
  docsUrl: 'https://developers.google.com/workspace/gmail/api/auth/scopes',
  configFields: [],
  server,
  refreshTokenIdleDays: 180,
  sources: [...sources, 'A change of the Google password ends grants that hold Gmail scopes (documentation).'],
};
