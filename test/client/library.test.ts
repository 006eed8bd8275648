import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EdgeVM } from '@edge-runtime/vm';
import { build } from 'esbuild';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, createClient } from '../../src/client/client.ts';
import * as errors from '../../src/client/connector-error.ts';
import { createClientFromRequest, type ServerClient } from '../../src/client/server.ts';
import { startService } from '../support/harness.ts';
import { consentAt, type ConsentChoice } from '../support/local-provider.ts';
import { freePort } from '../support/ports.ts';
import { deleteConnector, editConnector, expiredMs, type Scene, setPlan, setScene } from '../support/scene.ts';
import { addCustomConnector, startServer } from '../support/stage.ts';
import { setSharedStage, connectSharedAs } from '../support/shared-account.ts';
import { listen } from '../support/streams.ts';

vi.setConfig({ testTimeout: 60_000 });

type GetToken = Parameters<typeof createClient>[0]['getToken'];

/** Where the service listens. */
async function urlOf({ service }: Pick<Scene, 'service'>): Promise<string> {
  return new URL((await listen(service)).http).origin;
}

function userClient(scene: Pick<Scene, 'app'>, url: string, getToken: GetToken): Client {
  return createClient({ url, appId: scene.app.id, getToken, webSocket: WebSocket });
}

function backendClient(scene: Pick<Scene, 'app'>, url: string, token: string): ServerClient {
  const request = new Request('https://app.example.com/functions/any', {
    headers: { authorization: `Bearer ${token}` },
  });
  return createClientFromRequest(request, { url, appKey: scene.app.key });
}

/** Consents at the provider, and answers the address that the flow comes back to. */
async function consent(url: string, redirectUrl: string, choice: ConsentChoice = {}): Promise<string> {
  const callback = new URL(await consentAt(redirectUrl, choice));
  const { pathname, search } = callback;
  const response = await fetch(`${url}${pathname}${search}`, { redirect: 'manual' });
  await response.body?.cancel();
  return response.headers.get('location') ?? '';
}

async function connectWith(client: Client, url: string, connectorId: string, choice: ConsentChoice = {}) {
  const { redirectUrl } = await client.connectors.connectAppUser(connectorId);
  return client.connectors.completeConnection(await consent(url, redirectUrl, choice));
}

async function nextOf<T>(events: AsyncIterator<T>): Promise<T> {
  const { done, value } = await events.next();
  if (done) throw new Error('The stream has ended.');
  return value;
}

test('58. list, connect, complete, follow the status, read the token, disconnect: the journey through the library', async () => {
  const scene = await setScene(await startService());
  const { app, connector, provider } = scene;
  const url = await urlOf(scene);
  const token = await app.identityToken('one');
  const client = userClient(scene, url, () => token);
  const { connectors } = client;
  expect(await connectors.list()).toMatchObject([
    { id: connector.id, name: 'Calendar', currentUserConnection: { status: 'NOT_CONNECTED', account: null } },
  ]);
  const events = connectors.status(connector.id)[Symbol.asyncIterator]();
  expect(await nextOf(events)).toMatchObject({ connectorId: connector.id, status: 'NOT_CONNECTED' });

  const started = await connectors.connectAppUser(connector.id, { returnTo: '/settings', mode: 'url' });
  expect(started.binding).toBe('CODE');
  const address = await consent(url, started.redirectUrl, { account: 'green' });
  expect(address).toContain(`${app.origin}/settings?`);
  expect(await connectors.completeConnection(address)).toMatchObject({
    connectorId: connector.id,
    connection: { status: 'CONNECTED', account: { email: 'green@example.com' } },
  });
  expect(await nextOf(events)).toMatchObject({
    status: 'CONNECTED',
    connection: { account: { email: 'green@example.com' } },
  });

  const backend = backendClient(scene, url, token).connectors;
  const read = await backend.getCurrentAppUserConnection(connector.id, { minValiditySeconds: 30 });
  expect(read).toMatchObject({ tokenType: 'Bearer', missingScopes: [], connection: { status: 'CONNECTED' } });
  const answer = await backend.fetchAsCurrentAppUser(connector.id, provider.eventsUrl);
  expect([answer.status, await answer.json()]).toMatchObject([200, { account: 'green@example.com' }]);

  // the same on an edge platform, which has web APIs and nothing of Node's
  const { outputFiles } = await build({
    stdin: { contents: "export * from './server.ts';", resolveDir: 'src/client', loader: 'ts' },
    bundle: true,
    format: 'iife',
    globalName: 'Connectors',
    platform: 'neutral',
    write: false,
  });
  const edge = new EdgeVM();
  expect(edge.evaluate('typeof process + typeof require')).toBe('undefinedundefined');
  edge.evaluate(outputFiles[0]?.text ?? '');
  const onEdge = await edge.evaluate<Promise<unknown>>(`(async () => {
    const request = new Request('https://app.example.com/', { headers: { authorization: 'Bearer ${token}' } });
    const { connectors } = Connectors.createClientFromRequest(request, { url: '${url}', appKey: '${app.key}' });
    const { accessTokenFingerprint } = await connectors.getCurrentAppUserConnection('${connector.id}');
    const answer = await connectors.fetchAsCurrentAppUser('${connector.id}', '${provider.eventsUrl}');
    const refused = await connectors.getSharedConnection('Connector_none').catch((error) => error.code);
    return [accessTokenFingerprint, (await answer.json()).account, refused];
  })()`);
  expect(onEdge).toEqual([read.accessTokenFingerprint, 'green@example.com', 'NOT_FOUND']);

  await editConnector(scene, { scopes: ['openid', 'email', 'calendar.read', 'calendar.write'] });
  expect(await nextOf(events)).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' });
  const outdated = await backend.getCurrentAppUserConnection(connector.id, { acceptOutdatedScopes: true });
  expect(outdated).toMatchObject({ accessToken: read.accessToken, missingScopes: ['calendar.write'] });
  expect(await connectors.disconnectAppUser(connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  expect(await nextOf(events)).toMatchObject({ status: 'NOT_CONNECTED' });
  await events.return?.();
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('31. a token that the provider refuses with 401 is told, and the call repeated once with another one', async () => {
  const scene = await setScene(await startService());
  const { app, connector, provider } = scene;
  const url = await urlOf(scene);
  const token = await app.identityToken('one');
  await connectWith(
    userClient(scene, url, () => token),
    url,
    connector.id,
  );
  const shown: string[] = [];
  const bodies: string[] = [];
  const api = await startServer((request, response) => {
    shown.push(request.headers.authorization ?? '');
    const status = shown.length === 1 ? 401 : 201;
    request.setEncoding('utf8').on('data', (chunk: string) => bodies.push(chunk));
    request.on('end', () => response.writeHead(status).end('answered'));
  });
  const { connectors } = backendClient(scene, url, token);
  const response = await connectors.fetchAsCurrentAppUser(connector.id, api.origin, {
    method: 'POST',
    body: 'an event',
  });
  expect([response.status, await response.text()]).toEqual([201, 'answered']);
  expect(bodies).toEqual(['an event', 'an event']);
  expect(new Set(shown).size).toBe(2);
  expect(provider.counts.refresh_token).toBe(1);
});

test('44. the account that an app shares is read with the app’s key alone', async () => {
  const stage = await setSharedStage();
  const url = await urlOf(stage);
  const { connectors } = createClientFromRequest(new Request('https://app.example.com/'), {
    url,
    appKey: stage.app.key,
  });
  await expect(connectors.getSharedConnection(stage.connector.id)).rejects.toBeInstanceOf(errors.NotConnectedError);
  await connectSharedAs(stage, 'anna');
  expect(await connectors.getSharedConnection(stage.connector.id)).toMatchObject({
    connection: { status: 'CONNECTED' },
  });
  const answer = await connectors.fetchAsSharedAccount(stage.connector.id, stage.provider.eventsUrl);
  expect(answer.status).toBe(200);
  await answer.body?.cancel();
});

test('38. a status stream comes back by itself after the service has restarted, with what is true then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'client-restart-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const env = { DATA_DIR: folder, PORT: String(await freePort()) };
  const first = await startService(env);
  const scene = await setScene(first);
  const url = await urlOf(scene);
  const token = await scene.app.identityToken('one');
  const states: string[] = [];
  const client = createClient({
    url,
    appId: scene.app.id,
    getToken: () => token,
    webSocket: WebSocket,
    onStreamState: (state) => states.push(state),
  });
  await connectWith(client, url, scene.connector.id);
  const events = client.connectors.status(scene.connector.id)[Symbol.asyncIterator]();
  expect(await nextOf(events)).toMatchObject({ status: 'CONNECTED' });
  await first.app.stop();

  const second = await startService(env);
  const after = { ...scene, service: second };
  await editConnector(after, { scopes: ['openid', 'email', 'calendar.write'] });
  await listen(second);
  expect(await nextOf(events)).toMatchObject({ status: 'RECONNECT_REQUIRED', missingScopes: ['calendar.write'] });
  await deleteConnector(after);
  expect(await nextOf(events)).toMatchObject({ status: 'UNAVAILABLE', problem: { code: 'NOT_FOUND' } });
  expect(states.slice(0, 3)).toEqual(['connecting', 'live', 'waiting']);
  expect(states.at(-1)).toBe('live');
  await events.return?.();
});

describe('40. when the identity token of a stream has expired', () => {
  async function watch(later: (scene: Scene, short: string) => Promise<(string | null)[]>) {
    const scene = await setScene(await startService());
    const url = await urlOf(scene);
    const short = await scene.app.identityToken('one', { expiresIn: 2 });
    const tokens = [short, ...(await later(scene, short))];
    const rejected: (string | null)[] = [];
    const client = userClient(scene, url, ({ rejectedToken }) => {
      if (rejectedToken !== null) {
        rejected.push(rejectedToken);
        tokens.shift();
      }
      return tokens[0] ?? null;
    });
    const events = client.connectors.status(scene.connector.id)[Symbol.asyncIterator]();
    expect(await nextOf(events)).toMatchObject({ status: 'NOT_CONNECTED' });
    return { scene, url, client, events, short, rejected };
  }

  test('getToken is asked for another one, and the stream goes on', async () => {
    const { scene, url, client, events, short, rejected } = await watch(async ({ app }) => [
      await app.identityToken('one'),
    ]);
    expect(await nextOf(events)).toMatchObject({ status: 'NOT_CONNECTED' });
    await connectWith(client, url, scene.connector.id);
    expect(await nextOf(events)).toMatchObject({ status: 'CONNECTED' });
    expect(rejected).toEqual([short]);
    await events.return?.();
  });

  test('it ends without an error where nobody is signed in any more', async () => {
    const { events } = await watch(async () => []);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('it ends with UnauthenticatedError where the app has no other', async () => {
    const { events } = await watch(async (_scene, short) => [short]);
    await expect(events.next()).rejects.toBeInstanceOf(errors.UnauthenticatedError);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});

test('38. the callback form hears the same, and nothing after it was stopped; a signed-out user hears the end', async () => {
  const scene = await setScene(await startService());
  const url = await urlOf(scene);
  const token = await scene.app.identityToken('one');
  const { connectors } = userClient(scene, url, () => token);
  const heard: string[] = [];
  const stop = connectors.status(scene.connector.id, ({ status }) => heard.push(status));
  await expect.poll(() => heard).toEqual(['NOT_CONNECTED']);
  stop();
  const witness = connectors.status(scene.connector.id)[Symbol.asyncIterator]();
  await nextOf(witness);
  await connectWith({ connectors }, url, scene.connector.id);
  expect(await nextOf(witness)).toMatchObject({ status: 'CONNECTED' });
  await witness.return?.();
  expect(heard).toEqual(['NOT_CONNECTED']);

  const signedOut = userClient(scene, url, () => null);
  await new Promise<void>((complete) => {
    signedOut.connectors.status(scene.connector.id, { next: ({ status }) => heard.push(status), complete });
  });
  expect(heard).toEqual(['NOT_CONNECTED']);
});

describe('36. every expected failure is a class with a code, a sentence and a remedy', () => {
  test('each code of the schema has its class', async () => {
    const schema = readFileSync('schema.graphql', 'utf8');
    const [, values = ''] = /^enum ErrorCode \{(.*?)^\}/ms.exec(schema) ?? [];
    const codes = [...values.matchAll(/^ {2}([A-Z_]+)$/gm)].map(([, code]) => code ?? '');
    expect(codes.length).toBeGreaterThan(15);
    const { connectors } = createClient({ url: 'http://localhost', appId: 'App_1', getToken: () => null });
    for (const code of codes) {
      const address = `https://app.example.com/?connector_id=c1&connection_error=${code}`;
      const error: unknown = await connectors.completeConnection(address).catch((thrown: unknown) => thrown);
      if (!errors.isConnectorError(error)) throw new Error(`${code}: no error`);
      const words = code.split('_').map((word) => word.charAt(0) + word.slice(1).toLowerCase());
      expect([error.code, error.name, error.connectorId]).toEqual([code, `${words.join('')}Error`, 'c1']);
      expect(error.message).toMatch(/\.$/);
    }
  });

  test('for users', async () => {
    const scene = await setScene(await startService());
    const { app, service, workspace, connector } = scene;
    const url = await urlOf(scene);
    const token = await app.identityToken('one');
    const { connectors } = userClient(scene, url, () => token);
    const draft = await addCustomConnector(service, workspace, {
      clientId: undefined,
      clientSecret: undefined,
      custom: { discovery: { issuer: scene.provider.issuer } },
    });
    await expect(connectors.disconnectAppUser(connector.id)).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
    await expect(connectors.connectAppUser('Connector_nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(connectors.connectAppUser(draft)).rejects.toBeInstanceOf(errors.ConnectorIncompleteError);
    const elsewhere = connectors.connectAppUser(connector.id, { returnTo: 'https://elsewhere.example.org/' });
    await expect(elsewhere).rejects.toMatchObject({ code: 'VALIDATION', fields: [{ path: 'input.returnTo' }] });
    const stranger = userClient(scene, url, () => 'no-token');
    await expect(stranger.connectors.list()).rejects.toBeInstanceOf(errors.UnauthenticatedError);
    await expect(stranger.connectors.connectAppUser(connector.id)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const nobody = userClient(scene, url, () => null);
    await expect(nobody.connectors.list()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'Sign in first.',
    });

    const denied = connectWith({ connectors }, url, connector.id, { decision: 'deny' });
    await expect(denied).rejects.toMatchObject({ code: 'CONSENT_DENIED', remedy: { actor: 'USER' } });
    const { redirectUrl } = await connectors.connectAppUser(connector.id);
    const address = await consent(url, redirectUrl);
    const two = await app.identityToken('two');
    const other = userClient(scene, url, () => two);
    await expect(other.connectors.completeConnection(address)).rejects.toMatchObject({
      code: 'FLOW_MISMATCH',
      connectorId: connector.id,
      remedy: { actor: 'USER' },
    });
    await expect(connectors.completeConnection(address)).rejects.toBeInstanceOf(errors.FlowExpiredError);

    await setPlan(scene, 'FREE');
    await expect(connectors.connectAppUser(connector.id)).rejects.toMatchObject({
      code: 'PLAN_REQUIRED',
      requiredPlan: 'BUILDER',
      currentPlan: 'FREE',
    });
  });

  test('for a flow that the provider ends', async () => {
    const scene = await setScene(await startService());
    const { app, connector, provider } = scene;
    const url = await urlOf(scene);
    const token = await app.identityToken('one');
    const { connectors } = userClient(scene, url, () => token);
    const told: unknown[] = [];
    for (const error of [
      'access_denied',
      'unauthorized_client',
      'invalid_scope',
      'redirect_uri_mismatch',
      'org_internal',
      'server_error',
    ]) {
      const { redirectUrl } = await connectors.connectAppUser(connector.id);
      const { searchParams: asked } = new URL(redirectUrl);
      const { pathname } = new URL(asked.get('redirect_uri') ?? '');
      const query = new URLSearchParams({ state: asked.get('state') ?? '', error, iss: provider.issuer });
      const back = await fetch(`${url}${pathname}?${query.toString()}`, { redirect: 'manual' });
      await back.body?.cancel();
      const ended = connectors.completeConnection(back.headers.get('location') ?? '');
      const thrown = await ended.catch((reason: unknown) => reason as errors.AnyConnectorError);
      if (thrown instanceof Error) told.push([error, thrown.name, thrown.connectorId, thrown.remedy?.actor]);
    }
    expect(told).toEqual([
      ['access_denied', 'ConsentDeniedError', connector.id, 'USER'],
      ['unauthorized_client', 'InvalidClientError', connector.id, 'ADMIN'],
      ['invalid_scope', 'InvalidScopeError', connector.id, 'ADMIN'],
      ['redirect_uri_mismatch', 'RedirectUriMismatchError', connector.id, 'ADMIN'],
      ['org_internal', 'ProviderTestingModeError', connector.id, 'ADMIN'],
      ['server_error', 'ProviderUnavailableError', connector.id, 'PROVIDER'],
    ]);
    // a page of nobody's, and a provider that is switched off
    const foreign = createClient({
      url,
      appId: app.id,
      getToken: () => token,
      fetch: (input, init) => {
        const headers = new Headers(init?.headers);
        headers.set('origin', 'https://elsewhere.example.com');
        return fetch(input, { ...init, headers });
      },
    });
    await expect(foreign.connectors.connectAppUser(connector.id)).rejects.toBeInstanceOf(errors.ForbiddenError);
    await setPlan(scene, 'ENTERPRISE');
    await scene.service.graphql(
      'mutation ($input: SetProviderAvailabilityInput!) { setProviderAvailability(input: $input) { __typename } }',
      {
        input: {
          workspaceId: scene.workspace.id,
          providerKey: 'custom',
          kind: 'APP_USER',
          available: false,
          confirm: true,
        },
      },
      { authorization: `Bearer ${scene.workspace.ownerKey}` },
    );
    await expect(connectors.connectAppUser(connector.id)).rejects.toBeInstanceOf(errors.ConnectorDisabledError);
  });

  test('for backend functions', async () => {
    const scene = await setScene(await startService());
    const { app, connector, provider, service } = scene;
    const url = await urlOf(scene);
    const token = await app.identityToken('one', { expiresIn: 86_400 });
    const { connectors } = backendClient(scene, url, token);
    const read = () => connectors.getCurrentAppUserConnection(connector.id);
    await expect(read()).rejects.toBeInstanceOf(errors.NotConnectedError);
    await expect(connectors.getSharedConnection('Connector_nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const noUser = createClientFromRequest(new Request('https://app.example.com/'), { url, appKey: app.key });
    await expect(noUser.connectors.getCurrentAppUserConnection(connector.id)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const request = { headers: new Headers({ authorization: `Bearer ${token}` }) };
    const wrongKey = createClientFromRequest(request, { url, appKey: 'apk_wrong' });
    await expect(wrongKey.connectors.getCurrentAppUserConnection(connector.id)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });

    await connectWith(
      userClient(scene, url, () => token),
      url,
      connector.id,
    );
    service.clock.advance(expiredMs);
    const restore = provider.around(async (ctx, next) => {
      if (ctx.path === '/token') ctx.status = 503;
      else await next();
    });
    await expect(read()).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      retryAfterSeconds: expect.any(Number),
    });
    restore();
    await editConnector(scene, { scopes: ['openid', 'calendar.write'] });
    await expect(read()).rejects.toMatchObject({
      code: 'RECONNECT_REQUIRED',
      reconnectReason: 'SCOPES_CHANGED',
      missingScopes: ['calendar.write'],
    });
  });

  test('where the service is not there, or something else is', async () => {
    const getToken = () => 'token';
    const gone = createClient({ url: `http://127.0.0.1:${await freePort()}`, appId: 'App_1', getToken });
    const error: unknown = await gone.connectors.list().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(errors.ServiceUnavailableError);
    expect((error as Error).cause).toBeInstanceOf(TypeError);
    const page = await startServer((_request, response) => response.end('<h1>Hello</h1>'));
    const other = createClient({ url: page.origin, appId: 'App_1', getToken });
    await expect(other.connectors.list()).rejects.toMatchObject({ code: 'UNEXPECTED_ANSWER' });
    const later = await startServer((_request, response) => response.writeHead(503).end('later'));
    const busy = createClient({ url: later.origin, appId: 'App_1', getToken });
    await expect(busy.connectors.list()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  });
});

test('the browser’s entry stays below 10 kB, compressed; what is not imported is not in the bundle', async () => {
  const sizeOf = async (contents: string) => {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: 'src/client', loader: 'ts' },
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      write: false,
    });
    return gzipSync(outputFiles[0]?.contents ?? '').byteLength;
  };
  const [client, server, element] = await Promise.all([
    sizeOf("export * from './client.ts';"),
    sizeOf("export * from './server.ts';"),
    sizeOf("import './element.ts';"),
  ]);
  expect(client).toBeLessThan(10_000);
  expect(server).toBeLessThan(4_000);
  expect(element).toBeLessThan(5_000);
  expect(
    await sizeOf("import { isConnectorError } from './client.ts'; console.log(isConnectorError(0));"),
  ).toBeLessThan(400);
});
