import {
  beginFlow,
  type CallbackRequest,
  type ConnectDeps,
  type FlowCookie,
  type FlowInput,
  finishConnect,
  type StartedFlow,
  type StartingRequest,
  startConnect,
} from '../../src/connections/connect.ts';
import { createResolveServer } from '../../src/connectors/server.ts';
import { parseKeyring } from '../../src/crypto/keyring.ts';
import { createStatusEvents, type StatusTopic } from '../../src/events/status-events.ts';
import { idOf } from '../../src/lib/global-id.ts';
import { createInFlight } from '../../src/lib/in-flight.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { sha256Hex } from '../../src/lib/secret.ts';
import type { Caller, CallerApp } from '../../src/workspaces/caller.ts';
import { createRateLimiter, defaultRateLimits } from '../../src/workspaces/rate-limits.ts';
import { findApp } from '../../src/workspaces/store.ts';
import { createStoppedClock, newKey, openProviderFetch, startServiceToStop } from './at-rest.ts';
import { type ConsentChoice, consentAt } from './local-provider.ts';
import { setStage, type StageOptions } from './stage.ts';

/** What connecting is made of, on the rows of a service that has stopped; the provider of its connector goes on running. */
export type Flows = Awaited<ReturnType<typeof startFlows>>;

/** How a flow begins: for the app as it stands and on its page, unless told otherwise. */
export interface FlowStart extends Partial<FlowInput> {
  of?: CallerApp;
  request?: StartingRequest;
}

interface LogLine {
  msg: string;
  connectionId?: string;
  err?: { message: string };
}

export const stateOf = ({ redirectUrl }: StartedFlow) => new URL(redirectUrl).searchParams.get('state') ?? '';

/** A callback as the browser brings it that has this cookie, or none. */
export function callbackOf(back: string, cookie: FlowCookie | null): CallbackRequest {
  const { pathname: path, searchParams: params } = new URL(back);
  return { path, params, cookie: (name) => (cookie?.name === name ? cookie.value : null) };
}

/** Where the provider sends the browser back to, with these parameters and its own name. */
export function backFrom(started: StartedFlow, params: Record<string, string> = { code: 'code' }): string {
  const { origin: iss, searchParams } = new URL(started.redirectUrl);
  const query = new URLSearchParams({ state: stateOf(started), iss, ...params });
  return `${searchParams.get('redirect_uri')}?${query}`;
}

export async function startFlows(options: StageOptions = {}) {
  const key = newKey('a');
  const running = await startServiceToStop({ ENCRYPTION_KEYS: key });
  const stage = await setStage({ ...options, service: running.service });
  const { publicUrl } = running.service.config;
  const db = await running.stop();
  const fetch = openProviderFetch();
  const clock = createStoppedClock();
  const logs: LogLine[] = [];
  const published: StatusTopic[] = [];
  const woken = { count: 0 };
  const deps: ConnectDeps = {
    db,
    clock,
    fetch,
    keyring: parseKeyring(key),
    resolveServer: createResolveServer({ fetch, clock }),
    events: { ...createStatusEvents(), publish: (topic) => void published.push(topic) },
    log: createLogger('warn', { write: (line) => logs.push(JSON.parse(line) as LogLine) }),
    wakeWorker: () => void (woken.count += 1),
    track: createInFlight().track,
    publicUrl,
    limits: createRateLimiter(defaultRateLimits, null),
  };
  const found = await findApp(db, idOf('App', stage.app.id) ?? '');
  if (!found) throw new Error('no app');
  const app: CallerApp = found;
  const { origin } = stage.app;
  const connectorId = idOf('Connector', stage.connector.id) ?? '';
  const connector = () => db.connector.findUniqueOrThrow({ where: { id: connectorId } });
  const page: StartingRequest = { origin, secFetchSite: 'same-origin', address: '192.0.2.1' };
  /** Nobody's page: a call from a backend. */
  const nowhere: StartingRequest = { origin: null, secFetchSite: null, address: null };
  const user = (userId: string, of = app): Caller => {
    return { kind: 'app-user', app: of, userId, expiresAt: new Date(clock.now().getTime() + 3_600_000) };
  };
  return {
    db,
    deps,
    clock,
    logs,
    published,
    woken,
    provider: stage.provider,
    app,
    origin,
    connectorId,
    connector,
    page,
    nowhere,
    user,
    member: (subject: string): Caller => ({ kind: 'member', subject, memberships: [], expiresAt: null }),
    start: (userId: string, { of = app, request = page, ...input }: FlowStart = {}) =>
      startConnect(deps, user(userId, of), { connectorId, returnTo: null, origin: null, ...input }, request),
    /** Begins a member's flow for the whole app. */
    startAs: async (startedBy: string, { takeOver = false, ...start }: FlowStart & { takeOver?: boolean } = {}) => {
      const { of = app, request = page, ...input } = start;
      const subject = { app: of, userId: null, startedBy, takeOver };
      return beginFlow(deps, subject, await connector(), { returnTo: null, origin: null, ...input }, request);
    },
    flowOf: (started: StartedFlow) => db.pendingFlow.findFirst({ where: { stateHash: sha256Hex(stateOf(started)) } }),
    /** Goes through the provider's pages, and comes back with the flow's cookie. */
    finish: async (started: StartedFlow, consent: ConsentChoice = {}) =>
      finishConnect(deps, callbackOf(await consentAt(started.redirectUrl, consent), started.cookie)),
    outbox: () => db.outboxItem.findMany({ where: { kind: 'REVOKE_GRANT' }, orderBy: { createdAt: 'asc' } }),
    /** The rows of the audit that connecting has written, the oldest first. */
    audit: () =>
      db.auditEvent.findMany({
        where: { act: { in: ['ACCOUNT_CONNECTED', 'CONNECT_FAILED'] } },
        orderBy: [{ at: 'asc' }, { id: 'asc' }],
      }),
  };
}
