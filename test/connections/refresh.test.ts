import { expect, onTestFinished, test, vi } from 'vitest';
import { createRefresh, type RefreshDeps } from '../../src/connections/refresh.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import type { Db } from '../../src/db/client.ts';
import type { Prisma } from '../../src/db/generated/prisma/client.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import { untraced } from '../../src/observability/tracing.ts';
import { createStoppedClock, newKey, openProviderFetch, startServiceToStop } from '../support/at-rest.ts';
import { startService } from '../support/harness.ts';
import { connectUser, readAs, setScene, tokenOf, expiredMs } from '../support/scene.ts';
import { answerTokenRequests, deferred, holdTokenRequest } from '../support/token-endpoint.ts';
import { snapshotWith } from '../support/database.ts';

/** The row of one connected user, of a service that has stopped; instances that refresh it are started by the test. */
async function startRefreshing(others: string[] = []) {
  const ENCRYPTION_KEYS = newKey('a');
  const running = await startServiceToStop({ ENCRYPTION_KEYS });
  const scene = await setScene(running.service);
  for (const user of ['one', ...others]) await connectUser(scene, user);
  const id = (await readAs(scene, 'one')).connection.id.replace('AppUserConnection_', '');
  const db = await running.stop();
  const fetch = openProviderFetch();
  /** What an instance has told: metrics and events in a word each, and its log. */
  const startInstance = (deps: Partial<RefreshDeps> = {}) => {
    const clock = createStoppedClock();
    const told: string[] = [];
    const logs: Record<string, unknown>[] = [];
    const refresh = createRefresh({
      db,
      clock,
      fetch,
      keyring: parseKeyring(ENCRYPTION_KEYS),
      metrics: {
        refresh: (providerKey, verdict) => told.push(`${providerKey} ${verdict}`),
        leaseWait: () => told.push('lease wait'),
      },
      tracing: untraced,
      resolveServer: createResolveServer({ fetch, clock }),
      events: { ...createStatusEvents(), publish: (topic) => told.push(`event ${JSON.stringify(topic)}`) },
      log: createLogger('info', { write: (line) => logs.push(JSON.parse(line) as Record<string, unknown>) }),
      wakeWorker: () => told.push('worker woken'),
      track: (work) => work,
      ...deps,
    });
    return { clock, refresh, told, logs };
  };
  const read = () => db.credential.findUniqueOrThrow({ where: { connectionId: id }, include: { connection: true } });
  const write = (data: Prisma.CredentialUncheckedUpdateInput) =>
    db.credential.update({ where: { connectionId: id }, data });
  const acts = async () => {
    const rows = await db.auditEvent.findMany({ where: { actorKind: 'SERVICE' }, orderBy: { id: 'asc' } });
    return rows.map(({ act, outcome }) => `${act} ${outcome}`);
  };
  const { version } = await read();
  return { scene, provider: scene.provider, fetch, db, id, version, startInstance, read, write, acts };
}

const free = { leaseToken: null, leaseUntil: null };

test('34. of two instances one asks the provider; if its lease lapses, what it was answered is kept and no refusal of the other stands', async () => {
  const { scene, id, startInstance, read } = await startRefreshing();
  const [slow, quick] = [startInstance(), startInstance()];
  const start = await read();
  const outcomes = await Promise.all([slow.refresh(id, start.version), quick.refresh(id, start.version)]);
  expect(outcomes).toEqual([{ kind: 'moved' }, { kind: 'moved' }]);
  expect(scene.provider.counts.refresh_token).toBe(1);
  expect(await read()).toMatchObject({ version: start.version + 1, connection: { refusedAt: null } });

  for (const isHolderFirst of [false, true]) {
    const before = await read();
    const [granted, refused] = [deferred(), deferred()];
    const [grantedReached, refusedReached] = [deferred(), deferred()];
    const stop = scene.provider.around(async (ctx, next) => {
      if (ctx.path !== '/token') return next();
      if (scene.provider.counts.refresh_token === before.version - start.version) {
        await next();
        grantedReached.resolve();
        return granted.promise;
      }
      ctx.status = 400; // as a provider does that knows the used refresh token, and leaves the grant alone
      ctx.body = { error: 'invalid_grant' };
      refusedReached.resolve();
      return refused.promise;
    });
    const holder = slow.refresh(id, before.version);
    await grantedReached.promise;
    quick.clock.advance(11_000); // by its clock the holder has been away for longer than the lease
    const other = quick.refresh(id, before.version);
    await refusedReached.promise;
    if (isHolderFirst) {
      granted.resolve();
      await holder;
      refused.resolve();
    } else {
      refused.resolve();
      await other;
      granted.resolve();
    }
    await Promise.all([holder, other]);
    stop();

    const after = await read();
    expect(after).toMatchObject({ version: before.version + 1, connection: { refusedAt: null } });
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(scene.provider.grants()).toHaveLength(1);
  }
});

test('34. what has ended, or was refreshed already, is asked for at no provider, and no lease is left on it', async () => {
  const { provider, db, id, version, startInstance, read, write } = await startRefreshing();
  const { refresh, clock, told } = startInstance();
  const { connection, refreshTokenSealed } = await read();
  const restore = () => db.connection.update({ where: { id }, data: { ...connection, connectionConfig: [] } });
  const at = clock.now();
  expect(await refresh('nobody', version)).toEqual({ kind: 'ended' });
  expect(await refresh(id, version - 1)).toEqual({ kind: 'moved' });
  const changes: Prisma.ConnectionUncheckedUpdateInput[] = [
    { refusedAt: at },
    { disconnectedAt: at },
    { clientFingerprint: 'of another client' },
    { grantExpiresAt: at },
  ];
  for (const data of changes) {
    await db.connection.update({ where: { id }, data });
    expect(await refresh(id, version), `${JSON.stringify(data)}`).toEqual({ kind: 'ended' });
    await restore();
    await write(free);
  }
  await write({ refreshTokenSealed: null });
  expect(await refresh(id, version)).toEqual({ kind: 'ended' });
  expect(await read()).toMatchObject(free);
  await write({ refreshTokenSealed });
  const { connectorId: connector } = connection;
  const connectorChanges: Prisma.ConnectorUncheckedUpdateInput[] = [
    { deletedAt: at },
    { grantsRevokedAt: at },
    { operatorClientId: 'of a client that the operator took away' },
  ];
  for (const data of connectorChanges) {
    await db.connector.update({ where: { id: connector }, data });
    expect(await refresh(id, version), `${JSON.stringify(data)}`).toEqual({ kind: 'ended' });
    expect(await read()).toMatchObject(free);
    await db.connector.update({ where: { id: connector }, data: { deletedAt: null, grantsRevokedAt: null } });
  }
  expect(provider.counts.refresh_token ?? 0).toBe(0);
  expect(told).toEqual([]);
});

test('34. each connection is refreshed by itself: together where they are asked for together, and one’s lease is not another’s', async () => {
  const { provider, db, id, version, startInstance, read } = await startRefreshing(['two']);
  const { refresh } = startInstance();
  const ofOther = { connectionId: { not: id } };
  const other = await db.credential.findFirstOrThrow({ where: ofOther });
  const both = await Promise.all([refresh(id, version), refresh(other.connectionId, other.version)]);
  expect(both).toEqual([{ kind: 'moved' }, { kind: 'moved' }]);
  expect(provider.counts.refresh_token).toBe(2);

  const held = { leaseToken: 'another', leaseUntil: new Date(0), attemptedAt: new Date(0) };
  await db.credential.updateMany({ where: ofOther, data: held });
  const hold = holdTokenRequest(provider, 'request');
  const outcome = refresh(id, version + 1);
  await hold.reached;
  expect(await db.credential.findFirst({ where: ofOther })).toMatchObject(held);
  hold.release();
  expect(await outcome).toEqual({ kind: 'moved' });
  const outage = answerTokenRequests(provider, (ctx) => {
    ctx.status = 503;
  });
  expect(await refresh(id, version + 2)).toMatchObject({ kind: 'unavailable' });
  outage.stop();
  const { connection } = await read();
  for (const data of [
    { clientFingerprint: 'of another client' },
    { clientFingerprint: connection.clientFingerprint },
  ]) {
    await db.connection.update({ where: { id }, data });
    await db.credential.update({ where: { connectionId: id }, data: { retryAt: null } });
    await refresh(id, version + 2);
    expect(await db.credential.findFirst({ where: ofOther })).toMatchObject(held);
  }
  expect(await read()).toMatchObject({ version: version + 3 });
  const { refresh: inVain } = startInstance({ keyring: parseKeyring(newKey('b')) });
  await expect(inVain(id, version + 3)).rejects.toThrow('no key');
  expect(await db.credential.findFirst({ where: ofOther })).toMatchObject(held);
});

test('35. a provider that does not answer is waited for longer and longer; what it is not asked meanwhile is told with how long', async () => {
  const { provider, id, version, startInstance, read, acts } = await startRefreshing();
  const { refresh, clock, told, logs } = startInstance();
  const outage = answerTokenRequests(provider, (ctx) => {
    ctx.status = 503;
  });
  const waits: number[] = [];
  for (let failures = 1; failures <= 10; failures += 1) {
    const outcome = await refresh(id, version);
    const { retryAt, ...row } = await read();
    const waitMs = retryAt!.getTime() - clock.now().getTime();
    waits.push(waitMs);
    const retryAfterSeconds = Math.ceil(waitMs / 1000);
    expect(outcome).toMatchObject({ kind: 'unavailable', retryAfterSeconds, error: { verdict: { kind: 'retry' } } });
    expect(row).toMatchObject({ ...free, version, failures, attemptedAt: null });
    clock.advance(waitMs - 1);
    expect(await refresh(id, version)).toEqual({ kind: 'unavailable', retryAfterSeconds: 1, error: null });
    expect(outage.count()).toBe(failures);
    clock.advance(1);
  }
  for (const [index, waitMs] of waits.entries()) {
    const most = Math.min(2_000 * 2 ** index, 300_000);
    expect(waitMs).toBeGreaterThanOrEqual(most / 2);
    expect(waitMs).toBeLessThanOrEqual(most);
  }
  const { connection } = await read();
  const { connectorId } = connection;
  const failed = { level: 40, msg: 'a refresh failed', connectionId: id, connectorId, afterLostAnswer: false };
  expect(logs).toMatchObject(Array(10).fill(failed));
  expect(told).toEqual(Array(10).fill('custom retry'));
  expect(await acts()).toEqual(Array(10).fill('TOKEN_REFRESHED PROVIDER_UNAVAILABLE'));

  outage.stop();
  expect(await refresh(id, version)).toEqual({ kind: 'moved' });
  expect(await read()).toMatchObject({ ...free, version: version + 1, failures: 0, retryAt: null });
  expect(told.slice(10)).toEqual(['custom refreshed', `event {"connectionId":"${id}"}`]);
  expect((await acts()).at(-1)).toBe('TOKEN_REFRESHED OK');
});

test('35. Retry-After is the least wait; a setting that is refused is asked about again soon, and told while it is not', async () => {
  const { provider, id, version, startInstance, read, write, acts } = await startRefreshing();
  const { refresh, clock, told } = startInstance();
  const outcomeOf = async (answer: Parameters<typeof answerTokenRequests>[1]) => {
    const { stop } = answerTokenRequests(provider, answer);
    const outcome = await refresh(id, version);
    stop();
    return outcome;
  };
  const after = (seconds: string) =>
    outcomeOf((ctx) => {
      ctx.status = 429;
      ctx.set('Retry-After', seconds);
    });
  expect(await after('90')).toMatchObject({ kind: 'unavailable', retryAfterSeconds: 90 });
  await write({ retryAt: null, failures: 0 });
  expect(await after('0')).toMatchObject({ kind: 'unavailable' });
  expect((await read()).retryAt!.getTime()).toBeGreaterThanOrEqual(clock.now().getTime() + 1_000);

  await write({ retryAt: null, failures: 9 });
  const refused = await outcomeOf((ctx) => {
    ctx.status = 401;
    ctx.body = { error: 'invalid_client' };
  });
  const error = { verdict: { kind: 'misconfigured', code: 'INVALID_CLIENT' } };
  expect(refused).toMatchObject({ kind: 'unavailable', retryAfterSeconds: 10, error });
  expect(await read()).toMatchObject({ failures: 10, attemptedAt: null });
  expect(await refresh(id, version)).toMatchObject({ kind: 'unavailable', retryAfterSeconds: 10, error });
  expect((await acts()).at(-1)).toBe('TOKEN_REFRESHED INVALID_CLIENT');
  expect(told.at(-1)).toBe('custom misconfigured');
});

test('35. a grant that the provider refuses for good is ended, once, and told of; what it waited for is due', async () => {
  const { provider, db, id, version, startInstance, read, acts } = await startRefreshing();
  const { refresh, clock, told } = startInstance();
  const { connection } = await read();
  const { workspaceId, connectorId, accountId } = connection;
  // the revocation of an older grant of the same account, which was not to end this one
  const parked = {
    kind: 'REVOKE_GRANT',
    workspaceId,
    connectorId,
    accountId,
    connectionId: id,
    receipt: 'SKIPPED_SHARED_GRANT',
  } as const;
  await db.outboxItem.create({ data: parked });
  answerTokenRequests(provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  expect(await refresh(id, version)).toEqual({ kind: 'ended' });
  expect(await read()).toMatchObject({ ...free, version, attemptedAt: null, connection: { refusedAt: clock.now() } });
  expect(told).toEqual(['custom reauthorize', `event {"connectionId":"${id}"}`]);
  expect(await acts()).toEqual(['GRANT_REFUSED RECONNECT_REQUIRED']);
  expect(await db.outboxItem.findFirst({ where: { kind: 'REVOKE_GRANT' } })).toMatchObject({ dueAt: clock.now() });
});

test('34. a refresh token whose answer was lost is tried once more, which is told', async () => {
  const { provider, id, version, startInstance, read } = await startRefreshing();
  const { refresh, clock, logs } = startInstance();
  const cut = answerTokenRequests(provider, (ctx) => void ctx.req.socket.destroy());
  expect(await refresh(id, version)).toMatchObject({ kind: 'unavailable', error: { verdict: { lost: true } } });
  expect(await read()).toMatchObject({ ...free, attemptedAt: clock.now() });
  cut.stop();
  const outage = answerTokenRequests(provider, (ctx) => {
    ctx.status = 503;
  });
  clock.advance(2_000);
  await refresh(id, version);
  expect(await read()).toMatchObject({ attemptedAt: null });
  expect(logs).toMatchObject([
    { msg: 'a refresh failed', afterLostAnswer: false },
    {
      level: 30,
      msg: 'the answer of the last refresh was lost: its refresh token is tried once more',
      connectionId: id,
    },
    { msg: 'a refresh failed', afterLostAnswer: true },
  ]);
  outage.stop();
});

test('34. a lease that is held is waited for; one that lapsed is taken, at once where no request had left, else a moment later', async () => {
  const { provider, id, version, startInstance, read, write } = await startRefreshing();
  const { refresh, clock, told } = startInstance();
  const held = { leaseToken: 'another', leaseUntil: new Date(clock.now().getTime() + 1) };
  await write(held);
  const waiting = refresh(id, version);
  await vi.waitUntil(() => told.length > 0);
  await write({ version: version + 1, ...free });
  expect(await waiting).toEqual({ kind: 'moved' });
  expect(told).toEqual(['lease wait']);
  expect(provider.counts.refresh_token ?? 0).toBe(0);

  await write(held);
  clock.advance(1);
  expect(await refresh(id, version + 1)).toEqual({ kind: 'moved' });
  expect(told.slice(1)).toEqual(['custom refreshed', `event {"connectionId":"${id}"}`]);

  await write({ ...held, attemptedAt: clock.now() });
  const begun = performance.now();
  expect(await refresh(id, version + 2)).toEqual({ kind: 'moved' });
  expect(performance.now() - begun).toBeGreaterThan(1_400);
  expect(told.slice(3)).toEqual(['lease wait', 'custom refreshed', `event {"connectionId":"${id}"}`]);
  expect(await read()).toMatchObject({ ...free, version: version + 3 });
});

test('34. who was overtaken before the request left sends none', async () => {
  const { provider, fetch, id, version, startInstance, read, write } = await startRefreshing();
  let isFirst = true;
  const overtaken = startInstance({
    async resolveServer(...args) {
      if (isFirst) await write({ leaseToken: 'another' });
      isFirst = false;
      return createResolveServer({ fetch, clock: overtaken.clock })(...args);
    },
  });
  const outcome = overtaken.refresh(id, version);
  await vi.waitUntil(() => !isFirst);
  await vi.waitUntil(async () => (await read()).leaseToken === 'another');
  await write({ version: version + 1, ...free });
  expect(await outcome).toEqual({ kind: 'moved' });
  expect(await read()).toMatchObject({ attemptedAt: null });
  expect(overtaken.told).toEqual([]);
  expect(provider.counts.refresh_token ?? 0).toBe(0);
});

test('34. who slept for longer than the lease sends nothing, and begins anew', async () => {
  const { provider, fetch, id, version, startInstance } = await startRefreshing();
  let tries = 0;
  const slept = startInstance({
    fetch(url, init) {
      if (new URL(url).pathname === '/token' && ++tries === 1) slept.clock.advance(8_000);
      return fetch(url, init);
    },
  });
  expect(await slept.refresh(id, version)).toEqual({ kind: 'moved' });
  expect([tries, provider.counts.refresh_token]).toEqual([2, 1]);
  expect(slept.told).toEqual(['custom refreshed', `event {"connectionId":"${id}"}`]);
});

test('34. while the provider takes its time the lease is renewed, and a renewal that fails is told', async () => {
  const { provider, db, id, version, startInstance, read } = await startRefreshing();
  const { refresh, clock, logs } = startInstance();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const held = holdTokenRequest(provider, 'answer');
  const outcome = refresh(id, version);
  await held.reached;
  clock.advance(7_000);
  vi.advanceTimersByTime(2_667);
  const renewed = new Date(clock.now().getTime() + 8_000);
  await expect.poll(async () => (await read()).leaseUntil).toEqual(renewed);

  const makeRoom = 'ALTER TABLE credential DROP CONSTRAINT IF EXISTS full_disk';
  onTestFinished(async () => void (await db.$executeRawUnsafe(makeRoom)));
  await db.$executeRawUnsafe('ALTER TABLE credential ADD CONSTRAINT full_disk CHECK (failures > 0) NOT VALID');
  vi.advanceTimersByTime(2_667);
  const message = { level: 40, msg: 'the lease of a refresh could not be renewed', connectionId: id };
  await expect.poll(() => logs).toMatchObject([message]);
  await db.$executeRawUnsafe(makeRoom);
  held.release();
  expect(await outcome).toEqual({ kind: 'moved' });
  expect(vi.getTimerCount()).toBe(0);
});

/** Refreshes a connection that is changed while the provider answers. Answers what it queued to be revoked as well. */
async function refreshWhile(change: (row: { db: Db; id: string }) => Promise<unknown>) {
  const { provider, db, id, version, startInstance, read } = await startRefreshing();
  const { connection } = await read();
  const instance = startInstance();
  const held = holdTokenRequest(provider, 'answer');
  const refreshed = instance.refresh(id, version);
  await held.reached;
  await change({ db, id });
  held.release();
  const outcome = await refreshed;
  const queued = await db.outboxItem.findMany({ where: { kind: 'REVOKE_GRANT' } });
  const told = instance.told.filter((line) => !line.startsWith('event'));
  const after = await db.credential.findUnique({ where: { connectionId: id }, include: { connection: true } });
  return { outcome, queued, told, id, version, after, accountId: connection.accountId, now: instance.clock.now() };
}

test('34. tokens that come once another may have shown the old refresh token are kept, and asked about at the next read', async () => {
  const changes: Parameters<typeof refreshWhile>[0][] = [
    ({ db, id }) => db.credential.update({ where: { connectionId: id }, data: { leaseToken: 'another' } }),
    ({ db, id }) => db.connection.update({ where: { id }, data: { refusedAt: new Date() } }),
  ];
  for (const change of changes) {
    const { outcome, queued, version, after, now } = await refreshWhile(change);
    expect([outcome, queued]).toEqual([{ kind: 'moved' }, []]);
    expect(after).toMatchObject({ version: version + 1, accessTokenExpiresAt: now, connection: { refusedAt: null } });
  }
});

test('34. tokens that come once another has stored newer ones are of no use, and end nothing', async () => {
  const newer = await refreshWhile(({ db, id }) =>
    db.credential.update({ where: { connectionId: id }, data: { version: { increment: 1 } } }),
  );
  expect([newer.outcome, newer.queued]).toEqual([{ kind: 'moved' }, []]);
  expect(newer.after).toMatchObject({ version: newer.version + 1 });
});

test('34. a refusal that comes once another has stored newer tokens refuses nothing', async () => {
  const { provider, id, version, startInstance, read, write, acts } = await startRefreshing();
  const { refresh, told } = startInstance();
  const [reached, released] = [deferred(), deferred()];
  provider.around(async (ctx, next) => {
    if (ctx.path !== '/token') return next();
    reached.resolve();
    await released.promise;
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  const outcome = refresh(id, version);
  await reached.promise;
  await write({ version: version + 1 });
  released.resolve();
  expect(await outcome).toEqual({ kind: 'moved' });
  expect(await read()).toMatchObject({ connection: { refusedAt: null } });
  expect([told, await acts()]).toEqual([['custom reauthorize'], []]);
});

test('34. tokens that come for a connection that has ended meanwhile are revoked at once', async () => {
  const ended = await refreshWhile(({ db, id }) => db.credential.delete({ where: { connectionId: id } }));
  const { outcome, queued, told, id, accountId, now } = ended;
  expect(outcome).toEqual({ kind: 'ended' });
  expect(queued).toMatchObject([{ connectionId: id, accountId, dueAt: now }]);
  expect(told).toEqual(['custom refreshed', 'worker woken']);
});

test('34. tokens that come for a connection that was made anew meanwhile are revoked, not before that one has ended', async () => {
  const { outcome, queued, told, id, accountId } = await refreshWhile(async ({ db, id }) => {
    await db.connection.update({ where: { id }, data: { connectedAt: new Date(0) } });
    await db.credential.update({ where: { connectionId: id }, data: { version: 7 } });
  });
  expect(outcome).toEqual({ kind: 'moved' });
  expect(queued).toMatchObject([{ connectionId: id, accountId, dueAt: null }]);
  expect(told).toEqual(['custom refreshed']);
});

test('34. a refresh token that no key opens is no word of the provider’s: it fails, and leaves no lease', async () => {
  const { provider, id, version, startInstance, read, acts } = await startRefreshing();
  const { refresh, told } = startInstance({ keyring: parseKeyring(newKey('b')) });
  await expect(refresh(id, version)).rejects.toThrow(/no key "a" in ENCRYPTION_KEYS/);
  expect(await read()).toMatchObject({ ...free, version, failures: 0, attemptedAt: null });
  expect(provider.counts.refresh_token ?? 0).toBe(0);
  expect([...told, ...(await acts())]).toEqual([]);
});

test('34. what a refresh brings is kept: tokens, what they allow, and until when', async () => {
  const { provider, db, id, version, startInstance, read } = await startRefreshing();
  const { refresh, clock } = startInstance();
  const before = await read();
  await db.connector.updateMany({ data: { refusal: 'INVALID_CLIENT', refusedAt: clock.now() } });
  clock.advance(60_000);
  expect(await refresh(id, version)).toEqual({ kind: 'moved' });
  const after = await read();
  const now = clock.now();
  expect(after.connection).toMatchObject({ lastRefreshedAt: now, lastVerifiedAt: now, refusedAt: null });
  expect(after.connection.grantedScopes).toEqual(before.connection.grantedScopes);
  expect(after).toMatchObject({ issuedAt: now, accessTokenExpiresAt: new Date(now.getTime() + 300_000) });
  expect(await db.connector.findFirst()).toMatchObject({ refusal: null });

  const { refreshTokenSealed } = after;
  const { stop } = answerTokenRequests(provider, (ctx) => {
    ctx.body = { access_token: 'next', token_type: 'Bearer', expires_in: 60, scope: 'openid' };
  });
  expect(await refresh(id, version + 1)).toEqual({ kind: 'moved' });
  stop();
  expect(await read()).toMatchObject({ refreshTokenSealed, connection: { grantedScopes: ['openid'] } });
});

test('34. a database that refuses for the moment to store rotated tokens loses none', async () => {
  // a sequence counts also what is rolled back: the first two writes of new tokens fail
  const snapshot = await snapshotWith(`
    CREATE SEQUENCE writes;
    CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
      IF NEW.version <> OLD.version AND nextval('writes') <= 2 THEN RAISE EXCEPTION 'no room'; END IF;
      RETURN NEW;
    END $$ LANGUAGE plpgsql;
    CREATE TRIGGER refuse BEFORE UPDATE ON credential FOR EACH ROW EXECUTE FUNCTION refuse();`);
  const scene = await setScene(await startService({}, { snapshot }));
  await connectUser(scene, 'one');
  const old = await tokenOf(scene, 'one');
  scene.service.clock.advance(expiredMs);
  const refreshed = await tokenOf(scene, 'one');
  expect(refreshed).not.toBe(old);
  scene.service.clock.advance(expiredMs);
  expect(await tokenOf(scene, 'one')).not.toBe(refreshed);
  expect(scene.provider.counts.refresh_token).toBe(2);
});
