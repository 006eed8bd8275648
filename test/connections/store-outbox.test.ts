import { expect, test } from 'vitest';
import * as store from '../../src/connections/store.ts';
import { ago, ahead, at, changedBy, idsOf, now, openRows } from '../support/rows.ts';

const page = { after: null, before: null, limit: 100, descending: false };

async function openOutbox() {
  const rows = await openRows();
  const items = () => rows.db.outboxItem.findMany({ orderBy: { id: 'asc' } });
  return { ...rows, items, changed: (act: () => Promise<unknown>) => changedBy(items, act) };
}

test('16. workers claim what is due, is not done and nobody else has: the longest due first, no more than they asked for', async () => {
  const { db, write, changed } = await openOutbox();
  await write.revocation('b due now', { dueAt: now });
  await write.revocation('d lapsed', { leaseUntil: now });
  await write.revocation('c long due', { dueAt: at(-60_000) });
  await write.revocation('e not yet due', { dueAt: ahead });
  await write.revocation('f done', { doneAt: ago });
  await write.revocation('g claimed', { leaseUntil: ahead });
  await write.revocation('h held', { dueAt: null });
  const leaseUntil = at(60_000);
  const claim = async (limit: number) => idsOf(await store.claimOutbox(db, now, leaseUntil, limit));
  const claimed = await changed(async () => {
    expect(await claim(2)).toEqual(['c long due', 'd lapsed']);
    expect(await claim(2)).toEqual(['b due now']);
    expect(await claim(2)).toEqual([]);
  });
  expect(claimed.map((row) => [row.id, row.leaseUntil])).toEqual([
    ['b due now', leaseUntil],
    ['c long due', leaseUntil],
    ['d lapsed', leaseUntil],
  ]);
});

test('16. an item that is done stays done, its tokens gone; one that failed is tried again, each try counted', async () => {
  const { db, write, items, changed } = await openOutbox();
  const work = { tokensSealed: 'sealed', leaseUntil: ahead };
  await write.revocation('one', work);
  await write.revocation('two', work);
  await write.revocation('untouched', work);
  expect(await store.postponeOutboxItem(db, 'two', ahead)).toEqual({ count: 1 });
  expect(await changed(() => store.postponeOutboxItem(db, 'two', at(5)))).toMatchObject([
    { id: 'two', dueAt: at(5), attempts: 2, leaseUntil: null, tokensSealed: 'sealed', doneAt: null },
  ]);
  expect(await changed(() => store.finishOutboxItem(db, 'one', now, 'REVOKED'))).toMatchObject([
    { id: 'one', doneAt: now, receipt: 'REVOKED', tokensSealed: null, leaseUntil: null, attempts: 0 },
  ]);
  await changed(() => store.finishOutboxItem(db, 'two', now, null));
  const done = await changed(async () => {
    expect(await store.finishOutboxItem(db, 'one', ahead, 'GAVE_UP')).toEqual({ count: 0 });
    expect(await store.postponeOutboxItem(db, 'one', ahead)).toEqual({ count: 0 });
  });
  expect(done).toEqual([]);
  expect((await items()).map(({ id, receipt }) => [id, receipt])).toEqual([
    ['one', 'REVOKED'],
    ['two', null],
    ['untouched', null],
  ]);
});

test('16. the backlog is what waits for a time, and how long the first has been due; what waits for a connection to end is none', async () => {
  const { db, write } = await openOutbox();
  await write.revocation('done', { doneAt: ago, dueAt: at(-9) });
  await write.revocation('held', { dueAt: null });
  expect(await store.outboxBacklog(db)).toEqual({ items: 0, oldestDueAt: null });
  await write.revocation('later', { dueAt: ahead });
  await write.revocation('claimed', { dueAt: at(-5), leaseUntil: ahead });
  expect(await store.outboxBacklog(db)).toEqual({ items: 2, oldestDueAt: at(-5) });
});

test('27. what waits for a connection to end is due once it has: all of it, or what is of one account', async () => {
  const { db, write, changed } = await openOutbox();
  const held = { connectionId: 'one', dueAt: null };
  await write.revocation('blue', { ...held, accountId: 'blue', receipt: 'SKIPPED_SHARED_GRANT' });
  await write.revocation('green', { ...held, accountId: 'green' });
  await write.revocation('unknown', held);
  await write.revocation('done', { ...held, accountId: 'blue', doneAt: ago });
  await write.revocation('due', { ...held, accountId: 'blue', dueAt: ahead });
  await write.revocation('of another', { ...held, accountId: 'blue', connectionId: 'two' });
  const release = (accountId?: string | null) =>
    changed(() => db.$transaction((tx) => store.releaseHeldRevocations(tx, 'one', now, accountId)));
  expect(await release('blue')).toMatchObject([{ id: 'blue', dueAt: now, receipt: null }]);
  expect(await release(null)).toMatchObject([{ id: 'unknown', dueAt: now }]);
  await write.revocation('blue again', { ...held, accountId: 'blue' });
  await write.revocation('unknown again', held);
  expect(idsOf(await release())).toEqual(['blue again', 'green', 'unknown again']);
});

test('16. a grant of an account that the client has more than one connection to waits until the last of them has ended', async () => {
  const { db, write, changed } = await openOutbox();
  await write.app('deleted', { deletedAt: ago });
  await write.connector('gone', { deletedAt: ago });
  await write.connector('cleared', { grantsRevokedAt: ago });
  await write.connector('cleared before', { grantsRevokedAt: at(-2) });
  const grant = { clientFingerprint: 'client', accountId: 'blue' };
  const work = { accountId: 'blue', leaseUntil: ahead };
  await write.revocation('grant', work);
  await write.revocation('done', { ...work, doneAt: ago });
  const park = (id: string) => db.$transaction((tx) => store.parkWhereAnotherStands(tx, id, grant));

  // none of these stands on it
  const account = { accountId: 'blue' };
  await write.connection('other account', { accountId: 'green' });
  await write.connection('other client', { ...account, clientFingerprint: 'other' });
  await write.connection('ended', { ...account, disconnectedAt: ago });
  await write.connection('refused', { ...account, refusedAt: ago });
  await write.connection('app deleted', { ...account, appId: 'deleted' });
  await write.connection('connector deleted', { ...account, connectorId: 'gone' });
  await write.connection('all revoked', { ...account, connectorId: 'cleared' });
  expect(await changed(async () => expect(await park('grant')).toBe(false))).toEqual([]);

  const stands = await write.connection('stands', { ...account, connectorId: 'cleared before' });
  expect(await changed(async () => expect(await park('grant')).toBe(true))).toMatchObject([
    { id: 'grant', dueAt: null, leaseUntil: null, receipt: 'SKIPPED_SHARED_GRANT', doneAt: null },
  ]);
  expect(await changed(() => park('done'))).toEqual([]);
  await db.connection.delete({ where: { id: stands.id } });

  const parked = { accountId: 'blue', dueAt: null, receipt: 'SKIPPED_SHARED_GRANT' } as const;
  await write.connector('other client', { clientFingerprint: 'other' });
  await write.revocation('of another account', { ...parked, accountId: 'green' });
  await write.revocation('of another client', { ...parked, connectorId: 'other client' });
  await write.revocation('parked and done', { ...parked, doneAt: ago });
  await write.revocation('due', { ...parked, dueAt: ahead });
  await write.revocation('held', { ...parked, receipt: null });
  const release = (accountId: string | null) =>
    changed(() => db.$transaction((tx) => store.releaseParkedRevocations(tx, { ...grant, accountId }, now)));
  expect(await release(null)).toEqual([]);
  expect(await release('blue')).toMatchObject([{ id: 'grant', dueAt: now, receipt: null }]);
});

test('16. the connections that a deletion ends, and those that an admin revoked, are found in batches until none is left', async () => {
  const { db, write } = await openOutbox();
  await write.app('b');
  await write.connector('l');
  await write.connected('k at a');
  await write.connected('k at b', { appId: 'b', connectedAt: now });
  await write.connected('l at a', { connectorId: 'l', connectedAt: ahead });
  await write.connection('without tokens');
  await write.connection('ended', { disconnectedAt: ago });
  const find = async (of: Partial<Parameters<typeof store.findConnectionsToEnd>[1]>, limit = 100) => {
    const everything = { connectorId: null, appId: null, grantsRevokedAt: null };
    return idsOf(await store.findConnectionsToEnd(db, { ...everything, ...of }, limit)).toSorted();
  };
  expect(await find({ connectorId: 'k' })).toEqual(['k at a', 'k at b', 'without tokens']);
  expect(await find({ connectorId: 'k' }, 2)).toHaveLength(2);
  expect(await find({ connectorId: 'l' })).toEqual(['l at a']);
  expect(await find({ appId: 'a' })).toEqual(['k at a', 'l at a', 'without tokens']);
  expect(await find({ connectorId: 'k', grantsRevokedAt: now })).toEqual(['k at a', 'k at b']);
  expect(await find({ connectorId: 'k', grantsRevokedAt: ago })).toEqual(['k at a']);

  await write.connector('m');
  expect(await store.countConnectionsToEnd(db, ['l', 'm', 'k'])).toEqual(
    expect.arrayContaining([
      { connectorId: 'k', _count: 3 },
      { connectorId: 'l', _count: 1 },
    ]),
  );
  expect(await store.countConnectionsToEnd(db, ['l'])).toEqual([{ connectorId: 'l', _count: 1 }]);
});

test('16. revocations are counted by connector and receipt; where all were revoked, those of that time and what earlier times left to do', async () => {
  const { db, write } = await openOutbox();
  await write.connector('l', { grantsRevokedAt: now });
  await write.connector('never');
  await write.revocation('1', { receipt: 'REVOKED', doneAt: ago });
  await write.revocation('2', { receipt: 'REVOKED', doneAt: ago });
  await write.revocation('3');
  await write.revocation('4', { kind: 'REVOKE_ALL_GRANTS' });
  const ofAll = { connectorId: 'l', grantsRevokedAt: now };
  await write.revocation('5', { ...ofAll, receipt: 'GAVE_UP', doneAt: ago });
  await write.revocation('6', ofAll);
  await write.revocation('7', { ...ofAll, grantsRevokedAt: ago });
  await write.revocation('8', { ...ofAll, grantsRevokedAt: ago, receipt: 'REVOKED', doneAt: ago });
  await write.revocation('9', { ...ofAll, grantsRevokedAt: null });
  await write.revocation('10', { ...ofAll, kind: 'REVOKE_ALL_GRANTS' });
  const sorted = <Row extends { connectorId: string | null; receipt: string | null }>(rows: Row[]) =>
    rows.toSorted((one, other) =>
      `${one.connectorId} ${one.receipt}`.localeCompare(`${other.connectorId} ${other.receipt}`),
    );
  expect(sorted(await store.countRevocations(db, ['k']))).toEqual([
    { connectorId: 'k', receipt: null, _count: 1 },
    { connectorId: 'k', receipt: 'REVOKED', _count: 2 },
  ]);
  expect(sorted(await store.countRevokedQueued(db, ['k', 'l', 'never']))).toEqual([
    { connectorId: 'l', receipt: 'GAVE_UP', count: 1 },
    { connectorId: 'l', receipt: null, count: 2 },
  ]);
  expect(await store.countRevokedQueued(db, ['k'])).toEqual([]);

  await write.connected('before', { connectorId: 'l' });
  await write.connected('just then', { connectorId: 'l', connectedAt: now });
  await write.connected('again', { connectorId: 'l', connectedAt: ahead });
  await write.connection('queued', { connectorId: 'l' });
  await write.connected('elsewhere', { connectorId: 'never' });
  expect(await store.countRevokedToQueue(db, ['k', 'l', 'never'])).toEqual([{ connectorId: 'l', count: 2 }]);
  expect(await store.countRevokedToQueue(db, ['k'])).toEqual([]);
});

test('16. pages of revocations follow each other by age, forwards and backwards, also where many are of one instant', async () => {
  const { db, write } = await openOutbox();
  await write.connector('l');
  await write.connector('m');
  const names = ['d', 'b', 'c', 'a', 'e'];
  for (const [index, name] of names.entries()) await write.revocation(name, { createdAt: at(Math.floor(index / 2)) });
  await write.revocation('fan-out', { kind: 'REVOKE_ALL_GRANTS' });
  await write.revocation('of l', { connectorId: 'l', createdAt: at(9) });
  await write.revocation('of m', { connectorId: 'm' });
  const whole = ['b', 'd', 'a', 'c', 'e'];
  const list = async (part: Partial<store.RevocationPage>, connectorIds = ['k']) =>
    idsOf(await store.findRevocations(db, connectorIds, { ...page, ...part }));
  expect(await list({})).toEqual(whole);
  expect(await list({ descending: true })).toEqual(whole.toReversed());
  expect(await list({ limit: 2 }, ['k', 'l'])).toEqual(['b', 'd', 'of l']);
  expect(await list({ limit: 2, descending: true }, ['k', 'l'])).toEqual(['of l', 'e', 'c']);
  for (const [index, id] of whole.entries()) {
    expect(await list({ after: id })).toEqual(whole.slice(index + 1));
    expect(await list({ before: id })).toEqual(whole.slice(0, index));
    expect(await list({ after: id, limit: 1 })).toEqual(whole.slice(index + 1, index + 2));
    expect(await list({ before: id, limit: 1, descending: true })).toEqual(whole.slice(0, index).slice(-1));
  }
});

test('16. a revocation keeps whose grant it is; its connector is found as long as it is there, deleted or not', async () => {
  const { db, write } = await openOutbox();
  const item = {
    id: 'one',
    workspaceId: 'w',
    connectorId: 'k',
    connectionId: 'connection',
    accountId: 'blue',
    grantsRevokedAt: null,
    tokensSealed: 'sealed',
    dueAt: null,
  };
  expect(await store.insertRevocation(db, item)).toMatchObject({
    ...item,
    kind: 'REVOKE_GRANT',
    doneAt: null,
    attempts: 0,
  });
  await write.connector('gone', { deletedAt: ago });
  expect([await store.findConnectorOfGrant(db, 'gone'), await store.findConnectorOfGrant(db, 'never')]).toMatchObject([
    { id: 'gone' },
    null,
  ]);
});

test('30. what another key than the present one sealed is counted, read in batches, and replaced only where it still stands', async () => {
  const { db, write } = await openOutbox();
  const column = { table: 'outbox_item', key: 'id', column: 'tokensSealed' } as const;
  await write.revocation('1 new', { tokensSealed: 'new.abc' });
  await write.revocation('2 old', { tokensSealed: 'old.abc' });
  await write.revocation('3 none', { tokensSealed: null });
  await write.revocation('4 odd', { tokensSealed: 'no envelope' });
  await write.revocation('5 old', { tokensSealed: 'old.def' });
  const others = (afterId: string, limit = 100) => store.findSealedUnderOthers(db, column, 'new', afterId, limit);
  expect(await others('')).toEqual([
    { id: '2 old', sealed: 'old.abc' },
    { id: '4 odd', sealed: 'no envelope' },
    { id: '5 old', sealed: 'old.def' },
  ]);
  expect(idsOf(await others('', 2))).toEqual(['2 old', '4 odd']);
  expect(idsOf(await others('4 odd', 2))).toEqual(['5 old']);
  expect(await store.countSealedUnderOthers(db, column, 'new')).toBe(3);
  const byKey = new Map((await store.countSealedByKey(db, column)).map(({ kid, count }) => [kid, count]));
  expect(byKey).toEqual(
    new Map([
      ['new', 1],
      ['old', 2],
      [null, 1],
    ]),
  );

  expect(await store.replaceSealed(db, column, { id: '2 old', sealed: 'old.def' }, 'new.x')).toBe(false);
  expect(await store.replaceSealed(db, column, { id: '2 old', sealed: 'old.abc' }, 'new.x')).toBe(true);
  const rows = await db.outboxItem.findMany({ orderBy: { id: 'asc' } });
  expect(rows.map(({ tokensSealed }) => tokensSealed)).toEqual(['new.abc', 'new.x', null, 'no envelope', 'old.def']);
  expect(await store.countSealedUnderOthers(db, column, 'old')).toBe(3);
});
