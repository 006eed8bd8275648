import { describe, expect, test } from 'vitest';
import { newKey, startServiceOnDisk, startServiceOnStoppedClock } from '../support/at-rest.ts';
import { createTestApp, field, operatorKey, type Service, startService } from '../support/harness.ts';
import {
  completeConnection,
  connect,
  connectionOf,
  disconnectAppUser,
  readToken,
  returnOf,
} from '../support/journey.ts';
import {
  connectUser,
  editConnector,
  eventually,
  expiredMs,
  readAs,
  type Scene,
  setPlan,
  setScene,
  tokenOf,
  withinMarginMs,
} from '../support/scene.ts';
import { answerTokenRequests, dropFromTokenAnswers, holdTokenRequest, watchTokens } from '../support/token-endpoint.ts';

const statusOf = async ({ service, app, connector }: Scene, userId: string) =>
  connectionOf(service, await app.user(userId), connector.id);

/** What the service has logged as an error, as texts. */
const errorsIn = (service: Service) => service.logs.filter((line) => JSON.parse(line).level >= 50).join('\n');

const masked = {
  data: null,
  errors: [{ message: 'Unexpected error.', extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
};

describe('at rest', () => {
  /** A database with two connected users, sealed under key `a`: as it was, and with the two access tokens swapped. */
  async function storeTwoUsers(a: string) {
    const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: a });
    const scene = await setScene(onDisk.service);
    await connectUser(scene, 'one', 'blue');
    await connectUser(scene, 'two', 'green');
    const tokens = [await tokenOf(scene, 'one'), await tokenOf(scene, 'two')];
    const { id } = (await readAs(scene, 'one')).connection;
    const [asItWas, swapped] = await onDisk.stopAndDump(
      () => Promise.resolve(),
      (database) =>
        database.query(`UPDATE credential SET "accessTokenSealed" =
          (SELECT "accessTokenSealed" FROM credential other WHERE other."connectionId" <> credential."connectionId")`),
    );
    return { scene, tokens, id, asItWas, swapped };
  }

  test('30. a sealed token copied to another row does not open; two keys open what either sealed; a missing key is named in the log', async () => {
    const [a, b] = [newKey('a'), newKey('b')];
    const { scene, tokens, id, asItWas, swapped } = await storeTwoUsers(a);
    const readFailing = async (service: Service) => {
      for (const userId of ['one', 'two']) {
        const answer = await readToken(service, await scene.app.backend(userId), scene.connector.id);
        expect(answer).toMatchObject(masked);
        for (const token of tokens) expect(JSON.stringify(answer)).not.toContain(token);
      }
      return errorsIn(service);
    };

    const copied = await startService({ ENCRYPTION_KEYS: a }, { snapshot: swapped });
    expect(await readFailing(copied)).toContain(
      `credential ${id.replace('AppUserConnection_', '')} accessToken does not open`,
    );

    const rotated = { ...scene, service: await startService({ ENCRYPTION_KEYS: `${b},${a}` }, { snapshot: asItWas }) };
    expect([await tokenOf(rotated, 'one'), await tokenOf(rotated, 'two')]).toEqual(tokens);
    rotated.service.clock.advance(expiredMs);
    scene.service.clock.advance(expiredMs);
    expect(tokens).not.toContain(await tokenOf(rotated, 'one')); // sealed under `b`, opened again

    const missing = await startService({ ENCRYPTION_KEYS: b }, { snapshot: asItWas });
    expect(await readFailing(missing)).toContain('no key \\"a\\" in ENCRYPTION_KEYS');
  });
});

describe('who gets a token', () => {
  test("31. a backend function gets the calling user's own token with all that goes with it, by connector id alone", async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one', 'blue');
    await connectUser(scene, 'two', 'green');
    const one = await readAs(scene, 'one');
    expect(one).toMatchObject({
      __typename: 'CurrentAppUserConnection',
      tokenType: 'Bearer',
      accessTokenFingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      grantedScopes: ['openid', 'email', 'calendar.read'],
      missingScopes: [],
      connectionConfig: [],
      connection: { status: 'CONNECTED', account: { email: expect.stringContaining('blue') } },
    });
    const remainingMs = Date.parse(one.accessTokenExpiresAt) - scene.service.clock.now().getTime();
    expect(remainingMs).toBeGreaterThan(200_000);
    expect(remainingMs).toBeLessThanOrEqual(300_000);

    const accountOf = async (userId: string) => {
      const authorization = `Bearer ${await tokenOf(scene, userId)}`;
      const events = await fetch(scene.provider.eventsUrl, { headers: { authorization } });
      return ((await events.json()) as { account: string }).account;
    };
    expect(await accountOf('one')).toContain('blue');
    expect(await accountOf('two')).toContain('green');
  });

  test('32. an access token leaves only towards a caller with both the app key and the identity token', async () => {
    const scene = await setScene(await startService());
    const { service, workspace, app, connector } = scene;
    await connectUser(scene, 'one');
    const token = await tokenOf(scene, 'one');
    const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
    const appKey = `Bearer ${app.key}`;
    const identity = `Bearer ${await app.identityToken('one')}`;

    const callers: [name: string, headers: Record<string, string>, answer: string][] = [
      ['a browser with the identity token', await app.user('one'), 'ForbiddenError'],
      ["a browser on the app's own page", await app.browser('one'), 'ForbiddenError'],
      ['the app key alone', { authorization: appKey }, 'UnauthenticatedError'],
      ['the app key with X-App-Id', { authorization: appKey, 'x-app-id': app.id }, 'UnauthenticatedError'],
      ['a workspace key', workspace.owner, 'UnauthenticatedError'],
      ['a workspace key on behalf of', { ...workspace.owner, 'on-behalf-of': identity }, 'UnauthenticatedError'],
      ['the operator', { authorization: `Bearer ${operatorKey}` }, 'UnauthenticatedError'],
      [
        'the operator on behalf of',
        { authorization: `Bearer ${operatorKey}`, 'on-behalf-of': identity },
        'UnauthenticatedError',
      ],
      ['nobody', {}, 'UnauthenticatedError'],
      ['nobody on behalf of', { 'on-behalf-of': identity }, 'UnauthenticatedError'],
      [
        "another app's key",
        { authorization: `Bearer ${otherApp.key}`, 'on-behalf-of': identity },
        'UnauthenticatedError',
      ],
      [
        'an expired identity token',
        { authorization: appKey, 'on-behalf-of': `Bearer ${await app.identityToken('one', { expiresIn: -1 })}` },
        'UnauthenticatedError',
      ],
      [
        'a foreign identity token',
        { authorization: appKey, 'on-behalf-of': `Bearer ${await otherApp.identityToken('one')}` },
        'UnauthenticatedError',
      ],
      ['the same name in another app', await otherApp.backend('one'), 'NotConnectedError'],
      ['another user', await app.backend('two'), 'NotConnectedError'],
    ];
    const outcomes = await Promise.all(
      callers.map(async ([name, headers]) => {
        const answer = await readToken(service, headers, connector.id);
        const isTold = JSON.stringify(answer).includes(token);
        return [name, isTold ? 'the token' : field(answer, 'currentAppUserConnection').__typename];
      }),
    );
    expect(outcomes).toEqual(callers.map(([name, , expected]) => [name, expected]));
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
  });

  test('36. each way of having no token is its own typed answer', async () => {
    const scene = await setScene(await startService());
    const { service, workspace, app, connector } = scene;
    const read = (id: string) => app.backend('one').then((headers) => readToken(service, headers, id));
    const answer = async (id = connector.id) =>
      field<Record<string, unknown>>(await read(id), 'currentAppUserConnection');

    expect(await answer()).toMatchObject({
      __typename: 'NotConnectedError',
      code: 'NOT_CONNECTED',
      remedy: { actor: 'USER' },
    });

    const draft = await service.graphql(
      `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { ... on AddConnectorPayload { connector { id } } } }`,
      { input: { workspaceId: workspace.id, providerKey: 'github', name: 'Draft', scopes: [] } },
      workspace.owner,
    );
    const { id: draftId } = field<{ connector: { id: string } }>(draft, 'addConnector').connector;
    expect(await answer(draftId)).toMatchObject({ __typename: 'ConnectorIncompleteError', remedy: { actor: 'ADMIN' } });

    const foreign = await setScene(service);
    const unknown = await answer(`Connector_${crypto.randomUUID()}`);
    expect(unknown).toMatchObject({ __typename: 'NotFoundError', code: 'NOT_FOUND' });
    for (const id of [foreign.connector.id, app.id, 'nonsense', '']) expect(await answer(id)).toEqual(unknown);

    await connectUser(scene, 'one');
    expect(await answer()).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    await setPlan(scene, 'STARTER');
    expect(await answer()).toMatchObject({
      __typename: 'PlanRequiredError',
      requiredPlan: 'BUILDER',
      currentPlan: 'STARTER',
    });
    await setPlan(scene, 'PRO');
    expect(await answer()).toMatchObject({ __typename: 'CurrentAppUserConnection' });

    await editConnector(scene, { scopes: ['openid', 'email', 'calendar.read', 'calendar.write'] });
    expect(await answer()).toMatchObject({
      __typename: 'ReconnectRequiredError',
      code: 'RECONNECT_REQUIRED',
      reconnectReason: 'SCOPES_CHANGED',
      missingScopes: ['calendar.write'],
      remedy: { actor: 'USER' },
    });
  });
});

describe('refreshing', () => {
  test('33. within its last part the old token is answered at once while the provider is asked, and the new one follows', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    const old = await tokenOf(scene, 'one');
    scene.service.clock.advance(withinMarginMs);
    const held = holdTokenRequest(scene.provider, 'request');

    expect(await tokenOf(scene, 'one')).toBe(old);
    await held.reached;
    expect(await tokenOf(scene, 'one')).toBe(old); // the provider has still not answered

    held.release();
    await expect.poll(() => tokenOf(scene, 'one'), eventually).not.toBe(old);
    expect(scene.provider.counts.refresh_token).toBe(1);
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED', lastRefreshedAt: expect.any(String) });
  });

  test('33. a token that is still long valid sends nothing to the provider', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    const old = await tokenOf(scene, 'one');
    scene.service.clock.advance(200_000);
    const reads = await Promise.all(Array.from({ length: 20 }, () => tokenOf(scene, 'one')));
    expect(new Set(reads)).toEqual(new Set([old]));
    await scene.service.app.stop(); // which waits for what goes on in the background
    expect(scene.provider.counts.refresh_token).toBe(0);
  });

  test('34. of 200 simultaneous reads of an expired token one goes to the provider, none fails, and all get the same new token', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    const old = await tokenOf(scene, 'one');
    scene.service.clock.advance(expiredMs);
    const reads = await Promise.all(Array.from({ length: 200 }, () => tokenOf(scene, 'one')));
    expect(new Set(reads).size).toBe(1);
    expect(reads[0]).not.toBe(old);
    expect(scene.provider.counts.refresh_token).toBe(1);
  });

  test('34. rotated refresh tokens are never lost nor replayed over ten cycles of simultaneous reads', async () => {
    const scene = await setScene(await startService());
    const passed = watchTokens(scene.provider);
    await connectUser(scene, 'one');
    const seen = new Set([await tokenOf(scene, 'one')]);
    for (let cycle = 1; cycle <= 10; cycle += 1) {
      scene.service.clock.advance(expiredMs);
      const reads = await Promise.all(Array.from({ length: 5 }, () => tokenOf(scene, 'one')));
      expect(new Set(reads).size).toBe(1);
      for (const token of reads) seen.add(token);
      expect(seen.size).toBe(cycle + 1);
    }
    expect(scene.provider.counts.refresh_token).toBe(10);
    // each came in once with the answer that gave it and, but for the last, went out once with the request that used it
    const times = [...new Set(passed.refreshTokens)].map(
      (token) => passed.refreshTokens.filter((other) => other === token).length,
    );
    expect(times).toEqual([...Array.from({ length: 10 }, () => 2), 1]);
  });

  test('34. a refresh that answers no refresh token keeps the old one', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    scene.service.clock.advance(expiredMs);
    const answers = answerTokenRequests(scene.provider, (ctx) => {
      ctx.body = { access_token: 'access-token-without-company', token_type: 'bearer', expires_in: 300 };
    });
    expect(await tokenOf(scene, 'one')).toBe('access-token-without-company');
    answers.stop();

    scene.service.clock.advance(expiredMs);
    const next = await tokenOf(scene, 'one');
    expect(next).not.toBe('access-token-without-company');
    expect(scene.provider.counts.refresh_token).toBe(1);
    expect(scene.provider.grants()).toHaveLength(1);
  });

  test('34. tokens that a refresh brings after the user has disconnected are not stored, and are revoked', async () => {
    const scene = await setScene(await startService());
    const { service, app, provider, connector } = scene;
    await connectUser(scene, 'one');
    service.clock.advance(expiredMs);
    const held = holdTokenRequest(provider, 'answer');
    const read = readAs(scene, 'one');
    await held.reached; // the provider has rotated the tokens, and nobody here knows

    const gone = await disconnectAppUser(service, await app.user('one'), connector.id);
    expect(field(gone, 'disconnectAppUser').__typename).toBe('DisconnectAppUserPayload');
    expect((await readAs(scene, 'one')).__typename).toBe('NotConnectedError');
    await expect.poll(() => provider.counts.revocation, eventually).toBe(1);

    held.release();
    expect((await read).__typename).toBe('NotConnectedError');
    await expect.poll(() => provider.counts.revocation, eventually).toBe(2);
    expect(provider.grants()).toEqual([]);
    expect((await readAs(scene, 'one')).__typename).toBe('NotConnectedError');
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'NOT_CONNECTED' });
  });

  test('14. after an edit of the client id nothing is refreshed under the new client, and putting it back heals', async () => {
    const scene = await setScene(await startService());
    const { service, provider, connector } = scene;
    await connectUser(scene, 'one');
    const other = provider.registerClient({
      name: 'Other',
      redirectUris: connector.redirectUris.map(({ uri }) => uri),
    });
    await editConnector(scene, { clientId: other.clientId, clientSecret: other.clientSecret });
    const passed = watchTokens(provider);
    service.clock.advance(expiredMs);

    const refused = { __typename: 'ReconnectRequiredError', reconnectReason: 'CREDENTIALS_CHANGED' };
    expect(await readAs(scene, 'one')).toMatchObject(refused);
    expect(await readAs(scene, 'one', { acceptOutdatedScopes: true, minValiditySeconds: 600 })).toMatchObject(refused);
    expect(await statusOf(scene, 'one')).toMatchObject({
      status: 'RECONNECT_REQUIRED',
      reconnectReason: 'CREDENTIALS_CHANGED',
    });

    await editConnector(scene, { clientId: connector.clientId, clientSecret: connector.clientSecret });
    expect(await tokenOf(scene, 'one')).toMatch(/./);
    expect(passed.clientIds).toEqual([connector.clientId]);
  });

  test('14. a client id edited while the provider is answering loses no token: putting it back heals', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    scene.service.clock.advance(expiredMs);
    const held = holdTokenRequest(scene.provider, 'answer');
    const read = readAs(scene, 'one');
    await held.reached;
    await editConnector(scene, { clientId: 'another-client' });
    held.release();
    expect(await read).toMatchObject({ reconnectReason: 'CREDENTIALS_CHANGED' });

    await editConnector(scene, { clientId: scene.connector.clientId });
    const refreshed = await tokenOf(scene, 'one');
    scene.service.clock.advance(expiredMs);
    expect(await tokenOf(scene, 'one')).not.toBe(refreshed);
    expect(scene.provider.counts.refresh_token).toBe(2);
  });
});

describe('a provider in trouble', () => {
  const troubles: [
    name: string,
    trouble: Parameters<typeof answerTokenRequests>[1],
    retryAfterSeconds: number | null,
  ][] = [
    [
      '500',
      (ctx) => {
        ctx.status = 500;
        ctx.body = { error: 'server_error' };
      },
      null,
    ],
    [
      '503 with a page',
      (ctx) => {
        ctx.status = 503;
        ctx.type = 'html';
        ctx.body = '<h1>Back soon</h1>';
      },
      null,
    ],
    [
      '429 with Retry-After',
      (ctx) => {
        ctx.status = 429;
        ctx.set('Retry-After', '120');
        ctx.body = { error: 'rate_limited' };
      },
      120,
    ],
    [
      '503 with Retry-After 0',
      (ctx) => {
        ctx.status = 503;
        ctx.set('Retry-After', '0');
        ctx.body = '';
      },
      null,
    ],
    [
      '400 without a body',
      (ctx) => {
        ctx.status = 400;
        ctx.body = '';
      },
      null,
    ],
    [
      'garbage with 200',
      (ctx) => {
        ctx.status = 200;
        ctx.body = '\u0000 not json';
      },
      null,
    ],
    [
      'a page with 200',
      (ctx) => {
        ctx.status = 200;
        ctx.type = 'html';
        ctx.body = '<form>Sign in</form>';
      },
      null,
    ],
    [
      'an error it invented',
      (ctx) => {
        ctx.status = 400;
        ctx.body = { error: 'try_later' };
      },
      null,
    ],
    [
      'a dropped connection',
      (ctx) => {
        ctx.respond = false;
        ctx.res.destroy();
      },
      null,
    ],
  ];

  test('35. whatever a provider in trouble answers, nobody loses a connection: old token, typed error, back-off, recovery', async () => {
    const scene = await setScene(await startServiceOnStoppedClock());
    const { service, provider } = scene;
    const failures = () => service.logs.filter((line) => line.includes('a refresh failed')).length;
    await connectUser(scene, 'one');

    for (const [name, trouble, retryAfterSeconds] of troubles) {
      const old = await tokenOf(scene, 'one');
      const outage = answerTokenRequests(provider, trouble);
      const [failedBefore, refreshedBefore] = [failures(), provider.counts.refresh_token];

      // while the old token is valid it is served, and many reads are one attempt
      service.clock.advance(withinMarginMs);
      const served = [await tokenOf(scene, 'one')];
      await expect.poll(() => failures() - failedBefore, eventually).toBe(1);
      for (let read = 0; read < 5; read += 1) served.push(await tokenOf(scene, 'one'));
      const attemptsWhileValid = outage.count();

      // afterwards the error says how long to wait, which is how long nothing is asked
      service.clock.advance(expiredMs - withinMarginMs);
      const answers: unknown[] = [];
      const waits: number[] = [];
      const attempts: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        const reads = await Promise.all(Array.from({ length: 5 }, () => readAs(scene, 'one')));
        answers.push(...reads.map(({ __typename, remedy }) => `${__typename} ${remedy?.actor}`));
        waits.push(reads[0]?.retryAfterSeconds ?? 0);
        attempts.push(outage.count());
        service.clock.advance((waits.at(-1) ?? 0) * 1000);
      }
      const status = await statusOf(scene, 'one');
      outage.stop();
      const healed = (await tokenOf(scene, 'one')) !== old;

      expect({ name, served: new Set(served), attemptsWhileValid, answers: new Set(answers) }).toEqual({
        name,
        served: new Set([old]),
        attemptsWhileValid: 1,
        answers: new Set(['ProviderUnavailableError PROVIDER']),
      });
      // a wait that was under way ends with the second round at the latest: at most one attempt a round
      expect({ name, bounded: attempts.every((count, round) => count <= 2 + round) }).toEqual({ name, bounded: true });
      const isLongEnough = (waits.at(-1) ?? 0) >= (retryAfterSeconds ?? 2);
      expect({ name, isLongEnough }).toEqual({ name, isLongEnough: true });
      expect({ name, status: status.status, reason: status.reconnectReason, healed }).toEqual({
        name,
        status: 'CONNECTED',
        reason: null,
        healed: true,
      });
      expect({ name, refreshes: provider.counts.refresh_token - refreshedBefore }).toEqual({ name, refreshes: 1 });
    }
  });

  test("35. T19. only the provider's own refusal makes it ACCESS_REVOKED, for that user alone, and nothing is asked any more", async () => {
    const scene = await setScene(await startService());
    const { service, provider } = scene;
    await connectUser(scene, 'one', 'blue');
    await connectUser(scene, 'two', 'green');
    provider.revokeGrant(provider.grants()[0]?.id ?? '');
    service.clock.advance(expiredMs);

    const refused = { __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' };
    for (const read of await Promise.all([readAs(scene, 'one'), readAs(scene, 'one')]))
      expect(read).toMatchObject(refused);
    expect(await readAs(scene, 'one')).toMatchObject(refused);
    expect(provider.counts.refresh_token).toBe(1);
    expect(await statusOf(scene, 'one')).toMatchObject({
      status: 'RECONNECT_REQUIRED',
      reconnectReason: 'ACCESS_REVOKED',
    });

    expect(await tokenOf(scene, 'two')).toMatch(/./);
    await connectUser(scene, 'one', 'blue');
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED', reconnectReason: null });
    expect(await tokenOf(scene, 'one')).toMatch(/./);
  });

  test('35. an expired token with nothing to refresh it with is GRANT_EXPIRED', async () => {
    const scene = await setScene(await startService());
    const restore = dropFromTokenAnswers(scene.provider, 'refresh_token');
    await connectUser(scene, 'one');
    restore();
    scene.service.clock.advance(withinMarginMs);
    expect((await readAs(scene, 'one')).__typename).toBe('CurrentAppUserConnection');
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });

    scene.service.clock.advance(expiredMs - withinMarginMs);
    expect(await readAs(scene, 'one')).toMatchObject({
      __typename: 'ReconnectRequiredError',
      reconnectReason: 'GRANT_EXPIRED',
    });
    expect(await statusOf(scene, 'one')).toMatchObject({
      status: 'RECONNECT_REQUIRED',
      reconnectReason: 'GRANT_EXPIRED',
    });
    expect(scene.provider.counts.refresh_token).toBe(0);
  });

  test('35. T19. a refused client is told to the admin and flips no user; the right secret heals', async () => {
    const scene = await setScene(await startServiceOnStoppedClock());
    const { service, provider, connector } = scene;
    await connectUser(scene, 'one');
    provider.changeClientSecret('another-secret-of-the-client', connector.clientId);
    service.clock.advance(expiredMs);

    const refused = await readAs(scene, 'one');
    expect(refused).toMatchObject({
      __typename: 'ProviderUnavailableError',
      message: expect.stringContaining('The connection is kept; try again in'),
      remedy: { actor: 'ADMIN' },
    });
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
    // whoever asks again before the provider is asked again hears the same
    expect(await readAs(scene, 'one')).toEqual(refused);

    await editConnector(scene, { clientSecret: 'another-secret-of-the-client' });
    service.clock.advance(refused.retryAfterSeconds * 1000);
    expect(await tokenOf(scene, 'one')).toMatch(/./);
  });
});

describe('what a read may ask for', () => {
  test('33. minValiditySeconds brings a token that is good for that long, and no more often than once a minute', async () => {
    const scene = await setScene(await startServiceOnStoppedClock());
    const { service, provider } = scene;
    await connectUser(scene, 'one');
    const first = await tokenOf(scene, 'one');

    expect(await tokenOf(scene, 'one', { minValiditySeconds: 86_400 })).toBe(first); // just issued: as good as it gets
    service.clock.advance(100_000);
    expect(await tokenOf(scene, 'one', { minValiditySeconds: 200 })).toBe(first);
    expect(provider.counts.refresh_token).toBe(0);

    const second = await readAs(scene, 'one', { minValiditySeconds: 201 });
    expect(second.accessToken).not.toBe(first);
    expect(Date.parse(second.accessTokenExpiresAt) - service.clock.now().getTime()).toBeGreaterThanOrEqual(201_000);
    for (let read = 0; read < 5; read += 1) {
      expect(await tokenOf(scene, 'one', { minValiditySeconds: 86_400 })).toBe(second.accessToken);
    }
    expect(provider.counts.refresh_token).toBe(1);
  });

  test('36. what cannot be asked for is refused as ValidationError', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    for (const options of [
      { minValiditySeconds: -1 },
      { minValiditySeconds: 86_401 },
      { rejectedTokenFingerprint: 'no hex' },
    ]) {
      expect(await readAs(scene, 'one', options)).toMatchObject({ __typename: 'ValidationError', code: 'VALIDATION' });
    }
  });

  test('33. rejectedTokenFingerprint replaces the token that the provider refused, once, and only if it is still the stored one', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    const { accessToken: refused, accessTokenFingerprint } = await readAs(scene, 'one');
    expect(await tokenOf(scene, 'one', { rejectedTokenFingerprint: '0123456789abcdef' })).toBe(refused);
    expect(scene.provider.counts.refresh_token).toBe(0);

    const options = { rejectedTokenFingerprint: accessTokenFingerprint };
    const replaced = await Promise.all(Array.from({ length: 10 }, () => tokenOf(scene, 'one', options)));
    expect(new Set(replaced).size).toBe(1);
    expect(replaced[0]).not.toBe(refused);
    expect(await tokenOf(scene, 'one', options)).toBe(replaced[0]);
    expect(scene.provider.counts.refresh_token).toBe(1);
  });

  test.each([
    [
      'refuses it',
      401,
      { __typename: 'ReconnectRequiredError', reconnectReason: 'ACCESS_REVOKED' },
      'RECONNECT_REQUIRED',
    ],
    ['accepts it', 200, { __typename: 'CurrentAppUserConnection' }, 'CONNECTED'],
    ['is down', 503, { __typename: 'CurrentAppUserConnection' }, 'CONNECTED'],
  ])(
    '33. a refused token that nothing can refresh is tried at the identity endpoint, which %s',
    async (_name, status, answer, state) => {
      const scene = await setScene(await startService());
      dropFromTokenAnswers(scene.provider, 'refresh_token');
      await connectUser(scene, 'one');
      const { accessTokenFingerprint } = await readAs(scene, 'one');
      const asked = scene.provider.counts.userinfo;
      if (status !== 200) {
        scene.provider.around(async (ctx, next) => {
          if (ctx.path !== '/me') return next();
          ctx.status = status;
          ctx.body = {};
        });
      }
      expect(await readAs(scene, 'one', { rejectedTokenFingerprint: accessTokenFingerprint })).toMatchObject(answer);
      expect(await statusOf(scene, 'one')).toMatchObject({ status: state });
      if (status === 200) expect(scene.provider.counts.userinfo).toBe(asked + 1);
    },
  );

  test('33. where there is neither refresh token nor identity endpoint, a refused token is answered as it is: no connection ends on a caller’s word', async () => {
    const scene = await setScene(await startService());
    const { issuer } = scene.provider;
    const endpoints = { authorizationUrl: `${issuer}/auth`, tokenUrl: `${issuer}/token` };
    await editConnector(scene, { custom: { endpoints }, clientSecret: scene.connector.clientSecret });
    dropFromTokenAnswers(scene.provider, 'refresh_token');
    await connectUser(scene, 'one');
    const { accessToken, accessTokenFingerprint } = await readAs(scene, 'one');
    const options = { rejectedTokenFingerprint: accessTokenFingerprint };
    expect(await readAs(scene, 'one', options)).toMatchObject({ accessToken, accessTokenFingerprint });
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
    expect(scene.provider.counts).toMatchObject({ userinfo: 0, refresh_token: 0 });
  });

  test('33. a refused token that nothing can refresh, at a provider that cannot be asked at all, is answered with a typed error', async () => {
    const scene = await setScene(await startService());
    dropFromTokenAnswers(scene.provider, 'refresh_token', 'expires_in');
    await connectUser(scene, 'one');
    const { accessTokenFingerprint } = await readAs(scene, 'one');
    await scene.provider.stop();
    scene.service.clock.advance(3_600_000 - 60_000); // what was discovered is forgotten; the identity token is not
    expect(await readAs(scene, 'one', { rejectedTokenFingerprint: accessTokenFingerprint })).toMatchObject({
      __typename: 'CurrentAppUserConnection',
    });
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
  });

  test('33. acceptOutdatedScopes answers the old token while SCOPES_CHANGED waits for the user, refreshed as ever, and nothing else', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    const old = await tokenOf(scene, 'one');
    await editConnector(scene, { scopes: ['openid', 'email', 'calendar.read', 'calendar.write'] });
    const accept = { acceptOutdatedScopes: true };

    expect(await readAs(scene, 'one')).toMatchObject({
      reconnectReason: 'SCOPES_CHANGED',
      missingScopes: ['calendar.write'],
    });
    expect(await readAs(scene, 'one', accept)).toMatchObject({
      accessToken: old,
      missingScopes: ['calendar.write'],
      connection: { status: 'RECONNECT_REQUIRED' },
    });
    scene.service.clock.advance(expiredMs);
    const refreshed = await tokenOf(scene, 'one', accept);
    expect(refreshed).not.toBe(old);

    await editConnector(scene, { scopes: ['openid', 'email', 'calendar.read'] });
    expect(await tokenOf(scene, 'one')).toBe(refreshed);
    await editConnector(scene, { clientId: 'another-client' });
    expect(await readAs(scene, 'one', accept)).toMatchObject({ reconnectReason: 'CREDENTIALS_CHANGED' });
  });
});

describe('refresh against connect and disconnect', () => {
  /** Connects by code, which needs no page: the request for the code's tokens goes out within `completeConnection`. */
  async function reconnect(scene: Scene, account: 'blue' | 'green' = 'blue') {
    const { service, app, connector } = scene;
    const { response } = await connect(service, await app.backend('one'), connector.id, { account });
    const { connect_code = '' } = returnOf(response).params;
    const completed = await completeConnection(service, await app.user('one'), connect_code);
    expect(field(completed, 'completeConnection').__typename).toBe('CompleteConnectionPayload');
  }
  const disconnectOne = async ({ service, app, connector }: Scene) =>
    disconnectAppUser(service, await app.user('one'), connector.id);

  test('34. a refusal that arrives after the user has disconnected and connected anew does not touch the new connection', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    scene.service.clock.advance(expiredMs);
    const held = holdTokenRequest(scene.provider, 'request');
    const read = readAs(scene, 'one');
    await held.reached;
    await disconnectOne(scene);
    await expect.poll(() => scene.provider.grants().length, eventually).toBe(0);
    await reconnect(scene);

    held.release(); // the provider refuses: the grant was revoked
    expect(await read).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(scene.provider.counts.refresh_token).toBe(1);
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
    expect(await tokenOf(scene, 'one')).toMatch(/./);
  });

  test('34. a refusal that arrives after the user has reconnected does not touch the new connection', async () => {
    const scene = await setScene(await startService());
    await connectUser(scene, 'one');
    scene.service.clock.advance(expiredMs);
    const held = holdTokenRequest(scene.provider, 'request');
    const read = readAs(scene, 'one');
    await held.reached;
    scene.provider.revokeGrant(scene.provider.grants()[0]?.id ?? '');
    await reconnect(scene);
    held.release();
    expect(await read).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(await statusOf(scene, 'one')).toMatchObject({ status: 'CONNECTED' });
  });

  test.each([
    ['reconnected', false],
    ['disconnected and connected anew', true],
  ])(
    '27. tokens that a refresh brings after the user has %s do not live on at the provider once the user disconnects',
    async (_name, disconnects) => {
      const scene = await setScene(await startService());
      const { service, provider } = scene;
      const passed = watchTokens(provider);
      await connectUser(scene, 'one');
      service.clock.advance(expiredMs);
      const held = holdTokenRequest(provider, 'answer');
      const read = readAs(scene, 'one');
      await held.reached;
      const orphan = passed.refreshTokens.at(-1);
      if (disconnects) await disconnectOne(scene);
      await reconnect(scene);
      held.release();
      const current = await read;
      expect(current.__typename).toBe('CurrentAppUserConnection');
      expect(await tokenOf(scene, 'one')).toBe(current.accessToken);

      const revoked = new Set<unknown>();
      provider.around(async (ctx, next) => {
        await next();
        if (ctx.path === '/token/revocation') revoked.add(ctx.oidc?.body?.['token']);
      });
      await disconnectOne(scene);
      await expect.poll(() => [...revoked], eventually).toContain(orphan);
      await expect.poll(() => provider.grants(), eventually).toEqual([]);
    },
  );
});
