import { request } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { callbackOrigin, resolveReturnTo } from '../../src/workspaces/origin.ts';
import { field } from '../support/harness.ts';
import { connect, connectAppUser, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import { locationOf, pageOf, setStage, startFlow } from '../support/stage.ts';

const live = 'https://app.example.com';
const origins = [
  { kind: 'LIVE' as const, origin: live },
  { kind: 'CUSTOM' as const, origin: 'https://calendar.example.com:8443' },
  { kind: 'PREVIEW' as const, origin: 'http://localhost:4321' },
];
const app = { origins };
const publicUrl = 'https://connect.example.com';
const own = origins.map(({ origin }) => origin);

const refused = [
  '',
  ' ',
  '//evil.example.com',
  '//app.example.com/settings',
  '///evil.example.com',
  '////evil.example.com',
  '/\\evil.example.com',
  '\\/evil.example.com',
  '\\\\evil.example.com',
  '/\t/evil.example.com',
  '/\n/evil.example.com',
  '\t//evil.example.com',
  'ht\ntps://evil.example.com/',
  ' https://app.example.com/',
  '/settings ',
  '/set\u0000tings',
  'https:evil.example.com',
  'https:/evil.example.com',
  'https:///evil.example.com',
  'https:\\\\evil.example.com',
  'https://evil.example.com',
  'HTTPS://EVIL.EXAMPLE.COM/',
  'https://app.example.com@evil.example.com/',
  'https://user@app.example.com/',
  'https://user:password@app.example.com/',
  'https://@app.example.com@evil.example.com',
  'https://app.example.com:@evil.example.com',
  'https://app.example.com\\@evil.example.com',
  'https://app.example.com#@evil.example.com\\',
  'https://app.example.com.evil.example.com/',
  'https://evilapp.example.com/',
  'https://app.example.com.',
  'https://sub.app.example.com/',
  'https://example.com/',
  'https://app.example.com%2eevil.example.com/',
  'https://app.example.com%2f@evil.example.com/',
  'https://app.example.com%00.evil.example.com/',
  'https://app%2eexample%2ecom.evil.example.com/',
  'https://app.example\u3002com/',
  'https://app\uff0eexample\uff0ecom/',
  'https://\u0430pp.example.com/',
  'https://app.example.com:444/',
  'https://app.example.com:8443/',
  'https://calendar.example.com/',
  'http://app.example.com/',
  'http://app.example.com:443/',
  'http://localhost:4322/',
  'https://localhost:4321/',
  'http://127.0.0.1:4321/',
  'ftp://app.example.com/',
  'javascript:alert(1)',
  'javascript://app.example.com/%0aalert(1)',
  'JaVaScRiPt:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'blob:https://app.example.com/x',
  'view-source:https://app.example.com/',
  'intent://app.example.com/#Intent;end',
  'settings',
  '../settings',
  '?tab=1',
  '#tab',
  'null',
  `/${'a'.repeat(2048)}`,
];

const accepted: [string, string][] = [
  ['/', `${live}/`],
  ['/settings?tab=1#list', `${live}/settings?tab=1#list`],
  ['/%2f%2fevil.example.com', `${live}/%2f%2fevil.example.com`],
  ['/.//evil.example.com', `${live}//evil.example.com`],
  ['/a/..//evil.example.com', `${live}//evil.example.com`],
  ['/@evil.example.com', `${live}/@evil.example.com`],
  ['/https://evil.example.com', `${live}/https://evil.example.com`],
  ['/%5cevil.example.com', `${live}/%5cevil.example.com`],
  ['/%09/evil.example.com', `${live}/%09/evil.example.com`],
  ['/?next=//evil.example.com', `${live}/?next=//evil.example.com`],
  [live, `${live}/`],
  ['https://app.example.com:443/a', `${live}/a`],
  ['HTTPS://APP.EXAMPLE.COM/a', `${live}/a`],
  ['https://calendar.example.com:8443/a', 'https://calendar.example.com:8443/a'],
  ['http://localhost:4321/a', 'http://localhost:4321/a'],
];

test.each(refused)('T6. returnTo %j leads nowhere', (returnTo) => {
  expect(resolveReturnTo(app, live, returnTo)).toBeNull();
  expect(resolveReturnTo(app, null, returnTo)).toBeNull();
});

test.each(accepted)('T6. returnTo %j stays inside the app: %s', (returnTo, address) => {
  expect(resolveReturnTo(app, live, returnTo)).toBe(address);
});

test('T6. the service’s own origin, another app’s and any path without a base are no place to return to', () => {
  expect(resolveReturnTo(app, live, `${publicUrl}/`)).toBeNull();
  expect(resolveReturnTo({ origins: [] }, null, '/settings')).toBeNull();
  expect(resolveReturnTo({ origins: [] }, live, '/settings')).toBeNull();
  expect(resolveReturnTo({ origins: [] }, live, live)).toBeNull();
});

const piece = fc.oneof(
  fc.constantFrom(
    ...'/\\:@?#.%&;= \t\n\r\0'.split(''),
    '//',
    '%2f',
    '%5c',
    '%2e',
    '%09',
    'https:',
    'http://',
    '\u3002',
  ),
  fc.constantFrom(...own, publicUrl, 'evil.example.com', 'app.example.com', 'localhost:4321', 'javascript:', 'user@'),
  fc.string({ maxLength: 6, unit: 'binary' }),
);
const address = fc.oneof(
  fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join('')),
  fc.webUrl(),
);

test('T6. whatever is asked for, returnTo resolves to one of the app’s own origins or to nothing', () => {
  let resolved = 0;
  fc.assert(
    fc.property(address, fc.constantFrom(...own, null), (returnTo, base) => {
      const to = resolveReturnTo(app, base, returnTo);
      if (to === null) return;
      resolved += 1;
      expect(own).toContain(new URL(to).origin);
      expect(to).toBe(new URL(to).href);
      expect(to).toMatch(/^[\x21-\x7e]+$/);
      expect(new URL(to).username + new URL(to).password).toBe('');
    }),
    { numRuns: 5_000 },
  );
  expect(resolved).toBeGreaterThan(5); // the property was not vacuous
});

test('19. the callback’s origin is where the user started if that is the app’s, else LIVE, else PUBLIC_URL, and no other', () => {
  expect(callbackOrigin(app, publicUrl, 'http://localhost:4321')).toBe('http://localhost:4321');
  expect(callbackOrigin(app, publicUrl, publicUrl)).toBe(publicUrl);
  for (const started of [null, '', 'null', 'https://evil.example.com', `${live}/`, 'https://APP.example.com']) {
    expect(callbackOrigin(app, publicUrl, started)).toBe(live);
    expect(callbackOrigin({ origins: origins.slice(1) }, publicUrl, started)).toBe(publicUrl);
  }
  fc.assert(
    fc.property(
      fc.subarray(origins),
      fc.oneof(address, fc.constantFrom(...own, publicUrl), fc.constant(null)),
      (some, started) => {
        const set = some.map(({ origin }) => origin);
        const origin = callbackOrigin({ origins: some }, publicUrl, started);
        const expected = [...set, publicUrl].find((one) => one === started) ?? set.find((one) => one === live);
        expect(origin).toBe(expected ?? publicUrl);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('T6. connectAppUser refuses such a returnTo in words and begins nothing; the callback goes where it was told before', async () => {
  const { service, app: testApp, provider, connector } = await setStage({ origins });
  const user = await testApp.browser('one');
  for (const returnTo of [...refused, `${service.config.publicUrl}/`]) {
    const answer = await connectAppUser(service, user, { connectorId: connector.id, returnTo });
    expect([returnTo, field(answer, 'connectAppUser')]).toMatchObject([
      returnTo,
      { __typename: 'ValidationError', fields: [{ path: 'input.returnTo' }] },
    ]);
    expect(answer.headers.getSetCookie()).toEqual([]);
  }
  for (const [returnTo, to] of accepted.slice(0, 6)) {
    const { response } = await connect(service, user, connector.id, { returnTo });
    const { url } = returnOf(response);
    expect([returnTo, new URL(url).origin, new URL(url).pathname]).toEqual([returnTo, live, new URL(to).pathname]);
  }
  expect(provider.counts.authorization_code).toBe(6);

  // nothing that the callback's own URL says about the way back counts
  const flow = await startFlow(service, user, connector.id, { returnTo: '/here' });
  const back = await consentAt(flow.redirectUrl);
  const evil = encodeURIComponent('https://evil.example.com/');
  const names = ['returnTo', 'return_to', 'redirect_uri', 'next', 'origin', 'url'];
  const finished = await flow.browser.open(service, back + names.map((name) => `&${name}=${evil}`).join(''));
  expect(returnOf(finished).url).toBe(`${live}/here?connector_id=${connector.id}&connection_status=connected`);
});

/** A request over a real socket, where every header can be forged. */
function send(
  url: string,
  options: { method?: string; path: string; headers: Record<string, string>; body?: string },
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', path, headers } = options;
    const outgoing = request(url, { method, path, headers, setHost: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const answered = new Headers();
        for (const [name, values] of Object.entries(incoming.headersDistinct)) {
          for (const value of values ?? []) answered.append(name, value);
        }
        resolve(new Response(Buffer.concat(chunks), { status: incoming.statusCode ?? 0, headers: answered }));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

test('T6. forged Host and X-Forwarded headers change neither the redirect URI nor where the callback leads', async () => {
  const { service, app: testApp, connector } = await setStage({ origins });
  const { url } = await service.app.listen();
  const evil = 'evil.example.com';
  const forgeries: Record<string, string>[] = [
    { host: evil },
    { host: new URL(url).host, 'x-forwarded-host': evil, 'x-forwarded-proto': 'http', 'x-forwarded-port': '81' },
    { host: evil, 'x-forwarded-host': evil, 'x-forwarded-proto': 'javascript', 'x-original-host': evil },
    { host: evil, forwarded: `host=${evil};proto=http`, 'x-host': evil, 'x-original-url': `//${evil}/` },
  ];
  const query = `mutation ($input: ConnectAppUserInput!) { connectAppUser(input: $input) { ... on ConnectAppUserPayload { redirectUrl binding } } }`;
  const headersOf: [() => Promise<Record<string, string>>, string][] = [
    [() => testApp.browser('one'), live],
    [() => testApp.browser('one', 'http://localhost:4321'), 'http://localhost:4321'],
    [() => testApp.backend('one'), live],
  ];
  for (const forgery of forgeries) {
    for (const [headers, origin] of headersOf) {
      const body = JSON.stringify({ query, variables: { input: { connectorId: connector.id, returnTo: '/here' } } });
      const started = await send(url, {
        method: 'POST',
        path: '/graphql',
        headers: { ...(await headers()), ...forgery, 'content-type': 'application/json' },
        body,
      });
      const { redirectUrl } = ((await started.json()) as { data: { connectAppUser: { redirectUrl: string } } }).data
        .connectAppUser;
      const redirectUri = new URL(redirectUrl).searchParams.get('redirect_uri');
      expect([forgery, redirectUri]).toEqual([forgery, `${origin}/api/external-auth/callback/${connector.id}`]);

      const back = new URL(await consentAt(redirectUrl));
      const cookie = started.headers
        .getSetCookie()
        .map((line) => line.split(';')[0])
        .join('; ');
      const path = back.pathname + back.search;
      const finished = await send(url, { path, headers: { ...forgery, ...(cookie && { cookie }) } });
      expect([forgery, new URL(locationOf(finished, url)).origin]).toEqual([forgery, origin]);
      const replayed = await send(url, { path, headers: { ...forgery, cookie } });
      expect((await pageOf(replayed)).html).not.toContain('evil');
    }
    const { host = '' } = forgery;
    const flow = await startFlow(service, await testApp.browser('one'), connector.id);
    const posted = await send(url, {
      method: 'POST',
      path: `/api/external-auth/callback/${connector.id}`,
      headers: { ...forgery, 'content-type': 'application/x-www-form-urlencoded' },
      body: `state=${flow.state}&code=c`,
    });
    expect([host, posted.status]).toEqual([host, 303]);
    expect(posted.headers.get('location')).toMatch(/^\/api\/external-auth\/callback\/Connector_[0-9a-f-]+\?state=/);
  }
  for (const host of [`${evil}#@app.example.com`, `${evil}/x?`, `a@${evil}`, '[', 'a b', `${evil}:99999`]) {
    const answer = await send(url, { path: '/api/external-auth/callback?state=x', headers: { host } });
    expect([host, answer.headers.get('location') ?? '/graphql']).toEqual([host, '/graphql']);
    expect([host, (await answer.text()).includes('evil')]).toEqual([host, false]);
  }
});

test('19. a page whose origin the app has not registered begins nothing, and one that only names a foreign origin gets LIVE', async () => {
  const { service, app: testApp, connector } = await setStage({ origins });
  for (const origin of ['https://evil.example.com', 'null', 'https://app.example.com.evil.example.com']) {
    const headers = await testApp.browser('one', origin);
    const answer = await connectAppUser(service, headers, { connectorId: connector.id });
    expect([origin, field(answer, 'connectAppUser').__typename]).toEqual([origin, 'ForbiddenError']);
  }
  for (const origin of ['https://evil.example.com', `${live}.evil.example.com`]) {
    const flow = await startFlow(service, await testApp.backend('one'), connector.id, { origin });
    expect(new URL(flow.redirectUrl).searchParams.get('redirect_uri')).toBe(
      `${live}/api/external-auth/callback/${connector.id}`,
    );
  }
  for (const origin of ['javascript:alert(1)', `${live}/path`, '//evil.example.com', '']) {
    const answer = await connectAppUser(service, await testApp.backend('one'), { connectorId: connector.id, origin });
    expect([origin, field(answer, 'connectAppUser')]).toMatchObject([
      origin,
      { __typename: 'ValidationError', fields: [{ path: 'input.origin' }] },
    ]);
  }
});

test('T6. an origin that the app has given up during a flow is no place to return to: the service’s own page ends it', async () => {
  const { service, app, connector, workspace } = await setStage();
  const flow = await startFlow(service, await app.browser('one'), connector.id, { returnTo: '/settings' });
  const edited = await service.graphql(
    'mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }',
    { input: { appId: app.id, origins: [{ kind: 'LIVE', origin: 'https://moved.example.com' }] } },
    workspace.owner,
  );
  expect(field(edited, 'editApp').__typename).toBe('EditAppPayload');
  const response = await flow.browser.open(service, await consentAt(flow.redirectUrl));
  expect(response.headers.get('location')).toBeNull();
  expect(await response.text()).toContain('data-status="connected"');
});
