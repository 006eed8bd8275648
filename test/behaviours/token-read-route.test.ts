import { PGlite } from '@electric-sql/pglite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createTestApp, createWorkspace, field, type Service, startService, type TestApp } from '../support/harness.ts';
import { disconnectAppUser } from '../support/journey.ts';
import { connectUser, deleteConnector, editConnector, type Scene, setPlan, setScene } from '../support/scene.ts';

// Here the service runs on the embedded database whatever the others run on: what it asks is counted there.

type Headers = Record<string, string>;

const query = `query ($id: ID!) { currentAppUserConnection(connectorId: $id) { __typename
  ... on CurrentAppUserConnection { accessToken tokenType accessTokenExpiresAt grantedScopes connection { id status account { email } } }
  ... on UserError { code message remedy { steps } } } }`;

interface Listening {
  scene: Scene;
  /** Sends an operation through the socket, as a backend does. */
  post: (body: unknown, headers: Headers) => Promise<{ status: number; type: string | null; body: unknown }>;
  /** The same as a request without a socket, which goes the usual way. */
  usual: Listening['post'];
  read: () => Promise<string>;
  url: string;
}

async function listening(): Promise<Listening> {
  const scene = await setScene(await startService({ DATA_DIR: 'memory://' }));
  const { app } = scene.service;
  const { url } = await app.listen();
  await connectUser(scene, 'one');
  const through =
    (send: (request: Request) => Promise<Response>, base: string) => async (body: unknown, own: Headers) => {
      const headers = { 'content-type': 'application/json', ...own };
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const answer = await send(new Request(`${base}/graphql`, { method: 'POST', headers, body: text }));
      return {
        status: answer.status,
        type: answer.headers.get('content-type'),
        body: JSON.parse(await answer.text()) as unknown,
      };
    };
  const post = through(fetch, url);
  const headers = await scene.app.backend('one');
  return {
    scene,
    url,
    post,
    usual: through(app.fetch, scene.service.config.publicUrl),
    async read() {
      const { body } = await post({ query, variables: { id: scene.connector.id } }, headers);
      const { data } = body as { data: { currentAppUserConnection: { __typename: string; code?: string } } };
      return data.currentAppUserConnection.code ?? data.currentAppUserConnection.__typename;
    },
  };
}

async function mutate(service: Service, name: string, input: Record<string, unknown>, headers: Headers) {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const answer = await service.graphql(
    `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on UserError { message } } }`,
    { input },
    headers,
  );
  expect(field(answer, name)).toEqual({ __typename: `${type}Payload` });
}

/** What the database is asked from now on. */
function noteStatements(): string[] {
  const statements: string[] = [];
  const { query: ask } = PGlite.prototype;
  const spy = vi.spyOn(PGlite.prototype, 'query').mockImplementation(function noted(this: PGlite, ...args) {
    statements.push(args[0]);
    return ask.apply(this, args);
  });
  onTestFinished(() => spy.mockRestore());
  return statements;
}

const OK = 'CurrentAppUserConnection';

describe('a backend function that only reads a token', () => {
  test('31. is answered in one round trip to the database once it is known', async () => {
    const { read } = await listening();
    await read();
    const statements = noteStatements();
    expect(await read()).toBe(OK);
    // the worker's statements are about neither
    expect(statements.filter((statement) => /app_key|FROM connector\b|"connection"/.test(statement))).toEqual([
      expect.stringContaining('appAsOf'),
    ]);
  });

  test('32. gets its own answer where many ask at once, whoever shares the round trip with it', async () => {
    const { scene, post, usual } = await listening();
    const { app, connector, service, workspace } = scene;
    await connectUser(scene, 'two', 'green');
    const second = await createTestApp(service, workspace, []);
    const foreign = await createTestApp(service, await createWorkspace(service), []);
    const nowhere = 'Connector_00000000-0000-4000-8000-000000000000';
    const asked: [headers: Headers, id: string][] = [
      [await foreign.backend('one'), connector.id],
      [await app.backend('one'), connector.id],
      [await app.backend('two'), connector.id],
      [await app.backend('three'), connector.id],
      [await second.backend('one'), connector.id],
      [await app.backend('one'), nowhere],
      [await foreign.backend('two'), connector.id],
      [await app.backend('one'), connector.id],
    ];
    const asking = (send: typeof post) => (one: (typeof asked)[number]) =>
      send({ query, variables: { id: one[1] } }, one[0]);
    const ask = asking(post);
    const alone: unknown[] = [];
    for (const one of asked) alone.push(await ask(one));
    const said = alone.map((answer) => {
      const { body } = answer as { body: { data: { currentAppUserConnection: { code?: string } } } };
      return body.data.currentAppUserConnection.code ?? OK;
    });
    expect(said).toEqual(['NOT_FOUND', OK, OK, 'NOT_CONNECTED', 'NOT_CONNECTED', 'NOT_FOUND', 'NOT_FOUND', OK]);
    expect(alone[1]).not.toEqual(alone[2]);
    expect(await Promise.all(asked.map(ask))).toEqual(alone);
    expect(await Promise.all(asked.toReversed().map(ask))).toEqual(alone.toReversed());
    // callers whose keys are not remembered have none that could tell them apart
    expect(await Promise.all(asked.map(asking(usual)))).toEqual(alone);
  });

  test('32. is refused from the moment its key is revoked, its app deleted, or its identity settings changed', async () => {
    const { scene, post } = await listening();
    const { service, workspace, connector } = scene;
    const { owner } = workspace;
    const origins: [] = [];
    const takings: ((app: TestApp) => Promise<unknown>)[] = [
      async ({ id }) => {
        const keys = await service.graphql(
          'query ($id: ID!) { app(id: $id) { keys(first: 1) { edges { node { id } } } } }',
          { id },
          owner,
        );
        const [edge] = field<{ keys: { edges: { node: { id: string } }[] } }>(keys, 'app').keys.edges;
        await mutate(service, 'revokeAppKey', { appKeyId: edge?.node.id }, owner);
      },
      ({ id }) => mutate(service, 'deleteApp', { appId: id, confirm: true }, owner),
      ({ id, identity: { issuer } }) =>
        mutate(service, 'editApp', { appId: id, identity: { secret: { issuer, audience: 'another' } } }, owner),
    ];
    for (const take of takings) {
      const app = await createTestApp(service, workspace, origins);
      const headers = await app.backend('one');
      const body = { query, variables: { id: connector.id } };
      const read = async () => (await post(body, headers)).body;
      const answered = (code: string) => ({ data: { currentAppUserConnection: { code } } });
      expect([await read(), await read()]).toMatchObject([answered('NOT_CONNECTED'), answered('NOT_CONNECTED')]);
      await take(app);
      expect(await read()).toMatchObject(answered('UNAUTHENTICATED'));
    }
  });

  test('57. is answered alike by the REST route, through the socket and without one', async () => {
    const { scene, url } = await listening();
    const { app, connector, service, workspace } = scene;
    const other = await createTestApp(service, workspace, []);
    const path = `/api/apps/${app.id}/app-user-auth/connectors/${connector.id}/token`;
    const ask = async (send: typeof service.app.fetch, base: string, headers: Headers, at = path) => {
      const answer = await send(new Request(`${base}${at}`, { headers }));
      const kept = ['content-type', 'cache-control', 'access-control-allow-origin'].map((name) =>
        answer.headers.get(name),
      );
      return { status: answer.status, headers: kept, body: await answer.json() };
    };
    const one = await app.backend('one');
    const asked: [status: number, headers: Headers, path?: string][] = [
      [200, one],
      [200, one],
      [404, await app.backend('two')],
      [404, await other.backend('one')],
      [401, { ...one, 'on-behalf-of': 'Bearer no.to.ken' }],
      [400, one, `/api/apps/${app.id}/external-auth/tokens/connectors/${connector.id}`],
      [404, one, `/api/apps/${app.id}/external-auth/tokens/notion`],
    ];
    for (const [status, headers, at] of asked) {
      const straight = await ask(fetch, url, headers, at);
      expect(straight).toEqual(await ask(service.app.fetch, service.config.publicUrl, headers, at));
      expect(straight.status).toBe(status);
    }
    const { body } = await ask(fetch, url, one);
    expect(body).toMatchObject({ access_token: expect.stringMatching(/./), integration_type: 'custom' });
  });

  test('31. is refused once its identity token has ended', async () => {
    const { scene, read } = await listening();
    expect([await read(), await read()]).toEqual([OK, OK]);
    scene.service.clock.advance(3_601_000);
    expect(await read()).toBe('UNAUTHENTICATED');
  });

  test('36. gets the same typed answers as by the usual way', async () => {
    const { scene, post, usual, read } = await listening();
    await read();
    const answers = async (headers: Headers, id = scene.connector.id) => {
      const body = { query, variables: { id } };
      const answer = await post(body, headers);
      expect(answer).toEqual(await usual(body, headers));
      return answer;
    };
    const headers = await scene.app.backend('one');
    expect(await answers(headers)).toMatchObject({
      status: 200,
      type: 'application/json; charset=utf-8',
      body: { data: { currentAppUserConnection: { __typename: OK } } },
    });
    await answers(headers, 'Connector_00000000-0000-4000-8000-000000000000');
    await answers(headers, 'nothing');
    await answers(await scene.app.backend('two'));
    await answers({ authorization: headers['authorization'] ?? '' });
    await answers({ ...headers, authorization: 'Bearer apk_unknown' });
    await answers({ ...headers, 'on-behalf-of': 'Bearer ' });
    await answers({ ...headers, 'on-behalf-of': 'x' });
    await answers({ ...headers, accept: 'application/graphql-response+json, application/json' });
    await answers({ ...headers, origin: 'https://elsewhere.example.com' });
    await editConnector(scene, { scopes: ['openid', 'email', 'calendar.write'] });
    expect(await answers(headers)).toMatchObject({
      body: { data: { currentAppUserConnection: { code: 'RECONNECT_REQUIRED' } } },
    });
    await setPlan(scene, 'FREE');
    expect(await answers(headers)).toMatchObject({
      body: { data: { currentAppUserConnection: { code: 'PLAN_REQUIRED' } } },
    });
    await setPlan(scene, 'BUILDER');
    await disconnectAppUser(scene.service, await scene.app.user('one'), scene.connector.id);
    expect(await answers(headers)).toMatchObject({
      body: { data: { currentAppUserConnection: { code: 'NOT_CONNECTED' } } },
    });
    await deleteConnector(scene);
    expect(await answers(headers)).toMatchObject({
      body: { data: { currentAppUserConnection: { code: 'NOT_FOUND' } } },
    });
  });

  test('T13. nothing that a caller writes is run as code', async () => {
    const { scene, post } = await listening();
    const headers = await scene.app.backend('one');
    // how graphql-jit marks a date among the literals that it makes code of
    const text = '__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74dglobalThis.RAN=1';
    const { body } = await post(
      { query: `{ currentAppUserConnection(connectorId: "${text}") { __typename } }` },
      headers,
    );
    expect(body).toEqual({ data: { currentAppUserConnection: { __typename: 'NotFoundError' } } });
    expect(globalThis).not.toHaveProperty('RAN');
  });

  test('what is no plain token read is answered as by the usual way', async () => {
    const { scene, post, usual } = await listening();
    const headers = await scene.app.backend('one');
    const variables = { id: scene.connector.id };
    const bodies: unknown[] = [
      { query, variables, operationName: 'Other' },
      { query: query.replace('query', 'query Read'), variables, operationName: 'Read' },
      { query: `${query} query Second { viewer { __typename } }`, variables },
      { query: '{ viewer { __typename } currentAppUserConnection(connectorId: "x") { __typename } }' },
      { query: '{ currentAppUserConnection(connectorId: "x") { nothing } }' },
      { query: '{ currentAppUserConnection { __typename } }' },
      { query, variables: { id: 7 } },
      { query, variables: { id: null } },
      { query, variables: [] },
      { query, variables: null },
      {
        query:
          'fragment F on CurrentAppUserConnection { tokenType } query ($id: ID!) { currentAppUserConnection(connectorId: $id) { __typename ...F } }',
        variables,
      },
      {
        query: `query ($id: ID! = "x", $with: Boolean! = false, $seconds: Int) {
          first: currentAppUserConnection(connectorId: $id, minValiditySeconds: $seconds) { __typename
            ... on CurrentAppUserConnection @include(if: $with) { tokenType }
            ... on CurrentAppUserConnection { kind: tokenType grantedScopes @skip(if: $with) connection { account { email } requestedScopes } } }
          second: currentAppUserConnection(connectorId: "x") { ... on UserError { code } } }`,
        variables: { ...variables, with: true },
      },
      {
        query: `query ($id: ID!, $with: Boolean! = false) {
          first: currentAppUserConnection(connectorId: $id) { ...F @include(if: $with) }
          second: currentAppUserConnection(connectorId: $id) { ...F } }
          fragment F on CurrentAppUserConnection { __proto__: tokenType }`,
        variables,
      },
      { query: query.replace('ID!', 'ID! = "x"') },
      {
        query: query.replace(
          'tokenType',
          'tokenType connection { connectedAt connectionConfig { name } missingScopes }',
        ),
        variables,
      },
      { query: '{ ...F } fragment F on Query { currentAppUserConnection(connectorId: "x") { __typename } }' },
      { query: '{' },
      { query: 7 },
      {},
      [],
      'null',
      'no JSON',
    ];
    for (const body of bodies) expect([body, await post(body, headers)]).toEqual([body, await usual(body, headers)]);
  });
});
