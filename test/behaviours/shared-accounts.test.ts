import { expect, test } from 'vitest';
import { createTestApp, createWorkspace, field, type Service } from '../support/harness.ts';
import { connectAppUser, readToken } from '../support/journey.ts';
import {
  deleteConnector,
  editConnector,
  eventually,
  expiredMs,
  setPlan,
  setScene,
  withinMarginMs,
} from '../support/scene.ts';
import {
  complete,
  connectShared,
  connectSharedAs,
  disconnectShared,
  keyOf,
  openBack,
  readShared,
  setRole,
  setSharedStage,
  sharedOf,
  startShared,
} from '../support/shared-account.ts';
import { setStage, type Stage } from '../support/stage.ts';
import { listen, openSse, openWebSocket } from '../support/streams.ts';
import { holdTokenRequest } from '../support/token-endpoint.ts';

const scopes = ['openid', 'email', 'calendar.read'];
const more = [...scopes, 'calendar.write'];

/** Whether the provider still takes an access token. */
async function works({ provider }: Stage, accessToken: string): Promise<boolean> {
  const { status } = await fetch(provider.eventsUrl, { headers: { authorization: `Bearer ${accessToken}` } });
  return status === 200;
}

const tokenOf = async (stage: Stage): Promise<string> => {
  const answer = await readShared(stage);
  if (answer.__typename !== 'SharedConnection') throw new Error(JSON.stringify(answer));
  return answer.accessToken;
};

test('44. an EDITOR connects the account once from a page of the app (COOKIE), and the app’s key alone reads it', async () => {
  const stage = await setSharedStage();
  const { app, connector, provider } = stage;
  expect((await readShared(stage)).__typename).toBe('NotConnectedError');

  const flow = await startShared(stage, await stage.page('anna'), { returnTo: '/team' }, { account: 'green' });
  expect(flow.binding).toBe('COOKIE');
  expect(await openBack(stage, flow)).toEqual({ connector_id: connector.id, connection_status: 'connected' });

  const read = await readShared(stage);
  expect(read).toMatchObject({
    __typename: 'SharedConnection',
    tokenType: 'Bearer',
    grantedScopes: scopes,
    missingScopes: [],
    connectionConfig: [],
    connection: { status: 'CONNECTED', ownedBy: null, account: { email: expect.stringContaining('green') } },
  });
  expect(await works(stage, read.accessToken)).toBe(true);
  expect(await tokenOf(stage)).toBe(read.accessToken);
  expect((await readShared(stage, await app.backend('one'))).accessToken).toBe(read.accessToken);
  expect(provider.counts).toMatchObject({ authorization_code: 1, refresh_token: 0 });
});

test('44. started on PUBLIC_URL or by a program it finishes there by COOKIE, or by CODE for the member who began', async () => {
  const stage = await setSharedStage();
  const { publicUrl } = stage.service.config;
  const admin = await startShared(stage, await stage.page('anna', publicUrl));
  expect([admin.binding, new URL(admin.back).origin]).toEqual(['COOKIE', publicUrl]);
  expect(await openBack(stage, admin)).toMatchObject({ connection_status: 'connected' });
  await disconnectShared(stage, await stage.member('anna'));

  const { headers, subject } = await keyOf(stage, 'EDITOR');
  const program = await startShared(stage, headers, { origin: publicUrl });
  expect([program.binding, new URL(program.back).origin]).toEqual(['CODE', publicUrl]);
  const { connect_code } = await openBack(stage, program);
  expect((await readShared(stage)).__typename).toBe('NotConnectedError');
  expect(await complete(stage, headers, connect_code)).toMatchObject({ connection: { status: 'CONNECTED' } });
  expect(await sharedOf(stage, await stage.member('vera'))).toMatchObject({ status: 'CONNECTED', ownedBy: subject });
});

test('44. a page of an origin that the app has not registered starts nothing', async () => {
  const stage = await setSharedStage();
  for (const origin of ['https://foreign.example.com', 'null']) {
    expect(await connectShared(stage, await stage.page('anna', origin))).toMatchObject({ code: 'FORBIDDEN' });
  }
  const elsewhere = await startShared(stage, await stage.member('anna'), { origin: 'https://foreign.example.com' });
  expect(new URL(elsewhere.back).origin).toBe(stage.app.origin);
  expect(
    await connectShared(stage, await stage.page('anna'), { returnTo: 'https://foreign.example.com/' }),
  ).toMatchObject({
    code: 'VALIDATION',
  });
});

test('44. VIEWERs, app users, backend functions, the operator and nobody connect or disconnect no shared account', async () => {
  const stage = await setSharedStage();
  const { app } = stage;
  await connectSharedAs(stage, 'anna');
  const refused: [Record<string, string>, string][] = [
    [await stage.page('vera'), 'FORBIDDEN'],
    [(await keyOf(stage, 'VIEWER')).headers, 'FORBIDDEN'],
    [await stage.member('stranger'), 'NOT_FOUND'],
    [await app.browser('one'), 'NOT_FOUND'],
    [await app.backend('one'), 'NOT_FOUND'],
    [{ authorization: `Bearer ${app.key}` }, 'NOT_FOUND'],
    [{}, 'UNAUTHENTICATED'],
  ];
  for (const [headers, code] of refused) {
    expect(await connectShared(stage, headers, { takeOver: true })).toMatchObject({ code });
    expect(await disconnectShared(stage, headers)).toMatchObject({ code });
  }
  for (const role of ['ADMIN', 'OWNER']) {
    const { headers } = await keyOf(stage, role);
    expect(await connectShared(stage, headers, { takeOver: true })).toMatchObject({ alreadyAuthorized: false });
  }
  expect(await tokenOf(stage)).toBeTruthy();
});

test('44. the token goes to backend functions of that app only, and nobody else learns of the account', async () => {
  const stage = await setSharedStage();
  const { service, workspace, app } = stage;
  await connectSharedAs(stage, 'anna');
  const token = await tokenOf(stage);
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  const foreignWorkspace = await createWorkspace(service);
  const foreign = await createTestApp(service, foreignWorkspace);

  expect((await readShared({ ...stage, app: other })).__typename).toBe('NotConnectedError');
  expect((await readShared({ ...stage, app: foreign })).__typename).toBe('NotFoundError');
  expect((await readShared(stage, await app.browser('one'))).__typename).toBe('ForbiddenError');
  expect((await readShared(stage, await stage.member('anna'))).__typename).toBe('UnauthenticatedError');
  expect((await readShared(stage, workspace.owner)).__typename).toBe('UnauthenticatedError');
  expect((await readShared(stage, {})).__typename).toBe('UnauthenticatedError');

  const key = (of: typeof app) => ({ authorization: `Bearer ${of.key}` });
  expect(await sharedOf(stage, key(app))).toMatchObject({ status: 'CONNECTED', ownedBy: null });
  expect(await sharedOf(stage, await app.backend('one'))).toMatchObject({ status: 'CONNECTED', ownedBy: null });
  expect(await sharedOf(stage, await app.browser('one'))).toBeNull();
  expect(await sharedOf(stage, key(other))).toBeNull();
  expect(await sharedOf(stage, key(other), other.id)).toMatchObject({ status: 'NOT_CONNECTED', account: null });
  expect(await sharedOf(stage, await stage.member('vera'), other.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  expect(await sharedOf(stage, await stage.member('vera'), foreign.id)).toBeNull();

  // by its id, too
  const id = (await sharedOf(stage, key(app)))?.id;
  const nodeFor = async (headers: Record<string, string>) =>
    (await service.graphql('query ($id: ID!) { node(id: $id) { id } }', { id }, headers)).data?.node;
  for (const headers of [key(app), await app.backend('one'), await stage.member('vera')]) {
    expect(await nodeFor(headers)).toEqual({ id });
  }
  for (const headers of [await app.browser('one'), key(other), key(foreign), foreignWorkspace.owner]) {
    expect(await nodeFor(headers)).toBeNull();
  }
  expect(await tokenOf(stage)).toBe(token);
});

test('44. each kind of connector says which read and which mutation is for it', async () => {
  const stage = await setSharedStage();
  const { service, app } = stage;
  const own = await setStage({ service });
  expect(
    field(await readToken(service, await app.backend('one'), stage.connector.id), 'currentAppUserConnection'),
  ).toMatchObject({
    code: 'VALIDATION',
    message: expect.stringContaining('sharedConnection'),
  });
  expect(
    field(
      await connectAppUser(service, await app.browser('one'), { connectorId: stage.connector.id }),
      'connectAppUser',
    ),
  ).toMatchObject({
    code: 'VALIDATION',
  });
  expect(await readShared(own)).toMatchObject({
    code: 'VALIDATION',
    message: expect.stringContaining('currentAppUserConnection'),
  });
  expect(await connectShared(own, own.workspace.owner)).toMatchObject({ code: 'VALIDATION' });
  expect(await disconnectShared(own, own.workspace.owner)).toMatchObject({ code: 'VALIDATION' });
});

test('44. two apps of a workspace have an account each through one connector', async () => {
  const stage = await setSharedStage();
  const { service, workspace, connector, provider } = stage;
  const origin = 'https://other.example.com';
  const app = await createTestApp(service, workspace, [{ kind: 'LIVE', origin }]);
  provider.allowRedirectUris([`${origin}/api/external-auth/callback/${connector.id}`], connector.clientId);
  const other = { ...stage, app };
  await connectSharedAs(stage, 'anna', { account: 'blue' });
  const flow = await startShared(other, await stage.page('ben', origin), {}, { account: 'green' });
  expect(await openBack(other, flow)).toMatchObject({ connection_status: 'connected' });
  const [one, two] = [await readShared(stage), await readShared(other)];
  expect(one.accessToken).not.toBe(two.accessToken);
  await disconnectShared(stage, await stage.member('anna'));
  expect((await readShared(stage)).__typename).toBe('NotConnectedError');
  expect(await tokenOf(other)).toBe(two.accessToken);
});

test('34. however many backend functions read a shared account at once, one refresh goes to the provider', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  const old = await tokenOf(stage);
  stage.service.clock.advance(expiredMs);
  const reads = await Promise.all(Array.from({ length: 50 }, () => readShared(stage)));
  const tokens = new Set(reads.map(({ accessToken }) => accessToken));
  expect([tokens.size, tokens.has(old)]).toEqual([1, false]);
  expect(stage.provider.counts.refresh_token).toBe(1);

  // a refused token is replaced once, and a good one is served while it is refreshed
  const [{ accessTokenFingerprint }] = reads as [(typeof reads)[number]];
  const replaced = await readShared(stage, undefined, { rejectedTokenFingerprint: accessTokenFingerprint });
  expect(replaced.accessTokenFingerprint).not.toBe(accessTokenFingerprint);
  expect(stage.provider.counts.refresh_token).toBe(2);
  stage.service.clock.advance(withinMarginMs);
  expect(await tokenOf(stage)).toBe(replaced.accessToken);
  await expect.poll(() => stage.provider.counts.refresh_token, eventually).toBe(3);
});

test('45. members see whose account it is, what it can access and who connected it; disconnecting ends it at the provider', async () => {
  const stage = await setSharedStage();
  const viewer = await stage.member('vera');
  expect(await sharedOf(stage, viewer)).toMatchObject({ status: 'NOT_CONNECTED', account: null, ownedBy: null });
  await connectSharedAs(stage, 'anna', { scopes: ['openid', 'calendar.read'] });
  expect(await sharedOf(stage, viewer)).toMatchObject({
    status: 'CONNECTED',
    ownedBy: 'anna',
    account: { id: 'blue' },
    requestedScopes: scopes,
    grantedScopes: ['openid', 'calendar.read'],
    missingScopes: ['email'],
  });
  const token = await tokenOf(stage);
  const ended = await disconnectShared(stage, await stage.member('ben'));
  expect(ended).toMatchObject({ connection: { status: 'NOT_CONNECTED', ownedBy: null } });
  expect((await readShared(stage)).__typename).toBe('NotConnectedError');
  await expect.poll(() => works(stage, token), eventually).toBe(false);
  expect(stage.provider.counts.revocation).toBe(1);
  expect(await disconnectShared(stage, await stage.member('ben'))).toMatchObject({ code: 'NOT_CONNECTED' });
  expect(await sharedOf(stage, viewer)).toMatchObject({ status: 'NOT_CONNECTED', account: null, ownedBy: null });

  // whoever comes next takes nothing over
  await connectSharedAs(stage, 'ben');
});

test('45. the same person with the same scopes is authorized already; switching replaces the account and revokes the old grant', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna', { account: 'blue' });
  const old = await tokenOf(stage);
  expect(await connectShared(stage, await stage.page('anna'))).toEqual({
    __typename: 'ConnectSharedAccountPayload',
    alreadyAuthorized: true,
    redirectUrl: null,
    expiresAt: null,
    binding: null,
    connection: { id: expect.any(String), status: 'CONNECTED' },
  });
  expect(await connectShared(stage, await stage.page('anna'), { takeOver: true })).toMatchObject({
    alreadyAuthorized: true,
  });
  expect(await tokenOf(stage)).toBe(old);

  await connectSharedAs(stage, 'anna', { account: 'green' }, { switchAccount: true });
  expect(await sharedOf(stage, await stage.member('anna'))).toMatchObject({
    account: { id: 'green' },
    ownedBy: 'anna',
  });
  expect(await tokenOf(stage)).not.toBe(old);
  await expect.poll(() => works(stage, old), eventually).toBe(false);
  expect(stage.provider.grants().map(({ account }) => account.id)).toEqual(['green']);
});

test('45. denied consent leaves the account as it was', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  const token = await tokenOf(stage);
  const flow = await startShared(stage, await stage.page('anna'), { switchAccount: true }, { decision: 'deny' });
  expect(await openBack(stage, flow)).toMatchObject({ connection_error: 'CONSENT_DENIED' });
  expect(await tokenOf(stage)).toBe(token);
});

test('45. a plan too low stops reading and connecting, not disconnecting; a deleted connector ends the account', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  const token = await tokenOf(stage);
  await setPlan(stage, 'STARTER');
  expect((await readShared(stage)).__typename).toBe('PlanRequiredError');
  expect(await connectShared(stage, await stage.page('anna'))).toMatchObject({ code: 'PLAN_REQUIRED' });
  await setPlan(stage, 'BUILDER');
  expect(await tokenOf(stage)).toBe(token);
  await deleteConnector(stage);
  expect((await readShared(stage)).__typename).toBe('NotFoundError');
  expect(await connectShared(stage, await stage.page('anna'))).toMatchObject({ code: 'NOT_FOUND' });
  await expect.poll(() => works(stage, token), eventually).toBe(false);
});

test('46. somebody else’s account is replaced only by who asks to take it over, and its grant is revoked', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna', { account: 'blue' });
  const old = await tokenOf(stage);
  const ben = await stage.page('ben');
  const refusal = { __typename: 'AccountOwnedError', code: 'ACCOUNT_OWNED', owner: 'anna' };
  expect(await connectShared(stage, ben)).toMatchObject(refusal);
  expect(await connectShared(stage, ben, { switchAccount: true })).toMatchObject(refusal);
  // keys are somebody each, as persons are
  const [first, second] = [await keyOf(stage, 'EDITOR'), await keyOf(stage, 'OWNER')];
  expect(await connectShared(stage, second.headers)).toMatchObject(refusal);

  await connectSharedAs(stage, 'ben', { account: 'green' }, { takeOver: true });
  expect(await sharedOf(stage, ben)).toMatchObject({ ownedBy: 'ben', account: { id: 'green' } });
  await expect.poll(() => works(stage, old), eventually).toBe(false);
  expect(await connectShared(stage, await stage.page('anna'))).toMatchObject({ ...refusal, owner: 'ben' });

  const flow = await startShared(stage, first.headers, { takeOver: true });
  expect(await complete(stage, first.headers, (await openBack(stage, flow)).connect_code)).toMatchObject({
    connection: { status: 'CONNECTED' },
  });
  expect(await connectShared(stage, second.headers)).toMatchObject({ ...refusal, owner: first.subject });
});

test('46. an account that requires reconnecting is reconnected by its owner, by others only as a take-over', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  stage.provider.revokeGrant(stage.provider.grants()[0]?.id ?? '');
  stage.service.clock.advance(expiredMs);
  expect(await readShared(stage)).toMatchObject({ code: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });
  expect(await connectShared(stage, await stage.page('ben'))).toMatchObject({ code: 'ACCOUNT_OWNED', owner: 'anna' });
  expect(await connectShared(stage, await stage.page('ben'), { takeOver: true })).toMatchObject({
    alreadyAuthorized: false,
  });
  await connectSharedAs(stage, 'anna');
  expect(await tokenOf(stage)).toBeTruthy();
});

test('46. of two who began before anybody was connected, the second is told whose the account is by now', async () => {
  const stage = await setSharedStage();
  const [anna, ben] = [await stage.page('anna'), await stage.page('ben')];
  const first = await startShared(stage, anna, {}, { account: 'blue' });
  const byCookie = await startShared(stage, ben, {}, { account: 'green' });
  const byCode = await startShared(stage, await stage.member('ben'), {}, { account: 'green' });
  const parked = (await openBack(stage, byCode)).connect_code;
  expect(await openBack(stage, first)).toMatchObject({ connection_status: 'connected' });
  expect(await openBack(stage, byCookie)).toMatchObject({ connection_error: 'ACCOUNT_OWNED' });
  expect(await complete(stage, ben, parked)).toMatchObject({ code: 'ACCOUNT_OWNED', owner: 'anna' });
  expect(stage.provider.counts.authorization_code).toBe(1); // nothing was fetched that could not be kept
  expect(await sharedOf(stage, ben)).toMatchObject({ ownedBy: 'anna', account: { id: 'blue' } });
});

test.each([
  ['blue', 'green'],
  ['blue', 'blue'],
] as const)(
  '46. of two who finish at once (%s, %s) one is connected, and the other’s grant is given back',
  async (...accounts) => {
    const stage = await setSharedStage();
    const [first, second] = [
      await startShared(stage, await stage.page('anna'), {}, { account: accounts[0] }),
      await startShared(stage, await stage.page('ben'), {}, { account: accounts[1] }),
    ];
    const held = holdTokenRequest(stage.provider, 'answer');
    const end = openBack(stage, first);
    await held.reached;
    expect(await openBack(stage, second)).toMatchObject({ connection_status: 'connected' });
    const token = await tokenOf(stage);
    held.release();
    expect(await end).toMatchObject({ connection_error: 'ACCOUNT_OWNED' });
    const account = { id: accounts[1] };
    expect(await sharedOf(stage, await stage.member('vera'))).toMatchObject({ ownedBy: 'ben', account });
    const granted = () => stage.provider.grants().map((grant) => grant.account.id);
    if (accounts[0] !== accounts[1]) await expect.poll(granted, eventually).toEqual([accounts[1]]);
    expect(await works(stage, token)).toBe(true);

    await disconnectShared(stage, await stage.member('ben'));
    await expect.poll(granted, eventually).toEqual([]);
  },
);

test('46. a grant that is given back may be the very one that the connected account stands on: it waits until that ends', async () => {
  const stage = await setSharedStage();
  const { service, workspace, connector, provider } = stage;
  await editConnector(stage, { scopes: ['calendar.read'] }); // so that the provider does not tell whose account it is
  const first = await startShared(stage, await stage.page('anna'));
  const held = holdTokenRequest(provider, 'answer');
  const end = openBack(stage, first);
  await held.reached;
  await connectSharedAs(stage, 'ben');
  held.release();
  expect(await end).toMatchObject({ connection_error: 'ACCOUNT_OWNED' });

  // what comes after it in the queue has been revoked, and it has not
  const origin = 'https://other.example.com';
  const other = { ...stage, app: await createTestApp(service, workspace, [{ kind: 'LIVE', origin }]) };
  provider.allowRedirectUris([`${origin}/api/external-auth/callback/${connector.id}`], connector.clientId);
  await openBack(other, await startShared(other, await stage.page('ben', origin)));
  const later = await tokenOf(other);
  await disconnectShared(other, await stage.member('ben'));
  await expect.poll(() => works(stage, later), eventually).toBe(false);
  expect(provider.counts.revocation).toBe(1);

  await disconnectShared(stage, await stage.member('ben'));
  await expect.poll(() => provider.counts.revocation, eventually).toBe(3);
});

test('46. a take-over holds also where two finish at once: the last one has it', async () => {
  const stage = await setSharedStage();
  const flows = [];
  for (const subject of ['anna', 'ben']) {
    const input = { takeOver: true };
    flows.push(
      await startShared(stage, await stage.page(subject), input, { account: subject === 'anna' ? 'blue' : 'green' }),
    );
  }
  const ends = await Promise.all(flows.map((flow) => openBack(stage, flow)));
  expect(ends.map((params) => params.connection_status)).toEqual(['connected', 'connected']);
  const last = await sharedOf(stage, await stage.member('vera'));
  expect([
    { ownedBy: 'anna', account: { id: 'blue' } },
    { ownedBy: 'ben', account: { id: 'green' } },
  ]).toContainEqual({ ownedBy: last?.ownedBy, account: { id: last?.account?.id } });
  await expect.poll(() => stage.provider.grants().length, eventually).toBe(1);
});

test('47. further scopes are shown as missing, and approved again by the owner', async () => {
  const stage = await setSharedStage();
  await connectSharedAs(stage, 'anna');
  const anna = await stage.page('anna');
  await editConnector(stage, { scopes: more });
  expect(await readShared(stage)).toMatchObject({
    code: 'RECONNECT_REQUIRED',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['calendar.write'],
  });
  expect(await sharedOf(stage, anna)).toMatchObject({
    status: 'RECONNECT_REQUIRED',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['calendar.write'],
  });
  // put back, it heals, and nothing is to be allowed
  await editConnector(stage, { scopes });
  expect(await connectShared(stage, anna)).toMatchObject({ alreadyAuthorized: true });
  await editConnector(stage, { scopes: more });
  await connectSharedAs(stage, 'anna', { scopes });
  expect(await sharedOf(stage, anna)).toMatchObject({ status: 'CONNECTED', missingScopes: ['calendar.write'] });
  await connectSharedAs(stage, 'anna'); // what was left out can be allowed at any time
  expect(await readShared(stage)).toMatchObject({ grantedScopes: more, missingScopes: [] });
  expect(await connectShared(stage, anna)).toMatchObject({ alreadyAuthorized: true });
});

test('44. a role or key taken away in mid-flow ends the flow, by COOKIE and by CODE, before and during the exchange', async () => {
  const stage = await setSharedStage();
  const { service, workspace, provider } = stage;
  const take = { demote: 'VIEWER', remove: null } as const;
  for (const role of Object.values(take)) {
    const cookie = await startShared(stage, await stage.page('anna'));
    const code = await startShared(stage, await stage.member('anna'));
    const parked = (await openBack(stage, code)).connect_code;
    await setRole(stage, 'anna', role);
    expect(await openBack(stage, cookie)).toMatchObject({ connection_error: 'FORBIDDEN' });
    expect(await complete(stage, await stage.member('anna'), parked)).toMatchObject({ code: 'FORBIDDEN' });
    await setRole(stage, 'anna', 'EDITOR');
    expect(await complete(stage, await stage.member('anna'), parked)).toMatchObject({ code: 'FLOW_EXPIRED' });
  }
  expect(provider.counts.authorization_code).toBe(0);

  const page = { origin: stage.app.origin, 'sec-fetch-site': 'same-origin' };
  const key = await keyOf(stage, 'EDITOR');
  const flow = await startShared(stage, { ...key.headers, ...page });
  expect(flow.binding).toBe('COOKIE');
  await service.graphql(
    'mutation ($id: ID!) { revokeWorkspaceKey(input: { workspaceKeyId: $id }) { __typename } }',
    { id: key.subject.replace('key:', 'WorkspaceKey_') },
    workspace.owner,
  );
  expect(await openBack(stage, flow)).toMatchObject({ connection_error: 'FORBIDDEN' });
  expect(provider.counts.authorization_code).toBe(0);

  const late = await startShared(stage, await stage.page('anna'));
  const held = holdTokenRequest(provider, 'answer');
  const end = openBack(stage, late);
  await held.reached;
  await setRole(stage, 'anna', null);
  held.release();
  expect(await end).toMatchObject({ connection_error: 'FORBIDDEN' });
  expect((await readShared(stage)).__typename).toBe('NotConnectedError');
  await expect.poll(() => provider.counts.revocation, eventually).toBe(1); // given back
});

test('T1. a member’s connect code shown by anybody else is burnt, and a user’s shown by a member as well', async () => {
  const stage = await setSharedStage();
  const { app } = stage;
  const shows = [
    await stage.page('ben'),
    (await keyOf(stage, 'OWNER')).headers,
    await stage.page('vera'),
    await app.browser('anna'), // an app user of the same name
    await app.backend('anna'),
  ];
  for (const headers of shows) {
    const flow = await startShared(stage, await stage.member('anna'));
    const { connect_code } = await openBack(stage, flow);
    expect(await complete(stage, headers, connect_code)).toMatchObject({ code: 'FLOW_MISMATCH' });
    expect(await complete(stage, await stage.member('anna'), connect_code)).toMatchObject({ code: 'FLOW_EXPIRED' });
  }
  // a lured browser only parks
  const flow = await startShared(stage, await stage.page('anna'));
  const lured = await startShared(stage, await stage.page('ben'));
  const { connect_code } = await openBack(stage, { ...flow, browser: lured.browser });
  expect(await complete(stage, await stage.page('ben'), connect_code)).toMatchObject({ code: 'FLOW_MISMATCH' });
  expect(stage.provider.counts.authorization_code).toBe(0);
});

const addresses = new WeakMap<Service, ReturnType<typeof listen>>();

/** The status, as somebody hears it over each transport: WebSocket, then SSE. */
async function listeners({ service, connector }: Stage, headers: Record<string, string>, appId?: string) {
  const address = addresses.get(service) ?? listen(service); // a service listens once
  addresses.set(service, address);
  const { ws, http } = await address;
  return [openWebSocket(ws, headers, connector.id, undefined, appId), openSse(http, headers, connector.id, appId)];
}

test('45. members and the app’s backend hear of the shared account: its status at once, then every change', async () => {
  const stage = await setSharedStage();
  const { app, workspace, service } = stage;
  const streams = [
    ...(await listeners(stage, await stage.member('vera'), app.id)),
    ...(await listeners(stage, { authorization: `Bearer ${app.key}` })),
    ...(await listeners(stage, workspace.owner, app.id)),
  ];
  const all = () => Promise.all(streams.map((stream) => stream.next()));
  const expectAll = async (event: Record<string, unknown>) => {
    for (const heard of await all()) expect(heard).toMatchObject(event);
  };
  await expectAll({ status: 'NOT_CONNECTED', connection: { id: expect.any(String) } });
  await connectSharedAs(stage, 'anna');
  await expectAll({ status: 'CONNECTED' });
  await editConnector(stage, { scopes: more });
  await expectAll({
    status: 'RECONNECT_REQUIRED',
    reconnectReason: 'SCOPES_CHANGED',
    missingScopes: ['calendar.write'],
  });
  await editConnector(stage, { scopes });
  await expectAll({ status: 'CONNECTED' });
  await setPlan(stage, 'FREE');
  await expectAll({ status: 'UNAVAILABLE', problem: { code: 'PLAN_REQUIRED' } });
  await setPlan(stage, 'BUILDER');
  await expectAll({ status: 'CONNECTED' });
  stage.provider.revokeGrant(stage.provider.grants()[0]?.id ?? '');
  service.clock.advance(expiredMs);
  await readShared(stage);
  await expectAll({ status: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' });
  await connectSharedAs(stage, 'anna');
  await expectAll({ status: 'CONNECTED' });
  await disconnectShared(stage, await stage.member('ben'));
  await expectAll({ status: 'NOT_CONNECTED' });
  await deleteConnector(stage);
  await expectAll({ status: 'UNAVAILABLE', problem: { code: 'NOT_FOUND' } });
});

test('45. a stream ends with the key, the role or the token that it was opened with', async () => {
  const stage = await setSharedStage();
  const { app, service, workspace, issuer } = stage;
  const key = await keyOf(stage, 'VIEWER');
  const brief = { authorization: `Bearer ${await issuer.sign({ sub: 'vera', exp: 3 })}` };
  const [byKey, byRole, byToken] = [
    await listeners(stage, key.headers, app.id),
    await listeners(stage, await stage.member('anna'), app.id),
    await listeners(stage, brief, app.id),
  ];
  for (const stream of [...byKey, ...byRole, ...byToken]) {
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });
  }
  const expectEnd = async (streams: typeof byKey, reason: string) => {
    for (const stream of streams) {
      expect((await stream.nextResult())?.errors).toMatchObject([{ message: reason, extensions: { closeCode: 4403 } }]);
    }
    expect(await streams[0]?.closed).toMatchObject({ code: 4403, reason });
  };
  await expectEnd(byToken, 'identity-token-expired');
  await service.graphql(
    'mutation ($id: ID!) { revokeWorkspaceKey(input: { workspaceKeyId: $id }) { __typename } }',
    { id: key.subject.replace('key:', 'WorkspaceKey_') },
    workspace.owner,
  );
  await expectEnd(byKey, 'access-ended');
  await setRole(stage, 'anna', 'VIEWER'); // which may still look
  await setRole(stage, 'anna', null);
  await expectEnd(byRole, 'access-ended');
});

test('45. of an account nobody hears but the members of its workspace and its own app', async () => {
  const stage = await setSharedStage();
  const { service, workspace, app, connector } = stage;
  await connectSharedAs(stage, 'anna');
  const foreign = await createWorkspace(service);
  const other = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
  const { http } = await listen(service);
  const first = async (headers: Record<string, string>, appId?: string, connectorId = connector.id) => {
    const result = await openSse(http, headers, connectorId, appId).nextResult();
    return result?.data?.connectionStatus ?? result?.errors?.[0]?.extensions?.code;
  };
  const unknown = { status: 'UNAVAILABLE', problem: { code: 'NOT_FOUND' }, connection: null };
  expect(await first(foreign.owner, app.id)).toMatchObject(unknown);
  expect(await first(workspace.owner, `App_${crypto.randomUUID()}`)).toMatchObject(unknown);
  expect(await first({ authorization: `Bearer ${other.key}` })).toMatchObject({ status: 'NOT_CONNECTED' });
  expect(await first({ authorization: `Bearer ${other.key}` }, app.id)).toBe('NOT_FOUND');
  expect(await first(await app.user('one'), app.id)).toMatchObject({ status: 'NOT_CONNECTED' });
  expect(await first(workspace.owner)).toBe('VALIDATION');
  const own = await setScene(service);
  expect(await first(own.workspace.owner, own.app.id, own.connector.id)).toBe('VALIDATION');
  expect(await first({ authorization: `Bearer ${own.app.key}` }, undefined, own.connector.id)).toBe('UNAUTHENTICATED');
});

test('44. whoever an admin’s issuer calls like a key is not that key', async () => {
  const stage = await setSharedStage();
  const { subject } = await keyOf(stage, 'OWNER');
  expect(await connectShared(stage, await stage.member(subject))).toMatchObject({ code: 'NOT_FOUND' });
  await setRole(stage, subject, 'OWNER');
  expect(await connectShared(stage, await stage.member(subject))).toMatchObject({ code: 'NOT_FOUND' });
});

test('15. an account that an app shares is nobody’s own: deletion, preview and switching off name the apps and count no user', async () => {
  const stage = await setSharedStage();
  const { service, workspace, app, connector } = stage;
  await connectSharedAs(stage, 'anna');
  await setPlan(stage, 'ENTERPRISE');
  const affected = {
    affectedUsers: 0,
    affectedApps: [{ id: app.id }],
    affectedConnections: [{ app: { id: app.id }, count: 1 }],
  };
  const fields = 'affectedUsers affectedApps { id } affectedConnections { app { id } count }';
  const asked = await service.graphql(
    `mutation ($connectorId: ID!, $appId: ID!, $workspaceId: ID!) {
       connector: deleteConnector(input: { connectorId: $connectorId }) { ... on ConfirmationRequiredError { message ${fields} } }
       app: deleteApp(input: { appId: $appId }) { ... on ConfirmationRequiredError { message ${fields} } }
       off: setProviderAvailability(input: { workspaceId: $workspaceId, providerKey: "custom", kind: SHARED, available: false }) {
         ... on ConfirmationRequiredError { message ${fields} } } }`,
    { connectorId: connector.id, appId: app.id, workspaceId: workspace.id },
    workspace.owner,
  );
  expect(asked.errors).toEqual([]);
  for (const act of ['connector', 'app', 'off']) {
    expect([act, field(asked, act)]).toMatchObject([
      act,
      { ...affected, message: expect.stringContaining('1 connection in 1 app') },
    ]);
  }
  const preview = await service.graphql(
    `query ($id: ID!) { previewConnectorEdit(input: { connectorId: $id, scopes: ["openid"] }) { ... on ConnectorEditPreview { reconnectReason ${fields} } } }`,
    { id: connector.id },
    workspace.owner,
  );
  expect(field(preview, 'previewConnectorEdit')).toEqual({ reconnectReason: 'SCOPES_CHANGED', ...affected });
  expect(await tokenOf(stage)).toMatch(/./);
});
