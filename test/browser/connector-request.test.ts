import { expect, test, vi } from 'vitest';
import { violations } from '../support/axe.ts';
import { useChromium } from '../support/browser.ts';
import { createTestApp } from '../support/harness.ts';
import { type ConnectorRequestAnswer, openOwnersChat, resultOf } from '../support/mcp.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

const english = {
  language: 'en',
  key: 'the workspace key “OWNER”',
  clientId: 'Client id',
  clientSecret: 'Client secret',
  approve: 'Approve and add',
  secretMissing: 'Enter the client secret.',
  over: 'It was approved, and the link does not work a second time.',
};
const german = {
  language: 'de',
  key: 'der Workspace-Schlüssel „OWNER“',
  clientId: 'Client-ID',
  clientSecret: 'Client-Secret',
  approve: 'Zustimmen und anlegen',
  secretMissing: 'Geben Sie das Client-Secret vollständig ein',
  over: 'Ihr wurde zugestimmt, und der Link gilt kein zweites Mal.',
};

test('51. the form is accessible and tells what it asks for, in light and dark, in English and German, wide and narrow, refused and done, by keyboard', async () => {
  const { service, workspace, chat } = await openOwnersChat({ name: '<b>chat</b>' });
  await createTestApp(service, workspace);
  for (const { colorScheme, locale, width, words } of [
    { colorScheme: 'light', locale: 'en-GB', width: 1000, words: english },
    { colorScheme: 'dark', locale: 'de-AT', width: 320, words: german },
  ] as const) {
    const { request } = resultOf<ConnectorRequestAnswer>(
      await chat.call('add_connector', {
        providerKey: 'slack',
        kind: 'APP_USER',
        name: '<i>Team</i>',
        scopes: ['channels:read', 'own:scope'],
        another: true,
      }),
    );
    const page = await openBrowser({ colorScheme, locale, viewport: { width, height: 900 } });
    await page.goto(request?.link ?? '');
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(await page.locator('html').getAttribute('lang')).toBe(words.language);
    const text = await page.locator('main').innerText();
    for (const told of ['Slack', 'Workspace', words.key, 'channels:read', 'own:scope']) {
      expect(text).toContain(told);
    }
    expect(text).toContain('https://app.example.com/api/external-auth/callback');
    expect(await page.getByLabel('Name').inputValue()).toBe('<i>Team</i>');

    await page.getByLabel(words.clientId).fill('client');
    await page.getByRole('button', { name: words.approve }).click();
    await page.locator('[data-status=VALIDATION]').waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    expect(await page.getByRole('alert').innerText()).toContain(words.secretMissing);
    await page.getByRole('alert').getByRole('link').click();
    await page.keyboard.press('Tab'); // on from the place that the link leads to
    const secret = page.getByLabel(words.clientSecret);
    expect(await secret.getAttribute('aria-invalid')).toBe('true');
    await secret.fill('secret');
    await secret.press('Enter'); // the first button is the one to approve
    await page.locator('[data-status=APPROVED]').waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    await page.goto(request?.link ?? '');
    await page.getByText(words.over).waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
  }
  const { connectors } = resultOf<{ connectors: object[] }>(await chat.call('list_connectors'));
  expect(connectors).toMatchObject([{ name: '<i>Team</i>', isSetUp: true }, { isSetUp: true }]);
});
