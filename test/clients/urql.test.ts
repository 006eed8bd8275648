import { readFileSync } from 'node:fs';
import { cacheExchange, Client, type ExecutionResult, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { cacheExchange as graphcache } from '@urql/exchange-graphcache';
import { createClient as createWsClient } from 'graphql-ws';
import { buildSchema, introspectionFromSchema } from 'graphql';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { connectByCookie } from '../support/journey.ts';
import { eventually } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { listen } from '../support/streams.ts';

vi.setConfig({ testTimeout: 120_000 });

const connectors = gql`
  query UrqlConnectors {
    availableConnectors { id name currentUserConnection { id status } }
  }
`;
const disconnect = gql`
  mutation UrqlDisconnect($input: DisconnectAppUserInput!) {
    disconnectAppUser(input: $input) {
      ... on DisconnectAppUserPayload { connection { id status } }
      ... on UserError { code message }
    }
  }
`;
const watch = gql`
  subscription UrqlWatch($connectorId: ID!) {
    connectionStatus(connectorId: $connectorId) { status connection { id status } }
  }
`;

test.each(['graphql-ws', 'SSE'] as const)(
  '58. urql: its queries run again after a mutation that touches what they show, and it subscribes over %s',
  async (transport) => {
    const { service, app, connector } = await setStage();
    const { http, ws } = await listen(service);
    const headers = await app.user('one');
    const socket = createWsClient({ url: ws, webSocketImpl: WebSocket, connectionParams: headers });
    onTestFinished(async () => socket.dispose());
    const overSocket = subscriptionExchange({
      forwardSubscription: ({ query = '', variables }) => ({
        subscribe: ({ next, ...sink }) => ({
          unsubscribe: socket.subscribe(
            { query, variables: { ...variables } },
            { ...sink, next: (result) => next(result as ExecutionResult) },
          ),
        }),
      }),
    });
    const client = new Client({
      url: http,
      preferGetMethod: false,
      fetchOptions: { headers },
      fetchSubscriptions: transport === 'SSE',
      exchanges: [cacheExchange, ...(transport === 'SSE' ? [] : [overSocket]), fetchExchange],
    });

    const shown: string[] = [];
    const list = client.query(connectors, {}).subscribe(({ data, stale }) => {
      if (!stale) shown.push(data?.availableConnectors[0].currentUserConnection.status);
    });
    onTestFinished(() => list.unsubscribe());
    const events: string[] = [];
    const stream = client
      .subscription(watch, { connectorId: connector.id })
      .subscribe(({ data }) => events.push(data?.connectionStatus.status));
    onTestFinished(() => stream.unsubscribe());
    await expect.poll(() => events, eventually).toEqual(['NOT_CONNECTED']);
    await expect.poll(() => shown, eventually).toEqual(['NOT_CONNECTED']);

    await connectByCookie(service, await app.browser('one'), connector.id);
    await expect.poll(() => events, eventually).toContain('CONNECTED');
    const again = await client.query(connectors, {}, { requestPolicy: 'network-only' });
    expect(again.data.availableConnectors[0].currentUserConnection.status).toBe('CONNECTED');

    const { data } = await client.mutation(disconnect, { input: { connectorId: connector.id } });
    expect(data.disconnectAppUser.connection.status).toBe('NOT_CONNECTED');
    await expect.poll(() => shown.at(-1), eventually).toBe('NOT_CONNECTED');
    await expect.poll(() => events.at(-1), eventually).toBe('NOT_CONNECTED');
    const refused = await client.mutation(disconnect, { input: { connectorId: connector.id } });
    expect([refused.error, refused.data.disconnectAppUser.code]).toEqual([undefined, 'NOT_CONNECTED']);
  },
);

test('58. urql with graphcache: a mutation and a subscription update what queries show by its id, with no request more', async () => {
  const { service, app, connector } = await setStage();
  const { http, ws } = await listen(service);
  const headers = await app.user('one');
  const socket = createWsClient({ url: ws, webSocketImpl: WebSocket, connectionParams: headers });
  onTestFinished(async () => socket.dispose());
  const sent: string[] = [];
  const client = new Client({
    url: http,
    preferGetMethod: false,
    fetchOptions: { headers },
    fetch: (input, init) => {
      sent.push(/(query|mutation) \w+/.exec(typeof init?.body === 'string' ? init.body : '')?.[0] ?? '');
      return fetch(input, init);
    },
    exchanges: [
      graphcache({ schema: introspectionFromSchema(buildSchema(readFileSync('schema.graphql', 'utf8'))) }),
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: ({ next, ...sink }) => ({
            unsubscribe: socket.subscribe(
              { query, variables: { ...variables } },
              { ...sink, next: (result) => next(result as ExecutionResult) },
            ),
          }),
        }),
      }),
      fetchExchange,
    ],
  });
  const shown: string[] = [];
  const list = client
    .query(connectors, {})
    .subscribe(({ data }) => shown.push(data?.availableConnectors[0].currentUserConnection.status));
  onTestFinished(() => list.unsubscribe());
  await expect.poll(() => shown, eventually).toEqual(['NOT_CONNECTED']);
  const stream = client.subscription(watch, { connectorId: connector.id }).subscribe(() => {});
  onTestFinished(() => stream.unsubscribe());
  await connectByCookie(service, await app.browser('one'), connector.id);
  await expect.poll(() => shown.at(-1), eventually).toBe('CONNECTED');
  stream.unsubscribe();
  await client.mutation(disconnect, { input: { connectorId: connector.id } });
  await expect.poll(() => shown.at(-1), eventually).toBe('NOT_CONNECTED');
  expect(sent).toEqual(['query UrqlConnectors', 'mutation UrqlDisconnect']);
});
