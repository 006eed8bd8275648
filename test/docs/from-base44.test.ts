import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { expect, onTestFinished, test, vi } from 'vitest';
import { forwardRequest } from '../../examples/scheduling-app/forward.ts';
import { useChromium } from '../support/browser.ts';
import { startService } from '../support/harness.ts';
import { connectByCookie } from '../support/journey.ts';
import { freePort } from '../support/ports.ts';
import { setStage } from '../support/stage.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

/** Bundles a block of the guide with the others that it imports. `files` stand beside them. */
async function bundleBlock(name: string, platform: 'node' | 'browser', files: Record<string, string> = {}) {
  mkdirSync('node_modules/.cache', { recursive: true });
  const folder = mkdtempSync(join('node_modules/.cache', 'docs-')); // below it the packages are found
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const guide = readFileSync('docs/from-base44.md', 'utf8');
  const blocks = [...guide.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, file = '', text = '']) => [file, text]);
  for (const [file = '', text = ''] of [...blocks, ...Object.entries(files)]) writeFileSync(join(folder, file), text);
  const outfile = join(folder, 'out.mjs');
  await build({
    entryPoints: [join(folder, name)],
    outfile,
    bundle: true,
    platform,
    format: 'esm',
    packages: platform === 'node' ? 'external' : 'bundle',
    define: platform === 'browser' ? { 'process.env.NODE_ENV': '"production"' } : {},
  });
  return outfile;
}

test('57. the guide’s page connects and disconnects on the app’s own origin', async () => {
  const service = await startService();
  const { url } = await service.app.listen();
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const { app, connector } = await setStage({ service, origins: [{ kind: 'LIVE', origin }] });
  const session = { appId: app.id, connectorId: connector.id, identityToken: await app.identityToken('one') };
  const script = await bundleBlock('page.js', 'browser', {
    'session.js': `export const { appId, connectorId, identityToken } = ${JSON.stringify(session)};`,
  });
  const html = `<!doctype html><p id="status"></p><button id="connect">Connect</button><button id="disconnect">Disconnect</button>
    <script type="module">${readFileSync(script, 'utf8').replaceAll('</script', '<\\/script')}</script>`;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/')) return forwardRequest(new URL(url), request, response);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(html);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const page = await openBrowser();
  await page.goto(origin);
  await page.click('#connect');
  await page.getByTestId('account-blue').click();
  await page.getByTestId('allow').click();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.click('#disconnect');
  await page.getByText('Not connected', { exact: true }).waitFor();
});

test('57. the guide’s backend function reads the user’s events, and no header of a caller’s names another address', async () => {
  const { service, app, connector, provider } = await setStage();
  const { url } = await service.app.listen();
  const env = { CONNECTORS_URL: url, APP_ID: app.id, APP_KEY: app.key, CONNECTOR_ID: connector.id };
  for (const [name, value] of Object.entries({ ...env, EVENTS_URL: provider.eventsUrl })) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.spyOn(console, 'error').mockImplementation(() => {}); // the SDK prints what it throws
  onTestFinished(() => void vi.restoreAllMocks());
  const { href } = pathToFileURL(await bundleBlock('read-events.ts', 'node'));
  const { readEvents } = (await import(/* @vite-ignore */ href)) as { readEvents(request: Request): Promise<Response> };
  const send = async (userId: string, headers: Record<string, string> = {}) => {
    const Authorization = `Bearer ${await app.identityToken(userId)}`;
    const response = await readEvents(
      new Request('https://app.example.com/events', { headers: { Authorization, ...headers } }),
    );
    return { status: response.status, body: await response.json() };
  };
  expect(await send('one')).toEqual({ status: 404, body: { code: 'NOT_CONNECTED' } });
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'green' });
  const forged = {
    'Base44-Api-Url': 'http://127.0.0.1:9',
    'Base44-Service-Authorization': 'Bearer x',
    'Base44-App-Id': 'x',
  };
  for (const headers of [{}, forged]) {
    expect(await send('one', headers)).toMatchObject({
      status: 200,
      body: { account: expect.stringContaining('green') },
    });
  }
});
