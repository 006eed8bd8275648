import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Family, parseExposition } from '../support/exposition.ts';
import { createTestApp, createWorkspace, type Service, startService } from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import { connectUser, deleteConnector, eventually, expiredMs, readAs, setScene } from '../support/scene.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { listen, openSse, openWebSocket } from '../support/streams.ts';
import { answerTokenRequests, deferred, holdTokenRequest } from '../support/token-endpoint.ts';

async function scrape(service: Service): Promise<Map<string, Family>> {
  const response = await service.app.fetch(new Request(`${service.config.publicUrl}/metrics`));
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseExposition(await response.text());
}

/** The samples of a metric, each by its labels' values. */
function samplesOf(families: Map<string, Family>, name: string): Record<string, number> {
  const base = name.replace(/_(count|sum|bucket)$/, '');
  const samples = (families.get(name) ?? families.get(base))?.samples.filter((sample) => sample.name === name) ?? [];
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

/** The metrics that a dashboard's or a rule's expressions name, as their families are called. */
function metricsIn(text: string): string[] {
  const names = [...text.matchAll(/\b(?:connectors|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);
  return [...new Set(names.map((name) => name.replace(/_bucket$/, '')))];
}

test('every metric that is documented, charted or alerted on is served, and no other of the project', async () => {
  const documented = readFileSync(new URL('../../docs/observability.md', import.meta.url), 'utf8');
  const families = await scrape(await startService());
  const served = [...families.keys()].filter((name) => name.startsWith('connectors_'));
  const table = [...documented.matchAll(/^\| `(connectors_[a-z_]+)`/gm)].map(([, name]) => name);
  expect(new Set(served)).toEqual(new Set(table));
  expect([...families.keys()]).toEqual(
    expect.arrayContaining(['process_cpu_seconds_total', 'nodejs_eventloop_lag_seconds']),
  );
  for (const file of ['prometheus/alerts.yml', 'grafana/app-user-connectors.json']) {
    const named = metricsIn(readFileSync(new URL(`../../ops/${file}`, import.meta.url), 'utf8'));
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !families.has(name))).toEqual([]);
  }
});

test('an operation that is refused before it is validated is counted alike over HTTP and over a socket', async () => {
  const service = await startService();
  const app = await createTestApp(service, await createWorkspace(service));
  const user = await app.user('one');
  const urls = await listen(service);
  const socket = await openRawSocket(urls.ws);
  socket.say({ type: 'connection_init', payload: user });
  await socket.hear('connection_ack');
  const counted = async () => samplesOf(await scrape(service), 'connectors_graphql_operations_total');
  const tooLarge = `{ ${Array.from({ length: 200 }, (_, index) => `a${index}: __typename`).join(' ')} }`;
  for (const [query, outcome] of [
    ['{ canary', 'GRAPHQL_PARSE_FAILED'],
    [tooLarge, 'VALIDATION'],
  ] as const) {
    const headers = { 'content-type': 'application/json', ...user };
    await fetch(urls.http, { method: 'POST', headers, body: JSON.stringify({ query }) });
    expect(await counted()).toMatchObject({ [`other ${outcome}`]: 1 });
    socket.say({ id: outcome, type: 'subscribe', payload: { query } });
    await socket.hear('error');
    expect(await counted()).toMatchObject({ [`other ${outcome}`]: 2 });
  }
});

test('requests, operations, reads, refreshes, sockets and the outbox are counted; no label holds what callers make up', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector } = scene;
  await connectUser(scene, 'one');
  const urls = await listen(service);
  const before = await scrape(service);
  const growth = async (name: string) => {
    const [then, now] = [samplesOf(before, name), samplesOf(await scrape(service), name)];
    const grown = Object.entries(now).map(([labels, value]) => [labels, value - (then[labels] ?? 0)] as const);
    return Object.fromEntries(grown.filter(([, by]) => by !== 0));
  };
  const post = async (query: string, user = 'one') => {
    const headers = { 'content-type': 'application/json', ...(await app.backend(user)) };
    const body = JSON.stringify({ query, variables: { id: connector.id } });
    return (await fetch(urls.http, { method: 'POST', headers, body })).text();
  };
  const read = 'query Canary($id: ID!) { canary: currentAppUserConnection(connectorId: $id) { __typename } }';
  await post(read);
  await post(read, 'stranger');
  await fetch(new URL(`/api/apps/${app.id}/app-user-auth/connectors/${connector.id}/token`, urls.http), {
    headers: await app.backend('one'),
  });
  await post('{ canary');
  await post('{ canary }');
  await post('{ viewer { __typename } availableConnectors { id } }');
  await post('{ ...F } fragment F on Query { providers(search: "canary") { key } }');
  await post('mutation { disconnectAppUser(input: { connectorId: "canary" }) { __typename } }');
  await fetch(new URL('/canary', urls.http));

  expect(await growth('connectors_graphql_operations_total')).toEqual({
    'currentAppUserConnection OK': 1,
    'currentAppUserConnection NOT_CONNECTED': 1,
    'other GRAPHQL_PARSE_FAILED': 1,
    'other GRAPHQL_VALIDATION_FAILED': 1,
    'other OK': 1,
    'providers OK': 1,
    'disconnectAppUser NOT_FOUND': 1,
  });
  expect(await growth('connectors_graphql_operation_duration_seconds_count')).toMatchObject({ other: 3 });
  await expect
    .poll(() => growth('connectors_http_requests_total'), eventually)
    .toEqual({
      'graphql 200': 7,
      'base44 200': 1,
      'other 404': 1,
    });
  expect(await growth('connectors_token_reads_total')).toEqual({ OK: 2, NOT_CONNECTED: 1 });

  service.clock.advance(expiredMs);
  await readAs(scene, 'one');
  const { stop } = answerTokenRequests(scene.provider, (ctx) => {
    ctx.status = 503;
    ctx.body = 'canary';
  });
  service.clock.advance(expiredMs);
  await readAs(scene, 'one');
  stop();
  expect(await growth('connectors_refreshes_total')).toEqual({ 'custom refreshed': 1, 'custom retry': 1 });

  const user = await app.user('one');
  const [socket, sse] = [openWebSocket(urls.ws, user, connector.id), openSse(urls.http, user, connector.id)];
  await Promise.all([socket.next(), sse.next()]);
  expect(await growth('connectors_open_subscriptions')).toEqual({ '': 2 });
  expect(await growth('connectors_open_sockets')).toEqual({ '': 1 });
  await Promise.all([socket.stop(), sse.stop()]);
  await expect.poll(() => growth('connectors_open_subscriptions'), eventually).toEqual({});

  const [asked, answered] = [deferred(), deferred()];
  scene.provider.around(async (ctx, next) => {
    if (ctx.path === '/token/revocation') {
      asked.resolve();
      await answered.promise;
    }
    await next();
  });
  await deleteConnector(scene);
  await asked.promise;
  service.clock.advance(60_000);
  expect(await growth('connectors_outbox_items')).toEqual({ '': 1 });
  expect((await growth('connectors_outbox_oldest_age_seconds'))['']).toBeGreaterThanOrEqual(60);
  answered.resolve();
  await expect.poll(() => growth('connectors_outbox_items'), eventually).toEqual({});

  const response = await service.app.fetch(new Request(`${service.config.publicUrl}/metrics`));
  const text = await response.text();
  for (const hidden of ['canary', 'Canary', 'stranger', app.id, connector.id, app.key, scene.workspace.id])
    expect(text).not.toContain(hidden);
});

describe.skipIf(!servicesAreThere)('on PostgreSQL', () => {
  test('the pool is told of, and who waits for the refresh of another instance', async () => {
    const [one, two] = (await startInstances(2)) as [Service, Service];
    const scene = await setScene(one);
    await connectUser(scene, 'one');
    one.clock.advance(expiredMs);
    const held = holdTokenRequest(scene.provider, 'request');
    const first = readAs(scene, 'one');
    await held.reached;
    const second = readAs({ ...scene, service: two }, 'one');
    const waits = async () => samplesOf(await scrape(two), 'connectors_lease_waits_total')[''];
    await expect.poll(waits, eventually).toBe(1);
    held.release();
    expect((await second).accessToken).toBe((await first).accessToken);
    const families = await scrape(one);
    expect(samplesOf(families, 'connectors_lease_waits_total')).toEqual({ '': 0 });
    expect(samplesOf(families, 'connectors_database_pool_connections')['']).toBeGreaterThan(0);
    expect(samplesOf(families, 'connectors_database_pool_waiting_requests')).toEqual({ '': 0 });
  });
});
