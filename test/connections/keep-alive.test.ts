import { expect, onTestFinished, test } from 'vitest';
import { keepAlive } from '../../src/connections/keep-alive.ts';
import type { RefreshOutcome } from '../../src/connections/refresh.ts';
import { openDatabase } from '../../src/db/client.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startServiceOnDisk } from '../support/at-rest.ts';
import { createTestClock } from '../support/harness.ts';
import { connectUser, setScene } from '../support/scene.ts';

const unavailable: RefreshOutcome = { kind: 'unavailable', retryAfterSeconds: 10, error: null };

/** Rows of three connectors: one with 25 idle grants, one with 15, whose grants were given in turns, and one with a single one. */
async function writeRows() {
  const onDisk = await startServiceOnDisk();
  const [big, small, last] = [
    await setScene(onDisk.service),
    await setScene(onDisk.service),
    await setScene(onDisk.service),
  ];
  for (let user = 0; user < 25; user += 1) {
    await connectUser(big, `user-${user}`);
    if (user < 15) await connectUser(small, `user-${user}`);
  }
  await connectUser(last, 'one');
  const [snapshot] = await onDisk.stopAndDump(async () => {});
  const named = { big, small, last };
  return { snapshot, names: new Map(Object.entries(named).map(([name, { connector }]) => [connector.id, name])) };
}

/** Makes sweeps, in which each refresh ends as told, and answers how often each connector's grants were refreshed. */
async function startSweeping() {
  const { snapshot, names } = await writeRows();
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, snapshot });
  onTestFinished(close);
  const clock = createTestClock();
  const logs: string[] = [];
  const log = createLogger('error', { write: (line) => logs.push(line) });
  const rows = await db.connection.findMany();
  const nameOf = new Map(rows.map(({ id, connectorId }) => [id, names.get(`Connector_${connectorId}`)]));
  const sweep = async (refresh: (name: string | undefined, nth: number) => Promise<RefreshOutcome>) => {
    const asked: string[] = [];
    await keepAlive({ db, clock, log, refresh: (id) => refresh(nameOf.get(id), asked.push(id)) });
    expect(new Set(asked).size).toBe(asked.length);
    const countOf = (name: string) => asked.filter((id) => nameOf.get(id) === name).length;
    return { big: countOf('big'), small: countOf('small'), last: countOf('last') };
  };
  return { sweep, clock, logs };
}

test('37. one sweep refreshes every grant that is due, once; of a connector that takes none no more than a batch; and outlasts an error', async () => {
  const { sweep, clock, logs } = await startSweeping();
  expect(await sweep(async () => ({ kind: 'moved' }))).toEqual({ big: 0, small: 0, last: 0 }); // nothing is due
  clock.advance(4 * 86_400_000);
  expect(await sweep(async () => ({ kind: 'moved' }))).toEqual({ big: 25, small: 15, last: 1 });

  const ofBig = await sweep(async (name) => (name === 'big' ? unavailable : { kind: 'moved' }));
  expect(ofBig).toEqual({ big: 10, small: 15, last: 1 });
  expect(logs).toEqual([]);

  const all = await sweep(async (_id, nth) => {
    if (nth === 3) throw new Error('no room');
    return { kind: 'moved' };
  });
  expect(all).toEqual({ big: 25, small: 15, last: 1 });
  expect(logs.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({
      msg: 'an idle grant could not be kept alive',
      connectionId: expect.stringMatching(/.{20}/),
      err: expect.objectContaining({ message: 'no room' }),
    }),
  ]);
});
