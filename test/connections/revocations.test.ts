import { expect, test } from 'vitest';
import { listRevocations, readRevocationProgress, readRevokeAllProgress } from '../../src/connections/revocations.ts';
import type { OutboxReceipt } from '../../src/db/generated/prisma/enums.ts';
import { startServiceToStop } from '../support/at-rest.ts';
import { connectUser, setScene } from '../support/scene.ts';

test('16. the revocations of several connectors are read at once, and each is told its own', async () => {
  const running = await startServiceToStop();
  const scenes = [await setScene(running.service), await setScene(running.service), await setScene(running.service)];
  const [big, small, none] = scenes.map(({ connector }) => connector.id.replace('Connector_', '')) as [
    string,
    string,
    string,
  ];
  const workspaceOf = new Map(scenes.map(({ connector, workspace }) => [connector.id, workspace.id]));
  for (const user of ['one', 'two', 'three']) await connectUser(scenes[0]!, user);
  await connectUser(scenes[1]!, 'one');
  const db = await running.stop();

  const grantsRevokedAt = new Date(Date.now() + 1_000);
  const queue = async (connectorId: string, receipts: (OutboxReceipt | null)[]) => {
    const workspaceId = workspaceOf.get(`Connector_${connectorId}`)!.replace('Workspace_', '');
    const done = (receipt: OutboxReceipt | null) => (receipt ? grantsRevokedAt : null);
    await db.outboxItem.createMany({
      data: receipts.map((receipt) => {
        return { kind: 'REVOKE_GRANT', workspaceId, connectorId, receipt, doneAt: done(receipt), grantsRevokedAt };
      }),
    });
  };
  await queue(big, ['REVOKED', 'REVOKED', 'GAVE_UP', null]);
  await queue(small, ['UNSUPPORTED', 'SKIPPED_SHARED_GRANT', 'SKIPPED_SHARED_GRANT']);
  const ofBig = {
    total: 7,
    pending: 4, // of which three are still to be queued
    receipts: { REVOKED: 2, GAVE_UP: 1, UNSUPPORTED: 0, SKIPPED_SHARED_GRANT: 0 },
  };
  const ofSmall = {
    total: 4,
    pending: 1,
    receipts: { REVOKED: 0, GAVE_UP: 0, UNSUPPORTED: 1, SKIPPED_SHARED_GRANT: 2 },
  };
  const ofNone = { total: 0, pending: 0, receipts: { ...ofBig.receipts, REVOKED: 0, GAVE_UP: 0 } };
  expect(await readRevocationProgress(db, [small, none, big])).toEqual([ofSmall, ofNone, ofBig]);

  // those that live on, where all grants were revoked: counted from that instant on
  await db.connector.updateMany({ where: { id: { in: [big, small] } }, data: { grantsRevokedAt } });
  const asked = [none, small, big].map((id) => ({ id, grantsRevokedAt: id === none ? null : grantsRevokedAt }));
  expect(await readRevokeAllProgress(db, asked)).toEqual([null, ofSmall, ofBig]);
  expect(await readRevokeAllProgress(db, asked.slice(0, 1))).toEqual([null]);

  const page = { after: null, before: null, limit: 3, descending: false };
  const lists = await listRevocations(db, [small, none, big], page);
  expect(lists.map((rows) => rows.map(({ connectorId }) => connectorId))).toEqual([
    [small, small, small],
    [],
    [big, big, big],
  ]);
});
