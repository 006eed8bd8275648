import { getIntrospectionQuery } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { graphiqlTabs } from '../../examples/scheduling-app/graphiql-tabs.ts';
import * as clientOperations from '../../src/client/operations.ts';
import { parseWithinLimits } from '../../src/graphql/limits.ts';
import { consoleTasks } from '../../src/http/console-tasks.ts';
import { createTestApp, createWorkspace, type Service, startService, type TestApp } from '../support/harness.ts';
import { openRawSocket } from '../support/raw-socket.ts';
import { listen } from '../support/streams.ts';

const times = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

/** What an attacker would send, and the limit that it meets. */
const attacks: Record<string, { limit: string; query: string }> = {
  '1,000 aliases of one field': {
    limit: 'tokens',
    query: `{ ${times(1_000, (i) => `a${i}: viewer { __typename }`)} }`,
  },
  '100 aliases of one field': { limit: 'aliases', query: `{ ${times(100, (i) => `a${i}: viewer { __typename }`)} }` },
  '101 aliases of __typename': { limit: 'aliases', query: `{ ${times(101, (i) => `a${i}: __typename`)} }` },
  '51 token reads': {
    limit: 'aliases',
    query: `{ ${times(51, (i) => `a${i}: currentAppUserConnection(connectorId: "c") { __typename }`)} }`,
  },
  'aliases in a fragment spread ten times': {
    limit: 'aliases',
    query: `{ viewer { ${times(10, () => '...f')} } } fragment f on Viewer { ${times(10, (i) => `a${i}: __typename`)} }`,
  },
  'depth 50': { limit: 'depth', query: `{ ${'workspace { '.repeat(50)}id${' }'.repeat(50)} }` },
  'depth by fragments': {
    limit: 'depth',
    query: `{ ...f0 } ${times(25, (i) => `fragment f${i} on App { connector { ...f${i + 1} } }`)}`,
  },
  '10,000 directives': { limit: 'tokens', query: `{ viewer { __typename ${'@skip(if: false) '.repeat(10_000)} } }` },
  '60 directives': { limit: 'directives', query: `{ viewer { __typename ${'@include(if: true) '.repeat(60)} } }` },
  '60 directives of no name we know': { limit: 'directives', query: `{ viewer { __typename ${'@a '.repeat(60)} } }` },
  '100,000 duplicate fields': { limit: 'tokens', query: `{ viewer { ${'a '.repeat(100_000)} } }` },
  '1,500 duplicate fields': { limit: 'fields', query: `{ viewer { ${'__typename '.repeat(1_500)} } }` },
  '200 fragments, each spread ten times': {
    limit: 'fragments',
    query: `{ viewer { __typename } } ${times(200, (i) => `fragment f${i} on Viewer { a }`)}`,
  },
  'fragments that double at every step': {
    limit: 'fields',
    query: `{ viewer { ...f0 } } ${times(30, (i) => `fragment f${i} on Viewer { ...f${i + 1} ...f${i + 1} }`)} fragment f30 on Viewer { __typename }`,
  },
  'pages of pages of pages': {
    limit: 'cost',
    query: `{ workspaces(first: 100) { edges { node { apps(first: 100) { edges { node { keys(first: 100) { edges { cursor } } } } } } } } }`,
  },
  'pages whose size a variable says': {
    limit: 'cost',
    query: `query ($n: Int) { workspaces(first: $n) { edges { node { apps(last: $n) { edges { node { keys(first: $n) { edges { cursor } } } } } } } } }`,
  },
};

let service: Service;
let app: TestApp;
let url: { http: string; ws: string };

beforeAll(async () => {
  const closers: (() => Promise<void>)[] = [];
  service = await startService({}, {}, (close) => void closers.push(close));
  app = await createTestApp(service, await createWorkspace(service));
  url = await listen(service);
  return async () => {
    for (const close of closers.toReversed()) await close();
  };
});

const refusal = (limit: string) => ({
  message: expect.stringMatching(/^The document is too large: it may hold at most [\d,]+ .+ \(limit: \w+\)\./),
  extensions: { code: 'VALIDATION', limit, max: expect.any(Number) },
});

test.each(Object.entries(attacks))(
  'T13. %s is refused by name, over HTTP and WebSocket alike',
  async (_what, attack) => {
    // a backend function's request, without an Origin: it stands at the straight way of token reads as well
    const headers = { 'content-type': 'application/json', ...(await app.backend('one')) };
    const response = await fetch(url.http, { method: 'POST', headers, body: JSON.stringify({ query: attack.query }) });
    const { errors } = (await response.json()) as { errors: unknown[] };
    expect(errors).toEqual([expect.objectContaining(refusal(attack.limit))]);
    const socket = await openRawSocket(url.ws);
    socket.say({ type: 'connection_init', payload: await app.user('one') });
    await socket.hear('connection_ack');
    socket.say({ id: '1', type: 'subscribe', payload: { query: attack.query } });
    expect(await socket.hear('error')).toMatchObject({ id: '1', payload: [refusal(attack.limit)] });
  },
);

test('T13. a fragment that spreads itself is refused by validation, and ends', async () => {
  const query = '{ viewer { ...a } } fragment a on Viewer { ...b } fragment b on Viewer { ...a }';
  const answer = await service.graphql(query, {}, await app.user('one'));
  expect(answer.errors[0]?.message).toContain('Cannot spread fragment "a" within itself');
});

test('T13. what the project itself asks stays far below every limit', () => {
  const tabs = { workspaceId: 'w', appId: 'a', connectorId: 'c', scopes: [], providerIssuer: 'p' };
  const documents = [
    getIntrospectionQuery({
      specifiedByUrl: true,
      directiveIsRepeatable: true,
      inputValueDeprecation: true,
      oneOf: true,
    }),
    ...consoleTasks.map(({ query }) => query),
    ...Object.values(clientOperations as Record<string, unknown>).filter((value) => typeof value === 'string'),
    ...graphiqlTabs({ ...tabs, identityToken: 't', workspaceKey: 'k' } as never).map(({ query }) => query),
  ];
  expect(documents.length).toBeGreaterThan(25);
  for (const document of documents) expect(() => parseWithinLimits(document)).not.toThrow();
});

test('T13. a body that is too large is refused before it is read, told or streamed', async () => {
  const body = JSON.stringify({ query: '{ viewer { __typename } }', variables: { x: 'x'.repeat(1_000_000) } });
  const headers = { 'content-type': 'application/json', ...(await app.backend('one')) };
  const told = await fetch(url.http, { method: 'POST', headers, body });
  expect([told.status, await told.json()]).toEqual([
    413,
    { errors: [{ message: expect.stringContaining('at most 262,144 bytes'), extensions: { code: 'VALIDATION' } }] },
  ]);
  const stream = new Blob([body]).stream();
  const streamed = await fetch(url.http, { method: 'POST', headers, body: stream, duplex: 'half' } as RequestInit);
  expect(streamed.status).toBe(413);
  const small = new Blob([JSON.stringify({ query: '{ __typename }' })]).stream();
  const fine = await fetch(url.http, { method: 'POST', headers, body: small, duplex: 'half' } as RequestInit);
  expect(await fine.json()).toEqual({ data: { __typename: 'Query' } });
});

test('T13. a page holds at most a hundred entries, whatever is asked', async () => {
  const workspace = await createWorkspace(service);
  const answer = await service.graphql(
    'query ($id: ID!) { workspace(id: $id) { apps(first: 100000) { edges { cursor } pageInfo { hasNextPage } } } }',
    { id: workspace.id },
    workspace.owner,
  );
  expect(answer.errors).toEqual([]); // answered as a page of a hundred: the cap is the schema's
  expect(answer.data).toMatchObject({ workspace: { apps: { edges: [] } } });
});
