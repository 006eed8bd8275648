import { onTestFinished, expect, test } from 'vitest';
import { outboxOwner, openFromOutbox, queueStoredRevocation } from '../../src/connections/outbox.ts';
import { tokenOwner } from '../../src/connections/grant.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { open, seal } from '../../src/crypto/seal.ts';
import { openDatabase } from '../../src/db/client.ts';
import type { Credential } from '../../src/db/generated/prisma/client.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { Secret } from '../../src/lib/secret.ts';
import { newKey } from '../support/at-rest.ts';
import { takeDatabase } from '../support/database.ts';

const keyring = parseKeyring(newKey('a'));
const connectionId = 'connector.subject';
const grant = {
  workspaceId: 'workspace',
  connectorId: 'connector',
  connectionId,
  accountId: 'account',
  clientFingerprint: 'client',
  connectionConfig: [{ name: 'instance_url', value: 'https://one.example.com' }],
};

function credentialWith(refreshToken: string | null): Credential {
  const sealFor = (field: 'accessToken' | 'refreshToken', token: string) =>
    seal(keyring, tokenOwner(connectionId, field), new Secret(token));
  return {
    connectionId,
    accessTokenSealed: sealFor('accessToken', 'access'),
    refreshTokenSealed: refreshToken === null ? null : sealFor('refreshToken', refreshToken),
  } as Credential;
}

test('42. what is to be revoked is kept with its client and its place, sealed for its own row, with a refresh token or without', async () => {
  const pglite = await takeDatabase(onTestFinished);
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, pglite });
  onTestFinished(close);
  const logs: Record<string, unknown>[] = [];
  const log = createLogger('error', { write: (line) => logs.push(JSON.parse(line) as Record<string, unknown>) });
  const dueAt = new Date(0);
  const queued = async (refreshToken: string | null, deps = { keyring, log }) => {
    await db.outboxItem.deleteMany();
    await db.$transaction((tx) => queueStoredRevocation(deps, tx, grant, credentialWith(refreshToken), dueAt));
    return db.outboxItem.findMany();
  };
  for (const refreshToken of ['refresh', null]) {
    const [item] = await queued(refreshToken);
    const { workspaceId, connectorId, accountId } = grant;
    expect(item).toMatchObject({ workspaceId, connectorId, connectionId, accountId, grantsRevokedAt: null, dueAt });
    const { id, tokensSealed } = item!;
    expect(outboxOwner(id)).toEqual({ table: 'outbox_item', id, field: 'tokens' });
    expect(open(keyring, outboxOwner(id), tokensSealed!).reveal()).toContain('access');
    const { accessToken, refreshToken: kept, ...rest } = openFromOutbox(keyring, id, tokensSealed!);
    expect([accessToken.reveal(), kept?.reveal() ?? null]).toEqual(['access', refreshToken]);
    expect(rest).toEqual({
      clientFingerprint: 'client',
      kept: [{ name: 'instance_url', value: 'https://one.example.com' }],
    });
  }

  // tokens that no key opens cannot be revoked; they hold up nothing
  expect(await queued('refresh', { keyring: parseKeyring(newKey('b')), log })).toEqual([]);
  const msg = 'the tokens of an ended grant cannot be opened to be revoked';
  expect(logs).toMatchObject([{ msg, connectionId, err: { type: 'SealError' } }]);
});
