/**
 * The least that a token read can be: verify the caller's identity token, one prepared SELECT, one AES-256-GCM open, JSON.
 * No GraphQL, no rules, no audit. Settings come as environment variables.
 */
import { createDecipheriv } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { importJWK, jwtVerify } from 'jose';
import pg from 'pg';

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
};

const pool = new pg.Pool({ connectionString: setting('DATABASE_URL') });
const identityKey = await importJWK({ kty: 'oct', k: setting('IDENTITY_KEY'), alg: 'HS256' });
const issuer = setting('IDENTITY_ISSUER');
const audience = setting('IDENTITY_AUDIENCE');
const connectorId = setting('CONNECTOR_ID');
const key = Buffer.from(setting('KEY'), 'base64');

const select = {
  name: 'read',
  text: `SELECT credential."connectionId", credential."accessTokenSealed", credential."accessTokenExpiresAt", connection."grantedScopes"
    FROM connection JOIN credential ON credential."connectionId" = connection.id
    WHERE connection."connectorId" = $1 AND connection."userId" = $2`,
};

interface Row {
  connectionId: string;
  accessTokenSealed: string;
  accessTokenExpiresAt: Date | null;
  grantedScopes: string[];
}

function open({ connectionId, accessTokenSealed }: Row): string {
  const [kid, encoded = ''] = accessTokenSealed.split('.');
  const bytes = Buffer.from(encoded, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(Buffer.from(JSON.stringify(['credential', connectionId, 'accessToken', kid])));
  decipher.setAuthTag(bytes.subarray(-16));
  return decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8');
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    void (async () => {
      const token = String(request.headers['on-behalf-of']).slice('Bearer '.length);
      const { payload } = await jwtVerify(token, identityKey, { issuer, audience, algorithms: ['HS256'] });
      const { rows } = await pool.query<Row>({ ...select, values: [connectorId, payload.sub] });
      const row = rows[0];
      const body = row
        ? JSON.stringify({
            accessToken: open(row),
            accessTokenExpiresAt: row.accessTokenExpiresAt,
            grantedScopes: row.grantedScopes,
          })
        : '{}';
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    })();
  });
});
server.listen(0, '127.0.0.1', () =>
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
