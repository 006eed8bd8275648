import { clientSecretOwner } from '../connectors/manage.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { open, seal } from '../crypto/seal.ts';
import { Secret, tokenFingerprint } from '../lib/secret.ts';
import type { OAuthClient, TokenGrant } from '../oauth/authorization-server.ts';
import type { NewTokens } from './store.ts';

type TokenField = 'accessToken' | 'refreshToken';

const tokenOwner = (connectionId: string, field: TokenField) => ({ table: 'credential', id: connectionId, field });
const outboxOwner = (itemId: string) => ({ table: 'outbox_item', id: itemId, field: 'tokens' });

/** The tokens of a grant. */
export interface GrantTokens {
  accessToken: Secret;
  refreshToken: Secret | null;
}

/** The OAuth client of a connector, its secret opened. */
export function clientOf(
  keyring: Keyring,
  connector: { id: string; clientId: string | null; clientSecretSealed: string | null },
): OAuthClient {
  const { clientSecretSealed } = connector;
  return {
    clientId: connector.clientId ?? '',
    clientSecret:
      clientSecretSealed === null ? null : open(keyring, clientSecretOwner(connector.id), clientSecretSealed),
  };
}

/** Seals what a provider answered for its connection. A refresh that answers no refresh token keeps the old one. */
export function sealGrant(
  keyring: Keyring,
  connectionId: string,
  grant: TokenGrant,
  receivedAt: Date,
  keptRefreshTokenSealed: string | null,
): NewTokens {
  const { expiresInSeconds } = grant;
  return {
    accessTokenSealed: seal(keyring, tokenOwner(connectionId, 'accessToken'), grant.accessToken),
    refreshTokenSealed: grant.refreshToken
      ? seal(keyring, tokenOwner(connectionId, 'refreshToken'), grant.refreshToken)
      : keptRefreshTokenSealed,
    tokenType: grant.tokenType,
    issuedAt: receivedAt,
    accessTokenExpiresAt: expiresInSeconds === null ? null : new Date(receivedAt.getTime() + expiresInSeconds * 1000),
    fingerprint: tokenFingerprint(grant.accessToken.reveal()),
  };
}

/** When a grant ends by itself: with its access token, where nothing can refresh it. */
export function grantEnd(tokens: NewTokens, refreshes: boolean): Date | null {
  return tokens.refreshTokenSealed !== null && refreshes ? null : tokens.accessTokenExpiresAt;
}

export function openToken(keyring: Keyring, connectionId: string, field: TokenField, sealed: string): Secret {
  return open(keyring, tokenOwner(connectionId, field), sealed);
}

export function openTokens(
  keyring: Keyring,
  credential: { connectionId: string; accessTokenSealed: string; refreshTokenSealed: string | null },
): GrantTokens {
  const { connectionId, accessTokenSealed, refreshTokenSealed } = credential;
  return {
    accessToken: openToken(keyring, connectionId, 'accessToken', accessTokenSealed),
    refreshToken:
      refreshTokenSealed === null ? null : openToken(keyring, connectionId, 'refreshToken', refreshTokenSealed),
  };
}

/** Seals tokens for the outbox row that is to revoke them, with the fingerprint of the client that they were given to. */
export function sealForOutbox(
  keyring: Keyring,
  itemId: string,
  tokens: GrantTokens,
  clientFingerprint: string,
): string {
  const text = JSON.stringify([tokens.accessToken.reveal(), tokens.refreshToken?.reveal() ?? null, clientFingerprint]);
  return seal(keyring, outboxOwner(itemId), new Secret(text));
}

export function openFromOutbox(
  keyring: Keyring,
  itemId: string,
  sealed: string,
): GrantTokens & { clientFingerprint: string } {
  const [accessToken, refreshToken, clientFingerprint] = JSON.parse(
    open(keyring, outboxOwner(itemId), sealed).reveal(),
  ) as [string, string | null, string];
  return {
    accessToken: new Secret(accessToken),
    refreshToken: refreshToken === null ? null : new Secret(refreshToken),
    clientFingerprint,
  };
}
