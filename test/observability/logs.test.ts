import { request as httpRequest } from 'node:http';
import { expect, test } from 'vitest';
import { createTestApp, createWorkspace, operatorKey, startService } from '../support/harness.ts';
import { startIssuer } from '../support/issuer.ts';
import { connectUser, eventually, setScene, tokenOf } from '../support/scene.ts';
import { listen, openWebSocket } from '../support/streams.ts';

const made = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

test('one line tells of each request, by the id that it came with and that its answer carries; no text of the caller is in it', async () => {
  const scene = await setScene(await startService());
  const { service, app, connector } = scene;
  await connectUser(scene, 'one');
  const urls = await listen(service);
  const headers = await app.backend('one');
  const lineOf = async (requestId: string) => {
    const lines = () =>
      service.logs
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line['requestId'] === requestId);
    await expect.poll(() => lines().length, eventually).toBe(1);
    const [{ level: _level, time: _time, ip, ms, requestId: _id, ...line } = {}] = lines();
    expect([typeof ip, typeof ms]).toEqual(['string', 'number']);
    return line;
  };
  const ask = async (path: string, init: RequestInit, given: string | null) => {
    const sent = { ...(init.headers as Record<string, string>), ...(given !== null && { 'x-request-id': given }) };
    const response = await fetch(new URL(path, urls.http), { redirect: 'manual', ...init, headers: sent });
    await response.text();
    return response.headers.get('x-request-id') ?? '';
  };
  const operation = (query: string, own = headers) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...own },
    body: JSON.stringify({ query, variables: { id: connector.id } }),
  });
  const read = 'query Hidden($id: ID!) { hidden: currentAppUserConnection(connectorId: $id) { __typename } }';
  const graphql = { method: 'POST', path: '/graphql', status: 200, caller: 'app-key', msg: 'request' };

  expect(await ask('/graphql', operation(read), 'read-1')).toBe('read-1'); // the straight way
  expect(await lineOf('read-1')).toEqual({ ...graphql, operation: 'currentAppUserConnection', outcome: 'OK' });
  const stranger = await app.backend('stranger');
  expect(await ask('/graphql', operation(read, stranger), 'read-2')).toBe('read-2');
  expect(await lineOf('read-2')).toEqual({
    ...graphql,
    operation: 'currentAppUserConnection',
    outcome: 'NOT_CONNECTED',
  });
  const several = '{ viewer { __typename } hidden: providers(search: "hidden") { key } }';
  expect(await ask('/graphql', operation(several), 'usual/1')).toBe('usual/1');
  expect(await lineOf('usual/1')).toEqual({ ...graphql, operation: 'viewer,providers', outcome: 'OK' });
  expect(await ask('/graphql', operation('{ hidden }'), 'invalid')).toBe('invalid');
  expect(await lineOf('invalid')).toEqual({
    ...graphql,
    operation: null,
    caller: null,
    outcome: 'GRAPHQL_VALIDATION_FAILED',
  });
  const byPath = `/api/apps/${app.id}/app-user-auth/connectors/${connector.id}/token`;
  expect(await ask(byPath, { headers }, 'rest')).toBe('rest');
  expect(await lineOf('rest')).toEqual({
    method: 'GET',
    path: byPath,
    status: 200,
    operation: null,
    caller: 'app-key',
    outcome: null,
    msg: 'request',
  });

  const callback = '/api/external-auth/callback?code=hidden&state=hidden';
  for (const given of [null, 'two words', '{"level":60}', 'x'.repeat(129)]) {
    const id = await ask(callback, {}, given);
    expect(id).toMatch(made);
    expect(await lineOf(id)).toMatchObject({ method: 'GET', path: '/api/external-auth/callback', caller: null });
  }
  const twice = await new Promise<string>((resolve, reject) => {
    const asked = httpRequest(new URL('/healthz', urls.http), { headers: { 'X-Request-Id': ['a', 'b'] } }, (answer) => {
      answer.resume();
      resolve(String(answer.headers['x-request-id']));
    });
    asked.on('error', reject).end();
  });
  expect(twice).toMatch(made);

  const stream = openWebSocket(urls.ws, await app.user('one'), connector.id);
  await stream.next();
  const operations = service.logs.filter((line) => line.includes('"msg":"operation"'));
  expect(operations.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { operation: 'connectionStatus', caller: 'app-user', outcome: 'OK', requestId: expect.stringMatching(made) },
  ]);

  const text = service.logs.join('');
  const token = await tokenOf(scene, 'one');
  for (const secret of ['hidden', 'Hidden', 'two words', token, app.key, headers['on-behalf-of'] ?? ''])
    expect(text).not.toContain(secret);
});

test('a line says what kind of caller it was, whichever door they came to, and never who', async () => {
  const issuer = await startIssuer('admins');
  const admins = { ADMIN_ISSUER: issuer.issuer, ADMIN_AUDIENCE: 'admins', ADMIN_JWKS_URL: issuer.jwksUrl };
  const service = await startService(admins);
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const { http } = await listen(service);
  const admin = { authorization: `Bearer ${await issuer.sign({ sub: 'canary' })}` };
  const operator = { authorization: `Bearer ${operatorKey}` };
  const backend = await app.backend('canary');
  const audit = `/api/workspaces/${workspace.id}/audit.ndjson`;
  const rest = `/api/apps/${app.id}/app-user-auth/connectors`;
  const asked: [path: string, headers: Record<string, string>, kind: string | null][] = [
    ['/graphql', operator, 'operator'],
    ['/graphql', workspace.owner, 'workspace-key'],
    ['/graphql', admin, 'admin'],
    ['/graphql', backend, 'app-key'],
    ['/graphql', await app.user('canary'), 'app-user'],
    ['/graphql', {}, 'anonymous'],
    ['/graphql', { authorization: 'Bearer apk_canary' }, 'anonymous'],
    ['/mcp', workspace.owner, 'workspace-key'],
    [audit, workspace.owner, 'workspace-key'],
    [audit, {}, 'anonymous'],
    [`${rest}/Connector_none/token`, backend, 'app-key'],
    ['/healthz', operator, null],
  ];
  for (const [index, [path, headers]] of asked.entries()) {
    const isPost = path === '/graphql' || path === '/mcp';
    const response = await fetch(new URL(path, http), {
      method: isPost ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', 'x-request-id': `caller-${index}`, ...headers },
      ...(isPost && { body: JSON.stringify({ query: '{ viewer { __typename } }' }) }),
    });
    await response.text();
  }
  const kinds = () =>
    service.logs
      .map((line) => JSON.parse(line) as { requestId?: string; path: string; caller: string | null })
      .filter(({ requestId }) => requestId?.startsWith('caller-'))
      .map(({ path, caller }) => [path, caller]);
  await expect.poll(() => kinds().length, eventually).toBe(asked.length);
  expect(kinds()).toEqual(asked.map(([path, , kind]) => [path, kind]));
  expect(service.logs.join('')).not.toContain('canary');
});

test('a caller who goes away before the request is whole is no error of the service', async () => {
  const service = await startService();
  const urls = await listen(service);
  for (const path of ['/graphql', '/mcp', '/api/external-auth/callback']) {
    const headers = { 'content-type': 'application/json', 'content-length': '100', 'x-request-id': path };
    const asked = httpRequest(new URL(path, urls.http), { method: 'POST', headers });
    asked.on('error', () => {}); // that it ended
    asked.write('{"query":');
    await new Promise((resolve) => setTimeout(resolve, 100)); // until it is being read
    asked.destroy();
  }
  await expect.poll(() => service.logs.filter((line) => line.includes('"msg":"request"')).length, eventually).toBe(3);
  const levels = service.logs.map((line) => (JSON.parse(line) as { level: number }).level);
  expect(Math.max(...levels)).toBeLessThan(40);
});
