import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient, type SubscribePayload } from 'graphql-ws';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createClient } from '../../src/client/client.ts';
import { createClientFromRequest } from '../../src/client/server.ts';
import { parseConfig } from '../../src/config.ts';
import { consoleQuestion, consoleTasks } from '../../src/http/console-tasks.ts';
import { startService } from '../support/harness.ts';
import { openChat, resultOf } from '../support/mcp.ts';
import { connectUser, setScene } from '../support/scene.ts';

vi.setConfig({ testTimeout: 60_000 });

const read = 'query Read($id: ID!) { currentAppUserConnection(connectorId: $id) { __typename } }';
const watch = 'subscription Watch($id: ID!) { connectionStatus(connectorId: $id) { status } }';
const hash = (text: string) => createHash('sha1').update(text).digest('hex'); // as GraphQL Code Generator does by default

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'trusted-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A service whose data was made while any document was answered, and which now answers those of a file only. */
async function setTrustedScene(documents: string[]) {
  const dir = folder();
  const file = join(dir, 'documents.json');
  writeFileSync(file, JSON.stringify(Object.fromEntries(documents.map((text) => [hash(text), text]))));
  const before = await startService({ DATA_DIR: join(dir, 'data') });
  const scene = await setScene(before);
  await connectUser(scene, 'one');
  await before.app.stop();
  const service = await startService({ DATA_DIR: join(dir, 'data'), TRUSTED_DOCUMENTS: file });
  const { port } = new URL((await service.app.listen()).url);
  return { ...scene, service, url: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}/graphql` };
}

type Scene = Awaited<ReturnType<typeof setTrustedScene>>;
interface Answer {
  data?: Record<string, unknown> | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
}

async function post({ url }: Scene, body: object, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Answer;
}

async function overSocket({ ws }: Scene, payload: SubscribePayload, headers: Record<string, string>): Promise<Answer> {
  const client = createWsClient({ url: ws, webSocketImpl: WebSocket, connectionParams: headers, retryAttempts: 0 });
  onTestFinished(async () => client.dispose());
  for await (const result of client.iterate(payload)) return result as Answer;
  throw new Error('no answer');
}

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions?.['code'];

test('T13. with trusted documents no other is answered: not over HTTP, by the straight way of token reads, over SSE or WebSocket', async () => {
  const scene = await setTrustedScene([read, watch]);
  const { connector, app } = scene;
  const variables = { id: connector.id };
  const backend = await app.backend('one');
  const user = await app.user('one');
  const connected = { data: { currentAppUserConnection: { __typename: 'CurrentAppUserConnection' } } };

  // the straight way; the usual one, by text, by hash, and by what Apollo and Yoga call a persisted query
  expect(await post(scene, { query: read, variables }, backend)).toEqual(connected);
  expect(await post(scene, { query: read, variables, extensions: {} }, backend)).toEqual(connected);
  expect(await post(scene, { query: `# read\n${read.replaceAll(' ', '\n')}`, variables }, backend)).toEqual(connected);
  expect(await post(scene, { documentId: hash(read), variables }, backend)).toEqual(connected);
  expect(await post(scene, { documentId: `sha1:${hash(read)}`, variables }, backend)).toEqual(connected);
  const persistedQuery = { version: 1, sha256Hash: hash(read) };
  expect(await post(scene, { variables, extensions: { persistedQuery } }, backend)).toEqual(connected);
  const stranger = read.replace('__typename', '__typename other: __typename');
  for (const body of [
    { query: stranger, variables }, // would go the straight way
    { query: stranger, variables, documentId: hash(read) }, // a text counts for more than an id
    { query: stranger, variables, extensions: { persistedQuery } },
    { query: '{ viewer { __typename } }' },
    { query: '{' },
    { documentId: hash(stranger), variables },
    { documentId: '__proto__', variables },
    { extensions: { persistedQuery: null } },
    { query: watch.replace('status', 'at'), variables },
  ])
    expect([body, codeOf(await post(scene, body, backend))]).toEqual([body, 'DOCUMENT_NOT_TRUSTED']);

  const refused = await post(scene, { query: stranger, variables }, backend);
  const sha256 = createHash('sha256').update(stranger).digest('hex');
  expect(refused.errors?.[0]).toEqual({
    message: 'The document is not one of the trusted documents, and this service answers no other.',
    extensions: {
      code: 'DOCUMENT_NOT_TRUSTED',
      remedy: {
        actor: 'OPERATOR',
        steps: expect.arrayContaining([expect.stringContaining('TRUSTED_DOCUMENTS')]),
        values: [{ label: 'SHA-256 of the document', value: sha256 }],
        docsUrl: null,
      },
    },
  });

  const status = { data: { connectionStatus: { status: 'CONNECTED' } } };
  expect(await overSocket(scene, { query: watch, variables }, user)).toEqual(status);
  const byHash = { query: '', variables, extensions: { persistedQuery: { version: 1, sha256Hash: hash(watch) } } };
  expect(await overSocket(scene, byHash, user)).toEqual(status);
  await expect(overSocket(scene, { query: watch.replace('status', 'at'), variables }, user)).rejects.toMatchObject([
    { extensions: { code: 'DOCUMENT_NOT_TRUSTED', remedy: { actor: 'OPERATOR' } } },
  ]);

  const sse = createSseClient({ url: `${scene.url}/graphql`, headers: user, retryAttempts: 0 });
  onTestFinished(() => sse.dispose());
  for await (const result of sse.iterate({ query: watch, variables })) {
    expect(result).toEqual(status);
    break;
  }
  const results: unknown[] = [];
  for await (const result of sse.iterate({ query: watch.replace('status', 'at'), variables })) results.push(result);
  expect(results).toMatchObject([{ errors: [{ extensions: { code: 'DOCUMENT_NOT_TRUSTED' } }] }]);

  const metrics = await (await fetch(`${scene.url}/metrics`)).text();
  expect(metrics).toMatch(/operations_total\{operation="other",outcome="DOCUMENT_NOT_TRUSTED"\} \d+/);
});

test('with trusted documents the client library, the console and the tools of assistants go on', async () => {
  const scene = await setTrustedScene([]);
  const { url, app, connector, workspace, service } = scene;
  const token = await app.identityToken('one');
  const client = createClient({ url, appId: app.id, getToken: () => token, webSocket: WebSocket });
  expect(await client.connectors.list()).toMatchObject([{ id: connector.id }]);
  for await (const event of client.connectors.status(connector.id)) {
    expect(event.status).toBe('CONNECTED');
    break;
  }
  const request = new Request('https://app.example.com/', { headers: { authorization: `Bearer ${token}` } });
  const backend = createClientFromRequest(request, { url, appKey: app.key });
  expect(await backend.connectors.getCurrentAppUserConnection(connector.id)).toMatchObject({ tokenType: 'Bearer' });

  const known = await post(scene, { query: consoleQuestion }, workspace.owner);
  expect(known).toMatchObject({ data: { workspaces: { edges: [{ node: { id: workspace.id } }] } } });
  const overview = { query: consoleTasks[0]!.query, variables: { workspaceId: workspace.id } };
  expect(await post(scene, overview, workspace.owner)).toMatchObject({ data: { workspace: { id: workspace.id } } });

  const chat = await openChat(url, workspace.ownerKey);
  expect(resultOf(await chat.call('list_connectors', { workspaceId: workspace.id }))).toMatchObject({
    connectors: [{ id: connector.id }],
  });
  expect((await service.graphql('{ __typename }')).errors[0]?.extensions?.['code']).toBe('DOCUMENT_NOT_TRUSTED');
});

test('TRUSTED_DOCUMENTS takes several files, and names itself where one is not of documents', () => {
  const path = join(folder(), 'documents.json');
  const other = join(folder(), 'other.json');
  const documentsOf = (value: string) => parseConfig({ TRUSTED_DOCUMENTS: value }).trustedDocuments;
  writeFileSync(path, JSON.stringify({ a: '{ a }' }));
  writeFileSync(other, JSON.stringify({ b: '{ b }' }));
  expect([...(documentsOf(`${path}, ${other}`) ?? [])]).toEqual([
    ['a', '{ a }'],
    ['b', '{ b }'],
  ]);
  for (const text of ['', '[]', '{"a":1}', '"{ a }"']) {
    writeFileSync(other, text);
    expect(() => documentsOf(`${path},${other}`)).toThrow(/^TRUSTED_DOCUMENTS holds /);
  }
  expect(() => documentsOf('/nowhere.json')).toThrow('documents by their hashes');
});
