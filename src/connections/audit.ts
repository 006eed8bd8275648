import type { PendingFlow } from '../db/generated/prisma/client.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import { DomainError } from '../lib/domain-error.ts';
import { type AuditActor, byUser, recordAct } from '../workspaces/audit.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { NoteTokenRead } from '../workspaces/audit-reads.ts';
import { type Caller, CallerOutdated } from '../workspaces/caller.ts';
import { connectionId } from './connection.ts';
import { flowFailureOf } from './errors.ts';
import * as store from './store.ts';

/** What an audit row says of the connection that something was done to. */
export function actOn(connection: { id: string; workspaceId: string; connectorId: string; appId: string }) {
  const { id, workspaceId, connectorId, appId } = connection;
  return { connectionId: id, workspaceId, connectorId, appId };
}

/** Whom a flow acts for: the person who began it. */
export function actorOfFlow({ appId, userId, startedBy }: PendingFlow): AuditActor {
  return startedBy === null ? byUser(appId, userId) : { kind: 'MEMBER', id: startedBy, appId };
}

/** Ends a flow that came to nothing, and says in the audit why: once, by the first who tells. */
export function failFlow(deps: { db: Db; clock: Clock }, flow: PendingFlow, error: DomainError): Promise<void> {
  return deps.db.$transaction((tx) => failFlowWithin(deps, tx, flow, error));
}

/** The same in a transaction that does more. */
export async function failFlowWithin(
  deps: { clock: Clock },
  tx: Tx,
  flow: PendingFlow,
  error: DomainError,
): Promise<void> {
  const isFirst = await store.failFlow(tx, flow.id, flowFailureOf(error), deps.clock.now());
  const id = connectionId(flow.connectorId, flow.appId, flow.userId);
  const act = { act: 'CONNECT_FAILED', outcome: error.code, ...actOn({ ...flow, id }) } as const;
  if (isFirst) await recordAct(deps, tx, actorOfFlow(flow), act);
}

/** Makes a read of a token, and notes how it ended. `connectionIdOf`: of which connection, where the read does not come to say so. */
export async function auditedRead<T extends { connection: { id: string } }>(
  deps: { noteTokenRead: NoteTokenRead; tracing: Tracing },
  caller: Caller,
  connectorId: string,
  connectionIdOf: () => string | null,
  read: () => Promise<T>,
): Promise<T> {
  const span = deps.tracing.begin('token read');
  try {
    const answer = await span.run(read);
    deps.noteTokenRead(caller, { connectorId, connectionId: answer.connection.id, outcome: 'OK' });
    span.end({ 'connectors.outcome': 'OK' });
    return answer;
  } catch (error) {
    if (error instanceof CallerOutdated) {
      span.end({}); // nothing was read yet: it begins anew
      throw error;
    }
    const outcome = error instanceof DomainError ? error.code : 'INTERNAL_SERVER_ERROR';
    deps.noteTokenRead(caller, { connectorId, connectionId: connectionIdOf(), outcome });
    span.end({ 'connectors.outcome': outcome }, error instanceof DomainError ? undefined : outcome);
    throw error;
  }
}
