import { connectionId } from '../../src/connections/connection.ts';
import { seal } from '../../src/crypto/seal.ts';
import { idOf } from '../../src/lib/global-id.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { Connector, Stage } from './stage.ts';

/** The access token of a person whose stored connection can be read. */
export const tokenOf = (person: string) => `token-of-${person}`;

export const personAt = (index: number) => `person-${index}`;

const rowsPerStatement = 100_000;

const people = `
  SELECT "userId", $1 || '.' || translate(left(encode(sha256(convert_to(format('["%s","%s"]', $2::text, "userId"), 'UTF8')), 'base64'), 22), '+/', '-_') AS id
  FROM (SELECT 'person-' || i AS "userId" FROM generate_series($4::int, $5::int) i) numbered`;

/**
 * Stores the connections of `person-1` up to a number: copies of the really connected person's, with the ids that the service
 * derives. A copied token opens for nobody, being sealed for its row; those of `readers` are sealed anew, each for its own.
 */
export async function storeConnections(
  stage: Stage,
  connector: Connector,
  count: number,
  readers: readonly string[] = [],
): Promise<void> {
  const connectorId = idOf('Connector', connector.id) ?? '';
  const appId = idOf('App', stage.appId) ?? '';
  const idFor = (person: string) => connectionId(connectorId, appId, person);
  const owner = (id: string) => ({ table: 'credential', id, field: 'accessToken' });
  const ids = readers.map(idFor);
  const sealed = readers.map((person, index) =>
    seal(stage.keyring, owner(ids[index] ?? ''), new Secret(tokenOf(person))),
  );
  const connectionColumns = await columnsOf(stage, 'connection', { id: 'person.id', userId: 'person."userId"' });
  const credentialColumns = await columnsOf(stage, 'credential', {
    connectionId: 'person.id',
    accessTokenSealed: 'coalesce(reader.sealed, model."accessTokenSealed")',
  });
  const { pool } = stage.database;
  for (let from = 1; from <= count; from += rowsPerStatement) {
    const range = [
      connectorId,
      appId,
      idFor(connector.connectedPerson),
      from,
      Math.min(count, from + rowsPerStatement - 1),
    ];
    await pool.query(
      `INSERT INTO connection (${connectionColumns.names})
       SELECT ${connectionColumns.values} FROM (${people}) person JOIN connection model ON model.id = $3`,
      range,
    );
    await pool.query(
      `INSERT INTO credential (${credentialColumns.names})
       SELECT ${credentialColumns.values} FROM (${people}) person JOIN credential model ON model."connectionId" = $3
       LEFT JOIN unnest($6::text[], $7::text[]) reader (id, sealed) ON reader.id = person.id`,
      [...range, ids, sealed],
    );
  }
  await pool.query('VACUUM (ANALYZE) connection');
  await pool.query('VACUUM (ANALYZE) credential');
}

/** All columns of a table, each taken from the model row unless said otherwise: a new column needs no change here. */
async function columnsOf(stage: Stage, table: string, own: Record<string, string>) {
  const { rows } = await stage.database.pool.query<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`,
    [table],
  );
  return {
    names: rows.map(({ name }) => `"${name}"`).join(', '),
    values: rows.map(({ name }) => own[name] ?? `model."${name}"`).join(', '),
  };
}
