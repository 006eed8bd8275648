import { expect, test } from 'vitest';
import { finishConnect, type StartedFlow } from '../../src/connections/connect.ts';
import { connectionId } from '../../src/connections/connection.ts';
import { type FlowProblem, loadFlowProblems, loadOwnFlowProblems } from '../../src/connections/flow-problem.ts';
import { sha256Hex } from '../../src/lib/secret.ts';
import { backFrom, callbackOf, type Flows, type FlowStart, startFlows, stateOf } from '../support/flows.ts';

/** A problem as it is told: which, where, since when, by whom it is mended and with what. */
const told = (found: FlowProblem | null | undefined) =>
  found && {
    name: found.problem.failure?.name,
    at: new URL(found.redirectUri).origin,
    startedAt: found.startedAt,
    actor: found.problem.remedy?.actor,
    values: found.problem.remedy?.values.map(({ value }) => value),
  };

/** What members are told of the connector, and what a user is of their own connection. */
async function problemsOf(flows: Flows, userId = 'one') {
  const { app, connectorId, deps, user } = flows;
  const ids = [{ id: connectionId(connectorId, app.id, userId), connectorId }];
  const [own] = await loadOwnFlowProblems(deps, user(userId), ids);
  const [ofConnector = []] = await loadFlowProblems(deps, [connectorId]);
  return { own: told(own), members: ofConnector.map(told) };
}

/** Begins a flow that ends with this error of the provider's. */
async function fail(flows: Flows, error: string, userId = 'one', start: FlowStart = {}): Promise<StartedFlow> {
  flows.clock.advance(1_000);
  const started = await flows.start(userId, start);
  await finishConnect(flows.deps, callbackOf(backFrom(started, { error }), started.cookie));
  return started;
}

test('54. a flow that came to nothing is told to whoever began it, and to members where an admin or the operator has to act', async () => {
  const flows = await startFlows();
  const { clock, connectorId, db, origin } = flows;
  const { clientId } = await flows.connector();
  const redirectUri = `${origin}/api/external-auth/callback/Connector_${connectorId}`;
  expect(await problemsOf(flows)).toEqual({ own: null, members: [] });
  const cases: [error: string, name: string, actor: string, values: unknown[]][] = [
    ['redirect_uri_mismatch', 'REDIRECT_URI_MISMATCH', 'ADMIN', [redirectUri, clientId]],
    ['invalid_scope', 'INVALID_SCOPE', 'ADMIN', ['openid', 'email', 'calendar.read']],
    ['access_denied', 'CONSENT_DENIED', 'USER', []],
    ['server_error', 'PROVIDER_UNREACHABLE', 'PROVIDER', []],
  ];
  for (const [error, name, actor, values] of cases) {
    await fail(flows, error);
    const problem = { name, at: origin, startedAt: clock.now(), actor, values };
    expect([error, await problemsOf(flows)]).toEqual([
      error,
      { own: problem, members: actor === 'ADMIN' ? [problem] : [] },
    ]);
  }
  const started = await fail(flows, 'access_denied');
  const set = (data: object) => db.pendingFlow.updateMany({ where: { stateHash: sha256Hex(stateOf(started)) }, data });
  await set({ failure: 'ADDRESS_BLOCKED', failureHost: 'internal.example.com' });
  const blocked = { name: 'ADDRESS_BLOCKED', actor: 'OPERATOR', values: ['internal.example.com'] };
  expect(await problemsOf(flows)).toMatchObject({ own: blocked, members: [blocked] });
  // that somebody else brought it back is told nobody, nor what the status tells already
  for (const failure of ['FLOW_MISMATCH', 'CONNECTOR_DISABLED']) {
    await set({ failure, failureHost: null });
    expect([failure, await problemsOf(flows)]).toEqual([failure, { own: null, members: [] }]);
  }
});

test('54. a flow is taken not to come back once a minute has gone by, until its person has connected', async () => {
  const flows = await startFlows();
  const { app, clock, connectorId, deps, origin, provider } = flows;
  const { clientId } = await flows.connector();
  const preview = 'https://preview.example.com';
  const startedAt = clock.now();
  await flows.start('one');
  const of = { ...app, origins: [...app.origins, { kind: 'PREVIEW' as const, origin: preview }] };
  await flows.start('two', { of, origin: preview });
  clock.advance(59_999);
  expect(await problemsOf(flows)).toEqual({ own: null, members: [] });
  clock.advance(1);
  const lost = (at: string) => ({
    name: 'FLOW_NOT_RETURNED',
    at,
    startedAt,
    actor: 'ADMIN',
    values: [`${at}/api/external-auth/callback/Connector_${connectorId}`, clientId],
  });
  const { own, members } = await problemsOf(flows);
  expect(own).toEqual(lost(origin));
  expect(members.sort((a, b) => (a && b && a.at < b.at ? -1 : 1))).toEqual([lost(origin), lost(preview)]);
  expect((await problemsOf(flows, 'two')).own).toEqual(lost(preview));
  expect((await problemsOf(flows, 'three')).own).toBe(null);

  // each connector has its own, in the order asked
  const row = await flows.connector();
  const another = { ...row, id: 'another', custom: row.custom ?? {}, connectionConfig: [] };
  await flows.db.connector.create({ data: another });
  const [ofOther, ofThis] = await loadFlowProblems(deps, ['another', connectorId]);
  expect([ofOther, ofThis?.length]).toEqual([[], 2]);
  const connections = ['another', connectorId].map((id) => ({ id: connectionId(id, app.id, 'one'), connectorId: id }));
  expect((await loadOwnFlowProblems(deps, flows.user('one'), connections)).map(told)).toEqual([null, lost(origin)]);
  // another's connection, and a caller who is no app user
  const theirs = [{ id: connectionId(connectorId, app.id, 'two'), connectorId }];
  expect(await loadOwnFlowProblems(deps, flows.user('one'), theirs)).toEqual([null]);
  expect(await loadOwnFlowProblems(deps, flows.member('one'), connections)).toEqual([null, null]);

  await flows.finish(await flows.start('one'));
  expect(await problemsOf(flows)).toEqual({ own: null, members: [] });
  expect(provider.counts.authorization_code).toBe(1);
});
