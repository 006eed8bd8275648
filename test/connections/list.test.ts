import { readFileSync } from 'node:fs';
import { expect, inject, onTestFinished, test } from 'vitest';
import { deriveStatus } from '../../src/connections/connection.ts';
import { type ConnectionQuery, listConnections } from '../../src/connections/list.ts';
import { connectorFacts } from '../../src/connections/status.ts';
import { openDatabase } from '../../src/db/client.ts';

const now = new Date('2026-01-01T12:00:00Z');
const statuses = ['NOT_CONNECTED', 'CONNECTED', 'RECONNECT_REQUIRED', 'UNAVAILABLE'] as const;
const everything: ConnectionQuery = {
  status: null,
  appId: null,
  after: null,
  before: null,
  limit: 1_000,
  descending: false,
};

const ago = new Date(now.getTime() - 1);
const ahead = new Date(now.getTime() + 1);

/** All that a connection can differ in, as far as its status goes: every combination. */
const combinations = [null, ago].flatMap((disconnectedAt) =>
  [null, ago].flatMap((refusedAt) =>
    [null, ago, now, ahead].flatMap((grantExpiresAt) =>
      ['client', 'other'].flatMap((clientFingerprint) =>
        ['scopes', 'other'].map((scopesFingerprint) => ({
          disconnectedAt,
          refusedAt,
          grantExpiresAt,
          clientFingerprint,
          scopesFingerprint,
        })),
      ),
    ),
  ),
);

/** Connectors of every kind of standing, each with a connection for every combination. */
async function setUp() {
  const snapshot = new Blob([readFileSync(inject('databaseSnapshot'))]);
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, snapshot });
  onTestFinished(close);
  const standings = {
    usable: 'BUILDER',
    off: 'BUILDER',
    draft: 'BUILDER',
    deleted: 'BUILDER',
    cheap: 'STARTER',
  } as const;
  for (const [id, plan] of Object.entries(standings)) {
    await db.workspace.create({ data: { id, name: id, plan } });
    const identity = { identityIssuer: 'issuer', identityAudience: 'audience' };
    await db.app.create({ data: { id: `app-${id}`, workspaceId: id, name: id, ...identity } });
    await db.connector.create({
      data: {
        id,
        workspaceId: id,
        providerKey: 'github',
        kind: 'APP_USER',
        name: id,
        clientId: id === 'draft' ? null : 'client',
        clientSecretSealed: 'sealed',
        clientFingerprint: 'client',
        scopesFingerprint: 'scopes',
        deletedAt: id === 'deleted' ? ago : null,
      },
    });
    await db.connection.createMany({
      data: combinations.map((facts, index) => ({
        ...facts,
        id: `${id}.${String(index).padStart(3, '0')}`,
        workspaceId: id,
        connectorId: id,
        appId: `app-${id}`,
        userId: `user-${index}`,
        connectedAt: ago,
      })),
    });
  }
  const off = { workspaceId: 'off', providerKey: 'github', kind: 'APP_USER' as const };
  await db.providerAvailability.create({ data: off });
  // of no consequence: another kind, another provider
  await db.providerAvailability.create({ data: { ...off, workspaceId: 'usable', kind: 'SHARED' } });
  await db.providerAvailability.create({ data: { ...off, workspaceId: 'usable', providerKey: 'slack' } });
  const connectors = await db.connector.findMany({
    include: { workspace: { include: { switchedOff: true } } },
    orderBy: { id: 'asc' },
  });
  const list = (query: Partial<ConnectionQuery>) =>
    listConnections({ db, clock: { now: () => now } }, connectors, { ...everything, ...query });
  return { db, connectors, list };
}

test('38. a list by status holds exactly the connections whose status that is, for every combination of facts', async () => {
  const { db, connectors, list } = await setUp();
  const rows = await db.connection.findMany({ orderBy: { id: 'asc' } });
  expect(rows).toHaveLength(5 * 64);
  const seen = new Set<string>();
  for (const status of statuses) {
    const expected = connectors.map((connector) =>
      rows
        .filter(({ connectorId }) => connectorId === connector.id)
        .filter((connection) => {
          const derived = deriveStatus({ connector: connectorFacts(connector), connection }, now);
          return derived.status === status;
        })
        .map(({ id }) => id),
    );
    for (const ids of expected) if (ids.length > 0) seen.add(status);
    expect([status, await list({ status })]).toEqual([status, expected]);
  }
  expect([...seen]).toEqual([...statuses]);
  expect((await list({})).flat()).toHaveLength(rows.length);
});

test('38. pages by status are full and follow each other without gap or repetition, forwards and backwards', async () => {
  const { connectors, list } = await setUp();
  const at = connectors.findIndex(({ id }) => id === 'usable');
  for (const status of [null, ...statuses]) {
    const whole = (await list({ status }))[at] ?? [];
    for (const descending of [false, true]) {
      const read: string[] = [];
      for (;;) {
        const edge = read.at(-1) ?? null;
        const page = (await list({ status, limit: 3, descending, [descending ? 'before' : 'after']: edge }))[at] ?? [];
        read.push(...page);
        if (page.length < 3) break;
      }
      expect(read).toEqual(descending ? whole.toReversed() : whole);
    }
  }
});

test('6. connections of a deleted app, or of another app than asked for, are not listed', async () => {
  const { db, connectors, list } = await setUp();
  const at = connectors.findIndex(({ id }) => id === 'usable');
  expect((await list({ appId: 'app-usable' }))[at]).toHaveLength(64);
  expect((await list({ appId: 'app-off' }))[at]).toEqual([]);
  expect((await list({ appId: '' })).flat()).toEqual([]);
  await db.app.update({ where: { id: 'app-usable' }, data: { deletedAt: now } });
  expect((await list({}))[at]).toEqual([]);
});
