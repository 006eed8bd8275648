import { expect, onTestFinished, test, vi } from 'vitest';
import type { StartedFlow } from '../../src/connections/connect.ts';
import { connectionId } from '../../src/connections/connection.ts';
import { establish } from '../../src/connections/establish.ts';
import { openTokens } from '../../src/connections/grant.ts';
import { openFromOutbox } from '../../src/connections/outbox.ts';
import type { Db } from '../../src/db/client.ts';
import type { AuthorizationServer } from '../../src/oauth/authorization-server.ts';
import { backFrom, type Flows, startFlows } from '../support/flows.ts';
import { type ConsentChoice, consentAt } from '../support/local-provider.ts';

/** Exchanges the code of a flow, with what the provider's pages gave or with parameters of the test's own. */
async function settle(flows: Flows, started: StartedFlow, consent: ConsentChoice | URLSearchParams = {}) {
  const flow = await flows.flowOf(started);
  if (!flow) throw new Error('no flow');
  const isGiven = consent instanceof URLSearchParams;
  const params = isGiven ? consent : new URL(await consentAt(started.redirectUrl, consent)).searchParams;
  return establish(flows.deps, flow, params);
}

const connect = async (flows: Flows, userId: string, account: 'blue' | 'green' = 'blue') =>
  settle(flows, await flows.start(userId), { account });

/** How it fails: the name of the failure where it is a documented one, else its code, else its sentence. */
function failureOf(work: Promise<unknown>): Promise<string | null> {
  return work.then(
    () => null,
    (error: { failure?: { name: string } | null; code?: string; message: string }) =>
      error.failure?.name ?? error.code ?? error.message,
  );
}

/** Does something to each answer of the provider's at a path, before it is sent. */
function onAnswer(flows: Flows, path: string, change: (ctx: { status: number; body: unknown }) => unknown) {
  const stop = flows.provider.around(async (ctx, next) => {
    await next();
    if (ctx.path === path) await change(ctx);
  });
  return stop;
}

/** Has the provider of the connector behave otherwise. */
function change({ deps }: Flows, facts: Partial<AuthorizationServer>) {
  const { resolveServer } = deps;
  deps.resolveServer = async (...asked) => ({ ...(await resolveServer(...asked)), ...facts });
}

const stored = ({ db }: Flows, id: string) =>
  db.connection.findUniqueOrThrow({ where: { id }, include: { credential: true } });

/** The access token that a connection holds. */
async function tokenOf(flows: Flows, id: string) {
  const { credential } = await stored(flows, id);
  return credential && openTokens(flows.deps.keyring, credential).accessToken.reveal();
}

/** The revocations that are queued, each with its tokens. */
async function queued(flows: Flows) {
  const items = await flows.outbox();
  return items.map(({ id, tokensSealed, dueAt, accountId, grantsRevokedAt, connectionId: of, receipt }) => {
    const tokens = tokensSealed === null ? null : openFromOutbox(flows.deps.keyring, id, tokensSealed);
    const { accessToken = null, clientFingerprint = null } = tokens ?? {};
    return { token: accessToken?.reveal() ?? null, clientFingerprint, dueAt, accountId, grantsRevokedAt, of, receipt };
  });
}

/** Does something after each transaction, whether it was made or not. What is thrown there is all that the caller hears of it. */
function afterTransactions(db: Db, after: () => void): Db {
  return new Proxy(db, {
    get(target, name) {
      if (name !== '$transaction') return Reflect.get(target, name) as unknown;
      return (work: never) => target.$transaction(work).finally(after);
    },
  });
}

/** As if so much time had passed that no write is tried again. */
function letTimePass() {
  const at = performance.now() + 10_000;
  const spy = vi.spyOn(performance, 'now').mockReturnValue(at);
  onTestFinished(() => spy.mockRestore());
}

test('27. an account is connected even where the note that its client is accepted cannot be made; the next makes it', async () => {
  const flows = await startFlows();
  const { connectorId, db, logs } = flows;
  await db.connector.update({ where: { id: connectorId }, data: { refusal: 'INVALID_CLIENT' } });
  await db.$executeRawUnsafe(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no room'; END; $$`);
  await db.$executeRawUnsafe('CREATE TRIGGER refuse BEFORE UPDATE ON connector FOR EACH ROW EXECUTE FUNCTION refuse()');
  try {
    const id = await connect(flows, 'one');
    expect(await tokenOf(flows, id)).not.toBe(null);
  } finally {
    await db.$executeRawUnsafe('DROP FUNCTION refuse CASCADE');
  }
  expect(logs).toMatchObject([{ level: 50, connectorId, err: { message: expect.stringContaining('no room') } }]);
  await connect(flows, 'two');
  expect([(await flows.connector()).refusal, logs.length]).toEqual([null, 1]);
});

test('24. what was granted is kept as the provider told it, with whose it is, in the place of the flow; the audit and the page are told', async () => {
  const flows = await startFlows({ scopes: ['openid', 'email', 'profile', 'calendar.read'] });
  const { app, clock, connectorId, db, deps, published, woken } = flows;
  await db.connector.update({
    where: { id: connectorId },
    data: { refusal: 'INVALID_CLIENT', refusedAt: clock.now() },
  });
  const tokens: string[] = [];
  onAnswer(flows, '/token', ({ body }) => void tokens.push((body as { access_token: string }).access_token));
  const started = await flows.start('one');
  const tracked: Promise<unknown>[] = [];
  deps.track = (work) => {
    tracked.push(work);
    return work;
  };
  clock.advance(1_000);
  const id = connectionId(connectorId, app.id, 'one');
  expect(await settle(flows, started, { scopes: ['email', 'profile'] })).toBe(id);
  expect(await Promise.all(tracked)).toEqual([id]);
  const { clientFingerprint, scopesFingerprint, refusal, refusedAt } = await flows.connector();
  expect(await stored(flows, id)).toEqual({
    id,
    workspaceId: app.workspaceId,
    connectorId,
    appId: app.id,
    userId: 'one',
    ownedBy: null,
    clientFingerprint,
    scopesFingerprint,
    requestedScopes: ['openid', 'email', 'profile', 'calendar.read'],
    grantedScopes: ['openid', 'email', 'profile'],
    accountId: 'blue',
    accountEmail: 'blue@example.com',
    accountName: 'Calendar account blue',
    connectionConfig: [],
    connectedAt: clock.now(),
    lastRefreshedAt: null,
    lastVerifiedAt: clock.now(),
    refusedAt: null,
    grantExpiresAt: null,
    disconnectedAt: null,
    credential: expect.objectContaining({ issuedAt: clock.now(), refreshTokenSealed: expect.any(String) }),
  });
  expect([await tokenOf(flows, id)]).toEqual(tokens);
  expect(await flows.flowOf(started)).toBe(null);
  expect(await flows.audit()).toMatchObject([
    {
      act: 'ACCOUNT_CONNECTED',
      outcome: 'OK',
      actorKind: 'APP_USER',
      actor: 'one',
      appId: app.id,
      connectorId,
      connectionId: id,
      details: { scopesAdded: ['openid', 'email', 'profile'] },
    },
  ]);
  expect([published, woken.count, await flows.outbox()]).toEqual([[{ connectionId: id }], 1, []]);
  expect([refusal, refusedAt]).toEqual([null, null]); // its client was accepted

  // a provider that does not say what it grants grants what was asked
  onAnswer(flows, '/token', ({ body }) => delete (body as { scope?: string }).scope);
  await connect(flows, 'one');
  expect(await stored(flows, id)).toMatchObject({ grantedScopes: ['openid', 'email', 'profile', 'calendar.read'] });
  expect((await flows.audit())[1]?.details).toEqual({ scopesAdded: ['calendar.read'] });
});

test('24. whose account it is comes from the id_token, and what that leaves open from the provider’s userinfo, where there is one', async () => {
  const flows = await startFlows();
  const { connectorId, db, provider } = flows;
  const userinfo = { sub: 'other', email: 'other@example.com', name: 'Other' };
  let asked = 0;
  let isDown = false;
  provider.around(async (ctx, next) => {
    if (ctx.path !== '/me') return next();
    asked += 1;
    ctx.status = isDown ? 503 : 200;
    ctx.body = isDown ? 'down' : userinfo;
  });
  const blue = { accountId: 'blue', accountEmail: 'blue@example.com', accountName: null };
  const mixed = { accountId: 'blue', accountEmail: 'other@example.com' };
  const nobody = { accountId: null, accountEmail: null, accountName: null };
  const cases: [scopes: string[], expected: object, isAsked: boolean][] = [
    [['openid', 'email'], blue, false],
    [['openid', 'profile'], { ...mixed, accountName: 'Calendar account blue' }, true],
    [['openid'], { ...mixed, accountName: 'Other' }, true],
    [['calendar.read'], { accountId: 'other', accountEmail: 'other@example.com', accountName: 'Other' }, true],
  ];
  const check = async (label: string, all: typeof cases) => {
    for (const [scopes, expected, isAsked] of all) {
      await db.connector.update({ where: { id: connectorId }, data: { scopes } });
      asked = 0;
      const connection = await stored(flows, await connect(flows, `${label} ${scopes.join(' ')}`));
      expect([label, scopes, connection]).toMatchObject([label, scopes, expected]);
      expect([label, scopes, asked]).toEqual([label, scopes, isAsked ? 1 : 0]);
    }
  };
  await check('asked', cases);
  isDown = true;
  await check('down', [
    [['openid'], { ...nobody, accountId: 'blue' }, true],
    [['calendar.read'], nobody, true],
  ]);
  change(flows, { identity: null });
  await check('none', [
    [['openid'], { ...nobody, accountId: 'blue' }, false],
    [['calendar.read'], nobody, false],
  ]);
});

test('27. a grant that gives way to another on the same account is revoked with it, one on another account at once', async () => {
  const flows = await startFlows();
  const { clock, connectorId, db } = flows;
  const id = await connect(flows, 'one');
  const { clientFingerprint, accountId } = await stored(flows, id);
  const first = await tokenOf(flows, id);
  clock.advance(1_000);
  await connect(flows, 'one');
  const second = await tokenOf(flows, id);
  const old = { clientFingerprint, accountId, of: id, grantsRevokedAt: null };
  expect(await queued(flows)).toEqual([{ ...old, token: first, dueAt: null, receipt: null }]);
  expect((await flows.audit()).map(({ details }) => details)).toEqual([
    { scopesAdded: ['openid', 'email', 'calendar.read'] },
    {},
  ]);

  // what waits for another's connection to the same account, and for the account before
  const { id: _id, ...held } = await db.outboxItem.findFirstOrThrow();
  const receipt = 'SKIPPED_SHARED_GRANT';
  const parked = { ...held, connectionId: `${connectorId}.other`, receipt, tokensSealed: null } as const;
  await db.outboxItem.createMany({ data: [parked, { ...held, accountId: 'before', tokensSealed: null }] });
  const due = async () => {
    const items = await flows.outbox();
    return items
      .map(({ accountId, receipt, dueAt }) => `${accountId} ${receipt} ${dueAt?.toISOString() ?? 'held'}`)
      .sort();
  };
  clock.advance(1_000);
  await connect(flows, 'one');
  expect(await due()).toEqual([
    'before null held',
    'blue SKIPPED_SHARED_GRANT held',
    'blue null held',
    'blue null held',
  ]);

  clock.advance(1_000);
  await connect(flows, 'one', 'green');
  const blueNow = `blue null ${clock.now().toISOString()}`;
  expect(await due()).toEqual(['before null held', blueNow, blueNow, blueNow, blueNow]);
  expect((await queued(flows)).map(({ token }) => token)).toContain(second);
  expect((await flows.audit())[3]?.details).toEqual({ changed: ['account'] });
  expect(await stored(flows, id)).toMatchObject({ accountId: 'green', connectedAt: clock.now() });

  // nobody knows whether an account that is not told is another
  for (const before of [null, 'green']) {
    await db.connection.update({ where: { id }, data: { accountId: before } });
    if (before !== null) {
      change(flows, { identity: null });
      await db.connector.update({ where: { id: connectorId }, data: { scopes: ['calendar.read'] } });
    }
    clock.advance(1_000);
    await connect(flows, 'one');
    expect((await flows.audit()).at(-1)?.details).not.toHaveProperty('changed');
    expect((await flows.outbox()).at(-1)).toMatchObject({ accountId: before, dueAt: null });
  }

  // one that has ended left nothing to be compared with, and no tokens
  const count = (await flows.outbox()).length;
  await db.credential.delete({ where: { connectionId: id } });
  await db.connection.update({ where: { id }, data: { disconnectedAt: clock.now(), accountId: 'blue' } });
  await connect(flows, 'one', 'green');
  expect((await flows.audit()).at(-1)?.details).toEqual({ scopesAdded: ['calendar.read'] });
  expect(await flows.outbox()).toHaveLength(count);
});

test('27. nothing holds back a grant of another client, one that was revoked with all others, or one that a revocation ends alone', async () => {
  const flows = await startFlows();
  const { clock, connectorId, db } = flows;
  const id = await connect(flows, 'one');
  const tokens = [await tokenOf(flows, id)];
  const before = await stored(flows, id);
  await db.connector.update({ where: { id: connectorId }, data: { clientFingerprint: 'another' } });
  clock.advance(1_000);
  await connect(flows, 'one');
  const clientAt = clock.now();
  expect(await queued(flows)).toMatchObject([
    { token: tokens[0], clientFingerprint: before.clientFingerprint, dueAt: clientAt, grantsRevokedAt: null },
  ]);
  tokens.push(await tokenOf(flows, id));

  clock.advance(1_000);
  await connect(flows, 'one');
  tokens.push(await tokenOf(flows, id));
  const { id: _id, ...held } = await db.outboxItem.findFirstOrThrow({ where: { dueAt: null } });
  await db.outboxItem.create({ data: { ...held, accountId: 'before', tokensSealed: null } });
  expect((await queued(flows)).slice(1).map(({ dueAt }) => dueAt)).toEqual([null, null]);
  const grantsRevokedAt = clock.now(); // the connection was made by then
  await db.connector.update({ where: { id: connectorId }, data: { grantsRevokedAt } });
  clock.advance(1_000);
  await connect(flows, 'one');
  const revoked = (await queued(flows)).slice(1);
  expect(revoked.map(({ dueAt }) => dueAt)).toEqual([clock.now(), clock.now(), clock.now()]);
  expect(revoked.find(({ token }) => token === tokens[2])).toMatchObject({ grantsRevokedAt });
  expect(revoked.filter((item) => item.grantsRevokedAt !== null)).toHaveLength(1);

  tokens.push(await tokenOf(flows, id));
  change(flows, { revocationReach: 'token' });
  clock.advance(1_000);
  await connect(flows, 'one');
  expect((await queued(flows)).at(-1)).toMatchObject({ token: tokens[3], dueAt: clock.now(), grantsRevokedAt: null });
});

test('54. what closes the connector or the app during the exchange leaves the connection as it was, and the new grant to be revoked', async () => {
  const flows = await startFlows();
  const { app, clock, connectorId, db, published, woken } = flows;
  const set = (data: object) => db.connector.update({ where: { id: connectorId }, data });
  const { clientFingerprint, scopesFingerprint } = await flows.connector();
  const open = { clientFingerprint, scopesFingerprint, deletedAt: null, grantsRevokedAt: null };
  const off = { workspaceId: app.workspaceId, providerKey: 'custom', kind: 'APP_USER' } as const;
  const plan = (to: 'FREE' | 'BUILDER') => db.workspace.update({ where: { id: app.workspaceId }, data: { plan: to } });
  const cases: [failure: string, outcome: string, close: () => Promise<unknown>, reopen: () => Promise<unknown>][] = [
    ['CONNECTOR_CHANGED', 'FLOW_EXPIRED', () => set({ scopesFingerprint: 'another' }), () => set(open)],
    ['CONNECTOR_CHANGED', 'FLOW_EXPIRED', () => set({ clientFingerprint: 'another' }), () => set(open)],
    ['CONNECTOR_CHANGED', 'FLOW_EXPIRED', () => set({ grantsRevokedAt: clock.now() }), () => set(open)],
    ['CONNECTOR_DELETED', 'NOT_FOUND', () => set({ deletedAt: clock.now() }), () => set(open)],
    ['PLAN_REQUIRED', 'PLAN_REQUIRED', () => plan('FREE'), () => plan('BUILDER')],
    [
      'CONNECTOR_DISABLED',
      'CONNECTOR_DISABLED',
      () => db.providerAvailability.create({ data: off }),
      () => db.providerAvailability.deleteMany(),
    ],
    [
      'CONNECTOR_CHANGED',
      'FLOW_EXPIRED',
      () => db.app.update({ where: { id: app.id }, data: { deletedAt: clock.now() } }),
      () => db.app.update({ where: { id: app.id }, data: { deletedAt: null } }),
    ],
  ];
  /** Answers what it was refused with, and when the grant that came for nothing is to be revoked. */
  const during = async (close: () => Promise<unknown>, userId: string, account: 'blue' | 'green' = 'blue') => {
    const tokens: string[] = [];
    const stop = onAnswer(flows, '/token', async ({ body }) => {
      tokens.push((body as { access_token: string }).access_token);
      await close();
    });
    const started = await flows.start(userId);
    const failure = await failureOf(settle(flows, started, { account }));
    stop();
    const item = (await queued(flows)).find(({ token }) => token === tokens[0]);
    expect([failure, item]).toMatchObject([
      failure,
      { of: started.connectionId, accountId: account, clientFingerprint },
    ]);
    expect(await flows.flowOf(started)).toMatchObject({ failure, usedAt: clock.now() }); // for those who ask why
    return { failure, dueAt: item?.dueAt ?? null };
  };
  const now = clock.now();
  for (const [failure, outcome, close, reopen] of cases) {
    const before = woken.count;
    expect([failure, await during(close, 'one')]).toEqual([failure, { failure, dueAt: now }]);
    // where everybody is refused no flow begins; where the connector is another, a new one does
    expect(await failureOf(flows.start('one'))).toBe(failure === 'CONNECTOR_CHANGED' ? null : failure);
    await reopen();
    expect((await flows.audit()).at(-1)).toMatchObject({
      act: 'CONNECT_FAILED',
      outcome,
      actor: 'one',
      appId: app.id,
      connectionId: connectionId(connectorId, app.id, 'one'),
    });
    expect(woken.count).toBe(before + 1);
  }
  expect([await db.connection.count(), published]).toEqual([0, []]);

  // a grant on the account that a connection stands on waits for that to end
  const id = await connect(flows, 'one');
  const token = await tokenOf(flows, id);
  const [, , , , [, , close, reopen] = []] = cases;
  if (!close || !reopen) throw new Error('no case');
  expect(await during(close, 'one')).toEqual({ failure: 'PLAN_REQUIRED', dueAt: null });
  await reopen();
  expect(await during(close, 'one', 'green')).toEqual({ failure: 'PLAN_REQUIRED', dueAt: now });
  await reopen();
  expect(await tokenOf(flows, id)).toBe(token);
  await db.credential.delete({ where: { connectionId: id } });
  expect(await during(close, 'one')).toEqual({ failure: 'PLAN_REQUIRED', dueAt: now });
});

test('54. a flow that its connector, its app or its client is no longer there for asks no provider', async () => {
  const flows = await startFlows();
  const { app, clock, connectorId, db, provider } = flows;
  const started = await flows.start('one');
  const params = new URL(await consentAt(started.redirectUrl)).searchParams;
  const before = await flows.connector();
  const { clientFingerprint, scopesFingerprint } = before;
  const set = (data: object) => db.connector.update({ where: { id: connectorId }, data });
  const reset = {
    clientFingerprint,
    scopesFingerprint,
    operatorClientId: null,
    clientId: before.clientId,
    deletedAt: null,
  };
  const closed: [string, object][] = [
    ['CONNECTOR_CHANGED', { clientFingerprint: 'another' }],
    ['CONNECTOR_CHANGED', { scopesFingerprint: 'another' }],
    ['CONNECTOR_INCOMPLETE', { clientId: null }],
    ['CONNECTOR_DELETED', { deletedAt: clock.now() }],
    ['FLOW_EXPIRED', { operatorClientId: 'operators' }], // the operator has taken the client away
  ];
  for (const [failure, data] of closed) {
    await set(data);
    expect([data, await failureOf(settle(flows, started, params))]).toEqual([data, failure]);
    await set(reset);
  }
  await db.app.update({ where: { id: app.id }, data: { deletedAt: clock.now() } });
  expect(await failureOf(settle(flows, started, params))).toBe('CONNECTOR_CHANGED');
  await db.app.update({ where: { id: app.id }, data: { deletedAt: null } });

  const answers: [string, Record<string, string>][] = [
    ['CONSENT_DENIED', { error: 'access_denied' }],
    ['PROVIDER_TESTING_MODE', { error: 'server_error', error_description: 'AADSTS50105: not assigned' }],
    ['ISSUER_MISMATCH', { code: 'code', iss: 'https://other.example.com' }],
  ];
  for (const [failure, answer] of answers) {
    const back = new URL(backFrom(started, answer)).searchParams;
    const error: unknown = await settle(flows, started, back).catch((thrown: unknown) => thrown);
    const told = error as { failure?: { name: string }; verdict?: { code: string } };
    expect([answer, told.failure?.name ?? told.verdict?.code]).toEqual([answer, failure]);
  }
  expect(provider.counts.authorization_code).toBe(0);
  await settle(flows, started, params);
  expect(provider.counts.authorization_code).toBe(1);
  // nor is a connector found from another workspace
  await flows.start('one');
  const flow = { ...(await db.pendingFlow.findFirstOrThrow()), workspaceId: 'another' };
  expect(await failureOf(establish(flows.deps, flow, params))).toBe('CONNECTOR_DELETED');
});

test('54. what the provider refuses of the connector itself is noted there; a failure of the service’s own is none of the provider’s', async () => {
  const flows = await startFlows();
  const { clock, db, deps, provider } = flows;
  const { clientId } = await flows.connector();
  const { fetch } = deps;
  deps.fetch = async (url, init) => {
    if (url.endsWith('/me')) throw new Error('no room');
    return fetch(url, init);
  };
  const started = await flows.start('one');
  const { id = '' } = (await flows.flowOf(started)) ?? {};
  await db.pendingFlow.update({ where: { id }, data: { nonce: 'another' } });
  expect(await failureOf(settle(flows, started))).toBe('no room');
  expect(await flows.connector()).toMatchObject({ refusal: null });
  deps.fetch = fetch;
  provider.changeClientSecret('another-secret-of-the-tests', clientId ?? '');
  await expect(connect(flows, 'one')).rejects.toMatchObject({
    verdict: { kind: 'misconfigured', code: 'INVALID_CLIENT' },
  });
  expect(await flows.connector()).toMatchObject({ refusal: 'INVALID_CLIENT', refusedAt: clock.now() });
  expect(await flows.outbox()).toEqual([]);
});

test('46. a member finishes only while their role allows it, and only where nobody else’s account is in the way', async () => {
  const flows = await startFlows();
  const { app, connectorId, db, provider } = flows;
  const { workspaceId } = app;
  const id = connectionId(connectorId, app.id, null);
  const setRole = (subject: string, role: 'EDITOR' | 'VIEWER') =>
    db.workspaceMember.upsert({
      where: { workspaceId_subject: { workspaceId, subject } },
      create: { workspaceId, subject, role },
      update: { role },
    });
  const own = (ownedBy: string) => db.connection.update({ where: { id }, data: { ownedBy } });
  const connectAs = async (subject: string, options: { takeOver?: boolean } = {}) =>
    settle(flows, await flows.startAs(subject, options));
  expect(await failureOf(connectAs('anna'))).toBe('FORBIDDEN');
  await setRole('anna', 'VIEWER');
  await expect(connectAs('anna')).rejects.toMatchObject({
    code: 'FORBIDDEN',
    message: 'This needs the role EDITOR or higher in the workspace.',
  });
  await setRole('anna', 'EDITOR');
  await setRole('ben', 'EDITOR');
  expect(await connectAs('anna')).toBe(id);
  expect(await stored(flows, id)).toMatchObject({ userId: null, ownedBy: 'anna' });
  expect((await flows.audit())[0]).toMatchObject({
    actorKind: 'MEMBER',
    actor: 'anna',
    appId: app.id,
    connectionId: id,
  });
  const asked = provider.counts.authorization_code;
  await expect(connectAs('ben')).rejects.toMatchObject({ code: 'ACCOUNT_OWNED', owner: 'anna' });
  expect(provider.counts.authorization_code).toBe(asked);
  await connectAs('ben', { takeOver: true });
  expect(await stored(flows, id)).toMatchObject({ ownedBy: 'ben' });
  await connectAs('ben');

  // what happens during the exchange
  const token = await tokenOf(flows, id);
  const during = async (change: () => Promise<unknown>) => {
    const stop = onAnswer(flows, '/token', change);
    const failure = await failureOf(connectAs('ben'));
    stop();
    expect((await flows.audit()).at(-1)).toMatchObject({ act: 'CONNECT_FAILED', outcome: failure, actor: 'ben' });
    expect((await flows.outbox()).at(-1)).toMatchObject({ connectionId: id, dueAt: null });
    expect(await tokenOf(flows, id)).toBe(token);
    return failure;
  };
  expect(await during(() => own('anna'))).toBe('ACCOUNT_OWNED');
  await own('ben');
  expect(await during(() => setRole('ben', 'VIEWER'))).toBe('FORBIDDEN');
});

test('22. a grant whose id_token is refused is handed over to be revoked, unless that would end the connection that stands', async () => {
  const flows = await startFlows();
  const { clock, db, woken } = flows;
  const fail = async (userId: string, account: 'blue' | 'green' = 'blue') => {
    const started = await flows.start(userId);
    const flow = await flows.flowOf(started);
    await db.pendingFlow.update({ where: { id: flow?.id ?? '' }, data: { nonce: 'another' } });
    const before = woken.count;
    await expect(settle(flows, started, { account })).rejects.toMatchObject({ verdict: { kind: 'rejected' } });
    expect(woken.count).toBe(before + 1);
    const item = (await queued(flows)).at(-1);
    expect(item).toMatchObject({ of: started.connectionId, accountId: account, receipt: null });
    return item?.dueAt;
  };
  const due = clock.now();
  expect(await fail('one')).toEqual(due);
  const id = await connect(flows, 'one');
  expect(await fail('one')).toBe(null);
  expect(await fail('one', 'green')).toEqual(due);
  expect(await fail('two')).toEqual(due);
  await db.connection.update({ where: { id }, data: { accountId: null } });
  expect(await fail('one')).toBe(null); // it may be the same
  change(flows, { revocationReach: 'token' });
  expect(await fail('one')).toEqual(due);
  await db.credential.delete({ where: { connectionId: id } });
  change(flows, { revocationReach: 'account' });
  expect(await fail('one')).toEqual(due);
  expect(await flows.audit()).toHaveLength(1);
});

test('27. tokens that the database does not take are revoked; those that it has taken, although its answer was lost, are not', async () => {
  const flows = await startFlows();
  const { clock, db, deps, logs, published, woken } = flows;
  const loseOne = (meanwhile: () => void) => {
    let isLost = false;
    deps.db = afterTransactions(db, () => {
      if (isLost) return;
      isLost = true;
      meanwhile();
      throw new Error('the answer was lost');
    });
  };
  loseOne(() => {});
  const id = await connect(flows, 'one');
  expect((await flows.audit()).map(({ act }) => act)).toEqual(['ACCOUNT_CONNECTED']);
  expect([await flows.outbox(), published, woken.count]).toEqual([[], [{ connectionId: id }], 1]);
  loseOne(letTimePass);
  expect(await failureOf(connect(flows, 'two'))).toBe('the answer was lost');
  expect([await db.connection.count(), await flows.outbox()]).toEqual([2, []]);

  deps.db = afterTransactions(db, letTimePass);
  await db.$executeRawUnsafe(`ALTER TABLE connection ADD CONSTRAINT full_disk CHECK ("userId" <> 'three') NOT VALID`);
  onTestFinished(async () => void (await db.$executeRawUnsafe(`ALTER TABLE connection DROP CONSTRAINT full_disk`)));
  const three = await flows.start('three');
  await expect(settle(flows, three)).rejects.toThrow(/full_disk/);
  expect(await queued(flows)).toMatchObject([{ of: three.connectionId, dueAt: clock.now(), accountId: 'blue' }]);
  expect(await flows.flowOf(three)).not.toBe(null);
  await db.$executeRawUnsafe(`ALTER TABLE outbox_item ADD CONSTRAINT full_outbox CHECK (attempts > 0) NOT VALID`);
  onTestFinished(async () => void (await db.$executeRawUnsafe(`ALTER TABLE outbox_item DROP CONSTRAINT full_outbox`)));
  logs.length = 0;
  await expect(settle(flows, await flows.start('three'))).rejects.toThrow(/full_disk/);
  expect(logs).toEqual([
    expect.objectContaining({
      msg: 'the grant of a failed flow could not be queued for revocation',
      connectionId: three.connectionId,
      err: expect.objectContaining({ message: expect.stringContaining('full_outbox') }),
    }),
  ]);
});
