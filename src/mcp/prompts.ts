import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';

const stories = {
  scheduling: {
    title: 'Scheduling with each user’s own calendar',
    description: 'An app that shows everybody their next meetings, and books into their own calendar.',
    need: 'show each signed-in user the next meetings of their own calendar, and put bookings into it',
    choice: 'Each person has a calendar of their own, so that APP_USER is what to propose; the person decides.',
  },
  sales: {
    title: 'Sales with each seller’s own CRM account',
    description: 'An app in which sellers see and move their own deals.',
    need: 'show each seller their own deals and contacts in the CRM, and update a deal',
    choice: 'With an account of each seller’s own the CRM’s permissions hold for everybody; the person decides.',
  },
  'content-planning': {
    title: 'Content planning in one shared place',
    description: 'An app in which a team plans content that lies in one workspace of a third party.',
    need: 'read the pages of the content plan that the team shares, and add pages to it',
    choice: 'Everybody looks at the same pages, so that SHARED is what to propose; the person decides.',
  },
};

/** How the three usual stories begin. */
export function addPrompts(server: McpServer): void {
  for (const [name, { title, description, need, choice }] of Object.entries(stories)) {
    server.registerPrompt(name, { title, description }, () => ({
      description,
      messages: [{ role: 'user' as const, content: { type: 'text' as const, text: textOf(need, choice) } }],
    }));
  }
}

const textOf = (need: string, choice: string) => `I want my app to ${need}.

1. Call suggest_connector with that need, and list_connectors. If a connector that fits is set up, use it and ask me for nothing.
2. Otherwise tell me which provider and which permissions you would take, and why. Ask me whether each user connects an account of their own or everybody shares one. ${choice}
3. Call add_connector. I enter the client id and client secret on the page it links to: never ask me for a secret here.
4. When I say that I am done, ask connector_request_status. Then call check_connector, and help me with what it finds.
5. Call code_for, and put the snippets into my app.`;
