import { expect, test } from 'vitest';
import { startService } from '../support/harness.ts';
import { type OtlpSpan, startCollector } from '../support/otlp-collector.ts';
import { connectUser, eventually, expiredMs, setScene, tokenOf } from '../support/scene.ts';
import { listen, openWebSocket } from '../support/streams.ts';

function attributesOf({ attributes }: OtlpSpan): Record<string, string | number | undefined> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callerSpan = '00f067aa0ba902b7';
const read = `query Hidden($id: ID!) { hidden: currentAppUserConnection(connectorId: $id) { __typename ... on CurrentAppUserConnection { accessToken } } }`;

test.each([
  ['the straight way', '/graphql'],
  ['the usual way', '/graphql?canary=query'],
])(
  'a traced read, %s, is a tree from the request to the provider, within the trace of the caller; nothing secret is in it',
  async (_way, path) => {
    const collector = await startCollector();
    const scene = await setScene(await startService({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }));
    const { service, app, connector } = scene;
    await connectUser(scene, 'canary-user');
    const urls = await listen(service);
    const before = await tokenOf(scene, 'canary-user');
    service.clock.advance(expiredMs);
    const headers = await app.backend('canary-user');
    const answer = await fetch(new URL(path, urls.http), {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-${callerSpan}-01`, ...headers },
      body: JSON.stringify({ query: read, variables: { id: connector.id } }),
    });
    const { data } = (await answer.json()) as { data: { hidden: { accessToken: string } } };
    const after = data.hidden.accessToken;
    expect(after).not.toBe(before);
    await (await fetch(new URL('/api/external-auth/callback?code=canary&state=canary', urls.http))).text();
    const stream = openWebSocket(urls.ws, await app.user('canary-user'), connector.id);
    await stream.next();
    await expect.poll(() => service.logs.filter((line) => line.includes(traceId)).length, eventually).toBe(1);
    await service.app.stop(); // what a SIGTERM does: whatever has not been sent is sent

    const spans = collector.spans();
    const traced = spans.filter((span) => span.traceId === traceId);
    const childOf = (parent: string) => traced.filter(({ parentSpanId }) => parentSpanId === parent);
    const [request, ...others] = childOf(callerSpan);
    expect(others).toEqual([]);
    expect([request!.name, request!.kind, attributesOf(request!)]).toEqual([
      'request',
      2,
      {
        'http.request.method': 'POST',
        'http.route': 'graphql',
        'http.response.status_code': 200,
        'connectors.operation': 'currentAppUserConnection',
        'connectors.caller': 'app-key',
        'connectors.outcome': 'OK',
      },
    ]);
    const [tokenRead] = childOf(request!.spanId);
    expect([tokenRead!.name, attributesOf(tokenRead!)]).toEqual([
      'token read',
      { 'connectors.provider': 'custom', 'connectors.outcome': 'OK' },
    ]);
    const [refresh] = childOf(tokenRead!.spanId);
    expect([refresh!.name, attributesOf(refresh!)]).toEqual([
      'token refresh',
      { 'connectors.provider': 'custom', 'connectors.verdict': 'refreshed', 'connectors.outcome': 'moved' },
    ]);
    const calls = childOf(refresh!.spanId);
    expect(calls.map(({ name, kind }) => [name, kind])).toContainEqual(['provider call', 3]);
    expect(attributesOf(calls.at(-1)!)).toEqual({
      'http.request.method': 'POST',
      'server.address': new URL(scene.provider.issuer).hostname,
      'http.response.status_code': 200,
    });
    expect(spans.filter(({ name }) => name === 'operation').map(attributesOf)).toContainEqual({
      'connectors.operation': 'connectionStatus',
      'connectors.caller': 'app-user',
      'connectors.outcome': 'OK',
    });
    // a request without a caller's trace begins one of its own
    const own = spans.filter(({ name, traceId: id }) => name === 'request' && id !== traceId);
    expect(own.length).toBeGreaterThan(0);
    expect(own.map(({ parentSpanId }) => parentSpanId ?? '')).toEqual(own.map(() => ''));

    const text = collector.bodies.join('');
    const tokens = [before, after, app.key, headers['on-behalf-of']!, scene.connector.clientSecret];
    for (const secret of ['Hidden', 'hidden', 'canary', 'code=', 'state=', ...tokens])
      expect(text).not.toContain(secret);
  },
);

test('a provider that refuses shows as the verdict and as a call that failed', async () => {
  const collector = await startCollector();
  const scene = await setScene(await startService({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }));
  await connectUser(scene, 'one');
  scene.service.clock.advance(expiredMs);
  await scene.provider.stop();
  await expect(tokenOf(scene, 'one')).rejects.toThrow('PROVIDER_UNAVAILABLE');
  await scene.service.app.stop();
  const of = (name: string) => collector.spans().findLast((span) => span.name === name)!;
  expect(attributesOf(of('token refresh'))).toMatchObject({
    'connectors.verdict': 'retry',
    'connectors.outcome': 'unavailable',
  });
  expect(attributesOf(of('token read'))).toMatchObject({ 'connectors.outcome': 'PROVIDER_UNAVAILABLE' });
  expect([of('provider call').status.code, attributesOf(of('provider call'))]).toEqual([
    2,
    expect.objectContaining({ 'error.type': 'NETWORK_ERROR' }),
  ]);
});

test('a collector that takes nothing is named in the log, and keeps nobody waiting', async () => {
  const collector = await startCollector(400);
  const scene = await setScene(await startService({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }));
  await connectUser(scene, 'one');
  expect(await tokenOf(scene, 'one')).toBeTypeOf('string');
  await scene.service.app.stop();
  expect(scene.service.logs.join('')).toContain('the collector has not taken traces');
});
