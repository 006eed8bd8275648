import { expect, test } from 'vitest';
import * as store from '../../src/connections/store.ts';
import { ago, ahead, at, changedBy, idsOf, now, openRows } from '../support/rows.ts';

const dayMs = 24 * 3_600_000;

async function openFlows() {
  const rows = await openRows();
  const flows = () => rows.db.pendingFlow.findMany({ orderBy: { id: 'asc' } });
  return { ...rows, flows, changed: (act: () => Promise<unknown>) => changedBy(flows, act) };
}

test('22. a state is good once, until its end, and for its own flow', async () => {
  const { db, write, changed } = await openFlows();
  await write.flow('one');
  await write.flow('two');
  await write.flow('over', { expiresAt: now });
  await write.flow('used', { usedAt: ago });
  const find = async (id: string) => (await store.findOpenFlow(db, `state of ${id}`, now))?.id ?? null;
  const use = async (id: string) => (await store.useState(db, `state of ${id}`, now))?.id ?? null;
  for (const id of ['over', 'used', 'nobody']) expect([id, await find(id), await use(id)]).toEqual([id, null, null]);
  expect([await find('one'), await find('two')]).toEqual(['one', 'two']);
  const used = await changed(async () => {
    const together = await Promise.all([use('one'), use('one'), use('one')]);
    expect(together.filter(Boolean)).toEqual(['one']);
  });
  expect(used).toMatchObject([{ id: 'one', usedAt: now }]);
  expect([await find('one'), await find('two')]).toEqual([null, 'two']);
});

test('26. the open flows of one person are counted, and when the first of them ends; nobody else’s, and none that has ended', async () => {
  const { db, write } = await openFlows();
  const one = { appId: 'a', userId: 'one', startedBy: null };
  const member = { appId: 'a', userId: null, startedBy: 'member-1' };
  const count = (whose: typeof one | typeof member) => store.countOpenFlows(db, whose, now);
  await write.flow('used', { usedAt: ago });
  await write.flow('failed', { failure: 'CONSENT_DENIED' });
  await write.flow('over', { expiresAt: now });
  expect(await count(one)).toEqual({ count: 0, oldest: null });
  await write.flow('first', { expiresAt: at(10) });
  await write.flow('second', { expiresAt: at(20) });
  await write.flow('elsewhere', { appId: 'b', expiresAt: ahead });
  await write.flow('of another', { userId: 'two', expiresAt: ahead });
  await write.flow('shared', { userId: null, startedBy: 'member-1', expiresAt: at(30) });
  await write.flow('of another member', { userId: null, startedBy: 'member-2', expiresAt: ahead });
  expect(await count(one)).toEqual({ count: 2, oldest: at(10) });
  expect(await count(member)).toEqual({ count: 1, oldest: at(30) });
});

test('23. what the provider answered is kept once; a connect code is good once, until its end', async () => {
  const { db, write, changed } = await openFlows();
  await write.flow('one');
  await write.flow('two');
  await write.flow('used', { usedAt: ago });
  const held = await changed(async () => {
    expect(await store.holdResponse(db, 'one', 'first')).toBe(true);
    expect(await store.holdResponse(db, 'one', 'second')).toBe(false);
    expect(await store.holdResponse(db, 'used', 'first')).toBe(false);
    expect(await store.holdResponse(db, 'nobody', 'first')).toBe(false);
  });
  expect(held).toMatchObject([{ id: 'one', responseSealed: 'first', usedAt: null }]);

  const parked = { responseSealed: 'parked', connectCodeHash: 'code', connectCodeExpiresAt: ahead };
  expect(await changed(() => store.parkResponse(db, 'two', parked))).toMatchObject([{ id: 'two', ...parked }]);
  await store.parkResponse(db, 'used', { ...parked, connectCodeHash: 'late', connectCodeExpiresAt: now });
  const use = async (code: string) => (await store.useConnectCode(db, code, now))?.id ?? null;
  const used = await changed(async () => {
    expect([await use('nobody’s'), await use('late')]).toEqual([null, null]);
    expect((await Promise.all([use('code'), use('code')])).filter(Boolean)).toEqual(['two']);
  });
  expect(used).toMatchObject([{ id: 'two', connectCodeHash: null, responseSealed: 'parked' }]);
});

test('54. a flow that came to nothing keeps why, the first reason that there was, and nothing that could still finish it', async () => {
  const { db, write, flows, changed } = await openFlows();
  const open = { responseSealed: 'sealed', connectCodeExpiresAt: ahead };
  await write.flow('one', { ...open, connectCodeHash: 'one' });
  await write.flow('two', { ...open, connectCodeHash: 'two' });
  const failed = { failure: 'ENDPOINT_UNREACHABLE', failureHost: 'provider.example.com' };
  const rows = await changed(async () => {
    expect(await store.failFlow(db, 'one', failed, now)).toBe(true);
    expect(await store.failFlow(db, 'one', { failure: 'CONSENT_DENIED', failureHost: null }, ahead)).toBe(false);
    expect(await store.failFlow(db, 'nobody', failed, now)).toBe(false);
  });
  const gone = { responseSealed: null, connectCodeHash: null, connectCodeExpiresAt: null };
  expect(rows).toMatchObject([{ id: 'one', ...failed, ...gone, usedAt: now }]);
  await store.deleteFlow(db, 'two');
  expect(idsOf(await flows())).toEqual(['one']);
});

test('26. a flow is swept up when it can no longer finish; one that failed, or that nobody came back from, tells why for a day', async () => {
  const { db, write, flows } = await openFlows();
  const over = { expiresAt: ago };
  const dayOld = { expiresAt: at(-dayMs) };
  const older = { expiresAt: at(-dayMs - 1) };
  await write.flow('1 open', { expiresAt: now });
  await write.flow('2 used, within its time', { expiresAt: now, usedAt: ago });
  await write.flow('3 never came back', over);
  await write.flow('4 failed', { ...over, usedAt: ago, failure: 'CONSENT_DENIED' });
  await write.flow('5 never came back, a day ago', dayOld);
  await write.flow('6 code still good', { ...over, responseSealed: 's', connectCodeExpiresAt: now });
  await write.flow('7 code still good, used', { ...older, usedAt: ago, connectCodeExpiresAt: ahead });
  const kept = idsOf(await flows());
  await write.flow('a finished', { ...over, usedAt: ago });
  await write.flow('b held and left', { ...over, responseSealed: 's' });
  await write.flow('c code lapsed', { ...over, responseSealed: 's', connectCodeExpiresAt: ago });
  await write.flow('d never came back, more than a day ago', older);
  await write.flow('e failed, more than a day ago', { ...older, usedAt: ago, failure: 'CONSENT_DENIED' });
  expect(await store.deleteExpiredFlows(db, now)).toBe(5);
  expect(idsOf(await flows())).toEqual(kept);
  expect(await store.deleteExpiredFlows(db, now)).toBe(0);
});

test('54. an admin is told the latest flow to each redirect URI that failed, or that nobody came back from, unless somebody has connected since', async () => {
  const { db, write } = await openFlows();
  await write.connector('l', { operatorClientId: 'operator', clientId: null });
  await write.connector('connected');
  await write.connector('connected before');
  await write.connector('unasked');
  const startedBefore = at(-1_000);
  const [first, second] = ['https://one.example.com', 'https://two.example.com'];
  const to = (redirectUri: string, createdAt: number) => ({ redirectUri, createdAt: at(createdAt) });
  await write.flow('1', { ...to(first, -9_000), failure: 'STATE_EXPIRED' });
  await write.flow('2', { ...to(first, -8_000), failure: 'ENDPOINT_UNREACHABLE', failureHost: 'host', usedAt: ago });
  await write.flow('3', { ...to(first, -999) }); // may yet come back
  await write.flow('4', { ...to(first, -7_000), usedAt: ago }); // came back
  await write.flow('5', { ...to(first, -7_000), responseSealed: 'answer' }); // came back
  await write.flow('6', { ...to(second, -1_000), requestedScopes: ['read'] }); // did not
  await write.flow('7', { ...to(second, -1), connectorId: 'l', failure: 'CONSENT_DENIED' });
  await write.flow('8', { ...to(first, -9_000), connectorId: 'connected', failure: 'CONSENT_DENIED' });
  await write.connection('since', { connectorId: 'connected', connectedAt: at(-8_999) });
  await write.flow('9', { ...to(first, -9_000), connectorId: 'connected before', failure: 'CONSENT_DENIED' });
  await write.connection('before', { connectorId: 'connected before', connectedAt: at(-9_000) });
  await write.flow('10', { ...to(first, -9_000), connectorId: 'unasked', failure: 'CONSENT_DENIED' });
  const ended = (rows: store.EndedFlow[]) =>
    rows.map(({ connectorId, redirectUri, failure }) => [connectorId, redirectUri, failure]);
  const rows = await store.findEndedFlows(db, ['k', 'l', 'connected', 'connected before'], startedBefore);
  expect(ended(rows)).toEqual([
    ['connected before', first, 'CONSENT_DENIED'],
    ['k', first, 'ENDPOINT_UNREACHABLE'],
    ['k', second, null],
    ['l', second, 'CONSENT_DENIED'],
  ]);
  const ofK = { connectorId: 'k', clientId: 'client', operatorClientId: null, providerKey: 'github' };
  expect(rows.slice(1, 3)).toEqual([
    {
      ...ofK,
      ...to(first, -8_000),
      requestedScopes: [],
      failure: 'ENDPOINT_UNREACHABLE',
      failureHost: 'host',
    },
    { ...ofK, ...to(second, -1_000), requestedScopes: ['read'], failure: null, failureHost: null },
  ]);
  expect(rows[3]).toMatchObject({ clientId: null, operatorClientId: 'operator' });
});

test('54. a user is told what became of their own latest flow at a connector, unless they have connected since', async () => {
  const { db, write } = await openFlows();
  await write.app('b');
  await write.connector('l');
  await write.connector('unasked');
  const failed = (failure: string, createdAt: number) => ({ failure, createdAt: at(createdAt) });
  await write.flow('1', failed('STATE_EXPIRED', -9_000));
  await write.flow('2', failed('CONSENT_DENIED', -8_000));
  await write.flow('3', { ...failed('INVALID_CLIENT', -10), userId: 'two' });
  await write.flow('4', { ...failed('INVALID_CLIENT', -10), appId: 'b' });
  await write.flow('5', { ...failed('INVALID_CLIENT', -10), connectorId: 'unasked' });
  await write.flow('6', { createdAt: at(-1_000), connectorId: 'l' });
  const told = async (startedBefore: Date) => {
    const rows = await store.findEndedFlowsOf(db, { appId: 'a', userId: 'one' }, ['k', 'l'], startedBefore);
    return rows.map(({ connectorId, failure }) => [connectorId, failure]);
  };
  const ofK = ['k', 'CONSENT_DENIED'];
  expect(await told(at(-1_001))).toEqual([ofK]);
  expect(await told(at(-1_000))).toEqual([ofK, ['l', null]]);
  await write.connection('two'); // others have connected, and so have they: elsewhere, in another app, before
  await write.connection('at b', { userId: 'one', appId: 'b' });
  await write.connection('unasked', { userId: 'one', connectorId: 'unasked' });
  const own = await write.connection('one', { connectedAt: at(-8_000) });
  expect(await told(at(-1_000))).toEqual([ofK, ['l', null]]);
  await db.connection.update({ where: { id: own.id }, data: { connectedAt: at(-7_999) } });
  expect(await told(at(-1_000))).toEqual([['l', null]]);
});
