import { discoverOAuthProtectedResourceMetadata } from '@modelcontextprotocol/sdk/client/auth.js';
import { expect, test, vi } from 'vitest';
import { auditOf, lineOf } from '../support/audit.ts';
import { createTestApp, createWorkspace, type Service } from '../support/harness.ts';
import { startIssuer } from '../support/issuer.ts';
import { type ConnectorRequestAnswer, openChat, resultOf, sendForm, startListening } from '../support/mcp.ts';

vi.setConfig({ testTimeout: 120_000 });

type Workspace = Awaited<ReturnType<typeof createWorkspace>>;

/** A service whose admins are people who sign in at an issuer of their own. */
async function startWithPeople() {
  const people = await startIssuer('admins');
  const { service, url } = await startListening({
    ADMIN_ISSUER: people.issuer,
    ADMIN_AUDIENCE: people.audience,
    ADMIN_JWKS_URL: people.jwksUrl,
  });
  return { service, url, people, workspace: await createWorkspace(service) };
}

async function setRole(service: Service, { id: workspaceId, owner }: Workspace, subject: string, role: string | null) {
  const [name, input] =
    role === null
      ? ['removeWorkspaceMember', { workspaceId, subject }]
      : ['setWorkspaceMember', { workspaceId, subject, role }];
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
  const answer = await service.graphql(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename } }`,
    { input },
    owner,
  );
  expect(answer.errors).toEqual([]);
}

const slack = { providerKey: 'slack', scopes: ['channels:read'] };
const filled = { name: 'Team', kind: 'APP_USER', clientId: 'client', clientSecret: 'canary-secret' };

test('51. a person’s own token: the chat acts for them by their role, and the audit says for whom and by which assistant', async () => {
  const { service, url, people, workspace } = await startWithPeople();
  await setRole(service, workspace, 'person-1', 'ADMIN');
  const token = await people.sign({ sub: 'person-1' });
  const chat = await openChat(url, token, { name: 'first-chat' });
  const ask = async (args: object = {}) => {
    const asked = { ...slack, kind: 'APP_USER', another: true, ...args };
    const { request } = resultOf<ConnectorRequestAnswer>(await chat.call('add_connector', asked));
    return new URL(request?.link ?? '');
  };
  const link = await ask();
  const page = await (await fetch(link)).text();
  expect(page).toContain('person-1, through an assistant that calls itself “');
  const form = { token: link.searchParams.get('token') ?? '', decision: 'approve', ...filled };
  expect((await sendForm(url, form)).status).toBe(200);
  await sendForm(url, { token: (await ask()).searchParams.get('token') ?? '', decision: 'reject' });
  const { connectors } = resultOf<{ connectors: { id: string }[] }>(await chat.call('list_connectors'));
  const connectorId = connectors[0]?.id;
  resultOf(await chat.call('edit_connector', { connectorId, name: 'Renamed' }));
  resultOf(await chat.call('delete_connector', { connectorId, confirm: true }));

  const { rows } = await auditOf(service, workspace);
  const byPerson = rows.filter(({ actor }) => actor === 'person-1').map(lineOf);
  const assistant = 'MEMBER person-1 assistant=\\S+';
  expect(byPerson).toEqual([
    expect.stringMatching(`^CONNECTOR_DELETED OK ${assistant}`),
    expect.stringMatching(`^CONNECTOR_EDITED OK ${assistant}`),
    expect.stringMatching(`^CONNECTOR_REQUEST_REJECTED OK ${assistant}`),
    expect.stringMatching(`^CONNECTOR_REQUESTED OK ${assistant}`),
    expect.stringMatching(`^CONNECTOR_ADDED OK ${assistant}`),
    expect.stringMatching(`^CONNECTOR_REQUESTED OK ${assistant}`),
  ]);
  for (const told of [await chat.transcript(), service.logs.join('\n'), JSON.stringify(rows)]) {
    expect(told).not.toContain(token);
    expect(told).not.toContain(filled.clientSecret);
  }

  // the role is what it is when the form is sent
  const last = await ask();
  await setRole(service, workspace, 'person-1', 'VIEWER');
  const sent = await sendForm(url, { ...form, token: last.searchParams.get('token') ?? '' });
  expect([sent.status, /data-status="(\w+)"/.exec(await sent.text())?.[1]]).toEqual([403, 'FORBIDDEN']);
  expect(await chat.call('add_connector', { ...slack, kind: 'APP_USER' })).toMatchObject({
    error: { code: 'FORBIDDEN', remedy: { actor: 'ADMIN' } },
  });
  await setRole(service, workspace, 'person-1', null);
  expect(await chat.call('list_connectors')).toMatchObject({
    error: { code: 'VALIDATION', fields: [{ path: 'workspaceId' }] },
  });
  expect(await chat.call('list_connectors', { workspaceId: workspace.id })).toMatchObject({
    error: { code: 'NOT_FOUND' },
  });
});

test('51. a person of several workspaces names the one that is meant; a session stays theirs when their token is renewed', async () => {
  const { service, url, people, workspace } = await startWithPeople();
  const other = await createWorkspace(service);
  for (const place of [workspace, other]) await setRole(service, place, 'person-1', 'ADMIN');
  await setRole(service, workspace, 'person-2', 'ADMIN');
  const chat = await openChat(url, await people.sign({ sub: 'person-1' }), { answer: () => ({ action: 'cancel' }) });
  const { error } = await chat.call('list_connectors');
  const values = error?.remedy?.values.map(({ value }) => value);
  expect([error?.code, values?.sort()]).toEqual(['VALIDATION', [workspace.id, other.id].sort()]);
  resultOf(await chat.call('list_connectors', { workspaceId: other.id }));

  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
  const statusFor = async (token: string) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': chat.transport.sessionId ?? '',
      'mcp-protocol-version': '2025-11-25',
    };
    return (await fetch(`${url}/mcp`, { method: 'POST', headers, body: list })).status;
  };
  expect(await statusFor(await people.sign({ sub: 'person-1', exp: 7200 }))).toBe(200);
  expect(await statusFor(await people.sign({ sub: 'person-2' }))).toBe(404);
  expect(await statusFor(workspace.ownerKey)).toBe(404);
});

test('51. who shows no good token is told where to get one (RFC 9728), as far as there is an issuer', async () => {
  const { service, url, people, workspace } = await startWithPeople();
  const app = await createTestApp(service, workspace);
  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
  const post = async (base: string, authorization?: string) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(authorization !== undefined && { authorization }),
    };
    const response = await fetch(`${base}/mcp`, { method: 'POST', headers, body: list });
    return { status: response.status, challenge: response.headers.get('www-authenticate') };
  };
  const metadata = `resource_metadata="${url}/.well-known/oauth-protected-resource/mcp"`;
  expect(await post(url)).toEqual({ status: 401, challenge: `Bearer realm="mcp", ${metadata}` });
  const invalid = { status: 401, challenge: `Bearer realm="mcp", error="invalid_token", ${metadata}` };
  for (const token of [
    await people.sign({ sub: 'person-1', exp: -60 }),
    await people.sign({ sub: 'person-1', aud: 'others' }),
    await people.sign({ sub: 'person-1' }, 'another'),
    await app.identityToken('one'),
  ]) {
    expect(await post(url, `Bearer ${token}`)).toEqual(invalid);
  }
  expect(await post(url, `Bearer ${await people.sign({ sub: 'person-1' })}`)).toEqual({ status: 200, challenge: null });
  expect(await post(url, `Bearer ${app.key}`)).toEqual({ status: 403, challenge: null });

  // as the SDK's own client finds out
  const found = await discoverOAuthProtectedResourceMetadata(new URL('/mcp', url));
  expect(found).toMatchObject({
    resource: `${url}/mcp`,
    authorization_servers: [people.issuer],
    bearer_methods_supported: ['header'],
  });

  const { url: withoutPeople } = await startListening();
  expect(await post(withoutPeople)).toEqual({ status: 401, challenge: 'Bearer realm="mcp"' });
  expect((await fetch(`${withoutPeople}/.well-known/oauth-protected-resource/mcp`)).status).toBe(404);
});

test('51. who tries credentials that are not good too often waits, and is not sent to sign in', async () => {
  const { url } = await startListening({ RATE_LIMITS: 'key-failures=2' });
  const answers: unknown[] = [];
  for (const attempt of [1, 2, 3, 4]) {
    const headers = { authorization: `Bearer wsk_${attempt}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/mcp`, { method: 'POST', headers, body: '{}' });
    const { error } = (await response.json()) as { error: { data: { code: string } } };
    const [challenge, wait] = ['www-authenticate', 'retry-after'].map((name) => response.headers.has(name));
    answers.push([response.status, error.data.code, challenge, wait]);
  }
  const refused = [401, 'UNAUTHENTICATED', true, false];
  expect(answers).toEqual([refused, refused, refused, [429, 'RATE_LIMITED', false, true]]);
});
