import { expect, test } from 'vitest';
import { createTestApp, createWorkspace, field, operatorKey } from '../support/harness.ts';
import { completeConnection, connectionOf, createBrowser, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import {
  addCustomConnector,
  locationOf,
  pageOf,
  postCallback,
  setStage,
  startFlow,
  withParams,
} from '../support/stage.ts';

/**
 * The attack (THREATS T1): somebody starts a flow, sends the URL to somebody else, who consents. Whoever that is and whatever
 * they do next, no token request may leave and nobody may be connected.
 */
test('T1. a victim who follows an attacker’s link connects nothing to anyone, whoever shows the connect code', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider, connector } = stage;
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  const foreignWorkspace = await createWorkspace(service);
  const foreign = await createTestApp(service, foreignWorkspace);

  const shows: [string, (attacker: string) => Promise<Record<string, string>>, string][] = [
    ['the victim, signed in to the app', () => app.browser('victim'), 'FlowMismatchError'],
    ['the victim, through the app’s backend', () => app.backend('victim'), 'FlowMismatchError'],
    ['the attacker, in another app of the workspace', (attacker) => other.user(attacker), 'FlowMismatchError'],
    ['the attacker, through another app’s backend', (attacker) => other.backend(attacker), 'FlowMismatchError'],
    ['the attacker, in another workspace', (attacker) => foreign.user(attacker), 'FlowMismatchError'],
    ['the victim, signed in nowhere', async () => ({}), 'UnauthenticatedError'],
    [
      'the victim, signed in to the other app',
      async (attacker) => {
        const { authorization = '' } = await other.user(attacker);
        return { authorization, 'x-app-id': app.id };
      },
      'UnauthenticatedError',
    ],
    ['the app’s key alone', async () => ({ authorization: `Bearer ${app.key}` }), 'UnauthenticatedError'],
    ['an owner of the workspace', async () => workspace.owner, 'FlowMismatchError'],
    ['the operator', async () => ({ authorization: `Bearer ${operatorKey}` }), 'UnauthenticatedError'],
  ];
  for (const [binding, cases] of [
    ['COOKIE', shows],
    ['CODE', shows.slice(0, 3)],
  ] as const) {
    for (const [index, [who, headers, refusal]] of cases.entries()) {
      const label = `${binding}: ${who}`;
      const attacker = `attacker-${binding}-${index}`;
      const begun = await startFlow(
        service,
        binding === 'COOKIE' ? await app.browser(attacker) : await app.backend(attacker),
        connector.id,
      );
      expect([label, begun.binding]).toEqual([label, binding]);

      // the victim has a session and a pending flow of their own, and consents
      const victim = (await startFlow(service, await app.browser('victim'), connector.id)).browser;
      const back = await consentAt(begun.redirectUrl, { account: 'green' });
      const landed = returnOf(await victim.open(service, back));
      expect([label, Object.keys(landed.params).sort()]).toEqual([label, ['connect_code', 'connector_id']]);
      expect(landed.url.startsWith(`${app.origin}/`)).toBe(true);

      const code = landed.params.connect_code ?? '';
      const shown = await completeConnection(service, await headers(attacker), code);
      expect([label, field(shown, 'completeConnection').__typename]).toEqual([label, refusal]);

      // burnt for everybody, the one who began included; and the callback does not work twice, with the attacker's cookie neither
      if (refusal === 'FlowMismatchError') {
        const again = await completeConnection(service, await app.user(attacker), code);
        expect([label, field(again, 'completeConnection').__typename]).toEqual([label, 'FlowExpiredError']);
      }
      expect([label, (await pageOf(await begun.browser.open(service, back))).result]).toEqual([label, 'FLOW_EXPIRED']);
      for (const user of [await app.user(attacker), await app.user('victim'), await other.user(attacker)]) {
        const { status } = await connectionOf(service, user, connector.id);
        expect([label, status]).toEqual([label, 'NOT_CONNECTED']);
      }
    }
  }
  expect(provider.counts).toMatchObject({ authorization_code: 0, userinfo: 0 });
});

test('T1. what a victim’s browser posts (form_post) cannot be fetched by the attacker with the attacker’s own cookie', async () => {
  const { service, app, provider, connector } = await setStage();
  const tries = [{}, { held: '' }, { held: 'x'.repeat(43) }, { code: 'c' }];
  for (const extra of tries) {
    const begun = await startFlow(service, await app.browser('attacker'), connector.id);
    const back = await consentAt(begun.redirectUrl, { account: 'green' });
    const next = locationOf(await postCallback(service, back), back); // in the victim's browser, which then loses its way
    const query = new URLSearchParams({ state: begun.state, ...extra });
    const stolen = await begun.browser.open(service, `${app.origin}${new URL(back).pathname}?${query}`);
    expect([extra, returnOf(stolen).params]).toEqual([
      extra,
      { connector_id: connector.id, connection_error: 'FLOW_MISMATCH' },
    ]);
    expect(await pageOf(await createBrowser().open(service, next))).toMatchObject({ result: 'FLOW_EXPIRED' });
  }
  // the victim's browser itself only parks, as with a GET
  const begun = await startFlow(service, await app.browser('attacker'), connector.id);
  const back = await consentAt(begun.redirectUrl, { account: 'green' });
  const landed = returnOf(await createBrowser().open(service, locationOf(await postCallback(service, back), back)));
  const shown = await completeConnection(service, await app.user('victim'), landed.params.connect_code ?? '');
  expect(field(shown, 'completeConnection').__typename).toBe('FlowMismatchError');
  expect(provider.counts.authorization_code).toBe(0);
  expect(await connectionOf(service, await app.user('attacker'), connector.id)).toMatchObject({
    status: 'NOT_CONNECTED',
  });
});

test('T1. a cookie finishes its own flow and no other: neither guessed, emptied, nor another flow’s', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider, connector } = stage;
  const elsewhere = await addCustomConnector(service, workspace, {
    custom: { discovery: { issuer: provider.issuer } },
  });
  const user = await app.browser('one');
  const another = await startFlow(service, await app.browser('two'), connector.id);
  const ofOtherConnector = await startFlow(service, user, elsewhere);
  const valueOf = (flow: { browser: { cookies: Map<string, string> } }) => [...flow.browser.cookies.values()][0] ?? '';
  for (const value of [valueOf(another), valueOf(ofOtherConnector), '', 'x', 'null', 'undefined', '__proto__']) {
    const flow = await startFlow(service, user, connector.id);
    const [name = ''] = [...flow.browser.cookies.keys()];
    expect(valueOf(flow)).toHaveLength(43);
    flow.browser.cookies.set(name, value);
    const landed = returnOf(await flow.browser.open(service, await consentAt(flow.redirectUrl)));
    expect([value, Object.keys(landed.params).sort()]).toEqual([value, ['connect_code', 'connector_id']]);
  }
  // the value under another flow's name, and a flow whose start got no cookie
  const flow = await startFlow(service, user, connector.id);
  const renamed = createBrowser();
  renamed.cookies.set([...another.browser.cookies.keys()][0] ?? '', valueOf(flow));
  expect(returnOf(await renamed.open(service, await consentAt(flow.redirectUrl))).params.connect_code).toBeDefined();
  const byCode = await startFlow(service, await app.backend('one'), connector.id, {}, another.browser);
  expect(
    returnOf(await byCode.browser.open(service, await consentAt(byCode.redirectUrl))).params.connect_code,
  ).toBeDefined();
  expect(provider.counts.authorization_code).toBe(0);
});

test('T1. state and connect code are not good for each other, and a connect code is no one else’s after it was used', async () => {
  const { service, app, provider, connector } = await setStage();
  const user = await app.user('one');
  const flow = await startFlow(service, await app.backend('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  const byState = await completeConnection(service, user, flow.state);
  expect(field(byState, 'completeConnection').__typename).toBe('FlowExpiredError');
  const code = returnOf(await flow.browser.open(service, back)).params.connect_code ?? '';
  const asState = await createBrowser().open(service, withParams(back, { state: code }));
  expect(await pageOf(asState)).toMatchObject({ status: 400, result: 'FLOW_EXPIRED' });
  const completed = await completeConnection(service, user, code);
  expect(field(completed, 'completeConnection')).toMatchObject({ connection: { status: 'CONNECTED' } });
  for (const headers of [user, await app.user('two'), await app.backend('one')]) {
    const again = await completeConnection(service, headers, code);
    expect(field(again, 'completeConnection').__typename).toBe('FlowExpiredError');
  }
  expect(provider.counts.authorization_code).toBe(1);
  expect(await connectionOf(service, await app.user('two'), connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
});

test('T3. an attacker’s own code and connect code, opened in a victim’s session, give the victim nothing of the attacker’s', async () => {
  const { service, app, provider, connector } = await setStage();
  for (const start of [await app.browser('attacker'), await app.backend('attacker')]) {
    const own = await startFlow(service, start, connector.id);
    const back = await consentAt(own.redirectUrl, { account: 'green' });
    const victim = await startFlow(service, await app.browser('victim'), connector.id);
    const landed = returnOf(await victim.browser.open(service, back));
    const shown = await completeConnection(service, await app.browser('victim'), landed.params.connect_code ?? '');
    expect(field(shown, 'completeConnection').__typename).toBe('FlowMismatchError');

    // and with the victim's own state, which the attacker does not know, the code is worth nothing either: PKCE
    const code = new URL(back).searchParams.get('code');
    const injected = withParams(await consentAt(victim.redirectUrl, { account: 'blue' }), { code });
    expect(returnOf(await victim.browser.open(service, injected)).params.connection_error).toBe('FLOW_EXPIRED');
    expect(await connectionOf(service, await app.user('victim'), connector.id)).toMatchObject({
      status: 'NOT_CONNECTED',
      account: null,
    });
  }
  expect(provider.counts).toMatchObject({ authorization_code: 2, userinfo: 0 });
});
