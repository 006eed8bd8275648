import { inspect } from 'node:util';
import { expect } from 'vitest';
import type { AuthorizationServer, OAuthClient } from '../../../src/oauth/authorization-server.ts';
import { OAuthError, type OAuthVerdict } from '../../../src/oauth/failure.ts';
import type { ProviderFetch, ProviderResponse } from '../../../src/oauth/fetch.ts';
import { oauthServer } from '../../../src/providers/provider.ts';
import { Secret } from '../../../src/lib/secret.ts';

/** A plain provider; a test says how its own differs. */
export function serverFixture(changes: Partial<AuthorizationServer> = {}): AuthorizationServer {
  return oauthServer({
    authorizationUrl: 'https://provider.example/authorize',
    tokenUrl: 'https://provider.example/token',
    revocationReach: 'token',
    ...changes,
  });
}

export const clientFixture: OAuthClient = { clientId: 'client-1', clientSecret: new Secret('s-e:c%r e+t') };

export interface SentRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Answers every request with one answer, and remembers what was asked. */
export function answering(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): { fetch: ProviderFetch; sent: SentRequest[] } {
  const sent: SentRequest[] = [];
  const answer: ProviderResponse = {
    status,
    headers: new Headers(headers),
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
  return {
    sent,
    fetch: async (url, init) => {
      sent.push({ url, method: init.method, headers: init.headers ?? {}, body: init.body });
      return answer;
    },
  };
}

/** The verdict that a call ends with. Fails where it succeeds, or throws anything but an OAuthError. */
export async function verdictOf(call: Promise<unknown>): Promise<OAuthVerdict> {
  const error = await call.then(
    (value) => new Error(`It succeeded: ${inspect(value)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OAuthError);
  return (error as OAuthError).verdict;
}
