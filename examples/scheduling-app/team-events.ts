/** The backend function for what the whole team shares: it needs the app's key, and nobody's identity token. */
export interface TeamEventsOptions {
  /** The service's GraphQL endpoint. */
  graphqlUrl: string;
  /** The app's key. It stays on the server. */
  appKey: string;
  /** The calendar's events API. */
  eventsUrl: string;
  /** The connector of kind SHARED. */
  connectorId: string;
}

const READ_SHARED_TOKEN = /* GraphQL */ `
  query ReadSharedToken($connectorId: ID!) {
    sharedConnection(connectorId: $connectorId) {
      __typename
      ... on SharedConnection { accessToken }
      ... on UserError { code message remedy { steps } }
    }
  }
`;

interface SharedTokenResult {
  __typename: string;
  accessToken?: string;
  code?: string;
  message?: string;
  remedy?: { steps: string[] } | null;
}

/** The events of the account that the team shares, or why there are none. */
export async function readTeamEvents(options: TeamEventsOptions): Promise<{ status: number; body: object }> {
  const response = await fetch(options.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${options.appKey}` },
    body: JSON.stringify({ query: READ_SHARED_TOKEN, variables: { connectorId: options.connectorId } }),
    signal: AbortSignal.timeout(20_000),
  });
  const { data } = (await response.json()) as { data?: { sharedConnection: SharedTokenResult } | null };
  if (!data) throw new Error(`The service answered ${response.status}.`);
  const { accessToken, code, message, remedy } = data.sharedConnection;
  if (accessToken === undefined) return { status: 409, body: { error: { code, message, steps: remedy?.steps ?? [] } } };

  const events = await fetch(options.eventsUrl, {
    headers: { authorization: `Bearer ${accessToken}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (events.ok) return { status: 200, body: (await events.json()) as object };
  await events.body?.cancel();
  const error = { code: 'CALENDAR_FAILED', message: `The calendar answered ${events.status}.`, steps: [] };
  return { status: 502, body: { error } };
}
