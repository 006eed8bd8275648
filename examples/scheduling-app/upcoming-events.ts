import {
  type AnyConnectorError,
  createClientFromRequest,
  type CurrentAppUserConnection,
  isConnectorError,
} from '../../src/client/server.ts';

/**
 * The app's backend function: reads what is coming up for whoever is signed in, with that person's own token.
 * The token is used here and goes no further; the page gets the items and the token's fingerprint.
 */
export interface UpcomingEventsOptions {
  /** Where the service listens. */
  serviceUrl: string;
  /** The app's key. It stays on the server. */
  appKey: string;
  /** What this app reads through which connector: an id says nothing of what is behind it. */
  sources: ReadonlyMap<string, Source>;
}

/** An API that this app reads. */
export interface Source {
  url: string;
  itemsOf: (answer: object) => UpcomingItem[];
}

export interface UpcomingItem {
  id: string;
  title: string;
  startsAt: string;
  endsAt: string | null;
  /** Where, or in which list. */
  place: string;
}

export function calendarSource(url: string): Source {
  return { url, itemsOf: (answer) => (answer as { events: UpcomingItem[] }).events };
}

export function taskSource(url: string): Source {
  type Task = { id: string; title: string; dueAt: string; list: string };
  const itemOf = ({ id, title, dueAt, list }: Task) => ({ id, title, startsAt: dueAt, endsAt: null, place: list });
  return { url, itemsOf: (answer) => (answer as { tasks: Task[] }).tasks.map(itemOf) };
}

export interface UpcomingEvents {
  /** Null where this app's code reads nothing through the connector. */
  events: UpcomingItem[] | null;
  token: { fingerprint: string; expiresAt: string | null; expiresInSeconds: number | null; refreshedAt: string | null };
}

export interface FunctionFailure {
  code: string;
  message: string;
  steps: readonly string[];
  reconnectReason?: string | null;
  missingScopes?: readonly string[];
  retryAfterSeconds?: number | null;
}

export type UpcomingEventsAnswer = { status: number } & (
  | { body: UpcomingEvents }
  | { body: { error: FunctionFailure } }
);

/** `request` is the one that the page sent: its `Authorization` says whose calendar it is. */
export async function readUpcomingEvents(
  request: { readonly headers: Headers },
  options: UpcomingEventsOptions,
  connectorId: string,
): Promise<UpcomingEventsAnswer> {
  const { connectors } = createClientFromRequest(request, { url: options.serviceUrl, appKey: options.appKey });
  try {
    const first = await connectors.getCurrentAppUserConnection(connectorId);
    const source = options.sources.get(connectorId);
    // connected, and nobody has written yet what to do with it
    if (!source) return { status: 200, body: { events: null, token: tokenFacts(first) } };
    const answer = await ask(source, first);
    if (answer.status !== 401) return await readAnswer(source, answer, first);
    // The provider no longer takes this token, though its time is not over: say which one it was, and ask once more.
    // `fetchAsCurrentAppUser` does the same for whoever need not show the token's fingerprint.
    await answer.body?.cancel();
    const second = await connectors.getCurrentAppUserConnection(connectorId, {
      rejectedTokenFingerprint: first.accessTokenFingerprint,
    });
    return await readAnswer(source, await ask(source, second), second);
  } catch (error) {
    if (isConnectorError(error)) return refusal(error);
    throw error;
  }
}

function ask({ url }: Source, { accessToken }: CurrentAppUserConnection): Promise<Response> {
  return fetch(url, {
    headers: { authorization: `Bearer ${accessToken}` },
    signal: AbortSignal.timeout(10_000),
  });
}

async function readAnswer(
  source: Source,
  response: Response,
  connection: CurrentAppUserConnection,
): Promise<UpcomingEventsAnswer> {
  if (!response.ok) {
    await response.body?.cancel();
    return apiFailure(response.status);
  }
  const events = source.itemsOf((await response.json()) as object);
  return { status: 200, body: { events, token: tokenFacts(connection) } };
}

function tokenFacts(answered: CurrentAppUserConnection): UpcomingEvents['token'] {
  const { accessTokenFingerprint: fingerprint, accessTokenExpiresAt: expiresAt, connection } = answered;
  const expiresInSeconds = expiresAt ? Math.round((Date.parse(expiresAt) - Date.now()) / 1000) : null;
  return { fingerprint, expiresAt, expiresInSeconds, refreshedAt: connection.lastRefreshedAt };
}

/** Every way in which there is no token, as this app's own answer. */
function refusal(error: AnyConnectorError): UpcomingEventsAnswer {
  const { code, message, remedy } = error;
  const failure: FunctionFailure = { code, message, steps: remedy?.steps ?? [] };
  switch (error.code) {
    case 'UNAUTHENTICATED':
      return { status: 401, body: { error: failure } };
    case 'FORBIDDEN':
    case 'PLAN_REQUIRED':
    case 'CONNECTOR_DISABLED':
      return { status: 403, body: { error: failure } };
    case 'NOT_FOUND':
    case 'NOT_CONNECTED':
      return { status: 404, body: { error: failure } };
    case 'RECONNECT_REQUIRED': {
      const { reconnectReason, missingScopes } = error;
      return { status: 409, body: { error: { ...failure, reconnectReason, missingScopes } } };
    }
    case 'CONNECTOR_INCOMPLETE':
    case 'ACCOUNT_OWNED':
    case 'CONFIRMATION_REQUIRED':
      return { status: 409, body: { error: failure } };
    case 'VALIDATION':
      return { status: 422, body: { error: failure } };
    case 'RATE_LIMITED':
    case 'PROVIDER_UNAVAILABLE': {
      const status = error.code === 'RATE_LIMITED' ? 429 : 503;
      return { status, body: { error: { ...failure, retryAfterSeconds: error.retryAfterSeconds } } };
    }
    case 'INVALID_CLIENT':
    case 'INVALID_SCOPE':
    case 'REDIRECT_URI_MISMATCH':
    case 'PROVIDER_TESTING_MODE':
    case 'UNEXPECTED_ANSWER':
      return { status: 502, body: { error: failure } };
    case 'SERVICE_UNAVAILABLE':
      return { status: 503, body: { error: failure } };
    case 'CONSENT_DENIED':
    case 'FLOW_EXPIRED':
    case 'FLOW_MISMATCH':
    case 'POPUP_BLOCKED':
    case 'POPUP_CLOSED':
      throw error; // of connecting, which happens in the page
  }
}

function apiFailure(status: number): UpcomingEventsAnswer {
  const error: FunctionFailure =
    status === 403
      ? {
          code: 'PROVIDER_FORBIDDEN',
          message: 'The provider does not let this app read.',
          steps: ['Reconnect, and allow everything that this app asks for.'],
        }
      : { code: 'PROVIDER_FAILED', message: `The provider answered ${status}.`, steps: ['Try again in a moment.'] };
  return { status: 502, body: { error } };
}
