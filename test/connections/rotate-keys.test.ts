import { onTestFinished, expect, test } from 'vitest';
import {
  createMissingKeys,
  type RotateDeps,
  rotateAtStart,
  rotateKeys,
  type RotationProgress,
} from '../../src/connections/rotate-keys.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { open, type SealOwner, seal } from '../../src/crypto/seal.ts';
import { openDatabase } from '../../src/db/client.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey } from '../support/at-rest.ts';
import { takeDatabase } from '../support/database.ts';

/** Every column that holds secrets: what its rows are told apart by, and the field that their values are sealed for. */
const columns = [
  ['app', 'id', 'identitySecretSealed', 'identitySecret'],
  ['audit_chain', 'id', 'checkpointSealed', 'checkpoint'],
  ['connector', 'id', 'clientSecretSealed', 'clientSecret'],
  ['credential', 'connectionId', 'accessTokenSealed', 'accessToken'],
  ['credential', 'connectionId', 'refreshTokenSealed', 'refreshToken'],
  ['operator_client', 'providerKey', 'clientSecretSealed', 'clientSecret'],
  ['outbox_item', 'id', 'tokensSealed', 'tokens'],
  ['pending_flow', 'id', 'codeVerifierSealed', 'codeVerifier'],
  ['pending_flow', 'id', 'responseSealed', 'response'],
] as const;
type Table = (typeof columns)[number][0];

const [a, b, c] = [newKey('a'), newKey('b'), newKey('c')];
const [ofA, ofC, toB] = [parseKeyring(a), parseKeyring(c), parseKeyring(`${b},${a}`)];

/** What a column holds that may not be empty, and is not what a test is about. */
const fillers: Record<string, string> = {
  text: `''`,
  'timestamp with time zone': 'now()',
  ARRAY: `'{}'`,
  boolean: 'false',
  integer: '0',
  jsonb: `'{}'`,
};

/** An empty database, rows of which are written with sealed values alone. */
async function startRotating() {
  const pglite = await takeDatabase(onTestFinished);
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, pglite });
  onTestFinished(close);
  /** Values of one row, each for its own place. */
  const sealedRow = (table: Table, id: string, keyring = ofA) =>
    columns
      .filter(([of]) => of === table)
      .map(([, , column, field]) => {
        return [column, seal(keyring, { table, id, field }, new Secret(`${field} of ${table} ${id}`))] as const;
      });
  const insert = async (table: Table, ids: string[], keyring = ofA) => {
    const [, key] = columns.find(([of]) => of === table)!;
    const rows = ids.map((id) => Object.fromEntries([[key, id], ...sealedRow(table, id, keyring)]));
    const given = Object.keys(rows[0]!);
    const { rows: others } = await pglite.query<{ name: string; type: string; udt: string }>(
      `SELECT column_name AS name, data_type AS type, udt_name AS udt FROM information_schema.columns
       WHERE table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL AND NOT column_name = ANY($2)`,
      [table, given],
    );
    const filled = others.map(({ type, udt }) => fillers[type] ?? `(enum_range(NULL::"${udt}"))[1]`);
    // what is unique besides the id takes the id
    const unique = filled.map((filler, index) => (others[index]?.name === 'stateHash' ? `"${key}"` : filler));
    const names = [...given, ...others.map(({ name }) => name)].map((name) => `"${name}"`);
    const values = [...given.map((name) => `"${name}"`), ...unique];
    await pglite.exec('SET session_replication_role = replica');
    await pglite.query(
      `INSERT INTO "${table}" (${names.join(', ')}) SELECT ${values.join(', ')}
       FROM jsonb_to_recordset($1) AS given(${given.map((name) => `"${name}" text`).join(', ')})`,
      [JSON.stringify(rows)],
    );
    await pglite.exec('RESET session_replication_role');
  };
  /** All sealed values, by whom they belong to. */
  const read = async () => {
    const values: [SealOwner, string][] = [];
    for (const [table, key, column, field] of columns) {
      const { rows } = await pglite.query<{ id: string; sealed: string }>(
        `SELECT "${key}" AS id, "${column}" AS sealed FROM "${table}" ORDER BY 1`,
      );
      values.push(...rows.map(({ id, sealed }) => [{ table, id, field }, sealed] as [SealOwner, string]));
    }
    return values;
  };
  const progress: RotationProgress[] = [];
  const deps: RotateDeps = { db, keyring: toB, onProgress: (told) => progress.push(told) };
  const logs: Record<string, unknown>[] = [];
  const log = createLogger('info', { write: (line) => logs.push(JSON.parse(line) as Record<string, unknown>) });
  return { pglite, insert, read, deps, progress, log, logs };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `${1000 + index}-row`);
const underB = /^b[.]/;

test('T9. what each column holds is re-encrypted for the same owner, a batch at a time, and how far it is is told', async () => {
  const { pglite, insert, read, deps, progress } = await startRotating();
  const found = await pglite.query(`SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name LIKE '%Sealed' ORDER BY 1, 2`);
  expect(found.rows.map((row) => Object.values(row as object))).toEqual(columns.map(([of, , column]) => [of, column]));

  for (const table of new Set(columns.map(([of]) => of))) await insert(table, ['one']);
  await insert('pending_flow', numbered(200));
  await insert('pending_flow', ['new'], toB);
  await insert('app', numbered(100)); // a last batch that is full is followed by none
  expect(await rotateKeys(deps)).toEqual({ done: 9 + 2 * 200 + 100, unopened: [] });
  for (const [owner, sealed] of await read()) {
    expect(sealed).toMatch(underB);
    expect(open(toB, owner, sealed).reveal()).toBe(`${owner.field} of ${owner.table} ${owner.id}`);
  }
  const flow = (column: string, done: number, left: number) => ({ table: 'pending_flow', column, done, left });
  expect(progress.filter(({ table }) => table === 'pending_flow')).toEqual([
    flow('codeVerifierSealed', 100, 101),
    flow('codeVerifierSealed', 200, 1),
    flow('codeVerifierSealed', 201, 0),
    flow('responseSealed', 100, 101),
    flow('responseSealed', 200, 1),
    flow('responseSealed', 201, 0),
  ]);
  expect(progress.filter(({ table }) => table === 'credential')).toEqual([
    { table: 'credential', column: 'accessTokenSealed', done: 1, left: 0 },
    { table: 'credential', column: 'refreshTokenSealed', done: 1, left: 0 },
  ]);
  expect(await rotateKeys(deps)).toEqual({ done: 0, unopened: [] });
});

test('T9. what is asked to stop stops after the batch under way, and the next time goes on', async () => {
  const { insert, deps } = await startRotating();
  await insert('app', numbered(150));
  const stop = new AbortController();
  const stopped = await rotateKeys({ ...deps, signal: stop.signal, onProgress: () => stop.abort() });
  expect(stopped).toEqual({ done: 100, unopened: [] });
  expect(await rotateKeys({ ...deps, signal: new AbortController().signal })).toEqual({ done: 50, unopened: [] });
  const { onProgress: _, ...quiet } = deps;
  await insert('connector', ['one']);
  expect(await rotateKeys(quiet)).toEqual({ done: 1, unopened: [] });
});

test('T9. a value that somebody writes meanwhile is looked at again, some times and not for ever', async () => {
  const { pglite, insert, deps, read } = await startRotating();
  await insert('app', ['one']);
  // a sequence counts what came to nothing as well
  await pglite.exec(`CREATE SEQUENCE writes; CREATE SEQUENCE refusals;
    CREATE FUNCTION overtake() RETURNS trigger AS $$ BEGIN
      IF nextval('writes') > (SELECT last_value FROM refusals) THEN RETURN NEW; END IF;
      RETURN NULL;
    END $$ LANGUAGE plpgsql;
    CREATE TRIGGER overtake BEFORE UPDATE ON app FOR EACH ROW EXECUTE FUNCTION overtake();`);
  onTestFinished(async () => {
    await pglite.exec(
      'DROP TRIGGER overtake ON app; DROP FUNCTION overtake; DROP SEQUENCE writes; DROP SEQUENCE refusals',
    );
  });
  const writes = async () =>
    (await pglite.query<{ count: number }>(`SELECT last_value::int AS count FROM writes`)).rows;
  await pglite.exec(`SELECT setval('refusals', 1000)`);
  expect(await rotateKeys(deps)).toEqual({ done: 0, unopened: [] });
  expect(await writes()).toEqual([{ count: 10 }]);
  await pglite.exec(`SELECT setval('refusals', 12)`); // by now 10 of them are over
  expect(await rotateKeys(deps)).toEqual({ done: 1, unopened: [] });
  expect((await read())[0]?.[1]).toMatch(underB);
});

test('T8. a service tells of what it has re-encrypted, of what does not open, and of a key that is missing, once', async () => {
  const { pglite, insert, deps, log, logs } = await startRotating();
  const missingKeys = createMissingKeys({ ...deps, log });
  const atStart = () => rotateAtStart({ ...deps, log, missingKeys });
  await atStart();
  expect(logs).toEqual([]);
  await insert('app', ['one']);
  await atStart();
  expect(logs.splice(0)).toMatchObject([
    { level: 30, msg: 'secrets were re-encrypted under the first key', kid: 'b', values: 1 },
  ]);

  await insert('outbox_item', ['lost', 'lost too'], ofC);
  await insert('connector', ['altered']);
  await pglite.exec(`UPDATE connector SET "clientSecretSealed" = "clientSecretSealed" || 'AAAA'`);
  await insert('operator_client', ['not sealed']);
  await pglite.exec(`UPDATE operator_client SET "clientSecretSealed" = 'secret in the clear'`);
  await insert('app', ['two']);
  await atStart();
  const unopened = [
    { table: 'connector', column: 'clientSecretSealed', count: 1 },
    { table: 'operator_client', column: 'clientSecretSealed', count: 1 },
    { table: 'outbox_item', column: 'tokensSealed', count: 2 },
  ];
  const lacks = 'ENCRYPTION_KEYS lacks the key "c": what it has sealed cannot be read until it is put back';
  expect(logs.splice(0)).toMatchObject([
    { level: 30, values: 1 },
    { level: 50, msg: 'secrets cannot be opened: their key is missing, or they were changed', unopened },
    { level: 50, msg: lacks, kid: 'c', values: 2 },
  ]);
  expect(missingKeys.found()).toEqual(new Map([['c', 2]]));

  await pglite.exec(`DELETE FROM outbox_item WHERE id = 'lost'`);
  expect(await missingKeys.look()).toBe(0);
  expect(missingKeys.found()).toEqual(new Map([['c', 1]]));
  expect(logs).toEqual([]); // it has been told
  await pglite.exec('DELETE FROM outbox_item');
  await missingKeys.look();
  expect(missingKeys.found()).toEqual(new Map());
});
