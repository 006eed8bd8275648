import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createTestApp, createWorkspace, type Service, startService, type TestApp } from '../support/harness.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { listen } from '../support/streams.ts';

// The protocol as clients of any make may speak it, or fail to: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

const closers: (() => Promise<void>)[] = [];
let service: Service;
let app: TestApp;
let ws: string;

beforeAll(async () => {
  service = await startService({}, {}, (close) => void closers.push(close));
  app = await createTestApp(service, await createWorkspace(service));
  ws = (await listen(service)).ws;
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

const init = async () => ({ type: 'connection_init', payload: await app.user('one') });
const subscription = (id: string) => ({
  id,
  type: 'subscribe',
  payload: { query: 'subscription { connectionStatus(connectorId: "nothing") { status } }' },
});

async function signedIn() {
  const socket = await openRawSocket(ws);
  socket.say(await init());
  await socket.hear('connection_ack');
  return socket;
}

const invalid: [what: string, message: unknown][] = [
  ['no JSON', '{'],
  ['nothing', ''],
  ['no object', '[]'],
  ['null', 'null'],
  ['no type', '{}'],
  ['an unknown type', { type: 'hello' }],
  ['a subscription without an id', { type: 'subscribe', payload: { query: '{ __typename }' } }],
  ['a subscription with an empty id', { id: '', type: 'subscribe', payload: { query: '{ __typename }' } }],
  ['a subscription without a query', { id: '1', type: 'subscribe', payload: {} }],
  ['variables that are no object', { id: '1', type: 'subscribe', payload: { query: '{ a }', variables: 1 } }],
  ['complete without an id', { type: 'complete' }],
];

test.each(invalid)('graphql-ws: %s closes the socket with 4400', async (_what, message) => {
  const socket = await signedIn();
  socket.say(message);
  expect((await socket.closed).code).toBe(4400);
});

test('graphql-ws: an operation before connection_init closes the socket with 4401', async () => {
  const socket = await openRawSocket(ws);
  socket.say(subscription('1'));
  expect(await socket.closed).toEqual({ code: 4401, reason: 'Unauthorized' });
});

test('graphql-ws: another subprotocol, or none, is closed with 4406', async () => {
  for (const protocol of ['graphql-ws', 'mqtt', []]) {
    const socket = new WebSocket(ws, protocol);
    socket.on('error', () => {}); // the client minds that the server chose no protocol
    const code = await new Promise((resolve) => socket.once('close', resolve));
    expect([protocol, code]).toEqual([protocol, protocol.length === 0 ? 4406 : expect.toBeOneOf([4406, 1006])]);
  }
  const both = await openRawSocket(ws, {}, ['mqtt', 'graphql-transport-ws']);
  expect(both.socket.protocol).toBe('graphql-transport-ws');
});

test('graphql-ws: a socket that says nothing is closed with 4408', async () => {
  const socket = await openRawSocket(ws);
  expect(await socket.closed).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
});

test('graphql-ws: a second operation of the same id closes the socket with 4409; an id that has ended is free', async () => {
  const socket = await signedIn();
  socket.say(subscription('1'));
  await socket.hear('next');
  socket.say({ id: '1', type: 'complete' });
  socket.say({ id: '2', type: 'subscribe', payload: { query: '{ __typename }' } });
  expect(await socket.hear('next')).toEqual({ id: '2', type: 'next', payload: { data: { __typename: 'Query' } } });
  expect(await socket.hear('complete')).toEqual({ id: '2', type: 'complete' });
  socket.say(subscription('1'));
  await socket.hear('next');
  socket.say(subscription('1'));
  expect(await socket.closed).toEqual({ code: 4409, reason: 'Subscriber for 1 already exists' });
});

test('graphql-ws: a second connection_init closes the socket with 4429', async () => {
  const socket = await signedIn();
  socket.say(await init());
  expect(await socket.closed).toEqual({ code: 4429, reason: 'Too many initialisation requests' });
});

test('graphql-ws: a ping is answered with a pong, before connection_init and after; a pong nobody asked for is fine', async () => {
  const socket = await openRawSocket(ws);
  socket.say({ type: 'ping', payload: { before: true } });
  expect(await socket.hear('pong')).toMatchObject({ payload: { before: true } });
  socket.say({ type: 'pong' });
  socket.say(await init());
  await socket.hear('connection_ack');
  socket.say({ type: 'ping' });
  await socket.hear('pong');
  expect(socket.socket.readyState).toBe(WebSocket.OPEN);
});

test('graphql-ws: credentials that are not good close the socket with 4403, and a message that is too large with 1009', async () => {
  const stranger = await openRawSocket(ws);
  stranger.say({ type: 'connection_init', payload: { authorization: 'Bearer apk_nobody' } });
  expect((await stranger.closed).code).toBe(4403);
  const large = await signedIn();
  large.say({ type: 'ping', payload: { x: 'x'.repeat(300_000) } });
  expect((await large.closed).code).toBe(1009);
});

test('T15. a foreign Origin is refused at the upgrade, whatever it calls itself', async () => {
  for (const origin of [
    'https://evil.example.com',
    'null',
    'https://app.example.com.evil.example.com',
    'https://app.example.com:444',
  ]) {
    const status = await new Promise((resolve) => {
      const socket = new WebSocket(ws, 'graphql-transport-ws', { origin });
      socket.once('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.once('open', () => resolve('open'));
    });
    expect([origin, status]).toEqual([origin, 403]);
  }
  const own = await openRawSocket(ws, { origin: app.origin });
  expect(own.socket.readyState).toBe(WebSocket.OPEN);
});

test('T16. a caller has so many sockets, and another one is asked to come back later', async () => {
  const other = await app.user('crowd');
  const open = async () => {
    const socket = await openRawSocket(ws);
    socket.say({ type: 'connection_init', payload: other });
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: 200 }, open));
  await Promise.all(sockets.map((socket) => socket.hear('connection_ack')));
  expect(await (await open()).closed).toEqual({ code: 1013, reason: 'at most 200 sockets at a time' });
  const [first] = sockets;
  first?.socket.close();
  await first?.closed;
  await (await open()).hear('connection_ack');
});

test('T16. an instance has so many sockets of all callers: the next is refused at the upgrade until one ends', async () => {
  const full = await listen(await startService({}, { maxSockets: 2 }));
  const first = await openRawSocket(full.ws);
  await openRawSocket(full.ws);
  await expect(openRawSocket(full.ws)).rejects.toThrow('Unexpected server response: 503');
  first.socket.close();
  const another = () =>
    openRawSocket(full.ws).then(
      () => 'open',
      () => 'refused',
    );
  await expect.poll(another).toBe('open');
});
