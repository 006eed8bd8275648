import { expect, test } from 'vitest';
import {
  clientOf,
  grantEnd,
  keptOf,
  openToken,
  openTokens,
  sealGrant,
  tokenOwner,
} from '../../src/connections/grant.ts';
import { clientSecretOwner } from '../../src/connectors/manage.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { open, seal } from '../../src/crypto/seal.ts';
import { Secret, tokenFingerprint } from '../../src/lib/secret.ts';
import type { TokenGrant } from '../../src/oauth/authorization-server.ts';
import { newKey } from '../support/at-rest.ts';

const keyring = parseKeyring(newKey('a'));
const receivedAt = new Date('2026-01-01T12:00:00Z');
const grant: TokenGrant = {
  accessToken: new Secret('the-access-token'),
  refreshToken: new Secret('the-refresh-token'),
  tokenType: 'Bearer',
  expiresInSeconds: 3_600,
  scopes: null,
  account: null,
  kept: [],
};
const endsAt = new Date('2026-01-01T13:00:00Z');
const sealed = (changes: Partial<TokenGrant> = {}, kept: string | null = null) =>
  sealGrant(keyring, 'connection', { ...grant, ...changes }, receivedAt, kept);

test('30. each token of a grant is sealed for its connection and its own field, and opens nowhere else', () => {
  const { accessTokenSealed, refreshTokenSealed } = sealed();
  const tokens = openTokens(keyring, { connectionId: 'connection', accessTokenSealed, refreshTokenSealed });
  expect([tokens.accessToken.reveal(), tokens.refreshToken?.reveal()]).toEqual([
    'the-access-token',
    'the-refresh-token',
  ]);
  expect(tokenOwner('connection', 'accessToken')).toEqual({
    table: 'credential',
    id: 'connection',
    field: 'accessToken',
  });
  for (const [id, field, text] of [
    ['another', 'accessToken', accessTokenSealed],
    ['connection', 'refreshToken', accessTokenSealed],
    ['connection', 'accessToken', refreshTokenSealed ?? ''],
  ] as const)
    expect(() => openToken(keyring, id, field, text)).toThrow('does not open');
});

test('34. a refresh that answers no refresh token keeps the old one, and one that answers a new one replaces it', () => {
  expect(sealed({ refreshToken: null }, 'old').refreshTokenSealed).toBe('old');
  expect(sealed({ refreshToken: null }).refreshTokenSealed).toBeNull();
  const replaced = sealed({}, 'old').refreshTokenSealed ?? '';
  expect(open(keyring, tokenOwner('connection', 'refreshToken'), replaced).reveal()).toBe('the-refresh-token');
  const { accessTokenSealed } = sealed();
  expect(
    openTokens(keyring, { connectionId: 'connection', accessTokenSealed, refreshTokenSealed: null }).refreshToken,
  ).toBeNull();
});

test('33. a token ends as many seconds after it was received as the provider says, and never where it does not say', () => {
  expect(sealed()).toMatchObject({
    tokenType: 'Bearer',
    issuedAt: receivedAt,
    accessTokenExpiresAt: endsAt,
    fingerprint: tokenFingerprint('the-access-token'),
  });
  expect(sealed({ expiresInSeconds: 0 }).accessTokenExpiresAt).toEqual(receivedAt);
  expect(sealed({ expiresInSeconds: null }).accessTokenExpiresAt).toBeNull();
});

test('38. a grant ends with its access token where nothing can refresh it after that', () => {
  const renewal = {
    url: 'https://provider.example/renew',
    method: 'GET',
    grantType: 'renew',
    tokenParameter: 'access_token',
    sendsClient: false,
  } as const;
  const [withRefresh, without] = [sealed(), sealed({ refreshToken: null })];
  expect(grantEnd(withRefresh, { refreshes: true, renewal: null })).toBeNull();
  expect(grantEnd(without, { refreshes: true, renewal: null })).toEqual(endsAt);
  expect(grantEnd(withRefresh, { refreshes: false, renewal: null })).toEqual(endsAt);
  // what renews is the access token itself, while it lives
  expect(grantEnd(withRefresh, { refreshes: true, renewal })).toEqual(endsAt);
  expect(
    grantEnd(sealed({ refreshToken: null, expiresInSeconds: null }), { refreshes: true, renewal: null }),
  ).toBeNull();
});

test('30. a connector’s own client opens with the connector’s secret alone', async () => {
  const connector = {
    id: 'connector',
    providerKey: 'google',
    clientId: 'client',
    clientSecretSealed: seal(keyring, clientSecretOwner('connector'), new Secret('the-client-secret')),
    operatorClientId: null,
    clientFingerprint: 'fingerprint',
  };
  const deps = { db: null as never, keyring };
  const client = await clientOf(deps, connector);
  expect([client?.clientId, client?.clientSecret?.reveal()]).toEqual(['client', 'the-client-secret']);
  expect(await clientOf(deps, { ...connector, clientId: null, clientSecretSealed: null })).toEqual({
    clientId: '',
    clientSecret: null,
  });
  await expect(clientOf(deps, { ...connector, id: 'another' })).rejects.toThrow('does not open');
});

test('30. what the provider told of a connection is kept with it', () => {
  const kept = [{ name: 'instance_url', value: 'https://eu.provider.example' }];
  expect(keptOf({ connectionConfig: kept })).toEqual(kept);
});
