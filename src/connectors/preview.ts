import type { Connector } from '../db/generated/prisma/client.ts';
import type { Caller } from '../workspaces/caller.ts';
import type { AffectedApp } from '../workspaces/errors.ts';
import { applyEdit, type ConnectorDeps, type EditConnectorInput, readEdit, requireEditable } from './manage.ts';
import * as store from './store.ts';

/** What an edit would do to those who are connected. */
export interface ConnectorEditPreview {
  /** Why they would have to connect again; null where nobody would. */
  reconnectReason: 'SCOPES_CHANGED' | 'CREDENTIALS_CHANGED' | null;
  /** What would have to be connected again, and need not as things are. */
  apps: AffectedApp[];
  scopesAdded: string[];
  scopesRemoved: string[];
}

/**
 * Tells what editConnector would do with the same input, and does nothing.
 * @throws as editConnector
 */
export async function previewConnectorEdit(
  deps: ConnectorDeps,
  caller: Caller,
  input: EditConnectorInput,
): Promise<ConnectorEditPreview> {
  const current = await requireEditable(deps, caller, input.connectorId);
  const edit = readEdit(deps, current, input);
  const after = applyEdit(current, edit, await store.findOperatorClient(deps.db, current.providerKey));
  const reconnectReason = reasonFor(current, after);
  const apps = reconnectReason ? await store.countUndisturbed(deps.db, current, deps.clock.now()) : [];
  return {
    reconnectReason,
    apps,
    scopesAdded: after.scopes.filter((scope) => !current.scopes.includes(scope)),
    scopesRemoved: current.scopes.filter((scope) => !after.scopes.includes(scope)),
  };
}

type Fingerprints = Pick<Connector, 'clientFingerprint' | 'scopesFingerprint'>;

/** The same order as a connection's status: what belongs to another client is lost, whatever its scopes. */
function reasonFor(before: Fingerprints, after: Fingerprints): ConnectorEditPreview['reconnectReason'] {
  if (before.clientFingerprint !== after.clientFingerprint) return 'CREDENTIALS_CHANGED';
  return before.scopesFingerprint === after.scopesFingerprint ? null : 'SCOPES_CHANGED';
}
