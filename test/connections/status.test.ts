import { expect, test } from 'vitest';
import { connectionId } from '../../src/connections/connection.ts';
import { loadConnections } from '../../src/connections/status.ts';
import type { Caller } from '../../src/workspaces/caller.ts';
import { UnauthenticatedError } from '../../src/workspaces/errors.ts';
import { anonymous, backendOf, memberOf, userOf } from '../support/callers.ts';
import { ago, ahead, at, now, openRows } from '../support/rows.ts';
import { recordSql } from '../support/sql-log.ts';

const operator: Caller = { kind: 'operator' };
const clock = { now: () => now };

/** Two workspaces with apps, and a connector of each kind. */
async function setUp() {
  const rows = await openRows();
  const { db, write } = rows;
  await write.workspace('v');
  await write.app('b');
  await write.app('deleted', { deletedAt: ago });
  await write.app('foreign app', { workspaceId: 'v' });
  await write.connector('shared', { kind: 'SHARED' });
  await write.connector('shared too', { kind: 'SHARED' });
  await write.connector('foreign', { workspaceId: 'v' });
  await write.connector('foreign shared', { workspaceId: 'v', kind: 'SHARED' });
  const ids = {
    own: connectionId('k', 'a', 'one'),
    'at b': connectionId('k', 'b', 'one'),
    'not connected': connectionId('k', 'a', 'two'),
    'of nobody': connectionId('k', 'a', null),
    shared: connectionId('shared', 'a', null),
    'shared at b': connectionId('shared', 'b', null),
    'at deleted': connectionId('k', 'deleted', 'one'),
    'shared at deleted': connectionId('shared', 'deleted', null),
    'not shared at deleted': connectionId('shared too', 'deleted', null),
    'own at shared': connectionId('shared', 'a', 'one'),
    foreign: connectionId('foreign', 'foreign app', 'one'),
    'foreign shared': connectionId('foreign shared', 'foreign app', null),
    across: connectionId('shared', 'foreign app', null),
    unknown: connectionId('unknown', 'a', 'one'),
    'no id': 'k',
    empty: '',
  };
  await write.connection(ids.own, { userId: 'one' });
  await write.connection(ids['at b'], { userId: 'one', appId: 'b' });
  await write.connection(ids.shared, { connectorId: 'shared', userId: null, ownedBy: 'member-9' });
  await write.connection(ids['at deleted'], { userId: 'one', appId: 'deleted' });
  await write.connection(ids['shared at deleted'], { connectorId: 'shared', userId: null, appId: 'deleted' });
  const ofForeign = { workspaceId: 'v', appId: 'foreign app', connectorId: 'foreign' };
  await write.connection(ids.foreign, { ...ofForeign, userId: 'one' });
  const load = (caller: Caller, asked: readonly string[]) => loadConnections({ db, clock }, caller, asked);
  return { ...rows, ids, load };
}

test('6, 41. a user sees their own connections, an app’s backend its shared ones as well, a member those of their workspaces, and nobody else any', async () => {
  const { ids, load } = await setUp();
  const names = Object.keys(ids) as (keyof typeof ids)[];
  const seenBy = async (caller: Caller) => {
    const views = await load(
      caller,
      names.map((name) => ids[name]),
    );
    for (const [index, view] of views.entries()) if (view) expect(view.id).toBe(ids[names[index]!]);
    return names.filter((_name, index) => views[index] !== null);
  };
  const inW = ['own', 'at b', 'shared', 'shared at b'];
  const inV = ['foreign', 'foreign shared'];
  const expected: [Caller, string[]][] = [
    [userOf('one'), ['own', 'own at shared']],
    [userOf('two'), ['not connected']],
    [userOf('one', 'b'), ['at b']],
    [userOf('one', 'foreign app', 'v'), ['foreign']],
    [backendOf('one'), ['own', 'shared', 'own at shared']],
    [backendOf('two'), ['not connected', 'shared']],
    [backendOf(null), ['shared']],
    [backendOf(null, 'b'), ['shared at b']],
    [backendOf(null, 'foreign app', 'v'), ['foreign shared']],
    [memberOf(['w']), inW],
    [memberOf(['v']), inV],
    [memberOf(['v', 'w']), [...inW, ...inV]],
    [memberOf([]), []],
    [operator, [...inW, ...inV]],
    [anonymous(new UnauthenticatedError('Who are you?')), []],
  ];
  for (const [caller, names] of expected) expect([caller, await seenBy(caller)]).toEqual([caller, names]);
});

test('17. many connections are read at once, in the order asked, each as often as asked; apps are looked at only for a shared account that is not there', async () => {
  const { ids, load } = await setUp();
  const asked = [ids.foreign, ids.own, ids['not connected'], ids.own, ids.shared];
  const views: unknown[] = [];
  const { statements } = await recordSql(async () => {
    for (const view of await load(backendOf('one'), asked)) views.push(view?.id ?? null);
  });
  expect(views).toEqual([null, ids.own, null, ids.own, ids.shared]);
  const reads = statements.filter((statement) => /FROM "public"."connect(ion|or)"/.test(statement));
  expect(reads).toHaveLength(2);
  for (const statement of reads) expect(statement).toMatch(/WHERE .*"id" (=|IN)/); // and not the whole table
  const ofApps = (all: string[]) => all.filter((statement) => statement.includes('FROM "public"."app"'));
  expect(ofApps(statements)).toEqual([]);
  const more = await recordSql(() => load(memberOf(['w']), [ids['shared at b'], ids.shared]));
  expect(ofApps(more.statements)).toHaveLength(1);
  expect(await load(operator, [])).toEqual([]);
});

test('44, 45. who connected a shared account is told to members of the workspace, not to the app', async () => {
  const { ids, load } = await setUp();
  const ownerFor = async (caller: Caller, id: string) => (await load(caller, [id]))[0]?.ownedBy;
  expect(await ownerFor(memberOf(['w']), ids.shared)).toBe('member-9');
  expect(await ownerFor(memberOf(['w']), ids['shared at b'])).toBeNull();
  expect(await ownerFor(operator, ids.shared)).toBe('member-9');
  expect(await ownerFor(backendOf(null), ids.shared)).toBeNull();
});

test('29. a connection tells its account, what was asked for and granted, and its settings, of which the provider’s own count more', async () => {
  const { db, write, ids, load } = await setUp();
  await write.connector('custom', { providerKey: 'custom', scopes: ['read:user', 'repo'] });
  await db.connector.update({
    where: { id: 'k' },
    data: {
      scopes: ['gist', 'read:user', 'repo'],
      connectionConfig: [
        { name: 'site', value: 'ours' },
        { name: 'region', value: 'eu' },
      ],
    },
  });
  const facts = {
    requestedScopes: ['read:user', 'repo'],
    grantedScopes: ['user', 'repo'],
    accountId: '1',
    accountEmail: 'blue@example.com',
    accountName: 'Blue',
    connectionConfig: [
      { name: 'instance', value: 'one' },
      { name: 'site', value: 'theirs' },
    ],
    lastRefreshedAt: at(-3),
    lastVerifiedAt: at(-2),
    grantExpiresAt: ahead,
  };
  const update = (data: Parameters<typeof db.connection.update>[0]['data']) =>
    db.connection.update({ where: { id: ids.own }, data });
  const view = async () => (await load(userOf('one'), [ids.own]))[0];
  await update(facts);
  const told = {
    id: ids.own,
    connectorId: 'k',
    status: 'CONNECTED',
    reconnectReason: null,
    problem: null,
    account: { id: '1', email: 'blue@example.com', name: 'Blue' },
    requestedScopes: ['read:user', 'repo'],
    grantedScopes: ['user', 'repo'],
    missingScopes: ['gist'], // GitHub grants read:user as user
    connectionConfig: [
      { name: 'site', value: 'theirs' },
      { name: 'region', value: 'eu' },
      { name: 'instance', value: 'one' },
    ],
    connectedAt: ago,
    lastRefreshedAt: at(-3),
    lastVerifiedAt: at(-2),
    ownedBy: null,
    endsAt: ahead,
  };
  expect(await view()).toEqual(told);

  const custom = connectionId('custom', 'a', 'one');
  await write.connection(custom, { connectorId: 'custom', userId: 'one', grantedScopes: ['user', 'repo'] });
  expect((await load(userOf('one'), [custom]))[0]).toMatchObject({
    missingScopes: ['read:user'],
    endsAt: null,
    account: { id: null, email: null, name: null },
  });

  await update({ scopesFingerprint: 'other' });
  const reconnect = { status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED', endsAt: null };
  expect(await view()).toEqual({ ...told, ...reconnect });
  await update({ scopesFingerprint: 'scopes', disconnectedAt: ago });
  const nothing = {
    account: null,
    requestedScopes: [],
    grantedScopes: [],
    missingScopes: [],
    connectionConfig: [],
    connectedAt: null,
    lastRefreshedAt: null,
    lastVerifiedAt: null,
    endsAt: null,
  };
  expect(await view()).toEqual({ ...told, ...nothing, status: 'NOT_CONNECTED' });
  await db.connection.delete({ where: { id: ids.own } });
  expect(await view()).toEqual({ ...told, ...nothing, status: 'NOT_CONNECTED' });
});

test('38, 50. what keeps a connector from being used is the problem of its connections, whose account stays known', async () => {
  const { db, ids, load } = await setUp();
  await db.connection.update({ where: { id: ids.own }, data: { accountId: '1', grantExpiresAt: ahead } });
  const view = async (id = ids.own) => {
    const told = (await load(userOf('one'), [id]))[0]!;
    return [told.status, told.problem?.code ?? null, told.account?.id ?? null, told.endsAt];
  };
  const connected = ['CONNECTED', null, '1', ahead];
  const switchOff = (data: { workspaceId?: string; providerKey?: string; kind?: 'APP_USER' | 'SHARED' }) =>
    db.providerAvailability.create({ data: { workspaceId: 'w', providerKey: 'github', kind: 'APP_USER', ...data } });
  await switchOff({ kind: 'SHARED' });
  await switchOff({ providerKey: 'slack' });
  await switchOff({ workspaceId: 'v' });
  expect(await view()).toEqual(connected);
  expect(await view(ids['own at shared'])).toEqual(['UNAVAILABLE', 'CONNECTOR_DISABLED', null, null]);
  const { id: off } = await switchOff({});
  expect(await view()).toEqual(['UNAVAILABLE', 'CONNECTOR_DISABLED', '1', null]);
  await db.providerAvailability.delete({ where: { id: off } });
  await db.workspace.update({ where: { id: 'w' }, data: { plan: 'STARTER' } });
  expect(await view()).toEqual(['UNAVAILABLE', 'PLAN_REQUIRED', '1', null]);
  await db.workspace.update({ where: { id: 'w' }, data: { plan: 'PRO' } });
  await db.connector.update({ where: { id: 'k' }, data: { clientSecretSealed: null } });
  expect(await view()).toEqual(['UNAVAILABLE', 'CONNECTOR_INCOMPLETE', '1', null]);
  await db.connector.update({ where: { id: 'k' }, data: { operatorClientId: 'operator' } });
  expect(await view()).toEqual(connected);
  await db.connector.update({ where: { id: 'k' }, data: { deletedAt: ago } });
  expect(await view()).toEqual(['UNAVAILABLE', 'NOT_FOUND', '1', null]);
});
