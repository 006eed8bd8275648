import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Keyring } from '../crypto/keyring.ts';
import { seal } from '../crypto/seal.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Connector } from '../db/generated/prisma/client.ts';
import type { ConnectorKind } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import type { StatusEvents } from '../events/status-events.ts';
import { CUSTOM_PROVIDER_KEY, findProvider } from '../providers/catalogue.ts';
import { actorOf, recordAct, scopeChanges } from '../workspaces/audit.ts';
import type { Caller } from '../workspaces/caller.ts';
import { ConfirmationRequiredError, NotFoundError, ValidationError } from '../workspaces/errors.ts';
import { assertCan } from '../workspaces/membership.ts';
import { assertPlanIncludesConnectors } from '../workspaces/plan.ts';
import { findPlan, findSwitchedOff } from '../workspaces/store.ts';
import {
  type CustomProvider,
  clientInUse,
  createReader,
  destinationChanged,
  type NamedValue,
  type Notice,
  type OperatorClientFacts,
  readConnectionConfig,
  readCustomProvider,
  readName,
  readPasted,
  readScopes,
  scopesFingerprint,
} from './connector.ts';
import { ConnectorDisabledError } from './errors.ts';
import * as store from './store.ts';

export interface ConnectorDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  events: StatusEvents;
  /** Finds out what there is to tell of saved settings; `asksProvider`: whether the provider is to try them. */
  checkSaved: (connector: Connector, asksProvider: boolean) => Promise<Notice[]>;
  /** Answers what is wrong with a URL that the service will call, or null. */
  checkUrl: (url: string) => string | null;
  /** Tells the background that there is work. */
  wakeWorker: () => void;
}

export interface AddConnectorInput {
  workspaceId: string;
  providerKey: string;
  kind: ConnectorKind;
  name: string;
  clientId: string | null;
  clientSecret: string | null;
  scopes: string[];
  connectionConfig: NamedValue[];
  custom: CustomProvider | null;
}

/** What an edit changes; null leaves a field as it is. */
export interface EditConnectorInput {
  connectorId: string;
  name: string | null;
  clientId: string | null;
  clientSecret: string | null;
  scopes: string[] | null;
  connectionConfig: NamedValue[] | null;
  custom: CustomProvider | null;
}

/** Who a connector's client secret belongs to when sealed. */
export const clientSecretOwner = (connectorId: string) => ({
  table: 'connector',
  id: connectorId,
  field: 'clientSecret',
});

/** What else belongs to the act, in its own transaction. */
export type Within = (tx: Tx) => Promise<unknown>;

/**
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError, PlanRequiredError: as addConnector, whatever is to be added
 */
export async function assertMayAdd(deps: { db: Db }, caller: Caller, workspaceId: string): Promise<void> {
  assertCan(caller, 'connector.manage', workspaceId, 'workspace');
  await assertPlan(deps, workspaceId);
}

/**
 * Reads what is to be added, and writes nothing.
 * @throws as addConnector
 */
export async function readAddition(deps: ConnectorDeps, caller: Caller, input: AddConnectorInput) {
  await assertMayAdd(deps, caller, input.workspaceId);
  const providerKey = input.providerKey.trim().toLowerCase();
  const provider = findProvider(providerKey);
  const isCustom = providerKey === CUSTOM_PROVIDER_KEY;
  const reader = createReader();
  if (!provider && !isCustom) {
    reader.fault('input.providerKey', 'There is no such provider: choose a key from `providers`, or "custom".');
  }
  if (isCustom !== (input.custom !== null)) {
    reader.fault(
      'input.custom',
      isCustom ? 'A custom provider needs its issuer or its endpoints.' : 'Only the provider "custom" takes these.',
    );
  }
  const settings = input.connectionConfig;
  const { kind } = input;
  const isLeftToOperator =
    kind === 'SHARED' && !input.clientId?.trim() && !input.clientSecret?.trim() && !settings.length;
  // the operator's client brings its own settings
  const needsSettings = !(provider && isLeftToOperator && (await store.findOperatorClient(deps.db, providerKey)));
  const given = {
    name: reader.take(readName(input.name)),
    clientId: reader.take(readPasted(input.clientId ?? '', 'client id', 'input.clientId', 512)),
    scopes: reader.take(readScopes(input.scopes)),
    connectionConfig: needsSettings ? reader.take(readConnectionConfig(settings, provider)) : [],
    custom: input.custom && reader.take(readCustomProvider(input.custom, deps.checkUrl)),
  };
  const secret = reader.take(readPasted(input.clientSecret ?? '', 'client secret', 'input.clientSecret', 4096));
  reader.finish();
  if (await findSwitchedOff(deps.db, { ...input, providerKey })) {
    throw new ConnectorDisabledError({ provider: providerKey });
  }
  return { row: { ...given, providerKey, kind }, secret, isLeftToOperator, notices: reader.notices };
}

/**
 * Registers a connector. Without client id and secret it uses the operator's client, where it is shared and the operator has one
 * there; else it is a draft, whose redirect URIs can be read.
 */
export async function addConnector(
  deps: ConnectorDeps,
  caller: Caller,
  input: AddConnectorInput,
  { id = randomUUID(), within }: { id?: string; within?: Within } = {},
) {
  const { row, secret, isLeftToOperator, notices } = await readAddition(deps, caller, input);
  const { providerKey, kind } = row;
  const connector = await deps.db.$transaction(async (tx) => {
    await within?.(tx);
    const operatorClient = isLeftToOperator ? await store.shareOperatorClient(tx, providerKey) : null;
    const details = { provider: providerKey, kind, ...scopeChanges([], row.scopes) };
    const act = { act: 'CONNECTOR_ADDED', workspaceId: input.workspaceId, connectorId: id, details } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return store.insertConnector(tx, {
      ...row,
      ...clientInUse({ ...row, hasSecret: secret !== null }, operatorClient),
      id,
      workspaceId: input.workspaceId,
      clientSecretSealed: secret && seal(deps.keyring, clientSecretOwner(id), new Secret(secret)),
      scopesFingerprint: scopesFingerprint(row.scopes),
    });
  });
  return { connector, notices: [...notices, ...(await deps.checkSaved(connector, true))] };
}

/**
 * Changes a connector in place: one row. Where the scopes or the client changed, the facts of each connection no longer agree
 * with the connector's, which is what makes them RECONNECT_REQUIRED; changing back makes them agree again.
 */
export async function editConnector(
  deps: ConnectorDeps,
  caller: Caller,
  input: EditConnectorInput,
  { within }: { within?: Within } = {},
) {
  const current = await requireEditable(deps, caller, input.connectorId);
  const edit = readEdit(deps, current, input);
  const connector = await deps.db.$transaction(async (tx) => {
    await within?.(tx);
    const operatorClient = await store.shareOperatorClient(tx, current.providerKey);
    const before = await store.lockConnector(tx, current.id);
    if (!before) throw new NotFoundError('connector');
    const { providerKey: _, kind: __, ...columns } = applyEdit(before, edit, operatorClient);
    // what the provider refused may have been what was changed here: the next request tells
    const isUnchanged =
      !edit.secret &&
      columns.clientFingerprint === before.clientFingerprint &&
      columns.scopesFingerprint === before.scopesFingerprint;
    const details = {
      changed: changedFields(before, edit.given, edit.secret),
      ...scopeChanges(before.scopes, columns.scopes),
    };
    const { workspaceId } = current;
    const act = { act: 'CONNECTOR_EDITED', workspaceId, connectorId: current.id, details } as const;
    await recordAct(deps, tx, actorOf(caller), act);
    return store.updateConnector(tx, current.id, {
      ...columns,
      ...(!isUnchanged && { refusal: null, refusedAt: null }),
      clientSecretSealed: edit.secret
        ? seal(deps.keyring, clientSecretOwner(current.id), new Secret(edit.secret))
        : before.clientSecretSealed,
    });
  });
  deps.events.publish({ connectorId: connector.id });
  const { clientId, connectionConfig, custom } = edit.given;
  const touchesProvider = Boolean(edit.secret ?? clientId ?? connectionConfig ?? custom);
  return { connector, notices: [...edit.notices, ...(await deps.checkSaved(connector, touchesProvider))] };
}

/**
 * The connector that an edit is for.
 * @throws as editConnector
 */
export async function requireEditable(deps: { db: Db }, caller: Caller, connectorId: string): Promise<Connector> {
  const connector = await requireConnector(deps, caller, connectorId);
  await assertPlan(deps, connector.workspaceId);
  return connector;
}

/** An edit that has been read: what is given of it, a new secret, and what to tell the admin. */
interface ConnectorEdit {
  given: Partial<Pick<store.ConnectorColumns, 'name' | 'clientId' | 'scopes' | 'connectionConfig' | 'custom'>>;
  secret: string | null;
  notices: Notice[];
}

/** @throws ValidationError with every fault that the input alone shows */
export function readEdit(
  deps: Pick<ConnectorDeps, 'checkUrl'>,
  current: Connector,
  input: EditConnectorInput,
): ConnectorEdit {
  const provider = findProvider(current.providerKey);
  const reader = createReader();
  if (input.custom && current.providerKey !== CUSTOM_PROVIDER_KEY) {
    reader.fault('input.custom', 'Only the provider "custom" takes these.');
  }
  const given = {
    ...(input.name !== null && { name: reader.take(readName(input.name)) }),
    ...(input.clientId !== null && {
      clientId: reader.take(readPasted(input.clientId, 'client id', 'input.clientId', 512)),
    }),
    ...(input.scopes && { scopes: reader.take(readScopes(input.scopes)) }),
    ...(input.connectionConfig && {
      connectionConfig: reader.take(readConnectionConfig(input.connectionConfig, provider)),
    }),
    ...(input.custom && { custom: reader.take(readCustomProvider(input.custom, deps.checkUrl)) }),
  };
  const secret =
    input.clientSecret === null
      ? null
      : reader.take(readPasted(input.clientSecret, 'client secret', 'input.clientSecret', 4096));
  if (current.operatorClientId !== null) readLeaving(input, reader);
  if (current.clientId === null && input.clientId !== null && input.connectionConfig === null) {
    // it becomes complete with all settings, or not at all; those of the operator's client are not its own
    const own = current.operatorClientId === null ? (current.connectionConfig as unknown as NamedValue[]) : [];
    reader.take(readConnectionConfig(own, provider));
  }
  if (given.clientId === null) reader.fault('input.clientId', 'A client id cannot be blank.');
  if (input.clientSecret !== null && secret === null)
    reader.fault('input.clientSecret', 'A client secret cannot be blank.');
  reader.finish();
  return { given, secret, notices: reader.notices };
}

/** A connector leaves the operator's client whole, or not at all: with a client of its own. */
function readLeaving(
  { clientId, clientSecret, connectionConfig }: EditConnectorInput,
  reader: ReturnType<typeof createReader>,
): void {
  const message = "The connector uses the operator's client: enter a client id and a client secret of your own, both.";
  if (clientId === null && (clientSecret !== null || connectionConfig !== null))
    reader.fault('input.clientId', message);
  if (clientId === null) return;
  if (clientSecret === null) reader.fault('input.clientSecret', message);
}

/**
 * What a connector is after an edit, but for its secret.
 * @throws ValidationError where the stored secret would go to another address
 */
export function applyEdit(
  before: Connector,
  { given, secret }: ConnectorEdit,
  operatorClient: OperatorClientFacts | null,
) {
  const row = {
    providerKey: before.providerKey,
    kind: before.kind,
    name: before.name,
    clientId: before.clientId,
    scopes: before.scopes,
    // those of the operator's client are not its own
    connectionConfig: before.operatorClientId === null ? (before.connectionConfig as unknown as NamedValue[]) : [],
    custom: before.custom as CustomProvider | null,
  };
  const after = { ...row, ...given };
  if (destinationChanged(row, after) && before.clientSecretSealed !== null && secret === null) {
    throw new ValidationError([
      {
        path: 'input.clientSecret',
        message: 'Enter the client secret again: it would go to another address than the one it was given for.',
      },
    ]);
  }
  const hasSecret = before.clientSecretSealed !== null || secret !== null;
  return {
    ...after,
    ...clientInUse({ ...after, hasSecret }, operatorClient),
    scopesFingerprint: scopesFingerprint(after.scopes),
  };
}

/**
 * Deletes a connector, once confirmed: access through it ends in this transaction, in every app, and each user's grant is
 * revoked at the provider in the background. Cannot be undone.
 */
export async function deleteConnector(
  deps: ConnectorDeps,
  caller: Caller,
  input: { connectorId: string; confirm: boolean },
): Promise<void> {
  const connector = await requireConnector(deps, caller, input.connectorId);
  if (!input.confirm) {
    throw new ConfirmationRequiredError('delete-connector', await store.countConnected(deps.db, connector.id));
  }
  try {
    await deps.db.$transaction(async (tx) => {
      if (!(await store.tombstoneConnector(tx, connector, deps.clock.now()))) throw new NotFoundError('connector');
      const { id: connectorId, workspaceId } = connector;
      await recordAct(deps, tx, actorOf(caller), { act: 'CONNECTOR_DELETED', workspaceId, connectorId });
    });
  } finally {
    deps.events.publish({ connectorId: connector.id }); // a commit whose answer was lost has deleted it all the same
    deps.wakeWorker();
  }
}

/** The names of the fields that an edit gives another value. */
function changedFields(before: object, given: object, secret: string | null): string[] {
  const held = Object.entries(before) as [string, unknown][];
  const changed = Object.entries(given)
    .filter(([name, value]) => !isDeepStrictEqual(held.find(([own]) => own === name)?.[1], value))
    .map(([name]) => name);
  return secret === null ? changed : [...changed, 'clientSecret'];
}

async function requireConnector(deps: { db: Db }, caller: Caller, connectorId: string): Promise<Connector> {
  const connector = await store.findConnector(deps.db, connectorId);
  if (!connector) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('connector');
  assertCan(caller, 'connector.manage', connector.workspaceId, 'connector');
  return connector;
}

async function assertPlan(deps: { db: Db }, workspaceId: string): Promise<void> {
  const workspace = await findPlan(deps.db, workspaceId);
  if (!workspace) throw new NotFoundError('workspace');
  assertPlanIncludesConnectors(workspace.plan);
}
