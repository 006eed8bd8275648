import { expect, onTestFinished, test, vi } from 'vitest';
import { type CheckDeps, checkConnector, checkSaved } from '../../src/connections/check.ts';
import { callbackPath, type CustomProvider } from '../../src/connectors/connector.ts';
import { ConnectorDisabledError, ConnectorIncompleteError } from '../../src/connectors/errors.ts';
import { type AddConnectorInput, addConnector } from '../../src/connectors/manage.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { openDatabase } from '../../src/db/client.ts';
import type { Connector } from '../../src/db/generated/prisma/client.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import type { DomainError } from '../../src/lib/domain-error.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createProviderFetch } from '../../src/oauth/fetch.ts';
import { createApp } from '../../src/workspaces/apps.ts';
import type { Caller } from '../../src/workspaces/caller.ts';
import { createWorkspace } from '../../src/workspaces/manage.ts';
import { switchOff } from '../../src/workspaces/store.ts';
import { createStoppedClock, newKey } from '../support/at-rest.ts';
import { takeDatabase } from '../support/database.ts';
import { startSmallProvider } from '../support/small-provider.ts';

type SmallProvider = Awaited<ReturnType<typeof startSmallProvider>>;

const publicUrl = 'https://connect.example.com';
const appOrigin = 'https://app.example.com';
const nobodyThere = 'http://127.0.0.1:9';

const atIssuer = (issuer: string): CustomProvider => ({
  type: 'discovery',
  issuer,
  clientAuthentication: 'CLIENT_SECRET_POST',
  extraAuthorizationParams: [],
});

const atEndpoints = (authorizationUrl: string, tokenUrl: string): CustomProvider => ({
  type: 'endpoints',
  authorizationUrl,
  tokenUrl,
  revocationUrl: null,
  userinfoUrl: null,
  scopeSeparator: ' ',
  clientAuthentication: 'CLIENT_SECRET_POST',
  extraAuthorizationParams: [],
});

/** A workspace with an app, without a service; the clock stands still. */
async function setWorkspace() {
  const pglite = await takeDatabase(onTestFinished);
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, pglite });
  onTestFinished(close);
  const lookup = async () => ['10.0.0.1'];
  const policy = { allowedHosts: [], allowLoopback: true, timeoutMs: 10_000, maxBytes: 65_536, lookup };
  const { fetch, close: closeFetch } = createProviderFetch(policy);
  onTestFinished(closeFetch);
  const clock = createStoppedClock();
  const logs: string[] = [];
  const log = createLogger('error', { write: (line) => logs.push(line) });
  const keyring = parseKeyring(newKey('a'));
  const deps: CheckDeps = {
    db,
    clock,
    keyring,
    fetch,
    resolveServer: createResolveServer({ fetch, clock }),
    publicUrl,
    log,
  };
  const common = { db, clock, keyring, events: createStatusEvents(), checkUrl: () => null, wakeWorker: () => {} };

  const operator: Caller = { kind: 'operator' };
  const plan = 'BUILDER';
  const { id: workspaceId } = await createWorkspace({ db, clock, defaultPlan: plan }, operator, {
    name: 'Workspace',
    plan,
  });
  const memberships = [{ workspaceId, role: 'ADMIN' as const }];
  const admin: Caller = { kind: 'member', subject: 'admin-1', memberships, expiresAt: null };
  await createApp(common, admin, {
    workspaceId,
    name: 'App',
    origins: [{ kind: 'LIVE', origin: appOrigin }],
    identity: { type: 'secret', issuer: 'https://identity.example.com', audience: 'app' },
  });

  /** A connector at a provider, complete unless `input` says otherwise, whose redirect URIs the provider knows. */
  const add = async (provider: SmallProvider | null, input: Partial<AddConnectorInput>): Promise<Connector> => {
    const saving = { ...common, checkSaved: async () => [] };
    const { connector } = await addConnector(saving, admin, {
      workspaceId,
      providerKey: 'custom',
      kind: 'APP_USER',
      name: 'Calendar',
      clientId: 'client',
      clientSecret: 'secret',
      scopes: ['read'],
      connectionConfig: [],
      custom: provider && atIssuer(provider.origin),
      ...input,
    });
    provider?.redirectUris.push(...urisOf(connector));
    return connector;
  };
  const check = ({ id }: Connector) => checkConnector(deps, admin, id);
  const audit = async () => {
    const rows = await db.auditEvent.findMany({ where: { act: 'CONNECTOR_CHECKED' }, orderBy: { id: 'asc' } });
    return rows.map(({ actor, connectorId, outcome, details }) => ({ actor, connectorId, outcome, details }));
  };
  return { db, deps, clock, logs, add, check, audit };
}

const urisOf = (connector: Connector) => [appOrigin, publicUrl].map((origin) => origin + callbackPath(connector));

/** Which failure each problem is, who has to act, and what there is to paste. */
const told = (problems: readonly (DomainError | null | undefined)[]) =>
  problems.map((problem) => [
    problem?.failure?.name,
    problem?.remedy?.actor,
    ...(problem?.remedy?.values ?? []).map(({ value }) => value),
  ]);

const unreachable = (host: string) => ['ENDPOINT_UNREACHABLE', 'ADMIN', host];

test('55. a connector that is fine has no problem; the audit tells who checked it, when and what came of it', async () => {
  const { add, check, audit, clock, logs } = await setWorkspace();
  const provider = await startSmallProvider();
  const connector = await add(provider, {});
  const [live, service] = urisOf(connector);
  const accepted = 'ACCEPTED';
  expect(await check(connector)).toEqual({
    endpoints: [
      { name: 'AUTHORIZATION', url: provider.authorizationUrl, problem: null },
      { name: 'TOKEN', url: provider.tokenUrl, problem: null },
    ],
    client: accepted,
    redirectUris: [
      { kind: 'LIVE', uri: live, acceptance: accepted },
      { kind: 'SERVICE', uri: service, acceptance: accepted },
    ],
    problems: [],
    checkedAt: clock.now(),
  });
  expect(provider.askedAt('/token').map((asked) => asked.get('redirect_uri'))).toEqual([live, live]);
  for (const asked of provider.askedAt('/authorize'))
    expect([asked.get('client_id'), asked.get('scope')]).toEqual(['client', 'read']);

  provider.redirectUris.pop();
  provider.client.clientSecret = 'rotated';
  expect(told((await check(connector)).problems)).toEqual([
    ['INVALID_CLIENT', 'ADMIN', 'client'],
    ['REDIRECT_URI_MISMATCH', 'ADMIN', service, 'client'],
  ]);
  const row = { actor: 'admin-1', connectorId: connector.id };
  expect(await audit()).toEqual([
    { ...row, outcome: 'OK', details: { client: 'ACCEPTED' } },
    { ...row, outcome: 'INVALID_CLIENT', details: { client: 'REFUSED' } },
  ]);
  expect(logs).toEqual([]);
});

test('55. where a provider is switched off it is not asked, and that is what there is to mend', async () => {
  const { db, add, check, audit } = await setWorkspace();
  const provider = await startSmallProvider();
  const connector = await add(provider, {});
  await switchOff(db, connector, new Date());
  const refused = await check(connector).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ConnectorDisabledError);
  expect(told([refused as ConnectorDisabledError])).toEqual([['CONNECTOR_DISABLED', 'ADMIN', 'custom']]);
  expect([provider.askedAt('/token'), await audit()]).toEqual([[], []]);
  await db.providerAvailability.deleteMany();
  expect((await check(connector)).problems).toEqual([]);
});

test('55. six checks of a connector may come at once, of which those made on saving count; then one in ten seconds, and who has to wait is told how long', async () => {
  const { add, check, audit, clock, deps } = await setWorkspace();
  const provider = await startSmallProvider();
  const connector = await add(provider, { scopes: ['read,write'] });
  for (let nth = 0; nth < 3; nth += 1) {
    await check(connector);
    await checkSaved(deps, connector, true);
  }
  const asked = provider.askedAt('/token').length;
  await expect(check(connector)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 10 });
  clock.advance(2_500);
  await expect(check(connector)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 8 });
  expect(await checkSaved(deps, connector, true)).toEqual([
    expect.objectContaining({ path: 'input.scopes' }),
    { path: 'input', message: expect.stringContaining('not checked at the provider') },
  ]);
  expect([provider.askedAt('/token').length, (await audit()).length]).toEqual([asked, 3]);
  clock.advance(7_500);
  await check(connector);
  await expect(check(connector)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 10 });
});

test('55. an issuer that cannot be read is told first, with its host and the reason; nothing else is asked, and the rest is unknown', async () => {
  const { add, check, audit, deps } = await setWorkspace();
  const stranger = await startSmallProvider({
    metadata: () => ({ issuer: 'https://stranger.example', authorization_endpoint: 'x', token_endpoint: 'x' }),
  });
  for (const [issuer, problem, reason] of [
    [nobodyThere, unreachable('127.0.0.1:9'), '(NETWORK_ERROR)'],
    [stranger.origin, unreachable(new URL(stranger.origin).host), 'names another issuer'],
    ['https://[fd00::1]', ['ADDRESS_BLOCKED', 'OPERATOR', 'fd00::1'], 'The address is not allowed'],
    ['https://inside.example.com.:8443', ['ADDRESS_BLOCKED', 'OPERATOR', 'inside.example.com'], 'not allowed'],
  ] as const) {
    const connector = await add(null, { custom: atIssuer(issuer), scopes: ['read;write', 'a,', 'b', ',', ';c'] });
    const found = await check(connector);
    expect(found.endpoints).toEqual([{ name: 'ISSUER', url: issuer, problem: found.problems[0] }]);
    expect(told(found.problems)).toEqual([problem, ['INVALID_SCOPE', 'ADMIN', 'read;write', 'a,']]);
    expect(found.client).toBe('UNKNOWN');
    expect(found.redirectUris.map(({ uri, acceptance }) => [uri, acceptance])).toEqual(
      urisOf(connector).map((uri) => [uri, 'UNKNOWN']),
    );
    expect((await audit()).at(-1)).toMatchObject({ outcome: 'PROVIDER_UNAVAILABLE', details: { client: 'UNKNOWN' } });
    for (const asksProvider of [true, false]) {
      const notices = await checkSaved(deps, connector, asksProvider);
      expect(notices.map(({ path }) => path).toSorted()).toEqual(['input.custom.discovery.issuer', 'input.scopes']);
      const notice = notices.find(({ path }) => path === 'input.custom.discovery.issuer');
      expect(told([notice?.problem])).toEqual([problem]);
      expect(notice?.message).toMatch(/^The issuer could not be read: ./);
      expect(notice?.message).toContain(reason);
    }
  }
  expect(stranger.askedAt('/token')).toEqual([]);
});

test('55. a draft is told what it lacks and where to register it; its addresses are tried, and nothing is asked in its name', async () => {
  const { add, check, deps } = await setWorkspace();
  const provider = await startSmallProvider();
  const connector = await add(provider, { clientId: null, clientSecret: null });
  const found = await check(connector);
  expect(told(found.problems)).toEqual([['CONNECTOR_INCOMPLETE', 'ADMIN', ...urisOf(connector)]]);
  expect(found.endpoints.map(({ problem }) => problem)).toEqual([null, null]);
  expect([found.client, ...found.redirectUris.map(({ acceptance }) => acceptance)]).toEqual(Array(3).fill('UNKNOWN'));
  const params = [...provider.askedAt('/token'), ...provider.askedAt('/authorize')].map(String);
  expect(params).toEqual(['', '']);
  expect(await checkSaved(deps, connector, true)).toEqual([]); // its metadata is there
  expect(provider.askedAt('/authorize')).toHaveLength(1);

  const half = await add(provider, {
    custom: atEndpoints(provider.authorizationUrl, `${nobodyThere}/token`),
    clientSecret: null,
  });
  expect(told((await check(half)).endpoints.map(({ problem }) => problem))).toEqual([
    [undefined, undefined],
    unreachable('127.0.0.1:9'),
  ]);
});

test('55. an admin who saves is told each problem at the field that it is about; what is not known better by asking is not asked', async () => {
  const { add, deps } = await setWorkspace();
  const provider = await startSmallProvider();
  const { authorizationUrl, tokenUrl } = provider;
  const saved = async (connector: Connector, asksProvider = true) =>
    (await checkSaved(deps, connector, asksProvider)).map(({ path, message, problem }) => {
      expect(message.startsWith(problem?.message ?? '')).toBe(true);
      return [path, message.slice(problem?.message.length)];
    });
  const odd = ['input.scopes', ' (Scope: a,b, Scope: c;d)'];
  const gone = ' (Host: 127.0.0.1:9)';
  const connector = await add(provider, { scopes: ['a,b', 'c;d', 'read'] });
  expect(await saved(connector)).toEqual([odd]);
  const asked = provider.askedAt('/token').length;
  expect(await saved(connector, false)).toEqual([odd]);
  expect(provider.askedAt('/token')).toHaveLength(asked);

  const away = await add(provider, { custom: atEndpoints(nobodyThere, tokenUrl), scopes: connector.scopes });
  expect(await saved(away)).toEqual([['input.custom.endpoints.authorizationUrl', gone], odd]);
  const lost = await add(provider, { custom: atEndpoints(authorizationUrl, `${nobodyThere}/token`) });
  expect(await saved(lost)).toEqual([['input.custom.endpoints.tokenUrl', gone]]);

  provider.redirectUris.length = 0;
  const [live, service] = urisOf(connector);
  const mismatch = ['input', ` (Redirect URI: ${live}, Redirect URI: ${service}, Client id: client)`];
  expect(await saved(connector)).toEqual([mismatch, odd]);
  provider.client.clientId = 'another';
  expect(await saved(connector)).toEqual([['input.clientSecret', ' (Client id: client)'], odd]);
});

test('55, 59. a setting that went with the operator’s client is asked for by name; no address is said not to answer', async () => {
  const { db, add, check, deps } = await setWorkspace();
  const connectionConfig = [{ name: 'subdomain', value: 'helpdesk' }];
  const added = await add(null, { kind: 'SHARED', providerKey: 'zendesk', connectionConfig });
  for (const isDraft of [true, false]) {
    const left = { connectionConfig: [], ...(isDraft && { clientId: null }) };
    const connector = await db.connector.update({ where: { id: added.id }, data: left });
    const { endpoints, client, problems } = await check(connector);
    expect([endpoints, client]).toEqual([[], 'UNKNOWN']);
    const message = 'The setting subdomain is missing or malformed.';
    const problem = expect.objectContaining({
      code: 'VALIDATION',
      fields: [{ path: 'input.connectionConfig', message }],
    });
    expect(problems.map(({ code }) => code)).toEqual(['VALIDATION', ...(isDraft ? ['CONNECTOR_INCOMPLETE'] : [])]);
    for (const asksProvider of [true, false])
      expect(await checkSaved(deps, connector, asksProvider)).toEqual([
        { path: 'input.connectionConfig', message, problem },
      ]);
    await db.connector.update({ where: { id: added.id }, data: { clientId: 'client' } });
  }
});

test('55. a client that the provider refuses is noted at the connector until it is accepted; what is not known, or was refused otherwise, stays', async () => {
  const { db, add, check } = await setWorkspace();
  let unsure = false;
  const provider = await startSmallProvider({
    token: (asked) => {
      if (unsure) return [400, { error: 'invalid_grant' }];
      const isClient = asked.get('client_secret') === provider.client.clientSecret;
      return isClient ? [400, { error: 'invalid_grant' }] : [401, { error: 'invalid_client' }];
    },
  });
  const connector = await add(provider, {});
  const noted = async () => (await db.connector.findUniqueOrThrow({ where: { id: connector.id } })).refusal;
  provider.client.clientSecret = 'rotated';
  expect([(await check(connector)).client, await noted()]).toEqual(['REFUSED', 'INVALID_CLIENT']);
  unsure = true;
  expect([(await check(connector)).client, await noted()]).toEqual(['UNKNOWN', 'INVALID_CLIENT']);
  unsure = false;
  provider.client.clientSecret = 'secret';
  expect([(await check(connector)).client, await noted()]).toEqual(['ACCEPTED', null]);
  await db.connector.update({ where: { id: connector.id }, data: { refusal: 'INVALID_SCOPE' } });
  expect([(await check(connector)).client, await noted()]).toEqual(['ACCEPTED', 'INVALID_SCOPE']);
});

test('55. what keeps a saved connector from being checked is in the log, and its admin is told to check it; a check fails with it', async () => {
  const { db, add, check, deps, logs } = await setWorkspace();
  const provider = await startSmallProvider();
  const connector = await add(provider, { scopes: ['read,write'] });
  const notices = [expect.objectContaining({ path: 'input.scopes' }), expect.objectContaining({ path: 'input' })];
  const lines = () =>
    logs.splice(0).map((line) => JSON.parse(line) as { msg: string; connectorId: string; err: Error });
  const line = { msg: 'a saved connector could not be checked', connectorId: connector.id };

  const broken = { ...deps, resolveServer: () => Promise.reject(new Error('no settings')) };
  for (const asksProvider of [true, false]) {
    expect(await checkSaved(broken, connector, asksProvider)).toEqual(notices);
    expect(lines()).toMatchObject([{ ...line, err: { message: 'no settings' } }]);
  }
  const keyless = { ...deps, keyring: parseKeyring(newKey('b')) };
  expect(await checkSaved(keyless, connector, true)).toEqual(notices);
  expect(lines()).toMatchObject([line]);

  const operators = await add(null, { kind: 'SHARED', providerKey: 'googlecalendar' });
  const left = { clientId: null, clientSecretSealed: null, operatorClientId: 'former' };
  await db.connector.update({ where: { id: operators.id }, data: left });
  await expect(check(operators)).rejects.toThrow(ConnectorIncompleteError);
});

test('55. a check waits three seconds for an answer, and saving half as long: then the address is told not to answer', async () => {
  const { add, check, deps } = await setWorkspace();
  const silent = await startSmallProvider({ token: () => null, authorization: () => null, metadata: () => null });
  const { authorizationUrl, tokenUrl, origin } = silent;
  const atSilent = await add(null, { custom: atEndpoints(authorizationUrl, tokenUrl) });
  const ofSilent = await add(null, { custom: atIssuer(origin) });
  const draft = await add(null, {
    custom: atEndpoints(authorizationUrl, tokenUrl),
    clientId: null,
    clientSecret: null,
  });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  /** Answers what comes at that time and not before. */
  const after = async <T>(ms: number, path: string, asking: () => Promise<T>): Promise<T> => {
    const before = silent.askedAt(path).length;
    let isSettled = false;
    const answer = asking().finally(() => {
      isSettled = true;
    });
    while (silent.askedAt(path).length === before && !isSettled) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(isSettled).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    return answer;
  };
  const metadata = '/.well-known/openid-configuration';
  const host = new URL(origin).host;
  const [notice] = await after(1_500, metadata, () => checkSaved(deps, ofSilent, false));
  expect(notice).toMatchObject({
    path: 'input.custom.discovery.issuer',
    message: expect.stringContaining('cannot be reached'),
  });
  expect(told((await after(3_000, metadata, () => check(ofSilent))).problems)).toEqual([unreachable(host)]);
  const { endpoints } = await after(3_000, '/token', () => check(draft));
  expect(told(endpoints.map(({ problem }) => problem))).toEqual([unreachable(host), unreachable(host)]);
  vi.clearAllTimers();
  expect(await checkSaved(deps, atSilent, false)).toEqual([]);
  expect(vi.getTimerCount()).toBe(0); // nothing is left that would keep the process
});
