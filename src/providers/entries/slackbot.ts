import { sources, setupSteps, botServer } from '../slack.ts';
import type { Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'slackbot',
  name: 'Slack bot',
  description: 'Acts in Slack as a bot that the person installs in their workspace.',
  scopes: [
    { scope: 'chat:write', description: 'Send messages as the bot, in channels it is in.' },
    { scope: 'chat:write.public', description: 'Send messages to public channels without joining them.' },
    { scope: 'channels:read', description: 'List public channels.' },
    { scope: 'im:write', description: 'Open direct messages with people.' },
    { scope: 'users:read', description: 'See the members of the workspace.' },
  ],
  exampleUses: [
    'Announce every new order in a channel.',
    'Remind people by direct message.',
    'Ask a channel for approval before something is published.',
  ],
  setupSteps: setupSteps('Bot Token Scopes'),
  docsUrl: 'https://docs.slack.dev/authentication/installing-with-oauth',
  configFields: [],
  server: botServer,
  refreshTokenIdleDays: 90,
  sources,
};
