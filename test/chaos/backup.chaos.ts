import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { startService } from '../support/harness.ts';
import { createDatabase } from '../support/postgres.ts';
import { connectUser, setScene, tokenOf } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { startFleet } from './support/processes.ts';
import { useServices } from './support/rounds.ts';
import { readAt, worksAt } from './support/tokens.ts';

useServices();

test('a dump that is restored into a new database serves every token, with the same keys; without them the key is named', async () => {
  const ENCRYPTION_KEYS = newKey('kept');
  const fleet = await startFleet(1, { ENCRYPTION_KEYS });
  const stage = await setStage({ service: fleet.processes[0]! });
  await connectUser(stage, 'one');
  const headers = await stage.app.backend('one');
  const before = await readAt(fleet.processes[0]!, headers, stage.connector.id);

  const folder = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const dump = join(folder, 'backup.dump');
  execFileSync('pg_dump', ['--format=custom', '--no-owner', `--file=${dump}`, fleet.databaseUrl]); // while it serves
  const restored = await createDatabase(inject('databaseTemplate')!.serverUrl);
  onTestFinished(() => restored.drop());
  execFileSync('pg_restore', ['--no-owner', '--exit-on-error', `--dbname=${restored.url}`, dump]);

  const again = await startFleet(1, { ENCRYPTION_KEYS }, restored.url);
  const after = await readAt(again.processes[0]!, headers, stage.connector.id);
  expect(after.accessToken).toBe(before.accessToken);
  expect(await worksAt(stage.provider, after.accessToken)).toBe(true);

  const other = startFleet(1, { ENCRYPTION_KEYS: newKey('other') }, restored.url);
  const told = await other.then(
    ({ processes: [service] }) =>
      () =>
        service!.output(),
    (error: Error) => () => error.message,
  );
  await expect.poll(told, { timeout: 10_000 }).toMatch(/\bkept\b.*ENCRYPTION_KEYS|ENCRYPTION_KEYS.*\bkept\b/);
});

test('a copy of DATA_DIR, made while the service is stopped, serves every token', async () => {
  const { service, dataDir } = await startServiceOnDisk();
  const scene = await setScene(service);
  await connectUser(scene, 'one');
  const token = await tokenOf(scene, 'one');
  await service.app.stop();
  const copy = mkdtempSync(join(tmpdir(), 'app-user-connectors-'));
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(dataDir, copy, { recursive: true });
  rmSync(dataDir, { recursive: true });
  const again = await startService({ DATA_DIR: copy });
  expect(await tokenOf({ ...scene, service: again }, 'one')).toBe(token);
});
