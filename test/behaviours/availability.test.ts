import { describe, expect, test } from 'vitest';
import { createPlace } from '../support/calls.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspaceKey,
  field,
  operatorKey,
  type Service,
  startService,
} from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import {
  completeConnection,
  connect,
  connectAppUser,
  connectByCookie,
  connectionOf,
  disconnectAppUser,
  returnOf,
} from '../support/journey.ts';
import {
  connectUser,
  editConnector,
  expiredMs,
  readAs,
  type Scene,
  setPlan,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { listen, openSse, openWebSocket } from '../support/streams.ts';
import { holdTokenRequest } from '../support/token-endpoint.ts';

type Headers = Record<string, string>;

interface Outcome {
  __typename: string;
  code?: string;
  message?: string;
  remedy?: { actor: string };
  requiredPlan?: string;
  affectedUsers?: number;
  affectedApps?: { id: string }[];
  affectedConnections?: { app: { id: string }; count: number }[];
  availability?: { provider: { key: string }; kind: string; available: boolean; switchedOffAt: string | null };
  fields?: { path: string; message: string }[];
}

interface Switch {
  providerKey: string;
  kind: string;
  available: boolean;
  confirm?: boolean;
}

async function setAvailability(
  service: Service,
  workspace: { id: string; owner: Headers },
  input: Partial<Switch>,
  headers: Headers = workspace.owner,
): Promise<Outcome> {
  const answer = await service.graphql(
    `mutation ($input: SetProviderAvailabilityInput!) { setProviderAvailability(input: $input) { __typename
       ... on SetProviderAvailabilityPayload { availability { provider { key } kind available switchedOffAt } }
       ... on ConfirmationRequiredError { affectedUsers affectedApps { id } affectedConnections { app { id } count } }
       ... on PlanRequiredError { requiredPlan currentPlan } ... on ValidationError { fields { path message } }
       ... on UserError { code message remedy { actor } } } }`,
    { input: { workspaceId: workspace.id, providerKey: 'custom', kind: 'APP_USER', available: false, ...input } },
    headers,
  );
  return field<Outcome>(answer, 'setProviderAvailability');
}

const off = { available: false, confirm: true };
const on = { available: true };
const switched = { __typename: 'SetProviderAvailabilityPayload' };

/** What the workspace shows as switched off. */
async function whatIsOff(service: Service, workspace: { id: string; owner: Headers }): Promise<string[]> {
  const answer = await service.graphql(
    '{ workspaces { edges { node { id availability { provider { key } kind available } } } } }',
    {},
    workspace.owner,
  );
  type Node = { id: string; availability: { provider: { key: string }; kind: string; available: boolean }[] };
  const { edges } = field<{ edges: { node: Node }[] }>(answer, 'workspaces');
  const own = edges.find(({ node }) => node.id === workspace.id)?.node.availability ?? [];
  return own.map(({ provider, kind, available }) => `${provider.key} ${kind} ${available ? 'on' : 'off'}`);
}

async function add(service: Service, workspace: { id: string; owner: Headers }, input: Record<string, unknown> = {}) {
  const answer = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { __typename ... on UserError { code } } }`,
    { input: { workspaceId: workspace.id, providerKey: 'github', name: 'Code', scopes: ['repo'], ...input } },
    workspace.owner,
  );
  return field<Outcome>(answer, 'addConnector').__typename;
}

/** On ENTERPRISE: one user connected, and what everything is about: custom connectors for users. */
async function setEnterprise(service: Service): Promise<Scene> {
  const scene = await setScene(service);
  await setPlan(scene, 'ENTERPRISE');
  await connectUser(scene, 'one');
  return scene;
}

const disabled = { __typename: 'ConnectorDisabledError', code: 'CONNECTOR_DISABLED' };

test('48. shared and app-user connectors of a provider are switched off and on separately, and no other provider with them', async () => {
  const service = await startService();
  const { workspace } = await createPlace(service);
  expect(await whatIsOff(service, workspace)).toEqual([]);
  expect(await setAvailability(service, workspace, { ...off, providerKey: ' GitHub ', kind: 'SHARED' })).toMatchObject({
    ...switched,
    availability: { provider: { key: 'github' }, kind: 'SHARED', available: false, switchedOffAt: expect.any(String) },
  });
  expect(await whatIsOff(service, workspace)).toEqual(['github SHARED off']);
  expect(await add(service, workspace, { kind: 'SHARED' })).toBe('ConnectorDisabledError');
  expect(await add(service, workspace, { kind: 'APP_USER' })).toBe('AddConnectorPayload');
  expect(await add(service, workspace, { kind: 'SHARED', providerKey: 'slack' })).toBe('AddConnectorPayload');

  await setAvailability(service, workspace, { ...off, providerKey: 'github' });
  await setAvailability(service, workspace, { ...off, providerKey: 'custom', kind: 'SHARED' });
  expect(await whatIsOff(service, workspace)).toEqual([
    'custom SHARED off',
    'github APP_USER off',
    'github SHARED off',
  ]);
  expect(await add(service, workspace)).toBe('ConnectorDisabledError');

  const lifted = await setAvailability(service, workspace, { ...on, providerKey: 'github', kind: 'SHARED' });
  expect(lifted).toMatchObject({ ...switched, availability: { available: true, switchedOffAt: null } });
  expect(await whatIsOff(service, workspace)).toEqual(['custom SHARED off', 'github APP_USER off']);
  expect(await add(service, workspace, { kind: 'SHARED' })).toBe('AddConnectorPayload');

  // another workspace is not concerned
  const other = await createPlace(service);
  expect(await add(service, other.workspace)).toBe('AddConnectorPayload');
  expect(await whatIsOff(service, other.workspace)).toEqual([]);
});

test('48. switching twice is switching once: what is off asks for no confirmation, and keeps its time', async () => {
  const service = await startService();
  const { workspace } = await createPlace(service);
  const first = await setAvailability(service, workspace, off);
  service.clock.advance(60_000);
  expect(await setAvailability(service, workspace, { available: false })).toEqual(first);
  expect(await whatIsOff(service, workspace)).toEqual(['custom APP_USER off']);
  const atOnce = await Promise.all(
    [1, 2, 3].map(() => setAvailability(service, workspace, { ...off, kind: 'SHARED' })),
  );
  expect(atOnce).toEqual([1, 2, 3].map(() => expect.objectContaining(switched)));
  await setAvailability(service, workspace, on);
  expect(await setAvailability(service, workspace, on)).toMatchObject(switched);
  expect(await whatIsOff(service, workspace)).toEqual(['custom SHARED off']);
});

test('3. availability is for OWNER and ADMIN: everybody else is refused, and nothing changes', async () => {
  const service = await startService();
  const { workspace } = await createPlace(service);
  const key = async (role: string) => ({
    authorization: `Bearer ${await createWorkspaceKey(service, workspace.id, role)}`,
  });
  for (const role of ['VIEWER', 'EDITOR']) {
    expect(await setAvailability(service, workspace, off, await key(role))).toMatchObject({ code: 'FORBIDDEN' });
  }
  const operator = { authorization: `Bearer ${operatorKey}` };
  expect(await setAvailability(service, workspace, off, operator)).toMatchObject({ code: 'FORBIDDEN' });
  expect(await whatIsOff(service, workspace)).toEqual([]);
  expect(await setAvailability(service, workspace, off, await key('ADMIN'))).toMatchObject(switched);
  expect(await setAvailability(service, workspace, on, await key('EDITOR'))).toMatchObject({ code: 'FORBIDDEN' });
  expect(await whatIsOff(service, workspace)).toEqual(['custom APP_USER off']);
});

test('3. switching off needs ENTERPRISE; what is off stays off on a lower plan, where it can still be lifted', async () => {
  const scene = await setEnterprise(await startService());
  const { service, workspace } = scene;
  const refused = { __typename: 'PlanRequiredError', requiredPlan: 'ENTERPRISE' };
  for (const plan of ['BUILDER', 'PRO', 'ELITE']) {
    await setPlan(scene, plan);
    for (const input of [off, { available: false }, on]) {
      expect(await setAvailability(service, workspace, input)).toMatchObject({ ...refused, currentPlan: plan });
    }
  }
  expect(await whatIsOff(service, workspace)).toEqual([]);

  await setPlan(scene, 'ENTERPRISE');
  await setAvailability(service, workspace, off);
  await setPlan(scene, 'BUILDER');
  expect(await whatIsOff(service, workspace)).toEqual(['custom APP_USER off']);
  expect(await readAs(scene, 'one')).toMatchObject(disabled);
  expect(await setAvailability(service, workspace, on)).toMatchObject(switched);
  expect(await readAs(scene, 'one')).toMatchObject({ __typename: 'CurrentAppUserConnection' });
  expect(await setAvailability(service, workspace, off)).toMatchObject(refused);
});

test('49. before switching off, the apps with live connections are shown with their counts, and nothing changes', async () => {
  const scene = await setEnterprise(await startService());
  const { service, workspace, app, provider } = scene;
  const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://idle.example.com' }]);
  const second = await addTestConnector(service, workspace, provider);
  await connectUser(scene, 'two');
  await connectByCookie(service, await app.browser('one'), second.id); // one user, two connections
  await connectByCookie(service, await otherApp.browser('one'), second.id);
  await connectByCookie(service, await otherApp.browser('gone'), second.id);
  await disconnectAppUser(service, await otherApp.user('gone'), second.id);

  for (let turn = 1; turn <= 2; turn += 1) {
    expect(await setAvailability(service, workspace, { available: false })).toEqual({
      __typename: 'ConfirmationRequiredError',
      code: 'CONFIRMATION_REQUIRED',
      message:
        'Switching this off blocks 4 connections in 2 apps until it is switched on again. Nothing has changed yet.',
      remedy: { actor: 'ADMIN' },
      affectedUsers: 3,
      affectedApps: [{ id: app.id }, { id: otherApp.id }],
      affectedConnections: [
        { app: { id: app.id }, count: 3 },
        { app: { id: otherApp.id }, count: 1 },
      ],
    });
  }
  expect(await whatIsOff(service, workspace)).toEqual([]);
  expect(await readAs(scene, 'one')).toMatchObject({ __typename: 'CurrentAppUserConnection' });
  expect(await setAvailability(service, workspace, { available: false, kind: 'SHARED' })).toMatchObject({
    message:
      'Switching this off blocks 0 connections in 0 apps until it is switched on again. Nothing has changed yet.',
    affectedUsers: 0,
    affectedConnections: [],
  });
});

test('50. off blocks adding, connecting, finishing and reading, and says so; on restores everything as it was', async () => {
  const scene = await setEnterprise(await startService());
  const { service, workspace, app, provider, connector } = scene;
  const [user, backend] = [await app.browser('one'), await app.backend('one')];
  const token = await tokenOf(scene, 'one');
  const before = await connectionOf(service, user, connector.id);
  const parked = await connect(service, await app.backend('two'), connector.id);
  const connectCode = returnOf(parked.response).params.connect_code ?? '';
  const exchanged = provider.counts.authorization_code;

  await setAvailability(service, workspace, off);
  const custom = { discovery: { issuer: provider.issuer } };
  expect(await add(service, workspace, { providerKey: 'custom', custom })).toBe('ConnectorDisabledError');
  const started = await connectAppUser(service, user, { connectorId: connector.id });
  expect(field(started, 'connectAppUser')).toMatchObject(disabled);
  const code = await completeConnection(service, await app.user('two'), connectCode);
  expect(field(code, 'completeConnection')).toMatchObject(disabled);
  expect(provider.counts.authorization_code).toBe(exchanged);
  expect(await readAs(scene, 'one')).toMatchObject({
    ...disabled,
    message: 'This provider is switched off in this workspace. Nothing was deleted.',
    remedy: { actor: 'ADMIN' },
  });
  expect(await connectionOf(service, backend, connector.id)).toMatchObject({
    status: 'UNAVAILABLE',
    problem: { code: 'CONNECTOR_DISABLED' },
  });
  // the page still shows it, and why it cannot be used
  const page = '{ availableConnectors { id currentUserConnection { status } } }';
  expect((await service.graphql(page, {}, user)).data).toEqual({
    availableConnectors: [{ id: connector.id, currentUserConnection: { status: 'UNAVAILABLE' } }],
  });
  await editConnector(scene, { name: 'Mended meanwhile' }); // an admin may mend what is off

  await setAvailability(service, workspace, on);
  expect(await connectionOf(service, user, connector.id)).toEqual(before);
  expect(await tokenOf(scene, 'one')).toBe(token);
  await connectUser(scene, 'two');
  expect(await tokenOf(scene, 'two')).toBeTruthy();
});

/** What stops a workspace's connectors from being used, and what lets them be used again. */
const blocks = [
  {
    title: '50. a provider switched off',
    stop: (scene: Scene) => setAvailability(scene.service, scene.workspace, off),
    heal: (scene: Scene) => setAvailability(scene.service, scene.workspace, on),
    error: 'ConnectorDisabledError',
    code: 'CONNECTOR_DISABLED',
  },
  {
    title: '2. a downgrade',
    stop: (scene: Scene) => setPlan(scene, 'STARTER'),
    heal: (scene: Scene) => setPlan(scene, 'ENTERPRISE'),
    error: 'PlanRequiredError',
    code: 'PLAN_REQUIRED',
  },
];

for (const { title, stop, heal, code } of blocks) {
  test(`${title} while a person consents: nothing is connected, and the app is told why`, async () => {
    const scene = await setEnterprise(await startService());
    const { service, app, provider, connector } = scene;
    const stopAround = provider.around(async (ctx, next) => {
      // while the person looks at the consent page
      if (ctx.path.startsWith('/interaction') || ctx.path === '/auth') await stop(scene);
      await next();
    });
    const { response } = await connect(service, await app.browser('three'), connector.id);
    stopAround();
    expect(returnOf(response).params).toMatchObject({ connection_error: code });
    expect(provider.counts.authorization_code).toBe(1); // user one's
    await heal(scene);
    const user = await app.user('three');
    expect(await connectionOf(service, user, connector.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  });

  test(`${title} keeps nobody from disconnecting, and no admin from deleting`, async () => {
    const scene = await setEnterprise(await startService());
    const { service, workspace, app, connector } = scene;
    await connectUser(scene, 'two');
    await stop(scene);
    const ended = await disconnectAppUser(service, await app.user('one'), connector.id);
    expect(field(ended, 'disconnectAppUser').__typename).toBe('DisconnectAppUserPayload');
    const deleted = await service.graphql(
      'mutation ($id: ID!) { deleteConnector(input: { connectorId: $id, confirm: true }) { __typename } }',
      { id: connector.id },
      workspace.owner,
    );
    expect(field(deleted, 'deleteConnector').__typename).toBe('DeleteConnectorPayload');
  });
}

test('bad input: availability of a provider that there is not is refused, by name', async () => {
  const service = await startService();
  const { workspace } = await createPlace(service);
  for (const providerKey of ['', ' ', 'nothing', 'git hub', 'a\u0000b', 'x'.repeat(10_000)]) {
    for (const input of [off, on, { available: false }]) {
      expect(await setAvailability(service, workspace, { ...input, providerKey })).toMatchObject({
        __typename: 'ValidationError',
        fields: [{ path: 'input.providerKey', message: expect.stringContaining('There is no such provider') }],
      });
    }
  }
  expect(await whatIsOff(service, workspace)).toEqual([]);
});

describe.skipIf(!servicesAreThere)('on two instances', () => {
  for (const { title, stop, heal, error, code } of blocks) {
    test(`${title} on one instance blocks open subscriptions and reads in flight on both within one event, deletes nothing, and healing restores all`, async () => {
      const [one, two] = (await startInstances(2)) as [Service, Service];
      const scene = await setEnterprise(one);
      const { app, connector, provider } = scene;
      await connectUser(scene, 'two', 'green');
      const user = await app.user('one');
      const [near, far] = [await listen(one), await listen(two)];
      const streams = [
        openWebSocket(near.ws, user, connector.id),
        openWebSocket(far.ws, user, connector.id),
        openSse(far.http, user, connector.id),
      ];
      for (const stream of streams) expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

      // a read waits for the provider while it happens; its refresh is held there
      one.clock.advance(expiredMs);
      const held = holdTokenRequest(provider, 'answer');
      const inFlight = [one, two].map((service) => readAs({ ...scene, service }, 'one'));
      await held.reached;
      await stop(scene);
      for (const stream of streams)
        expect(await stream.next()).toMatchObject({ status: 'UNAVAILABLE', problem: { code } });
      for (const service of [one, two]) {
        expect(await readAs({ ...scene, service }, 'two')).toMatchObject({ __typename: error });
      }
      held.release();
      for (const read of inFlight) expect(await read).toMatchObject({ __typename: error });
      expect(provider.counts.refresh_token).toBe(1);

      await heal(scene);
      for (const stream of streams) {
        let event = await stream.next(); // the refresh that was under way may have been told before
        while (event.status === 'UNAVAILABLE') event = await stream.next();
        expect(event).toMatchObject({ status: 'CONNECTED', problem: null });
      }
      const tokens = await Promise.all([one, two].map((service) => tokenOf({ ...scene, service }, 'one')));
      expect(new Set(tokens).size).toBe(1);
      expect(provider.counts.refresh_token).toBe(1); // what the held refresh brought was kept
      expect(await tokenOf(scene, 'two')).toBeTruthy();
      expect(provider.counts.revocation ?? 0).toBe(0);
    });
  }
});
