import type { Instance } from './instance.ts';
import type { Connector } from './stage.ts';

/** What REST and better-auth answer as well: the token, when it ends, and what it allows. */
const query = `query ($connectorId: ID!) { currentAppUserConnection(connectorId: $connectorId) { __typename
  ... on CurrentAppUserConnection { accessToken accessTokenExpiresAt grantedScopes } } }`;

/** The body of the request that an app's backend makes before each call to the provider. */
export const tokenReadBody = ({ id }: Connector) => JSON.stringify({ query, variables: { connectorId: id } });

/** Reads a token; null where there is any other answer. */
export async function readToken(
  instance: Instance,
  body: string,
  headers: Record<string, string>,
): Promise<string | null> {
  const answer = await instance
    .send<{ data?: { currentAppUserConnection?: { accessToken?: string } } }>(body, headers)
    .catch(() => null);
  return answer?.data?.currentAppUserConnection?.accessToken ?? null;
}
