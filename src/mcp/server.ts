import { readFileSync } from 'node:fs';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { changingTools } from './changing.ts';
import { addPages } from './pages.ts';
import { addPrompts } from './prompts.ts';
import { readingTools } from './reading.ts';
import { type Tool, type ToolContext, unknownTool } from './tool.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const instructions = `Sets up connectors: a workspace's OAuth clients at third parties, by which each user of an app connects an account of their own (APP_USER), or everybody in an app shares one (SHARED).
Look at list_connectors first: one that is set up is used by its id, and the person is asked for nothing.
Whose account it is, is the person's choice. A client secret never belongs in the chat: add_connector answers a link to a page where the person enters it.
Each failure has a code, a sentence and a remedy; docs://pages/troubleshooting/README.md explains them all.`;

const tools = new Map([...readingTools, ...changingTools].map((tool): [string, Tool] => [tool.description.name, tool]));

type ContextOf = (extra: { requestId: string | number; authInfo?: unknown }) => ToolContext;

/** The assistant's way in. What it may do is what its caller may. */
export function createMcpServer(contextOf: ContextOf): McpServer {
  const server = new McpServer(
    { name: 'app-user-connectors', title: 'App User Connectors', version },
    { instructions },
  );
  addTools(server, contextOf);
  addPages(server);
  addPrompts(server);
  return server;
}

/** By the protocol's own requests: the SDK's `registerTool` answers arguments of a wrong shape in its own words, without code and remedy. */
function addTools({ server }: McpServer, contextOf: ContextOf): void {
  server.registerCapabilities({ tools: {} });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Array.from(tools.values(), ({ description }) => description),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => {
    const tool = tools.get(params.name);
    return tool ? tool.call(params.arguments ?? {}, contextOf(extra)) : unknownTool([...tools.keys()]);
  });
}
