import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256Hex } from '../../src/lib/secret.ts';
import { everyRow, startServiceOnDisk } from '../support/at-rest.ts';
import { snapshotWith } from '../support/database.ts';
import { auditOf } from '../support/audit.ts';
import { createTestApp, field } from '../support/harness.ts';
import {
  completeConnection,
  connect,
  connectAppUser,
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

const minute = 60_000;

/** The user's access token as the backend gets it; fails where there is none. */
async function tokenOf(stage: Stage, userId: string, app = stage.app): Promise<string> {
  const answer = await readToken(stage.service, await app.backend(userId), stage.connector.id);
  const { accessToken } = field<{ accessToken?: string }>(answer, 'currentAppUserConnection');
  if (accessToken === undefined) throw new Error(JSON.stringify(answer.data));
  return accessToken;
}

/** Whose calendar the provider's API answers a token with; its refusal as a status. */
async function calendarOf(stage: Stage, accessToken: string): Promise<string | number> {
  const answer = await fetch(stage.provider.eventsUrl, { headers: { authorization: `Bearer ${accessToken}` } });
  return answer.status === 200 ? ((await answer.json()) as { account: string }).account : answer.status;
}

const grantsOf = (stage: Stage) => stage.provider.grants().map((grant) => grant.account.id);

test('21. connectAppUser answers a URL made from the stored connector alone, and takes no scopes, client or provider', async () => {
  const stage = await setStage({ scopes: ['calendar.read', 'openid', 'email'] });
  const { service, app, provider, connector } = stage;
  const answer = await connectAppUser(service, await app.browser('one'), { connectorId: connector.id });
  expect(answer.status).toBe(200);
  const started = field<{ redirectUrl: string }>(answer, 'connectAppUser');
  const url = new URL(started.redirectUrl);
  expect(url.origin + url.pathname).toBe(`${provider.issuer}/auth`);
  expect(Object.fromEntries(url.searchParams)).toEqual({
    response_type: 'code',
    client_id: connector.clientId,
    redirect_uri: `${app.origin}/api/external-auth/callback/${connector.id}`,
    scope: 'calendar.read openid email',
    state: expect.any(String),
    nonce: expect.any(String),
    code_challenge: expect.any(String),
    code_challenge_method: 'S256',
  });
  expect(started).toMatchObject({ connection: { status: 'NOT_CONNECTED' } });
  expect(provider.counts).toMatchObject({ authorization_code: 0, userinfo: 0 });
  for (const input of [{ scopes: ['calendar.write'] }, { clientId: 'other' }, { providerKey: 'github' }]) {
    const refused = await connectAppUser(service, await app.browser('one'), { connectorId: connector.id, ...input });
    expect([input, refused.data, refused.errors[0]?.message]).toEqual([
      input,
      null,
      expect.stringContaining('is not defined by type "ConnectAppUserInput"'),
    ]);
  }
});

test('22. state and nonce are 256 random bits, PKCE is S256, and no two flows share any of them', async () => {
  const { service, app, connector } = await setStage();
  const user = await app.browser('one');
  const flows = await Promise.all(Array.from({ length: 20 }, () => startFlow(service, user, connector.id)));
  for (const name of ['state', 'nonce', 'code_challenge']) {
    const values = flows.map(({ redirectUrl }) => new URL(redirectUrl).searchParams.get(name) ?? '');
    expect(new Set(values).size).toBe(20);
    for (const value of values) {
      expect(value).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(Buffer.from(value, 'base64url')).toHaveLength(32);
    }
  }
});

test('22. the code verifier that reaches the provider hashes to the challenge of its own flow', async () => {
  const { service, app, provider, connector } = await setStage();
  const verifiers: string[] = [];
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') verifiers.push(String(ctx.oidc.body?.code_verifier));
  });
  const { started } = await connect(service, await app.browser('one'), connector.id);
  const challenge = new URL(started.redirectUrl).searchParams.get('code_challenge');
  expect(verifiers.map((verifier) => createHash('sha256').update(verifier).digest('base64url'))).toEqual([challenge]);
});

test('22. a nonce is sent where openid is asked for, and only there', async () => {
  const stage = await setStage();
  const nonce = async () => {
    const flow = await startFlow(stage.service, await stage.app.browser('one'), stage.connector.id);
    return new URL(flow.redirectUrl).searchParams.get('nonce');
  };
  expect(await nonce()).not.toBeNull();
  await editConnector(stage, { scopes: ['calendar.read'] });
  expect(await nonce()).toBeNull();
});

test('22. at rest there are hashes of state, cookie and connect code, and no code, verifier or token in the clear', async () => {
  const disk = await startServiceOnDisk();
  const stage = await setStage({ service: disk.service });
  const { service, app, provider, connector } = stage;
  const verifiers: string[] = [];
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token') verifiers.push(String(ctx.oidc.body?.code_verifier));
  });
  await connectByCookie(service, await app.browser('one'), connector.id);
  const token = await tokenOf(stage, 'one');
  const open = await startFlow(service, await app.browser('two'), connector.id);
  const parked = await startFlow(service, await app.backend('three'), connector.id);
  const back = await consentAt(parked.redirectUrl);
  const connectCode = returnOf(await parked.browser.open(service, back)).params.connect_code ?? '';
  const cookie = [...open.browser.cookies.values()][0] ?? '';

  let atRest = '';
  await disk.stopAndDump(async (database) => {
    atRest = (await everyRow(database)).map(({ text }) => text).join('\n');
  });
  for (const kept of [open.state, parked.state, cookie, connectCode]) {
    expect(kept).toHaveLength(43);
    expect(atRest).toContain(sha256Hex(kept));
    expect(atRest).not.toContain(kept);
  }
  const code = new URL(back).searchParams.get('code') ?? '';
  for (const secret of [code, token, connector.clientSecret, ...verifiers]) {
    expect(secret.length).toBeGreaterThan(20);
    expect(atRest).not.toContain(secret);
    expect(atRest).not.toContain(Buffer.from(secret).toString('base64url'));
  }
});

test('22. a flow may come back for ten minutes and not longer', async () => {
  const { service, app, provider, connector } = await setStage({ scopes: ['calendar.read'] });
  const user = await app.browser('one');
  const before = service.clock.now().getTime();
  const [early, late] = [await startFlow(service, user, connector.id), await startFlow(service, user, connector.id)];
  const lifetime = new Date(late.expiresAt).getTime() - before;
  expect(lifetime).toBeGreaterThanOrEqual(10 * minute);
  expect(lifetime).toBeLessThan(11 * minute);
  const [earlyBack, lateBack] = [await consentAt(early.redirectUrl), await consentAt(late.redirectUrl)];

  service.clock.advance(9.5 * minute);
  expect(returnOf(await early.browser.open(service, earlyBack)).params).toMatchObject({
    connection_status: 'connected',
  });
  service.clock.advance(new Date(late.expiresAt).getTime() - service.clock.now().getTime());
  expect(await pageOf(await late.browser.open(service, lateBack))).toMatchObject({
    status: 400,
    result: 'FLOW_EXPIRED',
  });
  expect(provider.counts.authorization_code).toBe(1);
});

test('22. an id_token with another nonce, and a code for another challenge, connect nobody', async () => {
  const stage = await setStage();
  const { service, app, connector } = stage;
  const user = await app.browser('one');
  const other = await startFlow(service, user, connector.id);
  const foreign = new URL(other.redirectUrl).searchParams;
  for (const [name, error] of [
    ['nonce', 'FLOW_MISMATCH'],
    ['code_challenge', 'FLOW_EXPIRED'],
  ] as const) {
    const flow = await startFlow(service, user, connector.id);
    const back = await consentAt(withParams(flow.redirectUrl, { [name]: foreign.get(name) }));
    const response = await flow.browser.open(service, back);
    expect([name, returnOf(response).params]).toEqual([name, { connector_id: connector.id, connection_error: error }]);
    expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED', account: null });
    if (name === 'nonce') await expect.poll(() => grantsOf(stage), eventually).toEqual([]); // nobody holds its tokens
  }
});

test('22. a refused id_token takes nothing from a connection on the same account, nor from another user of it', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const fail = async (userId: string, consent: { account?: 'green' } = {}) => {
    const user = await app.browser(userId);
    const flow = await startFlow(service, user, connector.id);
    const back = await consentAt(withParams(flow.redirectUrl, { nonce: 'another' }), consent);
    expect(returnOf(await flow.browser.open(service, back)).params.connection_error).toBe('FLOW_MISMATCH');
  };
  await connectByCookie(service, await app.browser('one'), connector.id);
  await fail('one');
  await fail('two');
  await fail('one', { account: 'green' }); // nobody stands on that account
  await expect.poll(() => provider.counts.revocation, eventually).toBe(1);
  expect(grantsOf(stage)).toEqual(['blue', 'blue', 'blue']);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
  await disconnectAppUser(service, await app.user('one'), connector.id);
  await expect.poll(() => grantsOf(stage), eventually).toEqual([]);
});

test('22. a callback whose iss is wrong, repeated or missing is refused before the provider is asked', async () => {
  const { service, app, provider, connector } = await setStage();
  const user = await app.browser('one');
  for (const iss of ['https://honest.example.com', `${provider.issuer}/`, '', null]) {
    const flow = await startFlow(service, user, connector.id);
    const response = await flow.browser.open(service, withParams(await consentAt(flow.redirectUrl), { iss }));
    expect([iss, returnOf(response).params.connection_error]).toEqual([iss, 'FLOW_MISMATCH']);
    const byCode = await startFlow(service, await app.backend('one'), connector.id);
    const parked = await byCode.browser.open(service, withParams(await consentAt(byCode.redirectUrl), { iss }));
    const completed = await completeConnection(service, user, returnOf(parked).params.connect_code ?? '');
    expect([iss, field(completed, 'completeConnection').__typename]).toEqual([iss, 'FlowMismatchError']);
  }
  const flow = await startFlow(service, user, connector.id);
  const twice = `${await consentAt(flow.redirectUrl)}&iss=${encodeURIComponent(provider.issuer)}`;
  expect(returnOf(await flow.browser.open(service, twice)).params.connection_error).toBe('FLOW_MISMATCH');
  expect(provider.counts.authorization_code).toBe(0);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
});

test('23. a redirect URL that somebody else is lured into opening connects nothing to anyone', async () => {
  const { service, app, provider, connector } = await setStage();
  const flow = await startFlow(service, await app.browser('attacker'), connector.id);
  const back = await consentAt(flow.redirectUrl, { account: 'green' });
  const elsewhere = returnOf(await createBrowser().open(service, back));
  const completed = await completeConnection(service, await app.browser('victim'), elsewhere.params.connect_code ?? '');
  expect(field(completed, 'completeConnection').__typename).toBe('FlowMismatchError');
  for (const who of ['attacker', 'victim']) {
    expect(await connectionOf(service, await app.user(who), connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  }
  expect(provider.counts.authorization_code).toBe(0);
});

test('24. the callback stores the tokens, the scopes granted and the account, and sends the browser to returnTo', async () => {
  const stage = await setStage();
  const { service, app, connector } = stage;
  const user = await app.browser('one');
  const begun = service.clock.now().getTime();
  const { response } = await connect(service, user, connector.id, {
    returnTo: '/settings?tab=2#list',
    account: 'green',
  });
  expect(response.status).toBe(303);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
  });
  expect(response.headers.get('location')).toBe(
    `${app.origin}/settings?tab=2&connector_id=${connector.id}&connection_status=connected#list`,
  );
  const connection = await connectionOf(service, user, connector.id);
  expect(connection).toMatchObject({
    status: 'CONNECTED',
    account: { id: 'green', email: 'green@example.com' },
    requestedScopes: ['openid', 'email', 'calendar.read'],
    grantedScopes: ['openid', 'email', 'calendar.read'],
    missingScopes: [],
    lastRefreshedAt: null,
  });
  expect(new Date(String(connection.connectedAt)).getTime()).toBeGreaterThanOrEqual(begun);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('green@example.com');
});

test('24. without a returnTo the browser comes back to the live origin, and results of an earlier flow are replaced', async () => {
  const { service, app, connector } = await setStage({
    origins: [
      { kind: 'LIVE', origin: 'https://app.example.com' },
      { kind: 'CUSTOM', origin: 'https://calendar.example.com' },
      { kind: 'PREVIEW', origin: 'https://preview.example.com' },
    ],
  });
  const custom = await app.browser('one', 'https://calendar.example.com');
  const landed = async (returnTo?: string, decision?: 'deny') => {
    const options = { ...(returnTo !== undefined && { returnTo }), ...(decision && { decision }) };
    return returnOf((await connect(service, custom, connector.id, options)).response).url;
  };
  const id = `connector_id=${connector.id}`;
  expect(await landed()).toBe(`https://app.example.com/?${id}&connection_status=connected`);
  expect(await landed('/a')).toBe(`https://calendar.example.com/a?${id}&connection_status=connected`);
  expect(await landed('https://preview.example.com/b')).toBe(
    `https://preview.example.com/b?${id}&connection_status=connected`,
  );
  const stale = '/a?connection_status=connected&connection_error=FLOW_EXPIRED&connect_code=old&connector_id=old&keep=1';
  expect(await landed(stale, 'deny')).toBe(
    `https://calendar.example.com/a?keep=1&${id}&connection_error=CONSENT_DENIED`,
  );
  expect(await landed(stale)).toBe(`https://calendar.example.com/a?keep=1&${id}&connection_status=connected`);
});

test('25. the binding is COOKIE for the browser on the callback’s own origin, and CODE for every other start', async () => {
  const origins = [
    { kind: 'LIVE', origin: 'https://app.example.com' },
    { kind: 'CUSTOM', origin: 'https://calendar.example.com' },
  ];
  const { service, app, connector } = await setStage({ origins });
  const user = await app.user('one');
  const page = (origin: string, site: string) => ({ ...user, origin, 'sec-fetch-site': site });
  const cases: [string, Record<string, string>, string | null, string, string][] = [
    ['same origin', page('https://app.example.com', 'same-origin'), null, 'app.example.com', 'COOKIE'],
    ['custom domain', page('https://calendar.example.com', 'same-origin'), null, 'calendar.example.com', 'COOKIE'],
    ['same site only', page('https://app.example.com', 'same-site'), null, 'app.example.com', 'CODE'],
    ['another site', page('https://app.example.com', 'cross-site'), null, 'app.example.com', 'CODE'],
    ['an older browser', { ...user, origin: 'https://app.example.com' }, null, 'app.example.com', 'CODE'],
    ['no origin', { ...user, 'sec-fetch-site': 'same-origin' }, null, 'app.example.com', 'CODE'],
    [
      'another origin named',
      page('https://app.example.com', 'same-origin'),
      'https://calendar.example.com',
      'calendar.example.com',
      'CODE',
    ],
    ['no browser', user, 'https://calendar.example.com', 'calendar.example.com', 'CODE'],
    ['a backend function', await app.backend('one'), null, 'app.example.com', 'CODE'],
  ];
  for (const [label, headers, origin, host, binding] of cases) {
    const flow = await startFlow(service, headers, connector.id, origin === null ? {} : { origin });
    const redirectUri = new URL(new URL(flow.redirectUrl).searchParams.get('redirect_uri') ?? '');
    expect([label, redirectUri.host, flow.binding, flow.cookies.length]).toEqual([
      label,
      host,
      binding,
      binding === 'COOKIE' ? 1 : 0,
    ]);
  }
});

test('25. the flow’s cookie is locked to its host, hidden from scripts, short-lived, and cleared by the callback', async () => {
  const { service, app, connector } = await setStage({
    origins: [
      { kind: 'LIVE', origin: 'https://app.example.com' },
      { kind: 'PREVIEW', origin: 'http://localhost:4321' },
    ],
  });
  const live = await startFlow(service, await app.browser('one'), connector.id);
  expect(live.cookies).toEqual([
    expect.stringMatching(
      /^__Host-connect-[0-9a-f-]{36}=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    ),
  ]);
  const local = await startFlow(service, await app.browser('one', 'http://localhost:4321'), connector.id);
  expect(local.cookies).toEqual([
    expect.stringMatching(/^connect-[0-9a-f-]{36}=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/),
  ]);
  for (const flow of [live, local]) {
    const response = await flow.browser.open(service, await consentAt(flow.redirectUrl));
    expect(returnOf(response).params.connection_status).toBe('connected');
    const [name = ''] = flow.cookies[0]?.split('=') ?? [];
    expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(new RegExp(`^${name}=; .*Max-Age=0;`))]);
    expect(flow.browser.cookies.size).toBe(0);
  }
});

test('25. an in-app browser that comes back in another browser finishes by connect code, for the person who began', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const flow = await startFlow(service, await app.browser('one'), connector.id, { returnTo: '/done' });
  expect(flow.binding).toBe('COOKIE');
  const systemBrowser = createBrowser();
  const landed = returnOf(await systemBrowser.open(service, await consentAt(flow.redirectUrl)));
  expect(landed.url).toBe(`${app.origin}/done?connector_id=${connector.id}&connect_code=${landed.params.connect_code}`);
  expect(landed.params.connect_code).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(provider.counts.authorization_code).toBe(0);
  expect(await connectionOf(service, await app.user('one'), connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });

  const completed = await completeConnection(service, await app.user('one'), landed.params.connect_code ?? '');
  expect(field(completed, 'completeConnection')).toMatchObject({
    __typename: 'CompleteConnectionPayload',
    connection: { status: 'CONNECTED', account: { id: 'blue', email: 'blue@example.com' } },
  });
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
});

test('25. a popup with no page to go to ends on the service’s own page, which tells its opener and closes', async () => {
  const origins = [{ kind: 'PREVIEW', origin: 'https://preview.example.com' }];
  const { service, app, connector } = await setStage({ origins });
  const preview = await app.browser('one', 'https://preview.example.com');
  const { started, response } = await connect(service, preview, connector.id);
  expect(started.binding).toBe('COOKIE');
  const { status, result, html } = await pageOf(response);
  expect([status, result]).toEqual([200, 'connected']);
  expect(html).toContain('window.opener.postMessage(');
  expect(html).toContain('window.close()');
  expect(await connectionOf(service, preview, connector.id)).toMatchObject({ status: 'CONNECTED' });

  const denied = await connect(service, preview, connector.id, { decision: 'deny' });
  expect(await pageOf(denied.response)).toMatchObject({ status: 400, result: 'CONSENT_DENIED' });
});

test('25. a flow that could end on no page of the app is refused before anybody goes to the provider', async () => {
  const previewOrigin = 'https://preview.example.com';
  const { service, app, connector } = await setStage({ origins: [{ kind: 'PREVIEW', origin: previewOrigin }] });
  const page = (origin: string, site: string) => ({ origin, 'sec-fetch-site': site });
  const { publicUrl } = service.config;
  const noOrigin = 'The app has no LIVE origin: give returnTo as a URL on one of its origins.';
  const noAddress = "returnTo is a path that begins with a single slash, or a URL on one of the app's own origins.";
  const backend = await app.backend('one');
  const user = await app.user('one');
  const cases: [Record<string, string>, { returnTo?: string; origin?: string }, string][] = [
    [backend, {}, noOrigin],
    [backend, { origin: previewOrigin }, noOrigin],
    [backend, { returnTo: '/done' }, noOrigin],
    [backend, { returnTo: '//evil.example' }, noAddress],
    [backend, { returnTo: 'https://evil.example' }, noAddress],
    [backend, { returnTo: `${previewOrigin}/done` }, 'CODE'],
    [backend, { returnTo: '/done', origin: previewOrigin }, 'CODE'],
    [{ ...user, ...page(publicUrl, 'cross-site') }, {}, noOrigin],
    [{ ...user, ...page(publicUrl, 'same-origin') }, { returnTo: '/done' }, noOrigin],
    [{ ...user, ...page(publicUrl, 'same-origin') }, {}, 'COOKIE'],
    [{ ...user, ...page(previewOrigin, 'same-origin') }, {}, 'COOKIE'],
  ];
  for (const [headers, input, expected] of cases) {
    const answer = field<{ binding?: string; fields?: unknown }>(
      await connectAppUser(service, headers, { connectorId: connector.id, ...input }),
      'connectAppUser',
    );
    const refused = [{ path: 'input.returnTo', message: expected }];
    const outcome = ['CODE', 'COOKIE'].includes(expected) ? expected : refused;
    expect([input, answer.binding ?? answer.fields]).toEqual([input, outcome]);
  }
  // with a LIVE origin there is always a page
  const live = await setStage({ service });
  expect((await startFlow(service, await live.app.backend('one'), live.connector.id)).binding).toBe('CODE');
});

test('24. an answer by form_post is kept, and the browser that posted it finishes with a GET that brings its cookie', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  const posted = await postCallback(service, back);
  expect(posted.status).toBe(303);
  expect(Object.fromEntries(posted.headers)).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
  });
  const next = locationOf(posted, back);
  expect(new URL(next).origin + new URL(next).pathname).toBe(new URL(back).origin + new URL(back).pathname);
  expect(next).not.toContain(new URL(back).searchParams.get('code'));
  expect(provider.counts.authorization_code).toBe(0);

  expect(returnOf(await flow.browser.open(service, next)).params.connection_status).toBe('connected');
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
  expect(await pageOf(await flow.browser.open(service, next))).toMatchObject({ result: 'FLOW_EXPIRED' });
  expect(await pageOf(await postCallback(service, back))).toMatchObject({ result: 'FLOW_EXPIRED' });
});

test('24. an answer by form_post to a flow without a cookie is parked, and completed by the person who began', async () => {
  const { service, app, provider, connector } = await setStage();
  const flow = await startFlow(service, await app.backend('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  const parked = returnOf(await flow.browser.open(service, locationOf(await postCallback(service, back), back)));
  expect(provider.counts.authorization_code).toBe(0);
  const completed = await completeConnection(service, await app.user('one'), parked.params.connect_code ?? '');
  expect(field(completed, 'completeConnection')).toMatchObject({ connection: { status: 'CONNECTED' } });
});

test('24. the first form_post counts, and a body that is no form, or too long, holds nothing', async () => {
  const { service, app, connector } = await setStage();
  const flow = await startFlow(service, await app.browser('one'), connector.id);
  const back = await consentAt(flow.redirectUrl);
  for (const [url, headers, result] of [
    [back, { 'content-type': 'application/json' }, 'FLOW_EXPIRED'],
    [back, { 'content-type': 'text/plain' }, 'FLOW_EXPIRED'],
    [withParams(back, { padding: 'x'.repeat(40_000) }), {}, 'FLOW_MISMATCH'],
    [withParams(back, { state: null }), {}, 'FLOW_EXPIRED'],
    [`${back}&state=${flow.state}`, {}, 'FLOW_EXPIRED'],
  ] as const) {
    expect(await pageOf(await postCallback(service, url, headers))).toMatchObject({ status: 400, result });
  }
  const next = locationOf(await postCallback(service, back), back);
  expect(await pageOf(await postCallback(service, withParams(back, { code: 'other' })))).toMatchObject({ status: 400 });
  expect(returnOf(await flow.browser.open(service, next)).params.connection_status).toBe('connected');
});

test('26. denied consent leaves the user as before, connected or not, and another try is welcome', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  const deny = async (headers: Record<string, string>) =>
    returnOf((await connect(service, headers, connector.id, { decision: 'deny' })).response).params;
  const denied = { connector_id: connector.id, connection_error: 'CONSENT_DENIED' };
  expect(await deny(user)).toEqual(denied);
  expect(await deny(await app.backend('one'))).toEqual(denied);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });

  await connectByCookie(service, user, connector.id);
  const [connection, token] = [await connectionOf(service, user, connector.id), await tokenOf(stage, 'one')];
  expect(await deny(user)).toEqual(denied);
  expect(await connectionOf(service, user, connector.id)).toEqual(connection);
  expect(await tokenOf(stage, 'one')).toBe(token);
  expect(await calendarOf(stage, token)).toBe('blue@example.com');
  expect(provider.counts.authorization_code).toBe(1);
});

test('26. an abandoned flow leaves the user as before, and the next one works', async () => {
  const { service, app, connector } = await setStage();
  const user = await app.browser('one');
  for (let time = 0; time < 3; time += 1) await startFlow(service, user, connector.id);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  await connectByCookie(service, user, connector.id);
  await startFlow(service, user, connector.id);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'CONNECTED' });
});

test('26. two flows begun side by side in one browser both stay valid, and each finishes once', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  const browser = createBrowser();
  const first = await startFlow(service, user, connector.id, {}, browser);
  const second = await startFlow(service, user, connector.id, {}, browser);
  expect(browser.cookies.size).toBe(2);
  const firstBack = await consentAt(first.redirectUrl, { account: 'blue' });
  const secondBack = await consentAt(second.redirectUrl, { account: 'green' });
  for (const [back, account] of [
    [secondBack, 'green'],
    [firstBack, 'blue'],
  ] as const) {
    expect(returnOf(await browser.open(service, back)).params.connection_status).toBe('connected');
    expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe(`${account}@example.com`);
  }
  for (const back of [firstBack, secondBack]) {
    expect(await pageOf(await browser.open(service, back))).toMatchObject({ status: 400, result: 'FLOW_EXPIRED' });
  }
  expect(provider.counts.authorization_code).toBe(2);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
});

test('27. two first flows that finish at the same moment leave one connection and one grant', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  const held = gate();
  let waiting = 0;
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path !== '/token' || ctx.oidc.body?.grant_type !== 'authorization_code') return;
    waiting += 1;
    if (waiting === 2) held.open();
    await held.wait();
  });
  const finished = await Promise.all([
    connect(service, user, connector.id, { account: 'blue' }),
    connect(service, user, connector.id, { account: 'green' }),
  ]);
  expect(finished.map(({ response }) => returnOf(response).params.connection_status)).toEqual([
    'connected',
    'connected',
  ]);
  const { account } = await connectionOf(service, user, connector.id);
  await expect.poll(() => grantsOf(stage), { timeout: 5_000 }).toEqual([(account as { id: string }).id]);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe((account as { email: string }).email);
});

test('27. connecting the same account again brings new tokens, and the grant they stand on lives on', async () => {
  const stage = await setStage({ accessTokenSeconds: 300 });
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id);
  const [{ id: connectionId }, old] = [await connectionOf(service, user, connector.id), await tokenOf(stage, 'one')];
  await connectByCookie(service, user, connector.id);
  const token = await tokenOf(stage, 'one');
  expect(token).not.toBe(old);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ id: connectionId, status: 'CONNECTED' });
  expect(await calendarOf(stage, token)).toBe('blue@example.com');

  service.clock.advance(301_000);
  const refreshed = await tokenOf(stage, 'one');
  expect(refreshed).not.toBe(token);
  expect(await calendarOf(stage, refreshed)).toBe('blue@example.com');
  expect(provider.counts).toMatchObject({ refresh_token: 1, revocation: 0 });

  await disconnectAppUser(service, await app.user('one'), connector.id);
  await expect.poll(() => grantsOf(stage), { timeout: 5_000 }).toEqual([]);
});

test('27. T23. connecting another account takes every grant of the old one back at the provider, and is told from connecting the same again', async () => {
  const stage = await setStage();
  const { service, app, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id, { account: 'blue' });
  await connectByCookie(service, user, connector.id, { account: 'blue' });
  const blue = await tokenOf(stage, 'one');
  expect(grantsOf(stage)).toEqual(['blue', 'blue']);
  await connectByCookie(service, user, connector.id, { account: 'green' });
  await expect.poll(() => grantsOf(stage), { timeout: 5_000 }).toEqual(['green']);
  expect(await calendarOf(stage, blue)).toBe(401);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('green@example.com');
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ account: { id: 'green' } });
  const { rows } = await auditOf(service, stage.workspace, { first: 3, filter: { acts: ['ACCOUNT_CONNECTED'] } });
  const changes = rows.map(({ details }) => details.find(({ name }) => name === 'changed')?.values ?? []);
  expect(changes).toEqual([['account'], [], []]);
});

test('27. a refresh of the old tokens that is under way while the user connects again never comes back', async () => {
  const stage = await setStage({ accessTokenSeconds: 300 });
  const { service, app, provider, connector } = stage;
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'blue' });
  service.clock.advance(301_000);
  const held = gate();
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === '/token' && ctx.oidc.body?.grant_type === 'refresh_token') await held.wait();
  });
  const reading = tokenOf(stage, 'one');
  await held.reached;
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'green' });
  held.open();
  expect(await calendarOf(stage, await reading)).toBe('green@example.com');
  await expect.poll(() => grantsOf(stage), { timeout: 5_000 }).toEqual(['green']);

  service.clock.advance(250_000);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('green@example.com');
  expect(grantsOf(stage)).toEqual(['green']);
});

test('27. when the new tokens cannot be stored, the old ones stay: one transaction, all or nothing', async () => {
  const snapshot = await snapshotWith(`
    CREATE FUNCTION fail_for_green() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF EXISTS (SELECT 1 FROM connection WHERE id = NEW."connectionId" AND "accountId" = 'green' AND "userId" = 'one') THEN
        RAISE EXCEPTION 'the disk is full';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER fail_for_green BEFORE INSERT OR UPDATE ON credential FOR EACH ROW EXECUTE FUNCTION fail_for_green();`);
  const stage = await setStage({ overrides: { snapshot } });
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id, { account: 'blue' });
  const [connection, token] = [await connectionOf(service, user, connector.id), await tokenOf(stage, 'one')];

  const { response } = await connect(service, user, connector.id, { account: 'green' });
  expect(response.status).toBe(500);
  expect(await response.text()).toBe('Internal Server Error');
  expect(provider.counts.authorization_code).toBe(2);
  expect(await connectionOf(service, user, connector.id)).toEqual(connection);
  expect(await tokenOf(stage, 'one')).toBe(token);
  expect(await calendarOf(stage, token)).toBe('blue@example.com');

  // of the two grants the new one is revoked, which nobody holds
  await expect.poll(() => grantsOf(stage), eventually).toEqual(['blue']);
  expect(provider.counts.revocation).toBe(1);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
});

test('28. two users never share a connection, and connecting in one app does not connect in another', async () => {
  const stage = await setStage();
  const { service, workspace, app, connector } = stage;
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  stage.provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  const status = async (headers: Record<string, string>) => (await connectionOf(service, headers, connector.id)).status;
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'blue' });
  expect([
    await status(await app.user('one')),
    await status(await app.user('two')),
    await status(await other.user('one')),
  ]).toEqual(['CONNECTED', 'NOT_CONNECTED', 'NOT_CONNECTED']);

  await connectByCookie(service, await app.browser('two'), connector.id, { account: 'green' });
  await connectByCookie(service, await other.browser('one'), connector.id, { account: 'green' });
  const ids = await Promise.all(
    [await app.user('one'), await app.user('two'), await other.user('one')].map(
      async (headers) => (await connectionOf(service, headers, connector.id)).id,
    ),
  );
  expect(new Set(ids).size).toBe(3);
  expect(await calendarOf(stage, await tokenOf(stage, 'one'))).toBe('blue@example.com');
  expect(await calendarOf(stage, await tokenOf(stage, 'two'))).toBe('green@example.com');
  expect(await calendarOf(stage, await tokenOf(stage, 'one', other))).toBe('green@example.com');

  await disconnectAppUser(service, await app.user('two'), connector.id);
  expect([
    await status(await app.user('one')),
    await status(await app.user('two')),
    await status(await other.user('one')),
  ]).toEqual(['CONNECTED', 'NOT_CONNECTED', 'CONNECTED']);
});

test('29. a provider that grants fewer scopes than asked leaves the user CONNECTED with missingScopes', async () => {
  const { service, app, connector } = await setStage({
    scopes: ['openid', 'email', 'calendar.read', 'calendar.write'],
  });
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id, { scopes: ['email'] });
  const fewer = {
    grantedScopes: ['openid', 'email'],
    missingScopes: ['calendar.read', 'calendar.write'],
  };
  expect(await connectionOf(service, user, connector.id)).toMatchObject({
    status: 'CONNECTED',
    reconnectReason: null,
    requestedScopes: ['openid', 'email', 'calendar.read', 'calendar.write'],
    ...fewer,
  });
  const answer = await readToken(service, await app.backend('one'), connector.id);
  expect(field(answer, 'currentAppUserConnection')).toMatchObject({ __typename: 'CurrentAppUserConnection', ...fewer });

  await connectByCookie(service, user, connector.id);
  expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'CONNECTED', missingScopes: [] });
});

test('25. a connect code works once, even where ten pages show it at the same time', async () => {
  const { service, app, provider, connector } = await setStage();
  const { response } = await connect(service, await app.backend('one'), connector.id);
  const code = returnOf(response).params.connect_code ?? '';
  const user = await app.user('one');
  const answers = await Promise.all(Array.from({ length: 10 }, () => completeConnection(service, user, code)));
  const results = answers.map((answer) => field(answer, 'completeConnection').__typename);
  expect(results.sort()).toEqual(['CompleteConnectionPayload', ...Array<string>(9).fill('FlowExpiredError')]);
  expect(provider.counts.authorization_code).toBe(1);
  expect(field(await completeConnection(service, user, code), 'completeConnection').__typename).toBe(
    'FlowExpiredError',
  );
});

test('25. a connect code lives five minutes from the callback on, past the end of the flow’s own ten', async () => {
  const { service, app, connector } = await setStage({ scopes: ['calendar.read'] });
  const complete = async (code = '') =>
    field(await completeConnection(service, await app.user('one'), code), 'completeConnection').__typename;
  const [inTime, late] = [
    await startFlow(service, await app.backend('one'), connector.id),
    await startFlow(service, await app.backend('one'), connector.id),
  ];
  const backs = [await consentAt(inTime.redirectUrl), await consentAt(late.redirectUrl)] as const;
  service.clock.advance(9 * minute);
  const inTimeCode = returnOf(await inTime.browser.open(service, backs[0])).params.connect_code;
  const lateCode = returnOf(await late.browser.open(service, backs[1])).params.connect_code;
  service.clock.advance(4 * minute);
  // another person's flow makes the service do its background work: the parked one is not swept away
  await connectByCookie(service, await app.browser('two'), connector.id);
  expect(await complete(inTimeCode)).toBe('CompleteConnectionPayload');
  service.clock.advance(2 * minute);
  expect(await complete(lateCode)).toBe('FlowExpiredError');
  for (const unknown of ['', 'unknown', 'x'.repeat(100_000).slice(0, 5_000)]) {
    expect(await complete(unknown)).toBe('FlowExpiredError');
  }
});
