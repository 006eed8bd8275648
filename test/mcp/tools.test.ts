import { readdirSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import {
  createWorkspace,
  createWorkspaceKey,
  field,
  operatorKey,
  type Service,
  type TestWorkspace,
} from '../support/harness.ts';
import {
  type ConnectorRequestAnswer,
  openChat,
  openOwnersChat,
  resultOf,
  sendForm,
  startListening,
  type ToolAnswer,
} from '../support/mcp.ts';
import { startIssuer } from '../support/issuer.ts';
import { connectUser, setScene } from '../support/scene.ts';

vi.setConfig({ testTimeout: 120_000 });

interface ProviderPage {
  providers: { key: string }[];
  nextCursor: string | null;
}

const calendar = { providerKey: 'googlecalendar', scopes: ['https://www.googleapis.com/auth/calendar.readonly'] };

const userError = `__typename ... on UserError { code message remedy { actor steps values { label value } docsUrl } }`;

async function addDirectly(
  service: Service,
  workspace: TestWorkspace,
  input: Record<string, unknown> = {},
  headers = workspace.owner,
) {
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { __typename ... on AddConnectorPayload { connector { id } }
      ... on UserError { code message remedy { actor steps values { label value } docsUrl } } ... on PlanRequiredError { requiredPlan currentPlan }
      ... on ValidationError { fields { path message } } } }`,
    { input: { workspaceId: workspace.id, name: 'Calendar', ...calendar, ...input } },
    headers,
  );
  return field<{ connector: { id: string }; code: string }>(added, 'addConnector');
}

test('51. what cannot be done answers the same typed errors as GraphQL', async () => {
  const { service, url, workspace, chat } = await openOwnersChat();
  const editorKey = await createWorkspaceKey(service, workspace.id, 'EDITOR');
  const editor = await openChat(url, editorKey);
  const other = await createWorkspace(service);
  const poor = await createWorkspace(service, 'FREE');
  const poorChat = await openChat(url, poor.ownerKey);
  const rich = await createWorkspace(service, 'ENTERPRISE');
  const richChat = await openChat(url, rich.ownerKey);
  const off = await service.graphql(
    `mutation ($input: SetProviderAvailabilityInput!) { setProviderAvailability(input: $input) { __typename } }`,
    {
      input: { workspaceId: rich.id, providerKey: 'googlecalendar', kind: 'APP_USER', available: false, confirm: true },
    },
    rich.owner,
  );
  expect(off.errors).toEqual([]);
  const { connector } = await addDirectly(service, other);
  const ask = { ...calendar, kind: 'APP_USER' };
  const editorHeaders = { authorization: `Bearer ${editorKey}` };
  const gone = `mutation ($id: ID!) { it: checkConnector(input: { connectorId: $id }) { ${userError} } }`;
  const notThere = field(await service.graphql(gone, { id: connector.id }, workspace.owner), 'it');
  const cases: [string, ToolAnswer, Record<string, unknown>][] = [
    ['FORBIDDEN', await editor.call('add_connector', ask), await addDirectly(service, workspace, {}, editorHeaders)],
    ['NOT_FOUND', await chat.call('check_connector', { connectorId: connector.id }), notThere],
    ['NOT_FOUND', await chat.call('delete_connector', { connectorId: connector.id, confirm: true }), notThere],
    ['NOT_FOUND', await chat.call('edit_connector', { connectorId: connector.id, newClient: true }), notThere],
    ['PLAN_REQUIRED', await poorChat.call('add_connector', ask), await addDirectly(service, poor)],
    ['CONNECTOR_DISABLED', await richChat.call('add_connector', ask), await addDirectly(service, rich)],
    [
      'VALIDATION',
      await chat.call('add_connector', { ...ask, scopes: ['a b'] }),
      await addDirectly(service, workspace, { scopes: ['a b'] }),
    ],
  ];
  for (const [code, { error }, { __typename: _, ...expected }] of cases) expect(error).toEqual({ ...expected, code });
  // every tool answers as the field that it stands for: an id of another workspace, and a role that is too low
  const { connector: own } = await addDirectly(service, workspace);
  const connectorId = connector.id;
  const edit = `mutation ($id: ID!) { it: editConnector(input: { connectorId: $id, name: "Other" }) { ${userError} } }`;
  const remove = `mutation ($id: ID!) { it: deleteConnector(input: { connectorId: $id, confirm: true }) { ${userError} } }`;
  const answerOf = async (document: string, id: string, headers: Record<string, string>) => {
    const { __typename: _, ...error } = field(await service.graphql(document, { id }, headers), 'it');
    return error;
  };
  const foreign = await answerOf(edit, connectorId, workspace.owner);
  for (const [tool, args] of [
    ['code_for', {}],
    ['connection_overview', {}],
    ['edit_connector', { name: 'Other' }],
    ['edit_connector', { newClient: true }],
    ['delete_connector', {}],
  ] as const) {
    expect([tool, (await chat.call(tool, { connectorId, ...args })).error]).toEqual([tool, foreign]);
  }
  const viewerKey = await createWorkspaceKey(service, workspace.id, 'VIEWER');
  const viewer = await openChat(url, viewerKey);
  for (const [role, from, key] of [
    ['EDITOR', editor, editorKey],
    ['VIEWER', viewer, viewerKey],
  ] as const) {
    const headers = { authorization: `Bearer ${key}` };
    for (const [tool, args, document] of [
      ['edit_connector', { name: 'Other' }, edit],
      ['edit_connector', { newClient: true }, edit],
      ['delete_connector', { confirm: true }, remove],
      ['check_connector', {}, gone],
    ] as const) {
      const { error } = await from.call(tool, { connectorId: own.id, ...args });
      expect([role, tool, error]).toEqual([role, tool, await answerOf(document, own.id, headers)]);
      expect([role, tool, error]).toMatchObject([role, tool, { code: 'FORBIDDEN', remedy: { actor: 'ADMIN' } }]);
    }
    // who may look, may look by chat as well
    for (const tool of ['list_connectors', 'list_apps', 'list_providers']) resultOf(await from.call(tool));
  }
  // the plan counts when it is used, not when it was bought
  const plan = `mutation ($id: ID!) { setWorkspacePlan(input: { workspaceId: $id, plan: FREE }) { __typename } }`;
  const { connector: late } = await addDirectly(service, other);
  await service.graphql(plan, { id: other.id }, { authorization: `Bearer ${operatorKey}` });
  const lateChat = await openChat(url, other.ownerKey);
  const tooLow = await addDirectly(service, other);
  const { __typename: _, ...planRequired } = tooLow;
  for (const args of [{ name: 'Other' }, { newClient: true }]) {
    const { error } = await lateChat.call('edit_connector', { connectorId: late.id, ...args });
    expect([args, error]).toEqual([args, planRequired]);
  }
  const missing = { error: { code: 'NOT_FOUND' } };
  const noWorkspace = { code: 'NOT_FOUND', message: 'There is no workspace with this id.', remedy: null };
  for (const workspaceId of [other.id, 'nonsense']) {
    for (const [tool, args] of [
      ['list_connectors', {}],
      ['list_apps', {}],
      ['suggest_connector', { need: 'calendar' }],
      ['add_connector', ask],
      ['add_connector', { ...ask, another: true }],
    ] as const) {
      const { error } = await chat.call(tool, { ...args, workspaceId });
      expect([workspaceId, tool, error]).toEqual([workspaceId, tool, noWorkspace]);
    }
  }
  // a request of another workspace is none, and one of the own is for those who could have asked for it
  const { request } = resultOf<ConnectorRequestAnswer>(await chat.call('add_connector', ask));
  const { requestId } = request ?? { requestId: '' };
  expect(resultOf(await chat.call('connector_request_status', { requestId }))).toMatchObject({ status: 'OPEN' });
  expect(await richChat.call('connector_request_status', { requestId })).toMatchObject(missing);
  expect(await editor.call('connector_request_status', { requestId })).toMatchObject({ error: { code: 'FORBIDDEN' } });
});

test('51. a call of a wrong shape answers a typed error with a remedy, as any other, and never the value that was wrong', async () => {
  const { chat, service } = await openOwnersChat();
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['add_connector', {}, ['providerKey', 'scopes']],
    ['add_connector', { ...calendar, scopes: [1, 'two', null] }, ['scopes.0', 'scopes.2']],
    ['add_connector', { ...calendar, kind: 'canary-kind' }, ['kind']],
    ['add_connector', { ...calendar, clientSecret: 'canary-secret' }, ['clientSecret']],
    ['add_connector', { ...calendar, providerKey: 'custom', custom: { issuer: 'canary-issuer' } }, ['custom.issuer']],
    [
      'add_connector',
      { ...calendar, custom: { issuer: 'https://id.example.com', clientSecret: 'canary' } },
      ['custom.clientSecret'],
    ],
    ['edit_connector', { connectorId: 7, confirm: 'yes' }, ['connectorId', 'confirm']],
    ['list_connectors', { first: 0 }, ['first']],
    ['list_providers', { first: '20' }, ['first']],
    ['suggest_connector', { need: '' }, ['need']],
  ];
  for (const [tool, args, paths] of cases) {
    const { error } = await chat.call(tool, args);
    expect([tool, error]).toMatchObject([tool, { code: 'VALIDATION', remedy: { actor: 'USER' } }]);
    const fields = error?.fields as { path: string; message: string }[];
    expect([tool, ...fields.map(({ path }) => path)]).toEqual([tool, ...paths]);
    expect(JSON.stringify(error)).not.toContain('canary');
  }
  expect(await chat.call('drop_everything')).toMatchObject({
    error: { code: 'NOT_FOUND', remedy: { steps: [expect.stringContaining('list_connectors')] } },
  });
  expect(service.logs.join('\n')).not.toContain('canary');
});

test('51. whose account it is, is asked of the person; where the client cannot ask, the assistant is told to', async () => {
  const { service, url, workspace, chat } = await openOwnersChat();
  expect(await chat.call('add_connector', calendar)).toMatchObject({
    error: { code: 'VALIDATION', fields: [{ path: 'kind' }], remedy: { actor: 'USER' } },
  });
  // what the assistant proposes does not count where the person can be asked
  const answers = [{ answer: 'SHARED' }, null];
  const asking = await openChat(url, workspace.ownerKey, {
    answer: ({ mode }) => {
      const content = mode === 'form' ? answers.shift() : undefined;
      return content ? { action: 'accept', content } : { action: mode === 'url' ? 'decline' : 'cancel' };
    },
  });
  expect(await asking.call('add_connector', { ...calendar, kind: 'APP_USER' })).toMatchObject({
    error: { code: 'CONSENT_DENIED' },
  });
  expect(asking.asked.map(({ mode }) => mode)).toEqual(['form', 'url']);
  const page = await (await fetch(asking.asked[1]?.url ?? '')).text();
  expect(page).toMatch(/value="SHARED" required checked/);
  expect(await asking.call('add_connector', { ...calendar, kind: 'APP_USER' })).toMatchObject({
    error: { code: 'VALIDATION' },
  });
  // a client that fails to ask is as one that cannot
  const failing = await openChat(url, workspace.ownerKey, {
    answer: ({ mode }) => {
      if (mode === 'form') return { action: 'accept', content: { answer: 'SHARED' } };
      throw new Error('no browser');
    },
  });
  expect(resultOf(await failing.call('add_connector', calendar))).toMatchObject({
    request: { link: expect.any(String) },
  });
  // one that is set up is answered instead, and nobody is asked for anything
  const { connector } = await addDirectly(service, workspace, { clientId: 'id', clientSecret: 'secret' });
  const again = resultOf<ConnectorRequestAnswer>(await asking.call('add_connector', calendar));
  expect(again).toMatchObject({ status: 'ALREADY_SET_UP', connector: { id: connector.id, isSetUp: true } });
  expect(asking.asked).toHaveLength(3);
  const { suggestions } = resultOf<{ suggestions: object[] }>(
    await chat.call('suggest_connector', { need: 'show each user their next meetings from Google Calendar' }),
  );
  expect(suggestions[0]).toMatchObject({
    providerKey: 'googlecalendar',
    scopes: [{ scope: calendar.scopes[0] }],
    alreadySetUp: [{ id: connector.id }],
  });
});

test('51. what is set up already is for the same service, with the same settings and permissions; a custom one too', async () => {
  const { service, workspace, chat } = await openOwnersChat();
  const client = { clientId: 'id', clientSecret: 'secret' };
  const issuer = 'https://id.example.com';
  const endpoints = { authorizationUrl: 'https://one.example.com/auth', tokenUrl: 'https://one.example.com/token' };
  const custom = { providerKey: 'custom', scopes: ['read', 'write'], ...client };
  const byIssuer = await addDirectly(service, workspace, { ...custom, custom: { discovery: { issuer } } });
  const byEndpoints = await addDirectly(service, workspace, { ...custom, custom: { endpoints } });
  const shop = [{ name: 'shop', value: 'first-shop' }];
  const shopify = { providerKey: 'shopify', scopes: ['read_products'] };
  const ofShop = await addDirectly(service, workspace, { ...shopify, ...client, connectionConfig: shop });
  await addDirectly(service, workspace, { ...calendar }); // a draft is not set up

  const statusOf = async (args: Record<string, unknown>) => {
    const { status, connector } = resultOf<ConnectorRequestAnswer>(
      await chat.call('add_connector', { kind: 'APP_USER', ...args }),
    );
    return [status, connector?.id];
  };
  const wanted = { providerKey: ' Custom', scopes: ['read'] };
  const waiting = ['WAITING_FOR_PERSON', undefined];
  expect(await statusOf({ ...wanted, custom: { issuer } })).toEqual(['ALREADY_SET_UP', byIssuer.connector.id]);
  expect((await statusOf({ ...wanted, custom: { issuer: `${issuer}/` } }))[1]).toBe(byIssuer.connector.id);
  expect(await statusOf({ ...wanted, custom: endpoints })).toEqual(['ALREADY_SET_UP', byEndpoints.connector.id]);
  expect(await statusOf({ ...wanted, custom: { issuer: 'https://other.example.com' } })).toEqual(waiting);
  const otherToken = { ...endpoints, tokenUrl: 'https://two.example.com/token' };
  expect(await statusOf({ ...wanted, custom: otherToken })).toEqual(waiting);
  expect(await statusOf({ ...wanted, custom: { issuer }, scopes: ['admin'] })).toEqual(waiting);
  expect(await statusOf({ ...wanted, custom: { issuer }, another: true })).toEqual(waiting);
  expect(await statusOf({ ...wanted, custom: { issuer }, kind: 'SHARED' })).toEqual(waiting);
  expect(await chat.call('add_connector', { ...wanted, kind: 'APP_USER' })).toMatchObject({
    error: { code: 'VALIDATION', fields: [{ path: 'input.custom' }] },
  });
  expect(await statusOf({ ...shopify, connectionConfig: shop })).toEqual(['ALREADY_SET_UP', ofShop.connector.id]);
  const otherShop = [{ name: 'shop', value: 'second-shop' }];
  expect(await statusOf({ ...shopify, connectionConfig: otherShop })).toEqual(waiting);
  expect(await statusOf(calendar)).toEqual(waiting);
});

test('51. edits and deletions that concern users are confirmed first, by the person where the client can ask', async () => {
  const { service, url } = await startListening();
  const scene = await setScene(service);
  await connectUser(scene, 'one');
  const { workspace, connector } = scene;
  const connectorId = connector.id;
  const chat = await openChat(url, workspace.ownerKey);
  const scopes = ['openid', 'email', 'calendar.read', 'calendar.write'];
  const concerned = { error: { code: 'CONFIRMATION_REQUIRED', affectedUsers: 1, affectedApps: [{ name: 'App' }] } };
  expect(await chat.call('edit_connector', { connectorId, scopes })).toMatchObject(concerned);
  expect(resultOf(await chat.call('edit_connector', { connectorId, name: 'Renamed' }))).toMatchObject({
    status: 'CHANGED',
    connector: { name: 'Renamed', scopes: ['openid', 'email', 'calendar.read'] },
  });
  const edited = resultOf(await chat.call('edit_connector', { connectorId, scopes, confirm: true }));
  expect(edited).toMatchObject({ connector: { scopes } });
  const overview = resultOf(await chat.call('connection_overview', { connectorId }));
  expect(overview).toMatchObject({
    connections: [{ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' }],
  });
  expect(resultOf(await chat.call('check_connector', { connectorId }))).toMatchObject({ client: expect.any(String) });
  const { apps } = resultOf<{ apps: object[] }>(await chat.call('list_apps'));
  expect(apps).toMatchObject([{ redirectUris: [{ kind: 'LIVE' }, { kind: 'SERVICE' }] }]);
  expect(await chat.call('delete_connector', { connectorId })).toMatchObject(concerned);
  const answers = ['no', 'yes'];
  const asking = await openChat(url, workspace.ownerKey, {
    answer: () => ({ action: 'accept', content: { answer: answers.shift() ?? '' } }),
  });
  expect(await asking.call('delete_connector', { connectorId })).toMatchObject(concerned);
  expect(resultOf(await asking.call('delete_connector', { connectorId }))).toEqual({ deletedConnectorId: connectorId });
  expect(await chat.call('code_for', { connectorId })).toMatchObject({ error: { code: 'NOT_FOUND' } });
});

test('51. tools say what they do, pages follow each other, and the documentation is there to read', async () => {
  const { chat } = await openOwnersChat();
  const { client } = chat;
  const { tools } = await client.listTools();
  const annotated = tools.map(({ name, annotations = {}, outputSchema, description }) => {
    expect([name, outputSchema?.type, (description ?? '').length > 40]).toEqual([name, 'object', true]);
    const { readOnlyHint, destructiveHint, idempotentHint } = annotations;
    return [name, readOnlyHint, destructiveHint ?? false, idempotentHint];
  });
  expect(annotated).toEqual([
    ['list_providers', true, false, true],
    ['list_connectors', true, false, true],
    ['suggest_connector', true, false, true],
    ['list_apps', true, false, true],
    ['connection_overview', true, false, true],
    ['check_connector', true, false, true],
    ['code_for', true, false, true],
    ['add_connector', false, false, false],
    ['edit_connector', false, true, true],
    ['delete_connector', false, true, true],
    ['connector_request_status', true, false, true],
  ]);
  const keys: string[] = [];
  for (let [after, pages]: [string | undefined, number] = [undefined, 0]; pages < 5; pages += 1) {
    const args: Record<string, unknown> = { first: 25, ...(after !== undefined && { after }) };
    const page: ProviderPage = resultOf<ProviderPage>(await chat.call('list_providers', args));
    keys.push(...page.providers.map(({ key }) => key));
    if (page.nextCursor === null) break;
    after = page.nextCursor;
  }
  expect(keys.length).toBe(new Set(keys).size);
  expect(keys).toHaveLength(readdirSync('src/providers/entries').length + 1);
  const { providers } = resultOf<{ providers: object[] }>(await chat.call('list_providers', { key: 'slack' }));
  expect(providers).toMatchObject([{ key: 'slack', scopes: expect.any(Array), setupSteps: expect.any(Array) }]);
  expect(await chat.call('list_providers', { key: 'none' })).toMatchObject({ error: { code: 'NOT_FOUND' } });
  for (const tool of ['list_providers', 'list_connectors', 'list_apps']) {
    const { error } = await chat.call(tool, { after: 'nonsense' });
    expect([tool, error]).toMatchObject([tool, { code: 'VALIDATION', message: expect.stringContaining('no cursor') }]);
  }

  const { resources } = await client.listResources();
  const pages = readdirSync('docs/troubleshooting').map((name) => `docs://pages/troubleshooting/${name}`);
  expect(resources.map(({ uri }) => uri)).toEqual(expect.arrayContaining(['docs://schema.graphql', ...pages]));
  for (const { uri } of resources) {
    const [content] = (await client.readResource({ uri })).contents;
    expect(content && 'text' in content && content.text.length).toBeGreaterThan(200);
  }
  await expect(client.readResource({ uri: 'docs://pages/../package.json' })).rejects.toThrow('There is no such page');
  await expect(client.readResource({ uri: 'docs://pages/..%2Fpackage.json' })).rejects.toThrow('There is no such page');
  const { prompts } = await client.listPrompts();
  expect(prompts.map(({ name }) => name)).toEqual(['scheduling', 'sales', 'content-planning']);
  const { messages } = await client.getPrompt({ name: 'sales' });
  expect(JSON.stringify(messages)).toContain('suggest_connector');
});

test('51. at the door: who is nobody is told how to sign in, and pages of other origins, other people’s sessions and large bodies are refused', async () => {
  const issuer = await startIssuer('admins');
  const { service, url } = await startListening({
    ADMIN_ISSUER: issuer.issuer,
    ADMIN_AUDIENCE: 'admins',
    ADMIN_JWKS_URL: issuer.jwksUrl,
  });
  const workspace = await createWorkspace(service);
  const headers = {
    authorization: `Bearer ${workspace.ownerKey}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
  const post = (more: Record<string, string> = {}, body = list) =>
    fetch(`${url}/mcp`, { method: 'POST', headers: { ...headers, ...more }, body });
  expect((await post()).status).toBe(200); // without a session, and without having begun one
  const nobody = await post({ authorization: 'Bearer wsk_unknown' });
  const metadataUrl = `${url}/.well-known/oauth-protected-resource/mcp`;
  expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([
    401,
    `Bearer realm="mcp", error="invalid_token", resource_metadata="${metadataUrl}"`,
  ]);
  expect(await nobody.json()).toMatchObject({ error: { data: { code: 'UNAUTHENTICATED' } } });
  expect(await (await fetch(metadataUrl)).json()).toMatchObject({
    resource: `${url}/mcp`,
    authorization_servers: [issuer.issuer],
  });
  expect((await post({ origin: 'https://evil.example.com' })).status).toBe(403);
  expect((await post({ origin: url })).status).toBe(200);
  expect((await post({}, JSON.stringify({ much: 'x'.repeat(300_000) }))).status).toBe(413);
  expect((await post({}, '{')).status).toBe(400);
  expect((await fetch(`${url}/mcp`, { headers })).status).toBe(405);

  const asking = await openChat(url, workspace.ownerKey, { answer: () => ({ action: 'cancel' }) });
  const { sessionId } = asking.transport;
  const own = { 'mcp-session-id': sessionId ?? '', 'mcp-protocol-version': '2025-11-25' };
  expect((await post(own)).status).toBe(200);
  const another = await createWorkspace(service);
  expect((await post({ ...own, authorization: `Bearer ${another.ownerKey}` })).status).toBe(404);
  // a person's own token: as of each request
  const operator = { authorization: `Bearer ${operatorKey}` };
  expect((await post(operator)).status).toBe(200);
  await asking.transport.terminateSession();
  expect((await post(own)).status).toBe(404);
});

test('51. the form: once, in time, from its own page, and as far as the one who asked still may', async () => {
  const { service, url, workspace, chat } = await openOwnersChat();
  const filled = { name: 'Calendar', kind: 'APP_USER', clientId: 'client-1', clientSecret: 'canary-of-the-form' };
  const ask = async (from = chat) => {
    const args = { ...calendar, kind: 'APP_USER', another: true };
    const { request } = resultOf<ConnectorRequestAnswer>(await from.call('add_connector', args));
    const { requestId, link } = request ?? { requestId: '', link: '' };
    const token = new URL(link).searchParams.get('token') ?? '';
    const status = async () =>
      resultOf<{ status: string }>(await chat.call('connector_request_status', { requestId })).status;
    const send = async (
      decision: string,
      fields: Record<string, string> = {},
      headers: Record<string, string> = {},
    ) => {
      const response = await sendForm(url, { token, decision, ...filled, ...fields }, headers);
      return [response.status, /data-status="(\w+)"/.exec(await response.text())?.[1]];
    };
    return { link, token, status, send };
  };
  const first = await ask();
  const shown = await fetch(first.link);
  expect(shown.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect([shown.headers.get('cache-control'), shown.headers.get('referrer-policy')]).toEqual([
    'no-store',
    'same-origin',
  ]);
  expect(await first.send('approve', {}, { origin: 'https://evil.example.com' })).toEqual([403, undefined]);
  expect(await first.send('approve', {}, { origin: 'null' })).toEqual([403, undefined]);
  expect(await first.send('approve', { token: 'guessed' })).toEqual([404, 'UNKNOWN']);
  for (const wrong of [{ clientSecret: '' }, { clientId: ' ' }, { name: '' }, { kind: 'BOTH' }, { clientId: 'ä' }]) {
    expect(await first.send('approve', wrong)).toEqual([422, 'VALIDATION']);
  }
  expect(await first.send('perhaps')).toEqual([422, 'VALIDATION']);
  const refused = await sendForm(url, { token: first.token, decision: 'approve', ...filled, name: '' });
  const page = await refused.text();
  expect([page.includes('client-1'), page.includes(filled.clientSecret)]).toEqual([true, false]);
  expect(await first.status()).toBe('OPEN');
  expect(await first.send('later')).toEqual([200, 'POSTPONED']);
  service.clock.advance(2 * 3_600_000);
  expect(await first.status()).toBe('POSTPONED');
  const sent = await Promise.all([1, 2, 3].map(() => first.send('approve', { kind: 'SHARED' })));
  expect(sent.filter(([status]) => status === 200)).toHaveLength(1);
  expect(sent.filter(([status]) => status === 404)).toHaveLength(2);
  const { connectors } = resultOf<{ connectors: object[] }>(await chat.call('list_connectors'));
  expect(connectors).toMatchObject([{ kind: 'SHARED', clientId: 'client-1', isSetUp: true }]);
  expect(await first.send('reject')).toEqual([404, 'APPROVED']);

  const second = await ask();
  expect(await second.send('reject')).toEqual([200, 'REJECTED']);
  expect(await second.send('approve')).toEqual([404, 'REJECTED']);
  const third = await ask();
  service.clock.advance(3_600_000);
  expect([await third.send('approve'), await third.status()]).toEqual([[404, 'EXPIRED'], 'EXPIRED']);

  // the right is that of the key, as it is when the form is sent
  const key = await createWorkspaceKey(service, workspace.id, 'ADMIN');
  const fourth = await ask(await openChat(url, key));
  const keys = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { keys { edges { node { id name } } } } }`,
    { id: workspace.id },
    workspace.owner,
  );
  const { edges } = field<{ keys: { edges: { node: { id: string; name: string } }[] } }>(keys, 'workspace').keys;
  const workspaceKeyId = edges.find(({ node }) => node.name === 'ADMIN')?.node.id;
  await service.graphql(
    `mutation ($input: RevokeWorkspaceKeyInput!) { revokeWorkspaceKey(input: $input) { __typename } }`,
    { input: { workspaceKeyId } },
    workspace.owner,
  );
  expect(await fourth.send('approve')).toEqual([403, 'FORBIDDEN']);
  expect((await fetch(fourth.link)).status).toBe(403);

  // an edit by form: another secret for the same client
  const connectorId = (connectors[0] as { id: string }).id;
  const edit = resultOf<ConnectorRequestAnswer>(await chat.call('edit_connector', { connectorId, newClient: true }));
  const token = new URL(edit.request?.link ?? '').searchParams.get('token') ?? '';
  const blank = await sendForm(url, { token, decision: 'approve', name: 'Calendar', clientId: '', clientSecret: '' });
  expect(blank.status).toBe(422);
  const changed = await sendForm(url, {
    token,
    decision: 'approve',
    name: 'Other',
    clientId: '',
    clientSecret: 'canary-2',
  });
  expect(changed.status).toBe(200);
  expect(resultOf(await chat.call('list_connectors', { search: 'Other' }))).toMatchObject({
    connectors: [{ id: connectorId, clientId: 'client-1' }],
  });
  const told = (await chat.transcript()) + service.logs.join('\n');
  for (const secret of [filled.clientSecret, 'canary-2', workspace.ownerKey]) expect(told).not.toContain(secret);
  expect(service.logs.join('\n')).not.toContain(token);
  // links do not pile up
  const asked = await Promise.all(
    Array.from({ length: 22 }, () => chat.call('add_connector', { ...calendar, kind: 'APP_USER', another: true })),
  );
  expect(asked.filter(({ error }) => error?.code === 'RATE_LIMITED').length).toBeGreaterThan(0);
});
