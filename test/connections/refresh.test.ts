import { expect, onTestFinished, test } from 'vitest';
import { createRefresh } from '../../src/connections/refresh.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { openDatabase } from '../../src/db/client.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import { createProviderFetch } from '../../src/oauth/fetch.ts';
import { untraced } from '../../src/observability/tracing.ts';
import { createStoppedClock, newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { startService } from '../support/harness.ts';
import { connectUser, readAs, setScene, tokenOf, expiredMs } from '../support/scene.ts';
import { deferred } from '../support/token-endpoint.ts';
import { snapshotWith } from '../support/database.ts';

test('34. a database that refuses for the moment to store rotated tokens loses none', async () => {
  // a sequence counts also what is rolled back: the first two writes of new tokens fail
  const snapshot = await snapshotWith(`
    CREATE SEQUENCE writes;
    CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
      IF NEW.version <> OLD.version AND nextval('writes') <= 2 THEN RAISE EXCEPTION 'no room'; END IF;
      RETURN NEW;
    END $$ LANGUAGE plpgsql;
    CREATE TRIGGER refuse BEFORE UPDATE ON credential FOR EACH ROW EXECUTE FUNCTION refuse();`);
  const scene = await setScene(await startService({}, { snapshot }));
  await connectUser(scene, 'one');
  const old = await tokenOf(scene, 'one');
  scene.service.clock.advance(expiredMs);
  const refreshed = await tokenOf(scene, 'one');
  expect(refreshed).not.toBe(old);
  scene.service.clock.advance(expiredMs);
  expect(await tokenOf(scene, 'one')).not.toBe(refreshed);
  expect(scene.provider.counts.refresh_token).toBe(2);
});

test('34. of two instances one asks the provider; if its lease lapses, what it was answered is kept and no refusal of the other stands', async () => {
  const ENCRYPTION_KEYS = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS });
  const scene = await setScene(onDisk.service);
  await connectUser(scene, 'one');
  const id = (await readAs(scene, 'one')).connection.id.replace('AppUserConnection_', '');
  const [snapshot] = await onDisk.stopAndDump(() => Promise.resolve());

  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, snapshot });
  const { fetch, close: closeFetch } = createProviderFetch({
    allowedHosts: [],
    allowLoopback: true,
    timeoutMs: 10_000,
    maxBytes: 65_536,
  });
  onTestFinished(async () => {
    await closeFetch();
    await close();
  });
  const startInstance = () => {
    const clock = createStoppedClock();
    const refresh = createRefresh({
      db,
      clock,
      fetch,
      keyring: parseKeyring(ENCRYPTION_KEYS),
      metrics: { refresh: () => {}, leaseWait: () => {} },
      tracing: untraced,
      resolveServer: createResolveServer({ fetch, clock }),
      events: createStatusEvents(),
      log: createLogger('silent'),
      wakeWorker: () => {},
      track: (work) => work,
    });
    return { clock, refresh };
  };
  const [slow, quick] = [startInstance(), startInstance()];
  const read = () => db.credential.findUniqueOrThrow({ where: { connectionId: id }, include: { connection: true } });

  const start = await read();
  const outcomes = await Promise.all([slow.refresh(id, start.version), quick.refresh(id, start.version)]);
  expect(outcomes).toEqual([{ kind: 'moved' }, { kind: 'moved' }]);
  expect(scene.provider.counts.refresh_token).toBe(1);
  expect(await read()).toMatchObject({ version: start.version + 1, connection: { refusedAt: null } });

  for (const isHolderFirst of [false, true]) {
    const before = await read();
    const [granted, refused] = [deferred(), deferred()];
    const [grantedReached, refusedReached] = [deferred(), deferred()];
    const stop = scene.provider.around(async (ctx, next) => {
      if (ctx.path !== '/token') return next();
      if (scene.provider.counts.refresh_token === before.version - start.version) {
        await next();
        grantedReached.resolve();
        return granted.promise;
      }
      ctx.status = 400; // as a provider does that knows the used refresh token, and leaves the grant alone
      ctx.body = { error: 'invalid_grant' };
      refusedReached.resolve();
      return refused.promise;
    });
    const holder = slow.refresh(id, before.version);
    await grantedReached.promise;
    quick.clock.advance(11_000); // by its clock the holder has been away for longer than the lease
    const other = quick.refresh(id, before.version);
    await refusedReached.promise;
    if (isHolderFirst) {
      granted.resolve();
      await holder;
      refused.resolve();
    } else {
      refused.resolve();
      await other;
      granted.resolve();
    }
    await Promise.all([holder, other]);
    stop();

    const after = await read();
    expect(after).toMatchObject({ version: before.version + 1, connection: { refusedAt: null } });
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(scene.provider.grants()).toHaveLength(1);
  }
});
