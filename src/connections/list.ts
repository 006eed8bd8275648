import type { Db } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import { connectorProblem, type Status } from './connection.ts';
import { connectorFacts } from './status.ts';
import * as store from './store.ts';

/** A connector whose connections are listed. */
export type Listed = store.ConnectorInWorkspace;

/** Which connections of a connector to list, and which part of the list. */
export type ConnectionQuery = Omit<store.ConnectionPage, 'status'> & { status: Status['status'] | null };

/**
 * The ids of the connections of connectors, a page for each, in order: those whose status is the one asked for, so that every
 * page but the last is full. What makes a connector unavailable makes all of its connections so, and is looked at here.
 */
export async function listConnections(
  deps: { db: Db; clock: Clock },
  connectors: readonly Listed[],
  { status, ...page }: ConnectionQuery,
): Promise<string[][]> {
  const isUsable = (connector: Listed) => connectorProblem(connectorFacts(connector)) === null;
  const asked = status === null ? connectors : connectors.filter((own) => isUsable(own) === (status !== 'UNAVAILABLE'));
  const rows = await store.findConnectionIds(
    deps.db,
    asked.map(({ id }) => id),
    { ...page, status: status === 'UNAVAILABLE' ? null : status },
    deps.clock.now(),
  );
  return connectors.map(({ id }) => rows.flatMap((row) => (row.connectorId === id ? row.id : [])));
}
