import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { openOwnersChat } from '../support/mcp.ts';

vi.setConfig({ testTimeout: 120_000 });

const require = createRequire(import.meta.url);
const cli = require.resolve('@modelcontextprotocol/inspector-cli');

test('51. the MCP Inspector’s command line lists the tools and calls them', async () => {
  const { url, workspace } = await openOwnersChat();
  const inspect = async (...args: string[]) => {
    const caller = ['--transport', 'http', '--header', `Authorization: Bearer ${workspace.ownerKey}`];
    const line = [cli, '--cli', `${url}/mcp`, ...caller, '--method', ...args];
    // it looks for its own package.json from where it is started
    const { stdout } = await promisify(execFile)(process.execPath, line, { cwd: dirname(cli) });
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const { tools } = (await inspect('tools/list')) as { tools: { name: string; inputSchema: { type: string } }[] };
  expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['list_providers', 'list_connectors']));
  expect(new Set(tools.map(({ inputSchema }) => inputSchema.type))).toEqual(new Set(['object']));
  const call = ['tools/call', '--tool-name'];
  expect(await inspect(...call, 'list_providers', '--tool-arg', 'key=slack', 'first=5')).toMatchObject({
    structuredContent: { result: { providers: [{ key: 'slack' }], nextCursor: null } },
  });
  expect(await inspect(...call, 'list_connectors')).toMatchObject({
    structuredContent: { result: { connectors: [], nextCursor: null } },
  });
  expect(await inspect(...call, 'code_for')).toMatchObject({
    isError: true,
    structuredContent: { error: { code: 'VALIDATION', fields: [{ path: 'connectorId' }] } },
  });
});
