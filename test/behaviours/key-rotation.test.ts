import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { seal } from '../../src/crypto/seal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { type Service, startService } from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import { completeConnection, connect, disconnectAppUser, readToken, returnOf } from '../support/journey.ts';
import { sealed } from '../support/audit.ts';
import { setOperatorClient } from '../support/operator-client.ts';
import { connectUser, eventually, expiredMs, type Scene, setScene, tokenOf } from '../support/scene.ts';
import { startFlow } from '../support/stage.ts';
import { listen } from '../support/streams.ts';

type Query = (sql: string) => Promise<{ rows: unknown[] }>;

/** How many values each key has sealed, by table and column: whichever columns there are. */
async function valuesByKey(query: Query): Promise<Record<string, Record<string, number>>> {
  const columns = await query(`SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name LIKE '%Sealed' ORDER BY 1, 2`);
  const counts: Record<string, Record<string, number>> = {};
  for (const { table, column } of columns.rows as { table: string; column: string }[]) {
    const found = await query(`SELECT split_part("${column}", '.', 1) AS kid, count(*)::int AS count FROM "${table}"
      WHERE "${column}" IS NOT NULL GROUP BY 1`);
    const rows = found.rows as { kid: string; count: number }[];
    counts[`${table}.${column}`] = Object.fromEntries(rows.map(({ kid, count }) => [kid, count]));
  }
  return counts;
}

/** What else can be sealed but connected accounts: a flow under way, a parked answer, and (while the provider refuses it) a revocation. */
async function leaveWorkBehind(scene: Scene): Promise<{ connectCode: string }> {
  const { service, app, connector, provider } = scene;
  await startFlow(service, await app.browser('three'), connector.id);
  await setOperatorClient(service, { providerKey: 'slack', clientId: 'id', clientSecret: 'secret' });
  const parked = await connect(service, await app.backend('two'), connector.id, { account: 'green' });
  provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation') return next();
    ctx.status = 503;
  });
  await connectUser(scene, 'four', 'green');
  await disconnectAppUser(service, await app.user('four'), connector.id);
  return { connectCode: returnOf(parked.response).params['connect_code'] ?? '' };
}

/** Flows that nobody ends, each with a sealed value of its own. */
async function insertFlows(database: pg.Client | PGlite, key: string, count: number): Promise<void> {
  const keyring = parseKeyring(key);
  const ids = Array.from({ length: count }, () => randomUUID());
  const sealed = ids.map((id) =>
    seal(keyring, { table: 'pending_flow', id, field: 'codeVerifier' }, new Secret(`verifier of ${id}`)),
  );
  const values = [ids, sealed];
  const sql = `INSERT INTO pending_flow (id, "workspaceId", "connectorId", "appId", "stateHash", binding, "redirectUri", "codeVerifierSealed",
       "clientFingerprint", "scopesFingerprint", "requestedScopes", "createdAt", "expiresAt")
     SELECT id, '', '', '', id, 'CODE', '', sealed, '', '', '{}', now(), now() + interval '1 day'
     FROM unnest($1::text[], $2::text[]) AS flow(id, sealed)`;
  await (database instanceof pg.Client ? database.query(sql, values) : database.query(sql, values));
}

describe('T9. on the embedded database', () => {
  const dumpOf = async (onDisk: Awaited<ReturnType<typeof startServiceOnDisk>>) => {
    let counts: Awaited<ReturnType<typeof valuesByKey>> = {};
    const [snapshot] = await onDisk.stopAndDump(async (database: PGlite) => {
      counts = await valuesByKey((sql) => database.query(sql));
    });
    return { snapshot, counts };
  };

  test('a service that starts with a new first key re-encrypts every secret under it, and then needs the old one no more', async () => {
    const [a, b] = [newKey('a'), newKey('b')];
    const first = await startServiceOnDisk({ ENCRYPTION_KEYS: a });
    const scene = await setScene(first.service);
    await connectUser(scene, 'one');
    const { connectCode } = await leaveWorkBehind(scene);
    const token = await tokenOf(scene, 'one');
    await sealed(first.service, scene.workspace);
    const old = await dumpOf(first);
    expect(Object.values(old.counts).map((keys) => Object.keys(keys))).toEqual(Array(9).fill(['a']));
    expect(first.service.logs.join('\n')).not.toContain('re-encrypted');

    const second = await startServiceOnDisk({ ENCRYPTION_KEYS: `${b},${a}` }, old.snapshot);
    const { service } = second;
    expect(await tokenOf({ ...scene, service }, 'one')).toBe(token);
    await expect.poll(() => service.logs.join('\n'), eventually).toContain('re-encrypted under the first key');
    const rotated = await dumpOf(second);
    const expected = Object.entries(old.counts).map(([column, { a: count }]) => [column, { b: count }]);
    expect(rotated.counts).toEqual(Object.fromEntries(expected));

    const third = await startServiceOnDisk({ ENCRYPTION_KEYS: b }, rotated.snapshot);
    const again = { ...scene, service: third.service };
    expect(await tokenOf(again, 'one')).toBe(token);
    const completed = await completeConnection(third.service, await scene.app.user('two'), connectCode);
    expect(completed.data).toMatchObject({ completeConnection: { connection: { status: 'CONNECTED' } } });
    third.service.clock.advance(expiredMs);
    expect(await tokenOf(again, 'one')).not.toBe(token);
    expect(third.service.logs.join('\n')).not.toContain('cannot be opened');
  });

  test('a service that stops does not wait for all of it; the next start goes on', async () => {
    const [a, b] = [newKey('a'), newKey('b')];
    const first = await startServiceOnDisk({ ENCRYPTION_KEYS: a });
    const [snapshot] = await first.stopAndDump((database) => insertFlows(database, a, 3_000));
    const second = await startServiceOnDisk({ ENCRYPTION_KEYS: `${b},${a}` }, snapshot);
    const stopped = await dumpOf(second);
    expect(stopped.counts['pending_flow.codeVerifierSealed']).toMatchObject({ a: expect.any(Number) });

    const third = await startServiceOnDisk({ ENCRYPTION_KEYS: `${b},${a}` }, stopped.snapshot);
    await expect.poll(() => third.service.logs.join('\n'), eventually).toContain('re-encrypted under the first key');
    expect((await dumpOf(third)).counts['pending_flow.codeVerifierSealed']).toEqual({ b: 3_000 });
  });

  test('what no key opens is told of in one line that names its place and no value; the rest is re-encrypted', async () => {
    const [a, b] = [newKey('a'), newKey('b')];
    const first = await startServiceOnDisk({ ENCRYPTION_KEYS: a });
    await connectUser(await setScene(first.service), 'one');
    const [snapshot] = await first.stopAndDump(async (database) => {
      await database.exec(`UPDATE credential SET "refreshTokenSealed" = 'lost.' || "refreshTokenSealed";
        UPDATE app SET "identitySecretSealed" = 'plain'`);
    });
    const second = await startServiceOnDisk({ ENCRYPTION_KEYS: `${b},${a}` }, snapshot);
    const lines = () => second.service.logs.filter((line) => line.includes('cannot be opened'));
    await expect.poll(() => lines().length, eventually).toBe(1);
    expect(JSON.parse(lines()[0]!)).toMatchObject({
      level: 50,
      unopened: [
        { table: 'app', column: 'identitySecretSealed', count: 1 },
        { table: 'credential', column: 'refreshTokenSealed', count: 1 },
      ],
    });
    expect(lines()[0]).not.toContain('plain');
    expect((await dumpOf(second)).counts).toMatchObject({
      'app.identitySecretSealed': { plain: 1 },
      'credential.accessTokenSealed': { b: 1 },
      'credential.refreshTokenSealed': { lost: 1 },
      'connector.clientSecretSealed': { b: 1 },
    });
  });
});

interface Run {
  child: ChildProcess;
  output: () => string;
  code: Promise<number | null>;
}

function rotate(env: Record<string, string>): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/keys-rotate.ts'], {
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return { child, output: () => output, code: once(child, 'close').then(([code]) => code as number | null) };
}

test('T9. without DATABASE_URL the command says that the service does it by itself', async () => {
  const run = rotate({});
  expect(await run.code).toBe(0);
  expect(run.output()).toContain('on the embedded database the service re-encrypts by itself');
});

describe.skipIf(!servicesAreThere)('T9. on PostgreSQL', () => {
  async function setUp() {
    const [a, b] = [newKey('a'), newKey('b')];
    const [first] = (await startInstances(1, { ENCRYPTION_KEYS: a })) as [Service];
    const scene = await setScene(first);
    const DATABASE_URL = first.config.databaseUrl?.reveal() ?? '';
    const client = new pg.Client({ connectionString: DATABASE_URL });
    await client.connect();
    /** The service with other keys, on the same database and clock. */
    const restart = async (keys: string): Promise<Scene> => {
      await first.app.stop();
      const { clock } = first;
      const next = await startService({ DATABASE_URL, ENCRYPTION_KEYS: keys }, { clock });
      return { ...scene, service: { ...next, clock } };
    };
    onTestFinished(() => client.end());
    return { a, b, scene, restart, client, env: { DATABASE_URL, ENCRYPTION_KEYS: `${b},${a}` } };
  }

  test('everything is re-encrypted while a service reads and refreshes; what is killed half-way goes on where it was', async () => {
    const { a, b, scene, restart, client, env } = await setUp();
    const users = ['one', 'five', 'six'];
    for (const user of users) await connectUser(scene, user);
    await leaveWorkBehind(scene);
    await insertFlows(client, a, 5_000);

    const running = await restart(env.ENCRYPTION_KEYS);
    let isOver = false;
    let reads = 0;
    const reading = (async () => {
      while (!isOver) {
        running.service.clock.advance(expiredMs);
        await Promise.all(users.map((user) => tokenOf(running, user)));
        reads += users.length;
      }
    })();

    const killed = rotate(env);
    await expect.poll(killed.output, eventually).toMatch(/^pending_flow.codeVerifierSealed: \d+ done, [1-9]\d* left$/m);
    killed.child.kill('SIGKILL');
    await killed.code;
    const halfWay = (await valuesByKey((sql) => client.query(sql)))['pending_flow.codeVerifierSealed'];
    expect(halfWay).toMatchObject({ a: expect.any(Number), b: expect.any(Number) });

    const { DATABASE_URL, ENCRYPTION_KEYS } = env;
    const whole = rotate({ DATABASE_URL, ENCRYPTION_KEYS_COMMAND: `echo '${ENCRYPTION_KEYS}'` });
    expect([await whole.code, whole.output()]).toEqual([0, expect.any(String)]);
    expect(whole.output()).toContain(`pending_flow.codeVerifierSealed: ${halfWay!['a']} done, 0 left\n`);
    expect(whole.output()).toContain('Values under the key a: 0. It can be removed from ENCRYPTION_KEYS.\n');
    isOver = true;
    await reading;
    expect(reads).toBeGreaterThan(users.length);
    expect(scene.provider.counts.refresh_token).toBe(reads);
    await sealed(running.service, scene.workspace);
    const counts = await valuesByKey((sql) => client.query(sql));
    expect(Object.values(counts).map((keys) => Object.keys(keys))).toEqual(Array(9).fill(['b']));

    const alone = await restart(b);
    expect(alone.service.logs.join('\n')).not.toContain('lacks the key');
    for (const user of users) expect(await tokenOf(alone, user)).toMatch(/./);
  });

  test('a service that starts without a key that values stand under names the key, and none of the values', async () => {
    const { b, scene, restart, client } = await setUp();
    await connectUser(scene, 'one');
    const { service } = await restart(b);
    // with or without one of the audit's chain, which is sealed now and then
    const counts = Object.values(await valuesByKey((sql) => client.query(sql)));
    const values = counts.reduce((sum, { a = 0 }) => sum + a, 0);
    expect(values).toBeGreaterThan(3);
    const lines = () => service.logs.filter((line) => line.includes('lacks the key'));
    await expect.poll(lines, eventually).toHaveLength(1);
    const [line] = lines().map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(line).toMatchObject({ level: 50, kid: 'a', values, msg: expect.stringContaining('lacks the key "a"') });
    expect(lines().join()).not.toContain('a.');
    const { http } = await listen(service);
    const ready = async () => {
      const response = await fetch(new URL('/readyz', http));
      return [response.status, await response.json()];
    };
    expect(await ready()).toEqual([200, expect.objectContaining({ status: 'degraded', keys: 'missing: a' })]);
    const metrics = await (await fetch(new URL('/metrics', http))).text();
    expect(metrics).toContain(`\nconnectors_unreadable_secrets ${values}\n`);
    // what cannot be opened is no refusal of the provider's, and nobody has to reconnect
    const read = await readToken(service, await scene.app.backend('one'), scene.connector.id);
    expect(read.errors[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR' });
  });

  test('a value that no key opens ends the command with 1, named and counted; the rest is done', async () => {
    const { a, scene, client, env } = await setUp();
    await connectUser(scene, 'one');
    await insertFlows(client, a, 120);
    await insertFlows(client, newKey('lost'), 2);
    await client.query(`UPDATE credential SET "accessTokenSealed" = "refreshTokenSealed"`);
    const run = rotate(env);
    expect(await run.code).toBe(1);
    const lines = run.output().split('\n');
    expect(lines).toContain('pending_flow.codeVerifierSealed: 120 done, 2 left');
    expect(lines).toContain(
      'pending_flow.codeVerifierSealed: 2 cannot be opened: the key is missing, or the value was changed.',
    );
    expect(lines).toContain(
      'credential.accessTokenSealed: 1 cannot be opened: the key is missing, or the value was changed.',
    );
    expect(lines).toContain('Values under the key lost: 2. ENCRYPTION_KEYS does not hold it.');
    expect(lines).toContain('Values under the key a: 1. It must stay in ENCRYPTION_KEYS.');
    expect(run.output()).not.toContain('lost.');
    expect(await valuesByKey((sql) => client.query(sql))).toMatchObject({
      'app.identitySecretSealed': { b: 1 },
      'connector.clientSecretSealed': { b: 1 },
      'credential.accessTokenSealed': { a: 1 },
      'credential.refreshTokenSealed': { b: 1 },
      'pending_flow.codeVerifierSealed': { b: 120, lost: 2 },
    });
  });

  test('a value written meanwhile wins over the re-encrypted one, and the next pass finds it', async () => {
    const { a, b, scene, restart, client, env } = await setUp();
    await connectUser(scene, 'one');
    const running = await restart(env.ENCRYPTION_KEYS);
    expect(await rotate(env).code).toBe(0);
    const { rows } = await client.query<{ id: string }>(`SELECT "connectionId" AS id FROM credential`);
    const owner = { table: 'credential', id: rows[0]!.id, field: 'accessToken' };
    const write = (by: pg.Client, token: string) =>
      by.query(`UPDATE credential SET "accessTokenSealed" = $1`, [seal(parseKeyring(a), owner, new Secret(token))]);
    await write(client, 'written before');
    // a writer that has the row when the command comes to it
    const writer = new pg.Client({ connectionString: env.DATABASE_URL });
    await writer.connect();
    onTestFinished(() => writer.end());
    await writer.query('BEGIN');
    await write(writer, 'written meanwhile');
    const run = rotate(env);
    const waiting = () =>
      client.query(`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
    await expect.poll(async () => (await waiting()).rows.length, eventually).toBeGreaterThan(0);
    await writer.query('COMMIT');
    expect(await run.code).toBe(0);
    expect(await tokenOf(running, 'one')).toBe('written meanwhile');
    expect(await tokenOf(await restart(b), 'one')).toBe('written meanwhile');
  });
});
