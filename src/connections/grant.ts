import { clientSecretOwner } from '../connectors/manage.ts';
import { openOperatorClient } from '../connectors/operator-client.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { open, seal } from '../crypto/seal.ts';
import type { Db } from '../db/client.ts';
import type { Connector, Prisma } from '../db/generated/prisma/client.ts';
import { type Secret, tokenFingerprint } from '../lib/secret.ts';
import type { AuthorizationServer, KeptValue, OAuthClient, TokenGrant } from '../oauth/authorization-server.ts';
import type { NewTokens } from './store.ts';

type TokenField = 'accessToken' | 'refreshToken';

/** Whom the tokens of a connection belong to when sealed. */
export const tokenOwner = (connectionId: string, field: TokenField) => ({
  table: 'credential',
  id: connectionId,
  field,
});

/** The tokens of a grant. */
export interface GrantTokens {
  accessToken: Secret;
  refreshToken: Secret | null;
}

/**
 * The OAuth client that a connector uses, its secret opened; null where that is the operator's, and has changed since the connector
 * was read.
 */
export async function clientOf(
  { db, keyring }: { db: Db; keyring: Keyring },
  connector: Pick<
    Connector,
    'id' | 'providerKey' | 'clientId' | 'clientSecretSealed' | 'operatorClientId' | 'clientFingerprint'
  >,
): Promise<OAuthClient | null> {
  if (connector.operatorClientId !== null) return openOperatorClient({ db, keyring }, connector);
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

/** When a grant ends by itself: with its access token, where nothing can refresh it once that has ended. */
export function grantEnd(tokens: NewTokens, server: Pick<AuthorizationServer, 'refreshes' | 'renewal'>): Date | null {
  const outlives = tokens.refreshTokenSealed !== null && server.refreshes && !server.renewal;
  return outlives ? null : tokens.accessTokenExpiresAt;
}

/** What the provider told of a connection. */
export function keptOf(connection: { connectionConfig: unknown }): KeptValue[] {
  return connection.connectionConfig as KeptValue[];
}

/** The same where a refresh tells some of it again: an account may have moved since, such as to another instance_url of Salesforce. */
export function keptAnew(connection: { connectionConfig: unknown }, told: readonly KeptValue[]): Prisma.InputJsonArray {
  const names = new Set(told.map(({ name }) => name));
  const kept = [...keptOf(connection).filter(({ name }) => !names.has(name)), ...told];
  return kept as unknown as Prisma.InputJsonArray;
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
