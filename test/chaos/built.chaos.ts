import { expect, inject, test } from 'vitest';
import { startCollector } from '../support/otlp-collector.ts';
import { eventually } from '../support/scene.ts';
import { startFleet } from './support/processes.ts';

test('what is built serves what is loaded when it is first used: events over Redis, the console, GraphiQL, MCP, traces', async () => {
  const collector = await startCollector();
  const fleet = await startFleet(1, {
    REDIS_URL: inject('redisUrl') ?? '',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  const [service] = fleet.processes;
  if (!service) throw new Error('there is no process');
  const get = async (path: string) => {
    const response = await fetch(service.url + path, { headers: { accept: 'text/html' } });
    return { status: response.status, text: await response.text() };
  };

  await expect.poll(async () => (await get('/readyz')).text, eventually).toContain('"redis":"ok"');
  const page = await get('/console');
  expect(page.status).toBe(200);
  expect(await get(/src="(\S+console\.js)"/.exec(page.text)?.[1] ?? '/none')).toMatchObject({ status: 200 });
  expect((await get('/graphql')).text).toContain('YogaGraphiQL');
  const mcp = await fetch(`${service.url}/mcp`, { method: 'POST' });
  expect(mcp.status).toBe(401);
  expect(await mcp.json()).toMatchObject({ error: { data: { code: 'UNAUTHENTICATED' } } });

  await service.stop();
  expect(collector.spans()).not.toEqual([]);
});
