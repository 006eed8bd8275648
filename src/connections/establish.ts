import { isComplete } from '../connectors/connector.ts';
import type { ResolveServer } from '../connectors/server.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { open } from '../crypto/seal.ts';
import type { Db } from '../db/client.ts';
import type { Connector, PendingFlow } from '../db/generated/prisma/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { StatusEvents } from '../events/status-events.ts';
import { readAuthorizationResponse } from '../oauth/authorization.ts';
import type { AuthorizationServer, ProviderAccount, TokenGrant } from '../oauth/authorization-server.ts';
import { OAuthError } from '../oauth/failure.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { fetchAccount } from '../oauth/identity.ts';
import { exchangeCode } from '../oauth/tokens.ts';
import { recordAct, scopeChanges } from '../workspaces/audit.ts';
import { NotFoundError } from '../workspaces/errors.ts';
import { actOn, actorOfFlow } from './audit.ts';
import { connectionId, connectorProblem } from './connection.ts';
import { noteAcceptance, noteRefusal } from './connector-refusal.ts';
import { flowError } from './errors.ts';
import { clientOf, grantEnd, sealGrant } from './grant.ts';
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
}

/** Whom a flow's secrets belong to when sealed. */
export const flowOwner = (flowId: string, field: 'codeVerifier' | 'response') => ({
  table: 'pending_flow',
  id: flowId,
  field,
});

/** Exchanges the code and stores the connection. Answers its id. */
export async function establish(deps: EstablishDeps, flow: PendingFlow, params: URLSearchParams): Promise<string> {
  const connector = await flowConnector(deps, flow);
  const server = await askProvider(() => deps.resolveServer(connector));
  const response = readAuthorizationResponse(server, params);
  if (response.kind === 'error') throw errorResponse(response.error);
  const codeVerifier = open(deps.keyring, flowOwner(flow.id, 'codeVerifier'), flow.codeVerifierSealed).reveal();
  const receivedAt = deps.clock.now();
  const exchange = exchangeCode({
    fetch: deps.fetch,
    server,
    client: clientOf(deps.keyring, connector),
    callbackParams: params,
    redirectUri: flow.redirectUri,
    codeVerifier,
    nonce: flow.nonce,
    scopes: flow.requestedScopes,
    now: receivedAt,
  });
  const grant = await exchange.catch(async (error: unknown) => {
    if (error instanceof OAuthError) await noteRefusal(deps, connector.id, error.verdict);
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
  if (flow.userId === null) throw new Error('a flow without a user');
  const id = connectionId(flow.connectorId, flow.appId, flow.userId);
  const tokens = sealGrant(deps.keyring, id, grant, receivedAt, null);
  const stored = await deps.db.$transaction(async (tx) => {
    await store.takeTurn(tx, id); // of two first flows at once, the second finds the first one's grant and takes it back
    await store.deleteFlow(tx, flow.id);
    const connector = await store.shareConnector(tx, flow.connectorId);
    const isOpen =
      connector && !connector.deletedAt && agrees(connector, flow) && (await store.shareApp(tx, flow.appId));
    if (!isOpen) {
      await queueRevocation(deps, tx, { ...flow, connectionId: id, accountId: account.id }, grant, receivedAt);
      const act = { act: 'CONNECT_FAILED', outcome: 'FLOW_EXPIRED', ...actOn({ ...flow, id }) } as const;
      await recordAct(deps, tx, actorOfFlow(flow), act);
      return false;
    }
    const before = await store.lockWithCredential(tx, id);
    if (before?.credential && before.clientFingerprint === connector.clientFingerprint) {
      // What the new grant may stand on as well is revoked when the connection ends; the rest at once.
      const sameGrant =
        server.revocationReach === 'account' && (!account.id || !before.accountId || account.id === before.accountId);
      const owner = { ...flow, connectionId: id, accountId: before.accountId };
      await queueStoredRevocation(deps, tx, owner, before.credential, sameGrant ? null : receivedAt);
      if (!sameGrant) await store.releaseHeldRevocations(tx, id, receivedAt, before.accountId);
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
        clientFingerprint: flow.clientFingerprint,
        scopesFingerprint: flow.scopesFingerprint,
        requestedScopes: flow.requestedScopes,
        grantedScopes: grant.scopes ?? flow.requestedScopes,
        accountId: account.id,
        accountEmail: account.email,
        accountName: account.name,
        connectionConfig: grant.kept,
        connectedAt: receivedAt,
        lastRefreshedAt: null,
        lastVerifiedAt: receivedAt,
        refusedAt: null,
        grantExpiresAt: grantEnd(tokens, server.refreshes),
        disconnectedAt: null,
      },
      tokens,
    );
    const held = before && !before.disconnectedAt ? before.grantedScopes : [];
    const details = scopeChanges(held, grant.scopes ?? flow.requestedScopes);
    await recordAct(deps, tx, actorOfFlow(flow), { act: 'ACCOUNT_CONNECTED', ...actOn({ ...flow, id }), details });
    return true;
  });
  deps.wakeWorker();
  if (!stored) throw flowError('FLOW_EXPIRED');
  deps.events.publish({ connectionId: id });
  return id;
}

/** The connector of a flow, which must be what it was when the flow began. */
export async function flowConnector(deps: EstablishDeps, flow: PendingFlow): Promise<Connector> {
  const connector = await usableConnector(deps, flow.connectorId, flow.workspaceId);
  if (!agrees(connector, flow) || !(await store.shareApp(deps.db, flow.appId))) throw flowError('FLOW_EXPIRED');
  return connector;
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
