import type { Locator, Page } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import type { Demo } from '../../examples/scheduling-app/demo.ts';
import { violations } from '../support/axe.ts';
import { useChromium } from '../support/browser.ts';
import { setScopes, startTestDemo } from '../support/demo.ts';

vi.setConfig({ testTimeout: 120_000 });

const openBrowser = useChromium();

const SHOWN = { timeout: 30_000 };

test('21, 23, 24, 31. Connect leads through account choice and consent back to the app, bound by an HttpOnly cookie: connected as that account, with its events', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  const opened: string[] = [];
  page.on('framenavigated', (frame) => opened.push(frame.url()));
  await signIn(page, demo, 'person-one');
  await status(page, 'Not connected');

  const answered = page.waitForResponse(
    (response) => response.request().postData()?.includes('connectAppUser') ?? false,
  );
  await calendar(page).getByTestId('connect-button').click();
  const [, setCookie = ''] = /^set-cookie: (.*)$/m.exec(await headerLines(await answered)) ?? [];
  expect(setCookie).toMatch(/^connect-[\w-]+=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);

  await page.getByTestId('account-green').click();
  expect(await page.getByRole('heading').innerText()).toBe('Allow Scheduling app?');
  expect(await flowCookies(page)).toHaveLength(1);
  await page.getByTestId('allow').click();

  await status(page, 'Connected');
  expect(await page.getByTestId('notice').innerText()).toBe('Team calendar is connected.');
  expect(await calendar(page).getByTestId('account').innerText()).toBe('green@example.com');
  expect(await calendar(page).getByTestId('granted-scopes').locator('code').allInnerTexts()).toEqual(demo.scopes);
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
  expect(await calendar(page).getByTestId('event-item').locator('span > b').allInnerTexts()).toEqual([
    'Dentist',
    'Customer interview',
    'Budget round',
  ]);
  // finished by the callback itself: nothing was parked for the page to complete, and no trace of the flow is left
  expect(opened.filter((url) => url.includes('connect_code'))).toEqual([]);
  expect(demo.provider.counts.authorization_code).toBe(1);
  expect(await flowCookies(page)).toEqual([]);
  expect(page.url()).toBe(`${demo.appUrl}/`);
});

test('21. everything from signing in to disconnecting works with the keyboard alone, and the focus is never lost', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await page.goto(demo.appUrl);
  await pressOn(page, 'sign-in-person-one');
  await pressOn(page, 'connect-button');
  await pressOn(page, 'account-blue');
  await pressOn(page, 'allow');
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
  await pressOn(page, 'read-events-button');
  await expect.poll(() => focusedOn(page)).toBe('read-events-button');
  await pressOn(page, 'disconnect-button');
  await expect.poll(() => focusedOn(page)).toBe('connect-button');
  await pressOn(page, 'sign-out');
  await page.getByTestId('sign-in-person-two').waitFor(SHOWN);
});

test('21. the choice of a window, and all that happens in it, works with the keyboard alone; the page has the focus again when it is gone', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await page.goto(demo.appUrl);
  await pressOn(page, 'sign-in-person-one');
  await page.getByTestId('connect-button').first().waitFor(SHOWN);
  await tabTo(page, 'input[name=mode]');
  await page.keyboard.press('ArrowDown');
  expect(await page.getByLabel('in a window').isChecked()).toBe(true);
  const popupOn = async (testId: string) => {
    const [popup] = await Promise.all([page.waitForEvent('popup'), pressOn(page, testId)]);
    await pressOn(popup, 'account-blue');
    return popup;
  };
  const denied = await popupOn('connect-button');
  await Promise.all([denied.waitForEvent('close'), pressOn(denied, 'deny')]);
  await calendar(page).getByTestId('failure').waitFor(SHOWN);
  const allowed = await popupOn('connect-button');
  await Promise.all([allowed.waitForEvent('close'), pressOn(allowed, 'allow')]);
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
  expect(page.url()).toBe(`${demo.appUrl}/`);
  await expect.poll(() => focusedOn(page)).toBe('read-events-button');
  await pressOn(page, 'disconnect-button');
  await expect.poll(() => focusedOn(page)).toBe('connect-button');
});

test('17, 25, 26, 44. in every state the page keeps nobody out, in light and dark, wide and narrow: two connectors, one connected in a window, and the team’s account', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  const check = async (state: string) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect([state, colorScheme, ...(await violations(page))]).toEqual([state, colorScheme]);
    }
    await page.setViewportSize({ width: 320, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  await page.goto(demo.appUrl);
  await page.getByTestId('sign-in-person-one').waitFor(SHOWN);
  await check('signed out');
  await page.getByTestId('sign-in-person-one').click();
  const tasks = page.getByTestId('connector-card').filter({ hasText: 'Task list' });
  await tasks.getByTestId('connect-button').waitFor(SHOWN);
  expect(await page.getByTestId('connector-name').allInnerTexts()).toEqual(['Team calendar', 'Task list']);

  await page.getByLabel('in a window').check();
  const popupOf = async () => {
    const [popup] = await Promise.all([page.waitForEvent('popup'), tasks.getByTestId('connect-button').click()]);
    await popup.getByTestId('account-amber').click();
    return popup;
  };
  await (await popupOf()).getByTestId('deny').click();
  await tasks.getByTestId('error-steps').waitFor(SHOWN);
  await check('denied');
  await (await popupOf()).getByTestId('allow').click();
  await tasks.getByTestId('event-item').first().waitFor(SHOWN);
  expect(await tasks.getByTestId('event-item').locator('span > b').allInnerTexts()).toEqual([
    'Send the agenda',
    'Book the train',
    'Read the contract',
  ]);
  // the popup's answer and the stream's come each by their own way
  await expect.poll(() => page.getByTestId('notice').innerText(), { timeout: 10_000 }).toBe('Task list is connected.');
  await check('connected');
  await setScopes(demo, ['openid', 'email', 'tasks.read', 'tasks.write'], demo.tasksConnectorId);
  await tasks.getByTestId('reconnect-button').waitFor(SHOWN);
  await status(page, 'Not connected');
  await check('reconnect');
  await page.getByTestId('sign-out').click();
  await page.getByTestId('sign-in-lead-one').click();
  await page.getByTestId('team-connect').waitFor(SHOWN);
  await check('team lead');
});

test('33. the token is refreshed by itself: the open page shows another fingerprint, and the person stays connected', async () => {
  const demo = await startTestDemo();
  demo.provider.setAccessTokenSeconds(2);
  const page = await openBrowser();
  await page.clock.install();
  await connect(page, demo, 'person-one', 'blue');
  const fingerprint = calendar(page).getByTestId('token-fingerprint');
  const first = await fingerprint.innerText();
  expect(first).toMatch(/^[0-9a-f]{16}$/);

  // the page reads every five seconds; its clock is moved on, the token's life is real
  await expect
    .poll(async () => {
      await page.clock.fastForward(5_000);
      return fingerprint.innerText();
    }, SHOWN)
    .not.toBe(first);
  expect(demo.provider.counts.refresh_token).toBeGreaterThan(0);
  expect(demo.provider.counts.authorization_code).toBe(1);
  await status(page, 'Connected');
  expect(await calendar(page).getByTestId('event-item').count()).toBe(4);
});

test('13, 38. a scope edit turns the open page to Reconnect without a reload, with what is missing; putting the scopes back heals it, and so does reconnecting', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await connect(page, demo, 'person-one', 'blue');
  await page.evaluate('globalThis.isTheSamePage = true');

  await setScopes(demo, [...demo.scopes, 'calendar.write']);
  await status(page, 'Reconnect needed');
  expect(await calendar(page).getByTestId('status-sentence').innerText()).toBe(
    'This app now asks for other permissions. Reconnect to look at them and approve.',
  );
  expect(await calendar(page).getByTestId('missing-scopes').innerText()).toBe('calendar.write');
  expect(await calendar(page).getByTestId('reconnect-button').isVisible()).toBe(true);
  expect(await calendar(page).getByTestId('event-item').first().isVisible()).toBe(false);

  await setScopes(demo, demo.scopes);
  await status(page, 'Connected');
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
  expect(await calendar(page).getByTestId('missing-scopes').isVisible()).toBe(false);
  expect(await page.evaluate('globalThis.isTheSamePage')).toBe(true);
  expect(demo.provider.counts.authorization_code).toBe(1);

  await setScopes(demo, [...demo.scopes, 'calendar.write']);
  await calendar(page).getByTestId('reconnect-button').click();
  await page.getByTestId('account-blue').click();
  expect(await page.locator('fieldset code').allInnerTexts()).toEqual([...demo.scopes, 'calendar.write']);
  await page.getByTestId('allow').click();
  await status(page, 'Connected');
  expect(await calendar(page).getByTestId('granted-scopes').locator('code').allInnerTexts()).toContain(
    'calendar.write',
  );
});

test('26. denied consent says so in a sentence and leaves things as before: not connected, or connected as that account', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  const deny = async (): Promise<void> => {
    await page.getByTestId('account-green').click();
    await page.getByTestId('deny').click();
    await calendar(page).getByTestId('failure').waitFor(SHOWN);
    expect(await calendar(page).getByTestId('error-message').innerText()).toBe(
      'You did not allow access. Nothing has changed, and you can try again at any time.',
    );
    expect(await calendar(page).getByTestId('error-steps').locator('li').allInnerTexts()).toEqual([
      'Press Connect again when you want to.',
      'Choose Allow on the page of the provider.',
    ]);
    expect(page.url()).toBe(`${demo.appUrl}/`);
  };
  await signIn(page, demo, 'person-one');
  await calendar(page).getByTestId('connect-button').click();
  await deny();
  await status(page, 'Not connected');

  await calendar(page).getByTestId('connect-button').click();
  await allow(page, 'blue');
  await setScopes(demo, [...demo.scopes, 'calendar.write']);
  await calendar(page).getByTestId('reconnect-button').click();
  await deny();
  await status(page, 'Reconnect needed');
  await setScopes(demo, demo.scopes);
  await status(page, 'Connected');
  expect(await calendar(page).getByTestId('account').innerText()).toBe('blue@example.com');
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
});

test('29. a scope left out at the consent: connected, with what is missing shown and a way to allow it', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await signIn(page, demo, 'person-one');
  await calendar(page).getByTestId('connect-button').click();
  await page.getByTestId('account-blue').click();
  await page.getByRole('checkbox', { name: 'See your e-mail address' }).uncheck();
  await page.getByTestId('allow').click();
  await status(page, 'Connected');
  expect(await calendar(page).getByTestId('status-sentence').innerText()).toBe(
    'Connected, with less than this app asked for.',
  );
  expect(await calendar(page).getByTestId('missing-scopes').innerText()).toBe('email');
  expect(await calendar(page).getByTestId('reconnect-button').isVisible()).toBe(true);
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
});

test('35. access revoked at the provider: the open page asks to reconnect, and reconnecting heals it', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await page.clock.install();
  await connect(page, demo, 'person-one', 'blue');

  const settings = await page.context().newPage();
  await settings.goto(demo.providerUrl);
  await settings.getByTestId('revoke').click();
  await settings.getByText('No app has access at the moment.').waitFor(SHOWN);
  await settings.close();

  await expect
    .poll(async () => {
      await page.clock.fastForward(5_000);
      return calendar(page).getByTestId('connector-status').innerText();
    }, SHOWN)
    .toBe('Reconnect needed');
  expect(await calendar(page).getAttribute('data-reason')).toBe('ACCESS_REVOKED');
  expect(await calendar(page).getByTestId('status-sentence').innerText()).toBe(
    'The provider has withdrawn this app’s access. Reconnect to allow it again.',
  );
  await calendar(page).getByTestId('reconnect-button').click();
  await allow(page, 'blue');
});

test('42, 43. Disconnect ends it at once and at the provider too, and touches nobody else', async () => {
  const demo = await startTestDemo();
  const one = await openBrowser();
  const two = await openBrowser();
  await connect(one, demo, 'person-one', 'blue');
  await signIn(two, demo, 'person-two');
  await status(two, 'Not connected'); // 28: what person one has connected is nobody else's
  await calendar(two).getByTestId('connect-button').click();
  await allow(two, 'green');
  expect(demo.provider.grants()).toHaveLength(2);

  await calendar(one).getByTestId('disconnect-button').click();
  await status(one, 'Not connected');
  expect(await calendar(one).getByTestId('event-item').first().isVisible()).toBe(false);
  await expect.poll(() => demo.provider.grants().map(({ account }) => account.id)).toEqual(['green']);
  await one.reload();
  await status(one, 'Not connected');
  await two.reload();
  await status(two, 'Connected');
  await calendar(two).getByTestId('event-item').first().waitFor(SHOWN);
});

test('23. somebody else who is lured into opening the first person’s link and consents connects nothing to anyone', async () => {
  const demo = await startTestDemo();
  const first = await openBrowser();
  await signIn(first, demo, 'person-one');
  const begun = first.waitForRequest((request) => request.url().startsWith(`${demo.providerUrl}/auth?`));
  await calendar(first).getByTestId('connect-button').click();
  const link = (await begun).url();
  await first.getByTestId('account-blue').waitFor(SHOWN);

  // signed in as somebody else, in another browser
  const second = await openBrowser();
  await signIn(second, demo, 'person-two');
  await second.goto(link);
  await second.getByTestId('account-green').click();
  await second.getByTestId('allow').click();
  await calendar(second).getByTestId('failure').waitFor(SHOWN);
  expect(await calendar(second).getByTestId('error-message').innerText()).toBe(
    'This connection was started by somebody else, or on another page. Nothing was connected.',
  );
  await status(second, 'Not connected');
  expect(demo.provider.counts.authorization_code).toBe(0);

  await first.goto(demo.appUrl);
  await status(first, 'Not connected');
  expect(await first.getByTestId('notice').isVisible()).toBe(false);
});

test('23. the same while signed in nowhere: whoever signs in there afterwards gets nothing, and the code that came back is burnt', async () => {
  const demo = await startTestDemo();
  const first = await openBrowser();
  await signIn(first, demo, 'person-one');
  const begun = first.waitForRequest((request) => request.url().startsWith(`${demo.providerUrl}/auth?`));
  await calendar(first).getByTestId('connect-button').click();
  const link = (await begun).url();

  const second = await openBrowser();
  await second.goto(link);
  await second.getByTestId('account-green').click();
  await second.getByTestId('allow').click();
  await second.getByTestId('sign-in-person-two').waitFor(SHOWN);
  expect(demo.provider.counts.authorization_code).toBe(0);
  const code = new URL(second.url()).searchParams.get('connect_code');
  expect(code).toMatch(/^[\w-]{43}$/);

  await second.getByTestId('sign-in-person-two').click();
  await calendar(second).getByTestId('failure').waitFor(SHOWN);
  await status(second, 'Not connected');
  // burnt: the first person cannot be made to finish it either
  await first.goto(`${demo.appUrl}/?connect_code=${code}`);
  await first.getByTestId('notice').waitFor(SHOWN);
  expect(await first.getByTestId('notice').innerText()).toContain('has expired or was used before');
  await status(first, 'Not connected');
  expect(demo.provider.counts.authorization_code).toBe(0);
});

test('24. an address alone connects nothing and claims nothing: the page says connected only where it is', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  await signIn(page, demo, 'person-one');
  await page.goto(`${demo.appUrl}/?connector_id=${demo.connectorId}&connection_status=connected`);
  await status(page, 'Not connected');
  await expect.poll(() => page.getByTestId('live-indicator').innerText()).toBe('Live');
  expect(await page.getByTestId('notice').isVisible()).toBe(false);
  expect(page.url()).toBe(`${demo.appUrl}/`);
});

test('54. a callback that belongs to no flow ends on a page with a sentence, steps and the code', async () => {
  const demo = await startTestDemo();
  const page = await openBrowser();
  const response = await page.goto(`${demo.appUrl}/api/external-auth/callback?state=unknown&code=unknown`);
  expect(response?.status()).toBe(400);
  expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('The connect link is no longer good');
  expect(await page.getByRole('listitem').allInnerTexts()).toEqual(['Go back to the app.', 'Press Connect again.']);
  expect(await page.locator('code').innerText()).toBe('FLOW_EXPIRED');
  // its styles and its script are the ones that its policy lets run
  expect(await page.evaluate("getComputedStyle(document.querySelector('h2')).fontSize")).toBe('16px');
});

/** The card of the calendar: another connector has one beside it. */
function calendar(page: Page): Locator {
  return page.getByTestId('connector-card').filter({ has: page.getByRole('heading', { name: 'Team calendar' }) });
}

async function signIn(page: Page, demo: Demo, person: 'person-one' | 'person-two'): Promise<void> {
  await page.goto(demo.appUrl);
  await page.getByTestId(`sign-in-${person}`).click();
  await calendar(page).waitFor(SHOWN);
}

async function allow(page: Page, account: 'blue' | 'green'): Promise<void> {
  await page.getByTestId(`account-${account}`).click();
  await page.getByTestId('allow').click();
  await calendar(page).getByTestId('event-item').first().waitFor(SHOWN);
}

async function connect(
  page: Page,
  demo: Demo,
  person: 'person-one' | 'person-two',
  account: 'blue' | 'green',
): Promise<void> {
  await signIn(page, demo, person);
  await calendar(page).getByTestId('connect-button').click();
  await allow(page, account);
}

async function status(page: Page, label: string): Promise<void> {
  await expect.poll(() => calendar(page).getByTestId('connector-status').innerText(), SHOWN).toBe(label);
}

async function flowCookies(page: Page): Promise<unknown[]> {
  return (await page.context().cookies()).filter(({ name }) => name.includes('connect-'));
}

async function headerLines(response: { headersArray: () => Promise<{ name: string; value: string }[]> }) {
  const headers = await response.headersArray();
  return headers.map(({ name, value }) => `${name.toLowerCase()}: ${value}`).join('\n');
}

/** What has the focus, by its test id. */
function focusedOn(page: Page): Promise<unknown> {
  return page.evaluate("document.activeElement?.dataset.testid ?? ''");
}

/** Goes to what a selector names with the Tab key. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; !(await page.evaluate(`document.activeElement?.matches('${selector}')`)); presses += 1) {
    if (presses > 20) throw new Error(`The Tab key does not lead to ${selector}.`);
    await page.keyboard.press('Tab');
  }
}

/** Goes there with the Tab key and presses Enter. */
async function pressOn(page: Page, testId: string): Promise<void> {
  await page.getByTestId(testId).first().waitFor(SHOWN);
  await tabTo(page, `[data-testid=${testId}]`);
  await page.keyboard.press('Enter');
}
