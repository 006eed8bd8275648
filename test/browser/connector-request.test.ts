import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import { useChromium } from '../support/browser.ts';
import { createTestApp } from '../support/harness.ts';
import { type ConnectorRequestAnswer, openOwnersChat, resultOf } from '../support/mcp.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

/** What keeps people out, as axe finds it: from the outside, since the page's own policy lets no script in. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => r.violations)",
  );
  return (found as { id: string; nodes: { html: string }[] }[]).map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
  );
}

test('51. the form is accessible and tells what it asks for, in light and dark, wide and narrow, refused and done, by keyboard', async () => {
  const { service, workspace, chat } = await openOwnersChat({ name: '<b>chat</b>' });
  await createTestApp(service, workspace);
  for (const [colorScheme, width] of [
    ['light', 1000],
    ['dark', 320],
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
    const page = await openBrowser({ colorScheme, viewport: { width, height: 900 } });
    await page.goto(request?.link ?? '');
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    const text = await page.locator('main').innerText();
    for (const told of ['Slack', 'Workspace', 'the workspace key “OWNER”', 'channels:read', 'own:scope']) {
      expect(text).toContain(told);
    }
    expect(text).toContain('https://app.example.com/api/external-auth/callback');
    expect(await page.getByLabel('Name').inputValue()).toBe('<i>Team</i>');

    await page.getByLabel('Client id').fill('client');
    await page.getByRole('button', { name: 'Approve and add' }).click();
    await page.locator('[data-status=VALIDATION]').waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    expect(await page.getByRole('alert').innerText()).toContain('Enter the client secret.');
    await page.getByRole('alert').getByRole('link').click();
    await page.keyboard.press('Tab'); // on from the place that the link leads to
    const secret = page.getByLabel('Client secret');
    expect(await secret.getAttribute('aria-invalid')).toBe('true');
    await secret.fill('secret');
    await secret.press('Enter'); // the first button is the one to approve
    await page.locator('[data-status=APPROVED]').waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
    await page.goto(request?.link ?? '');
    await page.getByText('It was approved, and the link does not work a second time.').waitFor();
    expect([colorScheme, ...(await violations(page))]).toEqual([colorScheme]);
  }
  const { connectors } = resultOf<{ connectors: object[] }>(await chat.call('list_connectors'));
  expect(connectors).toMatchObject([{ name: '<i>Team</i>', isSetUp: true }, { isSetUp: true }]);
});
