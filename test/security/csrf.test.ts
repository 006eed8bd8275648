import { expect, test } from 'vitest';
import { field, operatorKey, type Service, startService } from '../support/harness.ts';

const operator = { authorization: `Bearer ${operatorKey}` };
const mutation = 'mutation { createWorkspace(input: { name: "Made" }) { __typename } }';
const asJson = JSON.stringify({ query: mutation });
const asForm = `query=${encodeURIComponent(mutation)}`;
const asMultipart = [
  '--x',
  'Content-Disposition: form-data; name="operations"',
  '',
  asJson,
  '--x',
  'Content-Disposition: form-data; name="map"',
  '',
  '{}',
  '--x--',
  '',
].join('\r\n');

async function send(service: Service, init: RequestInit, search = ''): Promise<{ response: Response; text: string }> {
  const response = await service.app.fetch(
    new Request(`${service.config.publicUrl}/graphql${search}`, {
      ...init,
      headers: { ...operator, ...(init.headers as Record<string, string>) },
    }),
  );
  return { response, text: await response.text() };
}

async function workspaceCount(service: Service): Promise<number> {
  const answer = await service.graphql('{ workspaces(first: 100) { edges { cursor } } }', {}, operator);
  return field<{ edges: unknown[] }>(answer, 'workspaces').edges.length;
}

test('T14. a POST of application/json is executed, with or without a charset, and a cookie is no credential for it', async () => {
  const service = await startService();
  const spellings = ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8'];
  for (const type of spellings) {
    const { response, text } = await send(service, { method: 'POST', headers: { 'content-type': type }, body: asJson });
    expect([response.status, text]).toEqual([200, expect.stringContaining('CreateWorkspacePayload')]);
  }
  // a page of another site can make the browser send its cookies, and nothing else
  const cookies = { cookie: `authorization=Bearer ${operatorKey}; token=${operatorKey}` };
  const answer = await service.graphql(mutation, {}, cookies);
  expect(answer.data?.createWorkspace).toEqual({ __typename: 'UnauthenticatedError' });
  expect(await workspaceCount(service)).toBe(spellings.length);
});

test('T14. a POST of any other content type is refused with 415, and nothing is executed', async () => {
  const service = await startService();
  const cases: [type: string | null, body: string][] = [
    ['text/plain', asJson],
    ['text/plain;charset=UTF-8', asJson],
    ['text/plain; application/json', asJson],
    ['application/x-www-form-urlencoded', asForm],
    ['application/x-www-form-urlencoded', asJson],
    ['multipart/form-data; boundary=x', asMultipart],
    ['message/rfc822', asJson],
    ['message/x', asJson],
    ['message/json', asJson],
    ['application/json, text/plain', asJson],
    ['text/plain, application/json', asJson],
    ['application/graphql', mutation],
    ['application/graphql+json', asJson],
    ['application/graphql-response+json', asJson],
    ['application/jsonp', asJson],
    ['text/json', asJson],
    ['*/*', asJson],
    ['', asJson],
    [null, asJson],
  ];
  for (const [type, body] of cases) {
    const headers: Record<string, string> = type === null ? {} : { 'content-type': type };
    const { response, text } = await send(service, { method: 'POST', headers, body: new TextEncoder().encode(body) });
    const said = JSON.stringify({ errors: [{ message: 'Send GraphQL with Content-Type: application/json.' }] });
    expect([type, response.status, text]).toEqual([type, 415, said]);
  }
  expect(await workspaceCount(service)).toBe(0);
});

test('T14. a GET never executes a query, whatever content type and method override come along', async () => {
  const service = await startService();
  const query = `?query=${encodeURIComponent('{ viewer { __typename } }')}`;
  const headers: Record<string, string>[] = [
    {},
    { 'content-type': 'application/json' },
    { 'content-type': 'message/x' },
    { 'content-type': 'text/plain' },
    { accept: 'application/json' },
    { accept: 'text/event-stream' },
    { accept: 'multipart/mixed' },
    { 'x-http-method-override': 'POST', 'content-type': 'application/json' },
    { 'apollo-require-preflight': '1', 'x-apollo-operation-name': 'x' },
  ];
  for (const own of headers) {
    for (const search of [query, `?query=${encodeURIComponent(mutation)}`, '?query=subscription{x}', '']) {
      const { response, text } = await send(service, { method: 'GET', headers: own }, search);
      expect([own, response.status, response.headers.get('allow')]).toEqual([own, 405, 'POST, OPTIONS']);
      expect(text).not.toContain('OperatorViewer');
    }
  }
  expect(await workspaceCount(service)).toBe(0);
});

test('T14. a browser that opens /graphql gets GraphiQL’s page, never an answer to the query in the address; with GRAPHIQL=false neither', async () => {
  const query = `?query=${encodeURIComponent('{ viewer { __typename } }')}`;
  for (const graphiql of ['true', 'false']) {
    const service = await startService({ GRAPHIQL: graphiql });
    for (const accept of ['text/html', 'text/html,application/json', 'application/json,text/html']) {
      const { response, text } = await send(service, { headers: { accept } }, query);
      expect(text).not.toContain('OperatorViewer');
      if (graphiql === 'true') expect(response.headers.get('content-type')).toContain('text/html');
      else expect(response.status).toBe(405);
    }
  }
});

test('T14. no other method executes, and a preflight promises no credentials to anybody', async () => {
  const service = await startService();
  for (const method of ['PUT', 'PATCH', 'DELETE', 'QUERY', 'HEAD']) {
    const body = method === 'HEAD' ? null : asJson;
    const search = `?query=${encodeURIComponent(mutation)}`;
    const headers = { 'content-type': 'application/json' };
    const { response, text } = await send(service, { method, headers, body }, search);
    expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, 'POST, OPTIONS']);
    expect(text).not.toContain('CreateWorkspacePayload');
  }
  const { response } = await send(
    service,
    {
      method: 'OPTIONS',
      headers: {
        origin: 'https://elsewhere.example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      },
    },
    `?query=${encodeURIComponent(mutation)}`,
  );
  expect(response.status).toBe(204);
  expect(['*', 'https://elsewhere.example.com']).toContain(response.headers.get('access-control-allow-origin'));
  expect(response.headers.get('access-control-allow-credentials')).not.toBe('true');
  expect(response.headers.get('access-control-allow-methods')).toBe('POST, OPTIONS');
  expect(await workspaceCount(service)).toBe(0);
});

test('T14. a body that is no operation is the caller’s mistake: answered with an error of 4xx or 200, never 500, and nothing is executed', async () => {
  const service = await startService();
  const bodies = [
    '',
    '{',
    'null',
    '1',
    '"text"',
    '[]',
    `[${asJson},${asJson}]`,
    '{}',
    '{"query":null}',
    '{"query":1}',
    '{"query":""}',
    '{"query":"{"}',
    `{"query":${JSON.stringify(mutation)},"variables":"x"}`,
    `{"query":${JSON.stringify(mutation)},"variables":[]}`,
    `{"query":${JSON.stringify(`${mutation} ${mutation}`)}}`,
    `{"query":${JSON.stringify(mutation)},"operationName":"Nope"}`,
    `{"query":${JSON.stringify(mutation)},"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}},"unknown":1}`,
  ];
  for (const body of bodies) {
    const { response, text } = await send(service, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect([body, response.status < 500]).toEqual([body, true]);
    const { errors } = JSON.parse(text) as { errors: { message: string; extensions?: { code?: string } }[] };
    expect([body, errors.length > 0, errors[0]?.extensions?.code]).not.toContain('INTERNAL_SERVER_ERROR');
    expect([body, errors[0]?.message]).toEqual([body, expect.stringMatching(/\w/)]);
  }
  expect(await workspaceCount(service)).toBe(0);
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});
