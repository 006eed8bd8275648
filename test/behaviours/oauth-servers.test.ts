import { describe, expect, test } from 'vitest';
import { createTestApp, createWorkspace, field, type Service, startService } from '../support/harness.ts';
import { completeConnection, connectionOf, disconnectAppUser, returnOf } from '../support/journey.ts';
import type { HostedServer } from '../support/oauth-servers/host.ts';
import { startJmondi } from '../support/oauth-servers/jmondi.ts';
import { startNodeOauth } from '../support/oauth-servers/node-oauth.ts';
import { startOauth2orize } from '../support/oauth-servers/oauth2orize.ts';
import { eventually, readAs } from '../support/scene.ts';
import { editConnector, type Stage, startFlow } from '../support/stage.ts';

/** OAuth servers that others wrote, at work as they are, with what each does in its own way. */
const servers: {
  name: string;
  start: () => Promise<HostedServer>;
  custom: (origin: string) => Record<string, Record<string, unknown>>;
  scopes: [string[], string[]];
  /** Of the second scopes, what it does not grant. */
  missing: string[];
  rotates: boolean;
  revokes: boolean;
  /** What a read is answered when its refresh token is dead. */
  deadGrant: { status: string; __typename: string };
  wrongAuthentication: string;
}[] = [
  {
    name: '@node-oauth/oauth2-server',
    start: startNodeOauth,
    custom: (origin) => ({
      endpoints: {
        authorizationUrl: `${origin}/authorize`,
        tokenUrl: `${origin}/token`,
        userinfoUrl: `${origin}/me`,
        clientAuthentication: 'CLIENT_SECRET_BASIC_RAW',
      },
    }),
    scopes: [['read'], ['read', 'write']],
    missing: ['write'],
    rotates: true,
    revokes: false,
    deadGrant: { status: 'RECONNECT_REQUIRED', __typename: 'ReconnectRequiredError' },
    wrongAuthentication: 'CLIENT_SECRET_BASIC',
  },
  {
    name: '@jmondi/oauth2-server',
    start: startJmondi,
    custom: (origin) => ({ discovery: { issuer: `${origin}/tenant`, clientAuthentication: 'CLIENT_SECRET_POST' } }),
    scopes: [['read'], ['read', 'write']],
    missing: [],
    rotates: true,
    revokes: true,
    // it calls a revoked refresh token `invalid_request`, with a text that names it
    deadGrant: { status: 'RECONNECT_REQUIRED', __typename: 'ReconnectRequiredError' },
    wrongAuthentication: 'NONE',
  },
  {
    name: 'oauth2orize',
    start: startOauth2orize,
    custom: (origin) => ({
      endpoints: {
        authorizationUrl: `${origin}/authorize`,
        tokenUrl: `${origin}/token`,
        revocationUrl: `${origin}/revoke`,
        userinfoUrl: `${origin}/me`,
        scopeSeparator: ',',
        clientAuthentication: 'CLIENT_SECRET_POST',
      },
    }),
    scopes: [['read:all'], ['read:all', 'write:all']],
    missing: [],
    rotates: false,
    revokes: true,
    deadGrant: { status: 'RECONNECT_REQUIRED', __typename: 'ReconnectRequiredError' },
    wrongAuthentication: 'CLIENT_SECRET_BASIC_RAW',
  },
];

/** A custom connector at the server: a draft first, whose redirect URIs are registered there, then its client. */
async function addConnectorAt(service: Service, server: HostedServer, of: (typeof servers)[number]) {
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace);
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { __typename ... on AddConnectorPayload { notices { message } connector { id redirectUris { kind uri } } } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        name: of.name,
        scopes: of.scopes[0],
        custom: of.custom(server.origin),
      },
    },
    workspace.owner,
  );
  const { connector, notices } = field<{
    notices: unknown[];
    connector: { id: string; redirectUris: { kind: string; uri: string }[] };
  }>(added, 'addConnector');
  expect(notices).toEqual([]);
  server.client.redirectUris.push(...connector.redirectUris.map(({ uri }) => uri));
  const own = { ...connector, clientId: server.client.id, clientSecret: server.client.secret };
  const stage = { service, workspace, app, connector: own };
  await edit(stage, { clientId: server.client.id, clientSecret: server.client.secret });
  return stage;
}

type OwnStage = Omit<Stage, 'provider'>;

/** Only the provider of a stage is another one here, and an edit does not look at it. */
const edit = (stage: OwnStage, input: Record<string, unknown>) =>
  editConnector(stage as Stage, input, stage.connector.id);

const read = (stage: OwnStage, user: string) => readAs(stage as Stage, user);

/** The authorization URL as a browser follows it: the server's consent page says yes at once. */
async function consent(redirectUrl: string): Promise<string> {
  const answer = await fetch(redirectUrl, { redirect: 'manual' });
  const location = answer.headers.get('location');
  if (location === null) throw new Error(`${answer.status} ${await answer.text()}`);
  return location;
}

async function connectByCookie({ service, app, connector }: OwnStage, user: string) {
  const flow = await startFlow(service, await app.browser(user), connector.id);
  expect(flow.binding).toBe('COOKIE');
  const { params } = returnOf(await flow.browser.open(service, await consent(flow.redirectUrl)));
  return params;
}

async function connectByCode({ service, app, connector }: OwnStage, user: string) {
  const flow = await startFlow(service, await app.backend(user), connector.id);
  expect(flow.binding).toBe('CODE');
  const { params } = returnOf(await flow.browser.open(service, await consent(flow.redirectUrl)));
  const completed = await completeConnection(service, await app.user(user), params.connect_code ?? '');
  return field(completed, 'completeConnection');
}

describe.each(servers)('52. $name as a custom provider', (of) => {
  test('the journey: connect by cookie and by code, read, refresh, edit scopes, reconnect, disconnect', async () => {
    const server = await of.start();
    const service = await startService();
    const stage = await addConnectorAt(service, server, of);
    const { app, connector } = stage;
    const own = async (user: string) => connectionOf(service, await app.user(user), connector.id);

    expect(await connectByCookie(stage, 'one')).toEqual({ connector_id: connector.id, connection_status: 'connected' });
    server.account = 'green';
    expect(await connectByCode(stage, 'two')).toMatchObject({
      connection: { status: 'CONNECTED', account: { id: 'green' } },
    });
    expect(await own('one')).toMatchObject({ status: 'CONNECTED', account: { id: 'blue' }, missingScopes: [] });

    const first = await read(stage, 'one');
    expect(first.grantedScopes).toEqual(of.scopes[0]);
    expect(await server.accountOf(first.accessToken)).toBe(200);
    const refreshed = [first.accessToken];
    for (let cycle = 0; cycle < 2; cycle += 1) {
      service.clock.advance(3_601_000);
      const { accessToken } = await read(stage, 'one');
      expect(refreshed).not.toContain(accessToken);
      expect(await server.accountOf(accessToken)).toBe(200);
      refreshed.push(accessToken);
    }
    expect(server.refreshTokens).toHaveLength(2);
    expect(new Set(server.refreshTokens).size).toBe(of.rotates ? 2 : 1);

    await edit(stage, { scopes: of.scopes[1] });
    expect(await own('one')).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' });
    server.account = 'blue';
    expect(await connectByCookie(stage, 'one')).toMatchObject({ connection_status: 'connected' });
    expect(await own('one')).toMatchObject({
      status: 'CONNECTED',
      requestedScopes: of.scopes[1],
      grantedScopes: of.scopes[1].filter((scope) => !of.missing.includes(scope)),
      missingScopes: of.missing,
    });
    expect(await own('two')).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' });

    const last = await read(stage, 'one');
    const gone = await disconnectAppUser(service, await app.user('one'), connector.id);
    expect(field(gone, 'disconnectAppUser')).toMatchObject({ connection: { status: 'NOT_CONNECTED' } });
    expect(await read(stage, 'one')).toMatchObject({ __typename: 'NotConnectedError' });
    if (of.revokes) await expect.poll(() => server.accountOf(last.accessToken), eventually).toBe(401);
    else expect(await server.accountOf(last.accessToken)).toBe(200);
  });

  test('a grant that ended at the server, and a client it does not take, are told as what they are', async () => {
    const server = await of.start();
    const service = await startService();
    const stage = await addConnectorAt(service, server, of);
    const status = async () => connectionOf(service, await stage.app.user('one'), stage.connector.id);
    await connectByCookie(stage, 'one');
    const [[form, settings] = ['', {}]] = Object.entries(of.custom(server.origin));
    const withAuthentication = (clientAuthentication: string) =>
      edit(stage, {
        custom: { [form]: { ...settings, clientAuthentication } },
        clientSecret: server.client.secret,
      });

    await withAuthentication(of.wrongAuthentication);
    service.clock.advance(3_601_000);
    expect(await read(stage, 'one')).toMatchObject({ __typename: 'ProviderUnavailableError' });
    expect(await status()).toMatchObject({ status: 'CONNECTED' });
    await edit(stage, { custom: of.custom(server.origin), clientSecret: server.client.secret });
    service.clock.advance(600_000);
    expect(await read(stage, 'one')).toMatchObject({ __typename: 'CurrentAppUserConnection' });

    server.grants.length = 0;
    service.clock.advance(3_601_000);
    expect(await read(stage, 'one')).toMatchObject({ __typename: of.deadGrant.__typename });
    expect(await status()).toMatchObject({ status: of.deadGrant.status });
  });
});
