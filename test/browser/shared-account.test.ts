import type { Page } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import type { Demo } from '../../examples/scheduling-app/demo.ts';
import { useChromium } from '../support/browser.ts';
import { startTestDemo } from '../support/demo.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

const SHOWN = { timeout: 30_000 };

test('44, 45, 46. a team lead connects the team’s account, another is told whose it is and takes it over, both see it as it happens', async () => {
  const demo = await startTestDemo();
  const [one, two] = [await openBrowser(), await openBrowser()];
  await signIn(one, demo, 'lead-one');
  await signIn(two, demo, 'lead-two');
  await shows(one, 'status', 'Not connected');
  await shows(two, 'status', 'Not connected');

  await one.getByTestId('team-connect').click();
  await allow(one, 'blue');
  await shows(one, 'status', 'Connected');
  await shows(one, 'account', 'blue@example.com');
  await shows(one, 'owner', 'you');
  await shows(one, 'scopes', demo.scopes.join(' '));
  await one.getByTestId('team-events').locator('li').first().waitFor(SHOWN);
  expect(await one.getByTestId('notice').innerText()).toBe('The team’s account is connected.');
  // the other lead's page heard of it, and reads the same events without having connected anything
  await shows(two, 'status', 'Connected');
  await shows(two, 'owner', 'lead-one');
  await two.getByTestId('team-events').locator('li').first().waitFor(SHOWN);

  await two.getByTestId('team-switch').click();
  await shows(two, 'failure', 'lead-one has connected this account. Take it over?');
  await two.getByTestId('team-take-over').click();
  await allow(two, 'green');
  await shows(two, 'owner', 'you');
  await shows(one, 'owner', 'lead-two');
  await shows(one, 'account', 'green@example.com');
  await expect.poll(() => demo.provider.grants().map(({ account }) => account.id), SHOWN).toEqual(['green']);

  await two.getByTestId('team-switch').click();
  await allow(two, 'blue');
  await shows(one, 'account', 'blue@example.com');
  await one.getByTestId('team-disconnect').click();
  await shows(one, 'status', 'Not connected');
  await shows(two, 'status', 'Not connected');
  await expect.poll(() => demo.provider.grants(), SHOWN).toEqual([]);
});

test('44. who leads no team is shown nothing of it', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await signIn(page, demo, 'person-one');
  expect(await page.getByTestId('team-section').isVisible()).toBe(false);
});

async function signIn(page: Page, demo: Demo, person: string): Promise<void> {
  await page.goto(demo.appUrl);
  await page.getByTestId(`sign-in-${person}`).click();
  await page.getByTestId('connector-card').first().waitFor(SHOWN);
}

async function allow(page: Page, account: 'blue' | 'green'): Promise<void> {
  await page.getByTestId(`account-${account}`).click();
  await page.getByTestId('allow').click();
}

async function shows(page: Page, part: string, text: string): Promise<void> {
  await expect.poll(() => page.getByTestId(`team-${part}`).innerText(), SHOWN).toBe(text);
}
