import { expect, test } from 'vitest';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  startProvider,
  startService,
} from './support/harness.ts';
import {
  completeConnection,
  connect,
  connectByCookie,
  connectionOf,
  disconnectAppUser,
  readToken,
  returnOf,
} from './support/journey.ts';

test('the whole journey: register, connect, read, refresh, edit scopes, reconnect, disconnect, delete', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const provider = await startProvider({ accessTokenSeconds: 300, now: () => service.clock.now() });
  const connector = await addTestConnector(service, workspace, provider);

  // one person connects on the app's own origin: the cookie binds, and the callback finishes
  const one = await app.browser('one');
  expect(await connectionOf(service, one, connector.id)).toMatchObject({ status: 'NOT_CONNECTED', account: null });
  const byCookie = await connect(service, one, connector.id, { returnTo: '/settings?tab=1', account: 'blue' });
  expect(byCookie.started.binding).toBe('COOKIE');
  expect(returnOf(byCookie.response)).toEqual({
    url: `${app.origin}/settings?tab=1&connector_id=${connector.id}&connection_status=connected`,
    params: { tab: '1', connector_id: connector.id, connection_status: 'connected' },
  });
  expect(byCookie.browser.cookies.size).toBe(0);

  // another starts through the backend: the callback parks, and the person completes
  const two = await app.backend('two');
  const byCode = await connect(service, two, connector.id, { account: 'green' });
  expect(byCode.started.binding).toBe('CODE');
  expect(provider.counts.authorization_code).toBe(1);
  const completed = await completeConnection(
    service,
    await app.user('two'),
    returnOf(byCode.response).params.connect_code ?? '',
  );
  expect(field(completed, 'completeConnection')).toMatchObject({ connection: { status: 'CONNECTED' } });
  expect(provider.counts.authorization_code).toBe(2);

  // the backend reads the token, and the provider accepts it
  const backend = await app.backend('one');
  const first = field<{ accessToken: string }>(
    await readToken(service, backend, connector.id),
    'currentAppUserConnection',
  );
  expect(first).toMatchObject({ __typename: 'CurrentAppUserConnection', tokenType: 'Bearer', missingScopes: [] });
  const events = await fetch(provider.eventsUrl, { headers: { authorization: `Bearer ${first.accessToken}` } });
  expect(events.status).toBe(200);

  // expired: refreshed, with rotation, once
  service.clock.advance(301_000);
  const second = field<{ accessToken: string }>(
    await readToken(service, await app.backend('one'), connector.id),
    'currentAppUserConnection',
  );
  expect(second.__typename).toBe('CurrentAppUserConnection');
  expect(second.accessToken).not.toBe(first.accessToken);
  expect(provider.counts.refresh_token).toBe(1);

  // other scopes: everybody must reconnect; reconnecting heals
  const edit = (scopes: string[]) =>
    service.graphql(
      `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename } }`,
      { input: { connectorId: connector.id, scopes } },
      workspace.owner,
    );
  await edit(['openid', 'email', 'calendar.read', 'calendar.write']);
  expect(await connectionOf(service, await app.user('one'), connector.id)).toMatchObject({
    status: 'RECONNECT_REQUIRED',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['calendar.write'],
  });
  expect(
    field(await readToken(service, await app.backend('one'), connector.id), 'currentAppUserConnection'),
  ).toMatchObject({
    __typename: 'ReconnectRequiredError',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['calendar.write'],
  });
  await connectByCookie(service, await app.browser('one'), connector.id, { account: 'blue' });
  expect(await connectionOf(service, await app.user('one'), connector.id)).toMatchObject({
    status: 'CONNECTED',
    missingScopes: [],
  });

  // disconnect: gone here at once, and at the provider soon
  expect(
    field(await disconnectAppUser(service, await app.user('one'), connector.id), 'disconnectAppUser'),
  ).toMatchObject({
    connection: { status: 'NOT_CONNECTED' },
  });
  expect(
    field(await readToken(service, await app.backend('one'), connector.id), 'currentAppUserConnection').__typename,
  ).toBe('NotConnectedError');

  // delete: asks first, then ends everybody's access
  const remove = (confirm: boolean) =>
    service.graphql(
      `mutation ($input: DeleteConnectorInput!) { deleteConnector(input: $input) { __typename
        ... on DeleteConnectorPayload { deletedConnectorId }
        ... on ConfirmationRequiredError { affectedUsers affectedApps { id } } } }`,
      { input: { connectorId: connector.id, confirm } },
      workspace.owner,
    );
  expect(field(await remove(false), 'deleteConnector')).toEqual({
    __typename: 'ConfirmationRequiredError',
    affectedUsers: 1,
    affectedApps: [{ id: app.id }],
  });
  expect(field(await remove(true), 'deleteConnector')).toEqual({
    __typename: 'DeleteConnectorPayload',
    deletedConnectorId: connector.id,
  });
  expect(
    field(await readToken(service, await app.backend('two'), connector.id), 'currentAppUserConnection').__typename,
  ).toBe('NotFoundError');
  await expect.poll(() => provider.grants().length).toBe(0);
});
