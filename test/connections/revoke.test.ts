import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { drainOutbox } from '../../src/connections/revoke.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createStoppedClock, newKey, openProviderFetch, startServiceToStop } from '../support/at-rest.ts';
import { disconnectAppUser } from '../support/journey.ts';
import { connectUser, failRevocations, setScene } from '../support/scene.ts';

/** The outbox of a service that stopped once a user had disconnected and the provider had not revoked their grant; drained by the test. */
async function startWithPendingRevocation(others: string[] = []) {
  const key = newKey('a');
  const running = await startServiceToStop({ ENCRYPTION_KEYS: key });
  const scene = await setScene(running.service);
  for (const user of ['one', ...others]) await connectUser(scene, user);
  const outage = failRevocations(scene);
  await disconnectAppUser(running.service, await scene.app.user('one'), scene.connector.id);
  const db = await running.stop();
  await db.outboxItem.updateMany({ where: { kind: 'REVOKE_GRANT' }, data: { attempts: 0, leaseUntil: null } });
  const fetch = openProviderFetch();
  const clock = createStoppedClock();
  const logs: string[] = [];
  const deps = {
    db,
    clock,
    fetch,
    keyring: parseKeyring(key),
    resolveServer: createResolveServer({ fetch, clock }),
    events: createStatusEvents(),
    log: createLogger('warn', { write: (line) => logs.push(line) }),
  };
  const item = () => db.outboxItem.findFirstOrThrow({ where: { kind: 'REVOKE_GRANT' } });
  const { dueAt } = await item();
  clock.advance(Math.max(0, (dueAt?.getTime() ?? 0) - clock.now().getTime()));
  const receipts = () => db.auditEvent.findMany({ where: { act: 'GRANT_REVOKED' } });
  return { scene, outage, db, deps, clock, logs, item, receipts };
}

test('42. a revocation is tried after longer and longer waits, up to an hour, for a week; then it is given up, which the audit tells', async () => {
  const { deps, clock, item, receipts, outage, db } = await startWithPendingRevocation();
  const before = outage.count();
  /** Tries once, when it is due and not before. Answers how long it then has to wait, in seconds; null where it is over. */
  const tryOnce = async () => {
    expect([await drainOutbox(deps), await drainOutbox(deps)]).toEqual([1, 0]);
    const { dueAt, doneAt } = await item();
    const waitMs = (dueAt?.getTime() ?? 0) - clock.now().getTime();
    clock.advance(waitMs);
    return doneAt ? null : waitMs / 1000;
  };
  const waits: (number | null)[] = [];
  while (waits.length < 11) waits.push(await tryOnce());
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]);
  await db.outboxItem.updateMany({ data: { attempts: 178 } }); // a week later
  expect([await tryOnce(), await tryOnce()]).toEqual([3600, null]);
  expect(outage.count() - before).toBe(13);
  expect(await item()).toMatchObject({ receipt: 'GAVE_UP', tokensSealed: null });
  expect(await receipts()).toMatchObject([{ outcome: 'GAVE_UP' }]);
});

test('42. what an instance was killed over is taken up by one other, half a minute later and not sooner', async () => {
  const { deps, clock, item, receipts, outage, db } = await startWithPendingRevocation();
  outage.stop();
  await db.outboxItem.updateMany({ data: { leaseUntil: new Date(clock.now().getTime() + 30_000) } });
  expect(await drainOutbox(deps)).toBe(0);
  clock.advance(30_000);
  const [mine, theirs] = await Promise.all([drainOutbox(deps), drainOutbox(deps)]);
  expect(mine + theirs).toBe(1);
  expect(await item()).toMatchObject({ receipt: 'REVOKED' });
  expect(await receipts()).toMatchObject([{ outcome: 'OK' }]);
});

test('42. tokens that no key opens are told of without them, and wait; one item that fails holds up no other', async () => {
  const { deps, item, logs, outage, db } = await startWithPendingRevocation();
  outage.stop();
  const { id, ...rest } = await item();
  const spoilt = randomUUID(); // another row's tokens: they open nowhere else
  await db.outboxItem.create({ data: { ...rest, id: spoilt } });
  expect(await drainOutbox(deps)).toBe(2);
  const read = (itemId: string) => db.outboxItem.findUniqueOrThrow({ where: { id: itemId } });
  expect(await read(id)).toMatchObject({ receipt: 'REVOKED' });
  expect(await read(spoilt)).toMatchObject({ receipt: null, attempts: 1 });
  expect(logs.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['tokens to revoke cannot be opened']);
  expect(logs[0]).not.toContain(rest.tokensSealed);

  // a failure of the database's is thrown, for the worker to tell of and to wait
  await db.$executeRawUnsafe(`ALTER TABLE outbox_item ADD CONSTRAINT full_disk CHECK (attempts < 2) NOT VALID`);
  onTestFinished(async () => void (await db.$executeRawUnsafe(`ALTER TABLE outbox_item DROP CONSTRAINT full_disk`)));
  deps.clock.advance(60_000);
  await expect(drainOutbox(deps)).rejects.toThrow(/full_disk/);
});

test('42. a revocation that would end another’s grant on the same account waits, which the audit tells; one of a token alone does not', async () => {
  const { deps, clock, item, receipts, outage, db } = await startWithPendingRevocation(['two']);
  outage.stop();
  const due = () =>
    db.outboxItem.updateMany({ where: { kind: 'REVOKE_GRANT' }, data: { dueAt: clock.now(), receipt: null } });
  await db.auditEvent.deleteMany();
  await due();
  expect(await drainOutbox(deps)).toBe(1);
  expect(await item()).toMatchObject({ dueAt: null, leaseUntil: null, doneAt: null, receipt: 'SKIPPED_SHARED_GRANT' });
  expect(await receipts()).toMatchObject([{ actorKind: 'SERVICE', outcome: 'SKIPPED_SHARED_GRANT' }]);

  await due();
  const { resolveServer } = deps;
  const ofTokens: typeof resolveServer = async (...args) => ({
    ...(await resolveServer(...args)),
    revocationReach: 'token',
  });
  expect(await drainOutbox({ ...deps, resolveServer: ofTokens })).toBe(1);
  expect(await item()).toMatchObject({ receipt: 'REVOKED', tokensSealed: null });
  expect(await receipts()).toMatchObject([{ outcome: 'SKIPPED_SHARED_GRANT' }, { outcome: 'OK' }]);
});
