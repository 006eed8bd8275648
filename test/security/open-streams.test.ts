import type { ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { field, startService } from '../support/harness.ts';
import { signJwt } from '../support/issuer.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { connectUser, editConnector, type Scene, setPlan, setScene } from '../support/scene.ts';
import { startServer } from '../support/stage.ts';
import { deferred } from '../support/token-endpoint.ts';
import { listen, openSse, openWebSocket, type StatusStream } from '../support/streams.ts';

async function act(scene: Scene, mutation: string, input: Record<string, unknown>, payload: string): Promise<void> {
  const Input = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const answer = await scene.service.graphql(
    `mutation ($input: ${Input}!) { ${mutation}(input: $input) { __typename } }`,
    { input },
    scene.workspace.owner,
  );
  expect(field(answer, mutation).__typename).toBe(payload);
}

async function appKeyId({ service, workspace, app }: Scene): Promise<string> {
  const answer = await service.graphql(
    'query ($id: ID!) { app(id: $id) { keys { edges { node { id } } } } }',
    { id: app.id },
    workspace.owner,
  );
  return field<{ keys: { edges: { node: { id: string } }[] } }>(answer, 'app').keys.edges[0]!.node.id;
}

const jwks = { issuer: 'https://i.example.com', audience: 'a', jwksUrl: 'https://i.example.com/jwks' };

/** What ends a right, and whose stream it is that must end with it. */
const ends: Record<string, { caller: 'user' | 'backend'; end: (scene: Scene) => Promise<void> }> = {
  'the app key is revoked': {
    caller: 'backend',
    end: async (scene) => act(scene, 'revokeAppKey', { appKeyId: await appKeyId(scene) }, 'RevokeAppKeyPayload'),
  },
  'the app is deleted': {
    caller: 'user',
    end: (scene) => act(scene, 'deleteApp', { appId: scene.app.id, confirm: true }, 'DeleteAppPayload'),
  },
  "the app's users are to sign in with another issuer": {
    caller: 'user',
    end: (scene) => act(scene, 'editApp', { appId: scene.app.id, identity: { jwks } }, 'EditAppPayload'),
  },
};

describe.each(['WebSocket', 'SSE'] as const)('over %s', (transport) => {
  test.each(Object.entries(ends))(
    'T16. a stream ends when %s, and no event follows',
    async (_what, { caller, end }) => {
      const scene = await setScene(await startService());
      const { ws, http } = await listen(scene.service);
      const headers = await scene.app[caller]('one');
      const stream: StatusStream =
        transport === 'WebSocket'
          ? openWebSocket(ws, headers, scene.connector.id)
          : openSse(http, headers, scene.connector.id);
      expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });
      await end(scene);
      const last = await stream.nextResult();
      expect(last?.data ?? null).toBe(null);
      expect(last?.errors?.[0]).toMatchObject({
        message: 'access-ended',
        extensions: { code: 'UNAUTHENTICATED', closeCode: 4403 },
      });
      expect(await stream.nextResult().catch(() => undefined)).toBe(undefined);
      if (transport === 'WebSocket') {
        expect(await stream.closed).toMatchObject({ code: 4403, reason: 'access-ended' });
      }
    },
  );
});

test('T16. a page of an origin that the app has given up hears no more', async () => {
  const scene = await setScene(await startService());
  const { ws } = await listen(scene.service);
  const stream = openWebSocket(ws, await scene.app.user('one'), scene.connector.id, scene.app.origin);
  expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });
  await act(scene, 'editApp', { appId: scene.app.id, origins: [] }, 'EditAppPayload');
  expect((await stream.nextResult())?.errors?.[0]).toMatchObject({ message: 'access-ended' });
});

/** A scene whose app and admins have identity tokens of an issuer with a JWKS, and one of each. The issuer answers these keys; null: it is busy. */
async function setIssuer(
  keysNow: (jwk: JWK) => JWK[] | null | Promise<JWK[]>,
): Promise<{ scene: Scene; token: string; adminToken: string }> {
  const keys = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'first', alg: 'ES256', use: 'sig' };
  const answer = async (response: ServerResponse) => {
    const published = await keysNow(jwk);
    response.statusCode = published ? 200 : 503;
    response.setHeader('content-type', 'application/json');
    response.end(published ? JSON.stringify({ keys: published }) : 'busy');
  };
  const { origin } = await startServer((_request, response) => void answer(response));
  const iss = 'https://id.example.com';
  const jwksUrl = `${origin}/jwks`;
  const scene = await setScene(
    await startService({ ADMIN_ISSUER: iss, ADMIN_AUDIENCE: 'console', ADMIN_JWKS_URL: jwksUrl }),
  );
  const identity = { jwks: { issuer: iss, audience: 'aud', jwksUrl } };
  await act(scene, 'editApp', { appId: scene.app.id, identity }, 'EditAppPayload');
  const sign = (aud: string) =>
    signJwt(keys.privateKey, { alg: 'ES256', kid: 'first' }, { iss, aud, exp: 7200 }, scene.service.clock.now());
  return { scene, token: await sign('aud'), adminToken: await sign('console') };
}

/** For the service and for jose, which has a clock of its own. */
function elevenMinutesLater({ clock }: Scene['service']): void {
  const real = Date.now.bind(Date);
  const later = vi.spyOn(Date, 'now').mockImplementation(() => real() + 11 * 60_000);
  onTestFinished(() => later.mockRestore());
  clock.advance(11 * 60_000);
}

test('40. an issuer whose keys cannot be fetched for the moment ends no stream, and refuses nobody for good', async () => {
  let isDown = false;
  const { scene, token } = await setIssuer((jwk) => (isDown ? null : [jwk]));
  const { service, app, connector } = scene;
  const headers = { authorization: `Bearer ${token}`, 'x-app-id': app.id };
  const { ws } = await listen(service);
  const stream = openWebSocket(ws, headers, connector.id);
  expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });

  elevenMinutesLater(service); // what is kept of the keys is too old
  isDown = true;
  await setPlan(scene, 'FREE');
  const refused = await service.graphql('{ availableConnectors { id } }', {}, headers);
  expect(refused.status).toBe(503);
  expect(refused.errors[0]).toMatchObject({ extensions: { code: 'SERVICE_UNAVAILABLE' } });
  isDown = false;
  expect(await stream.next()).toMatchObject({ status: 'UNAVAILABLE' });
});

test('40. an identity token whose key the issuer has withdrawn is good for ten minutes at most, for users, backend functions and admins', async () => {
  let isWithdrawn = false;
  const { scene, token, adminToken } = await setIssuer((jwk) => [
    isWithdrawn ? { ...jwk, kid: 'second', x: jwk.y ?? '', y: jwk.x ?? '' } : jwk,
  ]);
  const { service, app, connector } = scene;
  const { authorization = '' } = await app.backend('one');
  const asUser = () =>
    service.graphql('{ availableConnectors { id } }', {}, { authorization: `Bearer ${token}`, 'x-app-id': app.id });
  const asAdmin = (admin: string) =>
    service.graphql('{ workspaces { edges { cursor } } }', {}, { authorization: `Bearer ${admin}` });
  const { http } = await listen(service);
  const asBackend = async () => {
    const query = `{ currentAppUserConnection(connectorId: "${connector.id}") { __typename } }`;
    const headers = { authorization, 'on-behalf-of': `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(http, { method: 'POST', headers, body: JSON.stringify({ query }) });
    return answer.json();
  };
  expect((await asUser()).errors).toEqual([]);
  expect((await asAdmin(adminToken)).errors).toEqual([]);
  expect((await asAdmin(token)).errors[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } }); // good for its app alone
  const unconnected = { data: { currentAppUserConnection: { __typename: 'NotConnectedError' } } };
  expect(await asBackend()).toEqual(unconnected);
  expect(await asBackend()).toEqual(unconnected); // the second time by what is remembered

  isWithdrawn = true;
  elevenMinutesLater(service);
  expect((await asUser()).errors[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } });
  expect((await asAdmin(adminToken)).errors[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } });
  expect(await asBackend()).toEqual({ data: { currentAppUserConnection: { __typename: 'UnauthenticatedError' } } });
});

/** A plain socket that has said who it is, with what it hears. */
async function openSocket(scene: Scene, url?: string) {
  const ws = url ?? (await listen(scene.service)).ws;
  const socket = new WebSocket(ws, 'graphql-transport-ws');
  const heard: { id?: string; type: string; payload?: unknown }[] = [];
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString())));
  const say = (message: unknown) => socket.send(JSON.stringify(message));
  const hear = (type: string, count: number) =>
    expect.poll(() => heard.filter((message) => message.type === type).length, { timeout: 20_000 }).toBe(count);
  await new Promise((resolve) => socket.once('open', resolve));
  say({ type: 'connection_init', payload: await scene.app.user('one') });
  await hear('connection_ack', 1);
  const query = `subscription { connectionStatus(connectorId: "${scene.connector.id}") { status } }`;
  return {
    socket,
    heard,
    hear,
    subscribe: (id: number) => say({ id: String(id), type: 'subscribe', payload: { query } }),
  };
}

test('T16. a socket has at most 100 operations under way', async () => {
  const { socket, heard, hear, subscribe } = await openSocket(await setScene(await startService()));
  for (let id = 1; id <= 101; id += 1) subscribe(id);
  await hear('next', 100);
  await hear('error', 1);
  expect(heard.find(({ type }) => type === 'error')).toMatchObject({
    payload: [{ extensions: { code: 'RATE_LIMITED' } }],
  });
  socket.terminate();
});

test('T16. a socket on which nothing is asked ends with its identity token as well', async () => {
  const { service, app } = await setScene(await startService());
  const socket = await openRawSocket((await listen(service)).ws);
  const authorization = `Bearer ${await app.identityToken('one', { expiresIn: 2 })}`;
  socket.say({ type: 'connection_init', payload: { authorization, 'x-app-id': app.id } });
  await socket.hear('connection_ack');
  expect(await socket.closed).toEqual({ code: 4403, reason: 'identity-token-expired' });
});

/** A scene whose issuer does not answer until it is let. */
async function setSlowIssuer() {
  const asked = deferred();
  const letGo = deferred();
  const { scene, token } = await setIssuer(async (jwk) => {
    asked.resolve();
    await letGo.promise;
    return [jwk];
  });
  const urls = await listen(scene.service);
  const user = { authorization: `Bearer ${token}`, 'x-app-id': scene.app.id };
  return { ...scene, urls, user, asked: asked.promise, letGo: letGo.resolve };
}

async function metricsOf({ app, config }: Scene['service']): Promise<string> {
  return (await app.fetch(new Request(`${config.publicUrl}/metrics`))).text();
}

test('T16. a socket that is gone before its caller is recognised takes no place among their 200 sockets', async () => {
  const { service, urls, user, asked, letGo } = await setSlowIssuer();
  const greet = async () => {
    const socket = await openRawSocket(urls.ws);
    socket.say({ type: 'connection_init', payload: user });
    return socket;
  };
  const hasty = await Promise.all(Array.from({ length: 200 }, greet));
  await asked;
  for (const { socket } of hasty) socket.terminate();
  await expect.poll(() => metricsOf(service)).toMatch(/^connectors_open_sockets 0$/m);
  letGo();
  const patient = await greet();
  expect(await Promise.race([patient.hear('connection_ack'), patient.closed])).toEqual({ type: 'connection_ack' });
});

const status = (connectorId: string) => `subscription { connectionStatus(connectorId: "${connectorId}") { status } }`;

/** Asks for a stream over HTTP. */
function askForStream(url: string, user: Record<string, string>, accept: string, connectorId: string) {
  const body = JSON.stringify({ query: status(connectorId) });
  const abort = new AbortController();
  const headers = { 'content-type': 'application/json', accept, ...user };
  return { abort, response: fetch(url, { method: 'POST', headers, body, signal: abort.signal }) };
}

test('T16. a client that is gone before its stream begins, or that takes no stream, leaves none open', async () => {
  const { service, connector, urls, user, asked, letGo } = await setSlowIssuer();
  const hasty = Array.from({ length: 20 }, () => askForStream(urls.http, user, 'text/event-stream', connector.id));
  await asked;
  for (const { abort, response } of hasty) {
    abort.abort();
    await expect(response).rejects.toThrow('aborted');
  }
  letGo();
  const opened = () => service.graphql(`{ viewer { __typename } }`, {}, user);
  expect((await opened()).errors).toEqual([]);
  const refused = await askForStream(urls.http, user, 'application/json', connector.id).response;
  expect(refused.status).toBe(406);
  await expect.poll(() => metricsOf(service)).toMatch(/^connectors_open_subscriptions 0$/m);
  const stream = openSse(urls.http, user, connector.id);
  await stream.next();
  expect(await metricsOf(service)).toMatch(/^connectors_open_subscriptions 1$/m);
});

test('T16. a socket that is one too many can do nothing, even where it does not hear that it is closed', async () => {
  const scene = await setScene(await startService());
  const { ws } = await listen(scene.service);
  const init = { type: 'connection_init', payload: await scene.app.user('one') };
  const greet = async () => {
    const socket = await openRawSocket(ws);
    socket.say(init);
    return socket;
  };
  const crowd = await Promise.all(Array.from({ length: 200 }, greet));
  await Promise.all(crowd.map((socket) => socket.hear('connection_ack')));
  const deaf = await openRawSocket(ws);
  deaf.socket.pause();
  deaf.say(init);
  await new Promise((resolve) => setTimeout(resolve, 500));
  deaf.say({ id: '1', type: 'subscribe', payload: { query: '{ availableConnectors { id } }' } });
  await new Promise((resolve) => setTimeout(resolve, 500));
  deaf.socket.resume();
  expect(await deaf.closed).toMatchObject({ code: 1013 });
  expect(await metricsOf(scene.service)).not.toContain('operation="availableConnectors"');
});

test('T16. a user has at most 500 subscriptions open, over all sockets and SSE; what ends makes room', async () => {
  const scene = await setScene(await startService());
  const { http, ws } = await listen(scene.service);
  const sockets = await Promise.all(Array.from({ length: 5 }, () => openSocket(scene, ws)));
  for (const { subscribe } of sockets) for (let id = 1; id <= 100; id += 1) subscribe(id);
  for (const { hear } of sockets) await hear('next', 100);
  const user = await scene.app.user('one');
  const refused = await openSse(http, user, scene.connector.id).nextResult();
  expect(refused).toMatchObject({
    errors: [{ message: expect.stringContaining('500 subscriptions'), extensions: { code: 'RATE_LIMITED' } }],
  });
  const other = openSse(http, await scene.app.user('two'), scene.connector.id);
  expect(await other.next()).toMatchObject({ status: 'NOT_CONNECTED' });
  sockets[0]!.socket.terminate();
  await expect
    .poll(async () => (await openSse(http, user, scene.connector.id).nextResult())?.data?.connectionStatus.status)
    .toBe('NOT_CONNECTED');
  for (const { socket } of sockets) socket.terminate();
});

test('T16. a client that reads nothing is cut off, and nothing is piled up for it', { timeout: 60_000 }, async () => {
  const scene = await setScene(await startService());
  const { socket, heard, hear, subscribe } = await openSocket(scene);
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  subscribe(1);
  await hear('next', 1);
  socket.pause();
  await connectUser(scene, 'one');
  for (let edit = 0; edit < 20; edit += 1) await editConnector(scene, { name: `Name ${edit}` });
  // a ping goes every 12 seconds; who has not answered one by the next is gone
  await new Promise((resolve) => setTimeout(resolve, 26_000));
  socket.resume();
  expect(await closed).toBe(1006);
  expect(heard.filter(({ type }) => type === 'next')).toHaveLength(2); // renaming changed nothing for the user
});
