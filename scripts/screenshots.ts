/**
 * Takes the pictures of the README from the running demo, in Chromium, and those of docs/troubleshooting/ from the pages that the
 * tests get to see: `npx tsx scripts/screenshots.ts`, or with `--failures` the latter only.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { type Demo, startDemo } from '../examples/scheduling-app/demo.ts';
import { flowError } from '../src/connections/errors.ts';
import type { RequestView } from '../src/connectors/request.ts';
import { callbackPage } from '../src/http/callback-page.ts';
import { formPage } from '../src/http/connector-request-page.ts';
import { findProvider } from '../src/providers/catalogue.ts';
import { chromiumIsAbsent, launchChromium } from '../test/support/chromium.ts';

const folder = fileURLToPath(new URL('../docs/images/', import.meta.url));
const longestBytes = 300_000;
const appSize = { width: 1080, height: 900 };
const graphiqlSize = { width: 1280, height: 720 };

const launched = await launchChromium();
if (!launched) throw new Error(chromiumIsAbsent);
const browser = launched;
try {
  await takeFailures();
  if (!process.argv.includes('--failures')) await takeReadme();
} finally {
  await browser.close();
}

async function takeReadme(): Promise<void> {
  const demo = await startDemo(process.env);
  try {
    await takeDemo(demo);
    await takeCallbackPages();
    await takeConnectorRequest();
  } finally {
    await demo.stop();
  }
}

/** The callback's page for each failure, as the tests of BEHAVIOURS 54 have provoked it at a provider. */
async function takeFailures(): Promise<void> {
  const pages = mkdtempSync(join(tmpdir(), 'pages-'));
  execFileSync('npx', ['vitest', 'run', 'test/behaviours/troubleshooting.test.ts', '-t', '54\\.'], {
    env: { ...process.env, TROUBLESHOOTING_PAGES: pages },
    stdio: 'inherit',
  });
  rmSync(`${folder}troubleshooting`, { recursive: true, force: true });
  mkdirSync(`${folder}troubleshooting`, { recursive: true });
  for (const file of readdirSync(pages)) {
    await takeDrawn(
      `troubleshooting/${file.replace('.html', '')}`,
      readFileSync(join(pages, file), 'utf8'),
      'light',
      1,
    );
  }
  rmSync(pages, { recursive: true });
}

async function takeDemo(demo: Demo): Promise<void> {
  const context = await browser.newContext({ deviceScaleFactor: 2, colorScheme: 'light', locale: 'en-GB' });
  const app = await context.newPage();
  await app.setViewportSize(appSize);
  demo.provider.setAccessTokenSeconds(3);
  const calendar = app.getByTestId('connector-card').filter({ hasText: 'Team calendar' });
  const tasks = app.getByTestId('connector-card').filter({ hasText: 'Task list' });

  await app.goto(demo.appUrl);
  await app.getByTestId('sign-in-person-one').click();
  await calendar.getByTestId('connect-button').click();
  await app.getByTestId('account-blue').click();
  await app.getByTestId('allow').waitFor();
  await take(app, 'provider-consent', { width: 560, height: 600 });

  await app.setViewportSize(appSize);
  // one token that is short, so that the next picture shows a refresh, then one of the usual length
  await app.getByTestId('allow').click();
  await calendar.locator('[data-testid=token][data-refreshes="0"]').waitFor();
  demo.provider.setAccessTokenSeconds(30);
  await calendar.locator('[data-testid=token][data-refreshes="1"]').waitFor();

  await tasks.getByTestId('connect-button').click();
  await app.getByTestId('account-amber').click();
  await app.getByTestId('deny').click();
  await tasks.getByTestId('failure').waitFor();
  await calendar.getByTestId('token-expires-in').getByText('valid for').waitFor();
  await take(app, 'app-denied', { width: appSize.width, height: await bottomOf(app) });

  // the other way: a window of its own
  await app.getByLabel('in a window').check();
  const [popup] = await Promise.all([app.waitForEvent('popup'), tasks.getByTestId('connect-button').click()]);
  await popup.getByTestId('account-amber').click();
  await Promise.all([popup.waitForEvent('close'), popup.getByTestId('allow').click()]);
  await tasks.getByTestId('token-expires-in').getByText('valid for 2').waitFor();
  await take(app, 'app-connected', { width: appSize.width, height: await bottomOf(app) });

  const graphiql = await context.newPage();
  await graphiql.setViewportSize(graphiqlSize);
  await graphiql.goto(`${demo.serviceUrl}/graphql`);
  await graphiql.getByRole('button', { name: 'EditScopes', exact: true }).click();
  // what it has stored of the tab, it knows
  await graphiql.waitForFunction('localStorage.getItem(\'graphiql:tabState\')?.match(/"activeTabIndex":2\\b/)');
  await graphiql.locator('.graphiql-execute-button').click();
  await graphiql.locator('.graphiql-response').getByText('updatedAt').waitFor();
  await graphiql.mouse.move(0, 0);
  await graphiql.waitForTimeout(1500); // its scroll bars fade
  await take(graphiql, 'graphiql-edit-scopes', graphiqlSize, 'allow');

  await calendar.getByTestId('reconnect-button').waitFor();
  await app.emulateMedia({ colorScheme: 'dark' });
  await take(app, 'app-reconnect', { width: appSize.width, height: await bottomOf(app) });
  await app.emulateMedia({ colorScheme: 'light' });

  await app.goto(`${demo.appUrl}/api/external-auth/callback?state=unknown&code=unknown`);
  await take(app, 'callback-error', { width: 760, height: 480 });
}

/** The same page in other colours and another language, drawn from what it is told. */
async function takeCallbackPages(): Promise<void> {
  const redirectUri = 'https://preview-7.example.com/api/external-auth/callback';
  const clientId = '1044718295-calendar.apps.example.com';
  const shown = [
    ['callback-connected', 'light', 'en', null],
    ['callback-invalid-client', 'light', 'en', flowError('INVALID_CLIENT', { clientId })],
    [
      'callback-redirect-uri-dark',
      'dark',
      'en',
      flowError('REDIRECT_URI_MISMATCH', { redirectUris: [redirectUri], clientId }),
    ],
    ['callback-invalid-client-german', 'light', 'de', flowError('INVALID_CLIENT', { clientId })],
  ] as const;
  for (const [name, colorScheme, language, error] of shown) {
    await takeDrawn(name, await callbackPage({ error, openers: [] }, language, {}).text(), colorScheme);
  }
}

/** The form that an assistant's request for a connector links to. */
async function takeConnectorRequest(): Promise<void> {
  const provider = findProvider('slack');
  const scopes = (provider?.scopes ?? []).slice(0, 2);
  const view: RequestView = {
    proposal: {
      type: 'add',
      input: {
        workspaceId: 'workspace',
        providerKey: 'slack',
        kind: 'APP_USER',
        name: 'Team messages',
        scopes: [],
        connectionConfig: [],
        custom: null,
      },
    },
    workspace: 'Scheduling',
    requestedBy: { isKey: true, name: 'set-up' },
    assistant: 'a chat',
    expiresAt: new Date('2026-12-01T12:00:00Z'),
    provider: provider && { ...provider, setupSteps: [] },
    destination: null,
    current: null,
    scopes: [...scopes],
    redirectUris: ['https://app.example.com/api/external-auth/callback'],
    hasOperatorClient: false,
  };
  await takeDrawn('connector-request', await formPage(view, '', null, 'en').text(), 'light');
}

async function takeDrawn(
  name: string,
  body: string,
  colorScheme: 'light' | 'dark',
  deviceScaleFactor = 2,
): Promise<void> {
  const context = await browser.newContext({ deviceScaleFactor, colorScheme });
  const page = await context.newPage();
  await page.route('**/*', (route) => route.fulfill({ status: 200, contentType: 'text/html; charset=utf-8', body }));
  await page.goto('http://localhost/drawn');
  const box = await page.locator('main').boundingBox();
  await take(page, name, { width: 760, height: Math.ceil(box?.height ?? 0) + 80 });
  await context.close();
}

async function take(
  page: Page,
  name: string,
  viewport: { width: number; height: number },
  animations: 'disabled' | 'allow' = 'disabled',
): Promise<void> {
  await page.setViewportSize(viewport);
  const path = `${folder}${name}.png`;
  await page.screenshot({ path, animations, caret: 'hide' });
  const bytes = statSync(path).size;
  console.log(`${name}.png ${Math.ceil(bytes / 1024)} kB`);
  if (bytes > longestBytes) process.exitCode = 1;
}

/** Where the longest card ends, with some air below it. */
async function bottomOf(page: Page): Promise<number> {
  const cards = await page.getByTestId('connector-card').all();
  const boxes = await Promise.all(cards.map((card) => card.boundingBox()));
  return Math.ceil(Math.max(...boxes.map((box) => (box?.y ?? 0) + (box?.height ?? 0))) + 40);
}
