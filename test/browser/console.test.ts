import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test, vi } from 'vitest';
import { violations } from '../support/axe.ts';
import { useChromium } from '../support/browser.ts';
import {
  answer,
  choose,
  execute,
  press,
  run,
  SHOWN,
  storage,
  tabs,
  textOf,
  variables,
  write,
} from '../support/graphiql.ts';
import { connectSharedAs, setSharedStage } from '../support/shared-account.ts';
import { createTestApp, createWorkspace, startService } from '../support/harness.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

/** A page that tells what its policy has refused. */
async function openConsole(
  url: string,
  colorScheme: 'dark' | 'light' = 'dark',
): Promise<{ page: Page; refused: string[] }> {
  const page = await openBrowser({ colorScheme });
  const refused: string[] = [];
  page.on('console', (message) => {
    if (/content security policy|refused to/i.test(message.text())) refused.push(message.text());
  });
  await page.goto(`${url}/console`);
  return { page, refused };
}

async function signIn(page: Page, credential: string): Promise<void> {
  await page.getByLabel('Workspace key or admin token').fill(credential);
  await page.keyboard.press('Enter');
}

test('the console signs a member in with a workspace key, without the playground, and runs the tasks as they are', async () => {
  const service = await startService({ GRAPHIQL: 'false' });
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const { url } = await service.app.listen();
  expect((await fetch(`${url}/graphql`, { headers: { accept: 'text/html' } })).status).toBe(405);
  const { page, refused } = await openConsole(url);
  const fault = page.getByRole('alert');
  expect(await violations(page)).toEqual([]);

  await signIn(page, 'wsk_unknown');
  await expect.poll(() => fault.innerText(), SHOWN).toBe('The workspace key is not known or was revoked.');
  expect(await violations(page)).toEqual([]);
  await signIn(page, app.key);
  await expect.poll(() => fault.innerText(), SHOWN).toContain('The key of an app cannot sign in here.');
  expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');

  await signIn(page, workspace.ownerKey);
  await execute(page).waitFor(SHOWN);
  expect(await tabs(page).allInnerTexts()).toEqual([
    'Overview',
    'Providers',
    'AddConnector',
    'PreviewEdit',
    'EditConnector',
    'CheckConnector',
    'DeleteConnector',
    'RevokeAll',
    'RevocationProgress',
    'Availability',
    'SetAvailability',
    'Audit',
    'WatchStatus',
    'Members',
    'SetMember',
    'CreateKey',
    'RevokeKey',
  ]);
  expect(await run(page, 'Overview')).toMatchObject({ workspace: { id: workspace.id } });
  expect(await run(page, 'AddConnector')).toMatchObject({
    addConnector: { connector: { name: 'Calendar', redirectUris: [{ kind: 'LIVE' }, { kind: 'SERVICE' }] } },
  });
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"name": "Calendar"');
  // it is now the connector that the other tasks are about
  await page.reload();
  await execute(page).waitFor(SHOWN);
  await choose(page, 'DeleteConnector');
  await expect.poll(() => textOf(variables(page)), SHOWN).toContain('"connectorId": "Connector_');
  expect(await run(page, 'DeleteConnector')).toMatchObject({ deleteConnector: { affectedUsers: 0 } });
  expect(await run(page, 'Audit')).toMatchObject({
    workspace: {
      audit: { edges: expect.arrayContaining([{ node: expect.objectContaining({ act: 'CONNECTOR_ADDED' }) }]) },
    },
  });

  // what is typed stays in the page, and the key in the tab
  await write(page, '{ __typename }');
  expect(await storage(page)).not.toMatch(/wsk_|__typename|Connector_/);
  expect(await page.evaluate('JSON.stringify(sessionStorage)')).not.toMatch(/__typename|Connector_/);
  expect(page.url()).toBe(`${url}/console`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor(SHOWN);
  expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  expect(refused).toEqual([]);
});

/** What has the focus, by its name. */
function focused(page: Page): Promise<unknown> {
  return page.evaluate('document.activeElement.ariaLabel ?? document.activeElement.innerText');
}

test('the console keeps nobody out: signed in, with an answer, in each of its panels and dialogs, in dark and light', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const { url } = await service.app.listen();
  for (const colorScheme of ['dark', 'light'] as const) {
    const { page } = await openConsole(url, colorScheme);
    const check = async (state: string) =>
      expect([colorScheme, state, ...(await violations(page))]).toEqual([colorScheme, state]);
    const open = (name: string) => page.getByRole('button', { name }).click();
    await signIn(page, workspace.ownerKey);
    await run(page, 'Overview');
    await check('an answer');
    await open('Show Documentation Explorer');
    await page.getByRole('link', { name: 'Query', exact: true }).click();
    await page.getByRole('link', { name: 'providers', exact: true }).click();
    await page.getByText('Arguments').waitFor(SHOWN);
    await check('documentation');
    await open('Show GraphiQL Explorer');
    await page.getByLabel('Kind of operation').waitFor(SHOWN);
    await check('explorer');
    for (const name of ['Open short keys dialog', 'Open settings dialog']) {
      await open(name);
      await page.getByRole('dialog').waitFor(SHOWN);
      await check(name);
      await page.keyboard.press('Escape');
    }
    // the editors follow the system as the rest does
    await page.emulateMedia({ colorScheme: colorScheme === 'dark' ? 'light' : 'dark' });
    await check('the other scheme');
  }
});

test('with the keyboard alone a task of the console is opened, told as the open one, and closed by its name', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const { url } = await service.app.listen();
  const { page } = await openConsole(url);
  await signIn(page, workspace.ownerKey);
  const task = (name: string) => page.getByRole('button', { name, exact: true });
  const current = () => page.locator('[aria-current]').allInnerTexts();
  const tabTo = async (name: string) => {
    for (let presses = 0; (await focused(page)) !== name; presses += 1) {
      if (presses > 60) throw new Error(`The Tab key does not lead to ${name}.`);
      await page.keyboard.press('Tab');
    }
  };
  await execute(page).waitFor(SHOWN);
  await expect.poll(current, SHOWN).toEqual(['Overview']);
  await page.locator('#workspace').focus();
  await tabTo('Providers');
  expect(await page.evaluate('getComputedStyle(document.activeElement).outline')).toContain('solid 3px');
  await page.keyboard.press('Enter');
  await expect.poll(current, SHOWN).toEqual(['Providers']);
  await tabTo('Close Providers');
  await page.keyboard.press('Enter');
  await expect.poll(() => task('Providers').count(), SHOWN).toBe(0);
});

test('38, 44. the console signs a person in with their admin token, and watches the account that an app shares', async () => {
  const stage = await setSharedStage();
  const { url } = await stage.service.app.listen();
  const { page, refused } = await openConsole(`${url}`);
  await signIn(page, ((await stage.member('anna')).authorization ?? '').replace('Bearer ', ''));
  await execute(page).waitFor(SHOWN);
  expect(await page.locator('#subject').innerText()).toBe('anna');
  await choose(page, 'WatchStatus');
  await press(page);
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"status": "NOT_CONNECTED"');
  await connectSharedAs(stage, 'anna');
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"status": "CONNECTED"');
  expect(refused).toEqual([]);
});

test('T26. the page of the console is the same for everybody, runs nothing inline, and is framed by nobody', async () => {
  const service = await startService();
  const open = (path: string, headers: Record<string, string> = {}) =>
    service.app.fetch(new Request(service.config.publicUrl + path, { headers }));
  const page = await open('/console');
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/script-src[^;]*unsafe|https?:/);
  const html = await page.text();
  expect(html).not.toMatch(/<script(?![^>]*src=)|\son\w+=|https?:/);
  const [asset = ''] = /\/console\/[0-9a-f]{16}\/console\.js/.exec(html) ?? [];
  const script = await open(asset, { 'accept-encoding': 'gzip, br' });
  expect([script.status, script.headers.get('content-encoding'), script.headers.get('cache-control')]).toEqual([
    200,
    'gzip',
    'public, max-age=31536000, immutable',
  ]);
  for (const path of [
    '/console/',
    '/console/0000000000000000/console.js',
    `${asset}x`,
    asset.replace('console.js', 'page.js'),
  ])
    expect([path, (await open(path)).status]).toEqual([path, 404]);
});

test('with trusted documents the console signs in, reads the schema and runs its tasks', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'console-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'documents.json'), '{}');
  const before = await startService({ DATA_DIR: join(folder, 'data') });
  const workspace = await createWorkspace(before);
  await before.app.stop();
  const service = await startService({
    DATA_DIR: join(folder, 'data'),
    TRUSTED_DOCUMENTS: join(folder, 'documents.json'),
  });
  const { url } = await service.app.listen();
  const { page } = await openConsole(url);
  const refusals: string[] = [];
  page.on('response', (response) => {
    if (!response.url().endsWith('/graphql')) return;
    void response.text().then((text) => {
      if (text.includes('DOCUMENT_NOT_TRUSTED')) refusals.push(response.request().postData() ?? '');
    });
  });
  await signIn(page, workspace.ownerKey);
  await execute(page).waitFor(SHOWN);
  expect(await run(page, 'Overview')).toMatchObject({ workspace: { id: workspace.id } });
  expect(await run(page, 'Audit')).toMatchObject({ workspace: { audit: { edges: expect.any(Array) } } });
  expect(refusals).toEqual([]);
});
