import { join } from 'node:path';
import { expect, test } from 'vitest';
import { everyFile, everyRow, newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { parseUrl } from '../../src/lib/parse-url.ts';
import { addTestConnector, field, type Service } from '../support/harness.ts';
import {
  completeConnection,
  connect,
  type Consent,
  createBrowser,
  disconnectAppUser,
  readToken,
  returnOf,
} from '../support/journey.ts';
import {
  connectUser,
  deleteConnector,
  editConnector,
  eventually,
  expiredMs,
  readAs,
  setScene,
  tokenOf,
} from '../support/scene.ts';
import { answerTokenRequests, watchTokens } from '../support/token-endpoint.ts';

type Secrets = Record<string, readonly string[]>;

/** A text in which to look, and where it was found. */
interface Place {
  name: string;
  text: string;
}

/** How a value may look when it has been packed: as it is, URL-encoded, in hex, in base64 at any of three offsets. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map(
    (offset) =>
      Buffer.concat([Buffer.alloc(offset), bytes])
        .toString('base64')
        .replace(/=+$/, '')
        .slice(offset && offset + 1, -1), // the characters at the ends hold bits of what stands before and after
  );
  const urlSafe = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const hex = bytes.toString('hex');
  return [...new Set([value, encodeURIComponent(value), hex, hex.toUpperCase(), ...base64, ...urlSafe])];
}

/** Where secrets are to be seen, as `<what> in <where>`. */
function findings(secrets: Secrets, places: Place[]): string[] {
  const forms = Object.entries(secrets).flatMap(([what, values]) =>
    [...new Set(values)].flatMap((value) => formsOf(value).map((form) => ({ what, form }))),
  );
  return places.flatMap(({ name, text }) =>
    forms.filter(({ form }) => text.includes(form)).map(({ what }) => `${what} in ${name}`),
  );
}

/** Notes every answer from now on, without the one field that may hold a token. */
function recordAnswers(service: Service): Place[] {
  const places: Place[] = [];
  const { fetch } = service.app;
  service.app.fetch = async (request) => {
    const name = `${request.method} ${new URL(request.url).pathname}, answer ${places.length}`;
    const response = await fetch(request);
    const body = (await response.clone().text()).replace(/"accessToken":"[^"]*"/, '"accessToken":"(the one field)"');
    places.push({ name, text: `${JSON.stringify([...response.headers])}\n${body}` });
    return response;
  };
  return places;
}

test('T10. the search below finds a secret in each of the forms that it looks for', () => {
  const secret = 'ctk_of/a+secret?that=is looked&for';
  const around = ['', 'a', 'ab'].map((before) => Buffer.from(`${before}${secret}after`));
  const texts = [
    `plain ${secret}`,
    `https://example.com/?a=${encodeURIComponent(secret)}`,
    ...around.flatMap((bytes) => [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')]),
  ];
  const places = texts.map((text) => ({ name: text, text }));
  expect(findings({ it: [secret] }, places)).toEqual(texts.map((text) => `it in ${text}`));
  expect(
    findings({ it: [secret] }, [{ name: 'nowhere', text: Buffer.from(secret.slice(1, -4)).toString('base64') }]),
  ).toEqual([]);
});

test('T8. T10. after the whole journey no secret is in the database, its files, the log, or an answer but for the one field', async () => {
  const encryptionKey = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: encryptionKey, LOG_LEVEL: 'trace' });
  const { service, dataDir } = onDisk;
  const scene = await setScene(service);
  const { app, provider, connector, workspace } = scene;
  const answers = recordAnswers(service);
  const passed = watchTokens(provider);
  provider.around(async (ctx, next) => {
    await next();
    const location = ctx.response.get('location');
    const code = parseUrl(location)?.searchParams.get('code');
    if (code) passed.codes.push(code); // also those that are never exchanged
  });
  const canary = 'ctk_of_a_talkative_provider';
  const [states, connectCodes, cookies]: [string[], string[], string[]] = [[], [], []];
  const start = async (headers: Record<string, string>, consent: Consent = {}) => {
    const browser = createBrowser();
    const keep = browser.keep.bind(browser);
    browser.keep = (answer) => {
      keep(answer);
      cookies.push(...browser.cookies.values());
    };
    const flow = await connect(service, headers, connector.id, { ...consent, browser });
    states.push(new URL(flow.started.redirectUrl).searchParams.get('state') ?? '');
    const { connect_code: code } = returnOf(flow.response).params;
    if (code !== undefined) connectCodes.push(code);
    return flow;
  };

  // connect: by cookie, by code, begun and left, denied, and with an answer that nobody asked for
  expect(returnOf((await start(await app.browser('one'))).response).params.connection_status).toBe('connected');
  await start(await app.backend('two'), { account: 'green' });
  const completed = await completeConnection(service, await app.user('two'), connectCodes[0] ?? '');
  expect(field(completed, 'completeConnection').__typename).toBe('CompleteConnectionPayload');
  await start(await app.backend('three'), { account: 'green' });
  await start(await app.browser('four'), { decision: 'deny' });
  const talk = `${canary} ${connector.clientSecret}`;
  const lies = { state: canary, code: talk, error: talk, error_description: talk, iss: talk };
  await service.app.fetch(
    new Request(`${app.origin}/api/external-auth/callback/${connector.id}?${new URLSearchParams(lies)}`),
  );

  // edit and reconnect with another account; disconnect while the provider is down and talks
  const scopes = ['openid', 'email', 'calendar.read', 'calendar.write'];
  await editConnector(scene, { scopes });
  expect(await readAs(scene, 'one')).toMatchObject({ reconnectReason: 'SCOPES_CHANGED' });
  expect(await tokenOf(scene, 'one', { acceptOutdatedScopes: true })).toMatch(/./);
  await start(await app.browser('one'), { account: 'blue' });
  let refusals = 0;
  const stopRefusing = provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation') return next();
    refusals += 1;
    ctx.status = 500;
    ctx.body = { error: canary, error_description: [canary, ...passed.refreshTokens].join(' ') };
  });
  await disconnectAppUser(service, await app.user('two'), connector.id);
  await expect.poll(() => refusals, eventually).toBe(1);
  stopRefusing();

  // delete another connector, with its user
  const second = { ...scene, connector: await addTestConnector(service, workspace, provider) };
  await connectUser(second, 'one', 'blue');
  await deleteConnector(second);
  await expect.poll(() => provider.counts.revocation, eventually).toBeGreaterThan(0);

  // refresh, and be told everything by a provider in trouble
  service.clock.advance(expiredMs);
  expect(await tokenOf(scene, 'one')).toMatch(/./);
  for (const status of [200, 400, 401, 403, 429, 500]) {
    service.clock.advance(expiredMs);
    const outage = answerTokenRequests(provider, (ctx) => {
      const all = [canary, connector.clientSecret, ...passed.refreshTokens, ...passed.accessTokens].join(' ');
      ctx.status = status;
      ctx.set('WWW-Authenticate', `Bearer error="${canary}", error_description="${all}"`);
      ctx.set('X-Told', all);
      ctx.body = { error: canary, error_description: all, error_uri: `https://example.com/?${all}`, message: all };
    });
    const failed = await readAs(scene, 'one');
    expect(failed).toMatchObject({ __typename: 'ProviderUnavailableError' });
    outage.stop();
    service.clock.advance(failed.retryAfterSeconds * 1000);
    expect(await tokenOf(scene, 'one')).toMatch(/./);
  }

  // mistakes of callers
  const { accessTokenFingerprint } = await readAs(scene, 'one');
  await tokenOf(scene, 'one', { rejectedTokenFingerprint: accessTokenFingerprint });
  await service.graphql('{ syntax', {}, await app.backend('one'));
  await service.graphql('{ node(id: "x") { id } }', {}, { authorization: `Bearer ${connector.clientSecret}` });
  await readToken(service, await app.user('one'), connector.id);
  await completeConnection(service, await app.user('one'), connectCodes[1] ?? '');
  await start(await app.backend('five'), { account: 'green' }); // which is left parked

  const secrets = {
    'a client secret': [connector.clientSecret, second.connector.clientSecret],
    'an access token': passed.accessTokens,
    'a refresh token': passed.refreshTokens,
    'an id_token': passed.idTokens,
    'an authorization code': passed.codes,
    'a code verifier': passed.codeVerifiers,
    'what the provider said': [canary],
    'the encryption key': [encryptionKey.slice(2)],
    "the app's key": [app.key],
    "the app's identity secret": [app.identity.secret],
    "the workspace's key": [workspace.ownerKey],
  };
  // what a browser was handed to come back with is in answers by intent, and nowhere else
  const all = { ...secrets, 'a state': states, 'a connect code': connectCodes, 'a flow cookie': cookies };
  expect(Object.keys(all).filter((what) => all[what as keyof typeof all].length === 0)).toEqual([]);
  expect(passed.accessTokens.length).toBeGreaterThan(8);
  expect(findings(secrets, answers)).toEqual([]);

  const rows: Place[] = [];
  await onDisk.stopAndDump(async (database) => {
    for (const { table, text } of await everyRow(database)) rows.push({ name: table, text });
  });
  expect(rows.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'app',
      'app_key',
      'audit_event',
      'connector',
      'connection',
      'credential',
      'outbox_item',
      'pending_flow',
    ]),
  );
  expect(findings(all, rows)).toEqual([]);
  expect(
    findings(
      all,
      service.logs.map((text) => ({ name: text, text })),
    ),
  ).toEqual([]);
  // also what was deleted or overwritten since: the write-ahead log keeps it
  const files = everyFile(join(dataDir, 'pglite')).map(({ name, bytes }) => ({ name, text: bytes.toString('latin1') }));
  const plainly = Object.entries(all).flatMap(([what, values]) =>
    files.filter(({ text }) => values.some((value) => text.includes(value))).map(({ name }) => `${what} in ${name}`),
  );
  expect(plainly).toEqual([]);
  expect(files.some(({ text }) => text.includes(accessTokenFingerprint))).toBe(true); // of a token that was replaced
});
