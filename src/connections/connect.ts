import { randomBytes, randomUUID } from 'node:crypto';
import { callbackPath } from '../connectors/connector.ts';
import { ConnectorIncompleteError } from '../connectors/errors.ts';
import { open, seal } from '../crypto/seal.ts';
import type { Connector, PendingFlow } from '../db/generated/prisma/client.ts';
import type { ConnectBinding } from '../db/generated/prisma/enums.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { globalId } from '../lib/global-id.ts';
import { Secret, sha256Hex } from '../lib/secret.ts';
import { buildAuthorizationUrl, newNonce, newPkce, newState } from '../oauth/authorization.ts';
import { type Caller, type CallerApp, requireUser } from '../workspaces/caller.ts';
import { RateLimitedError, ValidationError } from '../workspaces/errors.ts';
import { callbackOrigin, readOrigin, resolveReturnTo } from '../workspaces/origin.ts';
import type { RateLimiter } from '../workspaces/rate-limits.ts';
import { findApp } from '../workspaces/store.ts';
import { failFlow } from './audit.ts';
import { connectionId } from './connection.ts';
import { clientFacts, flowError, withFacts } from './errors.ts';
import { type EstablishDeps, establish, flowConnector, flowOwner, usableConnector } from './establish.ts';
import { asDomainError, askProvider, errorResponse } from './provider-failure.ts';
import * as store from './store.ts';

export interface ConnectDeps extends EstablishDeps {
  publicUrl: string;
  limits: RateLimiter;
}

/** What the browser says of the request that starts a flow. */
export interface StartingRequest {
  origin: string | null;
  secFetchSite: string | null;
  /** Where it comes from, as far as that is known. */
  address: string | null;
}

/** A cookie to set or, with no value, to clear. */
export interface FlowCookie {
  name: string;
  value: string | null;
  secure: boolean;
}

const flowLifetimeMs = 10 * 60_000;
const connectCodeLifetimeMs = 5 * 60_000;
/** How many flows of one person may wait for their callback at a time. */
const maxOpenFlows = 100;

/**
 * Starts a connect flow for the calling user: answers the provider's authorization URL and, where the browser that starts is on
 * the callback's own origin, the cookie that will prove it is the same one. Scopes, provider and client come from the stored
 * connector.
 * @throws UnauthenticatedError, NotFoundError, PlanRequiredError, ConnectorIncompleteError, ValidationError, ProviderUnavailableError
 */
export async function startConnect(
  deps: ConnectDeps,
  caller: Caller,
  input: { connectorId: string } & FlowInput,
  request: StartingRequest,
): Promise<StartedFlow> {
  const user = requireUser(caller);
  // a backend begins for everybody from one address
  if (caller.kind === 'app-user' && request.address !== null)
    await deps.limits.take('connects-by-address', request.address);
  const connector = await usableConnector(deps, input.connectorId, user.app.workspaceId);
  if (connector.kind === 'SHARED') {
    throw new ValidationError([
      {
        path: 'input.connectorId',
        message: 'This connector is shared by the whole app: users do not connect to it one by one.',
      },
    ]);
  }
  const subject = { app: user.app, userId: user.userId, startedBy: null, takeOver: false };
  return beginFlow(deps, subject, connector, input, request);
}

/** Whose account a flow connects: an app user's own, or the one that a member connects for the whole app. */
export interface FlowSubject {
  app: CallerApp;
  userId: string | null;
  /** The member; null for an app user. */
  startedBy: string | null;
  /** Whether an account that another member connected may be replaced. */
  takeOver: boolean;
}

/** Where the browser comes from and goes to, as the caller says. */
export interface FlowInput {
  returnTo: string | null;
  origin: string | null;
}

/** A flow that has begun. */
export interface StartedFlow {
  redirectUrl: string;
  expiresAt: Date;
  binding: ConnectBinding;
  connectionId: string;
  cookie: FlowCookie | null;
}

/**
 * Begins a flow through a connector that can be connected to.
 * @throws ConnectorIncompleteError, ValidationError, ProviderUnavailableError
 */
export async function beginFlow(
  deps: ConnectDeps,
  subject: FlowSubject,
  connector: Connector,
  input: FlowInput,
  request: StartingRequest,
): Promise<StartedFlow> {
  const { app, userId, startedBy, takeOver } = subject;
  await limitFlows(deps, subject);
  const place = readPlace(deps, app, connector, input, request);
  const server = await askProvider(() => deps.resolveServer(connector));
  const clientId = connector.operatorClientId ?? connector.clientId;
  if (clientId === null) throw new ConnectorIncompleteError();

  const now = deps.clock.now();
  const expiresAt = new Date(now.getTime() + flowLifetimeMs);
  const flowId = randomUUID();
  const state = newState();
  const { codeVerifier, codeChallenge } = await newPkce();
  const nonce = connector.scopes.includes('openid') ? newNonce() : null;
  const cookie = place.binding === 'COOKIE' ? newCookie(flowId, place.origin) : null;
  const redirectUri = place.origin + callbackPath(connector);
  await store.insertFlow(deps.db, {
    id: flowId,
    workspaceId: connector.workspaceId,
    connectorId: connector.id,
    appId: app.id,
    userId,
    startedBy,
    takeOver,
    stateHash: sha256Hex(state),
    binding: place.binding,
    cookieHash: cookie?.value ? sha256Hex(cookie.value) : null,
    redirectUri,
    returnTo: place.returnTo,
    codeVerifierSealed: seal(deps.keyring, flowOwner(flowId, 'codeVerifier'), new Secret(codeVerifier)),
    nonce,
    clientFingerprint: connector.clientFingerprint,
    scopesFingerprint: connector.scopesFingerprint,
    requestedScopes: connector.scopes,
    createdAt: now,
    expiresAt,
  });
  const redirectUrl = buildAuthorizationUrl({
    server,
    clientId,
    redirectUri,
    scopes: connector.scopes,
    state,
    codeChallenge: server.pkce ? codeChallenge : null,
    nonce,
  });
  const id = connectionId(connector.id, app.id, userId);
  return { redirectUrl, expiresAt, binding: place.binding, connectionId: id, cookie };
}

/** @throws RateLimitedError for a person who begins flow after flow, and finishes none. */
async function limitFlows({ db, clock, limits }: ConnectDeps, { app, userId, startedBy }: FlowSubject): Promise<void> {
  await limits.take('connects', `${app.id} ${userId === null ? `member ${startedBy}` : `user ${userId}`}`);
  const now = clock.now();
  const { count, oldest } = await store.countOpenFlows(db, { appId: app.id, userId, startedBy }, now);
  if (count < maxOpenFlows) return;
  throw new RateLimitedError(Math.max(1, Math.ceil(((oldest ?? now).getTime() - now.getTime()) / 1000)));
}

/** How a callback ends. */
export type CallbackOutcome =
  /** Send the browser back to the app. */
  | { kind: 'return'; to: string; clearCookie: FlowCookie | null }
  /** There is nowhere to send it: show the service's own page. `error` null: connected. */
  | { kind: 'page'; error: DomainError | null; clearCookie: FlowCookie | null; openers: string[] };

/** The callback as the browser brings it. */
export interface CallbackRequest {
  /** The path it came to: a custom connector has one of its own. */
  path: string;
  params: URLSearchParams;
  cookie: (name: string) => string | null;
}

/**
 * Finishes a flow as far as this browser may. The one that began it (COOKIE) finishes at once; every other only parks the
 * provider's answer, and no request leaves for the provider until the person who began shows the connect code.
 */
export async function finishConnect(deps: ConnectDeps, request: CallbackRequest): Promise<CallbackOutcome> {
  const state = single(request.params, 'state');
  const flow = state === null ? null : await store.useState(deps.db, sha256Hex(state), deps.clock.now());
  if (!flow) return pageWithoutFlow(flowError('FLOW_EXPIRED'));
  if (new URL(flow.redirectUri).pathname !== request.path) {
    await failFlow(deps, flow, flowError('FLOW_MISMATCH'));
    return pageWithoutFlow(flowError('FLOW_MISMATCH')); // another connector's answer (RFC 9700 4.4)
  }
  const cookie = flowCookie(flow);
  const cookieValue = flow.cookieHash === null ? null : request.cookie(cookie.name);
  const clearCookie = flow.cookieHash === null ? null : cookie;
  const app = await findApp(deps.db, flow.appId);
  const returnTo = app && flow.returnTo !== null ? resolveReturnTo(app, null, flow.returnTo) : null; // if it still is the app's own
  const answer = (result: Record<string, string>, error: DomainError | null): CallbackOutcome => {
    const to = returnTo && returnAddress(returnTo, flow.connectorId, result);
    const openers = app?.origins.map(({ origin }) => origin) ?? [];
    return to === null ? { kind: 'page', error, clearCookie, openers } : { kind: 'return', to, clearCookie };
  };
  try {
    const params = flow.responseSealed === null ? request.params : heldResponse(deps, flow, request.params);
    if (cookieValue !== null && sha256Hex(cookieValue) === flow.cookieHash) {
      await establish(deps, flow, params);
      return answer({ connection_status: 'connected' }, null);
    }
    await flowConnector(deps, flow);
    rejectErrorResponse(params);
    if (returnTo === null) throw flowError('FLOW_MISMATCH'); // no page of the app could show the connect code
    return answer({ connect_code: await park(deps, flow, params) }, null);
  } catch (error) {
    const known = await explained(deps, flow, error);
    await failFlow(deps, flow, known);
    return answer({ connection_error: known.code }, known);
  }
}

/** Where nothing is known of a flow, or it is not this one's, there is nobody to tell. */
export function pageWithoutFlow(error: DomainError): CallbackOutcome {
  return { kind: 'page', error, clearCookie: null, openers: [] };
}

/** Why a flow failed, with what its admin has to compare or paste: nothing that its authorization URL did not show. */
async function explained(deps: ConnectDeps, flow: PendingFlow, error: unknown): Promise<DomainError> {
  const known = asDomainError(error);
  const [connector] = await store.findConnectors(deps.db, [flow.connectorId], [flow.workspaceId]);
  return withFacts(known, {
    redirectUris: [flow.redirectUri],
    scopes: flow.requestedScopes,
    ...(connector && clientFacts(connector)),
  });
}

/** The parameter of the GET after a form_post that shows it to come from the browser that posted. */
const ticketParam = 'held';

/**
 * A form_post callback: the flow's cookie does not travel with it (SameSite=Lax), so the answer is kept and the browser sent on
 * to a GET that brings the cookie along. The GET also shows a ticket that only this browser has: else whoever began could fetch
 * with their own cookie what somebody else's browser has posted.
 */
export async function holdConnect(
  deps: ConnectDeps,
  request: { path: string; params: URLSearchParams },
): Promise<{ kind: 'held'; query: URLSearchParams } | { kind: 'page'; error: DomainError }> {
  const { path, params } = request;
  const expired = { kind: 'page', error: flowError('FLOW_EXPIRED') } as const;
  const state = single(params, 'state');
  const flow = state === null ? null : await store.findOpenFlow(deps.db, sha256Hex(state), deps.clock.now());
  if (state === null || !flow) return expired;
  if (new URL(flow.redirectUri).pathname !== path) {
    await failFlow(deps, flow, flowError('FLOW_MISMATCH'));
    return { kind: 'page', error: flowError('FLOW_MISMATCH') }; // another connector's answer (RFC 9700 4.4)
  }
  const ticket = randomBytes(32).toString('base64url');
  const response = new URLSearchParams(params);
  response.set(ticketParam, sha256Hex(ticket));
  const held = await store.holdResponse(deps.db, flow.id, sealResponse(deps, flow.id, response));
  return held ? { kind: 'held', query: new URLSearchParams({ state, [ticketParam]: ticket }) } : expired;
}

/**
 * Finishes a parked flow for the person who began it. A code shown by anybody else is burnt.
 * @throws FlowExpiredError, FlowMismatchError, ForbiddenError and AccountOwnedError for a shared account, and as startConnect
 */
export async function completeConnect(deps: ConnectDeps, caller: Caller, connectCode: string): Promise<string> {
  const began = flowsOf(caller);
  const flow = await store.useConnectCode(deps.db, sha256Hex(connectCode), deps.clock.now());
  if (!flow) throw flowError('FLOW_EXPIRED');
  try {
    if (!began(flow)) throw flowError('FLOW_MISMATCH');
    return await establish(deps, flow, openResponse(deps, flow));
  } catch (error) {
    const known = await explained(deps, flow, error);
    await failFlow(deps, flow, known);
    throw known;
  }
}

/**
 * Tells the flows that the caller began from those of others.
 * @throws UnauthenticatedError for a caller who can begin none.
 */
function flowsOf(caller: Caller): (flow: PendingFlow) => boolean {
  if (caller.kind === 'member') return (flow) => flow.startedBy === caller.subject;
  const user = requireUser(caller);
  return (flow) => flow.startedBy === null && flow.userId === user.userId && flow.appId === user.app.id;
}

/** Where the flow comes back to and goes on to, and how its browser is recognised. */
function readPlace(
  deps: ConnectDeps,
  app: CallerApp,
  connector: Connector,
  input: FlowInput,
  request: StartingRequest,
): { origin: string; returnTo: string | null; binding: ConnectBinding } {
  const given = input.origin === null ? null : readOrigin(input.origin);
  if (given && 'fault' in given) throw new ValidationError([{ path: 'input.origin', message: given.fault }]);
  const started = given?.origin ?? request.origin;
  const page = callbackOrigin(app, deps.publicUrl, started);
  // of all apps of all workspaces the operator has registered one redirect URI: the service's own
  const origin = connector.operatorClientId === null ? page : deps.publicUrl;
  const live = app.origins.find((own) => own.kind === 'LIVE')?.origin ?? null;
  const base = app.origins.some((own) => own.origin === page) ? page : live;
  const sameOrigin = request.origin === origin && request.secFetchSite === 'same-origin';
  const binding = sameOrigin ? 'COOKIE' : 'CODE';
  const returnTo = input.returnTo === null ? live : resolveReturnTo(app, base, input.returnTo);
  const fault = returnTo === null && returnToFault({ given: input.returnTo, base, binding });
  if (fault) throw new ValidationError([{ path: 'input.returnTo', message: fault }]);
  return { origin, returnTo, binding };
}

/** Why a flow cannot go without a page of the app to end on; null where the service's own page does. */
function returnToFault(flow: { given: string | null; base: string | null; binding: ConnectBinding }): string | null {
  const isPath = flow.given?.startsWith('/') && !flow.given.startsWith('//');
  const needsOrigin = flow.given === null ? flow.binding === 'CODE' : isPath && flow.base === null;
  // only a page of the app can show the connect code
  if (needsOrigin) return 'The app has no LIVE origin: give returnTo as a URL on one of its origins.';
  if (flow.given === null) return null;
  return "returnTo is a path that begins with a single slash, or a URL on one of the app's own origins.";
}

function cookieName(flowId: string, secure: boolean): string {
  return `${secure ? '__Host-' : ''}connect-${flowId}`;
}

function newCookie(flowId: string, origin: string): FlowCookie {
  const secure = origin.startsWith('https:');
  return { name: cookieName(flowId, secure), value: randomBytes(32).toString('base64url'), secure };
}

function flowCookie(flow: PendingFlow): FlowCookie {
  const secure = flow.redirectUri.startsWith('https:');
  return { name: cookieName(flow.id, secure), value: null, secure };
}

async function park(deps: ConnectDeps, flow: PendingFlow, params: URLSearchParams): Promise<string> {
  const connectCode = randomBytes(32).toString('base64url');
  await store.parkResponse(deps.db, flow.id, {
    responseSealed: sealResponse(deps, flow.id, params),
    connectCodeHash: sha256Hex(connectCode),
    connectCodeExpiresAt: new Date(deps.clock.now().getTime() + connectCodeLifetimeMs),
  });
  return connectCode;
}

function sealResponse(deps: ConnectDeps, flowId: string, params: URLSearchParams): string {
  return seal(deps.keyring, flowOwner(flowId, 'response'), new Secret(params.toString()));
}

/** The provider's answer, as parked or held. */
function openResponse(deps: ConnectDeps, flow: PendingFlow): URLSearchParams {
  if (flow.responseSealed === null) return new URLSearchParams();
  return new URLSearchParams(open(deps.keyring, flowOwner(flow.id, 'response'), flow.responseSealed).reveal());
}

/** The provider's answer as a form_post brought it, for the browser that posted it. */
function heldResponse(deps: ConnectDeps, flow: PendingFlow, shown: URLSearchParams): URLSearchParams {
  const params = openResponse(deps, flow);
  if (params.get(ticketParam) !== sha256Hex(shown.get(ticketParam) ?? '')) throw flowError('FLOW_MISMATCH');
  params.delete(ticketParam);
  return params;
}

function single(params: URLSearchParams, name: string): string | null {
  const [value, ...more] = params.getAll(name);
  return value && more.length === 0 && value.length <= 512 ? value : null;
}

const resultParams = ['connector_id', 'connection_status', 'connection_error', 'connect_code'];

function returnAddress(returnTo: string, connectorId: string, result: Record<string, string>): string {
  const url = new URL(returnTo);
  for (const name of resultParams) url.searchParams.delete(name); // a page that starts again still shows how the last flow ended
  url.searchParams.set('connector_id', globalId('Connector', connectorId));
  for (const [name, value] of Object.entries(result)) url.searchParams.set(name, value);
  return url.href;
}

/** Before anything is parked: an answer that carries no code ends the flow. */
function rejectErrorResponse(params: URLSearchParams): void {
  const error = params.get('error');
  if (error !== null) throw errorResponse(error, params.get('error_description'));
  if (params.getAll('code').length !== 1) throw flowError('FLOW_MISMATCH');
  if (params.toString().length > 16_384) throw flowError('ANSWER_TOO_LARGE');
}
