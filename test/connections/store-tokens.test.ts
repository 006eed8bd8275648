import { expect, test } from 'vitest';
import * as store from '../../src/connections/store.ts';
import type { Prisma } from '../../src/db/generated/prisma/client.ts';
import { ago, ahead, at, changedBy, idsOf, now, openRows, tokens } from '../support/rows.ts';

async function openTokens() {
  const rows = await openRows();
  const { db } = rows;
  const connections = () => db.connection.findMany({ orderBy: { id: 'asc' } });
  const credentials = () => db.credential.findMany({ orderBy: { connectionId: 'asc' } });
  const connectors = () => db.connector.findMany({ orderBy: { id: 'asc' } });
  return {
    ...rows,
    connections,
    credentials,
    connectors,
    credentialsChanged: (act: () => Promise<unknown>) => changedBy(credentials, act),
    connectionsChanged: (act: () => Promise<unknown>) => changedBy(connections, act),
    connectorsChanged: (act: () => Promise<unknown>) => changedBy(connectors, act),
  };
}

const leased = { leaseToken: 'mine', leaseUntil: ahead, attemptedAt: ago, failures: 3, retryAt: ago };
const fresh = { leaseToken: null, leaseUntil: null, attemptedAt: null, failures: 0, retryAt: null };
const newTokens = { ...tokens, accessTokenSealed: 'new access', refreshTokenSealed: 'new refresh', issuedAt: now };

test('27. connecting again puts new tokens in the place of the old, under the next version, with nothing of an earlier refresh left', async () => {
  const { db, write, connections, credentials } = await openTokens();
  await write.connected('one', { refusedAt: ago }, { ...leased, version: 7 });
  await write.connected('untouched', {}, leased);
  const row = {
    workspaceId: 'w',
    connectorId: 'k',
    appId: 'a',
    clientFingerprint: 'client',
    scopesFingerprint: 'new scopes',
    connectedAt: now,
    refusedAt: null,
  };
  const replace = (id: string) =>
    db.$transaction((tx) => store.replaceConnection(tx, { ...row, id, userId: id }, newTokens));
  await replace('one');
  await replace('two');
  expect(await connections()).toMatchObject([
    { ...row, id: 'one' },
    { ...row, id: 'two' },
    { id: 'untouched', connectedAt: ago },
  ]);
  const [one, two, untouched] = await credentials();
  expect(one).toEqual({ ...newTokens, ...fresh, connectionId: 'one', version: 8 });
  expect(two).toEqual({ ...newTokens, ...fresh, connectionId: 'two', version: expect.any(Number) });
  expect(untouched).toMatchObject({ ...leased, version: 1 });

  // of a connection that was made again no old version comes back
  await db.credential.delete({ where: { connectionId: 'two' } });
  await replace('two');
  const versions = (await credentials()).map(({ version }) => version);
  expect(versions[1]).not.toBe(two!.version);
  for (const version of versions) expect(version).toBeGreaterThan(0);
});

test('42. a connection that ends is left without tokens and without a name; others keep theirs; what has ended ends once', async () => {
  const { db, write, connections, credentials } = await openTokens();
  const account = { accountId: 'blue', accountEmail: 'blue@example.com', accountName: 'Blue', ownedBy: 'member-1' };
  await write.connected('one', account);
  await write.connected('two', account);
  const end = (id: string) => db.$transaction((tx) => store.endConnection(tx, id, now));
  expect(await end('one')).toMatchObject({ ...account, id: 'one', credential: { refreshTokenSealed: 'refresh' } });
  const gone = { accountId: null, accountEmail: null, accountName: null, ownedBy: null };
  const after = [
    { ...gone, id: 'one', disconnectedAt: now },
    { ...account, id: 'two', disconnectedAt: null },
  ];
  expect(await connections()).toMatchObject(after);
  expect((await credentials()).map(({ connectionId }) => connectionId)).toEqual(['two']);
  expect([await end('one'), await end('nobody')]).toEqual([null, null]);
  expect(await connections()).toMatchObject(after);
});

test('16. where all are revoked, those made until then lose their tokens and are refused; what is newer keeps them', async () => {
  const { db, write, connections, credentials } = await openTokens();
  await write.connected('1 before');
  await write.connected('2 just then', { connectedAt: now, refusedAt: ago });
  await write.connected('3 newer', { connectedAt: ahead });
  await write.connection('4 without tokens');
  const take = async (id: string) =>
    (await db.$transaction((tx) => store.takeTokens(tx, id, now, at(5))))?.credential?.accessTokenSealed ?? null;
  const taken = [];
  for (const id of ['1 before', '2 just then', '3 newer', '4 without tokens', 'nobody']) taken.push(await take(id));
  expect(taken).toEqual(['access', 'access', null, null, null]);
  expect((await connections()).map(({ refusedAt, disconnectedAt }) => [refusedAt, disconnectedAt])).toEqual([
    [at(5), null],
    [ago, null],
    [null, null],
    [null, null],
  ]);
  expect((await credentials()).map(({ connectionId }) => connectionId)).toEqual(['3 newer']);
});

test('37. idle grants are those that can still be refreshed, the longest unused first, from a place in that order on', async () => {
  const { db, write } = await openTokens();
  await write.app('deleted', { deletedAt: ago });
  await write.connector('without');
  await write.connector('other provider', { providerKey: 'slack' });
  await write.connector('gone', { deletedAt: ago });
  await write.connector('cleared', { grantsRevokedAt: ago });
  const unusedSince = at(-1_000);
  const idle = (ms: number) => ({ issuedAt: at(ms) });
  await write.connected('c', {}, { ...idle(-1_000), version: 5 });
  await write.connected('b', { grantExpiresAt: ahead }, { ...idle(-2_000), retryAt: now, leaseUntil: now });
  await write.connected('a', { connectorId: 'cleared', connectedAt: now }, idle(-2_000));
  await write.connected('d', { scopesFingerprint: 'other' }, idle(-3_000));
  await write.connected('used', {}, idle(-999));
  const kept: [Partial<Prisma.ConnectionUncheckedCreateInput>, Partial<Prisma.CredentialUncheckedCreateInput>?][] = [
    [{}, { refreshTokenSealed: null }],
    [{}, { retryAt: ahead }],
    [{}, { leaseUntil: ahead }],
    [{ refusedAt: ago }],
    [{ disconnectedAt: ago }],
    [{ grantExpiresAt: now }],
    [{ clientFingerprint: 'other' }],
    [{ connectorId: 'cleared' }],
    [{ connectorId: 'gone' }],
    [{ connectorId: 'without' }],
    [{ connectorId: 'other provider' }],
    [{ appId: 'deleted' }],
  ];
  for (const [index, [connection, credential]] of kept.entries())
    await write.connected(`kept ${index}`, connection, { ...idle(-5_000), ...credential });
  const find = (after: store.IdleGrant | null, limit: number) => {
    const of = { providerKeys: ['github', 'notion'], unusedSince, after, withoutConnectors: ['without'] };
    return store.findIdleGrants(db, of, now, limit);
  };
  const all = await find(null, 100);
  expect(all).toEqual([
    { connectionId: 'd', connectorId: 'k', version: 1, ...idle(-3_000) },
    { connectionId: 'a', connectorId: 'cleared', version: 1, ...idle(-2_000) },
    { connectionId: 'b', connectorId: 'k', version: 1, ...idle(-2_000) },
    { connectionId: 'c', connectorId: 'k', version: 5, ...idle(-1_000) },
  ]);
  expect(await find(null, 2)).toEqual(all.slice(0, 2));
  for (const [index, grant] of all.entries()) expect(await find(grant, 2)).toEqual(all.slice(index + 1, index + 3));
});

test('34. the lease of a refresh is taken where it is free, of one version, and not behind a request that may still be under way', async () => {
  const { write, db, credentialsChanged } = await openTokens();
  await write.connected('untouched');
  const lease = { leaseToken: 'mine', leaseUntil: at(10_000) };
  const theirs = { leaseToken: 'theirs', leaseUntil: now };
  const cases: [free: boolean, Partial<Prisma.CredentialUncheckedCreateInput>, abandoned?: string][] = [
    [true, {}],
    [true, { retryAt: now }],
    [false, { retryAt: ahead }],
    [true, theirs],
    [false, { ...theirs, leaseUntil: ahead }],
    [false, { ...theirs, leaseUntil: ahead }, 'theirs'],
    [false, { ...theirs, attemptedAt: ago }],
    [true, { ...theirs, attemptedAt: ago }, 'theirs'],
    [false, { ...theirs, attemptedAt: ago }, 'another’s'],
    [true, { attemptedAt: ago }],
    [false, { version: 2 }],
  ];
  for (const [index, [isFree, credential, abandoned = null]] of cases.entries()) {
    const id = `case ${index}`;
    await write.connected(id, {}, credential);
    const key = { connectionId: id, version: 1 };
    const taken = await credentialsChanged(() => store.takeLease(db, key, lease, now, abandoned));
    expect([index, taken]).toMatchObject([index, isFree ? [{ connectionId: id, ...lease }] : []]);
  }
});

test('34. only who holds the lease extends it, records that a request leaves, and gives it back with what it has learnt', async () => {
  const { write, db, credentialsChanged } = await openTokens();
  await write.connected('one', {}, { leaseToken: 'mine', leaseUntil: ahead });
  await write.connected('two', {}, leased);
  const until = at(10_000);
  const mine = { connectionId: 'one', leaseToken: 'mine' };
  const theirs = { connectionId: 'one', leaseToken: 'theirs' };
  const refused = await credentialsChanged(async () => {
    expect(await store.extendLease(db, 'one', 'theirs', until)).toBe(false);
    expect(await store.recordAttempt(db, theirs, now, until)).toBe(false);
    expect(await store.recordAttempt(db, mine, ahead, until)).toBe(false); // it lapses at that very instant
    await store.releaseLease(db, theirs, { failures: 1, retryAt: ahead });
  });
  expect(refused).toEqual([]);
  expect(
    await credentialsChanged(async () => expect(await store.extendLease(db, 'one', 'mine', at(5))).toBe(true)),
  ).toMatchObject([{ connectionId: 'one', leaseToken: 'mine', leaseUntil: at(5), attemptedAt: null }]);
  expect(
    await credentialsChanged(async () => expect(await store.recordAttempt(db, mine, at(4), until)).toBe(true)),
  ).toMatchObject([{ connectionId: 'one', leaseToken: 'mine', leaseUntil: until, attemptedAt: at(4) }]);
  const outcome = { failures: 4, retryAt: at(60_000), attemptedAt: null };
  expect(await credentialsChanged(() => store.releaseLease(db, mine, outcome))).toMatchObject([
    { connectionId: 'one', version: 1, leaseToken: null, leaseUntil: null, ...outcome },
  ]);
  await store.releaseLease(db, { connectionId: 'two', leaseToken: 'mine' }, {});
  expect(await store.findForRefresh(db, 'two')).toMatchObject({
    leaseToken: null,
    leaseUntil: null,
    attemptedAt: ago,
    failures: 3,
    retryAt: ago,
    connection: { id: 'two', connector: { id: 'k' } },
  });
});

test('34. refreshed tokens, or a refusal, are written only over the tokens that were asked with', async () => {
  const { db, write, connections, credentials } = await openTokens();
  await write.connected('one', {}, { ...leased, version: 7 });
  await write.connected('two', {}, { ...leased, version: 7 });
  await write.connected('untouched', {}, { ...leased, version: 7 });
  const storeAs = (connectionId: string, version: number) =>
    db.$transaction((tx) =>
      store.storeRefreshed(tx, { connectionId, version }, newTokens, { lastRefreshedAt: now, grantedScopes: ['read'] }),
    );
  const refuse = (connectionId: string, version: number) =>
    db.$transaction((tx) => store.recordRefusal(tx, { connectionId, version }, now));
  const before = [await connections(), await credentials()];
  expect([await storeAs('one', 6), await storeAs('one', 8), await storeAs('nobody', 7)]).toEqual([false, false, false]);
  expect([await refuse('two', 6), await refuse('two', 8), await refuse('nobody', 7)]).toEqual([false, false, false]);
  expect([await connections(), await credentials()]).toEqual(before);

  expect([await storeAs('one', 7), await refuse('two', 7)]).toEqual([true, true]);
  expect(await credentials()).toMatchObject([
    { connectionId: 'one', ...newTokens, ...fresh, version: 8 },
    { connectionId: 'two', ...tokens, ...leased, leaseToken: null, leaseUntil: null, attemptedAt: null, version: 7 },
    { connectionId: 'untouched', ...leased, version: 7 },
  ]);
  expect(await connections()).toMatchObject([
    { id: 'one', lastRefreshedAt: now, grantedScopes: ['read'], refusedAt: null },
    { id: 'two', lastRefreshedAt: null, refusedAt: now },
    { id: 'untouched', lastRefreshedAt: null, refusedAt: null },
  ]);
  await store.recordVerified(db, 'one', ahead);
  expect((await connections()).map(({ lastVerifiedAt }) => lastVerifiedAt)).toEqual([ahead, null, null]);
});

test('54. what a provider refuses of a connector is noted once, with when, and not where it was corrected meanwhile', async () => {
  const { db, write, connectorsChanged } = await openTokens();
  const asked = { id: 'k', clientFingerprint: 'client', clientSecretSealed: 'sealed' };
  await write.connector('l', { refusal: 'INVALID_SCOPE', refusedAt: ago });
  const note = (connector: typeof asked, refusal: 'INVALID_CLIENT' | 'INVALID_SCOPE', when: Date) =>
    connectorsChanged(() => store.recordConnectorRefusal(db, connector, refusal, when));
  expect(await note({ ...asked, clientFingerprint: 'corrected' }, 'INVALID_CLIENT', now)).toEqual([]);
  expect(await note({ ...asked, clientSecretSealed: 'corrected' }, 'INVALID_CLIENT', now)).toEqual([]);
  expect(await note(asked, 'INVALID_CLIENT', now)).toMatchObject([
    { id: 'k', refusal: 'INVALID_CLIENT', refusedAt: now },
  ]);
  expect(await note(asked, 'INVALID_CLIENT', ahead)).toEqual([]);
  expect(await note(asked, 'INVALID_SCOPE', ahead)).toMatchObject([{ refusal: 'INVALID_SCOPE', refusedAt: ahead }]);
  expect(await connectorsChanged(() => store.clearConnectorRefusal(db, 'k'))).toMatchObject([
    { id: 'k', refusal: null, refusedAt: null },
  ]);
});

test('55. checks of a connector fill the time they are allowed; who comes too early is told when there is room', async () => {
  const { db, write, connectorsChanged, connectors } = await openTokens();
  await write.connector('l');
  const { updatedAt } = (await connectors())[0]!;
  const take = (when: Date, id = 'k') => store.takeCheck(db, id, when, 10_000, 30_000);
  const filledUntil = async (act: () => Promise<unknown>) =>
    (await connectorsChanged(act)).map(({ id, checksFillUntil }) => [id, checksFillUntil]);
  expect(await filledUntil(() => take(now))).toEqual([['k', at(10_000)]]);
  expect(await filledUntil(() => take(now))).toEqual([['k', at(20_000)]]);
  expect(await take(now)).toBeNull();
  expect(await filledUntil(async () => expect(await take(now)).toEqual(at(30_000)))).toEqual([]);
  expect(await take(at(9_999))).toEqual(at(30_000));
  expect(await filledUntil(async () => expect(await take(at(10_000))).toBeNull())).toEqual([['k', at(40_000)]]);
  // time that nobody used is not saved up
  expect(await filledUntil(() => take(at(90_000)))).toEqual([['k', at(100_000)]]);
  expect(await take(now, 'nobody')).toEqual(now);
  expect((await connectors())[0]!.updatedAt).toEqual(updatedAt);
});

test('2. whoever connects reads the connector as it stands in its workspace, deleted or not, and an app that lives', async () => {
  const { db, write } = await openTokens();
  await write.workspace('v', { plan: 'FREE' });
  await write.connector('gone', { workspaceId: 'v', deletedAt: ago });
  await db.providerAvailability.create({ data: { workspaceId: 'v', providerKey: 'slack', kind: 'SHARED' } });
  await write.app('deleted', { deletedAt: ago });
  await write.connected('one');
  const share = (connectorId: string, workspaceId: string) =>
    db.$transaction((tx) => store.shareConnector(tx, { connectorId, workspaceId }));
  expect(await share('k', 'w')).toMatchObject({ id: 'k', workspace: { plan: 'BUILDER', switchedOff: [] } });
  const switchedOff = [{ providerKey: 'slack', kind: 'SHARED' }];
  expect(await share('gone', 'v')).toMatchObject({ deletedAt: ago, workspace: { plan: 'FREE', switchedOff } });
  expect([await share('k', 'v'), await share('nobody', 'w')]).toEqual([null, null]);
  const apps = [await store.shareApp(db, 'a'), await store.shareApp(db, 'deleted'), await store.shareApp(db, 'nobody')];
  expect(apps).toEqual([true, false, false]);
  const locked = await db.$transaction(async (tx) => {
    await store.takeTurn(tx, 'name');
    return store.lockWithCredential(tx, 'one');
  });
  expect(locked).toMatchObject({ id: 'one', credential: { version: 1 } });
  await write.connection('unasked');
  expect(idsOf(await store.findConnections(db, ['one', 'nobody']))).toEqual(['one']);
});
