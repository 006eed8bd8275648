import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, test, vi } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { useConnection } from '../../src/client/react.ts';
import { setAppPage } from '../support/app-page.ts';
import { useChromium } from '../support/browser.ts';
import { editConnector } from '../support/stage.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();
const SHOWN = { timeout: 30_000 };

/** What a component makes of the hook, with nothing hidden. It also connects when the page has loaded, which no click asked for. */
const script = `
  import { useEffect, useState } from 'react';
  import { createRoot } from 'react-dom/client';
  import { createClient } from 'app-user-connectors/client';
  import { useConnection } from 'app-user-connectors/react';
  const { service, app, connector } = document.documentElement.dataset;
  const client = createClient({
    url: service,
    appId: app,
    getToken: async () => (globalThis.isSignedOut ? null : (await fetch('/token')).text()),
  });
  let loaded = null;
  function Connection() {
    const { event, error, isBusy, isSignedOut, connect, disconnect } = useConnection(client, connector);
    useEffect(() => void (loaded ??= connect()), []);
    return <>
      <p id="status">{isSignedOut ? 'signed out' : isBusy ? 'busy' : event?.status ?? 'unknown'}</p>
      <p id="error">{error?.code}</p>
      <button onClick={() => connect()}>Connect</button>
      <button onClick={() => disconnect()}>Disconnect</button>
    </>;
  }
  function Page() {
    const [isShown, show] = useState(true);
    return <>{isShown && <Connection />}<button onClick={() => show(!isShown)}>Toggle</button></>;
  }
  createRoot(document.querySelector('main')).render(<Page />);
`;

test('58, 25. useConnection shows a window that the browser blocked, a denied consent, a connection, a scope edit as it happens, and the end of the session', async () => {
  const { site, ...stage } = await setAppPage({ script, body: '<main></main>' });
  const page = await openBrowser();
  const shows = (id: string, text: string) => expect.poll(() => page.locator(id).innerText(), SHOWN).toBe(text);
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
  const popup = async () => (await Promise.all([page.waitForEvent('popup'), press('Connect')]))[0];
  await page.goto(site.address('own origin', 'popup'));
  await shows('#error', 'POPUP_BLOCKED');
  await shows('#status', 'NOT_CONNECTED');

  const denied = await popup();
  await shows('#status', 'busy');
  await shows('#error', '');
  await denied.getByTestId('account-blue').click();
  await denied.getByTestId('deny').click();
  await shows('#error', 'CONSENT_DENIED');
  const allowed = await popup();
  await allowed.getByTestId('account-blue').click();
  await allowed.getByTestId('allow').click();
  await shows('#status', 'CONNECTED');
  await editConnector(stage, { scopes: ['openid', 'email', 'calendar.write'] });
  await shows('#status', 'RECONNECT_REQUIRED');

  // a component that comes again is told what is true then
  await press('Toggle');
  await expect.poll(() => page.locator('#status').count()).toBe(0);
  await editConnector(stage, { scopes: ['openid', 'email', 'calendar.read'] });
  await press('Toggle');
  await shows('#status', 'CONNECTED');
  await press('Disconnect');
  await shows('#status', 'NOT_CONNECTED');
  await page.evaluate('globalThis.isSignedOut = true');
  await press('Toggle');
  await press('Toggle');
  await shows('#status', 'signed out');
});

test('58. useConnection takes back that the window was closed once its account is connected', async () => {
  const { site, provider } = await setAppPage({ script, body: '<main></main>' });
  provider.around(async (ctx, next) => {
    await next();
    ctx.set('cross-origin-opener-policy', 'same-origin');
  });
  const page = await openBrowser();
  const shows = (id: string, text: string) => expect.poll(() => page.locator(id).innerText(), SHOWN).toBe(text);
  await page.goto(site.address('own origin', 'popup'));
  await shows('#status', 'NOT_CONNECTED');
  const connect = page.getByRole('button', { name: 'Connect', exact: true });
  const [popup] = await Promise.all([page.waitForEvent('popup'), connect.click()]);
  await shows('#error', 'POPUP_CLOSED');
  await popup.getByTestId('account-blue').click();
  await popup.getByTestId('allow').click();
  await shows('#status', 'CONNECTED');
  await shows('#error', '');
});

test('58. on a server useConnection answers what is not known yet, and asks nobody', () => {
  const asked: string[] = [];
  const client = createClient({
    url: 'https://connectors.example.com',
    appId: 'App_1',
    getToken: () => {
      asked.push('token');
      return null;
    },
  });
  const Status = () => createElement('p', null, useConnection(client, 'Connector_1').event?.status ?? 'Loading');
  expect(renderToString(createElement(Status))).toBe('<p>Loading</p>');
  expect(asked).toEqual([]);
});
