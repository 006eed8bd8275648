import { readdir, readFile } from 'node:fs/promises';
import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';

const root = new URL('../../', import.meta.url);
const folders = ['docs/', 'docs/troubleshooting/'];

/** Every page of the documentation, by its path below docs/. Found anew each time: that list is what may be read. */
async function pageNames(): Promise<string[]> {
  const found = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(new URL(folder, root));
      return names.filter((name) => name.endsWith('.md')).map((name) => folder.slice('docs/'.length) + name);
    }),
  );
  return found.flat().sort();
}

/** The schema and the documentation, as resources. */
export function addPages(server: McpServer): void {
  server.registerResource(
    'schema.graphql',
    'docs://schema.graphql',
    {
      title: 'The GraphQL schema',
      description: 'The whole API, with a description of every type, field and argument.',
      mimeType: 'application/graphql',
    },
    async (uri) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: 'application/graphql',
          text: await readFile(new URL('schema.graphql', root), 'utf8'),
        },
      ],
    }),
  );
  server.registerResource(
    'documentation',
    new ResourceTemplate('docs://pages/{+path}', {
      list: async () => ({
        resources: (await pageNames()).map((name) => ({
          uri: `docs://pages/${name}`,
          name,
          mimeType: 'text/markdown',
          ...(name === 'troubleshooting/README.md' && {
            description: 'Every failure, with its code, sentence and steps: start here when something does not work.',
          }),
        })),
      }),
    }),
    { title: 'Documentation', description: 'Guides, and a page for every failure.', mimeType: 'text/markdown' },
    async (uri, { path }) => {
      const name = (await pageNames()).find((page) => page === path);
      if (name === undefined) throw new McpError(ErrorCode.InvalidParams, 'There is no such page: list the resources.');
      const text = await readFile(new URL(`docs/${name}`, root), 'utf8');
      return { contents: [{ uri: uri.href, mimeType: 'text/markdown', text }] };
    },
  );
}
