import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { entries, setAppPage } from '../support/app-page.ts';
import { useChromium } from '../support/browser.ts';
import { field, operatorKey, startProvider, startService } from '../support/harness.ts';
import { connectUser } from '../support/scene.ts';
import { connectSharedAs, setSharedStage } from '../support/shared-account.ts';
import { setStage, type Stage } from '../support/stage.ts';
import { listen } from '../support/streams.ts';

vi.setConfig({ testTimeout: 60_000 });

/** The code blocks of a guide in a language. */
function blocksOf(guide: string, language: string): string[] {
  const text = readFileSync(`docs/${guide}.md`, 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, tag, code]) =>
    tag === language ? [code ?? ''] : [],
  );
}

const pages = [...blocksOf('quickstart-frontend', 'ts'), ...blocksOf('quickstart-frontend', 'tsx')];
const markup = blocksOf('quickstart-frontend', 'html');
const functions = blocksOf('quickstart-backend', 'ts');
const tasks = blocksOf('quickstart-admin', 'graphql');
const inputs = blocksOf('quickstart-admin', 'json');

test('every code block of the guides is one that is run here', () => {
  expect([pages.length, markup.length, functions.length]).toEqual([3, 3, 3]);
  expect([tasks.length, inputs.length]).toEqual([9, 9]);
});

describe('quickstart-frontend.md', () => {
  const openBrowser = useChromium();

  test.each(pages.map((_, index) => index))('block %i connects in a popup, and disconnects', async (index) => {
    // the ids are known once the page's origin is
    const script = (pages[index] ?? '')
      .replace("'App_1'", "document.documentElement.dataset['app']!")
      .replace('"Connector_1"', "{document.documentElement.dataset['connector']!}");
    const { site } = await setAppPage({ script, body: markup[index] ?? '' });
    const page = await openBrowser();
    await page.goto(site.address('own origin', 'popup'));
    await page.getByText(/^(Not connected|NOT_CONNECTED)$/).waitFor();
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('button', { name: 'Connect', exact: true }).click(),
    ]);
    await popup.getByTestId('account-blue').click();
    await popup.getByTestId('allow').click();
    await page.getByText('Connected as blue@example.com').waitFor();
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByText(/^(Not connected|NOT_CONNECTED)$/).waitFor();
  });
});

describe('quickstart-backend.md', () => {
  /** The function of a block, with this stage's values in the place of the example's. */
  async function functionOf(block: string | undefined, stage: Stage, serviceUrl: string) {
    const contents = (block ?? '')
      .replaceAll('https://connectors.example.com', serviceUrl)
      .replaceAll('https://calendar.example.com/events', stage.provider.eventsUrl)
      .replaceAll('apk_1', stage.app.key)
      .replaceAll('Connector_1', stage.connector.id);
    const stdin = { contents, resolveDir: '.', loader: 'ts' } as const;
    const { outputFiles } = await build({ stdin, alias: entries, bundle: true, format: 'esm', write: false });
    const folder = mkdtempSync(join(tmpdir(), 'quickstart-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'function.mjs');
    writeFileSync(file, outputFiles[0]?.text ?? '');
    const { handle } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as {
      handle: (request: Request) => Promise<Response>;
    };
    return async (userId: string | null) => {
      const headers: HeadersInit =
        userId === null ? {} : { authorization: `Bearer ${await stage.app.identityToken(userId)}` };
      const response = await handle(new Request('https://app.example.com/functions/events', { headers }));
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
  }

  test('the first and the second block read the events of whoever asks', async () => {
    const stage = await setStage();
    const url = new URL((await listen(stage.service)).http).origin;
    const [first, second] = [await functionOf(functions[0], stage, url), await functionOf(functions[1], stage, url)];
    expect(await first(null)).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(await first('one')).toMatchObject({ status: 404, body: { code: 'NOT_CONNECTED' } });
    await connectUser(stage, 'one', 'green');
    expect(await first('one')).toMatchObject({ status: 200, body: { account: 'green@example.com' } });
    expect(await second('one')).toMatchObject({ status: 200, body: { account: 'green@example.com' } });
    await expect(second('two')).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
  });

  test('the third reads those of the account that everyone shares', async () => {
    const stage = await setSharedStage();
    await connectSharedAs(stage, 'anna');
    const third = await functionOf(functions[2], stage, new URL((await listen(stage.service)).http).origin);
    expect((await third(null)).status).toBe(200);
  });
});

test('quickstart-admin.md: its blocks, one after the other, lead from nothing to a connector that works, and to the audit', async () => {
  const service = await startService();
  const provider = await startProvider();
  const values: Record<string, string> = { 'https://calendar.example.com': provider.issuer };
  let bearer = operatorKey;
  let next = 0;
  /** Runs the next block, with what the ones before have answered in the place of the example's ids. */
  const run = async <T>(name: string): Promise<T> => {
    const block = next++;
    expect(tasks[block]).toContain(`{\n  ${name}(`);
    let variables = inputs[block] ?? '';
    for (const [example, value] of Object.entries(values)) variables = variables.replaceAll(example, value);
    const headers = { authorization: `Bearer ${bearer}` };
    return field<T>(await service.graphql(tasks[block] ?? '', JSON.parse(variables), headers), name);
  };
  const { workspace } = await run<{ workspace: { id: string } }>('createWorkspace');
  values.Workspace_1 = workspace.id;
  bearer = (await run<{ workspaceKeySecret: string }>('createWorkspaceKey')).workspaceKeySecret;
  expect(await run('createApp')).toMatchObject({ appKeySecret: expect.stringMatching(/^apk_/) });
  type Added = { connector: { id: string; redirectUris: { uri: string }[] } };
  const { connector } = await run<Added>('addConnector');
  const redirectUris = connector.redirectUris.map(({ uri }) => uri);
  expect(redirectUris[0]).toContain('https://app.example.com/api/external-auth/callback');
  const client = provider.registerClient({ name: 'Scheduling', redirectUris });
  Object.assign(values, { Connector_1: connector.id, client_1: client.clientId, secret_1: client.clientSecret });
  expect(await run('editConnector')).toEqual({ connector: { id: connector.id, hasClientSecret: true }, notices: [] });
  expect(await run('checkConnector')).toMatchObject({ client: 'ACCEPTED', problems: [] });
  expect(await run('previewConnectorEdit')).toMatchObject({ affectedUsers: 0, scopesAdded: ['calendar.write'] });
  expect(await run('deleteConnector')).toMatchObject({ code: 'CONFIRMATION_REQUIRED', affectedUsers: 0 });
  const { audit } = await run<{ audit: { edges: { node: { act: string } }[] } }>('workspace');
  expect(audit.edges.map(({ node }) => node.act)).toEqual(
    expect.arrayContaining(['CONNECTOR_CHECKED', 'CONNECTOR_EDITED', 'CONNECTOR_ADDED']),
  );
  expect(next).toBe(tasks.length);
});
