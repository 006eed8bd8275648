import { expect, onTestFinished, test } from 'vitest';
import { createFindForRead, type ReadKey } from '../../src/connections/store.ts';
import { openDatabase, type ReadPrepared } from '../../src/db/client.ts';
import { takeDatabase } from '../support/database.ts';
import { createTestApp, createWorkspace, startService } from '../support/harness.ts';
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
  const readPrepared: ReadPrepared = (statement, values) => {
    roundTrips += 1;
    return database.readPrepared(statement, values);
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
  const find = createFindForRead(readPrepared);
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
