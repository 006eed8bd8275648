/**
 * The app's backend function: reads the calendar of whoever is signed in, with that person's own token.
 * The token is used here and goes no further; the page gets the events and the token's fingerprint.
 */
export interface UpcomingEventsOptions {
  /** The service's GraphQL endpoint. */
  graphqlUrl: string;
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
  steps: string[];
  reconnectReason?: string | null;
  missingScopes?: string[];
  retryAfterSeconds?: number | null;
}

export type UpcomingEventsAnswer = { status: number } & (
  | { body: UpcomingEvents }
  | { body: { error: FunctionFailure } }
);

const READ_TOKEN = /* GraphQL */ `
  query ReadToken($connectorId: ID!, $rejectedTokenFingerprint: String) {
    currentAppUserConnection(connectorId: $connectorId, rejectedTokenFingerprint: $rejectedTokenFingerprint) {
      __typename
      ... on CurrentAppUserConnection {
        accessToken
        accessTokenExpiresAt
        accessTokenFingerprint
        connection { lastRefreshedAt }
      }
      ... on UserError { code message remedy { steps } }
      ... on ReconnectRequiredError { reconnectReason missingScopes }
      ... on ProviderUnavailableError { retryAfterSeconds }
      ... on RateLimitedError { retryAfterSeconds }
    }
  }
`;

interface ErrorFields {
  code: string;
  message: string;
  remedy: { steps: string[] } | null;
}

type TokenResult =
  | {
      __typename: 'CurrentAppUserConnection';
      accessToken: string;
      accessTokenExpiresAt: string | null;
      accessTokenFingerprint: string;
      connection: { lastRefreshedAt: string | null };
    }
  | ({ __typename: 'ReconnectRequiredError'; reconnectReason: string; missingScopes: string[] } & ErrorFields)
  | ({ __typename: 'ProviderUnavailableError' | 'RateLimitedError'; retryAfterSeconds: number | null } & ErrorFields)
  | ({
      __typename:
        | 'NotConnectedError'
        | 'UnauthenticatedError'
        | 'ForbiddenError'
        | 'NotFoundError'
        | 'ValidationError'
        | 'PlanRequiredError'
        | 'ConnectorDisabledError'
        | 'ConnectorIncompleteError';
    } & ErrorFields);

export async function readUpcomingEvents(
  options: UpcomingEventsOptions,
  identityToken: string,
  connectorId: string,
): Promise<UpcomingEventsAnswer> {
  let rejectedTokenFingerprint: string | null = null;

  for (let attempt = 1; ; attempt += 1) {
    const result = await readToken(options, identityToken, { connectorId, rejectedTokenFingerprint });
    if (result.__typename !== 'CurrentAppUserConnection') return refusal(result);

    const response = await fetch(options.eventsUrl, {
      headers: { authorization: `Bearer ${result.accessToken}` },
      signal: AbortSignal.timeout(10_000),
    });
    // The provider no longer takes this token, though its time is not over: say which one it was, and ask once more.
    if (response.status === 401 && attempt === 1) {
      await response.body?.cancel();
      rejectedTokenFingerprint = result.accessTokenFingerprint;
      continue;
    }
    if (!response.ok) {
      await response.body?.cancel();
      return calendarFailure(response.status);
    }

    const { account, events } = (await response.json()) as Pick<UpcomingEvents, 'account' | 'events'>;
    const { accessTokenFingerprint: fingerprint, accessTokenExpiresAt: expiresAt } = result;
    const expiresInSeconds = expiresAt ? Math.round((Date.parse(expiresAt) - Date.now()) / 1000) : null;
    const token = { fingerprint, expiresAt, expiresInSeconds, refreshedAt: result.connection.lastRefreshedAt };
    return { status: 200, body: { account, events, token } };
  }
}

async function readToken(
  options: UpcomingEventsOptions,
  identityToken: string,
  variables: { connectorId: string; rejectedTokenFingerprint: string | null },
): Promise<TokenResult> {
  const response = await fetch(options.graphqlUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${options.appKey}`,
      'on-behalf-of': `Bearer ${identityToken}`,
    },
    body: JSON.stringify({ query: READ_TOKEN, variables }),
    signal: AbortSignal.timeout(20_000),
  });
  const answer = (await response.json()) as {
    data?: { currentAppUserConnection: TokenResult } | null;
    errors?: { message: string }[];
  };
  if (!answer.data) throw new Error(answer.errors?.[0]?.message ?? `The service answered ${response.status}.`);
  return answer.data.currentAppUserConnection;
}

/** Every way in which there is no token, as this app's own answer. */
function refusal(result: Exclude<TokenResult, { __typename: 'CurrentAppUserConnection' }>): UpcomingEventsAnswer {
  const { code, message, remedy } = result;
  const failure: FunctionFailure = { code, message, steps: remedy?.steps ?? [] };
  switch (result.__typename) {
    case 'UnauthenticatedError':
      return { status: 401, body: { error: failure } };
    case 'ForbiddenError':
    case 'PlanRequiredError':
    case 'ConnectorDisabledError':
      return { status: 403, body: { error: failure } };
    case 'NotFoundError':
    case 'NotConnectedError':
      return { status: 404, body: { error: failure } };
    case 'ReconnectRequiredError': {
      const { reconnectReason, missingScopes } = result;
      return { status: 409, body: { error: { ...failure, reconnectReason, missingScopes } } };
    }
    case 'ConnectorIncompleteError':
      return { status: 409, body: { error: failure } };
    case 'ValidationError':
      return { status: 422, body: { error: failure } };
    case 'RateLimitedError':
    case 'ProviderUnavailableError': {
      const status = result.__typename === 'RateLimitedError' ? 429 : 503;
      return { status, body: { error: { ...failure, retryAfterSeconds: result.retryAfterSeconds } } };
    }
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
