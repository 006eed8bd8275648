import { request } from 'node:http';
import { expect, test } from 'vitest';
import {
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startService,
  type TestApp,
  type TestWorkspace,
} from '../support/harness.ts';
import { connectAppUser } from '../support/journey.ts';

type Headers = Record<string, string>;
interface RedirectUri {
  kind: string;
  uri: string;
}

const path = '/api/external-auth/callback';
const live = 'https://app.example.com';
const domain = 'https://shop.example.com';
const preview = 'https://preview-1.example.com';
const local = 'http://localhost:5173';
const foreign = 'https://elsewhere.example.com';

const all = [
  { kind: 'PREVIEW', origin: preview },
  { kind: 'LIVE', origin: live },
  { kind: 'CUSTOM', origin: domain },
  { kind: 'CUSTOM', origin: local },
];

const endpoints = { authorizationUrl: 'https://p.example.com/authorize', tokenUrl: 'https://p.example.com/token' };

async function add(service: Service, workspace: TestWorkspace, providerKey = 'github'): Promise<string> {
  const custom = providerKey === 'custom' ? { endpoints } : null;
  const answer = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { ... on AddConnectorPayload { connector { id } } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey,
        name: 'Connector',
        clientId: 'id',
        clientSecret: 'secret',
        scopes: [],
        custom,
      },
    },
    workspace.owner,
  );
  return field<{ connector: { id: string } }>(answer, 'addConnector').connector.id;
}

/** The redirect URI of a flow that is started so; the error's code where none is started. */
async function redirectUri(
  service: Service,
  headers: Headers,
  connectorId: string,
  input: Record<string, unknown> = {},
): Promise<string> {
  const answer = await connectAppUser(service, headers, { connectorId, ...input });
  const { redirectUrl, code } = field<{ redirectUrl?: string; code?: string }>(answer, 'connectAppUser');
  if (redirectUrl === undefined) return code ?? '';
  return new URL(redirectUrl).searchParams.get('redirect_uri') ?? '';
}

test('18. the redirect URI is <origin>/api/external-auth/callback for LIVE, CUSTOM and PREVIEW alike, and for PUBLIC_URL', async () => {
  const service = await startService({ PUBLIC_URL: 'https://connect.example.com' });
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, all);
  const connectorId = await add(service, workspace);
  for (const origin of [live, domain, preview, local, 'https://connect.example.com']) {
    const headers = { ...(await app.user('one')), origin };
    expect(await redirectUri(service, headers, connectorId)).toBe(`${origin}${path}`);
  }
});

test('18. a custom connector has a redirect URI of its own below that, so that no other connector’s answer is taken for its', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, all);
  const [one, two] = [await add(service, workspace, 'custom'), await add(service, workspace, 'custom')];
  const headers = { ...(await app.user('one')), origin: domain };
  expect(await redirectUri(service, headers, one)).toBe(`${domain}${path}/${one}`);
  expect(await redirectUri(service, headers, two)).toBe(`${domain}${path}/${two}`);
});

const publicUrl = 'https://connect.example.com';

/** Where a flow comes back to: for an app with all kinds of origins, with no LIVE one (and a returnTo), and with none, which only PUBLIC_URL's own pages can start. */
const table: {
  origin: string | null;
  input: string | null;
  comesBackTo: [all: string, noLive: string, none: string];
}[] = [
  { origin: null, input: null, comesBackTo: [live, publicUrl, 'VALIDATION'] },
  { origin: null, input: live, comesBackTo: [live, publicUrl, 'VALIDATION'] },
  { origin: null, input: domain, comesBackTo: [domain, domain, 'VALIDATION'] },
  { origin: null, input: preview, comesBackTo: [preview, preview, 'VALIDATION'] },
  { origin: null, input: local, comesBackTo: [local, publicUrl, 'VALIDATION'] },
  { origin: null, input: publicUrl, comesBackTo: [publicUrl, publicUrl, 'VALIDATION'] },
  { origin: null, input: foreign, comesBackTo: [live, publicUrl, 'VALIDATION'] },
  { origin: null, input: `${domain}:8443`, comesBackTo: [live, publicUrl, 'VALIDATION'] },
  { origin: null, input: 'https://SHOP.example.com:443/', comesBackTo: [domain, domain, 'VALIDATION'] },
  { origin: null, input: `${domain}/path`, comesBackTo: ['VALIDATION', 'VALIDATION', 'VALIDATION'] },
  { origin: null, input: 'http://shop.example.com', comesBackTo: ['VALIDATION', 'VALIDATION', 'VALIDATION'] },
  { origin: domain, input: null, comesBackTo: [domain, domain, 'FORBIDDEN'] },
  { origin: domain, input: preview, comesBackTo: [preview, preview, 'FORBIDDEN'] },
  { origin: domain, input: foreign, comesBackTo: [live, publicUrl, 'FORBIDDEN'] },
  { origin: publicUrl, input: null, comesBackTo: [publicUrl, publicUrl, publicUrl] },
  { origin: publicUrl, input: domain, comesBackTo: [domain, domain, publicUrl] },
  { origin: local, input: null, comesBackTo: [local, 'FORBIDDEN', 'FORBIDDEN'] },
  { origin: foreign, input: null, comesBackTo: ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'] },
  { origin: foreign, input: domain, comesBackTo: ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'] },
  { origin: 'null', input: null, comesBackTo: ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'] },
  { origin: `${domain}.evil.example`, input: null, comesBackTo: ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN'] },
];

test('19. it follows the origin the user started on when that is the app’s, else LIVE, else PUBLIC_URL; never one outside the app’s set', async () => {
  const service = await startService({ PUBLIC_URL: publicUrl });
  const workspace = await createWorkspace(service);
  const other = await createWorkspace(service);
  const connectorId = await add(service, workspace);
  const foreignConnector = await add(service, other);
  // no two apps of a workspace share an origin, so each stands in a workspace of its own
  const third = await createWorkspace(service);
  const apps: [app: TestApp, connectorId: string, input: { returnTo?: string }][] = [
    [await createTestApp(service, workspace, all), connectorId, {}],
    [
      await createTestApp(
        service,
        other,
        all.filter(({ origin }) => ![live, local].includes(origin)),
      ),
      foreignConnector,
      { returnTo: `${domain}/done` },
    ],
    [await createTestApp(service, third, []), await add(service, third), {}],
  ];
  const actual = [];
  for (const { origin, input } of table) {
    const comesBackTo: string[] = [];
    for (const [app, connector, rest] of apps) {
      for (const headers of [await app.user('one'), await app.backend('one')]) {
        const uri = await redirectUri(
          service,
          { ...headers, ...(origin !== null && { origin, 'sec-fetch-site': 'same-origin' }) },
          connector,
          { ...rest, ...(input !== null && { origin: input }) },
        );
        comesBackTo.push(uri.replace(path, ''));
      }
    }
    actual.push({ origin, input, comesBackTo });
  }
  expect(actual).toEqual(table.map((row) => ({ ...row, comesBackTo: row.comesBackTo.flatMap((to) => [to, to]) })));
});

test('19. no header moves it: Host, X-Forwarded-Host, Forwarded and their like, with TRUST_PROXY or without', async () => {
  for (const trustProxy of ['0', '1']) {
    const service = await startService({ TRUST_PROXY: trustProxy });
    const workspace = await createWorkspace(service);
    const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: live }]);
    const bare = await createTestApp(service, workspace, [{ kind: 'PREVIEW', origin: preview }]);
    const connectorId = await add(service, workspace);
    await service.app.listen();
    const spoofed: Headers[] = [
      {},
      { host: 'evil.example' },
      { 'x-forwarded-host': 'evil.example' },
      { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' },
      { forwarded: 'host=evil.example;proto=https' },
      { 'x-original-host': 'evil.example', 'x-host': 'evil.example', 'x-forwarded-server': 'evil.example' },
      { 'x-original-url': 'https://evil.example/graphql', 'x-rewrite-url': '/graphql' },
      { referer: 'https://evil.example/' },
      { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'sec-fetch-site': 'same-origin' },
    ];
    for (const headers of spoofed) {
      for (const [caller, expected] of [
        [app, live],
        [bare, service.config.publicUrl],
      ] as const) {
        const started = { ...(await caller.user('one')), ...headers };
        const url = await startOverSocket(service, started, { connectorId, returnTo: caller === app ? live : preview });
        expect([headers, url.searchParams.get('redirect_uri')]).toEqual([headers, `${expected}${path}`]);
      }
    }
  }
});

/** Starts a flow over a real socket, where every header is the sender's to choose. */
async function startOverSocket(service: Service, headers: Headers, input: Record<string, string>): Promise<URL> {
  const body = JSON.stringify({
    query: `mutation ($input: ConnectAppUserInput!) { connectAppUser(input: $input) { ... on ConnectAppUserPayload { redirectUrl } } }`,
    variables: { input },
  });
  const text = await new Promise<string>((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: service.config.port,
        path: '/graphql',
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      },
      (response) => {
        let received = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          received += chunk;
        });
        response.on('end', () => resolve(received));
      },
    );
    sent.on('error', reject).end(body);
  });
  const answer = JSON.parse(text) as { data: { connectAppUser: { redirectUrl: string } } };
  return new URL(answer.data.connectAppUser.redirectUrl);
}

test('20. an app lists its redirect URIs with their kinds, ready to paste: LIVE, CUSTOM, PREVIEW, and the service’s own last', async () => {
  const service = await startService({ PUBLIC_URL: publicUrl });
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, all);
  const bare = await createTestApp(service, workspace, []);
  const uris = async (headers: Headers, id: string) => {
    const answer = await service.graphql(
      'query ($id: ID!) { app(id: $id) { redirectUris { kind uri } } }',
      { id },
      headers,
    );
    return field<{ redirectUris: RedirectUri[] }>(answer, 'app').redirectUris;
  };
  const expected = [
    { kind: 'LIVE', uri: `${live}${path}` },
    { kind: 'CUSTOM', uri: `${domain}${path}` },
    { kind: 'CUSTOM', uri: `${local}${path}` },
    { kind: 'PREVIEW', uri: `${preview}${path}` },
    { kind: 'SERVICE', uri: `${publicUrl}${path}` },
  ];
  expect(await uris(workspace.owner, app.id)).toEqual(expected);
  expect(await uris(await app.user('one'), app.id)).toEqual(expected);
  expect(await uris(workspace.owner, bare.id)).toEqual([{ kind: 'SERVICE', uri: `${publicUrl}${path}` }]);

  // what is listed is what is sent
  const connectorId = await add(service, workspace);
  for (const { origin } of all) {
    const sent = await redirectUri(service, { ...(await app.user('one')), origin }, connectorId);
    expect(expected.map(({ uri }) => uri)).toContain(sent);
  }
});

test('20. a connector lists what to register for it: the calling app’s redirect URIs or, to members, those of all apps, each once', async () => {
  const service = await startService({ PUBLIC_URL: publicUrl });
  const workspace = await createWorkspace(service);
  const app = await createTestApp(service, workspace, [
    { kind: 'LIVE', origin: live },
    { kind: 'CUSTOM', origin: local },
  ]);
  await createTestApp(service, workspace, [
    { kind: 'LIVE', origin: domain },
    { kind: 'PREVIEW', origin: local },
  ]);
  const [catalogue, custom] = [await add(service, workspace), await add(service, workspace, 'custom')];
  const uris = async (headers: Headers, id: string) => {
    const answer = await service.graphql(
      'query ($id: ID!) { connector(id: $id) { redirectUris { kind uri } } }',
      { id },
      headers,
    );
    return field<{ redirectUris: RedirectUri[] }>(answer, 'connector').redirectUris;
  };
  const of = (origins: [string, string][], below = '') =>
    origins.map(([kind, origin]) => ({ kind, uri: `${origin}${path}${below}` }));
  const everybody: [string, string][] = [
    ['LIVE', live],
    ['CUSTOM', local],
    ['LIVE', domain],
    ['SERVICE', publicUrl],
  ];
  const own: [string, string][] = [
    ['LIVE', live],
    ['CUSTOM', local],
    ['SERVICE', publicUrl],
  ];
  expect(await uris(workspace.owner, catalogue)).toEqual(of(everybody));
  expect(await uris(await app.user('one'), catalogue)).toEqual(of(own));
  expect(await uris(workspace.owner, custom)).toEqual(of(everybody, `/${custom}`));
  expect(await uris(await app.user('one'), custom)).toEqual(of(own, `/${custom}`));
});
