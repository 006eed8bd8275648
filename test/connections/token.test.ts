import { expect, test } from 'vitest';
import { createFindForRead } from '../../src/connections/store.ts';
import type { RefreshOutcome } from '../../src/connections/refresh.ts';
import { readSharedToken, readToken, type TokenDeps, type TokenReadOptions } from '../../src/connections/token.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import type { Prisma } from '../../src/db/generated/prisma/client.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import { OAuthError } from '../../src/oauth/failure.ts';
import { untraced } from '../../src/observability/tracing.ts';
import type { Caller } from '../../src/workspaces/caller.ts';
import { createStoppedClock, newKey, openProviderFetch, startServiceToStop } from '../support/at-rest.ts';
import { connectUser, readAs, setScene } from '../support/scene.ts';

const asUsual: TokenReadOptions = {
  minValiditySeconds: null,
  acceptOutdatedScopes: false,
  rejectedTokenFingerprint: null,
};

/** The row of one connected user, of a service that has stopped, and reads of it that are noted in all that they do. */
async function startReading() {
  const ENCRYPTION_KEYS = newKey('a');
  const running = await startServiceToStop({ ENCRYPTION_KEYS });
  const scene = await setScene(running.service);
  await connectUser(scene, 'one');
  const { connection } = await readAs(scene, 'one');
  const id = connection.id.replace('AppUserConnection_', '');
  const db = await running.stop();
  const fetch = openProviderFetch();
  const clock = createStoppedClock();
  /** What the reads have done, in a line each. */
  const told: string[] = [];
  const next: { refresh: () => Promise<RefreshOutcome> } = { refresh: async () => ({ kind: 'ended' }) };
  const deps: TokenDeps = {
    db,
    findForRead: createFindForRead(({ text }, values) => db.$queryRawUnsafe(text, ...values)),
    clock,
    keyring: parseKeyring(ENCRYPTION_KEYS),
    fetch,
    resolveServer: createResolveServer({ fetch, clock }),
    events: { ...createStatusEvents(), publish: (topic) => told.push(`event ${JSON.stringify(topic)}`) },
    refresh: (connectionId, version) => {
      told.push(`refresh ${connectionId === id} ${version}`);
      return next.refresh();
    },
    background: () => told.push('in the background'),
    noteTokenRead: (_caller, read) => told.push(`noted ${read.connectionId === id} ${read.outcome}`),
    tracing: untraced,
    limits: {
      refusedFor: () => 0,
      take: async (limit, key) => void told.push(`limit ${limit} ${key.split(' ').slice(1).join(' ')}`.trim()),
    },
  };
  const { workspaceId, appId, connectorId } = await db.connection.findUniqueOrThrow({ where: { id } });
  const app = { id: appId, workspaceId, name: 'App', origins: [] };
  const expiresAt = new Date(clock.now().getTime() + 60_000);
  const caller = { kind: 'backend-function', app, user: { userId: 'one', expiresAt } } as const;
  const row = () => db.credential.findUniqueOrThrow({ where: { connectionId: id }, include: { connection: true } });
  const write = (data: Prisma.CredentialUncheckedUpdateInput) =>
    db.credential.update({ where: { connectionId: id }, data });
  /** What a read comes to, and what it did meanwhile besides asking whether it may. */
  const read = async (options: Partial<TokenReadOptions> = {}, by: Caller = caller, of = connectorId) => {
    told.length = 0;
    const answer = await readToken(deps, by, of, { ...asUsual, ...options }).catch((error: unknown) => error);
    return { answer, did: told.filter((line) => !line.startsWith('limit token-reads')) };
  };
  return { scene, db, id, app, connectorId, deps, clock, caller, told, next, row, write, read };
}

const served = { accessToken: expect.anything(), tokenType: 'Bearer', providerKey: 'custom' };

test('32. a token that is good is served as it is stored, to the app’s backend alone, and every read is limited and noted', async () => {
  const { scene, app, deps, caller, connectorId, read, row, told } = await startReading();
  const { accessTokenExpiresAt, fingerprint } = await row();
  const { answer, did } = await read();
  expect(answer).toMatchObject({
    ...served,
    accessTokenExpiresAt,
    accessTokenFingerprint: fingerprint,
    connection: { status: 'CONNECTED' },
  });
  expect(did).toEqual(['noted true OK']);
  expect(told.slice(0, 2)).toEqual(['limit token-reads-by-app', 'limit token-reads user one']);
  expect(scene.provider.grants()).toHaveLength(1);

  const user: Caller = { kind: 'app-user', app, userId: 'one', expiresAt: new Date() };
  expect(await read({}, user)).toMatchObject({ answer: { code: 'FORBIDDEN' }, did: ['noted true FORBIDDEN'] });
  const alone: Caller = { kind: 'backend-function', app, user: null };
  expect(await read({}, alone)).toMatchObject({ answer: { code: 'UNAUTHENTICATED' } });
  const other: Caller = { kind: 'backend-function', app, user: { userId: 'two', expiresAt: new Date() } };
  expect(await read({}, other)).toMatchObject({
    answer: { code: 'NOT_CONNECTED' },
    did: ['noted false NOT_CONNECTED'],
  });
  expect(await read({}, caller, 'none')).toMatchObject({ answer: { code: 'NOT_FOUND' } });
  await deps.db.connector.update({ where: { id: connectorId }, data: { deletedAt: new Date() } });
  expect(await read()).toMatchObject({ answer: { code: 'NOT_FOUND' }, did: ['noted true NOT_FOUND'] });
});

test('32. each kind of connector is read by its own field, which the error names', async () => {
  const { deps, caller, connectorId, read, db, told } = await startReading();
  const fieldsOf = (message: string) => ({ code: 'VALIDATION', fields: [{ path: 'connectorId', message }] });
  const shared = () =>
    readSharedToken(deps, caller, connectorId, { minValiditySeconds: null, rejectedTokenFingerprint: null });
  await expect(shared()).rejects.toMatchObject(
    fieldsOf('Each user has an account of their own at this connector: read it with currentAppUserConnection.'),
  );
  await db.connector.update({ where: { id: connectorId }, data: { kind: 'SHARED' } });
  expect((await read()).answer).toMatchObject(
    fieldsOf('The account of this connector is shared by the whole app: read it with sharedConnection.'),
  );
  told.length = 0;
  await expect(shared()).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
  expect(told).toEqual(['limit token-reads-by-app', 'limit token-reads shared', 'noted false NOT_CONNECTED']);
  const user: Caller = { kind: 'app-user', app: caller.app, userId: 'one', expiresAt: new Date() };
  const asUser = readSharedToken(deps, user, connectorId, asUsual);
  await expect(asUser).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('32. what is asked of a token is checked: seconds within a day, and a fingerprint as it was given', async () => {
  const { read } = await startReading();
  const badSeconds = { path: 'minValiditySeconds', message: 'minValiditySeconds is a number from 0 to 86400.' };
  const badFingerprint = {
    path: 'rejectedTokenFingerprint',
    message: 'rejectedTokenFingerprint is the accessTokenFingerprint of the refused token: 16 lower-case hex digits.',
  };
  for (const minValiditySeconds of [-1, 86_401])
    expect((await read({ minValiditySeconds })).answer).toMatchObject({ code: 'VALIDATION', fields: [badSeconds] });
  for (const rejectedTokenFingerprint of ['', 'x'.repeat(16), 'a'.repeat(15), 'a'.repeat(17), 'A'.repeat(16)]) {
    const { answer } = await read({ minValiditySeconds: -1, rejectedTokenFingerprint });
    expect(answer).toMatchObject({ fields: [badSeconds, badFingerprint] });
  }
  // another token’s, by now
  const good = await read({ minValiditySeconds: 0, rejectedTokenFingerprint: 'a'.repeat(16) });
  expect(good).toMatchObject({ answer: served, did: ['noted true OK'] });
});

test('33. within the margin the token is served and refreshed behind the reader’s back, unless a wait is on', async () => {
  const { clock, read, row, write } = await startReading();
  const { version } = await row();
  clock.advance(270_000);
  const refreshing = [`refresh true ${version}`, 'in the background', 'noted true OK'];
  expect(await read()).toMatchObject({ answer: served, did: refreshing });
  await write({ retryAt: new Date(clock.now().getTime() + 1) });
  expect(await read()).toMatchObject({ answer: served, did: ['noted true OK'] });
  clock.advance(1);
  expect(await read()).toMatchObject({ answer: served, did: refreshing });
});

test('33. a token that is too old, or too short for what is asked, is waited for; what came meanwhile is served', async () => {
  const { clock, read, row, write, next, db } = await startReading();
  const { version, fingerprint } = await row();
  clock.advance(100_000);
  const moved = async (): Promise<RefreshOutcome> => {
    const fresh = { issuedAt: clock.now(), accessTokenExpiresAt: new Date(clock.now().getTime() + 300_000) };
    await write({ ...fresh, version: { increment: 1 }, fingerprint: `f${fingerprint.slice(1)}` });
    return { kind: 'moved' };
  };
  next.refresh = moved;
  const waited = [`refresh true ${version}`, 'noted true OK'];
  expect(await read({ minValiditySeconds: 250 })).toMatchObject({
    answer: { ...served, accessTokenFingerprint: `f${fingerprint.slice(1)}` },
    did: waited,
  });
  // a second refused token is none of the new one’s
  await write({ version, fingerprint, issuedAt: new Date(0) });
  const rejected = await read({ rejectedTokenFingerprint: fingerprint });
  expect(rejected.did).toEqual(['limit rejected-tokens', ...waited]);

  // never good for long enough: after some turns that is the provider’s to mend
  next.refresh = async () => {
    await write({ version: { increment: 1 } });
    return { kind: 'moved' };
  };
  await write({ version, accessTokenExpiresAt: clock.now() });
  const unending = await read();
  expect(unending.answer).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', retryAfterSeconds: 1 });
  expect(unending.did.filter((line) => line.startsWith('refresh'))).toEqual(
    [0, 1, 2, 3].map((by) => `refresh true ${version + by}`),
  );

  next.refresh = async () => ({ kind: 'unavailable', retryAfterSeconds: 7, error: null });
  expect((await read()).answer).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', retryAfterSeconds: 7 });
  const refused = new OAuthError({ kind: 'misconfigured', code: 'INVALID_CLIENT' }, 'refused');
  next.refresh = async () => ({ kind: 'unavailable', retryAfterSeconds: 10, error: refused });
  expect((await read()).answer).toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    retryAfterSeconds: 10,
    remedy: { actor: 'ADMIN' },
  });

  await write({ refreshTokenSealed: null });
  expect((await read()).answer).toMatchObject({ code: 'RECONNECT_REQUIRED', reconnectReason: 'GRANT_EXPIRED' });
  const { connection } = await row();
  await db.connection.update({ where: { id: connection.id }, data: { disconnectedAt: clock.now() } });
  expect((await read()).answer).toMatchObject({ code: 'NOT_CONNECTED' });
});

test('36. a token that must be consented to anew is refused with the reason, but for new scopes where the caller takes the old', async () => {
  const { db, connectorId, read, clock, id } = await startReading();
  await db.connector.update({ where: { id: connectorId }, data: { scopesFingerprint: 'others', scopes: ['more'] } });
  const { answer, did } = await read();
  expect(answer).toMatchObject({
    code: 'RECONNECT_REQUIRED',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['more'],
  });
  expect(did).toEqual(['noted true RECONNECT_REQUIRED']);
  expect((await read({ acceptOutdatedScopes: true })).answer).toMatchObject(served);
  await db.connection.update({ where: { id }, data: { refusedAt: clock.now() } });
  expect((await read({ acceptOutdatedScopes: true })).answer).toMatchObject({ reconnectReason: 'ACCESS_REVOKED' });
  await db.workspace.updateMany({ data: { plan: 'FREE' } });
  expect((await read()).answer).toMatchObject({ code: 'PLAN_REQUIRED' });
});

test('35. of a refused token that nothing can refresh the provider is asked whether it means it', async () => {
  const { scene, id, db, read, row, write, clock, deps } = await startReading();
  const { fingerprint, version, connection } = await row();
  const verifiedAt = () =>
    db.connection.findUniqueOrThrow({ where: { id } }).then(({ lastVerifiedAt }) => lastVerifiedAt);
  await write({ refreshTokenSealed: null });
  clock.advance(1_000);
  const rejected = { rejectedTokenFingerprint: fingerprint };
  expect(await read(rejected)).toMatchObject({ answer: served, did: ['limit rejected-tokens', 'noted true OK'] });
  expect(await verifiedAt()).toEqual(clock.now());

  // an answer that decides nothing
  const away = scene.provider.around(async (ctx, next) => {
    if (ctx.path !== '/me') return next();
    ctx.status = 503;
  });
  clock.advance(1_000);
  expect(await read(rejected)).toMatchObject({ answer: served });
  away();
  const { resolveServer } = deps;
  deps.resolveServer = async () => {
    throw new OAuthError({ kind: 'retry', code: 'TIMEOUT', retryAfterSeconds: null, lost: false }, 'away');
  };
  expect(await read(rejected)).toMatchObject({ answer: served });
  deps.resolveServer = async () => {
    throw new Error('a bug');
  };
  expect(await read(rejected)).toMatchObject({
    answer: { message: 'a bug' },
    did: expect.arrayContaining(['noted true INTERNAL_SERVER_ERROR']),
  });
  deps.resolveServer = async (...args) => ({ ...(await resolveServer(...args)), identity: null });
  expect(await read(rejected)).toMatchObject({ answer: served });
  deps.resolveServer = resolveServer;
  expect(await verifiedAt()).toEqual(new Date(clock.now().getTime() - 1_000));

  scene.provider.around(async (ctx, next) => {
    if (ctx.path !== '/me') return next();
    ctx.status = 401;
  });
  const refused = await read(rejected);
  expect(refused.answer).toMatchObject({ code: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });
  expect(refused.did).toEqual([
    'limit rejected-tokens',
    `event {"connectionId":"${id}"}`,
    'noted true RECONNECT_REQUIRED',
  ]);
  expect(await row()).toMatchObject({ version, connection: { refusedAt: clock.now() } });
  const { appId, connectorId } = connection;
  expect(await db.auditEvent.findMany({ where: { act: 'GRANT_REFUSED' } })).toMatchObject([
    { actorKind: 'SERVICE', outcome: 'RECONNECT_REQUIRED', connectionId: id, appId, connectorId },
  ]);
});

test('32. a caller that is remembered is asked for anew once its key, or its app, is not as it was', async () => {
  const { deps, caller, read, db, app } = await startReading();
  const { updatedAt } = await db.app.findUniqueOrThrow({ where: { id: app.id } });
  const key = await db.appKey.findFirstOrThrow({ where: { appId: app.id } });
  const recalled = { ...caller, recalled: { keyId: key.id, appAsOf: updatedAt } };
  expect(await read({}, recalled)).toMatchObject({ answer: served, did: ['noted true OK'] });
  const asOf = { ...caller, recalled: { keyId: key.id, appAsOf: new Date(0) } };
  expect(await read({}, asOf)).toMatchObject({ answer: { name: 'CallerOutdated' }, did: [] });
  await db.appKey.update({ where: { id: key.id }, data: { revokedAt: new Date() } });
  expect(await read({}, recalled)).toMatchObject({ answer: { name: 'CallerOutdated' }, did: [] });
  const shared = readSharedToken(deps, recalled, 'none', asUsual);
  await expect(shared).rejects.toMatchObject({ name: 'CallerOutdated' });
});
