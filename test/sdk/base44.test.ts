import { Base44Error, createClient } from '@base44/sdk';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  operatorKey,
  startProvider,
} from '../support/harness.ts';
import { completeConnection, connectByCookie, createBrowser, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { deleteConnector, editConnector, expiredMs, readAs, setPlan } from '../support/scene.ts';
import { connectSharedAs, readShared, setSharedStage } from '../support/shared-account.ts';
import { setStage, type Stage } from '../support/stage.ts';

vi.setConfig({ testTimeout: 120_000 });

// it prints every error that it throws
beforeEach(() => {
  const silent = vi.spyOn(console, 'error').mockImplementation(() => {});
  return () => silent.mockRestore();
});

/** A stage whose service listens, and the SDK as each part of the app has it. */
async function setSdkStage<T extends Stage>(stage: T) {
  const { url: serverUrl } = await stage.service.app.listen();
  const { app } = stage;
  const client = (token?: string, serviceToken?: string, appId = app.id) =>
    createClient({ serverUrl, appId, ...(token && { token }), ...(serviceToken && { serviceToken }) });
  return {
    ...stage,
    serverUrl,
    client,
    /** As a page has it. */
    frontend: async (userId: string) => client(await app.identityToken(userId)).connectors,
    /** As a backend function has it, on behalf of a user. */
    backend: async (userId: string) => client(await app.identityToken(userId), app.key).asServiceRole.connectors,
    /** The same, with the app's key alone. */
    alone: client(undefined, app.key).asServiceRole.connectors,
  };
}

/** The error that a call ends with, as the SDK tells it. */
async function refusal(call: Promise<unknown>): Promise<[status: number, code: string]> {
  const error = await call.then(
    (value) => expect.unreachable(`answered ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Base44Error)) throw error;
  expect(error.message).not.toMatch(/^Request failed/);
  expect(error.data).toEqual({
    detail: error.message,
    code: error.code,
    error: { code: error.code, message: error.message },
  });
  return [error.status, error.code];
}

describe('57. @base44/sdk, unmodified', () => {
  test('connects a user, reads their token in a backend function, and disconnects', async () => {
    const stage = await setSdkStage(await setStage());
    const { service, app, connector, provider } = stage;
    const redirectUrl = await (await stage.frontend('one')).connectAppUser(connector.id);
    expect(redirectUrl.startsWith(provider.issuer)).toBe(true);

    // no page began, so no cookie proves who comes back: the person who began completes it
    const back = await createBrowser().open(service, await consentAt(redirectUrl, { account: 'green' }));
    const { url, params } = returnOf(back);
    expect(new URL(url).origin).toBe(app.origin);
    const completed = await completeConnection(service, await app.user('one'), params.connect_code ?? '');
    expect(field(completed, 'completeConnection')).toMatchObject({ connection: { status: 'CONNECTED' } });

    const backend = await stage.backend('one');
    const connection = await backend.getCurrentAppUserConnection(connector.id);
    const same = await readAs(stage, 'one');
    expect(connection).toEqual({ accessToken: same.accessToken, connectionConfig: null });
    expect(await backend.getCurrentAppUserAccessToken(connector.id)).toBe(same.accessToken);
    const authorization = `Bearer ${connection.accessToken}`;
    const events = await fetch(provider.eventsUrl, { headers: { authorization } });
    expect(await events.json()).toMatchObject({ account: expect.stringContaining('green') });

    await (await stage.frontend('one')).disconnectAppUser(connector.id);
    expect(await refusal(backend.getCurrentAppUserConnection(connector.id))).toEqual([404, 'NOT_CONNECTED']);
    expect(await refusal((await stage.frontend('one')).disconnectAppUser(connector.id))).toEqual([
      404,
      'NOT_CONNECTED',
    ]);
  });

  test('32, 36. getCurrentAppUserConnection: each refusal with its own status and code', async () => {
    const stage = await setSdkStage(await setStage({ accessTokenSeconds: 300 }));
    const { service, app, connector, client } = stage;
    await connectByCookie(service, await app.browser('one'), connector.id);
    const one = await app.identityToken('one');
    const read = (token?: string, key = app.key, id = connector.id, appId = app.id) =>
      client(token, key, appId).asServiceRole.connectors.getCurrentAppUserConnection(id);

    expect(await read(one)).toMatchObject({ accessToken: expect.any(String) });
    expect(await refusal(read())).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(read(await app.identityToken('one', { expiresIn: -1 })))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(read(await app.identityToken('one', { audience: 'other' })))).toEqual([
      401,
      'UNAUTHENTICATED',
    ]);
    expect(await refusal(read(one, 'apk_unknown'))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(read(one, stage.workspace.ownerKey))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(read(one, operatorKey))).toEqual([401, 'UNAUTHENTICATED']);
    // what a browser has
    expect(await refusal(read(one, one))).toEqual([403, 'FORBIDDEN']);
    expect(await refusal(read(await app.identityToken('two')))).toEqual([404, 'NOT_CONNECTED']);
    expect(await refusal(read(one, app.key, 'Connector_none'))).toEqual([404, 'NOT_FOUND']);
    expect(await refusal(read(one, app.key, '../../../x'))).toEqual([404, 'NOT_FOUND']);

    const elsewhere = await createTestApp(service, await createWorkspace(service), []);
    const foreign = client(await elsewhere.identityToken('one'), elsewhere.key, elsewhere.id).asServiceRole.connectors;
    expect(await refusal(foreign.getCurrentAppUserConnection(connector.id))).toEqual([404, 'NOT_FOUND']);
    expect(await refusal(read(await elsewhere.identityToken('one'), elsewhere.key))).toEqual([404, 'NOT_FOUND']);

    await editConnector(stage, { scopes: ['openid', 'email', 'calendar.read', 'calendar.write'] });
    expect(await refusal(read(one))).toEqual([409, 'RECONNECT_REQUIRED']);
    await editConnector(stage, { scopes: ['openid', 'email', 'calendar.read'] });
    await setPlan(stage, 'STARTER');
    expect(await refusal(read(one))).toEqual([403, 'PLAN_REQUIRED']);
    await setPlan(stage, 'BUILDER');

    await stage.provider.stop();
    service.clock.advance(expiredMs);
    expect(await refusal(read(await app.identityToken('one')))).toEqual([503, 'PROVIDER_UNAVAILABLE']);
    await deleteConnector(stage);
    expect(await refusal(read(await app.identityToken('one')))).toEqual([404, 'NOT_FOUND']);
  });

  test('5, 44. connectAppUser and disconnectAppUser: each refusal with its own status and code', async () => {
    const stage = await setSdkStage(await setStage());
    const { service, connector, client } = stage;
    const anonymous = client().connectors;
    expect(await refusal(anonymous.connectAppUser(connector.id))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(anonymous.disconnectAppUser(connector.id))).toEqual([401, 'UNAUTHENTICATED']);
    const otherApp = await createTestApp(service, stage.workspace, []);
    const stranger = client(await otherApp.identityToken('one')).connectors;
    expect(await refusal(stranger.connectAppUser(connector.id))).toEqual([401, 'UNAUTHENTICATED']);

    const page = await stage.frontend('one');
    expect(await refusal(page.connectAppUser('Connector_none'))).toEqual([404, 'NOT_FOUND']);
    expect(await refusal(page.disconnectAppUser('Connector_none'))).toEqual([404, 'NOT_FOUND']);
    const shared = await addTestConnector(service, stage.workspace, await startProvider(), ['openid'], 'SHARED');
    expect(await refusal(page.connectAppUser(shared.id))).toEqual([400, 'VALIDATION']);
    // the app has no page to come back to
    const homeless = client(await otherApp.identityToken('one'), undefined, otherApp.id).connectors;
    expect(await refusal(homeless.connectAppUser(connector.id))).toEqual([400, 'VALIDATION']);
    await setPlan(stage, 'FREE');
    expect(await refusal(page.connectAppUser(connector.id))).toEqual([403, 'PLAN_REQUIRED']);
  });

  test('44. getConnection and getWorkspaceConnection read the shared account with the app’s key alone; by provider only where one is meant', async () => {
    const stage = await setSdkStage(await setSharedStage());
    const { service, connector, alone, client } = stage;
    expect(await refusal(alone.getConnection('custom'))).toEqual([404, 'NOT_CONNECTED']);
    expect(await refusal(alone.getWorkspaceConnection(connector.id))).toEqual([404, 'NOT_CONNECTED']);
    await connectSharedAs(stage, 'anna');

    const { accessToken } = (await readShared(stage)) as { accessToken: string };
    expect(await alone.getWorkspaceConnection(connector.id)).toEqual({ accessToken, connectionConfig: null });
    expect(await alone.getConnection('custom')).toEqual({ accessToken, connectionConfig: null });
    expect(await alone.getAccessToken('custom')).toBe(accessToken);
    expect(await refusal(alone.getConnection('slack'))).toEqual([404, 'NOT_CONNECTED']);

    // one that nobody connected is in nobody's way
    const second = await addTestConnector(service, stage.workspace, await startProvider(), ['openid'], 'SHARED');
    expect(await alone.getConnection('custom')).toMatchObject({ accessToken });
    await connectSharedAs({ ...stage, connector: second }, 'anna');
    expect(await refusal(alone.getConnection('custom'))).toEqual([409, 'VALIDATION']);
    await expect(alone.getConnection('custom')).rejects.toThrow(`(${connector.id}, ${second.id})`);
    expect(await alone.getWorkspaceConnection(connector.id)).toMatchObject({ accessToken });

    const one = await stage.app.identityToken('one');
    const browser = client(one, one).asServiceRole.connectors;
    expect(await refusal(browser.getConnection('custom'))).toEqual([403, 'FORBIDDEN']);
    expect(await refusal(browser.getWorkspaceConnection(connector.id))).toEqual([403, 'FORBIDDEN']);
    const unknown = client(undefined, 'apk_unknown').asServiceRole.connectors;
    expect(await refusal(unknown.getConnection('custom'))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await refusal(unknown.getWorkspaceConnection(connector.id))).toEqual([401, 'UNAUTHENTICATED']);
    const otherApp = await createTestApp(service, stage.workspace, []);
    const other = client(undefined, otherApp.key, otherApp.id).asServiceRole.connectors;
    expect(await refusal(other.getConnection('custom'))).toEqual([404, 'NOT_CONNECTED']);
    expect(await refusal(other.getWorkspaceConnection(connector.id))).toEqual([404, 'NOT_CONNECTED']);
    // a user's connector is read for a user
    const own = await addTestConnector(service, stage.workspace, await startProvider(), ['openid']);
    expect(await refusal(alone.getWorkspaceConnection(own.id))).toEqual([400, 'VALIDATION']);
  });

  test('callApi is refused by type, since nothing is metered here', async () => {
    const stage = await setSdkStage(await setStage());
    const request = { path: '/2/tweets' };
    expect(await refusal(stage.alone.callApi('x', request))).toEqual([403, 'FORBIDDEN']);
    const one = await stage.app.identityToken('one');
    expect(await refusal(stage.client(one, one).asServiceRole.connectors.callApi('x', request))).toEqual([
      403,
      'FORBIDDEN',
    ]);
    const unknown = stage.client(undefined, 'apk_unknown').asServiceRole.connectors;
    expect(await refusal(unknown.callApi('x', request))).toEqual([401, 'UNAUTHENTICATED']);
  });

  test('a call that is not about connectors is told so', async () => {
    const stage = await setSdkStage(await setStage());
    const client = stage.client(await stage.app.identityToken('one'));
    expect(await refusal(client.integrations.Core.InvokeLLM({ prompt: 'x' }))).toEqual([404, 'NOT_FOUND']);
    expect(await refusal(client.auth.me())).toEqual([404, 'NOT_FOUND']);
  });
});

describe('the routes themselves', () => {
  test('a page of another origin may call without credentials, and a preflight names no app', async () => {
    const { service, app, connector } = await setStage();
    const url = `${service.config.publicUrl}/api/apps/${app.id}/app-user-auth/connectors/${connector.id}`;
    const preflight = await service.app.fetch(
      new Request(`${url}/initiate`, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://elsewhere.example.com',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,x-app-id,x-origin-url',
        },
      }),
    );
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
    expect(preflight.headers.get('access-control-allow-methods')).toContain('DELETE');
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/authorization.*x-origin-url/);

    // after authentication the page must be the app's own
    const send = async (method: string, path: string, headers: Record<string, string>) => {
      const response = await service.app.fetch(new Request(url + path, { method, headers }));
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('cache-control')).toBe('no-store');
      const body = (await response.json()) as Record<string, unknown>;
      return { status: response.status, body, headers: response.headers };
    };
    const foreign = { ...(await app.user('one')), origin: 'https://elsewhere.example.com' };
    expect(await send('POST', '/initiate', foreign)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });

    const begun = await send('POST', '/initiate', await app.browser('one'));
    expect(begun.body).toEqual({
      redirect_url: expect.stringContaining('http'),
      connection_id: expect.stringMatching(/^AppUserConnection_/),
      already_authorized: false,
    });
    expect(begun.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^__Host-connect-.*HttpOnly; SameSite=Lax; Secure$/),
    ]);
    // any other site's page, and no page at all, begin without a cookie
    const other = await send('POST', '/initiate', { ...(await app.browser('one')), 'sec-fetch-site': 'cross-site' });
    expect([other.status, other.headers.getSetCookie()]).toEqual([200, []]);

    await connectByCookie(service, await app.browser('one'), connector.id);
    const token = await send('GET', '/token', await app.backend('one'));
    expect(token.body).toEqual({
      access_token: expect.any(String),
      integration_type: 'custom',
      connection_config: null,
    });
    const ended = await send('DELETE', '', await app.browser('one'));
    expect(ended.body).toEqual({ status: 'disconnected', connector_id: connector.id });
    const wrong = await send('PUT', '', await app.browser('one'));
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'DELETE, OPTIONS']);
  });

  test('24. the person comes back to the page they were on, and never to a page that is not the app’s', async () => {
    const { service, app, connector } = await setStage();
    const returnFrom = async (page: string) => {
      const browser = createBrowser();
      const started = await service.app.fetch(
        new Request(
          `${service.config.publicUrl}/api/apps/${app.id}/app-user-auth/connectors/${connector.id}/initiate`,
          {
            method: 'POST',
            headers: { ...(await app.browser('one')), 'x-origin-url': page },
          },
        ),
      );
      browser.keep(started.headers);
      const { redirect_url: url } = (await started.json()) as { redirect_url: string };
      return returnOf(await browser.open(service, await consentAt(url))).url.split('?')[0];
    };
    expect(await returnFrom(`${app.origin}/settings?tab=2`)).toBe(`${app.origin}/settings`);
    for (const page of [
      'https://evil.example.com/',
      `${app.origin}.evil.example.com/`,
      '/settings',
      'javascript:x',
      '',
    ]) {
      expect(await returnFrom(page)).toBe(`${app.origin}/`);
    }
  });
});
