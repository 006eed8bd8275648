import type pg from 'pg';
import { field, type Service } from '../../support/harness.ts';
import { readToken } from '../../support/journey.ts';
import type { CalendarProvider } from '../../support/local-provider.ts';
import type { TokenRead } from '../../support/scene.ts';
import type { Stage } from '../../support/stage.ts';

/** A token read as its caller is answered. */
export type Read = TokenRead & { __typename: string };

/** Reads at one process. `headers` are a backend's; they are made once, for signing costs more than reading. */
export async function readAt(service: Service, headers: Record<string, string>, connectorId: string): Promise<Read> {
  return field<TokenRead>(await readToken(service, headers, connectorId), 'currentAppUserConnection');
}

/** Lets the access token of a user end a second ago, as if it had lived for an hour. The provider does not know of it. */
export async function expireToken(sql: pg.Pool, userId: string): Promise<void> {
  await sql.query(
    `UPDATE credential SET "accessTokenExpiresAt" = now() - interval '1 second', "issuedAt" = now() - interval '1 hour'
     WHERE "connectionId" IN (SELECT id FROM connection WHERE "userId" = $1)`,
    [userId],
  );
}

/** Whether the provider's API takes the token. */
export async function worksAt(provider: CalendarProvider, accessToken: string): Promise<boolean> {
  const answer = await fetch(provider.eventsUrl, { headers: { authorization: `Bearer ${accessToken}` } });
  await answer.body?.cancel();
  return answer.status === 200;
}

/** Sends a refresh token to the provider past the service. */
export function refreshPastService({ provider, connector }: Stage, refreshToken: string): Promise<Response> {
  return fetch(`${provider.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: connector.clientId,
      client_secret: connector.clientSecret,
    }),
  });
}

/** Counts what arrives at the token endpoint from now on, answered or not. */
export function countTokenRequests(provider: CalendarProvider): () => number {
  let count = 0;
  provider.around((ctx, next) => {
    if (ctx.path === '/token') count += 1;
    return next();
  });
  return () => count;
}
