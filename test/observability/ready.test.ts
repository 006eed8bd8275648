import { expect, onTestFinished, test } from 'vitest';
import { takeDatabase } from '../support/database.ts';
import { startService } from '../support/harness.ts';
import { deferred } from '../support/token-endpoint.ts';

test('/readyz tells of a database that lacks a migration, and does not wait for one that does not answer', async () => {
  const pglite = await takeDatabase(onTestFinished);
  const { app, config } = await startService({ DATA_DIR: 'memory://' }, { pglite });
  const ready = async () => {
    const response = await app.fetch(new Request(`${config.publicUrl}/readyz`));
    return { status: response.status, body: (await response.json()) as unknown };
  };
  const isReady = { status: 200, body: { status: 'ok', database: 'ok' } };
  expect(await ready()).toEqual(isReady);

  const lastMigration = `(SELECT max(migration_name) FROM _prisma_migrations)`;
  await pglite.exec(`UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = ${lastMigration}`);
  const lacking = await ready();
  await pglite.exec('UPDATE _prisma_migrations SET rolled_back_at = NULL');
  expect(lacking).toEqual({ status: 503, body: { status: 'unavailable', database: 'migrations pending' } });
  expect(await ready()).toEqual(isReady);

  const [taken, released] = [deferred(), deferred()];
  const holding = pglite.transaction(async () => {
    taken.resolve();
    await released.promise;
  });
  await taken.promise;
  expect(await ready()).toEqual({ status: 503, body: { status: 'unavailable', database: 'unavailable' } });
  released.resolve();
  await holding;
  expect(await ready()).toEqual(isReady);
});
