import { randomBytes } from 'node:crypto';
import { Secret } from '../lib/secret.ts';
import type { AuthorizationServer, OAuthClient } from './authorization-server.ts';
import { buildAuthorizationUrl, newPkce, newState } from './authorization.ts';
import { OAuthError, type OAuthVerdict } from './failure.ts';
import type { ProviderFetch } from './fetch.ts';
import { exchangeCode } from './tokens.ts';

/** What a provider thinks of a setting. UNKNOWN: it does not let one ask. */
export type Acceptance = 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';

interface Probe {
  fetch: ProviderFetch;
  server: AuthorizationServer;
}

/** Why no answer came from an address; null where one came, whatever it was. */
export type Silence = OAuthVerdict | null;

const silent = new Set<string>(['NETWORK_ERROR', 'TIMEOUT', 'ABORTED', 'BLOCKED_HOST']);

function silenceOf(verdict: OAuthVerdict): Silence {
  return silent.has(verdict.code) ? verdict : null;
}

/** Asks an address for anything at all. */
export async function probeAddress(fetch: ProviderFetch, url: string): Promise<Silence> {
  try {
    await fetch(url, { method: 'GET' });
    return null;
  } catch (error) {
    return silenceOf(verdictOf(error));
  }
}

/**
 * Finds out whether the provider accepts the client, with a code that nobody was given: a provider that knows the client refuses
 * the code, and one that does not refuses the client. What it says to the same request from a client that must be wrong shows
 * whether it looks at the client at all.
 */
export async function probeClient(
  { fetch, server }: Probe,
  client: OAuthClient,
  redirectUri: string,
): Promise<{ acceptance: Acceptance; silence: Silence }> {
  const ask = (as: OAuthClient) => exchangeBogusCode({ fetch, server }, as, redirectUri);
  const verdict = await ask(client);
  if (verdict === null) return { acceptance: 'UNKNOWN', silence: null };
  if (isRefusal(verdict)) return { acceptance: 'REFUSED', silence: null };
  if (saysNothing(verdict)) return { acceptance: 'UNKNOWN', silence: silenceOf(verdict) };
  const control = await ask(wrongClient(server, client));
  return { acceptance: control && isRefusal(control) ? 'ACCEPTED' : 'UNKNOWN', silence: null };
}

const isRefusal = (verdict: OAuthVerdict) => verdict.kind === 'misconfigured' && verdict.code === 'INVALID_CLIENT';

/** A word that is not known may well be the provider's own for a bad code; no answer, and one of a server in trouble, is none. */
function saysNothing(verdict: OAuthVerdict): boolean {
  return verdict.code === 'BLOCKED_HOST' || (verdict.kind === 'retry' && verdict.code !== 'UNKNOWN_ERROR');
}

function wrongClient(server: AuthorizationServer, { clientId }: OAuthClient): OAuthClient {
  const clientSecret = new Secret(random());
  return server.clientAuthentication === 'NONE' ? { clientId: random(), clientSecret } : { clientId, clientSecret };
}

const random = () => randomBytes(24).toString('base64url');

/** Null where the provider gave tokens for a code that it cannot have given out. */
async function exchangeBogusCode(
  { fetch, server }: Probe,
  client: OAuthClient,
  redirectUri: string,
): Promise<OAuthVerdict | null> {
  const callbackParams = new URLSearchParams({ code: `connector-check-${random()}` });
  if (server.issuer !== null) callbackParams.set('iss', server.issuer);
  const { codeVerifier } = await newPkce();
  try {
    await exchangeCode({
      fetch,
      server,
      client,
      callbackParams,
      redirectUri,
      codeVerifier,
      nonce: null,
      scopes: [],
      now: new Date(),
    });
    return null;
  } catch (error) {
    return verdictOf(error);
  }
}

/**
 * Finds out which redirect URIs the provider accepts, where its authorization endpoint refuses one that is not registered at
 * once: what it says to one that cannot be shows that. `clientIsAccepted`: a refusal cannot be meant for the client.
 */
export async function probeRedirectUris(
  { fetch, server }: Probe,
  request: { clientId: string; scopes: readonly string[]; redirectUris: readonly string[]; clientIsAccepted: boolean },
): Promise<{ acceptances: Acceptance[]; silence: Silence }> {
  const { codeChallenge } = await newPkce();
  const ask = async (redirectUri: string): Promise<'went on' | 'refused' | 'other' | OAuthVerdict> => {
    const { clientId, scopes } = request;
    const state = newState();
    const url = buildAuthorizationUrl({ server, clientId, redirectUri, scopes, state, codeChallenge, nonce: null });
    try {
      const { status } = await fetch(url, { method: 'GET' });
      return status < 300 ? 'went on' : status === 400 ? 'refused' : 'other'; // 403, 429 and the like are meant for machines
    } catch (error) {
      const verdict = verdictOf(error);
      return verdict.code === 'REDIRECTED' ? 'went on' : (silenceOf(verdict) ?? 'other');
    }
  };
  const asked = request.redirectUris.slice(0, mostProbedUris);
  const [control = 'other', ...answers] = await Promise.all(
    [`https://unregistered.invalid/${random()}`, ...asked].map(ask),
  );
  const isTelling = control === 'refused';
  const oneWentOn = answers.includes('went on');
  const acceptances = request.redirectUris.map((_uri, index): Acceptance => {
    const answer = answers[index];
    if (!isTelling) return 'UNKNOWN';
    if (answer === 'went on') return 'ACCEPTED';
    return answer === 'refused' && (oneWentOn || request.clientIsAccepted) ? 'REFUSED' : 'UNKNOWN';
  });
  return { acceptances, silence: typeof control === 'string' ? null : control };
}

const mostProbedUris = 10;

function verdictOf(error: unknown): OAuthVerdict {
  if (error instanceof OAuthError) return error.verdict;
  throw error;
}
