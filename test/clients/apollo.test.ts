import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, Observable } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getOperationAST, isAbstractType, print } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { schema } from '../../src/graphql/schema.ts';
import { field } from '../support/harness.ts';
import { createBrowser, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { eventually } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { listen } from '../support/streams.ts';

vi.setConfig({ testTimeout: 120_000 });

type Headers = Record<string, string>;

/** What Apollo Client asks its users to tell it of the schema's interfaces and unions. */
const possibleTypes = Object.fromEntries(
  Object.values(schema.getTypeMap()).flatMap((type) =>
    isAbstractType(type) ? [[type.name, schema.getPossibleTypes(type).map(({ name }) => name)]] : [],
  ),
);

const transports = {
  'graphql-ws': ({ ws }: { ws: string }, headers: Headers) => {
    const client = createWsClient({ url: ws, webSocketImpl: WebSocket, connectionParams: headers });
    onTestFinished(async () => client.dispose());
    return new GraphQLWsLink(client);
  },
  SSE: ({ http }: { http: string }, headers: Headers) => {
    const client = createSseClient({ url: http, headers });
    onTestFinished(() => client.dispose());
    return new ApolloLink(
      ({ query, variables, operationName }) =>
        new Observable((sink) =>
          client.subscribe(
            { query: print(query), variables, ...(operationName && { operationName }) },
            {
              next: (result) => sink.next(result as ApolloLink.Result),
              error: (error) => sink.error(error),
              complete: () => sink.complete(),
            },
          ),
        ),
    );
  },
};

const connectors = gql`
  query ApolloConnectors {
    availableConnectors { id name currentUserConnection { id status account { email } } }
  }
`;
const connect = gql`
  mutation ApolloConnect($input: ConnectAppUserInput!) {
    connectAppUser(input: $input) {
      ... on ConnectAppUserPayload { redirectUrl binding }
      ... on UserError { code message }
    }
  }
`;
const complete = gql`
  mutation ApolloComplete($input: CompleteConnectionInput!) {
    completeConnection(input: $input) {
      ... on CompleteConnectionPayload { connection { id status account { email } } }
      ... on UserError { code message }
    }
  }
`;
const disconnect = gql`
  mutation ApolloDisconnect($input: DisconnectAppUserInput!) {
    disconnectAppUser(input: $input) {
      ... on DisconnectAppUserPayload { connection { id status account { email } } }
      ... on UserError { code message }
    }
  }
`;
const watch = gql`
  subscription ApolloWatch($connectorId: ID!) {
    connectionStatus(connectorId: $connectorId) { status connection { id status account { email } } }
  }
`;

test.each(['graphql-ws', 'SSE'] as const)(
  '58. Apollo Client connects and disconnects; its cache follows by id, through mutations and the subscription over %s',
  async (transport) => {
    const { service, app, connector } = await setStage();
    const urls = await listen(service);
    const headers = await app.user('one');
    const client = new ApolloClient({
      cache: new InMemoryCache({ possibleTypes }),
      link: ApolloLink.split(
        ({ query }) => getOperationAST(query)?.operation === 'subscription',
        transports[transport](urls, headers),
        new HttpLink({ uri: urls.http, headers }),
      ),
    });
    onTestFinished(() => client.stop());

    const shown: unknown[] = [];
    const list = client.watchQuery({ query: connectors }).subscribe(({ data }) => {
      const [first] =
        (data as { availableConnectors?: { currentUserConnection: object }[] } | undefined)?.availableConnectors ?? [];
      if (first) shown.push(first.currentUserConnection);
    });
    onTestFinished(() => list.unsubscribe());
    const events: unknown[] = [];
    const stream = client
      .subscribe({ query: watch, variables: { connectorId: connector.id } })
      .subscribe(({ data }) => events.push((data as { connectionStatus: { status: string } }).connectionStatus.status));
    onTestFinished(() => stream.unsubscribe());
    await expect.poll(() => events, eventually).toEqual(['NOT_CONNECTED']);
    await expect.poll(() => shown, eventually).toMatchObject([{ status: 'NOT_CONNECTED' }]);

    const run = async (mutation: typeof connect, input: object) =>
      Object.values((await client.mutate({ mutation, variables: { input } })).data ?? {})[0] as Record<string, never>;
    const started = await run(connect, { connectorId: connector.id });
    expect(started).toMatchObject({ __typename: 'ConnectAppUserPayload', binding: 'CODE' });
    const back = await createBrowser().open(service, await consentAt(started.redirectUrl ?? ''));
    const code = returnOf(back).params.connect_code;
    // nobody asked for the list again: the payload, and then the event, are about a connection it shows
    expect(await run(complete, { connectCode: code })).toMatchObject({ connection: { status: 'CONNECTED' } });
    await expect.poll(() => events, eventually).toContain('CONNECTED');
    await expect
      .poll(() => shown.at(-1), eventually)
      .toMatchObject({ status: 'CONNECTED', account: { email: 'blue@example.com' } });
    expect(await run(disconnect, { connectorId: connector.id })).toMatchObject({
      connection: { status: 'NOT_CONNECTED' },
    });
    await expect.poll(() => shown.at(-1), eventually).toMatchObject({ status: 'NOT_CONNECTED', account: null });
    // an expected failure is data
    expect(await run(disconnect, { connectorId: connector.id })).toMatchObject({
      __typename: 'NotConnectedError',
      code: 'NOT_CONNECTED',
    });
    // what others do comes by the stream alone
    const other = await service.graphql(
      print(connect),
      { input: { connectorId: connector.id } },
      await app.browser('one'),
    );
    const browser = createBrowser();
    browser.keep(other.headers);
    const { redirectUrl } = field<{ redirectUrl: string }>(other, 'connectAppUser');
    await browser.open(service, await consentAt(redirectUrl, { account: 'green' }));
    await expect
      .poll(() => shown.at(-1), eventually)
      .toMatchObject({ status: 'CONNECTED', account: { email: 'green@example.com' } });
  },
);
