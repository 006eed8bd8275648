import { createHash, randomBytes } from 'node:crypto';
import type { CalendarProvider } from '../../examples/scheduling-app/calendar-provider.ts';
import { consentAt } from './consent.ts';

/** What a client got from the calendar provider. */
export interface Grant {
  issuer: string;
  clientId: string;
  clientSecret: string;
  accessToken: string;
  refreshToken: string;
}

/** Leads a person through consent for a client of its own: authorization code with PKCE. */
export async function obtainGrant(provider: CalendarProvider): Promise<Grant> {
  const { issuer } = provider;
  const redirectUri = 'http://127.0.0.1/callback';
  const { clientId, clientSecret } = provider.registerClient({ name: 'Bench', redirectUris: [redirectUri] });
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid email calendar.read',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const callback = new URL(await consentAt(`${issuer}/auth?${query}`));
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
      client_id: clientId,
      client_secret: clientSecret,
    }),
  });
  const { access_token: accessToken, refresh_token: refreshToken } = (await response.json()) as Record<string, string>;
  if (!accessToken || !refreshToken)
    throw new Error(`The calendar provider answered ${response.status} without tokens.`);
  return { issuer, clientId, clientSecret, accessToken, refreshToken };
}
