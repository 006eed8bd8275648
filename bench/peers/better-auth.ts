/**
 * better-auth as an app would set it up for the same: tokens encrypted, PostgreSQL, sessions in a secondary storage (here the
 * process's own memory, the quickest there can be), no rate limit, no telemetry. GET /readers tells how to ask for the tokens; where
 * a GRANT is given the last of them is that one, whose access token has expired. Settings come as environment variables.
 */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BetterAuthOptions, betterAuth } from 'better-auth';
import { symmetricEncrypt } from 'better-auth/crypto';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { genericOAuth } from 'better-auth/plugins/generic-oauth';
import pg from 'pg';
import type { Grant } from '../support/grant.ts';

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
};

const secret = setting('SECRET');
const connections = Number(setting('CONNECTIONS'));
const readers = Number(setting('READERS'));
const pool = new pg.Pool({ connectionString: setting('DATABASE_URL') });
const grant = process.env.GRANT ? (JSON.parse(process.env.GRANT) as Grant) : null;
const kept = new Map<string, string>();

const options = {
  baseURL: 'http://127.0.0.1',
  secret,
  database: pool,
  account: { encryptOAuthTokens: true },
  secondaryStorage: {
    get: (key) => kept.get(key) ?? null,
    set: (key, value) => void kept.set(key, value),
    delete: (key) => void kept.delete(key),
    getAndDelete: (key) => {
      const value = kept.get(key) ?? null;
      kept.delete(key);
      return value;
    },
    increment: (key) => {
      const count = Number(kept.get(key) ?? 0) + 1;
      kept.set(key, String(count));
      return count;
    },
  },
  socialProviders: { google: { clientId: 'bench', clientSecret: 'bench' } },
  plugins: grant
    ? [
        genericOAuth({
          config: [
            {
              providerId: 'calendar',
              clientId: grant.clientId,
              clientSecret: grant.clientSecret,
              authorizationUrl: `${grant.issuer}/auth`,
              tokenUrl: `${grant.issuer}/token`,
            },
          ],
        }),
      ]
    : [],
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
} satisfies BetterAuthOptions;

const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
const { internalAdapter } = await auth.$context;

/** As better-auth signs its cookies: HMAC-SHA-256 of the session's token. */
const signed = (token: string) => `${token}.${createHmac('sha256', secret).update(token).digest('base64')}`;

interface Account {
  providerId: string;
  accessToken: string;
  refreshToken: string;
  accessTokenExpiresAt: Date;
}

const hourMs = 3600 * 1000;
const ways: { accountId: string; cookie: string }[] = [];
for (let index = 1; index <= readers; index += 1) {
  await addReader(index, {
    providerId: 'google',
    accessToken: `token-of-person-${index}`,
    refreshToken: 'refresh',
    accessTokenExpiresAt: new Date(Date.now() + 24 * hourMs),
  });
}
if (grant) {
  const { accessToken, refreshToken } = grant;
  const accessTokenExpiresAt = new Date(Date.now() - hourMs);
  await addReader(readers + 1, { providerId: 'calendar', accessToken, refreshToken, accessTokenExpiresAt });
}

async function addReader(index: number, { providerId, accessToken, refreshToken, accessTokenExpiresAt }: Account) {
  const user = await internalAdapter.createUser(
    { email: `person-${index}@example.com`, name: `person-${index}`, emailVerified: true },
    { method: 'email-password' },
  );
  const session = await internalAdapter.createSession(user.id, false);
  const account = await internalAdapter.createAccount<Record<string, unknown>>({
    userId: user.id,
    providerId,
    accountId: `account-${index}`,
    accessToken: await encrypted(accessToken),
    refreshToken: await encrypted(refreshToken),
    accessTokenExpiresAt,
    scope: 'openid,email',
  });
  ways.push({
    accountId: account.id,
    cookie: `better-auth.session_token=${encodeURIComponent(signed(session.token))}`,
  });
}
await pool.query(
  `INSERT INTO "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
   SELECT 'other-' || i, 'other', 'other-' || i || '@example.com', true, now(), now() FROM generate_series(1, $1::int) i`,
  [connections - readers],
);
await pool.query(
  `INSERT INTO account (id, "accountId", "providerId", "userId", "accessToken", "refreshToken", "createdAt", "updatedAt")
   SELECT 'other-' || i, 'other-' || i, 'google', 'other-' || i, model."accessToken", model."refreshToken", now(), now()
   FROM generate_series(1, $1::int) i, (SELECT * FROM account LIMIT 1) model`,
  [connections - readers],
);
await pool.query('VACUUM (ANALYZE) account');

function encrypted(token: string): Promise<string> {
  return symmetricEncrypt({ key: secret, data: token });
}

const handle = toNodeHandler(auth);
const server = createServer((request, response) => {
  if (request.url === '/readers') response.end(JSON.stringify(ways));
  else void handle(request, response);
});
server.listen(0, '127.0.0.1', () =>
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
