import type { Page } from 'playwright-core';
import { describe, expect, test, vi } from 'vitest';
import { field } from '../support/harness.ts';
import { type AppPage, setAppPage } from '../support/app-page.ts';
import { useChromium } from '../support/browser.ts';
import { connectAppUser } from '../support/journey.ts';
import { editConnector, type Stage } from '../support/stage.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();
const SHOWN = { timeout: 30_000 };

async function setPage(): Promise<Stage & { page: Page; site: AppPage }> {
  const stage = await setAppPage();
  return { ...stage, page: await openBrowser() };
}

const shows = (page: Page, text: string) => page.getByText(text, { exact: true }).waitFor(SHOWN);
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();

/** Opens the popup by a press of the button, and answers it. */
async function popupOf(page: Page, name = 'Connect'): Promise<Page> {
  const [popup] = await Promise.all([page.waitForEvent('popup'), press(page, name)]);
  return popup;
}

async function allow(page: Page, account: 'blue' | 'green'): Promise<void> {
  await page.getByTestId(`account-${account}`).click();
  await page.getByTestId('allow').click();
}

/** How the flows of a profile were bound, as the addresses tell that it comes back to. */
function bindingsOf(page: Page): string[] {
  const bindings: string[] = [];
  page.context().on('request', (request) => {
    const { searchParams } = new URL(request.url());
    if (searchParams.has('connect_code')) bindings.push('CODE');
    if (searchParams.has('connection_status')) bindings.push('COOKIE');
  });
  return bindings;
}

describe.each([
  { through: 'service', binding: 'CODE' },
  { through: 'own origin', binding: 'COOKIE' },
] as const)('58. <connect-button> that calls through the $through', ({ through, binding }) => {
  test('25. connects in a popup, which closes, and the page is told as whom', async () => {
    const { page, site, provider } = await setPage();
    const bindings = bindingsOf(page);
    await page.goto(site.address(through, 'popup'));
    await shows(page, 'Not connected');
    const popup = await popupOf(page);
    await shows(page, 'Connecting …');
    const closed = popup.waitForEvent('close', SHOWN);
    await allow(popup, 'green');
    await closed;
    await shows(page, 'Connected as green@example.com');
    expect(bindings).toEqual([binding]);
    expect(provider.counts.authorization_code).toBe(1);
    expect(page.url()).toBe(site.address(through, 'popup'));
    await press(page, 'Disconnect');
    await shows(page, 'Not connected');
  });

  test('25. connects by redirect, comes back to a clean address, and tells a refusal', async () => {
    const { page, site } = await setPage();
    const bindings = bindingsOf(page);
    const address = site.address(through, 'redirect');
    await page.goto(address);
    await press(page, 'Connect');
    await page.getByTestId('account-blue').click();
    await page.getByTestId('deny').click();
    await shows(page, 'You did not allow access. Nothing has changed, and you can try again at any time.');
    expect(page.url()).toBe(address);
    await press(page, 'Connect');
    await allow(page, 'blue');
    await shows(page, 'Connected as blue@example.com');
    expect(page.url()).toBe(address);
    expect(bindings).toEqual([binding]);
  });
});

test('13, 25. a denied and a closed popup say so; a scope edit shows why to reconnect, and reconnecting heals it', async () => {
  const stage = await setPage();
  const { page, site } = stage;
  await page.goto(site.address('own origin', 'popup'));
  const denied = await popupOf(page);
  await denied.getByTestId('account-blue').click();
  await denied.getByTestId('deny').click();
  await shows(page, 'You did not allow access. Nothing has changed, and you can try again at any time.');
  const closed = await popupOf(page);
  await closed.getByTestId('account-blue').waitFor(SHOWN);
  await closed.close();
  await shows(page, 'The window was closed before the account was connected.');
  expect(await page.getByRole('alert').innerText()).toContain('The window was closed');

  await allow(await popupOf(page), 'blue');
  await shows(page, 'Connected as blue@example.com');
  await editConnector(stage, { scopes: ['openid', 'email', 'calendar.write'] });
  await shows(page, 'This app now asks for other permissions. Reconnect to look at them and approve.');
  await allow(await popupOf(page, 'Reconnect'), 'blue');
  await shows(page, 'Connected as blue@example.com');
});

test('25. a provider that cuts the popup off from its opener (COOP) is connected all the same', async () => {
  const { page, site, provider } = await setPage();
  provider.around(async (ctx, next) => {
    await next();
    ctx.set('cross-origin-opener-policy', 'same-origin');
  });
  await page.goto(site.address('service', 'popup'));
  const popup = await popupOf(page);
  await shows(page, 'The window was closed before the account was connected.'); // to this page it looks so
  await allow(popup, 'blue');
  await shows(page, 'Connected as blue@example.com');
  expect(await page.getByRole('alert').isVisible()).toBe(false);
});

test('25. a popup that is closed once it has connected, and before it has told so, is no failure', async () => {
  const { page, site } = await setPage();
  await page.goto(site.address('service', 'popup'));
  const popup = await popupOf(page);
  let isAnswered = false;
  await popup.route('**/graphql', async (route) => {
    await route.fetch();
    isAnswered = true; // and the popup never hears it
  });
  await allow(popup, 'blue');
  await vi.waitUntil(() => isAnswered, SHOWN);
  await popup.close();
  await shows(page, 'Connected as blue@example.com');
  expect(await page.getByRole('alert').isVisible()).toBe(false);
});

test('23. the address of somebody else’s flow completes nothing, and says so', async () => {
  const { page, site, service, app, connector, provider } = await setPage();
  const answer = await connectAppUser(service, await app.backend('two'), { connectorId: connector.id });
  const { redirectUrl } = field<{ redirectUrl: string }>(answer, 'connectAppUser');
  await page.goto(site.address('own origin', 'popup'));
  await page.goto(redirectUrl);
  await allow(page, 'blue');
  await page.getByRole('alert').getByRole('listitem').first().waitFor(SHOWN);
  await shows(page, 'Not connected');
  expect(page.url()).toBe(`${site.origin}/`);
  expect(provider.counts.authorization_code).toBe(0);
});

test('the element works with the keyboard alone, keeps the focus, says its state aloud, and speaks other languages and colours', async () => {
  const { page, site } = await setPage();
  await page.goto(site.address('own origin', 'popup'));
  await shows(page, 'Not connected');
  const button = page.locator('connect-button');
  expect(await button.getByRole('status').getAttribute('aria-live')).toBe('polite');
  await page.keyboard.press('Tab');
  const [popup] = await Promise.all([page.waitForEvent('popup'), page.keyboard.press('Enter')]);
  expect(await button.getByRole('button').getAttribute('aria-disabled')).toBe('true');
  await allow(popup, 'blue');
  await shows(page, 'Connected as blue@example.com');
  // the button that had the focus has gone; the one in its place has it
  await page.keyboard.press('Enter');
  await shows(page, 'Not connected');

  await page.evaluate(
    `document.querySelector('connect-button').texts = { connect: 'Verbinden', notConnected: 'Nicht verbunden' }`,
  );
  await shows(page, 'Nicht verbunden');
  const colour = () =>
    page.evaluate(
      `getComputedStyle(document.querySelector('connect-button').shadowRoot.querySelector('button')).backgroundColor`,
    );
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await colour();
  await page.emulateMedia({ colorScheme: 'dark' });
  expect(await colour()).not.toBe(light);
  await page.evaluate(
    `document.querySelector('connect-button').style.setProperty('--connect-button-accent', 'rgb(1, 2, 3)')`,
  );
  expect(await colour()).toBe('rgb(1, 2, 3)');
});
