import { randomUUID } from 'node:crypto';
import type { Keyring } from '../crypto/keyring.ts';
import { open, SealError, seal } from '../crypto/seal.ts';
import type { Credential } from '../db/generated/prisma/client.ts';
import type { Logger } from '../lib/logger.ts';
import { Secret } from '../lib/secret.ts';
import type { KeptValue } from '../oauth/authorization-server.ts';
import { type GrantTokens, keptOf, openTokens } from './grant.ts';
import * as store from './store.ts';

/** Whom the tokens in the outbox belong to when sealed. */
export const outboxOwner = (itemId: string) => ({ table: 'outbox_item', id: itemId, field: 'tokens' });

/** Hands tokens to the outbox for revocation: at `dueAt`, or (null) when the connection ends. */
export async function queueRevocation(
  deps: { keyring: Keyring },
  tx: Parameters<typeof store.insertRevocation>[0],
  grant: {
    workspaceId: string;
    connectorId: string;
    connectionId: string;
    accountId: string | null;
    clientFingerprint: string;
    /** What the provider told of the connection. */
    connectionConfig: unknown;
    /** Where it is revoked along with all others of its connector: since when. */
    grantsRevokedAt?: Date | null;
  },
  tokens: GrantTokens,
  dueAt: Date | null,
): Promise<void> {
  const id = randomUUID();
  const { workspaceId, connectorId, connectionId, accountId, grantsRevokedAt = null } = grant;
  const tokensSealed = sealForOutbox(deps.keyring, id, tokens, grant);
  const of = { workspaceId, connectorId, connectionId, accountId, grantsRevokedAt };
  await store.insertRevocation(tx, { id, ...of, tokensSealed, dueAt });
}

/** Hands the tokens of a connection to the outbox. Tokens that no key opens are only told of: they must not hold up what replaces them. */
export async function queueStoredRevocation(
  deps: { keyring: Keyring; log: Logger },
  tx: Parameters<typeof store.insertRevocation>[0],
  grant: Parameters<typeof queueRevocation>[2],
  credential: Credential,
  dueAt: Date | null,
): Promise<void> {
  try {
    await queueRevocation(deps, tx, grant, openTokens(deps.keyring, credential), dueAt);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    const { connectionId } = grant;
    deps.log.error({ err: error, connectionId }, 'the tokens of an ended grant cannot be opened to be revoked');
  }
}

/** Seals tokens for the outbox row that is to revoke them, with what says to whom and where: the connection may be another one by then. */
function sealForOutbox(
  keyring: Keyring,
  itemId: string,
  tokens: GrantTokens,
  grant: { clientFingerprint: string; connectionConfig: unknown },
): string {
  const [accessToken, refreshToken] = [tokens.accessToken.reveal(), tokens.refreshToken?.reveal() ?? null];
  const text = JSON.stringify([accessToken, refreshToken, grant.clientFingerprint, keptOf(grant)]);
  return seal(keyring, outboxOwner(itemId), new Secret(text));
}

export function openFromOutbox(
  keyring: Keyring,
  itemId: string,
  sealed: string,
): GrantTokens & { clientFingerprint: string; kept: KeptValue[] } {
  // rows of earlier versions end before what was kept
  const [accessToken, refreshToken, clientFingerprint, kept = []] = JSON.parse(
    open(keyring, outboxOwner(itemId), sealed).reveal(),
  ) as [string, string | null, string, KeptValue[]?];
  return {
    accessToken: new Secret(accessToken),
    refreshToken: refreshToken === null ? null : new Secret(refreshToken),
    clientFingerprint,
    kept,
  };
}
