import { createServer } from 'node:http';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { forwardRequest } from '../../examples/scheduling-app/forward.ts';
import { useChromium } from '../support/browser.ts';
import { freePort } from '../support/ports.ts';
import { readAs } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { startService } from '../support/harness.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

/** The package as a bundler makes it for a page, with the client library: `Base44.createClient`, `Base44.createConnectorsClient`. */
let bundle = '';
beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { createClient } from '@base44/sdk';
        export { createClient as createConnectorsClient } from '../../src/client/client.ts';`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    format: 'iife',
    globalName: 'Base44',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
  });
  bundle = outputFiles[0]?.text ?? '';
});

/** A stage, and the app's own server: a page with the SDK on it, and /api/ handed on to the service. */
async function setBrowserStage() {
  const service = await startService();
  const { url: serviceUrl } = await service.app.listen();
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/')) return forwardRequest(new URL(serviceUrl), request, response);
    const isScript = request.url === '/sdk.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? bundle : '<!doctype html><title>App</title><script src="/sdk.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const stage = await setStage({ service, origins: [{ kind: 'LIVE', origin }] });
  const page = await openBrowser();
  await page.goto(`${origin}/settings?tab=2`);
  return { ...stage, origin, serviceUrl, page };
}

/** Calls the SDK in the page. An error is answered as its status and code. */
function inPage(page: Page, config: Record<string, unknown>, call: string, connectorId: string): Promise<unknown> {
  return page.evaluate(`(async () => {
    const client = Base44.createClient(${JSON.stringify(config)});
    try {
      return await client.${call}(${JSON.stringify(connectorId)});
    } catch (error) {
      return [error.status, error.code];
    }
  })()`);
}

/** Follows the URL that connectAppUser answered, and allows. Answers what the page came back with. */
async function consent(page: Page, redirectUrl: string, back: string): Promise<Record<string, string>> {
  await page.goto(redirectUrl);
  await page.getByTestId('account-green').click();
  await page.getByTestId('allow').click();
  await page.waitForURL(`${back}/**`);
  return Object.fromEntries(new URL(page.url()).searchParams);
}

test('57. @base44/sdk on a page of the app, through the app’s own origin: bound by cookie, back on the same page; no token for a browser', async () => {
  const { app, connector, page, origin, ...stage } = await setBrowserStage();
  const config = { serverUrl: '', appId: app.id, token: await app.identityToken('one') };
  expect(await inPage(page, { ...config, token: undefined }, 'connectors.connectAppUser', connector.id)).toEqual([
    401,
    'UNAUTHENTICATED',
  ]);
  const redirectUrl = (await inPage(page, config, 'connectors.connectAppUser', connector.id)) as string;
  expect(await page.context().cookies()).toMatchObject([{ name: expect.stringMatching(/^connect-/), httpOnly: true }]);
  expect(await consent(page, redirectUrl, origin)).toEqual({
    tab: '2',
    connector_id: connector.id,
    connection_status: 'connected',
  });
  expect(new URL(page.url()).pathname).toBe('/settings');
  expect(await readAs({ ...stage, app, connector }, 'one')).toMatchObject({
    connection: { status: 'CONNECTED', account: { email: 'green@example.com' } },
  });

  const asService = { ...config, serviceToken: config.token };
  const read = 'asServiceRole.connectors.getCurrentAppUserConnection';
  expect(await inPage(page, asService, read, connector.id)).toEqual([403, 'FORBIDDEN']);
  expect(await inPage(page, config, 'connectors.disconnectAppUser', connector.id)).toBeUndefined();
  expect(await inPage(page, config, 'connectors.disconnectAppUser', connector.id)).toEqual([404, 'NOT_CONNECTED']);
});

test('57, 23. @base44/sdk on a page of another origin than the service’s: back with a connect code, which only the person who began completes', async () => {
  const { app, connector, page, origin, serviceUrl } = await setBrowserStage();
  const config = { serverUrl: serviceUrl, appId: app.id, token: await app.identityToken('one') };
  const redirectUrl = (await inPage(page, config, 'connectors.connectAppUser', connector.id)) as string;
  expect(await page.context().cookies()).toEqual([]);
  expect(await consent(page, redirectUrl, origin)).toEqual({
    tab: '2',
    connector_id: connector.id,
    connect_code: expect.any(String),
  });
  // the SDK knows no connect code: the client library reads it from the address, and completes what the SDK began
  const completed = await page.evaluate(`Base44.createConnectorsClient({
    url: ${JSON.stringify(serviceUrl)}, appId: ${JSON.stringify(app.id)}, getToken: () => ${JSON.stringify(config.token)},
  }).connectors.completeConnection()`);
  expect(completed).toMatchObject({ connectorId: connector.id, connection: { status: 'CONNECTED' } });
  expect(page.url()).toBe(`${origin}/settings?tab=2`);
  expect(await inPage(page, config, 'connectors.disconnectAppUser', connector.id)).toBeUndefined();
  expect(await inPage(page, config, 'connectors.disconnectAppUser', connector.id)).toEqual([404, 'NOT_CONNECTED']);
});
