import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { callbackPage } from '../../src/http/callback-page.ts';
import { DomainError, remedy } from '../../src/lib/domain-error.ts';
import { auditOf } from '../support/audit.ts';
import { newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { snapshotWith } from '../support/database.ts';
import {
  addTestConnector,
  createTestApp,
  field,
  operatorKey,
  startProvider,
  startService,
} from '../support/harness.ts';
import {
  completeConnection,
  connect,
  connectByCookie,
  connectionOf,
  createBrowser,
  disconnectAppUser,
  readToken,
  returnOf,
} from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { eventually } from '../support/scene.ts';
import {
  editConnector,
  gate,
  locationOf,
  pageOf,
  postCallback,
  type Stage,
  setStage,
  startFlow,
  withParams,
} from '../support/stage.ts';

const callbackPath = '/api/external-auth/callback';

async function tokenOf(stage: Stage, userId: string): Promise<string> {
  const answer = await readToken(stage.service, await stage.app.backend(userId), stage.connector.id);
  const { accessToken } = field<{ accessToken?: string }>(answer, 'currentAppUserConnection');
  if (accessToken === undefined) throw new Error(JSON.stringify(answer.data));
  return accessToken;
}

const grantsOf = (stage: Stage) => stage.provider.grants().map((grant) => grant.account.id);

const setPlan = (stage: Stage, plan: string) =>
  stage.service.graphql(
    `mutation ($input: SetWorkspacePlanInput!) { setWorkspacePlan(input: $input) { __typename } }`,
    { input: { workspaceId: stage.workspace.id, plan } },
    { authorization: `Bearer ${operatorKey}` },
  );

const remove = (stage: Stage, what: 'App' | 'Connector', id: string) =>
  stage.service.graphql(
    `mutation ($input: Delete${what}Input!) { delete${what}(input: $input) { __typename } }`,
    { input: { [what === 'App' ? 'appId' : 'connectorId']: id, confirm: true } },
    stage.workspace.owner,
  );

test('T4. fifty parallel GETs of one callback make exactly one token request', async () => {
  const { service, app, provider, connector } = await setStage();
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  const answers = await Promise.all(Array.from({ length: 50 }, () => flow.browser.open(service, back)));
  const finished = answers.filter((answer) => answer.status === 303);
  expect(finished.map((answer) => returnOf(answer).params.connection_status)).toEqual(['connected']);
  const refused = await Promise.all(answers.filter((answer) => answer.status !== 303).map(pageOf));
  expect(refused).toHaveLength(49);
  expect(new Set(refused.map(({ status, result }) => `${status} ${result}`))).toEqual(new Set(['400 FLOW_EXPIRED']));
  expect(provider.counts.authorization_code).toBe(1);

  const byCode = await startFlow(service, await app.backend('two'), connector.id);
  const parkedBack = await consentAt(byCode.redirectUrl);
  const parked = await Promise.all(Array.from({ length: 50 }, () => createBrowser().open(service, parkedBack)));
  expect(parked.filter((answer) => answer.status === 303)).toHaveLength(1);
  expect(provider.counts.authorization_code).toBe(1);
});

test('T4. a state is burnt by every outcome: success, denial, a wrong answer, a parked code', async () => {
  const { service, app, provider, connector } = await setStage();
  const outcomes: [string, Record<string, string | null>, 'cookie' | 'code'][] = [
    ['success', {}, 'cookie'],
    ['denial', { code: null, error: 'access_denied' }, 'cookie'],
    ['denial, parked', { code: null, error: 'access_denied' }, 'code'],
    ['no code', { code: null }, 'cookie'],
    ['no code, parked', { code: null }, 'code'],
    ['a code the provider never gave', { code: 'x' }, 'cookie'],
    ['a wrong iss', { iss: 'https://provider.example.com' }, 'cookie'],
    ['parked', {}, 'code'],
  ];
  for (const [outcome, changes, binding] of outcomes) {
    const headers = binding === 'cookie' ? await app.browser('one') : await app.backend('one');
    const flow = await startFlow(service, headers, connector.id);
    const back = await consentAt(flow.redirectUrl);
    expect([outcome, (await flow.browser.open(service, withParams(back, changes))).status]).toEqual([outcome, 303]);
    const tokenRequests = provider.counts.authorization_code;
    for (const replay of [back, withParams(back, changes)]) {
      expect([outcome, await pageOf(await flow.browser.open(service, replay))]).toMatchObject([
        outcome,
        { status: 400, result: 'FLOW_EXPIRED' },
      ]);
      expect([outcome, await pageOf(await postCallback(service, replay))]).toMatchObject([
        outcome,
        { result: 'FLOW_EXPIRED' },
      ]);
    }
    expect([outcome, provider.counts.authorization_code]).toEqual([outcome, tokenRequests]);
  }
});

test('T4. whatever is done to two flows, in any order, each is exchanged at most once and only for the one who began', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const act = fc.record({
    flow: fc.constantFrom(0, 1),
    what: fc.constantFrom('own GET', 'foreign GET', 'POST', 'next', 'deny', 'own code', 'foreign code', 'disconnect'),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 6, maxLength: 14, size: 'max' }), async (acts) => {
      run += 1;
      const owner = `owner-${run}`;
      const before = provider.counts.authorization_code;
      const flows = [
        await startFlow(service, await app.browser(owner), connector.id),
        await startFlow(service, await app.backend(owner), connector.id),
      ];
      const backs = await Promise.all(flows.map(({ redirectUrl }) => consentAt(redirectUrl)));
      const codes = ['', ''];
      const next = ['', ''];
      for (const { flow: at, what } of acts) {
        const [flow, back = ''] = [flows[at], backs[at]];
        if (!flow) throw new Error('there are two flows');
        const asked = provider.counts.authorization_code;
        let response: Response | null = null;
        if (what === 'own GET') response = await flow.browser.open(service, back);
        if (what === 'foreign GET') response = await createBrowser().open(service, back);
        if (what === 'deny') {
          response = await flow.browser.open(service, withParams(back, { code: null, error: 'access_denied' }));
        }
        if (what === 'next' && next[at]) response = await flow.browser.open(service, next[at] ?? '');
        if (what === 'POST') {
          const posted = await postCallback(service, back);
          if (posted.status === 303) next[at] = locationOf(posted, back);
        }
        if (what === 'own code') await completeConnection(service, await app.user(owner), codes[at] ?? '');
        if (what === 'foreign code') await completeConnection(service, await app.user('foreign'), codes[at] ?? '');
        if (what === 'disconnect') await disconnectAppUser(service, await app.user(owner), connector.id);
        const mayExchange = ['own GET', 'next', 'own code'].includes(what);
        expect([what, provider.counts.authorization_code - asked]).toEqual([
          what,
          mayExchange ? expect.any(Number) : 0,
        ]);
        if (response?.status === 303) codes[at] = returnOf(response).params.connect_code ?? codes[at] ?? '';
      }
      expect(provider.counts.authorization_code - before).toBeLessThanOrEqual(2);
      expect(await connectionOf(service, await app.user('foreign'), connector.id)).toMatchObject({
        status: 'NOT_CONNECTED',
      });
      // what is left of each flow is one try at most
      const left = provider.counts.authorization_code;
      for (const [at, back] of backs.entries()) {
        await flows[at]?.browser.open(service, back);
        await flows[at]?.browser.open(service, back);
      }
      expect(provider.counts.authorization_code - left).toBeLessThanOrEqual(1);
      expect(provider.counts.authorization_code - before).toBeLessThanOrEqual(2);
    }),
    { numRuns: 12 },
  );
});

test('T24. callbacks that belong to no flow write nothing at all', async () => {
  const tables = ['pending_flow', 'connection', 'credential', 'outbox_item', 'connector', 'app', 'workspace'];
  const snapshot = await snapshotWith(`
    CREATE FUNCTION refuse_when_armed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF EXISTS (SELECT 1 FROM app WHERE name = 'armed') THEN RAISE EXCEPTION 'a write'; END IF;
      RETURN COALESCE(NEW, OLD);
    END $$;
    ${tables
      .map(
        (table) =>
          `CREATE TRIGGER refuse_when_armed BEFORE INSERT OR UPDATE OR DELETE ON "${table}" FOR EACH ROW EXECUTE FUNCTION refuse_when_armed();`,
      )
      .join('\n')}`);
  const stage = await setStage({ overrides: { snapshot } });
  const { service, workspace, app, connector } = stage;
  const open = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(open.redirectUrl);
  const armed = await service.graphql(
    `mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }`,
    { input: { appId: app.id, name: 'armed' } },
    workspace.owner,
  );
  expect(field(armed, 'editApp').__typename).toBe('EditAppPayload');

  const name = fc.constantFrom('state', 'code', 'error', 'iss', 'held', 'connect_code', 'x');
  const params = fc.array(fc.tuple(name, fc.string({ maxLength: 60 })), { maxLength: 6 });
  const where = fc.constantFrom('', `/${connector.id}`, '/x');
  await fc.assert(
    fc.asyncProperty(params, where, fc.boolean(), async (entries, path, post) => {
      const url = `${app.origin}${callbackPath}${path}?${new URLSearchParams(entries)}`;
      const response = post ? await postCallback(service, url) : await open.browser.open(service, url);
      expect(await pageOf(response)).toMatchObject({ status: 400, result: 'FLOW_EXPIRED' });
    }),
    { numRuns: 200 },
  );
  for (const state of [open.state.toLowerCase(), `${open.state}A`, open.state.slice(1), ` ${open.state}`]) {
    expect(await pageOf(await open.browser.open(service, withParams(back, { state })))).toMatchObject({ status: 400 });
  }
  expect(service.logs.filter((line) => line.includes('a write'))).toEqual([]);
  // the same database does refuse a write: that of a callback which belongs to a flow
  expect((await open.browser.open(service, back)).status).toBe(500);
});

test('54. a callback without a usable state gets the service’s own page: sentences of ours, nothing kept, nothing reflected', async () => {
  const { service, app, connector } = await setStage();
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const canary = `canary"><img src=x onerror=alert(1)>`;
  const encoded = encodeURIComponent(canary);
  const queries = [
    '',
    '?',
    '?code=c',
    '?state=',
    '?state=unknown&code=c',
    `?state=${flow.state}&state=${flow.state}&code=c`,
    `?state=${flow.state}&state=other&code=c`,
    `?state=${'s'.repeat(513)}&code=c`,
    `?state[]=${flow.state}&code=c`,
    `?State=${flow.state}&code=c`,
    `?state=${encoded}&code=${encoded}&error=${encoded}&error_description=${encoded}&error_uri=${encoded}&x=${encoded}`,
  ];
  for (const query of queries) {
    const response = await flow.browser.open(service, `${app.origin}${callbackPath}/${connector.id}${query}`);
    const { headers } = response;
    const { status, result, html } = await pageOf(response);
    expect([query, status, result]).toEqual([query, 400, 'FLOW_EXPIRED']);
    expect(html).not.toContain('canary');
    expect(html).toContain('This connect link has expired or was used before.');
    expect(html).toContain('<li>Press Connect again.</li>');
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.getSetCookie()).toEqual([]);

    const policy = headers.get('content-security-policy') ?? '';
    const directives = Object.fromEntries(policy.split('; ').map((directive) => directive.split(/ (.*)/, 2)));
    const hashOf = (tag: string) => {
      const text = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html)?.[1] ?? '';
      return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    };
    expect(directives).toEqual({
      'default-src': "'none'",
      'style-src': hashOf('style'),
      'script-src': hashOf('script'),
      'frame-ancestors': "'none'",
      'base-uri': "'none'",
      'form-action': "'none'",
    });
  }
  // none of them used the state up
  const { params } = returnOf(await flow.browser.open(service, await consentAt(flow.redirectUrl)));
  expect(params.connection_status).toBe('connected');
});

test('54. the page escapes whatever a sentence may hold', async () => {
  class OddError extends DomainError {
    readonly code = 'A"B<C';
  }
  const error = new OddError(`<b>"it's" & more</b>`, { remedy: remedy('USER', '<i>one</i>') });
  const html = await callbackPage({ error, openers: [] }, null, {}).text();
  expect(html).toContain('<p>&lt;b&gt;&quot;it&#39;s&quot; &amp; more&lt;/b&gt;</p>');
  expect(html).toContain('<li>&lt;i&gt;one&lt;/i&gt;</li>');
  expect(html).toContain('<body data-status="A&quot;B&lt;C">');
});

test('54. the callback answers GET and POST only, and no other method uses a state up', async () => {
  const { service, app, connector } = await setStage();
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  const cookie = [...flow.browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  for (const method of ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE']) {
    const response = await service.app.fetch(new Request(back, { method, headers: { cookie } }));
    expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, 'GET, POST']);
  }
  for (const path of [`${callbackPath}/`, `${callbackPath}/a/b`, `${callbackPath}/%2e%2e`, `/x${callbackPath}`]) {
    const url = `${app.origin}${path}${new URL(back).search}`;
    expect([path, (await flow.browser.open(service, url)).status]).toEqual([path, 404]);
  }
  expect(returnOf(await flow.browser.open(service, back)).params.connection_status).toBe('connected');
});

const providerErrors: [string, string][] = [
  ['access_denied', 'CONSENT_DENIED'],
  ['user_cancelled_login', 'CONSENT_DENIED'],
  ['user_cancelled_authorize', 'CONSENT_DENIED'],
  ['login_required', 'CONSENT_DENIED'],
  ['consent_required', 'CONSENT_DENIED'],
  ['interaction_required', 'CONSENT_DENIED'],
  ['account_selection_required', 'CONSENT_DENIED'],
  ['invalid_scope', 'INVALID_SCOPE'],
  ['invalid_client', 'INVALID_CLIENT'],
  ['unauthorized_client', 'INVALID_CLIENT'],
  ['redirect_uri_mismatch', 'REDIRECT_URI_MISMATCH'],
  ['org_internal', 'PROVIDER_TESTING_MODE'],
  ['admin_policy_enforced', 'PROVIDER_TESTING_MODE'],
  ['server_error', 'PROVIDER_UNAVAILABLE'],
  ['temporarily_unavailable', 'PROVIDER_UNAVAILABLE'],
  ['invalid_request', 'PROVIDER_UNAVAILABLE'],
  ['unsupported_response_type', 'PROVIDER_UNAVAILABLE'],
  ['something_else', 'PROVIDER_UNAVAILABLE'],
  ['<script>alert(1)</script>', 'PROVIDER_UNAVAILABLE'],
  ['constructor', 'PROVIDER_UNAVAILABLE'],
];

test('54. each error that a provider sends back is its own code, and no word of the provider is passed on', async () => {
  const origins = [{ kind: 'PREVIEW', origin: 'https://preview.example.com' }];
  const stage = await setStage({ origins });
  const { service, app, provider, connector } = stage;
  const canary = 'canary<b>';
  const browser = await app.browser('one', 'https://preview.example.com');
  for (const [error, code] of providerErrors) {
    for (const [binding, headers] of [
      ['COOKIE', browser],
      ['CODE', await app.backend('one')],
    ] as const) {
      const sent = { error, error_description: canary, error_uri: `https://canary.example.com/` };
      const query = new URLSearchParams({ ...sent, iss: provider.issuer });
      const answerTo = async (returnTo?: string) => {
        const origin = 'https://preview.example.com';
        const input = { origin, ...(returnTo !== undefined && { returnTo }) };
        const flow = await startFlow(service, headers, connector.id, input);
        expect(flow.binding).toBe(binding);
        query.set('state', flow.state);
        return flow.browser.open(service, `${origin}${callbackPath}/${connector.id}?${query}`);
      };
      const sentBack = await answerTo('/settings');
      expect([error, binding, returnOf(sentBack)]).toEqual([
        error,
        binding,
        {
          url: `https://preview.example.com/settings?connector_id=${connector.id}&connection_error=${code}`,
          params: { connector_id: connector.id, connection_error: code },
        },
      ]);
      expect(await sentBack.text()).toBe('');
      if (binding === 'CODE') continue; // needs a page of the app to end on
      const page = await pageOf(await answerTo());
      expect([error, binding, page.status, page.result]).toEqual([error, binding, 400, code]);
      expect(page.html).not.toMatch(/canary|alert\(1\)/);
      expect(page.html).not.toMatch(/is kept|Repeat what you did/);
      expect(page.html).toMatch(
        /<div><p>[A-Z][^<]+\.<\/p><\/div>[^]*<h2>What to do<\/h2>[^]*<ol role="list"><li>[A-Z]/,
      );
    }
  }
  expect(service.logs.join('\n')).not.toMatch(/canary|alert\(1\)/);
  expect(provider.counts.authorization_code).toBe(0);
  expect(await connectionOf(service, browser, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
});

async function setAvailable({ service, workspace }: Stage, available: boolean): Promise<void> {
  const set = await service.graphql(
    `mutation ($input: SetProviderAvailabilityInput!) { setProviderAvailability(input: $input) { __typename } }`,
    { input: { workspaceId: workspace.id, providerKey: 'custom', kind: 'APP_USER', available, confirm: true } },
    workspace.owner,
  );
  expect(field(set, 'setProviderAvailability').__typename).toBe('SetProviderAvailabilityPayload');
}

test('54. a connector deleted or changed while the user is at the provider ends the flow, typed, before the provider is asked', async () => {
  const stage = await setStage();
  const { service, workspace, provider } = stage;
  const cases: [string, (at: Stage) => Promise<unknown>, string, string][] = [
    ['scopes edited', (at) => editConnector(at, { scopes: ['openid'] }), 'FLOW_EXPIRED', 'FlowExpiredError'],
    ['client edited', (at) => editConnector(at, { clientId: 'other' }), 'FLOW_EXPIRED', 'FlowExpiredError'],
    ['connector deleted', (at) => remove(at, 'Connector', at.connector.id), 'NOT_FOUND', 'NotFoundError'],
    ['app deleted', (at) => remove(at, 'App', at.app.id), 'FLOW_EXPIRED', 'UnauthenticatedError'],
    ['plan lowered', (at) => setPlan(at, 'STARTER'), 'PLAN_REQUIRED', 'PlanRequiredError'],
  ];
  for (const [index, [label, change, code, typename]] of cases.entries()) {
    const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: `https://app${index}.example.com` }]);
    const at = { ...stage, app, connector: await addTestConnector(service, workspace, provider) };
    const { connector } = at;
    const byCookie = await startFlow(service, await app.browser('one'), connector.id);
    const back = await consentAt(byCookie.redirectUrl);
    const toPark = await startFlow(service, await app.backend('one'), connector.id);
    const toParkBack = await consentAt(toPark.redirectUrl);
    const parked = await startFlow(service, await app.backend('one'), connector.id);
    const landed = returnOf(await parked.browser.open(service, await consentAt(parked.redirectUrl)));
    const user = await app.user('one');

    await change(at);
    // an app that is gone has no page to go back to: the service's own shows how it ended
    const ending = async (response: Response) =>
      label === 'app deleted' ? (await pageOf(response)).result : returnOf(response).params;
    const failed = label === 'app deleted' ? code : { connector_id: connector.id, connection_error: code };
    expect([label, await ending(await byCookie.browser.open(service, back))]).toEqual([label, failed]);
    expect([label, await ending(await toPark.browser.open(service, toParkBack))]).toEqual([label, failed]);
    const completed = await completeConnection(service, user, landed.params.connect_code ?? '');
    expect([label, field(completed, 'completeConnection').__typename]).toEqual([label, typename]);
  }
  expect(provider.counts.authorization_code).toBe(0);
});

test('54. an edit that concerns no grant (name, secret), or that was put back, does not disturb a flow', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  provider.changeClientSecret('another-secret-of-the-tests', connector.clientId);
  await editConnector(stage, { name: 'Renamed', clientSecret: 'another-secret-of-the-tests' });
  await editConnector(stage, { scopes: ['openid'] });
  await editConnector(stage, { scopes: ['calendar.read', 'email', 'openid'] });
  await setPlan(stage, 'FREE');
  await setPlan(stage, 'BUILDER');
  expect(returnOf(await flow.browser.open(service, back)).params.connection_status).toBe('connected');
});

test('54. a connector or app that goes or changes during the exchange itself leaves no connection, and no grant behind', async () => {
  const stage = await setStage();
  await setPlan(stage, 'ENTERPRISE');
  const { service, workspace, provider } = stage;
  const cases: [string, (at: Stage) => Promise<unknown>, string][] = [
    ['scopes edited', (at) => editConnector(at, { scopes: ['openid'] }), 'FLOW_EXPIRED'],
    ['connector deleted', (at) => remove(at, 'Connector', at.connector.id), 'NOT_FOUND'],
    ['app deleted', (at) => remove(at, 'App', at.app.id), 'FLOW_EXPIRED'],
    ['plan lowered', (at) => setPlan(at, 'STARTER'), 'PLAN_REQUIRED'],
    ['switched off', (at) => setAvailable(at, false), 'CONNECTOR_DISABLED'],
  ];
  for (const [index, [label, change, code]] of cases.entries()) {
    const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: `https://app${index}.example.com` }]);
    const at = { ...stage, app, connector: await addTestConnector(service, workspace, provider) };
    const held = gate();
    const stop = provider.around(async (ctx, next) => {
      await next();
      if (ctx.path === '/token') await held.wait();
    });
    const finishing = connect(service, await app.browser('one'), at.connector.id);
    await held.reached;
    expect([label, grantsOf(at)]).toEqual([label, ['blue']]);
    await change(at);
    held.open();
    expect([label, returnOf((await finishing).response).params]).toEqual([
      label,
      { connector_id: at.connector.id, connection_error: code },
    ]);
    stop();
    await expect.poll(() => grantsOf(at), { timeout: 5_000 }).toEqual([]);
    await setPlan(at, 'ENTERPRISE');
    const [failed] = (await auditOf(service, workspace, { first: 1, filter: { acts: ['CONNECT_FAILED'] } })).rows;
    expect([label, failed]).toMatchObject([label, { outcome: code, connectorId: at.connector.id }]);
  }
});

test('50. a provider switched off during an exchange does not cost the user the grant that they had before', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id);
  const token = await tokenOf(stage, 'one');
  await setPlan(stage, 'ENTERPRISE');
  const held = gate();
  const stop = provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') await held.wait();
  });
  const finishing = connect(service, user, connector.id);
  await held.reached;
  await setAvailable(stage, false);
  held.open();
  stop();
  expect(returnOf((await finishing).response).params.connection_error).toBe('CONNECTOR_DISABLED');
  await setAvailable(stage, true);
  expect(await tokenOf(stage, 'one')).toBe(token);
  service.clock.advance(3_601_000);
  expect(await tokenOf(stage, 'one')).not.toBe(token);

  await disconnectAppUser(service, await app.user('one'), connector.id); // with it goes what was held back for its sake
  await expect.poll(() => grantsOf(stage), { timeout: 5_000 }).toEqual([]);
});

test('54. a client edited during the exchange never sees the tokens of the one before it', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const next = await startProvider();
  const [redirectUri] = connector.redirectUris;
  const client = next.registerClient({ name: 'Next', redirectUris: [redirectUri?.uri ?? ''] });
  const held = gate();
  const stop = provider.around(async (ctx, proceed) => {
    await proceed();
    if (ctx.path === '/token') await held.wait();
  });
  const finishing = connect(service, await app.browser('one'), connector.id);
  await held.reached;
  await editConnector(stage, { ...client, custom: { discovery: { issuer: next.issuer } } });
  held.open();
  stop();
  expect(returnOf((await finishing).response).params.connection_error).toBe('FLOW_EXPIRED');

  // a revocation that is due at the new provider shows that the background work has come past
  await connectByCookie(service, await app.browser('two'), connector.id);
  await disconnectAppUser(service, await app.user('two'), connector.id);
  await expect.poll(() => next.counts.revocation, { timeout: 5_000 }).toBe(1);
  await service.app.stop();
  expect(next.counts.revocation).toBe(1);
  expect(provider.counts.revocation).toBe(0);
});

test('54. a provider that fails during the exchange is told apart, and leaves user and connection as before', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id, { account: 'blue' });
  const [connection, token] = [await connectionOf(service, user, connector.id), await tokenOf(stage, 'one')];
  const answers: [string, (res: ServerResponse) => void, string][] = [
    ['503', (res) => res.writeHead(503).end('<h1>canary</h1>'), 'PROVIDER_UNAVAILABLE'],
    ['429', (res) => res.writeHead(429, { 'retry-after': '7' }).end('{}'), 'PROVIDER_UNAVAILABLE'],
    ['no answer', (res) => res.destroy(), 'PROVIDER_UNAVAILABLE'],
    [
      'half an answer',
      (res) => res.writeHead(200, { 'content-length': '99' }).write('{', () => res.destroy()),
      'PROVIDER_UNAVAILABLE',
    ],
    ['a login page', (res) => res.writeHead(200).end('<html>canary'), 'PROVIDER_UNAVAILABLE'],
    [
      'a redirect',
      (res) => res.writeHead(302, { location: 'https://canary.example.com' }).end(),
      'PROVIDER_UNAVAILABLE',
    ],
    ['no token', (res) => res.writeHead(200).end('{"access_token":""}'), 'PROVIDER_UNAVAILABLE'],
    [
      'invalid_grant',
      (res) => res.writeHead(400).end('{"error":"invalid_grant","error_description":"canary"}'),
      'FLOW_EXPIRED',
    ],
    ['invalid_client', (res) => res.writeHead(401).end('{"error":"invalid_client"}'), 'INVALID_CLIENT'],
    ['invalid_scope', (res) => res.writeHead(400).end('{"error":"invalid_scope"}'), 'INVALID_SCOPE'],
    ['redirect URI', (res) => res.writeHead(400).end('{"error":"redirect_uri_mismatch"}'), 'REDIRECT_URI_MISMATCH'],
  ];
  const typenames: Record<string, string> = {
    PROVIDER_UNAVAILABLE: 'ProviderUnavailableError',
    FLOW_EXPIRED: 'FlowExpiredError',
    INVALID_CLIENT: 'InvalidClientError',
    INVALID_SCOPE: 'InvalidScopeError',
    REDIRECT_URI_MISMATCH: 'RedirectUriMismatchError',
  };
  const nothingConnected = (label: string) => {
    const again = `ress Connect again in ${label === '429' ? 7 : 30} seconds.`;
    const steps = ['Wait until the provider answers again.', `P${again}`];
    return {
      message: `The provider cannot be used right now. Nothing was connected; p${again}`,
      remedy: { actor: 'PROVIDER', steps },
    };
  };
  for (const [label, answer, code] of answers) {
    const stop = provider.around(async (ctx, next) => {
      if (ctx.path !== '/token') return next();
      ctx.respond = false;
      answer(ctx.res);
    });
    const { response } = await connect(service, user, connector.id, { account: 'green' });
    expect([label, returnOf(response).params]).toEqual([label, { connector_id: connector.id, connection_error: code }]);
    const parked = returnOf((await connect(service, await app.backend('one'), connector.id)).response);
    const completed = await completeConnection(service, await app.user('one'), parked.params.connect_code ?? '');
    expect([label, field(completed, 'completeConnection')]).toMatchObject([
      label,
      { __typename: typenames[code], code, ...(code === 'PROVIDER_UNAVAILABLE' && nothingConnected(label)) },
    ]);
    expect(JSON.stringify(completed.data)).not.toContain('canary');
    stop();
    expect([label, await connectionOf(service, user, connector.id)]).toEqual([label, connection]);
    expect(await tokenOf(stage, 'one')).toBe(token);
  }
  expect(service.logs.join('\n')).not.toContain('canary');
  expect(provider.counts.revocation).toBe(0);
  await connectByCookie(service, user, connector.id, { account: 'green' });
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ account: { id: 'green' } });
});

test('54. keys that cannot be fetched connect nobody, and an account that cannot be asked for costs no connection', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const failing = (path: string) =>
    provider.around(async (ctx, next) => {
      if (ctx.path !== path) return next();
      ctx.status = 503;
      ctx.body = 'down';
    });
  const user = await app.browser('one');
  const stop = failing('/jwks');
  expect(returnOf((await connect(service, user, connector.id)).response).params.connection_error).toBe(
    'PROVIDER_UNAVAILABLE',
  );
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  await expect.poll(() => grantsOf(stage), eventually).toEqual([]); // nobody holds its tokens
  stop();

  failing('/me');
  await editConnector(stage, { scopes: ['calendar.read'] });
  expect(returnOf((await connect(service, user, connector.id)).response).params.connection_status).toBe('connected');
  expect(await connectionOf(service, user, connector.id)).toMatchObject({
    status: 'CONNECTED',
    account: { id: null, email: null },
  });
});

test('26. tokens that no key opens any more do not keep a user from connecting again', async () => {
  const keys = { ENCRYPTION_KEYS: newKey('one') };
  const disk = await startServiceOnDisk(keys);
  const { app, provider, connector } = await setStage({ service: disk.service });
  await connectByCookie(disk.service, await app.browser('one'), connector.id);
  const [snapshot] = await disk.stopAndDump((database) =>
    database.exec(`UPDATE credential SET "accessTokenSealed" = "refreshTokenSealed"`),
  );

  const service = await startService(keys, { snapshot });
  const { response } = await connect(service, await app.browser('one'), connector.id);
  expect(returnOf(response).params.connection_status).toBe('connected');
  const answer = await readToken(service, await app.backend('one'), connector.id);
  expect(field(answer, 'currentAppUserConnection').__typename).toBe('CurrentAppUserConnection');
  expect(service.logs.join('\n')).toContain('cannot be opened to be revoked');
  expect(provider.counts.authorization_code).toBe(2);
});

test('54. nothing that passes through the callback is logged: no state, code, cookie or connect code', async () => {
  const { service, app, provider, connector } = await setStage();
  const { url } = await service.app.listen();
  const secrets: string[] = [];
  for (const headers of [await app.browser('one'), await app.backend('one')]) {
    for (const fails of [false, true]) {
      const stop = provider.around(async (ctx, next) => {
        if (fails && ctx.path === '/token') ctx.status = 500;
        else await next();
      });
      const flow = await startFlow(service, headers, connector.id);
      const back = new URL(await consentAt(flow.redirectUrl));
      const cookie = [...flow.browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      secrets.push(flow.state, back.searchParams.get('code') ?? '', ...flow.browser.cookies.values());
      const response = await fetch(url + back.pathname + back.search, { redirect: 'manual', headers: { cookie } });
      const code = returnOf(response).params.connect_code;
      if (code !== undefined) {
        secrets.push(code);
        await completeConnection(service, await app.user('one'), code);
      }
      stop();
    }
  }
  const logged = service.logs.join('\n');
  expect(logged).toContain(`"path":"${callbackPath}/${connector.id}"`);
  expect(secrets.length).toBe(4 * 2 + 2 + 2);
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(20);
    expect(logged).not.toContain(secret);
  }
});

test('24. over a real socket a form_post comes back with its cookie, and a body too large is answered with the page, and not read to its end', async () => {
  const { service, app, connector } = await setStage();
  const { url } = await service.app.listen();
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = new URL(await consentAt(flow.redirectUrl));
  const init = { method: 'POST', redirect: 'manual', duplex: 'half' } as const;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  // of a known length, and in chunks; as much as is read to its end, and more
  for (const size of [32_769, 100_000, 1_000_000, 3_000_000]) {
    const bytes = new Uint8Array(size).fill(120);
    for (const body of [bytes, new Blob([bytes]).stream()]) {
      const page = await pageOf(await fetch(url + back.pathname, { ...init, headers, body }));
      expect([size, page]).toMatchObject([size, { status: 400, result: 'FLOW_MISMATCH' }]);
      expect(page.html).toContain('is too large to be one. Nothing was connected.');
      expect(page.html).toContain('Press Connect again.');
    }
  }
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 65_536;
      if (sent > 64 * 1024 * 1024) controller.close();
      else controller.enqueue(new Uint8Array(65_536).fill(120));
    },
  });
  const flooded = await fetch(url + back.pathname, { ...init, headers, body: endless }).catch(() => null);
  if (flooded) expect(flooded.status).toBe(400);
  expect(sent).toBeLessThan(64 * 1024 * 1024);

  const posted = await fetch(url + back.pathname, { ...init, headers, body: back.searchParams.toString() });
  expect(posted.status).toBe(303);
  const cookie = [...flow.browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const next = locationOf(posted, url);
  expect(new URL(next).origin).toBe(url);
  const finished = await fetch(next, { redirect: 'manual', headers: { cookie } });
  expect(returnOf(finished).params.connection_status).toBe('connected');
});
