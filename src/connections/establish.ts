import { isComplete } from '../connectors/connector.ts';
import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { open } from '../crypto/seal.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Connector, PendingFlow, Prisma } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { DomainError } from '../lib/domain-error.ts';
import type { InFlight } from '../lib/in-flight.ts';
import type { Logger } from '../lib/logger.ts';
import { tokenFingerprint } from '../lib/secret.ts';
import type { StatusEvents } from '../events/status-events.ts';
import { keptFromCallback, readAuthorizationResponse } from '../oauth/authorization.ts';
import type { AuthorizationServer, ProviderAccount, TokenGrant } from '../oauth/authorization-server.ts';
import { OAuthError } from '../oauth/failure.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { fetchAccount } from '../oauth/identity.ts';
import { atRegion } from '../oauth/region.ts';
import { exchangeCode } from '../oauth/tokens.ts';
import { recordAct, scopeChanges } from '../workspaces/audit.ts';
import { NotFoundError } from '../workspaces/errors.ts';
import { roleMay, roleTooLow } from '../workspaces/membership.ts';
import { findRole } from '../workspaces/store.ts';
import { actOn, actorOfFlow, failFlowWithin } from './audit.ts';
import { connectionId, connectorProblem, isRevoked, ownerInTheWay } from './connection.ts';
import { noteAcceptance, noteRefusal } from './connector-refusal.ts';
import { AccountOwnedError, flowError } from './errors.ts';
import { clientOf, grantEnd, sealGrant } from './grant.ts';
import { insist } from './insist.ts';
import { queueRevocation, queueStoredRevocation } from './outbox.ts';
import { askProvider, errorResponse } from './provider-failure.ts';
import { connectorFacts } from './status.ts';
import * as store from './store.ts';

export interface EstablishDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  fetch: ProviderFetch;
  resolveServer: ResolveServer;
  events: StatusEvents;
  log: Logger;
  wakeWorker: () => void;
  /** A stop waits for what is tracked, also where the browser has gone. */
  track: InFlight['track'];
}

/** So long a browser waits for a database that does not take the new tokens. */
const storeForMs = 10_000;

/** Whom a flow's secrets belong to when sealed. */
export const flowOwner = (flowId: string, field: 'codeVerifier' | 'response') => ({
  table: 'pending_flow',
  id: flowId,
  field,
});

/** Exchanges the code and stores the connection. Answers its id. */
export function establish(deps: EstablishDeps, flow: PendingFlow, params: URLSearchParams): Promise<string> {
  return deps.track(exchangeAndStore(deps, flow, params));
}

async function exchangeAndStore(deps: EstablishDeps, flow: PendingFlow, params: URLSearchParams): Promise<string> {
  const connector = await flowConnector(deps, flow);
  const home = await askProvider(() => deps.resolveServer(connector));
  const response = readAuthorizationResponse(home, params);
  if (response.kind === 'error') throw errorResponse(response.error, params.get('error_description'));
  const server = atRegion(home, keptFromCallback(home, params));
  const codeVerifier = open(deps.keyring, flowOwner(flow.id, 'codeVerifier'), flow.codeVerifierSealed).reveal();
  const receivedAt = deps.clock.now();
  const client = await clientOf(deps, connector);
  if (!client) throw flowError('FLOW_EXPIRED');
  const exchange = exchangeCode({
    fetch: deps.fetch,
    server,
    client,
    callbackParams: params,
    redirectUri: flow.redirectUri,
    codeVerifier,
    nonce: flow.nonce,
    scopes: flow.requestedScopes,
    now: receivedAt,
    onUnusable: async (grant) => takeBack(deps, flow, server, grant, await accountOf(deps, server, grant)),
  });
  const grant = await exchange.catch(async (error: unknown) => {
    if (error instanceof OAuthError) await noteRefusal(deps, connector, error.verdict);
    throw error;
  });
  const account = await accountOf(deps, server, grant);
  const id = await storeConnection(deps, flow, server, grant, account, receivedAt);
  await noteAcceptance(deps, connector);
  return id;
}

async function accountOf(
  deps: EstablishDeps,
  server: AuthorizationServer,
  grant: TokenGrant,
): Promise<ProviderAccount> {
  if (grant.account?.email || (grant.account && !server.identity)) return grant.account;
  const asked = server.identity
    ? await fetchAccount({ fetch: deps.fetch, server, accessToken: grant.accessToken })
    : null;
  const told = asked?.kind === 'account' ? asked.account : null;
  return {
    id: grant.account?.id ?? told?.id ?? null,
    email: grant.account?.email ?? told?.email ?? null,
    name: grant.account?.name ?? told?.name ?? null,
  };
}

/** One transaction: the flow ends, new tokens come in, old ones go out, and what must be revoked is queued. */
async function storeConnection(
  deps: EstablishDeps,
  flow: PendingFlow,
  server: AuthorizationServer,
  grant: TokenGrant,
  account: ProviderAccount,
  receivedAt: Date,
): Promise<string> {
  const id = connectionId(flow.connectorId, flow.appId, flow.userId);
  const tokens = sealGrant(deps.keyring, id, grant, receivedAt, null);
  const write = async (tx: Tx): Promise<DomainError | null> => {
    await store.takeTurn(tx, id); // of two first flows at once, the second finds the first one's grant and takes it back
    const { closed, grantsRevokedAt } = await closedMeanwhile(tx, flow, receivedAt);
    const before = await store.lockWithCredential(tx, id);
    if (before?.credential?.fingerprint === tokens.fingerprint) return null; // a commit whose answer was lost
    // What the other grant may stand on as well is revoked when the connection ends; the rest at once. A grant of another client
    // shares nothing with the new one, and is revoked once the connector is put back.
    const sameClient = before?.clientFingerprint === flow.clientFingerprint;
    const wasRevoked = before !== null && isRevoked({ grantsRevokedAt }, before);
    const sameGrant = Boolean(before && sameClient && !wasRevoked && mayShareGrant(server, account, before));
    const refusal = closed ?? (await starterRefusal(tx, flow, before));
    if (refusal) {
      const dueAt = before?.credential && sameGrant ? null : receivedAt;
      await queueRevocation(deps, tx, ownerOf(flow, id, grant, account), grant, dueAt);
      await failFlowWithin(deps, tx, flow, refusal);
      return refusal;
    }
    await store.deleteFlow(tx, flow.id);
    if (before?.credential) {
      const owner = { ...before, connectionId: id, grantsRevokedAt: wasRevoked ? grantsRevokedAt : null };
      await queueStoredRevocation(deps, tx, owner, before.credential, sameGrant ? null : receivedAt);
      const heldFor = wasRevoked ? undefined : before.accountId;
      if (!sameGrant) await store.releaseHeldRevocations(tx, id, receivedAt, heldFor);
    }
    if (before && before.accountId !== account.id) await store.releaseParkedRevocations(tx, before, receivedAt);
    await store.replaceConnection(
      tx,
      {
        id,
        workspaceId: flow.workspaceId,
        connectorId: flow.connectorId,
        appId: flow.appId,
        userId: flow.userId,
        ownedBy: flow.startedBy,
        clientFingerprint: flow.clientFingerprint,
        scopesFingerprint: flow.scopesFingerprint,
        requestedScopes: flow.requestedScopes,
        grantedScopes: grant.scopes ?? flow.requestedScopes,
        accountId: account.id,
        accountEmail: account.email,
        accountName: account.name,
        connectionConfig: grant.kept as unknown as Prisma.InputJsonArray,
        connectedAt: receivedAt,
        lastRefreshedAt: null,
        lastVerifiedAt: receivedAt,
        refusedAt: null,
        grantExpiresAt: grantEnd(tokens, server),
        disconnectedAt: null,
      },
      tokens,
    );
    const held = before && !before.disconnectedAt ? before : null;
    const isAnother = held !== null && held.accountId !== null && account.id !== null && held.accountId !== account.id;
    const details = {
      ...(isAnother && { changed: ['account'] }),
      ...scopeChanges(held?.grantedScopes ?? [], grant.scopes ?? flow.requestedScopes),
    };
    await recordAct(deps, tx, actorOfFlow(flow), { act: 'ACCOUNT_CONNECTED', ...actOn({ ...flow, id }), details });
    return null;
  };
  const storing = insist(deps, storeForMs, () => deps.db.$transaction(write));
  const refusal = await storing.catch(async (error: unknown) => {
    await takeBack(deps, flow, server, grant, account);
    throw error;
  });
  deps.wakeWorker();
  if (refusal) throw refusal;
  deps.events.publish({ connectionId: id });
  return id;
}

/** Whose a grant is that came too late, or for nothing. */
function ownerOf(flow: PendingFlow, id: string, grant: TokenGrant, account: ProviderAccount) {
  return { ...flow, connectionId: id, accountId: account.id, connectionConfig: grant.kept };
}

/**
 * What has closed the flow's connector or app while the provider was asked; null where nothing has, and then nothing does until the
 * transaction ends. A grant that was asked for before all were revoked is one of them.
 */
async function closedMeanwhile(
  tx: Tx,
  flow: PendingFlow,
  receivedAt: Date,
): Promise<{ closed: DomainError | null; grantsRevokedAt: Date | null }> {
  const appIsThere = await store.shareApp(tx, flow.appId);
  const connector = await store.shareConnector(tx, flow);
  const problem = connectorProblem(connector ? connectorFacts(connector) : null);
  if (problem || !connector) return { closed: problem ?? new NotFoundError('connector'), grantsRevokedAt: null };
  const { grantsRevokedAt } = connector;
  const isOpen = agrees(connector, flow) && appIsThere && !isRevoked(connector, { connectedAt: receivedAt });
  return { closed: isOpen ? null : flowError('CONNECTOR_CHANGED'), grantsRevokedAt };
}

/** Queues the revocation of a grant that a failed flow would leave at the provider, without hiding why the flow failed. */
async function takeBack(
  deps: EstablishDeps,
  flow: PendingFlow,
  server: AuthorizationServer,
  grant: TokenGrant,
  account: ProviderAccount,
): Promise<void> {
  const id = connectionId(flow.connectorId, flow.appId, flow.userId);
  try {
    await deps.db.$transaction(async (tx) => {
      await store.takeTurn(tx, id);
      const live = await store.lockWithCredential(tx, id);
      // a commit whose answer was lost has stored it after all
      if (live?.credential?.fingerprint === tokenFingerprint(grant.accessToken.reveal())) return;
      const dueAt = live?.credential && mayShareGrant(server, account, live) ? null : deps.clock.now();
      await queueRevocation(deps, tx, ownerOf(flow, id, grant, account), grant, dueAt);
    });
    deps.wakeWorker();
  } catch (error) {
    deps.log.error({ err: error, connectionId: id }, 'the grant of a failed flow could not be queued for revocation');
  }
}

/** Whether revoking the one grant could end the other. */
function mayShareGrant(
  server: AuthorizationServer,
  account: ProviderAccount,
  connection: { accountId: string | null },
): boolean {
  if (server.revocationReach !== 'account') return false;
  return !account.id || !connection.accountId || account.id === connection.accountId;
}

/** The connector of a flow, which must be what it was when the flow began; and so must the right of whoever began. */
export async function flowConnector(deps: EstablishDeps, flow: PendingFlow): Promise<Connector> {
  const connector = await usableConnector(deps, flow.connectorId, flow.workspaceId);
  if (!agrees(connector, flow) || !(await store.shareApp(deps.db, flow.appId))) throw flowError('CONNECTOR_CHANGED');
  if (flow.startedBy !== null) {
    const [connection] = await store.findConnections(deps.db, [
      connectionId(flow.connectorId, flow.appId, flow.userId),
    ]);
    const refusal = await starterRefusal(deps.db, flow, connection ?? null);
    if (refusal) throw refusal;
  }
  return connector;
}

/**
 * Why the member who began may not finish: their role or key may have been taken away since, or somebody else may have
 * connected an account meanwhile. Null where they may, and for app users.
 */
async function starterRefusal(
  db: Db | Tx,
  flow: PendingFlow,
  connection: { ownedBy: string | null; disconnectedAt: Date | null } | null,
): Promise<DomainError | null> {
  if (flow.startedBy === null) return null;
  const role = await findRole(db, flow.workspaceId, flow.startedBy);
  if (!roleMay(role, 'account.connect')) return roleTooLow('account.connect');
  const owner = ownerInTheWay(connection, flow);
  return owner === null ? null : new AccountOwnedError(owner);
}

function agrees(connector: Connector, flow: PendingFlow): boolean {
  return (
    connector.clientFingerprint === flow.clientFingerprint && connector.scopesFingerprint === flow.scopesFingerprint
  );
}

/** A connector of the workspace that nothing stops from being connected to. */
export async function usableConnector(deps: { db: Db }, connectorId: string, workspaceId: string) {
  const [connector] = await store.findConnectors(deps.db, [connectorId], [workspaceId]);
  const problem = connectorProblem(connector ? connectorFacts(connector) : null);
  if (problem) throw problem;
  if (!connector || !isComplete(connector)) throw new NotFoundError('connector');
  return connector;
}
