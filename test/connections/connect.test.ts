import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { beginFlow, completeConnect, finishConnect, holdConnect, startConnect } from '../../src/connections/connect.ts';
import type { CallbackOutcome, StartedFlow } from '../../src/connections/connect.ts';
import { connectionId } from '../../src/connections/connection.ts';
import { open } from '../../src/crypto/seal.ts';
import { sha256Hex } from '../../src/lib/secret.ts';
import { UnauthenticatedError } from '../../src/workspaces/errors.ts';
import { createRateLimiter, defaultRateLimits } from '../../src/workspaces/rate-limits.ts';
import { backFrom, callbackOf, type Flows, type FlowStart, startFlows, stateOf } from '../support/flows.ts';
import { consentAt } from '../support/local-provider.ts';
import { withParams } from '../support/stage.ts';

const minute = 60_000;
const live = 'https://app.example.com';
const custom = 'https://custom.example.com';
const preview = 'https://preview.example.com';

/** What a flow's row holds sealed. */
function unsealed({ deps }: Flows, id: string, field: 'codeVerifier' | 'response', sealed: string | null = null) {
  return open(deps.keyring, { table: 'pending_flow', id, field }, sealed ?? '').reveal();
}

/** The parameters with which a callback sends the browser on. */
function told(outcome: CallbackOutcome): Record<string, string> {
  if (outcome.kind !== 'return') throw new Error(outcome.error?.code);
  return Object.fromEntries(new URL(outcome.to).searchParams);
}

/** The connect code that a browser is sent on with which is not known to be the one that began. */
async function parkedCode({ deps }: Flows, started: StartedFlow, back = backFrom(started)): Promise<string> {
  return told(await finishConnect(deps, callbackOf(back, null))).connect_code ?? '';
}

const pageWith = (code: string) => ({
  kind: 'page',
  error: expect.objectContaining({ code }),
  clearCookie: null,
  openers: [],
});

test('22. a flow that begins is kept for ten minutes, under hashes and seals, as what the connector asks for at that time', async () => {
  const flows = await startFlows();
  const { app, clock, connectorId, db, deps, origin } = flows;
  const started = await flows.start('one', { returnTo: '/next' });
  const url = new URL(started.redirectUrl);
  const row = await flows.flowOf(started);
  const connector = await flows.connector();
  const expiresAt = new Date(clock.now().getTime() + 10 * minute);
  expect(started).toEqual({
    redirectUrl: expect.any(String),
    expiresAt,
    binding: 'COOKIE',
    connectionId: connectionId(connectorId, app.id, 'one'),
    cookie: { name: `__Host-connect-${row?.id}`, value: expect.stringMatching(/^[\w-]{43}$/), secure: true },
  });
  expect(row).toEqual({
    id: expect.any(String),
    workspaceId: app.workspaceId,
    connectorId,
    appId: app.id,
    userId: 'one',
    startedBy: null,
    takeOver: false,
    stateHash: sha256Hex(stateOf(started)),
    binding: 'COOKIE',
    cookieHash: sha256Hex(started.cookie?.value ?? ''),
    redirectUri: `${origin}/api/external-auth/callback/Connector_${connectorId}`,
    returnTo: `${origin}/next`,
    codeVerifierSealed: expect.any(String),
    nonce: url.searchParams.get('nonce'),
    clientFingerprint: connector.clientFingerprint,
    scopesFingerprint: connector.scopesFingerprint,
    requestedScopes: ['openid', 'email', 'calendar.read'],
    createdAt: clock.now(),
    expiresAt,
    usedAt: null,
    responseSealed: null,
    connectCodeHash: null,
    connectCodeExpiresAt: null,
    failure: null,
    failureHost: null,
  });
  const verifier = unsealed(flows, row?.id ?? '', 'codeVerifier', row?.codeVerifierSealed);
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    client_id: connector.clientId,
    redirect_uri: row?.redirectUri,
    scope: 'openid email calendar.read',
    code_challenge: challenge,
    nonce: expect.stringMatching(/^[\w-]{43}$/),
  });
  await db.connector.update({ where: { id: connectorId }, data: { scopes: ['calendar.read'] } });
  const without = await flows.start('one');
  expect([new URL(without.redirectUrl).searchParams.get('nonce'), (await flows.flowOf(without))?.nonce]).toEqual([
    null,
    null,
  ]);
  const shared = await flows.flowOf(await flows.startAs('anna', { takeOver: true }));
  expect(shared).toMatchObject({ userId: null, startedBy: 'anna', takeOver: true });

  await db.connector.update({ where: { id: connectorId }, data: { kind: 'SHARED' } });
  await expect(flows.start('one')).rejects.toMatchObject({
    code: 'VALIDATION',
    fields: [
      {
        path: 'input.connectorId',
        message: 'This connector is shared by the whole app: users do not connect to it one by one.',
      },
    ],
  });
  const draft = { ...connector, clientId: null };
  const subject = { app, userId: 'one', startedBy: null, takeOver: false };
  await expect(beginFlow(deps, subject, draft, { returnTo: null, origin: null }, flows.page)).rejects.toMatchObject({
    code: 'CONNECTOR_INCOMPLETE',
  });
});

test('21. one person begins only so many flows a minute, and so does one address of browsers; a backend begins for everybody', async () => {
  const flows = await startFlows();
  const { app, deps, nowhere, page } = flows;
  deps.limits = createRateLimiter({ ...defaultRateLimits, connects: 2, 'connects-by-address': 3 }, null);
  const refused = { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) };
  await flows.start('one', { request: nowhere });
  await flows.start('one', { request: nowhere });
  await expect(flows.start('one', { request: nowhere })).rejects.toMatchObject(refused);
  await flows.start('one', { request: nowhere, of: { ...app, id: 'another' } });
  for (const userId of ['two', 'three', 'anna']) await flows.start(userId, { request: nowhere });
  await flows.startAs('anna');
  await flows.startAs('anna');
  await expect(flows.startAs('anna')).rejects.toMatchObject(refused);
  await flows.startAs('ben');

  for (const userId of ['four', 'five', 'six']) await flows.start(userId, { request: page });
  await expect(flows.start('seven', { request: page })).rejects.toMatchObject(refused);
  await flows.start('seven', { request: { ...page, address: '192.0.2.2' } });
  const ofUser = { userId: 'eight', expiresAt: new Date(deps.clock.now().getTime() + minute) };
  const backend = { kind: 'backend-function', app, user: ofUser } as const;
  await startConnect(deps, backend, { connectorId: flows.connectorId, returnTo: null, origin: null }, page);
});

test('21. a hundred flows of one person may be open; the next begins when the first of them has ended', async () => {
  const flows = await startFlows();
  const { clock, db } = flows;
  await flows.start('one');
  const { id: _id, ...first } = await db.pendingFlow.findFirstOrThrow();
  const endsAt = clock.now().getTime() + 350_200;
  const others = Array.from({ length: 98 }, (_, nth) => {
    return { ...first, stateHash: `hash ${nth}`, expiresAt: new Date(endsAt + nth) };
  });
  await db.pendingFlow.createMany({ data: others });
  await flows.start('one');
  await expect(flows.start('one')).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 351 });
  await flows.start('two');
  clock.advance(350_200);
  await flows.start('one');
  await expect(flows.start('one')).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 1 });
});

test('19. a flow comes back to the origin where it began, goes on to a page of the app, and is told by a cookie only where both are one', async () => {
  const flows = await startFlows();
  const { app, deps, nowhere } = flows;
  const service = deps.publicUrl;
  const origins: typeof app.origins = [
    { kind: 'PREVIEW', origin: preview },
    { kind: 'LIVE', origin: live },
    { kind: 'CUSTOM', origin: custom },
  ];
  const all = { ...app, origins };
  const notLive = { ...app, origins: origins.filter(({ kind }) => kind !== 'LIVE') };
  const on = (origin: string, secFetchSite = 'same-origin') => ({ origin, secFetchSite, address: null });
  const begun: [FlowStart, { at: string; binding: string; returnTo: string | null }][] = [
    [
      { of: all, request: on(preview) },
      { at: preview, binding: 'COOKIE', returnTo: live },
    ],
    [
      { of: all, request: on(preview), returnTo: '/a?b=c' },
      { at: preview, binding: 'COOKIE', returnTo: `${preview}/a?b=c` },
    ],
    [
      { of: all, request: nowhere, returnTo: '/a' },
      { at: live, binding: 'CODE', returnTo: `${live}/a` },
    ],
    [
      { of: all, request: on(preview), origin: custom },
      { at: custom, binding: 'CODE', returnTo: live },
    ],
    [
      { of: all, request: on(custom), origin: custom },
      { at: custom, binding: 'COOKIE', returnTo: live },
    ],
    [
      { of: all, request: on(custom, 'cross-site') },
      { at: custom, binding: 'CODE', returnTo: live },
    ],
    [
      { of: all, request: nowhere, origin: 'https://other.example.com' },
      { at: live, binding: 'CODE', returnTo: live },
    ],
    [
      { of: all, request: on(service), returnTo: '/a' },
      { at: service, binding: 'COOKIE', returnTo: `${live}/a` },
    ],
    [
      { of: notLive, request: on(service) },
      { at: service, binding: 'COOKIE', returnTo: null },
    ],
    [
      { of: notLive, request: nowhere, returnTo: `${custom}/a` },
      { at: service, binding: 'CODE', returnTo: `${custom}/a` },
    ],
  ];
  for (const [start, { at, ...expected }] of begun) {
    const row = await flows.flowOf(await flows.start('one', start));
    expect([start, row]).toMatchObject([start, expected]);
    expect(new URL(row?.redirectUri ?? '').origin).toBe(at);
  }
  // through the operator's client all flows come back to the service itself
  const connector = { ...(await flows.connector()), operatorClientId: 'operators' };
  const subject = { app: all, userId: 'one', startedBy: null, takeOver: false };
  for (const [request, binding] of [
    [on(preview), 'CODE'],
    [on(service), 'COOKIE'],
  ] as const) {
    const started = await beginFlow(deps, subject, connector, { returnTo: '/a', origin: null }, request);
    const { client_id, redirect_uri = '' } = Object.fromEntries(new URL(started.redirectUrl).searchParams);
    expect([client_id, new URL(redirect_uri).origin, started.binding]).toEqual(['operators', service, binding]);
    expect((await flows.flowOf(started))?.returnTo).toBe(`${binding === 'CODE' ? preview : live}/a`);
  }

  const noLive = 'The app has no LIVE origin: give returnTo as a URL on one of its origins.';
  const notOwn = "returnTo is a path that begins with a single slash, or a URL on one of the app's own origins.";
  const refused: [FlowStart, string, string][] = [
    [{ of: notLive, request: nowhere }, 'input.returnTo', noLive],
    [{ of: notLive, request: nowhere, returnTo: '/a' }, 'input.returnTo', noLive],
    [{ of: notLive, request: nowhere, returnTo: '/a//' }, 'input.returnTo', noLive],
    [{ of: notLive, request: nowhere, returnTo: 'a' }, 'input.returnTo', notOwn],
    [{ of: notLive, request: nowhere, returnTo: '//other.example.com' }, 'input.returnTo', notOwn],
    [{ of: notLive, request: on(custom), returnTo: `${live}/a` }, 'input.returnTo', notOwn],
    [{ of: all, request: nowhere, returnTo: '/\\other.example.com' }, 'input.returnTo', notOwn],
    [{ of: all, request: nowhere, origin: `${live}/a` }, 'input.origin', expect.stringContaining('without a path')],
  ];
  for (const [start, path, message] of refused) {
    const error: unknown = await flows.start('one', start).catch((thrown: unknown) => thrown);
    expect([start, error]).toMatchObject([start, { code: 'VALIDATION', fields: [{ path, message }] }]);
  }
  expect(await flows.db.pendingFlow.count()).toBe(begun.length + 2);
});

test('24. the browser that began finishes at once, within ten minutes and once; a state that is no state of an open flow says nothing', async () => {
  const flows = await startFlows();
  const { app, clock, connectorId, db, deps, origin, provider } = flows;
  const [first, late] = [await flows.start('one', { returnTo: '/next?x=1' }), await flows.start('one')];
  const row = await flows.flowOf(first);
  const back = await consentAt(first.redirectUrl);
  for (const changed of [
    withParams(back, { state: null }),
    `${back}&state=${stateOf(first)}`,
    withParams(back, { state: stateOf(first).toLowerCase() }),
  ]) {
    expect(await finishConnect(deps, callbackOf(changed, first.cookie))).toEqual(pageWith('FLOW_EXPIRED'));
  }
  clock.advance(10 * minute - 1);
  const finished = { kind: 'return', clearCookie: { name: `__Host-connect-${row?.id}`, value: null, secure: true } };
  expect(await finishConnect(deps, callbackOf(back, first.cookie))).toEqual({
    ...finished,
    to: `${origin}/next?x=1&connector_id=Connector_${connectorId}&connection_status=connected`,
  });
  expect(await flows.flowOf(first)).toBe(null);
  expect(await db.connection.findMany()).toMatchObject([{ id: first.connectionId, userId: 'one', accountId: 'blue' }]);
  expect(await finishConnect(deps, callbackOf(back, first.cookie))).toEqual(pageWith('FLOW_EXPIRED'));
  clock.advance(1);
  expect(await finishConnect(deps, callbackOf(backFrom(late), late.cookie))).toEqual(pageWith('FLOW_EXPIRED'));
  expect(provider.counts.authorization_code).toBe(1);

  // on the service's own page, which has nowhere to send it on to
  const service = { origin: deps.publicUrl, secFetchSite: 'same-origin', address: null };
  const here = await flows.start('one', { of: { ...app, origins: [] }, request: service });
  expect(here.cookie).toMatchObject({ name: expect.stringMatching(/^connect-/), secure: false });
  const ended = { kind: 'page', error: null, openers: [origin] };
  expect(await flows.finish(here)).toEqual({
    ...ended,
    clearCookie: { name: here.cookie?.name, value: null, secure: false },
  });

  // what is too long to be a state of ours is not even looked for
  const long = await flows.start('two');
  for (const [length, expected] of [
    [513, 'page'],
    [512, 'return'],
  ] as const) {
    const state = 'x'.repeat(length);
    await db.pendingFlow.updateMany({ where: { userId: 'two' }, data: { stateHash: sha256Hex(state) } });
    const outcome = await finishConnect(
      deps,
      callbackOf(withParams(backFrom(long), { state, error: 'access_denied' }), null),
    );
    expect([length, outcome.kind]).toEqual([length, expected]);
  }
});

test('22. an answer that comes to another redirect URI ends its flow, by GET and by POST', async () => {
  const flows = await startFlows();
  const { connectorId, deps, provider } = flows;
  const [got, posted] = [await flows.start('one'), await flows.start('two')];
  const { path: _path, ...other } = callbackOf(backFrom(got), got.cookie);
  const path = '/api/external-auth/callback';
  expect(await finishConnect(deps, { ...other, path })).toEqual(pageWith('FLOW_MISMATCH'));
  const { params } = callbackOf(backFrom(posted), null);
  expect(await holdConnect(deps, { params, path })).toEqual({
    kind: 'page',
    error: expect.objectContaining({ code: 'FLOW_MISMATCH' }),
  });
  for (const started of [got, posted]) {
    expect(await flows.flowOf(started)).toMatchObject({ failure: 'FLOW_MISMATCH', usedAt: deps.clock.now() });
    expect(await finishConnect(deps, callbackOf(backFrom(started), started.cookie))).toEqual(pageWith('FLOW_EXPIRED'));
  }
  const failed = { act: 'CONNECT_FAILED', outcome: 'FLOW_MISMATCH', actorKind: 'APP_USER', connectorId };
  expect(await flows.audit()).toMatchObject([
    { ...failed, actor: 'one' },
    { ...failed, actor: 'two' },
  ]);
  expect(provider.counts.authorization_code).toBe(0);
});

test('23. another browser only parks the answer, for five minutes; the code that it is sent on with serves whoever began, once', async () => {
  const flows = await startFlows();
  const { app, clock, deps, nowhere, provider, user } = flows;
  const failing = (caller: Parameters<typeof completeConnect>[1], code: string) =>
    completeConnect(deps, caller, code).then(
      () => null,
      (error: { code: string }) => error.code,
    );
  const [began, onPage] = [await flows.start('one', { request: nowhere }), await flows.start('one')];
  const back = await consentAt(began.redirectUrl);
  const outcome = await finishConnect(deps, callbackOf(back, onPage.cookie));
  expect(outcome.clearCookie).toBe(null);
  const code = told(outcome).connect_code ?? '';
  expect(code).toMatch(/^[\w-]{43}$/);
  const row = await flows.flowOf(began);
  expect(row).toMatchObject({
    usedAt: clock.now(),
    connectCodeHash: sha256Hex(code),
    connectCodeExpiresAt: new Date(clock.now().getTime() + 5 * minute),
  });
  expect(unsealed(flows, row?.id ?? '', 'response', row?.responseSealed)).toBe(new URL(back).searchParams.toString());
  const wrong = { name: onPage.cookie?.name ?? '', value: 'wrong', secure: true };
  const strange = await finishConnect(deps, callbackOf(backFrom(onPage), wrong));
  expect(told(strange)).toHaveProperty('connect_code');
  expect(strange.clearCookie).toEqual({ ...onPage.cookie, value: null });
  expect(provider.counts.authorization_code).toBe(0);

  // whoever may begin no flow burns no code
  expect(await failing({ kind: 'anonymous', error: new UnauthenticatedError('nobody') }, code)).toBe('UNAUTHENTICATED');
  expect(await failing({ kind: 'operator' }, code)).toBe('UNAUTHENTICATED');
  clock.advance(5 * minute - 1);
  expect(await completeConnect(deps, user('one'), code)).toBe(began.connectionId);
  expect(await failing(user('one'), code)).toBe('FLOW_EXPIRED');
  expect(await flows.audit()).toMatchObject([{ act: 'ACCOUNT_CONNECTED', actor: 'one', outcome: 'OK' }]);

  const burning = await parkedCode(flows, await flows.start('one'));
  clock.advance(5 * minute);
  expect(await failing(user('one'), burning)).toBe('FLOW_EXPIRED');

  await flows.db.workspaceMember.create({ data: { workspaceId: app.workspaceId, subject: 'anna', role: 'EDITOR' } });
  const others = [
    ['one', user('two')],
    ['one', user('one', { ...app, id: 'another' })],
    ['one', flows.member('one')],
    [null, flows.member('ben')],
    [null, user('anna')],
  ] as const;
  for (const [userId, caller] of others) {
    const started = userId === null ? await flows.startAs('anna') : await flows.start(userId);
    const parked = await parkedCode(flows, started);
    expect([userId, caller, await failing(caller, parked)]).toEqual([userId, caller, 'FLOW_MISMATCH']);
    const owner = userId === null ? flows.member('anna') : user(userId);
    expect(await failing(owner, parked)).toBe('FLOW_EXPIRED');
    expect(await flows.flowOf(started)).toMatchObject({ failure: 'FLOW_MISMATCH', responseSealed: null });
  }
  expect((await flows.audit()).slice(1)).toMatchObject(
    others.map(([userId]) => ({ outcome: 'FLOW_MISMATCH', actor: userId ?? 'anna' })),
  );
  expect(provider.counts.authorization_code).toBe(1);

  const shared = await flows.startAs('anna');
  const sharedCode = await parkedCode(flows, shared, await consentAt(shared.redirectUrl));
  expect(await completeConnect(deps, flows.member('anna'), sharedCode)).toBe(
    connectionId(flows.connectorId, app.id, null),
  );
});

test('24. what a form_post brings waits, sealed, for the GET of the browser that posted it; the first post counts', async () => {
  const flows = await startFlows();
  const { deps, nowhere } = flows;
  const started = await flows.start('one');
  const back = await consentAt(started.redirectUrl);
  const { path, params } = callbackOf(back, null);
  const expired = { kind: 'page', error: expect.objectContaining({ code: 'FLOW_EXPIRED' }) };
  for (const state of [null, 'unknown']) {
    const changed = callbackOf(withParams(back, { state }), null);
    expect(await holdConnect(deps, changed)).toEqual(expired);
  }
  const held = await holdConnect(deps, { path, params });
  if (held.kind !== 'held') throw new Error(held.error.code);
  const ticket = held.query.get('held') ?? '';
  expect(Object.fromEntries(held.query)).toEqual({
    state: stateOf(started),
    held: expect.stringMatching(/^[\w-]{43}$/),
  });
  expect(params.has('held')).toBe(false);
  const row = await flows.flowOf(started);
  expect(unsealed(flows, row?.id ?? '', 'response', row?.responseSealed)).toBe(`${params}&held=${sha256Hex(ticket)}`);
  expect(await holdConnect(deps, { path, params })).toEqual(expired);
  const { cookie } = callbackOf(back, started.cookie);
  expect(told(await finishConnect(deps, { path, params: held.query, cookie }))).toMatchObject({
    connection_status: 'connected',
  });

  // another browser's, with the cookie of the one that began
  for (const shown of [null, 'a'.repeat(43)]) {
    const theirs = await flows.start('one');
    const posted = callbackOf(backFrom(theirs), theirs.cookie);
    await holdConnect(deps, posted);
    const query = new URLSearchParams({ state: stateOf(theirs), code: 'code', ...(shown !== null && { held: shown }) });
    const outcome = told(await finishConnect(deps, { ...posted, params: query }));
    expect([shown, outcome]).toMatchObject([shown, { connection_error: 'FLOW_MISMATCH' }]);
  }

  const parked = await flows.start('two', { request: nowhere });
  const second = await holdConnect(deps, callbackOf(backFrom(parked), null));
  if (second.kind !== 'held') throw new Error(second.error.code);
  expect(told(await finishConnect(deps, { path, params: second.query, cookie: () => null }))).toHaveProperty(
    'connect_code',
  );
  const kept = await flows.flowOf(parked);
  expect(unsealed(flows, kept?.id ?? '', 'response', kept?.responseSealed)).toBe(
    new URL(backFrom(parked)).search.slice(1),
  );
});

test('54. an answer without a code ends the flow at once, and says why, with what there is to compare', async () => {
  const flows = await startFlows();
  const { connectorId, db, deps, nowhere } = flows;
  const { clientId } = await flows.connector();
  const denied = await flows.start('one');
  expect(told(await flows.finish(denied, { decision: 'deny' }))).toEqual({
    connector_id: `Connector_${connectorId}`,
    connection_error: 'CONSENT_DENIED',
  });
  expect(await flows.flowOf(denied)).toMatchObject({ failure: 'CONSENT_DENIED' });

  const description = { error: 'server_error', error_description: 'AADSTS50105: not assigned' };
  const long = 16_384 - new URL(backFrom(denied, { code: '' })).search.slice(1).length;
  const answers: [Record<string, string>, string][] = [
    [{ error: 'access_denied', code: 'code' }, 'CONSENT_DENIED'],
    [description, 'PROVIDER_TESTING_MODE'],
    [{}, 'FLOW_MISMATCH'],
    [{ code: 'x'.repeat(long + 1) }, 'ANSWER_TOO_LARGE'],
  ];
  for (const [params, failure] of answers) {
    const started = await flows.start('one', { request: nowhere });
    const outcome = await finishConnect(deps, callbackOf(backFrom(started, params), null));
    expect([params, told(outcome)]).toMatchObject([params, { connection_error: expect.any(String) }]);
    expect([params, await flows.flowOf(started)]).toMatchObject([params, { failure, connectCodeHash: null }]);
  }
  const twice = await flows.start('one', { request: nowhere });
  expect(told(await finishConnect(deps, callbackOf(`${backFrom(twice)}&code=other`, null)))).toMatchObject({
    connection_error: 'FLOW_MISMATCH',
  });
  const longest = await flows.start('one');
  expect(await parkedCode(flows, longest, backFrom(longest, { code: 'x'.repeat(long) }))).toHaveLength(43);

  // on the service's own page: what an admin has to compare
  const values = {
    redirect_uri_mismatch: ['redirectUri', clientId],
    invalid_scope: ['openid', 'email', 'calendar.read'],
  };
  for (const [error, expected] of Object.entries(values)) {
    const started = await flows.start('one');
    await db.pendingFlow.updateMany({ where: { stateHash: sha256Hex(stateOf(started)) }, data: { returnTo: null } });
    const outcome = await finishConnect(deps, callbackOf(backFrom(started, { error }), started.cookie));
    const row = await flows.flowOf(started);
    expect(outcome).toMatchObject({
      kind: 'page',
      openers: [flows.origin],
      clearCookie: { name: started.cookie?.name },
    });
    const shown = outcome.kind === 'page' ? outcome.error?.remedy?.values.map(({ value }) => value) : null;
    expect(shown).toEqual(expected.map((value) => (value === 'redirectUri' ? row?.redirectUri : value)));
  }
  // the operator's client is for the operator to mend
  const ofOperator = await flows.start('one', { request: nowhere });
  await db.connector.update({ where: { id: connectorId }, data: { operatorClientId: 'operators', clientId: null } });
  await db.pendingFlow.updateMany({ where: { stateHash: sha256Hex(stateOf(ofOperator)) }, data: { returnTo: null } });
  const back = backFrom(ofOperator, { error: 'invalid_client' });
  expect(await finishConnect(deps, callbackOf(back, null))).toMatchObject({
    error: { code: 'INVALID_CLIENT', remedy: { actor: 'OPERATOR', values: [{ value: 'operators' }] } },
  });
});

test('24. a flow goes on to a page that is still the app’s own, with how it ended and nothing of the flow before', async () => {
  const flows = await startFlows();
  const { app, connectorId, db, deps, nowhere, origin } = flows;
  const returnTo = '/next?connection_error=X&x=1&connect_code=y&connector_id=z&connection_status=a#part';
  const again = await flows.start('one', { returnTo });
  const outcome = await finishConnect(deps, callbackOf(backFrom(again, { code: 'code' }), null));
  const code = told(outcome).connect_code ?? '';
  expect(outcome).toMatchObject({
    kind: 'return',
    to: `${origin}/next?x=1&connector_id=Connector_${connectorId}&connect_code=${code}#part`,
  });

  const [toNowhere, moved, deleted] = [
    await flows.start('one', { request: nowhere }),
    await flows.start('one', { request: nowhere }),
    await flows.start('one'),
  ];
  await db.pendingFlow.updateMany({ where: { stateHash: sha256Hex(stateOf(toNowhere)) }, data: { returnTo: null } });
  const page = { ...pageWith('FLOW_MISMATCH'), openers: [origin] };
  expect(await finishConnect(deps, callbackOf(backFrom(toNowhere), null))).toEqual(page);
  expect(await flows.flowOf(toNowhere)).toMatchObject({ failure: 'FLOW_MISMATCH', connectCodeHash: null });

  await db.appOrigin.deleteMany({ where: { appId: app.id } });
  expect(await finishConnect(deps, callbackOf(backFrom(moved), null))).toEqual(pageWith('FLOW_MISMATCH'));
  await db.app.update({ where: { id: app.id }, data: { deletedAt: deps.clock.now() } });
  const gone = await finishConnect(deps, callbackOf(backFrom(deleted), null));
  expect(gone).toEqual({ ...pageWith('FLOW_EXPIRED'), clearCookie: { ...deleted.cookie, value: null } });
  expect(await flows.flowOf(deleted)).toMatchObject({ failure: 'CONNECTOR_CHANGED', responseSealed: null });
});
