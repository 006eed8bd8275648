import { describe, expect, inject, test, vi } from 'vitest';
import type { Service } from '../support/harness.ts';
import { connect, returnOf } from '../support/journey.ts';
import { connectUser } from '../support/scene.ts';
import { editConnector, setStage } from '../support/stage.ts';
import { openSse, openWebSocket } from '../support/streams.ts';
import { nginxIsMissing, startNginx } from './support/nginx.ts';
import { startReads } from './support/load.ts';
import { startFleet } from './support/processes.ts';
import { report, rounds, tally, useServices } from './support/rounds.ts';

useServices();

const patience = { timeout: 60_000, interval: 50 };
const scopes = ['openid', 'email', 'calendar.read'];
type Process = Awaited<ReturnType<typeof startFleet>>['processes'][0];

/** Two instances behind nginx, and a stage that is reached through it, under the names of ops/nginx.conf. */
async function setScene() {
  const fleet = await startFleet(2, {
    PUBLIC_URL: 'https://connect.example.com',
    REDIS_URL: inject('redisUrl') ?? '',
    TRUST_PROXY: '1',
    LOG_LEVEL: 'info',
  });
  const instances = fleet.processes as [Process, Process];
  const nginx = await startNginx([instances[0].url, instances[1].url]);
  const behind = (host: string): Service => instances[0].at(`http://127.0.0.1:${nginx.port}`, host);
  const service = behind('connect.example.com');
  const stage = await setStage({ service, scopes });
  return { fleet, instances, nginx, stage, onApp: behind('app.example.com') };
}

describe.skipIf(nginxIsMissing())('behind nginx', () => {
  test('the app’s own domain leads callbacks to the service, with the cookie that binds the flow; no code is logged', async () => {
    const { nginx, stage, onApp } = await setScene();
    const { started, response } = await connect(onApp, await stage.app.browser('one'), stage.connector.id);
    expect(started.binding).toBe('COOKIE');
    expect(new URL(started.redirectUrl).searchParams.get('redirect_uri')).toContain('https://app.example.com/api/');
    expect(returnOf(response).params).toMatchObject({ connection_status: 'connected' });
    expect(nginx.accessLog()).toContain('GET /api/external-auth/callback');
    expect(nginx.accessLog()).not.toContain('code=');
    // the rest of the domain is the app's, and metrics are nobody's
    const own = await onApp.app.fetch(new Request('https://app.example.com/healthz'));
    expect(own.status).toBe(404);
    const metrics = await stage.service.app.fetch(new Request('https://connect.example.com/metrics'));
    expect(metrics.status).toBe(404);
  });

  test('WebSocket and server-sent events tell at once what happens on either instance', async () => {
    const { nginx, stage, onApp } = await setScene();
    const headers = await stage.app.user('one');
    const url = `127.0.0.1:${nginx.port}/graphql`;
    const streams = [1, 2].flatMap(() => [
      openWebSocket(`ws://${url}`, headers, stage.connector.id, stage.app.origin),
      openSse(`http://${url}`, headers, stage.connector.id),
    ]);
    const tell = async () => (await Promise.all(streams.map((stream) => stream.next()))).map(({ status }) => status);
    expect(await tell()).toEqual(Array(4).fill('NOT_CONNECTED'));
    await connect(onApp, await stage.app.browser('one'), stage.connector.id);
    expect(await tell()).toEqual(Array(4).fill('CONNECTED'));
    await editConnector(stage, { scopes: [...scopes, 'calendar.write'] });
    expect(await tell()).toEqual(Array(4).fill('RECONNECT_REQUIRED'));
  });

  test('TRUST_PROXY=1 takes the caller’s address from nginx, whatever the caller says', async () => {
    const { instances, stage } = await setScene();
    await stage.service.graphql('{ viewer { __typename } }', {}, { 'x-forwarded-for': '203.0.113.7' });
    const output = () => instances.map((instance) => instance.output()).join('\n');
    await vi.waitUntil(() => output().includes('"ip":"127.0.0.1"'), patience);
    expect(output()).not.toContain('203.0.113.7');
  });

  test('an instance that stops under load loses no read', async () => {
    for (let round = 0; round < rounds(5); round += 1) {
      const { instances, stage } = await setScene();
      await connectUser(stage, 'one');
      const load = await startReads(stage, 'one', () => stage.service, 12);
      await vi.waitUntil(() => load.outcomes.length > 100, patience);
      expect(await instances[0].stop()).toBe(0);
      const readWhile = load.outcomes.length;
      await vi.waitUntil(() => load.outcomes.length > readWhile + 100, patience);
      await load.stop();
      report(`an instance stops behind nginx: ${tally(load.outcomes)}`);
      expect(new Set(load.outcomes)).toEqual(new Set(['CurrentAppUserConnection']));
      await instances[1].kill();
    }
  });
});
