import type { Connector } from '../db/generated/prisma/client.ts';
import { ForbiddenError, NotFoundError, unregisteredOrigin, ValidationError } from '../workspaces/errors.ts';
import type { Caller, CallerApp } from '../workspaces/caller.ts';
import { assertCan } from '../workspaces/membership.ts';
import { mayCallFrom } from '../workspaces/origin.ts';
import { findApp } from '../workspaces/store.ts';
import { beginFlow, type ConnectDeps, type FlowInput, type StartedFlow, type StartingRequest } from './connect.ts';
import { connectionId, ownerInTheWay } from './connection.ts';
import { type DisconnectDeps, endOwn } from './disconnect.ts';
import { AccountOwnedError } from './errors.ts';
import { usableConnector } from './establish.ts';
import { viewConnection } from './status.ts';
import * as store from './store.ts';

/** What a member asks for. */
export interface SharedAccountInput extends FlowInput {
  connectorId: string;
  appId: string;
  /** Consent again, to another account, although one is connected. */
  switchAccount: boolean;
  /** Replace the account even where somebody else connected it. */
  takeOver: boolean;
}

/** A flow, or null where the same member has connected the account already and nothing is missing. */
export interface StartedSharedFlow {
  connectionId: string;
  flow: StartedFlow | null;
}

/**
 * Starts connecting the account that everyone in an app shares. EDITOR and above. Nobody is asked to consent again to what they
 * have granted, unless they want to switch the account; nobody replaces somebody else's account without saying so.
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError, PlanRequiredError, ConnectorIncompleteError, ValidationError,
 * AccountOwnedError, ProviderUnavailableError
 */
export async function startSharedConnect(
  deps: ConnectDeps,
  caller: Caller,
  input: SharedAccountInput,
  request: StartingRequest,
): Promise<StartedSharedFlow> {
  const { app, subject: startedBy } = await requireConnecting(deps, caller, input.appId);
  const connector = await usableConnector(deps, input.connectorId, app.workspaceId);
  assertShared(connector);
  assertOwnPage(app, deps.publicUrl, request);
  const id = connectionId(connector.id, app.id, null);
  const [connection = null] = await store.findConnections(deps.db, [id]);
  const { takeOver, switchAccount } = input;
  const owner = ownerInTheWay(connection, { startedBy, takeOver });
  if (owner !== null) throw new AccountOwnedError(owner);
  const { status, missingScopes } = viewConnection(id, connector, connection, deps.clock.now());
  const isAuthorized = status === 'CONNECTED' && missingScopes.length === 0 && connection?.ownedBy === startedBy;
  if (isAuthorized && !switchAccount) return { connectionId: id, flow: null };
  const subject = { app, userId: null, startedBy, takeOver };
  return { connectionId: id, flow: await beginFlow(deps, subject, connector, input, request) };
}

/**
 * Disconnects the account that everyone in an app shares, whoever connected it. EDITOR and above. Answers the connection's id.
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError, ValidationError, NotConnectedError
 */
export async function disconnectShared(
  deps: DisconnectDeps,
  caller: Caller,
  input: { connectorId: string; appId: string },
): Promise<string> {
  const { app } = await requireConnecting(deps, caller, input.appId);
  const [connector] = await store.findConnectors(deps.db, [input.connectorId], [app.workspaceId]);
  if (!connector || connector.deletedAt) throw new NotFoundError('connector');
  assertShared(connector);
  return endOwn(deps, caller, connectionId(connector.id, app.id, null));
}

/** The app, and the member who may connect an account for it. */
async function requireConnecting(deps: Pick<ConnectDeps, 'db'>, caller: Caller, appId: string) {
  const app = await findApp(deps.db, appId);
  if (!app) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('app');
  assertCan(caller, 'account.connect', app.workspaceId, 'app');
  if (caller.kind !== 'member') throw new ForbiddenError('This is for members of the workspace.');
  return { app, subject: caller.subject };
}

function assertShared({ kind }: Connector): void {
  if (kind === 'SHARED') return;
  const message = 'Each user has an account of their own at this connector, and connects it with connectAppUser.';
  throw new ValidationError([{ path: 'input.connectorId', message }]);
}

/** A member is of no app: only here is it known of which the page that calls must be, as it must be for the app's users. */
function assertOwnPage(app: Pick<CallerApp, 'origins'>, publicUrl: string, { origin }: StartingRequest): void {
  if (origin === null || mayCallFrom(app, publicUrl, origin)) return;
  throw unregisteredOrigin(origin);
}
