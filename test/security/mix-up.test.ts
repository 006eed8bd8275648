import { expect, test } from 'vitest';
import { addTestConnector, field, type Service, startProvider } from '../support/harness.ts';
import { connectAppUser, connectByCookie, connectionOf, readToken, returnOf } from '../support/journey.ts';
import { consentAt } from '../support/local-provider.ts';
import {
  addCustomConnector,
  pageOf,
  postCallback,
  type Stage,
  setStage,
  startFlow,
  startServer,
  withParams,
} from '../support/stage.ts';

/** The attacker's authorization server: it sends the browser on to the honest one, as the honest connector, with the attacker's state. */
function startMaliciousServer(stage: Stage, redirectUri: () => string) {
  const { provider, connector } = stage;
  return startServer((request, response, url) => {
    const origin = `http://${request.headers.host}`;
    if (url.pathname === '/.well-known/openid-configuration') {
      response.setHeader('content-type', 'application/json').end(
        JSON.stringify({
          issuer: origin,
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          authorization_response_iss_parameter_supported: true,
        }),
      );
    } else if (url.pathname === '/authorize') {
      const honest = new URL(`${provider.issuer}/auth`);
      honest.search = new URLSearchParams({
        ...Object.fromEntries(url.searchParams),
        client_id: connector.clientId,
        redirect_uri: redirectUri(),
        scope: 'openid email calendar.read',
      }).toString();
      response.writeHead(302, { location: honest.href }).end();
    } else {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ access_token: 'forged' }));
    }
  });
}

/** Follows the malicious server's redirect to the honest provider and consents there. */
async function consentThrough(redirectUrl: string): Promise<string> {
  const redirect = await fetch(redirectUrl, { redirect: 'manual' });
  return consentAt(redirect.headers.get('location') ?? '');
}

const callbackOf = (stage: Stage, connectorId: string) =>
  `${stage.app.origin}/api/external-auth/callback/${connectorId}`;

test('T2. a malicious authorization server that sends the browser to an honest one gets no code of it', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider, connector } = stage;
  const evil = await startMaliciousServer(stage, () => callbackOf(stage, connector.id));
  const custom = {
    endpoints: { authorizationUrl: `${evil.origin}/authorize`, tokenUrl: `${evil.origin}/token` },
  };
  const malicious = await addCustomConnector(service, workspace, { custom });
  const user = await app.browser('victim');

  const byGet = await startFlow(service, user, malicious);
  const back = await consentThrough(byGet.redirectUrl);
  expect(new URL(back).searchParams.get('state')).toBe(byGet.state);
  expect(await pageOf(await byGet.browser.open(service, back))).toMatchObject({ status: 400, result: 'FLOW_MISMATCH' });
  const moved = `${callbackOf(stage, malicious)}${new URL(back).search}`;
  expect(await pageOf(await byGet.browser.open(service, moved))).toMatchObject({ result: 'FLOW_EXPIRED' });

  // the same by form_post, where the answer would wait for the victim's browser to ask at the right address
  const byPost = await startFlow(service, user, malicious);
  const posted = await consentThrough(byPost.redirectUrl);
  expect(await pageOf(await postCallback(service, posted))).toMatchObject({ status: 400, result: 'FLOW_MISMATCH' });
  const fetched = `${callbackOf(stage, malicious)}?state=${byPost.state}`;
  expect(await pageOf(await byPost.browser.open(service, fetched))).toMatchObject({ result: 'FLOW_EXPIRED' });

  expect(evil.paths).toEqual(['/authorize', '/authorize']);
  expect(provider.counts.authorization_code).toBe(0);
  for (const id of [malicious, connector.id]) {
    expect(await connectionOf(service, user, id)).toMatchObject({ status: 'NOT_CONNECTED' });
  }
});

test('T2. even where one client has the redirect URIs of both, the honest server’s iss gives the mix-up away', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider, connector } = stage;
  const evil = await startMaliciousServer(stage, () => callbackOf(stage, malicious));
  const malicious = await addCustomConnector(service, workspace, { custom: { discovery: { issuer: evil.origin } } });
  provider.allowRedirectUris([callbackOf(stage, malicious)], connector.clientId);
  const flow = await startFlow(service, await app.browser('victim'), malicious);
  const back = await consentThrough(flow.redirectUrl);
  expect(back.split('?')[0]).toBe(callbackOf(stage, malicious));
  expect(new URL(back).searchParams.get('iss')).toBe(provider.issuer);
  expect(returnOf(await flow.browser.open(service, back)).params.connection_error).toBe('FLOW_MISMATCH');
  expect(evil.paths).not.toContain('/token');
  expect(provider.counts.authorization_code).toBe(0);
});

test('T2. metadata in another issuer’s name is not used: connecting answers that the provider is unavailable', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider } = stage;
  const evil = await startServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(
      JSON.stringify({
        issuer: provider.issuer,
        authorization_endpoint: `${provider.issuer}/auth`,
        token_endpoint: 'https://tokens.example.com/token',
      }),
    );
  });
  const malicious = await addCustomConnector(service, workspace, { custom: { discovery: { issuer: evil.origin } } });
  const answer = await connectAppUser(service, await app.browser('victim'), { connectorId: malicious });
  expect(field(answer, 'connectAppUser')).toMatchObject({
    __typename: 'ProviderUnavailableError',
    code: 'PROVIDER_UNAVAILABLE',
    message: 'The provider cannot be used right now. Nothing was connected; press Connect again in 300 seconds.',
  });
});

test('T2. an answer that comes to another connector’s callback is refused, and its state is burnt', async () => {
  const stage = await setStage();
  const { service, workspace, app, provider, connector } = stage;
  const second = await addTestConnector(service, workspace, await startProvider());
  const github = await addCustomConnector(service, workspace, { providerKey: 'github', custom: null });
  const user = await app.browser('one');
  const path = '/api/external-auth/callback';
  const places: [string, string][] = [
    [connector.id, `${path}/${second.id}`],
    [connector.id, path],
    [connector.id, `${path}/Connector_00000000-0000-4000-8000-000000000000`],
    [connector.id, `${path}/${connector.id.toLowerCase()}`],
    [second.id, `${path}/${connector.id}`],
    [github, `${path}/${connector.id}`],
    [github, `${path}/${github}`],
  ];
  for (const [of, place] of places) {
    for (const post of [false, true]) {
      const flow = await startFlow(service, user, of);
      const own = new URL(new URL(flow.redirectUrl).searchParams.get('redirect_uri') ?? '');
      expect(own.pathname).toBe(of === github ? path : `${path}/${of}`);
      const query = `?code=c&state=${flow.state}`;
      const there = app.origin + place + query;
      const response = post ? await postCallback(service, there) : await flow.browser.open(service, there);
      expect([place, post, await pageOf(response)]).toMatchObject([
        place,
        post,
        { status: 400, result: 'FLOW_MISMATCH' },
      ]);
      expect(await pageOf(await flow.browser.open(service, own.href + query))).toMatchObject({
        result: 'FLOW_EXPIRED',
      });
    }
  }
  expect(provider.counts.authorization_code).toBe(0);
});

test('T5. codes swapped between two flows of one user connect neither, and leave the connection as it was', async () => {
  const stage = await setStage();
  const { service, app, provider, connector } = stage;
  const user = await app.browser('one');
  await connectByCookie(service, user, connector.id, { account: 'blue' });
  const token = async () =>
    field<{ accessToken: string }>(
      await readToken(service, await app.backend('one'), connector.id),
      'currentAppUserConnection',
    ).accessToken;
  const [connection, before] = [await connectionOf(service, user, connector.id), await token()];
  const flows = [await startFlow(service, user, connector.id), await startFlow(service, user, connector.id)] as const;
  const backs = [await consentAt(flows[0].redirectUrl), await consentAt(flows[1].redirectUrl)] as const;
  const codeOf = (url: string) => new URL(url).searchParams.get('code');
  for (const [own, foreign] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const swapped = withParams(backs[own], { code: codeOf(backs[foreign]) });
    const { params } = returnOf(await flows[own].browser.open(service, swapped));
    expect(params).toEqual({ connector_id: connector.id, connection_error: 'FLOW_EXPIRED' });
  }
  // each was tried once, and never again without its verifier
  expect(provider.counts.authorization_code).toBe(3);
  expect(await connectionOf(service, user, connector.id)).toEqual(connection);
  expect(await token()).toBe(before);
});

/** The providers of the catalogue, each with settings that will do. */
async function catalogue(service: Service, headers: Record<string, string>) {
  const answer = await service.graphql(`{ providers { key configFields { name pattern } } }`, {}, headers);
  return field<{ key: string; configFields: { name: string; pattern: string }[] }[]>(answer, 'providers')
    .filter(({ key }) => key !== 'custom')
    .map(({ key, configFields }) => ({
      key,
      connectionConfig: configFields.map(({ name, pattern }) => ({
        name,
        value: ['example', 'login', 'account'].find((value) => new RegExp(pattern).test(value)) ?? '',
      })),
    }));
}

test('T5. every authorization URL carries a code challenge, but for the providers that refuse one', async () => {
  const stage = await setStage();
  const { service, workspace, app } = stage;
  const providers = await catalogue(service, workspace.owner);
  const withoutPkce: string[] = [];
  for (const { key: providerKey, connectionConfig } of providers) {
    const id = await addCustomConnector(service, workspace, { providerKey, custom: null, connectionConfig });
    const url = new URL((await startFlow(service, await app.browser('one'), id)).redirectUrl);
    const { code_challenge: challenge, code_challenge_method: method, state } = Object.fromEntries(url.searchParams);
    expect([providerKey, state?.length]).toEqual([providerKey, 43]);
    if (challenge === undefined) withoutPkce.push(providerKey);
    else expect([providerKey, challenge.length, method]).toEqual([providerKey, 43, 'S256']);
  }
  expect(providers.length).toBeGreaterThan(withoutPkce.length);
  const refusing = [
    'figma linear linkedin microsoft_teams one_drive outlook pipedrive share_point slack slackbot splitwise square tiktok',
    'typeform wix',
  ].flatMap((line) => line.split(' '));
  expect(withoutPkce.sort()).toEqual(refusing);
}, 120_000);
