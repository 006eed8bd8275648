import { randomBytes } from 'node:crypto';
import { type Cleanup, createCleanup } from './support/cleanup.ts';
import { createDatabase, createDataDir } from './support/database.ts';
import { startInstance } from './support/instance.ts';
import { median, timed } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';

const starts = 5;

/** From the start of the process until it listens: on PostgreSQL, and on the embedded database when it is there already. */
export async function start(cleanup: Cleanup): Promise<Figure[]> {
  const { url: databaseUrl } = await createDatabase(cleanup);
  const dataDir = createDataDir(cleanup);
  const settings = {
    publicUrl: 'https://connect.example.com',
    encryptionKeys: `bench:${randomBytes(32).toString('base64')}`,
    operatorKey: randomBytes(24).toString('base64url'),
  };
  const once = async (store: { databaseUrl: string } | { dataDir: string }) => {
    const own = createCleanup();
    const ms = await timed(() => startInstance(own, { ...settings, ...store }));
    await own.run();
    return ms;
  };
  const onPostgres: number[] = [];
  const embedded: number[] = [];
  await once({ dataDir }); // makes the embedded database
  for (let round = 0; round < starts; round += 1) {
    onPostgres.push(await once({ databaseUrl }));
    embedded.push(await once({ dataDir }));
  }
  const base: Figure = { name: 'ready on PostgreSQL', value: median(onPostgres), unit: 'ms', goal: 1_500 };
  return [
    base,
    compared({ name: 'ready on the embedded database, second start', value: median(embedded), unit: 'ms' }, base),
  ];
}
