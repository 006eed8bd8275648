import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AccountOwnedError } from '../../src/connections/errors.ts';
import { failures } from '../../src/failures/failures.ts';
import { germanFailures } from '../../src/failures/german.ts';
import { callbackPage } from '../../src/http/callback-page.ts';
import type { DomainError } from '../../src/lib/domain-error.ts';
import { PlanRequiredError, RateLimitedError, UnauthenticatedError } from '../../src/workspaces/errors.ts';
import { roleTooLow } from '../../src/workspaces/membership.ts';
import {
  addTestConnector,
  createTestApp,
  createWorkspace,
  field,
  type Service,
  startService,
} from '../support/harness.ts';
import { completeConnection, connectAppUser, createBrowser, returnOf } from '../support/journey.ts';
import { type CalendarProvider, consentAt, type ConsentChoice } from '../support/local-provider.ts';
import {
  addCustomConnector,
  editConnector,
  pageOf,
  postCallback,
  type Stage,
  setStage,
  startFlow,
  startServer,
} from '../support/stage.ts';

const preview = 'https://preview.example.com';
/** Without a LIVE origin a flow can end on the service's own page. */
const origins = [{ kind: 'PREVIEW', origin: preview }];
const userError = '... on UserError { code message remedy { actor steps values { label value } docsUrl } }';

interface Told {
  __typename: string;
  code: string;
  message: string;
  remedy: { actor: string; steps: string[]; values: { label: string; value: string }[] };
}

type Row = [
  name: keyof typeof failures,
  /** What goes wrong, at the latest once the person has consented. */
  provoke: (place: Place) => unknown,
  values: (place: Place) => string[],
  consent?: ConsentChoice,
];

interface Place extends Stage {
  redirectUri: string;
}

/** A connector of its own for each row, at the same provider. */
async function connectorFor(stage: Stage): Promise<Place> {
  const connector = await addTestConnector(stage.service, stage.workspace, stage.provider);
  const redirectUri = connector.redirectUris.find(({ uri }) => uri.startsWith(preview))?.uri ?? '';
  return { ...stage, connector, redirectUri };
}

/** Where `scripts/screenshots.ts` wants the pages that these tests get to see. */
const keptPages = process.env.TROUBLESHOOTING_PAGES;
const shownFailures = new Set<string>();

const pictureOf = (name: string) => `${name.toLowerCase().replaceAll('_', '-')}.png`;

const clientIdOf = ({ connector }: Place) => [connector.clientId];

/** What is wrong with the answer that the browser brings back: the callback knows by itself. */
const refusedByAnswer: Row[] = [
  ['CONSENT_DENIED', () => {}, () => [], { decision: 'deny' }],
  [
    'INVALID_SCOPE',
    (place) => {
      const { clientId, clientSecret } = place.provider.registerClient({
        name: 'Client that may ask for little',
        redirectUris: place.connector.redirectUris.map(({ uri }) => uri),
        scopes: ['openid', 'email'],
      });
      return editConnector(place, { clientId, clientSecret });
    },
    () => ['openid', 'email', 'calendar.read'],
  ],
  [
    'REDIRECT_URI_MISMATCH', // as GitHub answers: it sends the browser to the address that is registered
    ({ provider }) =>
      provider.refuseAccount('green', { error: 'redirect_uri_mismatch', error_description: 'It must match.' }),
    (place) => [place.redirectUri, ...clientIdOf(place)],
    { account: 'green' },
  ],
  [
    'PROVIDER_TESTING_MODE', // as Google answers an account outside the organisation
    ({ provider }) => provider.refuseAccount('green', { error: 'org_internal', error_description: 'Not of this one.' }),
    clientIdOf,
    { account: 'green' },
  ],
  [
    'PROVIDER_TESTING_MODE', // as Microsoft answers an account that an administrator must approve first
    ({ provider }) =>
      provider.refuseAccount('green', {
        error: 'access_denied',
        error_description: 'AADSTS90094: An administrator must approve this application.',
      }),
    clientIdOf,
    { account: 'green' },
  ],
];

/** What is found out when the code is exchanged: by the callback itself, or by completeConnection. */
const refusedAtExchange: Row[] = [
  [
    'INVALID_CLIENT',
    ({ provider, connector }) => provider.changeClientSecret('rotated', connector.clientId),
    clientIdOf,
  ],
  ['CONNECTOR_CHANGED', (place) => editConnector(place, { scopes: ['openid'] }), () => []],
  ['CONNECTOR_DELETED', (place) => deleteConnector(place), () => []],
];

async function deleteConnector({ service, workspace, connector }: Stage): Promise<void> {
  const deleted = await service.graphql(
    'mutation ($id: ID!) { deleteConnector(input: { connectorId: $id, confirm: true }) { __typename } }',
    { id: connector.id },
    workspace.owner,
  );
  expect(field(deleted, 'deleteConnector').__typename).toBe('DeleteConnectorPayload');
}

/** Begins, and consents as far as that goes. Answers where the provider sends the browser. */
async function begin(
  { service, connector }: Stage,
  headers: Record<string, string>,
  input: { returnTo?: string } = {},
  consent: ConsentChoice = {},
) {
  const flow = await startFlow(service, headers, connector.id, input);
  return { flow, back: await consentAt(flow.redirectUrl, consent) };
}

/** A text of the table as it is told. */
const filled = (text: string) => text.replace('{retryAfterSeconds}', '30').replace('{enterClient}', 'editConnector');

function expectPage(
  page: { status: number; result: string; html: string },
  name: keyof typeof failures,
  values: string[],
) {
  const { code, title, sentence, steps } = failures[name];
  shownFailures.add(name);
  if (keptPages) {
    mkdirSync(keptPages, { recursive: true });
    writeFileSync(`${keptPages}/${pictureOf(name).replace('.png', '.html')}`, page.html);
  }
  expect([name, page.status, page.result]).toEqual([name, 400, code]);
  const text = page.html.replaceAll('&#39;', "'");
  for (const part of ['<html lang="en">', `<h1>${title}</h1>`, `<p>${filled(sentence)}</p>`])
    expect(text).toContain(part);
  for (const step of steps) expect(text).toContain(`<li>${filled(step)}</li>`);
  expect([...text.matchAll(/<dd><code>([^<]*)<\/code>/g)].map(([, value]) => value)).toEqual(values);
}

function expectTold(told: Told | undefined, name: keyof typeof failures, values: string[]) {
  const { code, sentence, actor, steps } = failures[name];
  if (!told) throw new Error(`${name} is not told`);
  expect(told).toMatchObject({
    code,
    message: filled(sentence),
    remedy: { actor, steps: steps.map(filled) },
  });
  expect(told.remedy.values.map(({ value }) => value)).toEqual(values);
}

async function problemsOf({ service, workspace, app, connector }: Stage, userId: string) {
  const query = `query ($id: ID!) { connector(id: $id) {
    currentUserConnection { status flowProblem { redirectUri startedAt problem { __typename ${userError} } } }
    flowProblems { redirectUri startedAt problem { __typename ${userError} } } } }`;
  type Problem = { redirectUri: string; startedAt: string; problem: Told };
  type Answer = {
    currentUserConnection: { status: string; flowProblem: Problem | null } | null;
    flowProblems: Problem[];
  };
  const own = field<Answer>(await service.graphql(query, { id: connector.id }, await app.user(userId)), 'connector');
  const admin = field<Answer>(await service.graphql(query, { id: connector.id }, workspace.owner), 'connector');
  expect(own.flowProblems).toEqual([]); // for members only
  return { own: own.currentUserConnection, admin: admin.flowProblems };
}

/** What the user finds at their connection afterwards. */
function expectProblem(
  own: Awaited<ReturnType<typeof problemsOf>>['own'],
  name: keyof typeof failures,
  values: string[],
) {
  expect(own?.status).toBe('NOT_CONNECTED');
  expectTold(own?.flowProblem?.problem, name, values);
}

test.each(refusedByAnswer)(
  '54. %s: what the provider refuses in its answer is told on the page, to the user and, where an admin must act, to the admin',
  async (name, provoke, values, consent) => {
    const stage = await setStage({ origins });
    const place = await connectorFor(stage);
    await provoke(place);
    const { flow, back } = await begin(place, await stage.app.browser('one', preview), {}, consent);
    const expected = values(place);
    if (name === 'INVALID_SCOPE') expect(new URL(back).searchParams.get('error')).toBe('invalid_scope');
    expectPage(await pageOf(await flow.browser.open(stage.service, back)), name, expected);

    const { own, admin } = await problemsOf(place, 'one');
    expect(own?.status).toBe('NOT_CONNECTED');
    expect(own?.flowProblem?.redirectUri).toBe(place.redirectUri);
    expectProblem(own, name, expected);
    if (failures[name].actor === 'ADMIN') expectTold(admin[0]?.problem, name, expected);
    expect(admin).toHaveLength(failures[name].actor === 'ADMIN' ? 1 : 0);
    // with a page of the app to go back to, the code goes there
    const parked = await begin(place, await stage.app.backend('one'), { returnTo: `${preview}/` }, consent);
    const response = await parked.flow.browser.open(stage.service, parked.back);
    expect(returnOf(response).params.connection_error).toBe(failures[name].code);
  },
);

test('54. what fails when the code is exchanged is told on the page, by completeConnection and afterwards to the user', async () => {
  const stage = await setStage({ origins });
  for (const [name, provoke, values] of refusedAtExchange) {
    const onPage = await connectorFor(stage);
    const first = await begin(onPage, await stage.app.browser('one', preview));
    await provoke(onPage);
    expectPage(await pageOf(await first.flow.browser.open(stage.service, first.back)), name, values(onPage));

    const inCode = await connectorFor(stage);
    const parked = await begin(inCode, await stage.app.backend('one'), { returnTo: `${preview}/` });
    const back = await parked.flow.browser.open(stage.service, parked.back);
    await provoke(inCode);
    const code = returnOf(back).params.connect_code ?? '';
    const answer = await completeConnection(stage.service, await stage.app.backend('one'), code);
    expectTold(field<Told>(answer, 'completeConnection'), name, values(inCode));
    if (name === 'CONNECTOR_DELETED') continue;
    expectProblem((await problemsOf(inCode, 'one')).own, name, values(inCode));
  }
});

test('54. a provider that is switched off, or cannot be reached, while the person is there', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service, 'ENTERPRISE');
  const stage = await setStage({ service, origins });
  const app = await createTestApp(service, workspace, [{ kind: 'PREVIEW', origin: 'https://other.example.com' }]);
  const place = { ...stage, workspace, app };
  const connector = await addTestConnector(service, workspace, stage.provider);
  const start = async () => begin({ ...place, connector }, await app.browser('one', 'https://other.example.com'));
  const park = async () => {
    const parked = await begin({ ...place, connector }, await app.backend('one'), {
      returnTo: 'https://other.example.com/',
    });
    return returnOf(await parked.flow.browser.open(service, parked.back)).params.connect_code ?? '';
  };
  const complete = async (code: string) =>
    field<Told>(await completeConnection(service, await app.backend('one'), code), 'completeConnection');
  const off = await start();
  const offCode = await park();
  const unreachable = await start();
  const unreachableCode = await park();
  const set = async (available: boolean) =>
    service.graphql(
      'mutation ($input: SetProviderAvailabilityInput!) { setProviderAvailability(input: $input) { __typename } }',
      { input: { workspaceId: workspace.id, providerKey: 'custom', kind: 'APP_USER', available, confirm: true } },
      workspace.owner,
    );
  await set(false);
  expectPage(await pageOf(await off.flow.browser.open(service, off.back)), 'CONNECTOR_DISABLED', ['custom']);
  expectTold(await complete(offCode), 'CONNECTOR_DISABLED', ['custom']);
  await set(true);

  await stage.provider.stop();
  expectPage(await pageOf(await unreachable.flow.browser.open(service, unreachable.back)), 'PROVIDER_UNREACHABLE', []);
  expectTold(await complete(unreachableCode), 'PROVIDER_UNREACHABLE', []);
  const { own, admin } = await problemsOf({ ...place, connector }, 'one');
  expectProblem(own, 'PROVIDER_UNREACHABLE', []);
  expect(own?.flowProblem?.problem.__typename).toBe('ProviderUnavailableError');
  expect(admin).toEqual([]); // nobody but the provider can act
});

test('54. an address that turns out to be private while the person is at the provider: the host is named, to allow or to correct', async () => {
  let address = '203.0.113.7';
  const stage = await setStage({ origins, overrides: { lookup: async () => [address] } });
  const { service, workspace, app, provider } = stage;
  // people sign in at the provider, and the service is sent to another host for the tokens
  const custom = {
    endpoints: {
      authorizationUrl: `${provider.issuer}/auth`,
      tokenUrl: 'https://tokens.example.com/token',
      clientAuthentication: 'NONE',
    },
  };
  const { clientId } = provider.registerClient({ name: 'Client', redirectUris: [] });
  const id = await addCustomConnector(service, workspace, { custom, clientId, clientSecret: null, scopes: ['openid'] });
  const { redirectUrl } = await startFlow(service, await app.browser('one', preview), id);
  const redirectUri = new URL(redirectUrl).searchParams.get('redirect_uri') ?? '';
  const ofService = service.config.publicUrl + new URL(redirectUri).pathname;
  provider.allowRedirectUris([redirectUri, ofService], clientId);
  const place: Place = { ...stage, connector: { ...stage.connector, id, clientId }, redirectUri };
  const first = await begin(place, await app.browser('one', preview));
  const parked = await begin(place, await app.backend('one'), { returnTo: `${preview}/` });
  const code = returnOf(await parked.flow.browser.open(service, parked.back)).params.connect_code ?? '';

  address = '169.254.169.254';
  const values = ['tokens.example.com'];
  expectPage(await pageOf(await first.flow.browser.open(service, first.back)), 'ADDRESS_BLOCKED', values);
  const answer = await completeConnection(service, await app.backend('one'), code);
  expectTold(field<Told>(answer, 'completeConnection'), 'ADDRESS_BLOCKED', values);
  const { own, admin } = await problemsOf(place, 'one');
  expectProblem(own, 'ADDRESS_BLOCKED', values);
  expectTold(admin[0]?.problem, 'ADDRESS_BLOCKED', values);
});

test('54. a state that has expired or was used, and a flow that somebody else brings back', async () => {
  const stage = await setStage({ origins });
  const { service, app, provider } = stage;
  const place = await connectorFor(stage);
  const start = async () => begin(place, await app.browser('one', preview));

  const used = await start();
  expect((await pageOf(await used.flow.browser.open(service, used.back))).result).toBe('connected');
  expectPage(await pageOf(await used.flow.browser.open(service, used.back)), 'FLOW_EXPIRED', []);

  const others = await start();
  const exchanges = provider.counts.authorization_code;
  const lured = await createBrowser().open(service, others.back);
  expectPage(await pageOf(lured), 'FLOW_MISMATCH', []);
  expect(provider.counts.authorization_code).toBe(exchanges);

  const parked = await begin(place, await app.backend('one'), { returnTo: `${preview}/` });
  const code = returnOf(await parked.flow.browser.open(service, parked.back)).params.connect_code ?? '';
  const stolen = await completeConnection(service, await app.backend('two'), code);
  expectTold(field<Told>(stolen, 'completeConnection'), 'FLOW_MISMATCH', []);
  const burnt = await completeConnection(service, await app.backend('one'), code);
  expectTold(field<Told>(burnt, 'completeConnection'), 'FLOW_EXPIRED', []);

  const posted = await start();
  const tooLarge = new URL(posted.back);
  tooLarge.searchParams.set('code', 'x'.repeat(40_000));
  expectPage(await pageOf(await postCallback(service, tooLarge.href)), 'ANSWER_TOO_LARGE', []);

  const late = await start();
  service.clock.advance(10 * 60_000);
  expectPage(await pageOf(await late.flow.browser.open(service, late.back)), 'FLOW_EXPIRED', []);
});

test('54. a preview that the app has not registered is told with the origin to add; once added, it connects', async () => {
  const { service, workspace, app, connector } = await setStage({ origins });
  const origin = 'https://preview-2.example.com';
  const answer = await connectAppUser(service, await app.browser('one', origin), { connectorId: connector.id });
  expectTold(field<Told>(answer, 'connectAppUser'), 'ORIGIN_NOT_REGISTERED', [origin]);
  await service.graphql(
    'mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }',
    { input: { appId: app.id, origins: [...origins, { kind: 'PREVIEW', origin }] } },
    workspace.owner,
  );
  const { binding } = await startFlow(service, await app.browser('one', origin), connector.id);
  expect(binding).toBe('COOKIE');
});

test('54. the provider refuses the redirect URI and never sends the browser back: the user and the admin are told which one to register', async () => {
  const stage = await setStage({ origins });
  const { service, workspace, app, provider, connector } = stage;
  const origin = 'https://preview-2.example.com';
  await service.graphql(
    'mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }',
    { input: { appId: app.id, origins: [...origins, { kind: 'PREVIEW', origin }] } },
    workspace.owner,
  );
  const redirectUri = `${origin}${new URL(connector.redirectUris[0]?.uri ?? '').pathname}`;
  const headers = await app.browser('one', origin);
  const flow = await startFlow(service, headers, connector.id);
  const refused = await fetch(flow.redirectUrl, { redirect: 'manual' });
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('redirect_uri');

  expect(await problemsOf(stage, 'one')).toEqual({ own: { status: 'NOT_CONNECTED', flowProblem: null }, admin: [] });
  service.clock.advance(60_000);
  const values = [redirectUri, connector.clientId];
  const { own, admin } = await problemsOf(stage, 'one');
  expect(own?.flowProblem?.redirectUri).toBe(redirectUri);
  for (const found of [own?.flowProblem, ...admin]) expectTold(found?.problem, 'FLOW_NOT_RETURNED', values);
  expect(admin).toHaveLength(1);
  expect((await problemsOf(stage, 'two')).own?.flowProblem).toBeNull();

  provider.allowRedirectUris([redirectUri], connector.clientId);
  const again = await startFlow(service, headers, connector.id);
  expect((await pageOf(await again.browser.open(service, await consentAt(again.redirectUrl)))).result).toBe(
    'connected',
  );
  expect(await problemsOf(stage, 'one')).toEqual({ own: { status: 'CONNECTED', flowProblem: null }, admin: [] });
});

test('54. the page speaks the language that the browser asks for, and says so', async () => {
  const service = await startService();
  const url = `${service.config.publicUrl}/api/external-auth/callback?state=unknown`;
  const open = (language: string) => service.app.fetch(new Request(url, { headers: { 'accept-language': language } }));
  for (const [asked, language] of [
    ['de-AT,de;q=0.9,en;q=0.8', 'de'],
    ['fr, de;q=0.5, en;q=0.7', 'en'],
    ['fr', 'en'],
    ['en;q=0.1, DE', 'de'],
    ['de;q=0', 'en'],
    [';;;q=,,*', 'en'],
  ] as const) {
    const page = await open(asked);
    const html = await page.text();
    const { title } = (language === 'de' ? germanFailures : failures).FLOW_EXPIRED;
    expect([asked, page.headers.get('content-language')]).toEqual([asked, language]);
    expect(page.headers.get('vary')).toBe('Accept-Language');
    expect(html).toContain(`<html lang="${language}">`);
    expect(html).toContain(`<h1>${title}</h1>`);
  }
});

test('54. what is in no table of failures is told in German too, and what is not told in German is marked as English', async () => {
  const open = (error: DomainError, language: string) => callbackPage({ error, openers: [] }, language, {}).text();
  for (const error of [
    new PlanRequiredError('BUILDER', 'FREE'),
    new AccountOwnedError('somebody'),
    new RateLimitedError(7),
    roleTooLow('account.connect'),
  ]) {
    const german = await open(error, 'de');
    expect(german).not.toContain('lang="en"');
    for (const text of [error.message, ...(error.remedy?.steps ?? [])]) expect(german).not.toContain(text);
    expect(await open(error, 'en')).toContain(error.message);
  }
  expect(await open(new UnauthenticatedError('Who is there?'), 'de')).toContain('<div lang="en"><p>Who is there?');
});

test('54. each failure that the page has told here has its picture in docs/', (ctx) => {
  if (shownFailures.size === 0 || keptPages) return ctx.skip(); // none was asked for, or the pictures are only now being taken
  const pictures = readdirSync(new URL('../../docs/images/troubleshooting/', import.meta.url));
  expect(pictures.sort()).toEqual([...shownFailures].map(pictureOf).sort());
});

// --- checkConnector ---

interface Check extends Told {
  client: string;
  endpoints: { name: string; url: string; reachable: boolean; problem: Told | null }[];
  redirectUris: { kind: string; uri: string; acceptance: string }[];
  problems: Told[];
  retryAfterSeconds: number;
}

async function check(
  { service, workspace }: Pick<Stage, 'service' | 'workspace'>,
  connectorId: string,
): Promise<Check> {
  const answer = await service.graphql(
    `mutation ($input: CheckConnectorInput!) { checkConnector(input: $input) { __typename
      ... on CheckConnectorPayload { client endpoints { name url reachable problem { __typename ${userError} } }
        redirectUris { kind uri acceptance } problems { __typename ${userError} } connector { id problem { code } } }
      ... on RateLimitedError { retryAfterSeconds } ${userError} } }`,
    { input: { connectorId } },
    workspace.owner,
  );
  return field<Check>(answer, 'checkConnector');
}

const startTrying = () => startService({}, { asksProviderOnSave: true });

test('55. checkConnector: everything answers, the client and each registered redirect URI are accepted, and one that is not registered is named', async () => {
  const stage = await setStage({ origins });
  const { connector, service, app, workspace } = stage;
  const before = await check(stage, connector.id);
  expect(before).toMatchObject({ __typename: 'CheckConnectorPayload', client: 'ACCEPTED', problems: [] });
  expect(before.endpoints.map(({ name, reachable }) => [name, reachable])).toEqual([
    ['AUTHORIZATION', true],
    ['TOKEN', true],
  ]);
  expect(before.redirectUris).toEqual(connector.redirectUris.map((uri) => ({ ...uri, acceptance: 'ACCEPTED' })));

  const origin = 'https://preview-2.example.com';
  await service.graphql(
    'mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }',
    { input: { appId: app.id, origins: [...origins, { kind: 'PREVIEW', origin }] } },
    workspace.owner,
  );
  const after = await check(stage, connector.id);
  const missing = after.redirectUris.filter(({ acceptance }) => acceptance === 'REFUSED');
  expect(missing.map(({ uri }) => new URL(uri).origin)).toEqual([origin]);
  expect(after.problems).toHaveLength(1);
  expectTold(after.problems[0], 'REDIRECT_URI_MISMATCH', [missing[0]?.uri ?? '', connector.clientId]);
});

test('55. checkConnector tells a client that the provider refuses, and the admin finds it at the connector until it is mended', async () => {
  const stage = await setStage({ origins });
  const { connector, provider, service, workspace } = stage;
  const problem = async () => {
    const query = `query ($id: ID!) { connector(id: $id) { problem { __typename ${userError} } } }`;
    const answer = await service.graphql(query, { id: connector.id }, workspace.owner);
    return field<{ problem: Told | null }>(answer, 'connector').problem;
  };
  provider.changeClientSecret('rotated', connector.clientId);
  const refused = await check(stage, connector.id);
  expect(refused.client).toBe('REFUSED');
  for (const told of [refused.problems[0], (await problem()) ?? undefined])
    expectTold(told, 'INVALID_CLIENT', [connector.clientId]);
  await editConnector(stage, { clientSecret: 'rotated' });
  expect((await check(stage, connector.id)).client).toBe('ACCEPTED');
  expect(await problem()).toBeNull();

  await editConnector(stage, { clientId: 'nobody', clientSecret: 'rotated' });
  expect((await check(stage, connector.id)).client).toBe('REFUSED');
});

/** A provider as simple as can be: every client is refused, or none, or it looks at the code first. */
async function startTokenServer(answer: (secret: string | null) => [status: number, error: string]) {
  return startServer((request, response, url) => {
    if (url.pathname === '/authorize') return void response.writeHead(302, { location: '/login' }).end();
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const [status, error] = answer(new URLSearchParams(body).get('client_secret'));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    });
  });
}

const endpointsAt = (origin: string) => ({
  custom: { endpoints: { authorizationUrl: `${origin}/authorize`, tokenUrl: `${origin}/token` } },
});

test('55. a provider that does not distinguish the client from the code is told to be unknown, plainly; its own words decide nothing by themselves', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  for (const [label, answer, expected] of [
    ['looks at the code first', () => [400, 'invalid_grant'], 'UNKNOWN'],
    [
      'in words of its own',
      (secret) => (secret === 'secret' ? [400, 'bad_code'] : [401, 'invalid_client']),
      'ACCEPTED',
    ],
    ['no word of an error', () => [500, 'server_error'], 'UNKNOWN'],
    ['busy', () => [429, 'slow_down'], 'UNKNOWN'],
  ] satisfies [string, Parameters<typeof startTokenServer>[0], string][]) {
    const { origin } = await startTokenServer(answer);
    const connectorId = await addCustomConnector(service, workspace, endpointsAt(origin));
    const { client, redirectUris, problems } = await check({ service, workspace }, connectorId);
    expect([label, client, problems]).toEqual([label, expected, []]);
    expect(redirectUris.map(({ acceptance }) => acceptance)).toEqual(['UNKNOWN']); // it sends everybody to sign in first
  }
});

test('55. addresses that do not answer, or may not be asked, are told with the host; a draft is told what it lacks', async () => {
  const service = await startService({}, { lookup: async () => ['10.0.0.1'] });
  const workspace = await createWorkspace(service);
  const gone = await startServer((_request, response) => response.end());
  const silent = await addCustomConnector(service, workspace, endpointsAt('http://127.0.0.1:9'));
  const dead = await check({ service, workspace }, silent);
  expect(dead.endpoints.map(({ name, reachable }) => [name, reachable])).toEqual([
    ['AUTHORIZATION', false],
    ['TOKEN', false],
  ]);
  expect(dead.client).toBe('UNKNOWN');
  expectTold(dead.problems[0], 'ENDPOINT_UNREACHABLE', ['127.0.0.1:9']);

  const inside = await addCustomConnector(service, workspace, endpointsAt('https://provider.example.com'));
  const blocked = await check({ service, workspace }, inside);
  expect(blocked.problems.map(({ remedy }) => remedy.actor)).toEqual(['OPERATOR', 'OPERATOR']);
  expectTold(blocked.problems[0], 'ADDRESS_BLOCKED', ['provider.example.com']);

  const draft = await addCustomConnector(service, workspace, {
    ...endpointsAt(gone.origin),
    clientId: null,
    clientSecret: null,
    scopes: ['read,write'],
  });
  const lacking = await check({ service, workspace }, draft);
  expect(lacking.problems.map(({ code }) => code)).toEqual(['CONNECTOR_INCOMPLETE', 'INVALID_SCOPE']);
  expect(lacking.problems[0]?.remedy.values.map(({ value }) => value)).toEqual(
    lacking.redirectUris.map(({ uri }) => uri),
  );
  expect(lacking.endpoints.map(({ reachable }) => reachable)).toEqual([true, true]);
  expect(gone.paths).not.toContain('/unregistered');
});

test('55. checks of one connector are limited, whoever asks and on which instance; time gives them back', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const { origin } = await startTokenServer(() => [400, 'invalid_grant']);
  const connectorId = await addCustomConnector(service, workspace, endpointsAt(origin));
  const other = await addCustomConnector(service, workspace, endpointsAt(origin));
  const answers = await Promise.all(Array.from({ length: 10 }, () => check({ service, workspace }, connectorId)));
  const counts = (name: string) => answers.filter(({ __typename }) => __typename === name).length;
  expect([counts('CheckConnectorPayload'), counts('RateLimitedError')]).toEqual([6, 4]);
  const { retryAfterSeconds } = answers.find(({ __typename }) => __typename === 'RateLimitedError') as Check;
  expect(retryAfterSeconds).toBeGreaterThan(0);
  expect(retryAfterSeconds).toBeLessThanOrEqual(10);
  expect((await check({ service, workspace }, other)).__typename).toBe('CheckConnectorPayload');
  service.clock.advance(10_000);
  const after = [await check({ service, workspace }, connectorId), await check({ service, workspace }, connectorId)];
  expect(after.map(({ __typename }) => __typename)).toEqual(['CheckConnectorPayload', 'RateLimitedError']);
});

test('55. saving tells what a check finds and never stands in the way: refused client, redirect URIs, odd scopes, an address that does not answer', async () => {
  const service = await startTrying();
  const stage = await setStage({ service, origins });
  const { workspace, provider, connector } = stage;
  const save = async (input: Record<string, unknown>) => {
    const answer = await service.graphql(
      `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename
        ... on EditConnectorPayload { notices { path message problem { ${userError} } } } ${userError} } }`,
      { input: { connectorId: connector.id, ...input } },
      workspace.owner,
    );
    const edited = field<{ notices: { path: string; message: string; problem: Told }[] }>(answer, 'editConnector');
    expect(edited.__typename).toBe('EditConnectorPayload');
    return edited.notices;
  };
  expect(await save({ clientSecret: connector.clientSecret })).toEqual([]);
  const [refused] = await save({ clientSecret: 'wrong' });
  expect(refused?.path).toBe('input.clientSecret');
  expect(refused?.message).toContain(`(Client id: ${connector.clientId})`);
  expectTold(refused?.problem, 'INVALID_CLIENT', [connector.clientId]);
  const { clientId, clientSecret } = provider.registerClient({ name: 'Without redirect URIs', redirectUris: [] });
  const [mismatch] = await save({ clientId, clientSecret });
  expect(mismatch?.problem.code).toBe('REDIRECT_URI_MISMATCH');
  expect(mismatch?.message).toContain(connector.redirectUris[0]?.uri);
  const asked = provider.counts.authorization_code;
  expect(await save({ name: 'Another name' })).toEqual([]);
  expect((await save({ scopes: ['calendar.read,calendar.write'] })).map(({ path }) => path)).toEqual(['input.scopes']);
  expect(provider.counts.authorization_code).toBe(asked); // nothing of these is known better by asking

  const dead = await addUnreachable(service, workspace);
  expect(dead.map(({ path }) => path)).toEqual([
    'input.custom.endpoints.authorizationUrl',
    'input.custom.endpoints.tokenUrl',
  ]);
});

async function addUnreachable(service: Service, workspace: Stage['workspace']) {
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { ... on AddConnectorPayload { notices { path message } } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        name: 'Nobody there',
        clientId: 'client',
        clientSecret: 'secret',
        scopes: [],
        ...endpointsAt('http://127.0.0.1:9'),
      },
    },
    workspace.owner,
  );
  return field<{ notices: { path: string; message: string }[] }>(added, 'addConnector').notices;
}

test('55, 3. checking is for OWNER and ADMIN, is audited, and shows no secret', async () => {
  const stage = await setStage({ origins });
  const { service, workspace, connector, app } = stage;
  const asked: CalendarProvider['counts'] = { ...stage.provider.counts };
  const call = (headers: Record<string, string>) =>
    service.graphql(
      'mutation ($input: CheckConnectorInput!) { checkConnector(input: $input) { __typename } }',
      { input: { connectorId: connector.id } },
      headers,
    );
  const stranger = await createWorkspace(service);
  expect(field(await call(stranger.owner), 'checkConnector').__typename).toBe('NotFoundError');
  expect(field(await call(await app.user('one')), 'checkConnector').__typename).toBe('NotFoundError');
  expect(stage.provider.counts).toEqual(asked);
  await check(stage, connector.id);
  const audit = await service.graphql(
    `query ($id: ID!) { workspace(id: $id) { audit(filter: { acts: [CONNECTOR_CHECKED] }) { edges { node { act outcome details { name values } } } } } }`,
    { id: workspace.id },
    workspace.owner,
  );
  expect(JSON.stringify(audit.data)).toContain(
    '"CONNECTOR_CHECKED","outcome":"OK","details":[{"name":"client","values":["ACCEPTED"]}]',
  );
  expect(service.logs.join('\n')).not.toContain(connector.clientSecret);
});
