import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { field, startService } from '../support/harness.ts';
import { connectUser, expiredMs, setScene, tokenOf } from '../support/scene.ts';
import { connectAppUser } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { listen, openSse, openWebSocket } from '../support/streams.ts';
import { holdTokenRequest } from '../support/token-endpoint.ts';

test('35. a service that stops lets a read finish that waits for its refresh, and keeps the rotated token', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector, provider } = scene;
  const { http } = await listen(service);
  await connectUser(scene, 'one');
  const old = await tokenOf(scene, 'one');
  service.clock.advance(expiredMs);
  const held = holdTokenRequest(provider, 'answer');
  const reading = fetch(http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(await app.backend('one')) },
    body: JSON.stringify({
      query: `{ currentAppUserConnection(connectorId: "${connector.id}") { ... on CurrentAppUserConnection { accessToken } } }`,
    }),
  });
  await held.reached;
  const stopped = service.app.stop();
  await expect(fetch(http, { method: 'POST' })).rejects.toThrow('fetch failed'); // nobody new is let in
  held.release();
  const { data } = (await (await reading).json()) as { data: { currentAppUserConnection: { accessToken: string } } };
  expect(data.currentAppUserConnection.accessToken).not.toBe(old);
  expect(provider.counts.refresh_token).toBe(1);
  await stopped;
});

test('24. a service that stops lets a callback finish', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector, provider } = scene;
  const { http } = await listen(service);
  const started = await connectAppUser(service, await app.browser('one'), { connectorId: connector.id });
  const { redirectUrl } = field<{ redirectUrl: string }>(started, 'connectAppUser');
  const callback = new URL(await consentAt(redirectUrl, { account: 'blue' }));
  const held = holdTokenRequest(provider, 'answer');
  const [cookie] = started.headers.getSetCookie();
  const returning = fetch(new URL(callback.pathname + callback.search, http), {
    headers: { cookie: cookie?.split(';')[0] ?? '' },
    redirect: 'manual',
  });
  await held.reached;
  const stopped = service.app.stop();
  held.release();
  const answer = await returning;
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toContain('connection_status=connected');
  await stopped;
});

test('38. a peer that reads nothing holds up neither the stop nor the others', async () => {
  const scene = await setScene(await startService());
  const { ws, http } = await listen(scene.service);
  const user = await scene.app.user('one');
  const sse = openSse(http, user, scene.connector.id);
  await sse.next();
  const silent = new WebSocket(ws, 'graphql-transport-ws');
  await new Promise((resolve) => silent.once('open', resolve));
  silent.send(JSON.stringify({ type: 'connection_init', payload: user }));
  await new Promise((resolve) => silent.once('message', resolve));
  silent.pause();
  const order: string[] = [];
  const told = sse.nextResult().then(
    () => order.push('told'),
    () => order.push('told'),
  );
  // it would be waited for as long as ws waits for an answer to its close: half a minute
  await expect
    .soft(Promise.race([scene.service.app.stop().then(() => 'stopped'), pause(15_000)]))
    .resolves.toBe('stopped');
  order.push('stopped');
  await told;
  expect(order).toEqual(['told', 'stopped']);
  silent.terminate();
});

test('38. a service that stops tells sockets to come back, and ends its SSE streams', async () => {
  const scene = await setScene(await startService());
  const { ws, http } = await listen(scene.service);
  const user = await scene.app.user('one');
  const [socket, sse] = [openWebSocket(ws, user, scene.connector.id), openSse(http, user, scene.connector.id)];
  expect([await socket.next(), await sse.next()]).toMatchObject([
    { status: 'NOT_CONNECTED' },
    { status: 'NOT_CONNECTED' },
  ]);
  const ended = sse.nextResult().catch(() => undefined);
  await scene.service.app.stop();
  expect(await socket.closed).toMatchObject({ code: 1001 });
  expect(await ended).toBe(undefined);
});
