import { createClientFromRequest, isConnectorError } from '../../src/client/server.ts';

/** The backend function for what the whole team shares: it needs the app's key, and nobody's identity token. */
export interface TeamEventsOptions {
  /** Where the service listens. */
  serviceUrl: string;
  /** The app's key. It stays on the server. */
  appKey: string;
  /** The calendar's events API. */
  eventsUrl: string;
  /** The connector of kind SHARED. */
  connectorId: string;
}

/** The events of the account that the team shares, or why there are none. */
export async function readTeamEvents(
  request: { readonly headers: Headers },
  options: TeamEventsOptions,
): Promise<{ status: number; body: object }> {
  const { connectors } = createClientFromRequest(request, { url: options.serviceUrl, appKey: options.appKey });
  try {
    const events = await connectors.fetchAsSharedAccount(options.connectorId, options.eventsUrl, {
      signal: AbortSignal.timeout(10_000),
    });
    if (events.ok) return { status: 200, body: (await events.json()) as object };
    await events.body?.cancel();
    const error = { code: 'CALENDAR_FAILED', message: `The calendar answered ${events.status}.`, steps: [] };
    return { status: 502, body: { error } };
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    const { code, message, remedy } = error;
    return { status: 409, body: { error: { code, message, steps: remedy?.steps ?? [] } } };
  }
}
