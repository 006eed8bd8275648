import { expect, test } from 'vitest';
import { keepAlive } from '../../src/connections/keep-alive.ts';
import type { RefreshOutcome } from '../../src/connections/refresh.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { startServiceToStop } from '../support/at-rest.ts';
import { createTestClock } from '../support/harness.ts';
import { connectUser, setScene } from '../support/scene.ts';

const unavailable: RefreshOutcome = { kind: 'unavailable', retryAfterSeconds: 10, error: null };

/** Rows of three connectors: one with 14 idle grants, one with 8, whose grants were given in turns, and one with a single one. */
async function writeRows() {
  const running = await startServiceToStop();
  const [big, small, last] = [
    await setScene(running.service),
    await setScene(running.service),
    await setScene(running.service),
  ];
  for (let user = 0; user < 14; user += 1) {
    await connectUser(big, `user-${user}`);
    if (user < 8) await connectUser(small, `user-${user}`);
  }
  await connectUser(last, 'one');
  const db = await running.stop();
  const named = { big, small, last };
  return { db, names: new Map(Object.entries(named).map(([name, { connector }]) => [connector.id, name])) };
}

/** Makes sweeps, in which each refresh ends as told, and answers how often each connector's grants were refreshed. */
async function startSweeping() {
  const { db, names } = await writeRows();
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
  expect(await sweep(async () => ({ kind: 'moved' }))).toEqual({ big: 14, small: 8, last: 1 });

  const ofBig = await sweep(async (name) => (name === 'big' ? unavailable : { kind: 'moved' }));
  expect(ofBig).toEqual({ big: 12, small: 8, last: 1 });
  expect(logs).toEqual([]);

  const all = await sweep(async (_id, nth) => {
    if (nth === 3) throw new Error('no room');
    return { kind: 'moved' };
  });
  expect(all).toEqual({ big: 14, small: 8, last: 1 });
  expect(logs.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({
      msg: 'an idle grant could not be kept alive',
      connectionId: expect.stringMatching(/.{20}/),
      err: expect.objectContaining({ message: 'no room' }),
    }),
  ]);
});
