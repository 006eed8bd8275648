import { expect, onTestFinished, test } from 'vitest';
import {
  createFindForRead,
  createFindForStatus,
  findAppIds,
  findConnectors,
  findSharedConnectorIds,
  type ReadKey,
} from '../../src/connections/store.ts';
import { openDatabase, type RunPrepared } from '../../src/db/client.ts';
import { takeDatabase } from '../support/database.ts';
import { createTestApp, createWorkspace, startService } from '../support/harness.ts';
import { ago, at, idsOf, now, openRows } from '../support/rows.ts';
import { connectUser, setScene } from '../support/scene.ts';

test('T11. reads that share a round trip get what they would get alone: of a foreign workspace’s connector, or by a revoked key, nothing', async () => {
  const pglite = await takeDatabase(onTestFinished);
  const scene = await setScene(await startService({ DATA_DIR: 'memory://' }, { pglite }));
  await connectUser(scene, 'one');
  await connectUser(scene, 'two', 'green');
  await createTestApp(scene.service, scene.workspace, []);
  await createWorkspace(scene.service);
  const database = await openDatabase({ databaseUrl: null, dataDir: null, pglite });
  onTestFinished(() => database.close());
  const { db } = database;
  let roundTrips = 0;
  const runPrepared: RunPrepared = (statement, values) => {
    roundTrips += 1;
    return database.runPrepared(statement, values);
  };
  const connections = await db.connection.findMany({ orderBy: { userId: 'asc' } });
  const [{ workspaceId, connectorId }] = connections as [(typeof connections)[number]];
  const { id: elsewhere } = await db.workspace.findFirstOrThrow({ where: { id: { not: workspaceId } } });
  const [first, revoked] = await db.appKey.findMany({ orderBy: { createdAt: 'asc' } });
  await db.appKey.update({ where: { id: revoked!.id }, data: { revokedAt: new Date() } });
  const own = { connectorId, workspaceId, connectionId: connections[0]!.id, appKeyId: null };
  const keys: ReadKey[] = [
    { ...own, workspaceId: elsewhere },
    own,
    { ...own, connectionId: connections[1]!.id },
    { ...own, connectionId: `${connectorId}.nobody` },
    { ...own, connectorId: '00000000-0000-4000-8000-000000000000' },
    { ...own, workspaceId: elsewhere, connectionId: connections[1]!.id },
    { ...own, appKeyId: revoked!.id },
    { ...own, appKeyId: first!.id },
    { ...own, connectionId: connections[1]!.id, appKeyId: first!.id },
    own,
  ];
  const status = await createFindForStatus((statement, values) => {
    expect(statement.text).not.toContain('accessTokenSealed');
    return database.runPrepared(statement, values);
  })(own);
  expect(status).toMatchObject({
    connector: { id: connectorId },
    connection: { id: own.connectionId },
    credential: null,
  });
  const find = createFindForRead(runPrepared);
  const alone: Awaited<ReturnType<typeof find>>[] = [];
  for (const key of keys) alone.push(await find(key));
  expect(roundTrips).toBe(keys.length);
  expect(alone.map((row) => row && [row.credential?.connectionId ?? null, row.appAsOf !== null])).toEqual([
    null,
    [connections[0]!.id, false],
    [connections[1]!.id, false],
    [null, false],
    null,
    null,
    [connections[0]!.id, false],
    [connections[0]!.id, true],
    [connections[1]!.id, true],
    [connections[0]!.id, false],
  ]);
  for (const order of [keys, keys.toReversed()]) {
    const together = await Promise.all(order.map(find));
    expect(order === keys ? together : together.toReversed()).toEqual(alone);
  }
  expect(roundTrips).toBe(keys.length + 2);
});

test('31. a token read finds what the rows hold, and every instant as one; a provider that is switched off, only for its kind', async () => {
  const { db, runPrepared, write } = await openRows();
  await write.workspace('v', { plan: 'ENTERPRISE' });
  const off = { workspaceId: 'v', providerKey: 'github', kind: 'APP_USER' as const };
  await db.providerAvailability.create({ data: off });
  await db.providerAvailability.create({ data: { ...off, workspaceId: 'w', kind: 'SHARED' } });
  await db.providerAvailability.create({ data: { ...off, workspaceId: 'w', providerKey: 'slack' } });
  await write.connector('off', {
    workspaceId: 'v',
    custom: { type: 'discovery', issuer: 'https://provider.example.com' },
    connectionConfig: [{ name: 'site', value: 'one' }],
    operatorClientId: 'operator',
    grantsRevokedAt: ago,
    deletedAt: now,
  });
  await write.connected(
    'whole',
    {
      requestedScopes: ['read', 'write'],
      grantedScopes: ['read'],
      accountId: '2026-01-01',
      accountEmail: 'blue@example.com',
      accountName: 'Blue',
      connectionConfig: [{ name: 'instance', value: 'two' }],
      connectedAt: at(1),
      lastRefreshedAt: at(2),
      lastVerifiedAt: at(3),
      refusedAt: at(4),
      grantExpiresAt: at(5),
      disconnectedAt: at(6),
    },
    { retryAt: at(7), issuedAt: at(8), accessTokenExpiresAt: at(9), version: 7 },
  );
  await write.connected('bare', {}, { refreshTokenSealed: null, accessTokenExpiresAt: null });
  await write.connection('without tokens');
  await write.connection('of off', { connectorId: 'off', workspaceId: 'v' });
  const { updatedAt } = await db.app.findUniqueOrThrow({ where: { id: 'a' } });
  await db.appKey.create({ data: { id: 'key', appId: 'a', hash: 'hash', prefix: 'apk' } });
  await write.app('deleted', { deletedAt: ago });
  await db.appKey.create({ data: { id: 'key of deleted', appId: 'deleted', hash: 'other', prefix: 'apk' } });

  const find = createFindForRead(runPrepared);
  const read = (connectionId: string, more: Partial<ReadKey> = {}) =>
    find({ connectorId: 'k', workspaceId: 'w', connectionId, appKeyId: null, ...more });
  const rowOf = async (connectionId: string, connectorId = 'k') => {
    const connection = await db.connection.findUnique({ where: { id: connectionId } });
    const credential = await db.credential.findUnique({ where: { connectionId } });
    return { connection, credential, connector: await db.connector.findUnique({ where: { id: connectorId } }) };
  };
  for (const id of ['whole', 'bare', 'without tokens', 'nobody']) {
    const found = (await read(id))!;
    const { connection, credential, connector } = await rowOf(id);
    expect([id, connection, credential]).toEqual([
      id,
      connection && expect.objectContaining(found.connection ?? {}),
      credential && expect.objectContaining(found.credential ?? {}),
    ]);
    expect([found.connection === null, found.credential === null]).toEqual([connection === null, credential === null]);
    const { workspace, ...facts } = found.connector;
    expect(connector).toMatchObject(facts);
    expect(workspace).toEqual({ plan: 'BUILDER', switchedOff: [] });
  }
  const whole = await read('whole');
  expect(Object.keys(whole!.connection!)).toHaveLength(18);
  expect(Object.keys(whole!.credential!)).toHaveLength(9);

  const found = (await read('of off', { connectorId: 'off', workspaceId: 'v' }))!;
  const { workspace: standing, ...ofOff } = found.connector;
  expect((await rowOf('of off', 'off')).connector).toMatchObject(ofOff);
  expect(standing).toEqual({
    plan: 'ENTERPRISE',
    switchedOff: [{ providerKey: 'github', kind: 'APP_USER' }],
  });
  expect((await read('of off'))?.connection).toBeNull(); // another connector's
  expect((await read('bare', { appKeyId: 'key' }))?.appAsOf).toEqual(updatedAt);
  expect((await read('bare', { appKeyId: 'key of deleted' }))?.appAsOf).toBeNull();
});

test('31. some dozens of token reads share a round trip, which begins as soon as it is full', async () => {
  const { runPrepared, write } = await openRows();
  await write.connection('one');
  const sizes: number[] = [];
  const find = createFindForRead((statement, values) => {
    sizes.push((values[1] as unknown[]).length);
    return runPrepared(statement, values);
  });
  const key = { connectorId: 'k', workspaceId: 'w', connectionId: 'one', appKeyId: null };
  const reads = Array.from({ length: 70 }, () => find(key));
  expect(sizes).toEqual([32, 32]);
  const found = await Promise.all(reads);
  expect(found.map((row) => row?.connection?.id)).toEqual(Array(70).fill('one'));
  expect(sizes).toEqual([32, 32, 6]);
});

test('6. connectors are read in the workspaces given, or in all; deleted ones too, each with its workspace’s plan and what that has switched off', async () => {
  const { db, write } = await openRows();
  await write.workspace('v', { plan: 'FREE' });
  await write.workspace('u');
  await write.connector('l', { workspaceId: 'v', deletedAt: ago });
  await write.connector('unasked');
  await db.providerAvailability.create({ data: { workspaceId: 'v', providerKey: 'slack', kind: 'SHARED' } });
  const find = async (workspaceIds: string[] | null) =>
    (await findConnectors(db, ['k', 'l', 'nobody'], workspaceIds)).toSorted((one, other) =>
      one.id < other.id ? -1 : 1,
    );
  expect(await find(null)).toMatchObject([
    { id: 'k', workspace: { plan: 'BUILDER', switchedOff: [] } },
    { id: 'l', workspace: { plan: 'FREE', switchedOff: [{ providerKey: 'slack', kind: 'SHARED' }] } },
  ]);
  expect(idsOf(await find(['v', 'u']))).toEqual(['l']);
  expect(idsOf(await find(['w', 'v']))).toEqual(['k', 'l']);
  expect(await find([])).toEqual([]);

  await write.app('b', { workspaceId: 'v' });
  await write.app('c', { workspaceId: 'u' });
  await write.app('deleted', { deletedAt: ago });
  const apps = (await findAppIds(db, ['w', 'v'])).toSorted((one, other) => (one.id < other.id ? -1 : 1));
  expect(apps).toEqual([
    { id: 'a', workspaceId: 'w' },
    { id: 'b', workspaceId: 'v' },
  ]);
});

test('44. an app’s shared connectors of a provider are those it has an account at, the oldest first', async () => {
  const { db, write } = await openRows();
  await write.workspace('v');
  await write.app('b');
  const shared = { kind: 'SHARED' as const, createdAt: now };
  const byApp = { userId: null };
  await write.connector('y', shared);
  await write.connection('of y', { ...byApp, connectorId: 'y' });
  await write.connection('of y for b', { ...byApp, connectorId: 'y', appId: 'b' });
  await write.connector('z', { ...shared, createdAt: at(-60_000) });
  await write.connection('of z', { ...byApp, connectorId: 'z' });
  const others: [Parameters<typeof write.connector>[1], Parameters<typeof write.connection>[1]][] = [
    [{ workspaceId: 'v' }, {}],
    [{ providerKey: 'slack' }, {}],
    [{ kind: 'APP_USER' }, {}],
    [{ deletedAt: ago }, {}],
    [{}, { appId: 'b' }],
    [{}, { userId: 'one' }],
    [{}, { disconnectedAt: ago }],
  ];
  for (const [index, [connector, connection]] of others.entries()) {
    await write.connector(`other ${index}`, { ...shared, ...connector });
    await write.connection(`of other ${index}`, { ...byApp, connectorId: `other ${index}`, ...connection });
  }
  await write.connector('unconnected', shared);
  expect(await findSharedConnectorIds(db, { id: 'a', workspaceId: 'w' }, 'github')).toEqual(['z', 'y']);
});
