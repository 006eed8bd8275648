import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  backoffMs,
  connectionId,
  connectorOf,
  type CredentialFacts,
  deriveStatus,
  missingScopes,
  ownerInTheWay,
  refreshDecision,
  refreshMarginMs,
  type Status,
  type StatusFacts,
  type TokenDemand,
} from '../../src/connections/connection.ts';

const now = new Date('2026-01-01T12:00:00Z');
const later = (ms: number) => new Date(now.getTime() + ms);

describe('status', () => {
  const connector: NonNullable<StatusFacts['connector']> = {
    deletedAt: null,
    complete: true,
    plan: 'BUILDER',
    available: true,
    providerKey: 'custom',
    clientFingerprint: 'client',
    scopesFingerprint: 'scopes',
    grantsRevokedAt: null,
  };
  const connection: NonNullable<StatusFacts['connection']> = {
    clientFingerprint: 'client',
    scopesFingerprint: 'scopes',
    connectedAt: later(-1_000),
    refusedAt: null,
    grantExpiresAt: null,
    disconnectedAt: null,
  };
  const word = (status: Status) =>
    status.status === 'RECONNECT_REQUIRED'
      ? status.reason
      : status.status === 'UNAVAILABLE'
        ? status.problem.code
        : status.status;
  const statusOf = (
    connectorFacts: Partial<typeof connector> | null,
    connectionFacts: Partial<typeof connection> | null,
  ) =>
    word(
      deriveStatus(
        {
          connector: connectorFacts && { ...connector, ...connectorFacts },
          connection: connectionFacts && { ...connection, ...connectionFacts },
        },
        now,
      ),
    );

  test.each<[string, Parameters<typeof statusOf>, string]>([
    ['nothing is in the way', [{}, {}], 'CONNECTED'],
    ['there is no row', [{}, null], 'NOT_CONNECTED'],
    ['the person has disconnected', [{}, { disconnectedAt: now }], 'NOT_CONNECTED'],
    ['they disconnected after a refusal', [{}, { disconnectedAt: now, refusedAt: now }], 'NOT_CONNECTED'],
    ['there is no connector', [null, {}], 'NOT_FOUND'],
    ['its provider is switched off', [{ available: false }, {}], 'CONNECTOR_DISABLED'],
    ['it is switched off and a draft', [{ available: false, complete: false }, null], 'CONNECTOR_DISABLED'],
    ['the plan is too low and it is switched off', [{ plan: 'FREE', available: false }, {}], 'PLAN_REQUIRED'],
    ['the connector was deleted', [{ deletedAt: now }, {}], 'NOT_FOUND'],
    ['the connector is a draft', [{ complete: false }, null], 'CONNECTOR_INCOMPLETE'],
    ['the plan is FREE', [{ plan: 'FREE' }, {}], 'PLAN_REQUIRED'],
    ['the plan is STARTER', [{ plan: 'STARTER' }, {}], 'PLAN_REQUIRED'],
    ['the plan is ENTERPRISE', [{ plan: 'ENTERPRISE' }, {}], 'CONNECTED'],
    ['a deleted connector on a low plan', [{ deletedAt: now, plan: 'FREE' }, {}], 'NOT_FOUND'],
    ['a low plan, for one who must reconnect', [{ plan: 'FREE' }, { refusedAt: now }], 'PLAN_REQUIRED'],
    ['the provider refused', [{}, { refusedAt: now }], 'ACCESS_REVOKED'],
    ['all were revoked after it was made', [{ grantsRevokedAt: now }, {}], 'ACCESS_REVOKED'],
    ['all were revoked as it was made', [{ grantsRevokedAt: later(-1_000) }, {}], 'ACCESS_REVOKED'],
    ['all were revoked before it was made', [{ grantsRevokedAt: later(-1_001) }, {}], 'CONNECTED'],
    ['the client differs', [{ clientFingerprint: 'other' }, {}], 'CREDENTIALS_CHANGED'],
    ['the scopes differ', [{ scopesFingerprint: 'other' }, {}], 'SCOPES_CHANGED'],
    ['the grant ends later', [{}, { grantExpiresAt: later(1) }], 'CONNECTED'],
    ['the grant ends now', [{}, { grantExpiresAt: now }], 'GRANT_EXPIRED'],
    [
      'the client and the scopes differ',
      [{ clientFingerprint: 'other', scopesFingerprint: 'other' }, {}],
      'CREDENTIALS_CHANGED',
    ],
    ['refused, and the client differs', [{ clientFingerprint: 'other' }, { refusedAt: now }], 'ACCESS_REVOKED'],
    ['expired, and the scopes differ', [{ scopesFingerprint: 'other' }, { grantExpiresAt: now }], 'GRANT_EXPIRED'],
  ])('38. where %s', (_case, facts, expected) => {
    expect(statusOf(...facts)).toBe(expected);
  });
});

describe('refresh', () => {
  const issuedAt = now;
  const hour: CredentialFacts = {
    fingerprint: 'f',
    issuedAt,
    accessTokenExpiresAt: later(3_600_000),
    refreshable: true,
  };
  const noDemand: TokenDemand = { minValidityMs: 0, rejectedTokenFingerprint: null };
  const minute = 60_000;

  test.each<[string, Partial<CredentialFacts>, at: number, Partial<TokenDemand>, string]>([
    ['fresh', {}, 0, {}, 'serve fresh'],
    ['just outside its margin of 15 %', {}, 51 * minute - 1, {}, 'serve fresh'],
    ['within its margin', {}, 51 * minute, {}, 'serve-and-refresh within-margin'],
    ['in its last seconds', {}, 60 * minute - 5_000, {}, 'refresh-and-serve expired'],
    ['expired', {}, 61 * minute, {}, 'refresh-and-serve expired'],
    ['without expiry', { accessTokenExpiresAt: null }, 1e12, {}, 'serve no-expiry'],
    [
      'without expiry and long validity asked',
      { accessTokenExpiresAt: null },
      0,
      { minValidityMs: 1e9 },
      'serve no-expiry',
    ],
    ['not refreshable and valid', { refreshable: false }, 58 * minute, {}, 'serve not-refreshable'],
    ['not refreshable and expired', { refreshable: false }, 60 * minute, {}, 'fail expired-and-not-refreshable'],
    ['shorter than asked', {}, 30 * minute, { minValidityMs: 31 * minute }, 'refresh-and-serve too-short'],
    ['as long as asked', {}, 30 * minute, { minValidityMs: 30 * minute }, 'serve fresh'],
    ['shorter than asked, issued within the minute', {}, minute - 1, { minValidityMs: 1e9 }, 'serve just-issued'],
    ['shorter than asked, issued a minute ago', {}, minute, { minValidityMs: 1e9 }, 'refresh-and-serve too-short'],
    [
      'shorter than asked, not refreshable',
      { refreshable: false },
      minute,
      { minValidityMs: 1e9 },
      'serve not-refreshable',
    ],
    ['rejected', {}, 0, { rejectedTokenFingerprint: 'f' }, 'refresh-and-serve rejected'],
    ['another that was rejected', {}, 0, { rejectedTokenFingerprint: 'e' }, 'serve fresh'],
    [
      'rejected and not refreshable',
      { refreshable: false },
      0,
      { rejectedTokenFingerprint: 'f' },
      'verify rejected-and-not-refreshable',
    ],
    [
      'rejected, without expiry',
      { accessTokenExpiresAt: null },
      0,
      { rejectedTokenFingerprint: 'f' },
      'refresh-and-serve rejected',
    ],
    ['born expired', { accessTokenExpiresAt: now }, 0, {}, 'refresh-and-serve expired'],
    ['of ten seconds, at its ninth', { accessTokenExpiresAt: later(10_000) }, 9_000, {}, 'refresh-and-serve expired'],
    [
      'of ten seconds, before its ninth',
      { accessTokenExpiresAt: later(10_000) },
      8_999,
      {},
      'serve-and-refresh within-margin',
    ],
  ])('33. a token that is %s', (_case, facts, at, demand, expected) => {
    const { act, reason } = refreshDecision({ ...hour, ...facts }, later(at), { ...noDemand, ...demand });
    expect(`${act} ${reason}`).toBe(expected);
  });

  const anyFacts = fc.record({
    fingerprint: fc.constantFrom('f', 'g'),
    issuedAt: fc.constant(now),
    accessTokenExpiresAt: fc.option(fc.integer({ min: 1_000, max: 100 * 3_600_000 }).map(later)),
    refreshable: fc.boolean(),
  });
  const anyDemand = fc.record({
    minValidityMs: fc.integer({ min: 0, max: 86_400_000 }),
    rejectedTokenFingerprint: fc.option(fc.constantFrom('f', 'g')),
  });
  const anyAge = fc.integer({ min: 0, max: 200 * 3_600_000 });

  test('33. a token that has expired is never served, and one that was refused is not either', () => {
    fc.assert(
      fc.property(anyFacts, anyDemand, anyAge, (facts, demand, age) => {
        const { act } = refreshDecision(facts, later(age), demand);
        const hasExpired = facts.accessTokenExpiresAt !== null && facts.accessTokenExpiresAt <= later(age);
        const wasRefused = demand.rejectedTokenFingerprint === facts.fingerprint;
        if (hasExpired || wasRefused) expect(act).not.toMatch(/^serve/);
      }),
      { numRuns: 2_000 },
    );
  });

  test('33. nobody waits while less than 85 % of a token is used up, unless they ask for more', () => {
    fc.assert(
      fc.property(anyFacts, anyAge, (facts, age) => {
        const lifetimeMs = (facts.accessTokenExpiresAt?.getTime() ?? Number.POSITIVE_INFINITY) - now.getTime();
        fc.pre(age < lifetimeMs * 0.85);
        expect(refreshDecision(facts, later(age), noDemand).act).toMatch(/^serve/);
      }),
      { numRuns: 2_000 },
    );
  });

  test('33. what is served is valid for as long as was asked, but for what is new or cannot be renewed', () => {
    fc.assert(
      fc.property(anyFacts, anyDemand, anyAge, (facts, demand, age) => {
        const decision = refreshDecision(facts, later(age), demand);
        if (!decision.act.startsWith('serve') || facts.accessTokenExpiresAt === null) return;
        if (decision.reason === 'just-issued' || decision.reason === 'not-refreshable') return;
        expect(facts.accessTokenExpiresAt.getTime() - later(age).getTime()).toBeGreaterThanOrEqual(
          demand.minValidityMs,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('35. what cannot be refreshed is never sent to be refreshed', () => {
    fc.assert(
      fc.property(anyFacts, anyDemand, anyAge, (facts, demand, age) => {
        fc.pre(!facts.refreshable);
        expect(refreshDecision(facts, later(age), demand).act).not.toContain('refresh');
      }),
    );
  });

  test('T20. the margin is a quarter of an hour for long lives and 15 % for short ones, never a whole life', () => {
    expect(refreshMarginMs(3_600_001)).toBe(15 * minute);
    expect(refreshMarginMs(3_600_000)).toBe(9 * minute);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e12 }), (lifetimeMs) => {
        expect(refreshMarginMs(lifetimeMs)).toBeLessThan(lifetimeMs * 0.26);
      }),
    );
  });
});

test('35. the back-off doubles from two seconds to five minutes, with up to half of it by chance', () => {
  expect([1, 2, 3, 4, 8, 9, 30].map((failures) => backoffMs(failures, () => 1))).toEqual([
    2_000, 4_000, 8_000, 16_000, 256_000, 300_000, 300_000,
  ]);
  expect(backoffMs(1, () => 0)).toBe(1_000);
  fc.assert(
    fc.property(fc.integer({ min: -1, max: 5_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
      const waitMs = backoffMs(failures, () => chance);
      expect(waitMs).toBeGreaterThanOrEqual(1_000);
      expect(waitMs).toBeLessThanOrEqual(300_000);
    }),
  );
});

test('29. missing is what was asked for and not granted, in the order asked, letter by letter', () => {
  expect(missingScopes(['c', 'a', 'b'], ['a', 'z'], {})).toEqual(['c', 'b']);
  expect(missingScopes(['Read'], ['read'], {})).toEqual(['Read']);
  expect(missingScopes([], ['a'], {})).toEqual([]);
  const aliases = { email: 'https://scopes.example/email', constructor: 'x' };
  expect(missingScopes(['email', 'name'], ['https://scopes.example/email'], aliases)).toEqual(['name']);
  expect(missingScopes(['email'], ['email'], aliases)).toEqual([]);
  expect(missingScopes(['email'], ['name'], aliases)).toEqual(['email']);
  expect(missingScopes(['offline', 'name'], [], { offline: '' })).toEqual(['name']);
  expect(missingScopes(['toString'], ['a'], aliases)).toEqual(['toString']);
  fc.assert(
    fc.property(fc.uniqueArray(fc.string()), fc.array(fc.string()), (requested, granted) => {
      const missing = missingScopes(requested, granted, {});
      expect(missing.filter((scope) => granted.includes(scope))).toEqual([]);
      expect(requested.filter((scope) => granted.includes(scope) || missing.includes(scope))).toEqual(requested);
    }),
  );
});

test('28. the id of a connection is the same each time, another for each connector, app and user, and names its connector', () => {
  const uuid = fc.uuid();
  const user = fc.option(fc.string({ unit: 'binary', minLength: 1, maxLength: 255 }));
  const key = fc.tuple(uuid, uuid, user);
  fc.assert(
    fc.property(key, key, (one, other) => {
      const id = connectionId(...one);
      expect(id).toBe(connectionId(...one));
      expect(connectorOf(id)).toBe(one[0]);
      expect(id).toMatch(/^[A-Za-z0-9_.-]+$/);
      if (JSON.stringify(one) !== JSON.stringify(other)) expect(connectionId(...other)).not.toBe(id);
    }),
  );
  // ids are stored, so they stay what they are from release to release
  expect(connectionId('c', 'a', 'one')).toBe('c.j41P-SKbrsTs_sU_qhHxbp');
  expect(connectionId('c', 'a', null)).toBe('c.rrsEdMV2lbhUpw2K_KCk3s');
  // the account shared by an app is nobody's own, whatever somebody is called
  expect(connectionId('c', 'a', 'null')).not.toBe(connectionId('c', 'a', null));
  for (const text of ['', '.', 'c.', '.s', 'c', 'c.s.t']) expect(connectorOf(text)).toBeNull();
});

test.each<[string, Parameters<typeof ownerInTheWay>, string | null]>([
  ['there is none yet', [null, { startedBy: 'anna', takeOver: false }], null],
  [
    'it is another’s',
    [
      { ownedBy: 'ben', disconnectedAt: null },
      { startedBy: 'anna', takeOver: false },
    ],
    'ben',
  ],
  [
    'it is their own',
    [
      { ownedBy: 'anna', disconnectedAt: null },
      { startedBy: 'anna', takeOver: false },
    ],
    null,
  ],
  [
    'they take it over',
    [
      { ownedBy: 'ben', disconnectedAt: null },
      { startedBy: 'anna', takeOver: true },
    ],
    null,
  ],
  [
    'it is disconnected',
    [
      { ownedBy: 'ben', disconnectedAt: now },
      { startedBy: 'anna', takeOver: false },
    ],
    null,
  ],
])('46. who owns the account that a member would replace, where %s', (_case, facts, expected) => {
  expect(ownerInTheWay(...facts)).toBe(expected);
});
