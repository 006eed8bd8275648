import type { Keyring } from '../crypto/keyring.ts';
import { open, seal } from '../crypto/seal.ts';
import type { Db, Tx } from '../db/client.ts';
import type { OperatorClient } from '../db/generated/prisma/client.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import type { OAuthClient } from '../oauth/authorization-server.ts';
import { findProvider } from '../providers/catalogue.ts';
import { actorOf, recordActs, serviceAuditId } from '../workspaces/audit.ts';
import type { Caller } from '../workspaces/caller.ts';
import { ConfirmationRequiredError, NotFoundError } from '../workspaces/errors.ts';
import { requireOperator } from '../workspaces/membership.ts';
import {
  clientFingerprint,
  createReader,
  type NamedValue,
  type Notice,
  operatorFingerprint,
  readConnectionConfig,
  readPasted,
} from './connector.ts';
import * as store from './store.ts';

export interface OperatorClientDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  events: StatusEvents;
}

export interface SetOperatorClientInput {
  providerKey: string;
  clientId: string;
  clientSecret: string;
  connectionConfig: NamedValue[];
  confirm: boolean;
}

/** Who the secret of the operator's client at a provider belongs to when sealed. */
export const operatorSecretOwner = (providerKey: string) => ({
  table: 'operator_client',
  id: providerKey,
  field: 'clientSecret',
});

/** The clients that the operator holds, by provider. Operator only. */
export function listOperatorClients(deps: { db: Db }, caller: Caller): Promise<OperatorClient[]> {
  requireOperator(caller);
  return store.findOperatorClients(deps.db);
}

/** Whether the operator has a client at each of these providers. */
export async function hasOperatorClients(deps: { db: Db }, providerKeys: readonly string[]): Promise<boolean[]> {
  const held = await store.findOperatorProviderKeys(deps.db, providerKeys);
  return providerKeys.map((key) => held.has(key));
}

/**
 * Gives the service an OAuth client of the operator's at a provider, or another one in its place. Every shared connector of that
 * provider without a client of its own uses it from then on; where that changes whom grants belong to, it is confirmed first. A new
 * secret for the same client disturbs nobody. Operator only.
 * @throws UnauthenticatedError, ForbiddenError, ValidationError, ConfirmationRequiredError
 */
export async function setOperatorClient(
  deps: OperatorClientDeps,
  caller: Caller,
  input: SetOperatorClientInput,
): Promise<{ operatorClient: OperatorClient; notices: Notice[] }> {
  requireOperator(caller);
  const { secret, notices, ...facts } = readOperatorClient(input);
  const { providerKey } = facts;
  const next = operatorFingerprint(facts);
  const movesGrants = (before: OperatorClient | null) => before !== null && operatorFingerprint(before) !== next;
  if (!input.confirm && movesGrants(await store.findOperatorClient(deps.db, providerKey))) {
    await confirmWhereUsed(deps, providerKey, 'change-operator-client');
  }
  return changing(deps, async (tx, touched) => {
    const before = await store.lockOperatorClient(tx, providerKey);
    const clientSecretSealed = seal(deps.keyring, operatorSecretOwner(providerKey), new Secret(secret));
    const operatorClient = await store.upsertOperatorClient(tx, { ...facts, clientSecretSealed });
    const { clientId: operatorClientId, connectionConfig } = facts;
    const following = { operatorClientId, connectionConfig, clientFingerprint: next };
    touched.push(...(await store.followOperatorClient(tx, providerKey, following)));
    const changed = [...(before && !movesGrants(before) ? [] : ['clientId']), 'clientSecret'];
    await recordFor(deps, tx, caller, touched, {
      act: 'OPERATOR_CLIENT_SET',
      details: { provider: providerKey, changed },
    });
    return { operatorClient, notices };
  });
}

/**
 * Takes the operator's client at a provider away, once confirmed: connectors that use it are drafts until the operator, or an admin,
 * gives a client again. Nothing is deleted, and the same client put back restores everything. Operator only.
 * @throws UnauthenticatedError, ForbiddenError, NotFoundError, ConfirmationRequiredError
 */
export async function removeOperatorClient(
  deps: OperatorClientDeps,
  caller: Caller,
  input: { providerKey: string; confirm: boolean },
): Promise<string> {
  requireOperator(caller);
  const providerKey = input.providerKey.trim().toLowerCase();
  if (!findProvider(providerKey)) throw new NotFoundError("client of the operator's");
  if (!input.confirm) {
    if (!(await store.findOperatorClient(deps.db, providerKey))) throw new NotFoundError("client of the operator's");
    throw await confirmationOf(deps, providerKey, 'remove-operator-client');
  }
  return changing(deps, async (tx, touched) => {
    await store.lockOperatorClient(tx, providerKey);
    if (!(await store.deleteOperatorClient(tx, providerKey))) throw new NotFoundError("client of the operator's");
    const none = { providerKey, clientId: null, connectionConfig: [], custom: null };
    const drafts = { operatorClientId: null, connectionConfig: [], clientFingerprint: clientFingerprint(none) };
    touched.push(...(await store.followOperatorClient(tx, providerKey, drafts)));
    await recordFor(deps, tx, caller, touched, { act: 'OPERATOR_CLIENT_REMOVED', details: { provider: providerKey } });
    return providerKey;
  });
}

/**
 * The operator's client as a connector uses it, its secret opened; null where the operator has changed it since the connector was
 * read: then nothing of the connector's may be shown to it.
 */
export async function openOperatorClient(
  { db, keyring }: { db: Db; keyring: Keyring },
  connector: { providerKey: string; clientFingerprint: string },
): Promise<OAuthClient | null> {
  const client = await store.findOperatorClient(db, connector.providerKey);
  if (!client || operatorFingerprint(client) !== connector.clientFingerprint) return null;
  const { clientId, clientSecretSealed } = client;
  return { clientId, clientSecret: open(keyring, operatorSecretOwner(client.providerKey), clientSecretSealed) };
}

type Touched = Awaited<ReturnType<typeof store.followOperatorClient>>;

/** Makes a change in one transaction, then tells every page that a touched connector is open on. */
async function changing<T>(deps: OperatorClientDeps, change: (tx: Tx, touched: Touched) => Promise<T>): Promise<T> {
  let touched: Touched = [];
  try {
    return await deps.db.$transaction((tx) => {
      touched = [];
      return change(tx, touched);
    });
  } finally {
    // a commit whose answer was lost has changed it all the same
    for (const { id } of touched) deps.events.publish({ connectorId: id });
  }
}

/** One row for the operator, and one in the audit of each workspace for each of its connectors that the act has touched. */
async function recordFor(
  deps: OperatorClientDeps,
  tx: Tx,
  caller: Caller,
  touched: Touched,
  act: { act: 'OPERATOR_CLIENT_SET' | 'OPERATOR_CLIENT_REMOVED'; details: Record<string, string | string[]> },
): Promise<void> {
  const acts = touched
    .filter(({ deletedAt }) => deletedAt === null)
    .map(({ id, workspaceId }) => ({ ...act, workspaceId, connectorId: id }));
  await recordActs(deps, tx, actorOf(caller), [{ ...act, workspaceId: serviceAuditId }, ...acts]);
}

type ConfirmedAct = 'change-operator-client' | 'remove-operator-client';

async function confirmationOf(deps: { db: Db }, providerKey: string, act: ConfirmedAct) {
  return new ConfirmationRequiredError(act, await store.countOnOperatorClient(deps.db, providerKey));
}

/** @throws ConfirmationRequiredError where anybody is connected through the client. */
async function confirmWhereUsed(deps: { db: Db }, providerKey: string, act: ConfirmedAct): Promise<void> {
  const confirmation = await confirmationOf(deps, providerKey, act);
  if (confirmation.affectedConnections.length > 0) throw confirmation;
}

/** @throws ValidationError with every fault */
function readOperatorClient(input: SetOperatorClientInput) {
  const providerKey = input.providerKey.trim().toLowerCase();
  const provider = findProvider(providerKey);
  const reader = createReader();
  if (!provider) reader.fault('input.providerKey', 'There is no such provider: choose a key from `providers`.');
  const clientId = reader.take(readPasted(input.clientId, 'client id', 'input.clientId', 512));
  const secret = reader.take(readPasted(input.clientSecret, 'client secret', 'input.clientSecret', 4096));
  const connectionConfig = reader.take(readConnectionConfig(input.connectionConfig, provider));
  if (clientId === null) reader.fault('input.clientId', 'A client id cannot be blank.');
  if (secret === null) reader.fault('input.clientSecret', 'A client secret cannot be blank.');
  reader.finish();
  return { providerKey, clientId: clientId ?? '', secret: secret ?? '', connectionConfig, notices: reader.notices };
}
