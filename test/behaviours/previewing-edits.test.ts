import { expect, test } from 'vitest';
import { createTestApp, field, startService } from '../support/harness.ts';
import { connectByCookie, connectionOf, disconnectAppUser } from '../support/journey.ts';
import { connectUser, editConnector, readAs, type Scene, setPlan, setScene } from '../support/scene.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

const scopes = ['openid', 'email', 'calendar.read'];

/** What an edit is said to do, or what is said against it. */
async function preview({ service, workspace, connector }: Scene, edit: Record<string, unknown>) {
  const answer = await service.graphql(
    `query ($input: PreviewConnectorEditInput!) { previewConnectorEdit(input: $input) { __typename
       ... on ConnectorEditPreview { affectedUsers affectedApps { id } reconnectReason scopesAdded scopesRemoved }
       ... on ValidationError { fields { path message } } ... on UserError { code message } } }`,
    { input: { connectorId: connector.id, ...edit } },
    workspace.owner,
  );
  return field<Record<string, unknown>>(answer, 'previewConnectorEdit');
}

/** What really comes of it. */
async function edit({ service, workspace, connector }: Scene, input: Record<string, unknown>) {
  const answer = await service.graphql(
    `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename
       ... on ValidationError { fields { path message } } ... on UserError { code message } } }`,
    { input: { connectorId: connector.id, ...input } },
    workspace.owner,
  );
  return field<Record<string, unknown>>(answer, 'editConnector');
}

const nobody = {
  __typename: 'ConnectorEditPreview',
  affectedUsers: 0,
  affectedApps: [],
  reconnectReason: null,
  scopesAdded: [],
  scopesRemoved: [],
};

async function connectorRow({ service, workspace, connector }: Scene) {
  const asked = 'query ($id: ID!) { connector(id: $id) { name clientId scopes updatedAt } }';
  return (await service.graphql(asked, { id: connector.id }, workspace.owner)).data;
}

test('13. a preview tells how many users in which apps a scope edit would ask again, which scopes come and go, and changes nothing', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, app, provider, connector } = scene;
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://unused.example.com' }]);
  provider.allowRedirectUris(
    [`https://other.example.com/api/external-auth/callback/${connector.id}`],
    connector.clientId,
  );
  await connectUser(scene, 'one');
  await connectUser(scene, 'two');
  await connectByCookie(service, await other.browser('one'), connector.id);
  await connectUser(scene, 'gone');
  await disconnectAppUser(service, await app.user('gone'), connector.id);
  const before = await connectorRow(scene);

  expect(await preview(scene, { scopes: ['calendar.write', ...scopes.slice(1)] })).toEqual({
    __typename: 'ConnectorEditPreview',
    affectedUsers: 3,
    affectedApps: [{ id: app.id }, { id: other.id }],
    reconnectReason: 'SCOPES_CHANGED',
    scopesAdded: ['calendar.write'],
    scopesRemoved: ['openid'],
  });
  expect(await preview(scene, { clientId: 'another', clientSecret: 'another', scopes: ['openid'] })).toEqual({
    __typename: 'ConnectorEditPreview',
    affectedUsers: 3,
    affectedApps: [{ id: app.id }, { id: other.id }],
    reconnectReason: 'CREDENTIALS_CHANGED',
    scopesAdded: [],
    scopesRemoved: ['email', 'calendar.read'],
  });
  for (const harmless of [{ name: 'Other' }, { scopes: scopes.toReversed() }, { clientSecret: 'rotated' }, {}]) {
    expect(await preview(scene, harmless)).toEqual(nobody);
  }
  expect(await connectorRow(scene)).toEqual(before);
  expect(await connectionOf(service, await app.user('one'), connector.id)).toMatchObject({ status: 'CONNECTED' });
});

test('13. who must connect again already is not counted a second time', async () => {
  const scene = await setScene(await startService());
  const { service, app, provider } = scene;
  for (const user of ['one', 'two', 'three']) await connectUser(scene, user);
  const { stop } = answerTokenRequests(provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  const { accessTokenFingerprint } = await readAs(scene, 'one');
  expect(await readAs(scene, 'one', { rejectedTokenFingerprint: accessTokenFingerprint })).toMatchObject({
    reconnectReason: 'ACCESS_REVOKED',
  });
  stop();
  const more = [...scopes, 'calendar.write'];
  expect(await preview(scene, { scopes: more })).toMatchObject({ affectedUsers: 2, affectedApps: [{ id: app.id }] });
  await editConnector(scene, { scopes: more });
  expect(await preview(scene, { scopes })).toMatchObject({
    affectedUsers: 0,
    reconnectReason: 'SCOPES_CHANGED',
    scopesRemoved: ['calendar.write'],
  });
  await connectUser(scene, 'three');
  expect(await preview(scene, { scopes })).toMatchObject({ affectedUsers: 1 });
  expect(service.logs.filter((line) => line.includes('"level":50'))).toEqual([]);
});

test('12. a preview refuses what the edit would refuse, in the same words', async () => {
  const scene = await setScene(await startService());
  const issuer = { custom: { discovery: { issuer: 'https://elsewhere.example.com' } } };
  const faulty = [
    { name: '' },
    { name: 'x'.repeat(101), scopes: ['two words', 'fine', 'quo"te'], clientId: ' ', clientSecret: '' },
    { connectionConfig: [{ name: 'subdomain', value: 'x' }] },
    { custom: { discovery: { issuer: 'https://10.0.0.1' } } },
    issuer, // the stored secret would go there
    { connectorId: 'Connector_nothing' },
  ];
  for (const input of faulty) {
    const said = await preview(scene, input);
    expect(said.__typename).toMatch(/^(ValidationError|NotFoundError)$/);
    expect(said).toEqual(await edit(scene, input));
  }
  expect(await preview(scene, { ...issuer, clientSecret: 'again' })).toMatchObject({
    reconnectReason: 'CREDENTIALS_CHANGED',
  });
  await setPlan(scene, 'STARTER');
  expect(await preview(scene, { name: 'Other' })).toMatchObject({ code: 'PLAN_REQUIRED' });
});
