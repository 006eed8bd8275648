import { expect, onTestFinished, test } from 'vitest';
import { createProviderFetch, type ProviderFetch } from '../../src/oauth/fetch.ts';
import { tracedFetch } from '../../src/oauth/traced-fetch.ts';
import { startTracing } from '../../src/observability/tracing.ts';
import { startCollector } from '../support/otlp-collector.ts';
import { startServer } from '../support/stage.ts';

/** What the collector is told of the calls that a test makes, once it has made them. */
async function startTraced(around: (fetch: ProviderFetch) => ProviderFetch = (fetch) => fetch) {
  const collector = await startCollector();
  const tracing = await startTracing(collector.url, () => {});
  onTestFinished(() => tracing.stop());
  const provider = createProviderFetch({ allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 1_000 });
  onTestFinished(provider.close);
  const fetch = tracedFetch(tracing, around(provider.fetch));
  const calls = async () => {
    await tracing.stop();
    return collector.spans().map(({ name, kind, attributes, status }) => {
      const told = attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]);
      return { name, kind, failed: status.code === 2, ...(Object.fromEntries(told) as Record<string, unknown>) };
    });
  };
  return { fetch, calls, text: () => collector.bodies.join('') };
}

test('a request to a provider is told with its host and its status alone, and has failed from 400 on; the provider hears of no trace', async () => {
  const seen: string[] = [];
  const { origin } = await startServer((request, response, { pathname }) => {
    seen.push(...Object.keys(request.headers));
    response.writeHead(Number(pathname.slice(1))).end('answer');
  });
  const { fetch, calls, text } = await startTraced();
  for (const status of [200, 400, 503]) {
    const answer = await fetch(`${origin}/${status}?code=canary`, { method: 'POST', body: 'canary' });
    expect(answer).toMatchObject({ status, body: 'answer' });
  }
  const call = { name: 'provider call', kind: 3, 'http.request.method': 'POST', 'server.address': '127.0.0.1' };
  expect(await calls()).toEqual([
    { ...call, failed: false, 'http.response.status_code': 200 },
    { ...call, failed: true, 'http.response.status_code': 400, 'error.type': '400' },
    { ...call, failed: true, 'http.response.status_code': 503, 'error.type': '503' },
  ]);
  expect(text()).not.toContain('canary');
  expect(seen).not.toContain('traceparent');
});

test('a request that got no answer is told with why, without what it was; whoever asked gets the error itself', async () => {
  const bug = new TypeError('canary');
  const { fetch, calls, text } = await startTraced((usual) => (url, init) => {
    if (init.method === 'DELETE') throw bug;
    return usual(url, init);
  });
  await expect(fetch('http://127.0.0.1:9/canary', { method: 'GET' })).rejects.toThrow('NETWORK_ERROR');
  await expect(fetch('canary', { method: 'GET' })).rejects.toThrow('The address is not allowed');
  await expect(fetch('http://localhost/', { method: 'DELETE' })).rejects.toBe(bug);
  const call = { name: 'provider call', kind: 3, failed: true };
  const get = { 'http.request.method': 'GET' };
  expect(await calls()).toEqual([
    { ...call, ...get, 'server.address': '127.0.0.1', 'error.type': 'NETWORK_ERROR' },
    { ...call, ...get, 'error.type': 'BLOCKED_HOST' },
    { ...call, 'http.request.method': 'DELETE', 'server.address': 'localhost', 'error.type': 'Error' },
  ]);
  expect(text()).not.toContain('canary');
});
