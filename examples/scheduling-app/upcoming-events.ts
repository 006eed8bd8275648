import {
  type AnyConnectorError,
  createClientFromRequest,
  type CurrentAppUserConnection,
  isConnectorError,
} from '../../src/client/server.ts';

/**
 * The app's backend function: reads the calendar of whoever is signed in, with that person's own token.
 * The token is used here and goes no further; the page gets the events and the token's fingerprint.
 */
export interface UpcomingEventsOptions {
  /** Where the service listens. */
  serviceUrl: string;
  /** The app's key. It stays on the server. */
  appKey: string;
  /** The calendar's events API. */
  eventsUrl: string;
}

export interface UpcomingEvents {
  account: string | null;
  events: { id: string; title: string; startsAt: string; endsAt: string; place: string }[];
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
    const answer = await askCalendar(options.eventsUrl, first);
    if (answer.status !== 401) return await readAnswer(answer, first);
    // The calendar no longer takes this token, though its time is not over: say which one it was, and ask once more.
    // `fetchAsCurrentAppUser` does the same for whoever need not show the token's fingerprint.
    await answer.body?.cancel();
    const second = await connectors.getCurrentAppUserConnection(connectorId, {
      rejectedTokenFingerprint: first.accessTokenFingerprint,
    });
    return await readAnswer(await askCalendar(options.eventsUrl, second), second);
  } catch (error) {
    if (isConnectorError(error)) return refusal(error);
    throw error;
  }
}

function askCalendar(eventsUrl: string, { accessToken }: CurrentAppUserConnection): Promise<Response> {
  return fetch(eventsUrl, {
    headers: { authorization: `Bearer ${accessToken}` },
    signal: AbortSignal.timeout(10_000),
  });
}

async function readAnswer(response: Response, connection: CurrentAppUserConnection): Promise<UpcomingEventsAnswer> {
  if (!response.ok) {
    await response.body?.cancel();
    return calendarFailure(response.status);
  }
  const { account, events } = (await response.json()) as Pick<UpcomingEvents, 'account' | 'events'>;
  const { accessTokenFingerprint: fingerprint, accessTokenExpiresAt: expiresAt } = connection;
  const expiresInSeconds = expiresAt ? Math.round((Date.parse(expiresAt) - Date.now()) / 1000) : null;
  const token = { fingerprint, expiresAt, expiresInSeconds, refreshedAt: connection.connection.lastRefreshedAt };
  return { status: 200, body: { account, events, token } };
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

function calendarFailure(status: number): UpcomingEventsAnswer {
  const error: FunctionFailure =
    status === 403
      ? {
          code: 'CALENDAR_FORBIDDEN',
          message: 'The calendar does not let this app read events.',
          steps: ['Reconnect, and allow the app to see the events in your calendar.'],
        }
      : { code: 'CALENDAR_FAILED', message: `The calendar answered ${status}.`, steps: ['Try again in a moment.'] };
  return { status: 502, body: { error } };
}
