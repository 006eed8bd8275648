import { docsUrl, identityScopes, server, setupSteps, sources } from '../microsoft.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'outlook',
  name: 'Outlook',
  description: "Reads, sends and organises people's e-mail, calendar and contacts in Microsoft 365 and Outlook.com.",
  scopes: [
    { scope: 'Mail.Read', description: 'Read e-mail.' },
    { scope: 'Mail.ReadWrite', description: 'Read, draft, change and delete e-mail; nothing is sent.' },
    { scope: 'Mail.Send', description: 'Send e-mail as the person.' },
    { scope: 'Calendars.Read', description: 'Read calendars.' },
    { scope: 'Calendars.ReadWrite', description: 'Read and change calendars.' },
    { scope: 'Contacts.Read', description: 'Read contacts.' },
    { scope: 'MailboxSettings.Read', description: 'Read settings such as time zone and out-of-office.' },
    ...identityScopes,
  ],
  exampleUses: [
    "Send a quote from the salesperson's own address.",
    'Put a booking into the calendars of both sides.',
    'Collect invoices that arrive by e-mail.',
  ],
  setupSteps: setupSteps('Mail.Send and Calendars.ReadWrite'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 90,
  sources: sources,
};
