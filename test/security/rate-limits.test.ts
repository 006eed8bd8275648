import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createRateLimiter, defaultRateLimits } from '../../src/workspaces/rate-limits.ts';
import { auditOf } from '../support/audit.ts';
import { createTestApp, createWorkspace, field, startService } from '../support/harness.ts';
import { connectAppUser } from '../support/journey.ts';
import { connectUser, eventually, readAs, setScene } from '../support/scene.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { listen } from '../support/streams.ts';

const clients = (address: string) => ({ 'x-forwarded-for': `198.51.100.9, ${address}` });

test('T12. token reads of one user are limited, the audit shows it, and other users are not held up', async () => {
  const scene = await setScene(await startService({ RATE_LIMITS: 'token-reads=5,token-reads-by-app=8' }));
  for (const user of ['one', 'two']) await connectUser(scene, user);
  const reads = [];
  for (let read = 0; read < 6; read += 1) reads.push((await readAs(scene, 'one')).__typename);
  expect(reads).toEqual([...Array(5).fill('CurrentAppUserConnection'), 'RateLimitedError']);
  const refused = await readAs(scene, 'one');
  expect([refused.code, refused.message]).toEqual(['RATE_LIMITED', expect.stringMatching(/in \d+ seconds\.$/)]);
  expect((await readAs(scene, 'two')).__typename).toBe('CurrentAppUserConnection');
  expect((await readAs(scene, 'two')).__typename).toBe('RateLimitedError'); // that was the app's ninth
});

test('T12. the straight way of token reads and the REST route answer it as well', async () => {
  const scene = await setScene(await startService({ RATE_LIMITS: 'token-reads=2' }));
  await connectUser(scene, 'one');
  const { http } = await listen(scene.service);
  const headers = { 'content-type': 'application/json', ...(await scene.app.backend('one')) };
  // aliases repeat a read, and each of them counts
  const query = `{ ${['a', 'b', 'c'].map((alias) => `${alias}: currentAppUserConnection(connectorId: "${scene.connector.id}") { __typename ... on UserError { code } }`).join(' ')} }`;
  const response = await fetch(http, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const { data } = (await response.json()) as { data: Record<string, { __typename: string }> };
  expect(
    Object.values(data)
      .map(({ __typename }) => __typename)
      .sort(),
  ).toEqual(['CurrentAppUserConnection', 'CurrentAppUserConnection', 'RateLimitedError']);
  const path = `/api/apps/${scene.app.id}/app-user-auth/connectors/${scene.connector.id}/token`;
  const rest = await fetch(new URL(path, http), { headers });
  expect([rest.status, await rest.json()]).toEqual([429, expect.objectContaining({ code: 'RATE_LIMITED' })]);
  expect(Number(rest.headers.get('retry-after'))).toBeGreaterThan(0);
  // token reads are audited in batches, off their path
  await expect
    .poll(async () => {
      const { rows } = await auditOf(scene.service, scene.workspace);
      return rows.filter(({ act, outcome }) => act === 'TOKEN_READ' && outcome === 'RATE_LIMITED').length;
    }, eventually)
    .toBe(2);
});

test('T12. a caller who calls every token refused does not make the service hammer the provider', async () => {
  const scene = await setScene(await startService({ RATE_LIMITS: 'rejected-tokens=1' }));
  await connectUser(scene, 'one');
  const answers = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const before = await readAs(scene, 'one');
    scene.service.clock.advance(61_000);
    const rejected = { rejectedTokenFingerprint: before.accessTokenFingerprint };
    answers.push((await readAs(scene, 'one', rejected)).__typename);
  }
  expect(answers).toEqual(['CurrentAppUserConnection', 'RateLimitedError', 'RateLimitedError']);
});

test('T24. one person begins so many flows and no more; another is not held up', async () => {
  const scene = await setScene(await startService());
  const begin = async (user: string) =>
    field<{ message?: string }>(
      await connectAppUser(scene.service, await scene.app.user(user), { connectorId: scene.connector.id }),
      'connectAppUser',
    );
  for (let flow = 0; flow < 100; flow += 1) expect((await begin('one')).__typename).toBe('ConnectAppUserPayload');
  const refused = await begin('one');
  expect(refused.__typename).toBe('RateLimitedError');
  expect(refused.message).toMatch(/in (5[5-9]\d|600) seconds\.$/); // until the first of them has ended
  expect((await begin('two')).__typename).toBe('ConnectAppUserPayload');
  scene.service.clock.advance(10 * 60_000);
  expect((await begin('one')).__typename).toBe('ConnectAppUserPayload');
});

test('T24. thirty starts at once by one person are capped before they reach the database', async () => {
  const scene = await setScene(await startService({ RATE_LIMITS: 'connects=5' }));
  const headers = await scene.app.user('one');
  const input = { connectorId: scene.connector.id };
  const started = await Promise.all(
    Array.from({ length: 30 }, async () =>
      field(await connectAppUser(scene.service, headers, input), 'connectAppUser'),
    ),
  );
  expect(started.filter(({ __typename }) => __typename === 'ConnectAppUserPayload')).toHaveLength(5);
  expect(started.filter(({ __typename }) => __typename === 'RateLimitedError')).toHaveLength(25);
});

test('T24. browsers of one address begin so many flows; which address it is, the proxy before us tells', async () => {
  const scene = await setScene(await startService({ RATE_LIMITS: 'connects-by-address=2', TRUST_PROXY: '1' }));
  const { http } = await listen(scene.service);
  const begin = async (user: string, address: string) => {
    const headers = { 'content-type': 'application/json', ...(await scene.app.user(user)), ...clients(address) };
    const query = `mutation { connectAppUser(input: { connectorId: "${scene.connector.id}" }) { __typename } }`;
    const response = await fetch(http, { method: 'POST', headers, body: JSON.stringify({ query }) });
    return ((await response.json()) as { data: { connectAppUser: { __typename: string } } }).data.connectAppUser
      .__typename;
  };
  const answers = [];
  for (const user of ['one', 'two', 'three']) answers.push(await begin(user, '203.0.113.1'));
  answers.push(await begin('three', '203.0.113.2'));
  const payload = 'ConnectAppUserPayload';
  expect(answers).toEqual([payload, payload, 'RateLimitedError', payload]);
});

test('T24. callbacks that belong to no flow are limited by address, with a page that says for how long', async () => {
  const service = await startService({ RATE_LIMITS: 'callbacks=2', TRUST_PROXY: '1' });
  const { http } = await listen(service);
  const call = (address: string) =>
    fetch(new URL('/api/external-auth/callback?state=nobody&code=x', http), { headers: clients(address) });
  const statuses = [];
  for (let turn = 0; turn < 4; turn += 1) statuses.push((await call('203.0.113.1')).status);
  const refused = await call('203.0.113.1');
  statuses.push((await call('203.0.113.2')).status);
  expect(statuses).toEqual([400, 400, 429, 429, 400]);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.text()).toContain('RATE_LIMITED');
});

test('T24. an address that shows wrong keys is refused unheard; keys that were good before go on working', async () => {
  const service = await startService({ RATE_LIMITS: 'key-failures=2' });
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const { http, ws } = await listen(service);
  const ask = async (authorization: string) => {
    const headers = { 'content-type': 'application/json', authorization };
    const body = JSON.stringify({
      query: 'mutation { createWorkspace(input: { name: "x" }) { __typename ... on UserError { code } } }',
    });
    const response = await fetch(http, { method: 'POST', headers, body });
    return ((await response.json()) as { data: { createWorkspace: { code: string } } }).data.createWorkspace.code;
  };
  const good = `Bearer ${workspace.ownerKey}`;
  expect(await ask(good)).toBe('FORBIDDEN'); // known, and not for them
  const wrong = ['apk_wrong', 'wsk_wrong', 'operator-key-of-nobody', 'wsk_again'];
  const answers = [];
  for (const key of wrong) answers.push(await ask(`Bearer ${key}`));
  expect(answers).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'RATE_LIMITED']);
  expect(await ask(good)).toBe('FORBIDDEN');
  const rest = await fetch(new URL(`/api/apps/${app.id}/external-auth/tokens/google`, http), {
    headers: { authorization: 'Bearer apk_other' },
  });
  expect([rest.status, rest.headers.has('retry-after')]).toEqual([429, true]);
  const socket = await openRawSocket(ws);
  socket.say({ type: 'connection_init', payload: { authorization: 'Bearer wsk_another' } });
  expect((await socket.closed).code).toBe(1013); // come back later, and not: sign in again
});

test.skipIf(!inject('redisUrl'))(
  'T24. instances count together in Redis, and each by itself while Redis is gone',
  async () => {
    const client = new Redis(inject('redisUrl') ?? '', { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    onTestFinished(() => client.disconnect());
    await new Promise((resolve) => client.once('ready', resolve));
    const limits = { ...defaultRateLimits, connects: 2 };
    const redis = { client, prefix: `test-${crypto.randomUUID()}` };
    const [first, second] = [createRateLimiter(limits, redis), createRateLimiter(limits, redis)];
    await first.take('connects', 'one');
    await second.take('connects', 'one');
    await expect(first.take('connects', 'one')).rejects.toThrow('Too many requests');
    expect(second.refusedFor('connects', 'one')).toBe(0);
    client.disconnect();
    await first.take('connects', 'two');
    await first.take('connects', 'two');
    await expect(first.take('connects', 'two')).rejects.toThrow('Too many requests');
    await second.take('connects', 'two');
  },
);
