import { docsUrl, identityScopes, server, setupSteps, sources } from '../microsoft.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'microsoft_teams',
  name: 'Microsoft Teams',
  description: 'Reads and writes messages, and manages teams and meetings, as the person who connects.',
  scopes: [
    { scope: 'Team.ReadBasic.All', description: 'List the teams that the person is in.' },
    { scope: 'Channel.ReadBasic.All', description: 'List channels.' },
    { scope: 'ChannelMessage.Send', description: 'Send messages to channels as the person.' },
    { scope: 'ChannelMessage.Read.All', description: 'Read messages in channels; needs the consent of an admin.' },
    { scope: 'Chat.Read', description: 'Read chats.' },
    { scope: 'Chat.ReadWrite', description: 'Read and write chats.' },
    { scope: 'OnlineMeetings.ReadWrite', description: 'Create, read and change online meetings.' },
    { scope: 'Presence.Read', description: 'See whether the person is free.' },
    ...identityScopes,
  ],
  exampleUses: [
    'Post an update to a channel in the name of its author.',
    'Create a meeting for every appointment.',
    'Summarise what the person has missed.',
  ],
  setupSteps: setupSteps('ChannelMessage.Send and Channel.ReadBasic.All'),
  docsUrl,
  configFields: [],
  server,
  refreshTokenIdleDays: 90,
  sources: [...sources, 'Uncertain: most of these apply to accounts of organisations only, not to personal ones.'],
};
