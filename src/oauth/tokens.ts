import * as library from 'oauth4webapi';
import type {
  AuthorizationServer,
  OAuthClient,
  ProviderAccount,
  RevocationEndpoint,
  TokenGrant,
} from './authorization-server.ts';
import { readAuthorizationResponse } from './authorization.ts';
import { challengeError, judgeTokenError, OAuthError, type OAuthVerdict, sentenceFor } from './failure.ts';
import type { ProviderFetch, ProviderResponse } from './fetch.ts';
import { libraryFetch, toResponse } from './library-fetch.ts';
import { type Members, memberAt, parseMembers, readAccount, textAt } from './members.ts';
import { Secret } from '../lib/secret.ts';

/** How to reach the provider as whom. */
interface Exchange {
  fetch: ProviderFetch;
  server: AuthorizationServer;
  client: OAuthClient;
}

/**
 * Turns an authorization code into tokens (RFC 6749 4.1.3, RFC 7636 4.5). The id_token is read only where a nonce was
 * sent, `openid` was asked and the server's issuer and keys are known; it is then validated in full (OpenID Connect Core
 * 3.1.3.7), with `now` as the present. `codeVerifier` is left out where the provider does not take PKCE.
 * @throws OAuthError `rejected` where the callback or the id_token is not acceptable, else as the answer is judged.
 */
export async function exchangeCode(
  exchange: Exchange & {
    callbackParams: URLSearchParams;
    redirectUri: string;
    codeVerifier: string | null;
    nonce: string | null;
    scopes: readonly string[];
    now: Date;
    /** Gets a grant whose id_token is refused, or cannot be checked, before the error goes on: nobody else holds its tokens. */
    onUnusable?: (grant: TokenGrant) => Promise<void>;
  },
): Promise<TokenGrant> {
  const { server, nonce } = exchange;
  const response = readAuthorizationResponse(server, exchange.callbackParams);
  if (response.kind === 'error') throw fail({ kind: 'rejected', code: 'MALFORMED_RESPONSE' });

  const parameters = new URLSearchParams({ code: response.code, redirect_uri: exchange.redirectUri });
  if (server.pkce && exchange.codeVerifier !== null) parameters.set('code_verifier', exchange.codeVerifier);
  const answer = await requestTokens(exchange, 'authorization_code', parameters);
  const grant = await readGrant(server, answer);

  if (nonce === null || !exchange.scopes.includes('openid')) return grant;
  const { id_token: idToken } = (await answer.normalised.clone().json()) as NormalTokens;
  if (idToken === undefined) return grant;
  try {
    return { ...grant, account: await validateIdToken(exchange, answer.normalised, nonce, exchange.now) };
  } catch (error) {
    await exchange.onUnusable?.(grant);
    throw error;
  }
}

/**
 * Renews a grant (RFC 6749 6). Whatever else an answer holds, a usable access token in it makes it a success: the provider
 * may have replaced the refresh token already, and an answer thrown away would end the grant. `refreshToken` is null where
 * none came: the one in use stays good.
 * @throws OAuthError as the answer is judged.
 */
export async function refreshGrant(
  exchange: Exchange & { refreshToken: Secret; timeoutMs: number },
): Promise<TokenGrant> {
  const parameters = new URLSearchParams({ refresh_token: exchange.refreshToken.reveal() });
  const answer = await requestTokens(exchange, 'refresh_token', parameters, exchange.timeoutMs);
  return readGrant(exchange.server, answer);
}

interface TokenAnswer {
  raw: ProviderResponse;
  normalised: Response;
}

async function requestTokens(
  { fetch, server, client }: Exchange,
  grantType: string,
  parameters: URLSearchParams,
  timeoutMs?: number,
): Promise<TokenAnswer> {
  let raw: ProviderResponse | null = null;
  const normalised = await building(() =>
    library.genericTokenEndpointRequest(
      metadataOf(server),
      { client_id: client.clientId },
      clientAuthentication(server, client),
      grantType,
      parameters,
      libraryFetch(fetch, {
        bodyFormat: server.bodyFormat,
        timeoutMs,
        read: (answer) => {
          raw = answer;
          return normaliseTokenAnswer(server, answer.status, answer.headers, answer.body);
        },
      }),
    ),
  );
  if (!raw) throw fail({ kind: 'misconfigured', code: 'UNSUPPORTED' });
  return { raw, normalised };
}

async function readGrant(server: AuthorizationServer, { raw, normalised }: TokenAnswer): Promise<TokenGrant> {
  const members = parseMembers(raw.body);
  if (!normalised.ok || !members) {
    throw fail(judgeTokenError(server, raw.status, raw.headers, { code: errorCode(members, raw.status) }));
  }
  const answer = (await normalised.clone().json()) as NormalTokens;
  return {
    accessToken: new Secret(answer.access_token),
    refreshToken: answer.refresh_token === undefined ? null : new Secret(answer.refresh_token),
    tokenType: answer.token_type,
    expiresInSeconds: answer.expires_in ?? null,
    scopes: answer.scope?.split(' ') ?? null,
    account: server.accountPaths && readAccount(members, server.accountPaths),
    kept: server.keepFromToken.flatMap((name) => {
      const value = textAt(members, [name]);
      return value === null ? [] : [{ name, value }];
    }),
  };
}

/** Validates signature, issuer, audience, nonce and times of an id_token, and answers whom it names. */
async function validateIdToken(
  { fetch, server, client }: Exchange,
  response: Response,
  nonce: string,
  now: Date,
): Promise<ProviderAccount | null> {
  const metadata = metadataOf(server);
  const relyingParty: library.Client = {
    client_id: client.clientId,
    [library.clockSkew]: Math.round((now.getTime() - Date.now()) / 1000),
    [library.clockTolerance]: 60,
  };
  try {
    const tokens = await library.processAuthorizationCodeResponse(metadata, relyingParty, response, {
      expectedNonce: nonce,
    });
    await library.validateApplicationLevelSignature(metadata, response, libraryFetch(fetch, { read: readKeys }));
    const claims = library.getValidatedIdTokenClaims(tokens);
    return readAccount(claims, { id: ['sub'], email: ['email'], name: ['name', 'preferred_username'] });
  } catch (error) {
    // The provider's keys could not be fetched; the library's own errors carry the tokens and go no further.
    if (error instanceof OAuthError) throw error;
    throw fail({ kind: 'rejected', code: 'ID_TOKEN_INVALID' });
  }
}

/** Keys that did not come decide nothing about the id_token. */
function readKeys(answer: ProviderResponse): Response {
  if (answer.status === 200) return toResponse(answer);
  throw fail({ kind: 'retry', code: 'PROVIDER_UNAVAILABLE', retryAfterSeconds: null, lost: false });
}

/** A token answer in the form that RFC 6749 5.1 gives it. */
interface NormalTokens {
  access_token: string;
  token_type: string;
  refresh_token?: string;
  expires_in?: number;
  scope?: string;
  id_token?: string;
}

/**
 * Rewrites what a provider's token endpoint answered into what RFC 6749 5.1 and 5.2 ask for, so that oauth4webapi refuses
 * nothing that holds a usable token. Tokens are looked for first, where the server nests them and then at the top; each
 * other member is kept if it makes sense and dropped if not. Errors reported with 200 become 400, and an answer that is
 * neither tokens nor an error becomes 502. Pure: nothing but the given values, and the clock for `expires_at` without a Date header.
 */
export function normaliseTokenAnswer(
  server: AuthorizationServer,
  status: number,
  headers: Headers,
  body: string,
): Response {
  const members = parseMembers(body);
  const isSuccess = status >= 200 && status < 300;
  const tokens = isSuccess && members ? findTokens(server, members, headers) : null;
  if (tokens) return Response.json(tokens);

  const code = errorCode(members, status);
  // oauth4webapi would look at a challenge before the body's error, which says more.
  const challenge = code === null ? headers.get('www-authenticate') : null;
  const answered = isSuccess ? (code === null ? 502 : 400) : status >= 400 && status <= 599 ? status : 502;
  return Response.json(code === null ? {} : { error: code }, {
    status: answered,
    ...(challenge === null ? {} : { headers: { 'www-authenticate': challenge } }),
  });
}

function findTokens(server: AuthorizationServer, members: Members, headers: Headers): NormalTokens | null {
  const places = [
    server.tokenPath === null ? members : memberAt(members, server.tokenPath),
    members,
    memberAt(members, 'data'),
  ];
  for (const place of places) {
    const accessToken = readToken(memberAt(place, 'access_token'));
    if (accessToken === null) continue;
    const tokenType = memberAt(place, 'token_type');
    const refreshToken = readToken(memberAt(place, 'refresh_token'));
    const expiresIn = readLifetime(memberAt(place, 'expires_in')) ?? readExpiry(memberAt(place, 'expires_at'), headers);
    const scope = readScope(memberAt(place, 'scope'), server.scopeSeparator);
    const idToken = server.issuer !== null && server.jwksUrl !== null ? readToken(memberAt(members, 'id_token')) : null;
    return {
      access_token: accessToken,
      // Bearer is all that this service asks for; `bot`, `user` and the like are words for it.
      token_type: typeof tokenType === 'string' && /^bearer$/i.test(tokenType) ? tokenType : 'Bearer',
      ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
      ...(expiresIn === null ? {} : { expires_in: expiresIn }),
      ...(scope === null ? {} : { scope }),
      ...(idToken === null ? {} : { id_token: idToken }),
    };
  }
  return null;
}

const maxTokenLength = 16 * 1024;
const maxLifetimeSeconds = 10 * 365 * 24 * 60 * 60;

/** A token is a text without control characters: it goes into a header. */
function readToken(value: unknown): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return typeof value === 'string' && value.length <= maxTokenLength && /^[^\x00-\x20\x7f]+$/.test(value)
    ? value
    : null;
}

/** How long from now, in seconds. Nothing, zero (some say "never" so) and nonsense all mean: not told. */
function readLifetime(value: unknown): number | null {
  const seconds = readNumber(value);
  return seconds !== null && seconds >= 1 ? Math.floor(Math.min(seconds, maxLifetimeSeconds)) : null;
}

/** `expires_at` is an instant of the provider's clock, so its Date header is what to measure from. */
function readExpiry(value: unknown, headers: Headers): number | null {
  const seconds = readNumber(value);
  const date = Date.parse(headers.get('date') ?? '');
  return seconds === null ? null : readLifetime(seconds - (Number.isNaN(date) ? Date.now() : date) / 1000);
}

function readNumber(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

/** Scopes by spaces, whatever separates them at the provider: several of them answer otherwise than they are asked. */
function readScope(value: unknown, separator: string): string | null {
  const texts = [value].flat().filter((item) => typeof item === 'string');
  const scopes = texts.flatMap((text) => text.split(separator)).flatMap((text) => text.split(/[\s,]+/));
  const scope = [...new Set(scopes)].filter(Boolean).join(' ');
  return scope === '' || scope.length > maxTokenLength ? null : scope;
}

/** The word by which an answer names an error: RFC 6749's, Meta's object as `type:code`, or HubSpot's `status`. */
function errorCode(members: Members | null, status: number): string | null {
  const error = memberAt(members, 'error');
  const word =
    typeof error === 'object' && error !== null
      ? `${String(textAt(error, ['type']))}:${String(textAt(error, ['code']))}`
      : (error ?? (status >= 400 ? memberAt(members, 'status') : null));
  return typeof word === 'string' && word !== '' ? word.slice(0, 200) : null;
}

/**
 * Takes a grant back at the provider. REVOKED also where the provider says that the grant is gone already; UNSUPPORTED
 * where the provider has no way, or none for the tokens there are.
 * @throws OAuthError otherwise, as the answer is judged: `retry`, or `misconfigured` where the client is refused.
 */
export async function revokeGrant(
  exchange: Exchange & { accessToken: Secret | null; refreshToken: Secret | null },
): Promise<'REVOKED' | 'UNSUPPORTED'> {
  const { server, accessToken, refreshToken } = exchange;
  const { revocation } = server;
  if (!revocation) return 'UNSUPPORTED';
  const wanted = revocation.token === 'refresh' ? refreshToken : accessToken;
  const standIn = revocation.token === 'refresh' ? accessToken : revocation.style === 'rfc7009' ? refreshToken : null;
  const token = wanted ?? standIn;
  if (!token) return 'UNSUPPORTED';

  const answer = await requestRevocation(
    exchange,
    revocation,
    token,
    token === refreshToken ? 'refresh_token' : 'access_token',
  );
  const code = errorCode(parseMembers(answer.body), answer.status) ?? challengeError(answer.headers);
  if (answer.status < 300 && code === null) return 'REVOKED';
  if (code === 'unsupported_token_type') return 'UNSUPPORTED';
  if (code === 'invalid_token' || (revocation.style !== 'rfc7009' && answer.status === 404)) return 'REVOKED';
  const verdict = judgeTokenError(server, answer.status, answer.headers, { code });
  if (verdict.kind === 'reauthorize') return 'REVOKED';
  throw fail(verdict);
}

async function requestRevocation(
  { fetch, server, client }: Exchange,
  revocation: RevocationEndpoint,
  token: Secret,
  tokenTypeHint: string,
): Promise<ProviderResponse> {
  const url = revocation.url.replace('{client_id}', encodeURIComponent(client.clientId));
  const headers = revocation.headers ?? {};
  switch (revocation.style) {
    case 'rfc7009': {
      let raw: ProviderResponse | null = null;
      const read = (answer: ProviderResponse) => {
        raw = answer;
        return toResponse(answer);
      };
      await building(() =>
        library.revocationRequest(
          { ...metadataOf(server), revocation_endpoint: url },
          { client_id: client.clientId },
          clientAuthentication(server, client),
          token.reveal(),
          {
            ...libraryFetch(fetch, { bodyFormat: server.bodyFormat, headers, read }),
            // The hint is optional; endpoints that take JSON tend to refuse members they do not know.
            additionalParameters: server.bodyFormat === 'form' ? { token_type_hint: tokenTypeHint } : {},
          },
        ),
      );
      if (!raw) throw fail({ kind: 'misconfigured', code: 'UNSUPPORTED' });
      return raw;
    }
    case 'bearer':
      return fetch(url, { method: 'POST', headers: { ...headers, authorization: `Bearer ${token.reveal()}` } });
    case 'path':
      return fetch(
        url.replace('{token}', () => encodeURIComponent(token.reveal())),
        { method: 'DELETE', headers },
      );
    case 'basic-json':
      return fetch(url, {
        method: 'DELETE',
        headers: { ...headers, authorization: rawBasic(client), 'content-type': 'application/json' },
        body: JSON.stringify({ access_token: token.reveal() }),
      });
  }
}

/** The server in the words of RFC 8414. Where it has no issuer, its origin stands in: nothing is compared with it then. */
function metadataOf(server: AuthorizationServer): library.AuthorizationServer {
  return {
    issuer: server.issuer ?? new URL(server.authorizationUrl).origin,
    token_endpoint: server.tokenUrl,
    ...(server.jwksUrl === null ? {} : { jwks_uri: server.jwksUrl }),
    // Any signature that the provider's published keys can make; a shared secret is not among them.
    id_token_signing_alg_values_supported: ['RS', 'PS', 'ES']
      .flatMap((family) => ['256', '384', '512'].map((size) => family + size))
      .concat('EdDSA', 'Ed25519'),
  };
}

function clientAuthentication(server: AuthorizationServer, client: OAuthClient): library.ClientAuth {
  if (server.clientAuthentication === 'NONE') return library.None();
  const secret = requireSecret(client);
  switch (server.clientAuthentication) {
    case 'CLIENT_SECRET_POST':
      return library.ClientSecretPost(secret);
    case 'CLIENT_SECRET_BASIC':
      return library.ClientSecretBasic(secret);
    case 'CLIENT_SECRET_BASIC_RAW':
      return (_server, _client, _body, headers) => headers.set('authorization', rawBasic(client));
  }
}

/** Basic credentials as most providers read them, without the form-encoding of RFC 6749 2.3.1. */
function rawBasic(client: OAuthClient): string {
  return `Basic ${Buffer.from(`${client.clientId}:${requireSecret(client)}`).toString('base64')}`;
}

function requireSecret(client: OAuthClient): string {
  const secret = client.clientSecret?.reveal();
  if (!secret) throw fail({ kind: 'misconfigured', code: 'INVALID_CLIENT' });
  return secret;
}

/** The library refuses to build some requests; what it throws then may hold the values it was given. */
async function building<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (error instanceof OAuthError) throw error;
    throw fail({ kind: 'misconfigured', code: 'UNSUPPORTED' });
  }
}

function fail(verdict: OAuthVerdict): OAuthError {
  return new OAuthError(verdict, sentenceFor(verdict));
}
