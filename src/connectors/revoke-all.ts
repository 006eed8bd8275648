import type { Db } from '../db/client.ts';
import type { Connector } from '../db/generated/prisma/client.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { findProvider } from '../providers/catalogue.ts';
import { actorOf, recordActs } from '../workspaces/audit.ts';
import { readProviderKey } from '../workspaces/availability.ts';
import type { Caller } from '../workspaces/caller.ts';
import { ConfirmationRequiredError, NotFoundError, ValidationError } from '../workspaces/errors.ts';
import { assertCan } from '../workspaces/membership.ts';
import type { CustomProvider, Notice } from './connector.ts';
import * as store from './store.ts';

/** Whose connections are revoked: those of a connector, of all connectors of a provider or, where both are null, of the whole workspace. */
export interface RevokeAllInput {
  workspaceId: string;
  providerKey: string | null;
  connectorId: string | null;
  confirm: boolean;
}

/** What was revoked. */
export interface RevokedConnections {
  connectorIds: string[];
  /** How many connections held tokens until now. */
  connections: number;
  notices: Notice[];
}

/**
 * Revokes every connection of a workspace, of a provider in it, or of a connector, once confirmed: their tokens are refused and
 * their people asked to reconnect as soon as this commits, which writes a row or two per connector however many connections there
 * are; each grant is revoked at the provider in the background. The connectors stay, and whoever reconnects has a new grant. Works
 * whatever the plan. Pressed again, it revokes what was connected since.
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError, ValidationError, ConfirmationRequiredError
 */
export async function revokeAllConnections(
  deps: { db: Db; clock: Clock; events: StatusEvents; wakeWorker: () => void },
  caller: Caller,
  input: RevokeAllInput,
): Promise<RevokedConnections> {
  assertCan(caller, 'connector.manage', input.workspaceId, 'workspace');
  const scope = readScope(input);
  const ids = (await store.findLiving(deps.db, scope)).map(({ id }) => id);
  if (scope.connectorId !== null && ids.length === 0) throw new NotFoundError('connector');
  if (!input.confirm) throw new ConfirmationRequiredError('revoke-all', await store.countHoldingTokens(deps.db, ids));
  const { workspaceId } = scope;
  try {
    return await deps.db.$transaction(async (tx) => {
      const connectors = await store.revokeGrants(tx, ids, deps.clock.now());
      const acts = connectors.map(({ id: connectorId, providerKey, connections }) => ({
        act: 'CONNECTIONS_REVOKED' as const,
        workspaceId,
        connectorId,
        details: { of: nameOf(scope), provider: providerKey, connections: String(connections) },
      }));
      await recordActs(deps, tx, actorOf(caller), acts);
      return {
        connectorIds: connectors.map(({ id }) => id),
        connections: connectors.reduce((sum, { connections }) => sum + connections, 0),
        notices: connectors.filter(({ connections }) => connections > 0).flatMap(unsupportedNotice),
      };
    });
  } finally {
    // a commit whose answer was lost has revoked them all the same
    for (const connectorId of ids) deps.events.publish({ connectorId });
    deps.wakeWorker();
  }
}

function readScope({ workspaceId, providerKey, connectorId }: RevokeAllInput): store.ConnectorScope {
  if (providerKey !== null && connectorId !== null) {
    const message = 'Name a provider or a connector, not both; neither is the whole workspace.';
    throw new ValidationError([{ path: 'input.connectorId', message }]);
  }
  return { workspaceId, connectorId, providerKey: providerKey === null ? null : readProviderKey(providerKey) };
}

function nameOf({ providerKey, connectorId }: store.ConnectorScope): string {
  if (connectorId !== null) return 'connector';
  return providerKey === null ? 'workspace' : 'provider';
}

/** What an admin must do where the provider is known to have no way to take a grant back. Of one that is found by its issuer only the receipts tell. */
function unsupportedNotice({ name, providerKey, custom }: Connector): Notice[] {
  const provider = findProvider(providerKey);
  const own = custom as CustomProvider | null;
  const takesBack = provider ? provider.server.revocation : own?.type !== 'endpoints' || own.revocationUrl;
  if (takesBack) return [];
  const message = `${name}: ${provider?.name ?? 'the provider'} has no way to take a grant back, so tokens that got out stay good there until they end. Rotate the client secret at the provider, or remove the OAuth app there, and enter the new client with editConnector.`;
  return [{ path: 'input', message }];
}
