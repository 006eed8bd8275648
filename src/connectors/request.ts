import { randomBytes, randomUUID } from 'node:crypto';
import type { ConnectorRequest } from '../db/generated/prisma/client.ts';
import type { ConnectorKind, ConnectorRequestStatus } from '../db/generated/prisma/enums.ts';
import { DomainError, remedy } from '../lib/domain-error.ts';
import { Secret, sha256Hex } from '../lib/secret.ts';
import { CUSTOM_PROVIDER_KEY, findProvider } from '../providers/catalogue.ts';
import type { Provider } from '../providers/provider.ts';
import { actorOf, recordAct } from '../workspaces/audit.ts';
import type { Caller } from '../workspaces/caller.ts';
import { NotFoundError, RateLimitedError, ValidationError } from '../workspaces/errors.ts';
import { memberName, memberNow } from '../workspaces/member.ts';
import { assertCan } from '../workspaces/membership.ts';
import { findName, findWorkspaceApps, lockWorkspace } from '../workspaces/store.ts';
import { type CustomProvider, isSameService, redirectUrisOf } from './connector.ts';
import {
  addConnector,
  type AddConnectorInput,
  type ConnectorDeps,
  editConnector,
  type EditConnectorInput,
  readAddition,
  readEdit,
  requireEditable,
} from './manage.ts';
import * as store from './store.ts';

export type RequestDeps = ConnectorDeps & { publicUrl: string };

/** Everything of a connector, or of a change of one, but what only the person may know. */
export type Proposal =
  | { type: 'add'; input: Omit<AddConnectorInput, 'clientId' | 'clientSecret'> }
  | { type: 'edit'; input: Omit<EditConnectorInput, 'clientId' | 'clientSecret'> };

/** How a request stands; EXPIRED where nobody has decided it in time. */
export type RequestStatus = ConnectorRequestStatus | 'EXPIRED';

const linkMs = 3_600_000;
/** Who would rather do it later has a day. */
const postponedMs = 24 * 3_600_000;
/** For how long one can ask what became of a request. */
const keptMs = 7 * 24 * 3_600_000;
/** An assistant that goes astray does not fill a workspace with links. */
const maxWaiting = 20;

/** The link leads to nothing that could be decided. */
export class RequestOverError extends DomainError {
  readonly code = 'NOT_FOUND';
  readonly status: RequestStatus | null;

  constructor(status: RequestStatus | null) {
    super(overSentences[status ?? 'EXPIRED'], {
      remedy: remedy('USER', 'Go back to the chat.', 'Ask the assistant for a new link, if you still need one.'),
    });
    this.status = status;
  }
}

const overSentences: Record<RequestStatus, string> = {
  OPEN: 'The request is being decided.',
  POSTPONED: 'The request is being decided.',
  APPROVED: 'It was approved, and the link does not work a second time.',
  REJECTED: 'It was rejected, and the link does not work any more.',
  EXPIRED: 'The link is not known here, or its time is over.',
};

/**
 * Asks a person for what only they may know of a connector: makes a link to a form that ends in the connector being added or
 * changed. Whatever else is wrong is told now.
 * @throws as addConnector and editConnector; RateLimitedError where too many links of the workspace wait
 */
export async function requestConnector(deps: RequestDeps, caller: Caller, assistant: string, proposal: Proposal) {
  const { connectorId, workspaceId, providerKey } = await readProposal(deps, caller, proposal);
  const token = new Secret(randomBytes(32).toString('base64url'));
  const { id: requestedBy } = actorOf(caller);
  if (requestedBy === null) throw new NotFoundError('workspace'); // the operator may do nothing in one
  const now = deps.clock.now();
  const request = await deps.db.$transaction(async (tx) => {
    await lockWorkspace(tx, workspaceId);
    const [first, ...others] = await store.findWaitingRequests(tx, workspaceId, now);
    if (first && others.length + 1 >= maxWaiting) {
      throw new RateLimitedError(Math.ceil((first.expiresAt.getTime() - now.getTime()) / 1000));
    }
    const row = await store.insertRequest(tx, {
      id: randomUUID(),
      workspaceId,
      tokenHash: sha256Hex(token.reveal()),
      connectorId,
      requestedBy,
      assistant,
      proposal: proposal as object as ConnectorRequest['proposal'],
      createdAt: now,
      expiresAt: new Date(now.getTime() + linkMs),
    });
    const details = { provider: providerKey, request: row.id };
    await recordAct(deps, tx, actorOf(caller), { act: 'CONNECTOR_REQUESTED', workspaceId, connectorId, details });
    return row;
  });
  return { request, link: new Secret(`${deps.publicUrl}${requestPath}?token=${token.reveal()}`) };
}

/** Which of these connectors, all of them custom ones, are for a service. */
export async function connectorsFor(deps: RequestDeps, connectorIds: string[], service: CustomProvider) {
  const connectors = await store.findCustomProviders(deps.db, connectorIds);
  const isFor = (custom: unknown) => custom !== null && isSameService(custom as CustomProvider, service);
  return connectors.filter(({ custom }) => isFor(custom)).map(({ id }) => id);
}

/** Where the form is. The link's secret part is in the query, which no log has. */
export const requestPath = '/connector-request';

/** @throws as addConnector and editConnector, whatever the person will enter */
async function readProposal(deps: RequestDeps, caller: Caller, { type, input }: Proposal) {
  const entered = { clientId: 'entered', clientSecret: 'later' };
  if (type === 'edit') {
    const connector = await requireEditable(deps, caller, input.connectorId);
    readEdit(deps, connector, { ...input, ...entered });
    return { connectorId: connector.id, workspaceId: connector.workspaceId, providerKey: connector.providerKey };
  }
  const isLeft = input.kind === 'SHARED' && input.connectionConfig.length === 0;
  const { row } = await readAddition(deps, caller, { ...input, ...(isLeft ? blank : entered) });
  // known before it is there: the redirect URI of a custom connector has it
  return { connectorId: randomUUID(), workspaceId: input.workspaceId, providerKey: row.providerKey };
}

const blank = { clientId: null, clientSecret: null };

/**
 * How a request stands.
 * @throws NotFoundError, ForbiddenError: for those who could not have asked for it
 */
export async function requestStatus(deps: RequestDeps, caller: Caller, id: string) {
  const request = await store.findRequest(deps.db, id);
  if (!request) throw caller.kind === 'anonymous' ? caller.error : new NotFoundError('connector request');
  assertCan(caller, 'connector.manage', request.workspaceId, 'connector request');
  return { ...request, status: statusOf(request, deps.clock.now()) };
}

function statusOf({ status, expiresAt }: ConnectorRequest, now: Date): RequestStatus {
  const waits = status === 'OPEN' || status === 'POSTPONED';
  return waits && expiresAt <= now ? 'EXPIRED' : status;
}

/** What the form shows of a request that waits. */
export interface RequestView {
  proposal: Proposal;
  workspace: string;
  requestedBy: { isKey: boolean; name: string };
  assistant: string;
  expiresAt: Date;
  /** What the catalogue says; null where it is not in it. */
  provider: Pick<Provider, 'name' | 'setupSteps' | 'docsUrl'> | null;
  /** Where the client secret will be sent, where the catalogue does not say. */
  destination: string | null;
  /** The connector that is to be changed; null where one is to be added. */
  current: { name: string; clientId: string | null } | null;
  scopes: { scope: string; description: string | null }[];
  redirectUris: string[];
  /** Whether it can do without a client of its own, where it is shared. */
  hasOperatorClient: boolean;
}

/**
 * What a link asks for.
 * @throws RequestOverError where there is nothing to decide, and whatever adding or changing it would say now
 */
export async function viewRequest(deps: RequestDeps, token: string): Promise<RequestView> {
  const { request, caller, proposal } = await requireWaiting(deps, token);
  const { workspaceId } = request;
  const current = proposal.type === 'edit' ? await requireEditable(deps, caller, proposal.input.connectorId) : null;
  if (!current) await readProposal(deps, caller, proposal);
  const providerKey = current?.providerKey ?? (proposal as Proposal & { type: 'add' }).input.providerKey;
  const provider = findProvider(providerKey.trim().toLowerCase());
  const scopes = proposal.input.scopes ?? current?.scopes ?? [];
  const [workspace, apps, operatorClient] = [
    await findName(deps.db, workspaceId),
    await findWorkspaceApps(deps.db, workspaceId),
    provider && (await store.findOperatorClient(deps.db, provider.key)),
  ];
  const asConnector = { id: request.connectorId, providerKey: provider?.key ?? CUSTOM_PROVIDER_KEY };
  return {
    proposal,
    workspace: workspace?.name ?? '',
    requestedBy: await memberName(deps.db, request.requestedBy),
    assistant: request.assistant,
    expiresAt: request.expiresAt,
    provider,
    destination: destinationOf(proposal.input.custom ?? (current?.custom as CustomProvider | null | undefined) ?? null),
    current: current && { name: current.name, clientId: current.clientId },
    scopes: scopes.map((scope) => ({
      scope,
      description: provider?.scopes.find((known) => known.scope === scope)?.description ?? null,
    })),
    redirectUris: redirectUrisOf(apps, deps.publicUrl, { ...asConnector, operatorClientId: null }).map(
      ({ uri }) => uri,
    ),
    hasOperatorClient: Boolean(operatorClient),
  };
}

/** Where a custom provider's secret goes: what the person has to recognize. */
function destinationOf(custom: CustomProvider | null): string | null {
  if (!custom) return null;
  return custom.type === 'discovery' ? custom.issuer : custom.tokenUrl;
}

/** What the person entered, or null where a field was not there. */
export interface EnteredConnector {
  name: string;
  kind: string;
  clientId: string;
  clientSecret: string;
}

/**
 * Adds or changes the connector as the person has filled in the form, in the name of whoever asked, as far as they still may: once.
 * @throws RequestOverError, and whatever adding or changing it says
 */
export async function approveRequest(deps: RequestDeps, token: string, entered: EnteredConnector): Promise<void> {
  const { request, caller, proposal } = await requireWaiting(deps, token);
  const within = async (tx: Parameters<typeof store.settleRequest>[0]) => {
    if (!(await store.settleRequest(tx, request.id, 'APPROVED', deps.clock.now())))
      throw new RequestOverError('APPROVED');
  };
  const { name } = entered;
  const clientId = entered.clientId.trim() === '' ? null : entered.clientId;
  const clientSecret = entered.clientSecret.trim() === '' ? null : entered.clientSecret;
  if (proposal.type === 'edit') {
    if (clientId === null && clientSecret === null) throw missing(['clientId', 'clientSecret']);
    await editConnector(deps, caller, { ...proposal.input, name, clientId, clientSecret }, { within });
    return;
  }
  const kind = kindOf(entered.kind);
  if (kind === null) throw new ValidationError([{ path: 'input.kind', message: 'Choose whose account it is.' }]);
  const input = { ...proposal.input, kind, name, clientId, clientSecret };
  const provider = findProvider(input.providerKey.trim().toLowerCase());
  const usesOperatorClient =
    kind === 'SHARED' && provider && input.connectionConfig.length === 0 && clientId === null && clientSecret === null;
  if (!usesOperatorClient || !(await store.findOperatorClient(deps.db, provider.key))) {
    const isPublic = input.custom?.clientAuthentication === 'NONE';
    const absent = [
      ...(clientId === null ? ['clientId'] : []),
      ...(clientSecret === null && !isPublic ? ['clientSecret'] : []),
    ];
    if (absent.length > 0) throw missing(absent);
  }
  await addConnector(deps, caller, input, { id: request.connectorId, within });
}

function kindOf(text: string): ConnectorKind | null {
  return text === 'SHARED' || text === 'APP_USER' ? text : null;
}

function missing(names: string[]): ValidationError {
  const messages: Record<string, string> = {
    clientId: 'Enter the client id.',
    clientSecret: 'Enter the client secret.',
  };
  return new ValidationError(names.map((name) => ({ path: `input.${name}`, message: messages[name] ?? '' })));
}

/**
 * Ends a request: nothing is added or changed.
 * @throws RequestOverError
 */
export async function rejectRequest(deps: RequestDeps, token: string): Promise<void> {
  const { request, caller } = await requireWaiting(deps, token);
  const { workspaceId, connectorId } = request;
  await deps.db.$transaction(async (tx) => {
    if (!(await store.settleRequest(tx, request.id, 'REJECTED', deps.clock.now())))
      throw new RequestOverError('REJECTED');
    const act = {
      act: 'CONNECTOR_REQUEST_REJECTED',
      workspaceId,
      connectorId,
      details: { request: request.id },
    } as const;
    await recordAct(deps, tx, actorOf(caller), act);
  });
}

/**
 * Leaves it for later: the link works until a day after it was made.
 * @throws RequestOverError
 */
export async function postponeRequest(deps: RequestDeps, token: string): Promise<void> {
  const { request } = await requireWaiting(deps, token);
  const until = new Date(request.createdAt.getTime() + postponedMs);
  if (!(await store.postponeRequest(deps.db, request.id, until, deps.clock.now()))) throw new RequestOverError(null);
}

/** The request behind a link, and whoever asked for it as what they are now. */
async function requireWaiting(deps: RequestDeps, token: string) {
  const request = await store.findRequestByToken(deps.db, sha256Hex(token));
  if (!request) throw new RequestOverError(null);
  const status = statusOf(request, deps.clock.now());
  if (status !== 'OPEN' && status !== 'POSTPONED') throw new RequestOverError(status);
  const caller = await memberNow(deps.db, request.workspaceId, request.requestedBy, request.assistant);
  assertCan(caller, 'connector.manage', request.workspaceId, 'workspace');
  return { request, caller, proposal: request.proposal as unknown as Proposal };
}

/** Forgets requests that nobody asks for any more. */
export function deleteOldRequests(deps: Pick<RequestDeps, 'db' | 'clock'>): Promise<number> {
  return store.deleteRequests(deps.db, new Date(deps.clock.now().getTime() - keptMs));
}
