import type { Db } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { type Caller, callingUser } from '../workspaces/caller.ts';
import { connectionId } from './connection.ts';
import {
  clientFacts,
  type FlowFailure,
  flowError,
  hostFacts,
  isFlowFailure,
  ProviderUnavailableError,
} from './errors.ts';
import * as store from './store.ts';

/** A connect flow that came to nothing, or from which the browser has not come back. */
export interface FlowProblem {
  redirectUri: string;
  startedAt: Date;
  problem: DomainError;
}

/** Sooner than this nobody has chosen an account and read what is asked for. */
const shortestMs = 60_000;

/** For each connector the flows that failed for want of an admin, or that have not come back: the latest to each redirect URI. */
export async function loadFlowProblems(
  deps: { db: Db; clock: Clock },
  connectorIds: readonly string[],
): Promise<FlowProblem[][]> {
  const rows = await store.findEndedFlows(deps.db, connectorIds, startedBefore(deps));
  return connectorIds.map((id) =>
    rows
      .filter(({ connectorId }) => connectorId === id)
      .flatMap((row) => viewOf(row) ?? [])
      .filter(({ problem }) => problem.remedy?.actor === 'ADMIN' || problem.remedy?.actor === 'OPERATOR'),
  );
}

/** For each of these connections why the calling user's latest flow came to nothing. Null for connections of others. */
export async function loadOwnFlowProblems(
  deps: { db: Db; clock: Clock },
  caller: Caller,
  connections: readonly { id: string; connectorId: string }[],
): Promise<(FlowProblem | null)[]> {
  const user = callingUser(caller);
  if (!user) return connections.map(() => null);
  const { app, userId } = user;
  const ids = connections.map(({ connectorId }) => connectorId);
  const rows = await store.findEndedFlowsOf(deps.db, { appId: app.id, userId }, ids, startedBefore(deps));
  return connections.map(({ id, connectorId }) => {
    const row = rows.find((found) => found.connectorId === connectorId);
    return row && id === connectionId(connectorId, app.id, userId) ? viewOf(row) : null;
  });
}

const startedBefore = ({ clock }: { clock: Clock }) => new Date(clock.now().getTime() - shortestMs);

/** What the flow ended with, told to the one who began it and to admins. Not told: that somebody else brought it back. */
const untold: readonly string[] = ['FLOW_MISMATCH'] satisfies FlowFailure[];

function viewOf(row: store.EndedFlow): FlowProblem | null {
  const { failure, failureHost, redirectUri, requestedScopes: scopes } = row;
  const facts = { redirectUris: [redirectUri], scopes, ...clientFacts(row), ...hostFacts(failureHost) };
  const view = (problem: DomainError) => ({ redirectUri, startedAt: row.createdAt, problem });
  if (failure === null) return view(flowError('FLOW_NOT_RETURNED', facts));
  if (untold.includes(failure)) return null;
  if (isFlowFailure(failure)) return view(flowError(failure, facts));
  // the rest is told by the connection's own status
  const isProviders = failure === 'PROVIDER_UNREACHABLE' || failure === 'ADDRESS_BLOCKED';
  return isProviders ? view(new ProviderUnavailableError(30, facts, failure)) : null;
}
