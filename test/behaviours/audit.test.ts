import { spawn } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { type Db, openDatabase, type RunPrepared } from '../../src/db/client.ts';
import { linkHash } from '../../src/workspaces/audit-chain.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { auditRow } from '../../src/workspaces/audit.ts';
import { createReadAudit } from '../../src/workspaces/audit-reads.ts';
import type { ChainLink } from '../../src/workspaces/audit-store.ts';
import { createAuditTasks } from '../../src/workspaces/audit-seal.ts';
import { verifyAudit } from '../../src/workspaces/audit-verify.ts';
import { type AuditRow, askAudit, auditOf, lineOf, sealed } from '../support/audit.ts';
import { createStoppedClock, newKey, startServiceOnDisk } from '../support/at-rest.ts';
import { snapshotWith } from '../support/database.ts';
import {
  addTestConnector,
  createTestApp,
  createTestClock,
  createWorkspace,
  createWorkspaceKey,
  field,
  operatorKey,
  type Service,
  startProvider,
  startService,
  type TestWorkspace,
} from '../support/harness.ts';
import { servicesAreThere, startInstances } from '../support/instances.ts';
import {
  completeConnection,
  connect,
  connectByCookie,
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
import { recordSql } from '../support/sql-log.ts';
import { answerTokenRequests } from '../support/token-endpoint.ts';

const operator = { authorization: `Bearer ${operatorKey}` };

/** Makes one mutation, whose answer is its payload with the given selection. */
async function mutate<T>(
  service: Service,
  headers: Record<string, string>,
  name: string,
  input: Record<string, unknown>,
  select = '__typename',
): Promise<T> {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const query = `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on ${type}Payload { ${select} } ... on UserError { message } } }`;
  const answer = field<T>(await service.graphql(query, { input }, headers), name);
  expect(answer).toMatchObject({ __typename: `${type}Payload` });
  return answer;
}

/** How a member's key is named in the audit. */
async function ownerOf(service: Service, workspace: TestWorkspace): Promise<string> {
  const { rows } = await auditOf(service, workspace, { first: 1, filter: { acts: ['WORKSPACE_KEY_CREATED'] } });
  return `key:${rows[0]?.targetId}`;
}

test('56. whatever is done in a workspace leaves one row: by whom, on what, how it ended', async () => {
  const service = await startService();
  const workspace = await createWorkspace(service);
  const { owner } = workspace;
  const by = `MEMBER ${await ownerOf(service, workspace)}`;
  const seen = new Set<string>();
  /** The rows since the last look, the oldest first. */
  const news = async (count: number): Promise<AuditRow[]> => {
    const unseen = async () => (await auditOf(service, workspace)).rows.filter(({ id }) => !seen.has(id)).reverse();
    await expect.poll(async () => (await unseen()).length, eventually).toBeGreaterThanOrEqual(count);
    const rows = await unseen();
    for (const { id } of rows) seen.add(id);
    return rows;
  };
  const lines = async (count: number) => (await news(count)).map(lineOf).sort();
  expect(await lines(2)).toEqual([
    'WORKSPACE_CREATED OK OPERATOR plan=BUILDER',
    'WORKSPACE_KEY_CREATED OK OPERATOR role=OWNER',
  ]);

  await mutate(service, operator, 'setWorkspacePlan', { workspaceId: workspace.id, plan: 'PRO' });
  const member = { workspaceId: workspace.id, subject: 'person-one' };
  await mutate(service, owner, 'setWorkspaceMember', { ...member, role: 'VIEWER' });
  await mutate(service, owner, 'setWorkspaceMember', { ...member, role: 'ADMIN' });
  await mutate(service, owner, 'removeWorkspaceMember', member);
  const key = { workspaceId: workspace.id, name: 'CI', role: 'VIEWER' };
  const made = await mutate<{ workspaceKey: { id: string } }>(
    service,
    owner,
    'createWorkspaceKey',
    key,
    'workspaceKey { id }',
  );
  await mutate(service, owner, 'revokeWorkspaceKey', { workspaceKeyId: made.workspaceKey.id });
  await mutate(service, owner, 'revokeWorkspaceKey', { workspaceKeyId: made.workspaceKey.id }); // which changes nothing
  expect(await lines(6)).toEqual([
    `MEMBER_REMOVED OK ${by} from=ADMIN`,
    `MEMBER_SET OK ${by} from=VIEWER to=ADMIN`,
    `MEMBER_SET OK ${by} to=VIEWER`,
    'PLAN_SET OK OPERATOR from=BUILDER to=PRO',
    `WORKSPACE_KEY_CREATED OK ${by} role=VIEWER`,
    `WORKSPACE_KEY_REVOKED OK ${by}`,
  ]);
  const ofMember = (await auditOf(service, workspace, { filter: { acts: ['MEMBER_SET', 'MEMBER_REMOVED'] } })).rows;
  expect(ofMember.map(({ targetId }) => targetId)).toEqual(['person-one', 'person-one', 'person-one']);

  const app = await createTestApp(service, workspace);
  await mutate(service, owner, 'editApp', { appId: app.id, name: 'Another name' });
  const appKey = await mutate<{ appKey: { id: string } }>(
    service,
    owner,
    'createAppKey',
    { appId: app.id },
    'appKey { id }',
  );
  await mutate(service, owner, 'revokeAppKey', { appKeyId: appKey.appKey.id });
  const ofApp = await news(4);
  expect(ofApp.map(lineOf).sort()).toEqual([
    `APP_CREATED OK ${by}`,
    `APP_EDITED OK ${by} changed=name`,
    `APP_KEY_CREATED OK ${by}`,
    `APP_KEY_REVOKED OK ${by}`,
  ]);
  expect(ofApp.map(({ appId }) => appId)).toEqual(Array(4).fill(app.id));

  const provider = await startProvider({ accessTokenSeconds: 300, now: () => service.clock.now() });
  const connector = await addTestConnector(service, workspace, provider);
  const scene = { service, workspace, app, provider, connector };
  await editConnector(scene, { scopes: ['openid', 'email', 'calendar.write'] });
  const ofConnector = await news(3);
  expect(ofConnector.map(lineOf).sort()).toEqual([
    `CONNECTOR_ADDED OK ${by} kind=APP_USER provider=custom scopesAdded=openid,email,calendar.read`,
    `CONNECTOR_EDITED OK ${by} changed=clientId,clientSecret`,
    `CONNECTOR_EDITED OK ${by} changed=scopes scopesAdded=calendar.write scopesRemoved=calendar.read`,
  ]);
  expect(ofConnector.map(({ connectorId }) => connectorId)).toEqual(Array(3).fill(connector.id));

  await connect(service, await app.browser('one'), connector.id, { decision: 'deny' });
  const { response } = await connect(service, await app.backend('two'), connector.id);
  await completeConnection(service, await app.user('two'), returnOf(response).params.connect_code ?? '');
  await connectUser(scene, 'one');
  await connectUser(scene, 'four', 'green');
  await tokenOf(scene, 'one');
  await readToken(service, await app.user('one'), connector.id);
  await readToken(service, { authorization: `Bearer ${app.key}` }, connector.id);
  await readToken(service, await app.backend('three'), connector.id);
  const used = await news(8);
  expect(used.map(lineOf).sort()).toEqual([
    'ACCOUNT_CONNECTED OK APP_USER four scopesAdded=openid,email,calendar.write',
    'ACCOUNT_CONNECTED OK APP_USER one scopesAdded=openid,email,calendar.write',
    'ACCOUNT_CONNECTED OK APP_USER two scopesAdded=openid,email,calendar.write',
    'CONNECT_FAILED CONSENT_DENIED APP_USER one',
    'TOKEN_READ FORBIDDEN APP_USER one',
    'TOKEN_READ NOT_CONNECTED BACKEND_FUNCTION three',
    'TOKEN_READ OK BACKEND_FUNCTION one',
    'TOKEN_READ UNAUTHENTICATED BACKEND_FUNCTION',
  ]);
  expect(used.map(({ appId, connectorId }) => [appId, connectorId])).toEqual(Array(8).fill([app.id, connector.id]));
  const { connection } = await readAs(scene, 'one');
  const [ofOne] = used.filter((row) => lineOf(row) === 'TOKEN_READ OK BACKEND_FUNCTION one');
  expect(ofOne?.connectionId).toBe(connection.id);
  await news(1);

  service.clock.advance(expiredMs);
  await tokenOf(scene, 'one');
  expect(await lines(2)).toEqual(['TOKEN_READ OK BACKEND_FUNCTION one', 'TOKEN_REFRESHED OK SERVICE']);
  service.clock.advance(expiredMs);
  const down = answerTokenRequests(provider, (ctx) => {
    ctx.status = 500;
  });
  await readAs(scene, 'one');
  down.stop();
  expect(await lines(2)).toEqual([
    'TOKEN_READ PROVIDER_UNAVAILABLE BACKEND_FUNCTION one',
    'TOKEN_REFRESHED PROVIDER_UNAVAILABLE SERVICE',
  ]);
  service.clock.advance(expiredMs);
  const refusing = answerTokenRequests(provider, (ctx) => {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant' };
  });
  await readAs(scene, 'one');
  refusing.stop();
  expect(await lines(2)).toEqual([
    'GRANT_REFUSED RECONNECT_REQUIRED SERVICE',
    'TOKEN_READ RECONNECT_REQUIRED BACKEND_FUNCTION one',
  ]);

  await disconnectAppUser(service, await app.user('two'), connector.id);
  await disconnectAppUser(service, await app.user('two'), connector.id); // which is not connected any more
  expect(await lines(2)).toEqual(['ACCOUNT_DISCONNECTED OK APP_USER two', 'GRANT_REVOKED OK SERVICE']);
  await deleteConnector(scene);
  const ended = (await lines(5)).filter((line) => !line.startsWith('GRANT_REVOKED'));
  expect(ended).toEqual([
    'ACCOUNT_DISCONNECTED OK SERVICE',
    'ACCOUNT_DISCONNECTED OK SERVICE',
    `CONNECTOR_DELETED OK ${by}`,
  ]);
  await mutate(service, owner, 'deleteApp', { appId: app.id, confirm: true });
  expect((await lines(1)).filter((line) => !line.startsWith('GRANT_REVOKED'))).toEqual([`APP_DELETED OK ${by}`]);
});

test('56. an act and its row are written together or not at all', async () => {
  const refused = [
    'PLAN_SET',
    'APP_CREATED',
    'CONNECTOR_DELETED',
    'ACCOUNT_CONNECTED',
    'WORKSPACE_KEY_REVOKED',
    'MEMBER_SET',
  ];
  const snapshot = await snapshotWith(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF EXISTS (SELECT 1 FROM workspace WHERE name = 'refusing') THEN RAISE 'no row today'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW
      WHEN (NEW.act IN (${refused.map((act) => `'${act}'`).join()})) EXECUTE FUNCTION refuse()`);
  const service = await startService({}, { snapshot });
  const scene = await setScene(service);
  const { workspace, app, connector } = scene;
  const made = await mutate<{ workspaceKey: { id: string } }>(
    service,
    workspace.owner,
    'createWorkspaceKey',
    { workspaceId: workspace.id, name: 'CI', role: 'VIEWER' },
    'workspaceKey { id }',
  );
  const other = await createTestApp(service, workspace, []);
  const look = async () => {
    const page = 'edges { node { id } }';
    const query = `query ($id: ID!) { workspace(id: $id) { plan members { ${page} } keys { edges { node { id revokedAt } } } apps { ${page} } connectors { ${page} } } }`;
    return (await service.graphql(query, { id: workspace.id }, workspace.owner)).data;
  };
  // without what the worker adds meanwhile: hashes, and that it gave back the grant which nobody got
  const rows = async () =>
    (await auditOf(service, workspace)).rows
      .filter(({ act }) => act !== 'TOKEN_READ' && act !== 'GRANT_REVOKED')
      .map((row) => ({ ...row, hash: '' }));
  const before = [await look(), await rows()];
  await mutate(service, operator, 'createWorkspace', { name: 'refusing' });
  const attempts: [string, Record<string, unknown>][] = [
    ['setWorkspacePlan', { workspaceId: workspace.id, plan: 'PRO' }],
    ['setWorkspaceMember', { workspaceId: workspace.id, subject: 'person-one', role: 'VIEWER' }],
    ['revokeWorkspaceKey', { workspaceKeyId: made.workspaceKey.id }],
    [
      'createApp',
      { workspaceId: workspace.id, name: 'App', origins: [], identity: { secret: { issuer: 'i', audience: 'a' } } },
    ],
    ['deleteConnector', { connectorId: connector.id, confirm: true }],
  ];
  for (const [name, input] of attempts) {
    const headers = name === 'setWorkspacePlan' ? operator : workspace.owner;
    const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    const query = `mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename } }`;
    const answer = await service.graphql(query, { input }, headers);
    expect(answer.errors[0]?.extensions, `${name}`).toEqual({ code: 'INTERNAL_SERVER_ERROR' });
  }
  await expect(connectByCookie(service, await app.browser('one'), connector.id)).rejects.toThrow('no redirect: 500');
  expect(await readAs(scene, 'one')).toMatchObject({ __typename: 'NotConnectedError' });
  expect([await look(), await rows()]).toEqual(before);

  // what is refused to the caller leaves none either
  const taken = { kind: 'LIVE', origin: app.origin };
  const claimed = await service.graphql(
    `mutation ($input: EditAppInput!) { editApp(input: $input) { __typename } }`,
    { input: { appId: other.id, origins: [taken] } },
    workspace.owner,
  );
  expect(field(claimed, 'editApp').__typename).toBe('ValidationError');
  expect((await auditOf(service, workspace, { filter: { acts: ['APP_EDITED'] } })).rows).toEqual([]);
});

test('56. a clean stop loses no token read, however many are still to be written', async () => {
  const key = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: key });
  const scene = await setScene(onDisk.service);
  await connectUser(scene, 'one');
  const reads = 60;
  await Promise.all(Array.from({ length: reads }, () => tokenOf(scene, 'one')));
  await readAs(scene, 'half a character: \ud800');
  const rowsOf = 'SELECT count(*)::int, count(hash)::int AS sealed FROM audit_event';
  let written: unknown;
  const [snapshot] = await onDisk.stopAndDump(async (database) => {
    written = (await database.query(`${rowsOf} WHERE act = 'TOKEN_READ'`)).rows;
  });
  // and each is in the chain already
  expect(written).toEqual([{ count: reads + 1, sealed: reads + 1 }]);
  expect(await (await openToTamper(snapshot, key))(async () => {})).toBe(null);
});

/** An empty database, and what works on its audit. `beforeRun` is called before each statement that goes past Prisma. */
async function openAudit(beforeRun: () => Promise<unknown> = async () => {}) {
  const database = await openDatabase({ databaseUrl: null, dataDir: null, snapshot: await snapshotWith('') });
  onTestFinished(() => database.close());
  const { db } = database;
  const runPrepared: RunPrepared = async (statement, values) => {
    await beforeRun();
    return database.runPrepared(statement, values);
  };
  const keyring = parseKeyring(newKey('a'));
  const clock = createTestClock();
  const tasks = createAuditTasks({ db, runPrepared, clock, keyring, log: createLogger('silent') }, 30);
  const rowOf = (workspaceId: string) =>
    auditRow(clock.now(), { kind: 'SERVICE', id: null, appId: null }, { act: 'TOKEN_READ', workspaceId });
  const verify = () => verifyAudit({ db, keyring });
  return { db, clock, tasks, rowOf, verify };
}

test('56. token reads enter no chain that was cut, or whose checkpoint is gone, since they looked at it', async () => {
  let meanwhile: () => Promise<unknown> = async () => {};
  const { db, clock, tasks, rowOf, verify } = await openAudit(() => meanwhile());
  await tasks.insert([rowOf('one')]);
  clock.advance(31 * 24 * 3_600_000);
  meanwhile = tasks.cut;
  await tasks.insert([rowOf('one'), rowOf('one')]);
  expect(await verify()).toMatchObject({ chains: [{ rows: 0, fault: null }], unsealed: 2 });
  meanwhile = async () => {};
  clock.advance(5_000);
  await tasks.seal();
  expect(await verify()).toMatchObject({ chains: [{ rows: 2, fault: null }], unsealed: 0 });

  await db.auditChain.deleteMany();
  await tasks.insert([rowOf('one')]);
  expect(await verify()).toMatchObject({ chains: [{ fault: expect.anything() }], unsealed: 1 });
  expect(await db.auditChain.count()).toBe(0);
});

test('56. a batch whose answer was lost is written once when it is sent again, and the chain holds', async () => {
  const { clock, tasks, rowOf, verify } = await openAudit();
  const batch = ['one', 'two', 'one'].map(rowOf);
  await tasks.insert(batch);
  await tasks.insert([...batch, rowOf('two')]);
  expect(await verify()).toMatchObject({
    chains: [
      { rows: 2, fault: null },
      { rows: 1, fault: null },
    ],
    unsealed: 1,
  });
  clock.advance(5_000);
  await tasks.seal();
  await tasks.insert([rowOf('two')]);
  expect(await verify()).toMatchObject({
    chains: [
      { rows: 2, fault: null },
      { rows: 3, fault: null },
    ],
    unsealed: 0,
  });
});

/** The part that writes token reads. */
function readAuditTo(insert: (rows: unknown[]) => Promise<void>) {
  const logs: string[] = [];
  const say = (_fields: object, text: string) => void logs.push(text);
  const log = { warn: say, error: say } as unknown as Parameters<typeof createReadAudit>[0]['log'];
  const audit = createReadAudit({ audit: { insert }, clock: createTestClock(), log });
  const app = { id: 'app', workspaceId: 'workspace', name: 'App', origins: [] };
  const note = (count = 1) => {
    const caller = { kind: 'backend-function', app, user: null } as const;
    const read = { connectorId: 'x', connectionId: null, outcome: 'OK' };
    for (let index = 0; index < count; index += 1) audit.note(caller, read);
  };
  return { logs, audit, note };
}

/** The same on a database that is away until it is told otherwise. */
function readAuditOnFailingDatabase() {
  const state = { isAway: true, written: 0 };
  const reads = readAuditTo(async (rows) => {
    if (state.isAway) throw new Error('away');
    state.written += rows.length;
  });
  return { state, ...reads };
}

test('56. token reads are kept while the database is away, up to a bound, and what is dropped is told', async () => {
  const { state, logs, audit, note } = readAuditOnFailingDatabase();
  note(20_007);
  await expect.poll(() => logs.join(), eventually).toContain('could not be audited');
  state.isAway = false;
  await audit.stop();
  expect(state.written).toBe(20_000);
  expect(logs).toContain('token reads are missing from the audit: they could not be written');

  const gone = readAuditOnFailingDatabase();
  gone.note();
  await gone.audit.stop();
  expect(gone.state.written).toBe(0);
  expect(gone.logs).toContain('token reads are missing from the audit: they could not be written');
});

test('56. what is read while a batch is written waits for the next, unless it is a whole one', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const sizes: number[] = [];
  let written = () => {};
  const { audit, note } = readAuditTo((rows) => {
    sizes.push(rows.length);
    return new Promise<void>((resolve) => {
      written = resolve;
    });
  });
  const onceWritten = () => {
    written();
    return vi.advanceTimersByTimeAsync(0);
  };
  note(2);
  await vi.advanceTimersByTimeAsync(1_000);
  note(3);
  await onceWritten();
  expect(sizes).toEqual([2]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sizes).toEqual([2, 3]);
  note(501);
  await onceWritten();
  expect(sizes).toEqual([2, 3, 500]);
  await onceWritten();
  expect(sizes).toEqual([2, 3, 500]);
  const stopped = audit.stop();
  await vi.advanceTimersByTimeAsync(0);
  expect(sizes).toEqual([2, 3, 500, 1]);
  await onceWritten();
  await stopped;
});

test('56. the audit is filtered by act, actor, app, connector, outcome and time', async () => {
  const scene = await setScene(await startService());
  const { service, workspace, app, connector } = scene;
  const otherApp = await createTestApp(service, workspace, []);
  await connectUser(scene, 'one');
  await tokenOf(scene, 'one');
  await readAs(scene, 'two');
  service.clock.advance(60_000);
  const later = service.clock.now();
  await readAs(scene, 'two');
  const filtered = async (filter: Record<string, unknown>) =>
    (await auditOf(service, workspace, { first: 100, filter })).rows
      .map(({ act, outcome }) => `${act} ${outcome}`)
      .sort();
  await expect.poll(() => filtered({ acts: ['TOKEN_READ'] }), eventually).toHaveLength(3);

  expect(await filtered({ actor: 'one' })).toEqual(['ACCOUNT_CONNECTED OK', 'TOKEN_READ OK']);
  expect(await filtered({ actor: 'one', acts: ['TOKEN_READ', 'APP_CREATED'] })).toEqual(['TOKEN_READ OK']);
  expect(await filtered({ appId: otherApp.id })).toEqual(['APP_CREATED OK']);
  expect(await filtered({ appId: app.id, outcome: 'NOT_CONNECTED' })).toHaveLength(2);
  expect(await filtered({ connectorId: connector.id, until: later })).toEqual([
    'ACCOUNT_CONNECTED OK',
    'CONNECTOR_ADDED OK',
    'CONNECTOR_EDITED OK',
    'TOKEN_READ NOT_CONNECTED',
    'TOKEN_READ OK',
  ]);
  expect(await filtered({ since: later })).toEqual(['TOKEN_READ NOT_CONNECTED']);
  for (const nothing of [
    { actor: '' },
    { actor: 'a\u0000b' },
    { appId: '' },
    { connectorId: app.id },
    { outcome: 'x' },
    { acts: [] },
  ]) {
    expect(await filtered(nothing), `${JSON.stringify(nothing)}`).toEqual([]);
  }
});

test('56. pages follow each other without a gap or a double, forwards and backwards, also within one millisecond', async () => {
  const clock = createStoppedClock();
  const service = { ...(await startService({}, { clock })), clock };
  const workspace = await createWorkspace(service);
  for (let index = 0; index < 23; index += 1) {
    if (index % 8 === 7) clock.advance(1);
    await mutate(service, operator, 'setWorkspacePlan', {
      workspaceId: workspace.id,
      plan: index % 2 ? 'PRO' : 'ELITE',
    });
  }
  const { rows } = await auditOf(service, workspace);
  expect(rows).toHaveLength(25);
  const all = rows.map(({ id }) => id);
  const plans = rows.filter(({ act }) => act === 'PLAN_SET').map(({ details }) => details[0]);
  const latestFirst = Array.from({ length: 23 }, (_, index) => ({ name: 'to', values: [index % 2 ? 'PRO' : 'ELITE'] }));
  expect(plans).toEqual(latestFirst);

  const forwards: string[] = [];
  let page = await auditOf(service, workspace, { first: 6 });
  for (;;) {
    forwards.push(...page.rows.map(({ id }) => id));
    if (!page.pageInfo.hasNextPage) break;
    page = await auditOf(service, workspace, { first: 6, after: page.pageInfo.endCursor });
  }
  expect(forwards).toEqual(all);
  const backwards: string[] = [];
  page = await auditOf(service, workspace, { last: 6 });
  for (;;) {
    backwards.unshift(...page.rows.map(({ id }) => id));
    if (!page.pageInfo.hasPreviousPage) break;
    page = await auditOf(service, workspace, { last: 6, before: page.pageInfo.startCursor });
  }
  expect(backwards).toEqual(all);

  const { pageInfo } = await auditOf(service, workspace, { first: 20 });
  const first = await recordSql(() => auditOf(service, workspace, { first: 5 }));
  const last = await recordSql(() => auditOf(service, workspace, { first: 5, after: pageInfo.endCursor }));
  expect(last.statements).toHaveLength(first.statements.length);
  const members = await service.graphql(
    'query ($id: ID!) { workspace(id: $id) { keys { pageInfo { endCursor } } } }',
    { id: workspace.id },
    workspace.owner,
  );
  const { keys } = field<{ keys: { pageInfo: { endCursor: string } } }>(members, 'workspace');
  const foreign = await askAudit(service, workspace, { after: keys.pageInfo.endCursor });
  expect(foreign.errors[0]?.extensions).toMatchObject({ code: 'VALIDATION' });
});

test('56. OWNER, ADMIN and the operator see the audit; others of the workspace are told why not, strangers nothing', async () => {
  const service = await startService();
  const [workspace, other] = [await createWorkspace(service), await createWorkspace(service)];
  const outcome = async (headers: Record<string, string>) => {
    const { data, errors } = await askAudit(service, workspace, {}, headers);
    const found = data?.workspace as { name: string; audit: { edges: unknown[] } | null } | null | undefined;
    const exported = await exportOf(service, workspace, headers);
    const listed = found ? (found.audit?.edges.length ?? errors[0]?.extensions?.code) : 'nothing';
    return [listed, exported.status];
  };
  const roles: Record<string, Record<string, string>> = {
    OWNER: workspace.owner,
    operator,
    stranger: other.owner,
    nobody: {},
  };
  for (const role of ['ADMIN', 'EDITOR', 'VIEWER']) {
    roles[role] = { authorization: `Bearer ${await createWorkspaceKey(service, workspace.id, role)}` };
  }
  const outcomes: Record<string, unknown> = {};
  for (const [role, headers] of Object.entries(roles)) outcomes[role] = await outcome(headers);
  expect(outcomes).toEqual({
    OWNER: [5, 200],
    ADMIN: [5, 200],
    operator: [5, 200],
    EDITOR: ['FORBIDDEN', 403],
    VIEWER: ['FORBIDDEN', 403],
    stranger: ['nothing', 404],
    nobody: ['nothing', 401],
  });
});

function exportOf(
  service: Service,
  { id }: { id: string },
  headers: Record<string, string>,
  query = '',
): Promise<Response> {
  return service.app.fetch(
    new Request(`${service.config.publicUrl}/api/workspaces/${id}/audit.ndjson${query}`, { headers }),
  );
}

test('56. the export is one JSON object a line, a batch at a time, of the time that is asked for', async () => {
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: newKey('a') });
  const workspace = await createWorkspace(onDisk.service);
  const rows = 1_300;
  const [snapshot] = await onDisk.stopAndDump((database) =>
    database.query(
      `INSERT INTO audit_event (id, "workspaceId", at, act, outcome, "actorKind", actor, details)
       SELECT gen_random_uuid(), $1, '2026-01-01T00:00:00Z'::timestamptz + (n / 3) * interval '1 second', 'TOKEN_READ', 'OK',
         'BACKEND_FUNCTION', 'user ' || n, '{"note": "a\\nb"}' FROM generate_series(0, ${rows - 1}) n`,
      [workspace.id.split('_')[1]],
    ),
  );
  const service = await startService({}, { snapshot });
  const exported = await exportOf(service, workspace, workspace.owner, '?until=2026-06-01');
  expect(exported.headers.get('content-type')).toContain('application/x-ndjson');
  const chunks: string[] = [];
  for await (const chunk of exported.body as unknown as AsyncIterable<Uint8Array>)
    chunks.push(Buffer.from(chunk).toString());
  expect(chunks.length).toBeGreaterThan(2);
  const lines = chunks
    .join('')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toHaveLength(rows);
  expect(new Set(lines.map(({ actor }) => actor)).size).toBe(rows);
  expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => String(at)).toSorted((a, b) => a.localeCompare(b)));
  const { sequence, hash, ...first } = lines[0]!;
  expect([typeof sequence, typeof hash]).toEqual(sequence === null ? ['object', 'object'] : ['number', 'string']);
  expect(first).toEqual({
    id: expect.stringMatching(/^AuditEvent_/),
    at: '2026-01-01T00:00:00.000Z',
    act: 'TOKEN_READ',
    outcome: 'OK',
    actorKind: 'BACKEND_FUNCTION',
    actor: expect.stringMatching(/^user [012]$/),
    workspaceId: workspace.id,
    appId: null,
    connectorId: null,
    connectionId: null,
    targetId: null,
    details: { note: 'a\nb' },
  });

  const some = await exportOf(
    service,
    workspace,
    workspace.owner,
    '?since=2026-01-01T00:00:01Z&until=2026-01-01T00:00:03Z',
  );
  expect((await some.text()).trimEnd().split('\n')).toHaveLength(6);
  const wrong = await exportOf(service, workspace, workspace.owner, '?since=yesterday');
  expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: 'VALIDATION' }]);
});

/** Lays hands on a database, and answers what verifying says of its one workspace then; each time on what the snapshot holds. */
async function openToTamper(snapshot: Blob, key: string) {
  const { db, close } = await openDatabase({ databaseUrl: null, dataDir: null, snapshot });
  onTestFinished(close);
  const tables = ['audit_event', 'audit_chain'];
  await db.$executeRawUnsafe('CREATE SCHEMA kept');
  for (const table of tables) await db.$executeRawUnsafe(`CREATE TABLE kept.${table} AS TABLE ${table}`);
  return async (tamper: (db: Db) => Promise<unknown>): Promise<string | null> => {
    await tamper(db);
    const { chains } = await verifyAudit({ db, keyring: parseKeyring(key) });
    for (const table of tables) {
      await db.$executeRawUnsafe(`DELETE FROM ${table}`);
      await db.$executeRawUnsafe(`INSERT INTO ${table} TABLE kept.${table}`);
    }
    expect(chains).toHaveLength(1);
    return chains[0]?.fault?.replace(/ \([0-9a-f-]{36}\)/, '') ?? null;
  };
}

test('56. a row that was altered, removed or put there shows, also where the hashes after it were made to fit', async () => {
  const key = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: key });
  const { service } = onDisk;
  const workspace = await createWorkspace(service);
  for (const plan of ['PRO', 'ELITE', 'PRO', 'BUILDER']) {
    await mutate(service, operator, 'setWorkspacePlan', { workspaceId: workspace.id, plan });
  }
  await sealed(service, workspace);
  const [snapshot] = await onDisk.stopAndDump(async () => {});
  const sql = (text: string) => (db: Db) => db.$executeRawUnsafe(text);
  const copy = (sequence: string) =>
    sql(`INSERT INTO audit_event SELECT gen_random_uuid(), "workspaceId", at, act, outcome, "actorKind", actor, "appId", "connectorId",
      "connectionId", "targetId", details, ${sequence}, hash FROM audit_event WHERE sequence = 6`);
  /** Alters a row, then computes its hash and all those after it, as whoever has the source and the database can. */
  const forge = async (db: Db) => {
    await db.$executeRaw`UPDATE audit_event SET outcome = 'FORBIDDEN' WHERE sequence = 3`;
    let link: ChainLink = { sequence: 0n, hash: '0'.repeat(64) };
    for (const row of await db.auditEvent.findMany({ orderBy: { sequence: 'asc' } })) {
      link = { sequence: link.sequence + 1n, hash: linkHash(link, row) };
      await db.auditEvent.update({ where: { id: row.id }, data: { hash: link.hash } });
    }
  };
  const hands: Record<string, [(db: Db) => Promise<unknown>, string | null]> = {
    none: [async () => {}, null],
    'another outcome': [sql(`UPDATE audit_event SET outcome = 'FORBIDDEN' WHERE sequence = 3`), 'row 3 was altered'],
    'another time': [sql(`UPDATE audit_event SET at = at - interval '1 hour' WHERE sequence = 2`), 'row 2 was altered'],
    'another actor': [sql(`UPDATE audit_event SET actor = 'eve' WHERE sequence = 6`), 'row 6 was altered'],
    'another detail': [
      sql(`UPDATE audit_event SET details = '{"to": "FREE"}' WHERE sequence = 4`),
      'row 4 was altered',
    ],
    'another hash': [sql(`UPDATE audit_event SET hash = repeat('0', 64) WHERE sequence = 4`), 'row 4 was altered'],
    'the first removed': [sql('DELETE FROM audit_event WHERE sequence = 1'), 'row 1 is missing'],
    'one removed': [sql('DELETE FROM audit_event WHERE sequence = 3'), 'row 3 is missing'],
    'the last removed': [sql('DELETE FROM audit_event WHERE sequence = 6'), 'row 6 is missing'],
    'all removed': [sql('DELETE FROM audit_event'), 'row 1 is missing'],
    'one taken out of the chain': [
      sql('UPDATE audit_event SET sequence = NULL, hash = NULL WHERE sequence = 6'),
      'row 6 is missing',
    ],
    'one added behind': [copy('7'), 'row 7 was never sealed'],
    'one added before': [copy('0'), 'row 0 was never sealed'],
    'two exchanged': [
      async (db) => {
        await db.$executeRaw`UPDATE audit_event SET sequence = 99 WHERE sequence = 3`;
        await db.$executeRaw`UPDATE audit_event SET sequence = 3 WHERE sequence = 4`;
        await db.$executeRaw`UPDATE audit_event SET sequence = 4 WHERE sequence = 99`;
      },
      'row 3 was altered',
    ],
    'hashes that fit': [forge, 'row 6 is not the one that was sealed'],
    'another checkpoint': [
      sql(`UPDATE audit_chain SET "checkpointSealed" = 'a.' || repeat('A', 80)`),
      'its checkpoint was altered',
    ],
    'no checkpoint': [sql('DELETE FROM audit_chain'), 'its checkpoint is missing'],
  };
  const found: Record<string, string | null> = {};
  const faultAfter = await openToTamper(snapshot, key);
  for (const [name, [tamper]] of Object.entries(hands)) found[name] = await faultAfter(tamper);
  expect(found).toEqual(Object.fromEntries(Object.entries(hands).map(([name, [, fault]]) => [name, fault])));
}, 120_000);

test('56. a chain whose checkpoint is gone goes no further, is told of once, and holds up no other', async () => {
  const key = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: key });
  const [one, two] = [await createWorkspace(onDisk.service), await createWorkspace(onDisk.service)];
  await sealed(onDisk.service, one);
  const [snapshot] = await onDisk.stopAndDump((database) =>
    database.query('DELETE FROM audit_chain WHERE id = $1', [one.id.split('_')[1]]),
  );
  const service = await startService({ ENCRYPTION_KEYS: key }, { snapshot });
  for (const { id } of [one, two])
    await mutate(service, operator, 'setWorkspacePlan', { workspaceId: id, plan: 'PRO' });
  await sealed(service, two);
  expect((await auditOf(service, one, { first: 1 })).rows).toMatchObject([{ act: 'PLAN_SET', hash: null }]);
  expect(service.logs.filter((line) => line.includes('"level":50'))).toHaveLength(1);
});

test('56. retention cuts what is older from the beginning of the chain, which holds from there on', async () => {
  const key = newKey('a');
  const onDisk = await startServiceOnDisk({ ENCRYPTION_KEYS: key, AUDIT_RETENTION_DAYS: '2' }, undefined, {
    sweepMs: 100,
  });
  const { service } = onDisk;
  const workspace = await createWorkspace(service);
  const day = async (plan: string) => {
    await mutate(service, operator, 'setWorkspacePlan', { workspaceId: workspace.id, plan });
    await sealed(service, workspace);
    service.clock.advance(86_400_000 - 10_000);
  };
  for (const plan of ['PRO', 'ELITE', 'BUILDER']) await day(plan);
  const { id } = await createTestApp(service, workspace, []);
  await mutate(service, workspace.owner, 'deleteApp', { appId: id, confirm: true });
  const rows = async () => (await auditOf(service, workspace)).rows.map(lineOf).reverse();
  await expect.poll(async () => (await rows())[0], eventually).toBe('PLAN_SET OK OPERATOR from=ELITE to=BUILDER');
  expect(await rows()).toHaveLength(3);
  await sealed(service, workspace);

  const [snapshot] = await onDisk.stopAndDump(async () => {});
  const faultAfter = await openToTamper(snapshot, key);
  expect(await faultAfter(async () => {})).toBe(null);
  const remove = (db: Db) => db.$executeRaw`DELETE FROM audit_event WHERE sequence = 5`;
  expect(await faultAfter(remove)).toBe('row 5 is missing');
  // what was cut cannot be put back in another form
  const old = (
    db: Db,
  ) => db.$executeRaw`INSERT INTO audit_event SELECT gen_random_uuid(), "workspaceId", at, act, outcome, "actorKind",
    actor, "appId", "connectorId", "connectionId", "targetId", details, 2, hash FROM audit_event WHERE sequence = 5`;
  expect(await faultAfter(old)).toBe('row 2 was never sealed');

  // and the chain goes on where it was
  const { clock } = service;
  const env = { ENCRYPTION_KEYS: key, AUDIT_RETENTION_DAYS: '2' };
  const next = { ...(await startService(env, { snapshot, clock })), clock };
  await mutate(next, operator, 'setWorkspacePlan', { workspaceId: workspace.id, plan: 'PRO' });
  await sealed(next, workspace);
});

function verify(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/audit-verify.ts'], {
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
}

test('56. without DATABASE_URL, or without keys, the command says what it needs', async () => {
  expect(await verify({})).toMatchObject({ code: 1, output: expect.stringMatching(/^DATABASE_URL is not set: /) });
  const url = 'postgresql://postgres@127.0.0.1:1/none';
  expect(await verify({ DATABASE_URL: url })).toMatchObject({
    code: 1,
    output: expect.stringMatching(/^ENCRYPTION_KEYS is not set: /),
  });
});

describe.skipIf(!servicesAreThere)('56. on PostgreSQL', () => {
  test('56. two instances seal one chain, and the command says whether it holds', async () => {
    const key = newKey('a');
    const instances = (await startInstances(2, { ENCRYPTION_KEYS: key })) as [Service, Service];
    const [one] = instances;
    const scene = await setScene(one);
    const { workspace } = scene;
    await connectUser(scene, 'one');
    const env = { DATABASE_URL: one.config.databaseUrl?.reveal() ?? '', ENCRYPTION_KEYS: key };
    const client = new pg.Client({ connectionString: env.DATABASE_URL });
    await client.connect();
    onTestFinished(() => client.end());
    await client.query('SELECT pg_advisory_lock(72707370)'); // another instance has its turn
    for (let round = 0; round < 5; round += 1) {
      const acts = instances.flatMap((service) =>
        Array.from({ length: 10 }, (_, index) =>
          mutate(service, workspace.owner, 'setWorkspaceMember', {
            workspaceId: workspace.id,
            subject: `m${index}`,
            role: 'VIEWER',
          }),
        ),
      );
      await Promise.all([...acts, ...instances.map((service) => tokenOf({ ...scene, service }, 'one'))]);
      one.clock.advance(5_000);
    }
    const filter = { acts: ['TOKEN_READ'] };
    await expect.poll(async () => (await auditOf(one, workspace, { filter })).rows.length, eventually).toBe(10);
    expect((await auditOf(one, workspace)).rows.every(({ hash }) => hash === null)).toBe(true);
    await client.query('SELECT pg_advisory_unlock(72707370)');
    await sealed(one, workspace);

    const sealedRows = async () =>
      (
        await client.query(
          `SELECT count(*)::int AS count, max(sequence)::int AS last FROM audit_event WHERE sequence > 0`,
        )
      ).rows;
    const [{ count, last }] = (await sealedRows()) as [{ count: number; last: number }];
    expect(count).toBe(last);
    expect(count).toBeGreaterThan(110);
    const whole = await verify(env);
    expect(whole).toMatchObject({
      code: 0,
      output: expect.stringContaining(`: ${count} rows hold, up to row ${last} of `),
    });
    expect(whole.output).toContain('Rows that are not sealed yet: 0.\n');

    await client.query(`UPDATE audit_event SET actor = 'eve' WHERE sequence = 40`);
    const broken = await verify(env);
    expect(broken).toMatchObject({ code: 1, output: expect.stringContaining(': 39 rows hold, up to row 39 of ') });
    expect(broken.output).toMatch(/Then it breaks: row 40 \([0-9a-f-]{36}\) was altered\./);
  });
});
