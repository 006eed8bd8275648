import { expect, onTestFinished, test, vi } from 'vitest';
import {
  lockWithCredential,
  parkWhereAnotherStands,
  releaseParkedRevocations,
  shareApp,
  shareConnector,
  takeTurn,
} from '../../src/connections/store.ts';
import type { Tx } from '../../src/db/client.ts';
import { takePostgres } from '../support/database.ts';
import { servicesAreThere } from '../support/instances.ts';
import { now, openRows } from '../support/rows.ts';
import { eventually } from '../support/scene.ts';
import { deferred } from '../support/token-endpoint.ts';

type Act = (tx: Tx) => Promise<unknown>;

/** Says of two transactions on a PostgreSQL server whether the second waits for the first. */
async function startTransactions() {
  const { db, write } = await openRows(await takePostgres(onTestFinished));
  for (const user of ['one', 'two']) await write.connected(user);
  const areWaiting = async () => {
    const [found] = await db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return (found?.count ?? 0) > 0;
  };
  return async (first: Act, second: Act): Promise<boolean> => {
    const [taken, released] = [deferred(), deferred()];
    const holder = db.$transaction(async (tx) => {
      await first(tx);
      taken.resolve();
      await released.promise;
    });
    await taken.promise;
    let isDone = false;
    const other = db.$transaction(second).then(() => {
      isDone = true;
    });
    await vi.waitUntil(async () => isDone || (await areWaiting()), eventually);
    const hasWaited = !isDone;
    released.resolve();
    await Promise.all([holder, other]);
    return hasWaited;
  };
}

const lock =
  (id: string): Act =>
  (tx) =>
    lockWithCredential(tx, id);
const turn =
  (name: string): Act =>
  (tx) =>
    takeTurn(tx, name);
const ofConnector: Act = (tx) => shareConnector(tx, { connectorId: 'k', workspaceId: 'w' });
const ofApp: Act = (tx) => shareApp(tx, 'a');
const park = (clientFingerprint: string, accountId: string): Act => {
  return (tx) => parkWhereAnotherStands(tx, 'none', { clientFingerprint, accountId });
};
const release = (clientFingerprint: string, accountId: string | null): Act => {
  return (tx) => releaseParkedRevocations(tx, { clientFingerprint, accountId }, now);
};
const rename = (table: 'workspace' | 'connector' | 'app'): Act => {
  return (tx) => tx.$executeRawUnsafe(`UPDATE "${table}" SET name = 'renamed'`);
};

test.runIf(servicesAreThere)(
  '34. who changes a connection, its connector, its app or its account waits for whoever holds that, and for nobody else',
  async () => {
    const waits = await startTransactions();
    const cases: [first: Act, second: Act, waits: boolean][] = [
      [lock('one'), lock('one'), true],
      [lock('one'), lock('two'), false],
      [turn('one'), turn('one'), true],
      [turn('one'), turn('two'), false],
      [ofConnector, rename('connector'), true],
      [ofConnector, rename('workspace'), true],
      [ofConnector, rename('app'), false],
      [ofConnector, ofConnector, false],
      [ofApp, rename('app'), true],
      [ofApp, ofApp, false],
      [park('client', 'account'), release('client', 'account'), true],
      [release('client', 'account'), park('client', 'account'), true],
      [park('client', 'account'), release('client', 'another'), false],
      [park('client', 'account'), release('another', 'account'), false],
      [park('client', 'account'), release('client', null), false],
    ];
    const found: boolean[] = [];
    for (const [first, second] of cases) found.push(await waits(first, second));
    expect(found).toEqual(cases.map(([, , expected]) => expected));
  },
);
