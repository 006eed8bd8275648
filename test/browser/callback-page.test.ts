import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test, vi } from 'vitest';
import { violations } from '../support/axe.ts';
import { useChromium } from '../support/browser.ts';
import { setStage, startFlow } from '../support/stage.ts';
import { freePort } from '../support/ports.ts';
import { field, startService } from '../support/harness.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

/** A service that listens, and an app whose only page is a preview on an origin of its own: flows end on the service's page. */
async function setPage() {
  const app = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<title>App</title><p>${request.url === '/' ? 'App' : 'Other'}</p>`);
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => void app.close(() => resolve())));
  const preview = `http://localhost:${(app.address() as AddressInfo).port}`;
  const port = await freePort();
  const service = await startService({ PORT: String(port), PUBLIC_URL: `http://localhost:${port}` });
  await service.app.listen();
  const stage = await setStage({ service, origins: [{ kind: 'PREVIEW', origin: preview }] });
  return { ...stage, preview, url: service.config.publicUrl };
}

type PageStage = Awaited<ReturnType<typeof setPage>>;

/** Begins on the service's own origin, so that the callback comes back to it, with the cookie in the page's jar. */
async function begin({ service, app, connector, url }: PageStage, page: Page): Promise<void> {
  const flow = await startFlow(service, await app.browser('one', url), connector.id);
  const cookies = [...flow.browser.cookies].map(([name, value]) => ({ name, value, url }));
  await page.context().addCookies(cookies);
  await page.goto(flow.redirectUrl);
}

test('54. the page is accessible in light and dark, in English and German, wide and narrow, connected and refused', async () => {
  const stage = await setPage();
  for (const [colorScheme, locale, width] of [
    ['light', 'en-GB', 1000],
    ['dark', 'de-DE', 320],
  ] as const) {
    const page = await openBrowser({ colorScheme, locale, viewport: { width, height: 800 } });
    await begin(stage, page);
    await page.getByTestId('account-blue').click();
    stage.provider.changeClientSecret(`not ${locale}`, stage.connector.clientId);
    await page.getByTestId('allow').click();
    await page.locator('[data-status=INVALID_CLIENT]').waitFor();
    expect([locale, ...(await violations(page))]).toEqual([locale]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(
      locale === 'de-DE' ? 'Client-ID oder Client-Secret ist falsch' : 'The client id or client secret is wrong',
    );
    expect(await page.locator('dd code').innerText()).toBe(stage.connector.clientId);

    stage.provider.changeClientSecret(stage.connector.clientSecret, stage.connector.clientId);
    await begin(stage, page);
    await page.getByTestId('account-blue').click();
    await page.getByTestId('allow').click();
    await page.locator('[data-status=connected]').waitFor();
    expect([locale, ...(await violations(page))]).toEqual([locale]);
  }
});

test('54. without JavaScript everything is there to read; with it, a button copies the value, by keyboard too', async () => {
  const stage = await setPage();
  stage.provider.changeClientSecret('rotated', stage.connector.clientId);
  for (const javaScriptEnabled of [false, true]) {
    const page = await openBrowser({ javaScriptEnabled, locale: 'en-GB' });
    if (javaScriptEnabled) await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await begin(stage, page);
    await page.getByTestId('account-blue').click();
    await page.getByTestId('allow').click();
    await page.locator('[data-status=INVALID_CLIENT]').waitFor();
    expect(await page.getByRole('listitem').count()).toBe(3);
    expect(await page.locator('dd code').innerText()).toBe(stage.connector.clientId);
    const button = page.getByRole('button', { name: `Copy: ${stage.connector.clientId}` });
    expect(await button.count()).toBe(javaScriptEnabled ? 1 : 0);
    if (!javaScriptEnabled) continue;
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(stage.connector.clientId);
  }
});

test('25. in a popup the page tells the page of the app that opened it, and closes; a page of another origin hears nothing', async () => {
  const stage = await setPage();
  const { service, connector, preview, url } = stage;
  const other = preview.replace('localhost', '127.0.0.1'); // the same server, and not an origin of the app
  for (const opener of [preview, other]) {
    const page = await openBrowser({ locale: 'en-GB' });
    await page.goto(opener);
    await page.evaluate(
      "globalThis.heard = []; addEventListener('message', ({ origin, data }) => heard.push({ origin, data }))",
    );
    const flow = await startFlow(service, await stage.app.browser('one', url), connector.id);
    await page.context().addCookies([...flow.browser.cookies].map(([name, value]) => ({ name, value, url })));
    const opening = page.waitForEvent('popup');
    await page.evaluate(`void open(${JSON.stringify(flow.redirectUrl)}, '_blank', 'popup,width=500,height=700')`);
    const popup = await opening;
    const closed = popup.waitForEvent('close');
    await popup.getByTestId('account-blue').click();
    await popup.getByTestId('allow').click();
    await closed;
    const heard = [{ origin: url, data: { type: 'app-user-connectors', status: 'connected' } }];
    if (opener === preview) await expect.poll(() => page.evaluate('heard')).toEqual(heard);
    else expect(await page.evaluate('heard')).toEqual([]);
  }
  const query = 'query ($id: ID!) { connector(id: $id) { currentUserConnection { status } } }';
  const answer = await service.graphql(query, { id: connector.id }, await stage.app.user('one'));
  expect(field(answer, 'connector')).toEqual({ currentUserConnection: { status: 'CONNECTED' } });
});
