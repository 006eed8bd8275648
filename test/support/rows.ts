import { onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.ts';
import type { Prisma } from '../../src/db/generated/prisma/client.ts';
import { Secret } from '../../src/lib/secret.ts';
import { takeDatabase } from './database.ts';

export const now = new Date('2026-01-01T12:00:00Z');
/** So many milliseconds from `now`. */
export const at = (ms: number) => new Date(now.getTime() + ms);
export const ago = at(-1);
export const ahead = at(1);

/**
 * A database with no service (embedded, or the given one), of one workspace `w` with an app `a` and a connector `k`; and short ways
 * to write further rows, of which a test tells what matters. A connection's id is its user's, unless told otherwise.
 */
export async function openRows(databaseUrl: string | null = null) {
  const { db, runPrepared, close } = await openDatabase(
    databaseUrl === null
      ? { databaseUrl, dataDir: null, pglite: await takeDatabase(onTestFinished) }
      : { databaseUrl: new Secret(databaseUrl) },
  );
  onTestFinished(close);
  const write = {
    workspace: (id: string, data: Partial<Prisma.WorkspaceUncheckedCreateInput> = {}) =>
      db.workspace.create({ data: { id, name: id, plan: 'BUILDER', ...data } }),
    app: (id: string, data: Partial<Prisma.AppUncheckedCreateInput> = {}) =>
      db.app.create({
        data: { id, workspaceId: 'w', name: id, identityIssuer: 'issuer', identityAudience: id, ...data },
      }),
    connector: (id: string, data: Partial<Prisma.ConnectorUncheckedCreateInput> = {}) =>
      db.connector.create({
        data: {
          id,
          workspaceId: 'w',
          providerKey: 'github',
          kind: 'APP_USER',
          name: id,
          clientId: 'client',
          clientSecretSealed: 'sealed',
          scopes: [],
          clientFingerprint: 'client',
          scopesFingerprint: 'scopes',
          ...data,
        },
      }),
    connection: (id: string, data: Partial<Prisma.ConnectionUncheckedCreateInput> = {}) =>
      db.connection.create({
        data: {
          id,
          workspaceId: 'w',
          connectorId: 'k',
          appId: 'a',
          userId: id,
          clientFingerprint: 'client',
          scopesFingerprint: 'scopes',
          requestedScopes: [],
          grantedScopes: [],
          connectedAt: ago,
          ...data,
        },
      }),
    credential: (connectionId: string, data: Partial<Prisma.CredentialUncheckedCreateInput> = {}) =>
      db.credential.create({ data: { connectionId, version: 1, ...tokens, ...data } }),
    /** A connection with tokens. */
    connected: async (
      id: string,
      connection: Partial<Prisma.ConnectionUncheckedCreateInput> = {},
      credential: Partial<Prisma.CredentialUncheckedCreateInput> = {},
    ) => {
      await write.connection(id, connection);
      await write.credential(id, credential);
    },
    flow: (id: string, data: Partial<Prisma.PendingFlowUncheckedCreateInput> = {}) =>
      db.pendingFlow.create({
        data: {
          id,
          workspaceId: 'w',
          connectorId: 'k',
          appId: 'a',
          userId: 'one',
          stateHash: `state of ${id}`,
          binding: 'COOKIE',
          redirectUri: 'https://app.example.com/callback',
          codeVerifierSealed: 'sealed',
          clientFingerprint: 'client',
          scopesFingerprint: 'scopes',
          requestedScopes: [],
          createdAt: ago,
          expiresAt: ahead,
          ...data,
        },
      }),
    /** A revocation that is due, unless told otherwise. */
    revocation: (id: string, data: Partial<Prisma.OutboxItemUncheckedCreateInput> = {}) =>
      db.outboxItem.create({
        data: { id, kind: 'REVOKE_GRANT', workspaceId: 'w', connectorId: 'k', dueAt: ago, createdAt: ago, ...data },
      }),
  };
  await write.workspace('w');
  await write.app('a');
  await write.connector('k');
  return { db, runPrepared, write };
}

export const tokens = {
  accessTokenSealed: 'access',
  refreshTokenSealed: 'refresh',
  tokenType: 'Bearer',
  issuedAt: ago,
  accessTokenExpiresAt: ahead,
  fingerprint: 'fingerprint',
};

/** The ids of rows, in their order. */
export const idsOf = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);

/** The rows that something has changed, as they are after it, in the order read. */
export async function changedBy<Row extends object>(read: () => Promise<Row[]>, act: () => Promise<unknown>) {
  const before = new Set((await read()).map((row) => JSON.stringify(row)));
  await act();
  return (await read()).filter((row) => !before.has(JSON.stringify(row)));
}
