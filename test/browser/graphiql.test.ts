import type { Page } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import { useChromium } from '../support/browser.ts';
import { freeDemoPorts, setScopes, startTestDemo } from '../support/demo.ts';
import {
  answer,
  choose,
  execute,
  headers,
  press,
  query,
  run,
  SHOWN,
  storage,
  tabs,
  textOf,
  variables,
  write,
} from '../support/graphiql.ts';
import { startService } from '../support/harness.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

const TABS = ['Connectors', 'Add', 'EditScopes', 'PutScopesBack', 'Delete', 'Connect', 'WatchStatus'];

test('20, 13, 15, 21, 38. GraphiQL opens with the demo’s tabs filled in, and each runs as it is, by its button', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await openGraphiql(page, demo.serviceUrl);
  expect(await tabs(page).allInnerTexts()).toEqual(TABS);
  await expect.poll(() => textOf(variables(page))).toContain(demo.connectorId);
  await page.getByRole('button', { name: 'Headers', exact: true }).click();
  await expect.poll(() => textOf(headers(page))).toContain('"Authorization": "Bearer wsk_');
  await page.getByRole('button', { name: 'Variables', exact: true }).click();

  expect(await run(page, 'Connectors')).toMatchObject({
    app: {
      name: 'Scheduling app',
      redirectUris: [
        { kind: 'LIVE', uri: `${demo.appUrl}/api/external-auth/callback` },
        { kind: 'SERVICE', uri: `${demo.serviceUrl}/api/external-auth/callback` },
      ],
    },
    connector: { id: demo.connectorId, name: 'Team calendar', scopes: demo.scopes },
  });
  expect(await run(page, 'Add')).toMatchObject({ addConnector: { connector: { name: 'Second calendar' } } });
  expect(await run(page, 'EditScopes')).toMatchObject({
    editConnector: { connector: { name: 'Team calendar', scopes: [...demo.scopes, 'calendar.write'] } },
  });
  expect(await run(page, 'PutScopesBack')).toMatchObject({ editConnector: { connector: { scopes: demo.scopes } } });
  expect(await run(page, 'Delete')).toMatchObject({
    deleteConnector: { code: 'CONFIRMATION_REQUIRED', affectedUsers: 0 },
  });

  // begun here, in this browser, and finished by it
  const { connectAppUser } = (await run(page, 'Connect')) as {
    connectAppUser: { redirectUrl: string; binding: string };
  };
  expect(connectAppUser.binding).toBe('COOKIE');
  const consent = await page.context().newPage();
  await consent.goto(connectAppUser.redirectUrl);
  await consent.getByTestId('account-blue').click();
  await consent.getByTestId('allow').click();
  await consent.waitForURL(`${demo.appUrl}/**`);
  expect(new URL(consent.url()).searchParams.get('connection_status')).toBe('connected');
  expect(await run(page, 'Delete')).toMatchObject({
    deleteConnector: { affectedUsers: 1, affectedApps: [{ id: demo.appId }] },
  });

  // the subscription runs on: its first event, then one after an edit
  await choose(page, 'WatchStatus');
  await press(page);
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"status": "CONNECTED"');
  expect(await textOf(answer(page))).toContain('"email": "blue@example.com"');
  await setScopes(demo, [...demo.scopes, 'calendar.write']);
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"reconnectReason": "SCOPES_CHANGED"');
});

test('GraphiQL keeps what was edited for the same run of the demo, and forgets it with its keys when another has been started', async () => {
  const ports = await freeDemoPorts();
  const yesterday = await startTestDemo(ports);
  const page = await openBrowser();
  await openGraphiql(page, yesterday.serviceUrl);
  await choose(page, 'Delete');
  await write(page, 'query Mine { __typename }');
  await expect.poll(() => tabs(page).allInnerTexts()).toContain('Mine');
  await expect.poll(() => page.evaluate("localStorage.getItem('graphiql:tabState')")).toContain('Mine');
  await page.reload();
  await expect.poll(() => tabs(page).allInnerTexts(), SHOWN).toEqual(TABS.with(4, 'Mine'));
  expect(await run(page, 'Connectors')).toMatchObject({ connector: { id: yesterday.connectorId } });
  await expect.poll(() => page.url()).toContain('?query=');
  await yesterday.stop();

  const today = await startTestDemo(ports);
  expect(today.connectorId).not.toBe(yesterday.connectorId);
  await page.reload();
  await expect.poll(() => tabs(page).allInnerTexts(), SHOWN).toEqual(TABS);
  expect(page.url()).toBe(`${today.serviceUrl}/graphql`);
  expect(await run(page, 'Connectors')).toMatchObject({ connector: { id: today.connectorId } });
  expect(await run(page, 'EditScopes')).toMatchObject({ editConnector: { connector: { name: 'Team calendar' } } });
  expect(await storage(page)).not.toContain(yesterday.workspaceKey);
  await today.stop();

  // the service alone, on the same port: nothing of the demo is left
  await startListening(ports.PORT);
  await page.reload();
  await expect.poll(() => tabs(page).allInnerTexts(), SHOWN).toEqual(['<untitled>']);
  expect(await storage(page)).not.toContain(today.workspaceKey);
});

test('GraphiQL of a service that gives no tabs opens, runs what is written, and keeps it', async () => {
  const url = await startListening();
  const page = await openBrowser();
  await openGraphiql(page, url);
  await write(page, 'query Mine { __typename }');
  expect(await run(page, null)).toEqual({ __typename: 'Query' });
  await expect.poll(() => storage(page)).toContain('Mine');
  await page.reload();
  await execute(page).waitFor(SHOWN);
  await expect.poll(() => textOf(query(page)), SHOWN).toContain('query Mine');
});

async function startListening(port?: string): Promise<string> {
  const { app } = await startService(port === undefined ? {} : { PORT: port });
  return (await app.listen()).url;
}

async function openGraphiql(page: Page, serviceUrl: string): Promise<void> {
  await page.goto(`${serviceUrl}/graphql`);
  await execute(page).waitFor(SHOWN);
}
