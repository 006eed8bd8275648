import * as library from 'oauth4webapi';
import type {
  AuthorizationServer,
  OAuthClient,
  ProviderAccount,
  RevocationEndpoint,
  TokenExchange,
  TokenGrant,
} from './authorization-server.ts';
import { keptFromCallback, readAuthorizationResponse } from './authorization.ts';
import { challengeError, judgeTokenError, OAuthError, type OAuthVerdict, sentenceFor } from './failure.ts';
import type { ProviderFetch, ProviderResponse } from './fetch.ts';
import { bodyText, contentType, libraryFetch, renamed, toResponse } from './library-fetch.ts';
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
 * 3.1.3.7), with `now` as the present. `codeVerifier` is left out where the provider does not take PKCE. Where the server
 * gives a token to keep only for the first one (`upgrade`), it is the one to keep that is answered.
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
    /** Gets a grant that is of no use, since its id_token or its upgrade failed, before the error goes on: nobody else holds its tokens. */
    onUnusable?: (grant: TokenGrant) => Promise<void>;
  },
): Promise<TokenGrant> {
  const { server, nonce } = exchange;
  const response = readAuthorizationResponse(server, exchange.callbackParams);
  if (response.kind === 'error') throw fail({ kind: 'rejected', code: 'MALFORMED_RESPONSE' });
  const told = keptFromCallback(server, exchange.callbackParams);

  const parameters = new URLSearchParams(server.tokenParams);
  parameters.set('code', response.code);
  parameters.set('redirect_uri', exchange.redirectUri);
  if (server.pkce && exchange.codeVerifier !== null) parameters.set('code_verifier', exchange.codeVerifier);
  const answer = await requestTokens(exchange, server.tokenUrl, 'authorization_code', parameters);
  const first = await readGrant(server, answer, null);
  const grant = { ...first, kept: [...told, ...first.kept] };
  try {
    const account = await accountOfIdToken(exchange, answer, nonce);
    const upgraded = server.upgrade && (await upgradeGrant(exchange, server.upgrade, grant));
    return { ...(upgraded ?? grant), ...(account && { account }) };
  } catch (error) {
    await exchange.onUnusable?.(grant);
    throw error;
  }
}

/** Whom a valid id_token names; null where none is expected, or none came. */
async function accountOfIdToken(
  exchange: Exchange & { scopes: readonly string[]; now: Date },
  answer: TokenAnswer,
  nonce: string | null,
): Promise<ProviderAccount | null> {
  if (nonce === null || !exchange.scopes.includes('openid')) return null;
  const { id_token: idToken } = (await answer.normalised.clone().json()) as NormalTokens;
  return idToken === undefined ? null : validateIdToken(exchange, answer.normalised, nonce, exchange.now);
}

/** The token to keep, for the one that the code gave. What the second answer does not say stands as the first one said it. */
async function upgradeGrant(exchange: Exchange, upgrade: TokenExchange, first: TokenGrant): Promise<TokenGrant> {
  const answer = await requestExchange(exchange, upgrade, first.accessToken);
  const { kept, ...grant } = await readGrant(exchange.server, answer, null);
  const names = new Set(kept.map(({ name }) => name));
  return {
    ...grant,
    scopes: grant.scopes ?? first.scopes,
    account: grant.account ?? first.account,
    kept: [...first.kept.filter(({ name }) => !names.has(name)), ...kept],
  };
}

/**
 * Renews a grant (RFC 6749 6), or has the access token renew itself where that is the provider's way: then it is what was
 * answered as the refresh token. Whatever else an answer holds, a usable access token in it makes it a success: the provider
 * may have replaced the refresh token already, and an answer thrown away would end the grant. `refreshToken` is null where
 * none came: the one in use stays good.
 * @throws OAuthError as the answer is judged.
 */
export async function refreshGrant(
  exchange: Exchange & { refreshToken: Secret; timeoutMs: number },
): Promise<TokenGrant> {
  const { server, refreshToken, timeoutMs } = exchange;
  if (server.renewal) {
    const answer = await requestExchange(exchange, server.renewal, refreshToken, timeoutMs);
    return readGrant(server, answer, refreshToken);
  }
  const parameters = new URLSearchParams(server.refreshParams);
  parameters.set('refresh_token', refreshToken.reveal());
  const url = server.refreshUrl ?? server.tokenUrl;
  return readGrant(server, await requestTokens(exchange, url, 'refresh_token', parameters, timeoutMs), refreshToken);
}

interface TokenAnswer {
  raw: ProviderResponse;
  normalised: Response;
}

async function requestTokens(
  { fetch, server, client }: Exchange,
  tokenUrl: string,
  grantType: string,
  parameters: URLSearchParams,
  timeoutMs?: number,
): Promise<TokenAnswer> {
  let raw: ProviderResponse | null = null;
  const normalised = await building(() =>
    library.genericTokenEndpointRequest(
      { ...metadataOf(server), token_endpoint: tokenUrl },
      { client_id: client.clientId },
      clientAuthentication(server, client),
      grantType,
      parameters,
      libraryFetch(fetch, {
        bodyFormat: server.bodyFormat,
        parameterNames: server.parameterNames,
        headers: server.tokenHeaders,
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

/** Asks for a token in exchange for an access token, in the provider's own way. */
async function requestExchange(
  { fetch, server, client }: Exchange,
  { url, method, grantType, tokenParameter, sendsClient }: TokenExchange,
  token: Secret,
  timeoutMs?: number,
): Promise<TokenAnswer> {
  const own = { grant_type: grantType, [tokenParameter]: token.reveal() };
  const credentials = sendsClient ? { client_id: client.clientId, client_secret: requireSecret(client) } : {};
  const parameters = new URLSearchParams(renamed(server.parameterNames, { ...own, ...credentials }));
  const isGet = method === 'GET';
  const raw = await fetch(isGet ? withQuery(url, parameters) : url, {
    method,
    headers: isGet ? { ...server.tokenHeaders } : { ...server.tokenHeaders, ...contentType(server.bodyFormat) },
    ...(!isGet && { body: bodyText(server.bodyFormat, parameters) }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  return { raw, normalised: normaliseTokenAnswer(server, raw.status, raw.headers, raw.body) };
}

function withQuery(url: string, parameters: URLSearchParams): string {
  return `${url}${url.includes('?') ? '&' : '?'}${parameters.toString()}`;
}

/** `held` is the refresh token that the answer is for; null where there is none yet. */
async function readGrant(
  server: AuthorizationServer,
  { raw, normalised }: TokenAnswer,
  held: Secret | null,
): Promise<TokenGrant> {
  const members = parseMembers(raw.body);
  if (!normalised.ok || !members) {
    throw fail(judgeTokenError(server, raw.status, raw.headers, readError(members, raw.status)));
  }
  const answer = (await normalised.clone().json()) as NormalTokens;
  const renewing = server.renewal ? answer.access_token : answer.refresh_token;
  const refreshToken = renewing === undefined ? null : new Secret(renewing);
  // An end that is only assumed must not end what nothing can renew.
  const assumedSeconds = refreshToken || held ? server.assumedLifetimeSeconds : null;
  return {
    accessToken: new Secret(answer.access_token),
    refreshToken,
    tokenType: answer.token_type,
    expiresInSeconds: answer.expires_in ?? assumedSeconds,
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
 * other member is kept if it makes sense and dropped if not. An answer without tokens becomes an empty 502: what it means is judged
 * from the answer itself. Pure: nothing but the given values, and the clock for `expires_at` without a Date header.
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
  return tokens ? Response.json(tokens) : Response.json({}, { status: 502 });
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

/** Where answers that are errors by their status name the error, if not in `error`: a list of errors, ClickUp, Typeform, HubSpot, Square. */
const errorPaths = ['errors.0.code', 'ECODE', 'code', 'status', 'type'];
const errorTextPaths = ['error_description', 'message', 'error.message'];

/**
 * The word by which an answer names an error: RFC 6749's, an object's (Meta's is `type:code`, Strava's `resource:field:code`), or
 * one that a vendor has elsewhere. And the text that goes with it, without the full stop.
 */
function readError(members: Members | null, status: number): { code: string | null; text: string | null } {
  const error = memberAt(members, 'error');
  const ofObject = [textAt(error, ['type']), textAt(error, ['code'])].filter((part) => part !== null).join(':');
  const [resource, field, code] = ['resource', 'field', 'code'].map((name) => textAt(members, [`errors.0.${name}`]));
  const ofStatus = resource && code ? `${resource}:${field ?? ''}:${code}` : textAt(members, errorPaths);
  const word = typeof error === 'string' ? error : ofObject || (status >= 400 ? ofStatus : null);
  const text = textAt(members, errorTextPaths)?.replace(/\.$/, '') ?? null;
  return { code: word ? word.slice(0, 200) : null, text };
}

/**
 * Takes a grant back at the provider. REVOKED also where the provider says that the grant is gone already; UNSUPPORTED
 * where the provider has no way, or none for the tokens there are.
 * @throws OAuthError otherwise, as the answer is judged: `retry`, or `misconfigured` where the client is refused.
 */
export async function revokeGrant(
  exchange: Exchange & { accessToken: Secret | null; refreshToken: Secret | null },
): Promise<'REVOKED' | 'UNSUPPORTED'> {
  const { server, accessToken } = exchange;
  const { revocation } = server;
  if (!revocation) return 'UNSUPPORTED';
  const refreshToken = server.renewal ? null : exchange.refreshToken; // else it is the access token once more
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
  const error = readError(parseMembers(answer.body), answer.status);
  const code = error.code ?? challengeError(answer.headers);
  if (answer.status < 300 && code === null) return 'REVOKED';
  if (code === 'unsupported_token_type') return 'UNSUPPORTED';
  if (code === 'invalid_token' || (revocation.style !== 'rfc7009' && answer.status === 404)) return 'REVOKED';
  const verdict = judgeTokenError(server, answer.status, answer.headers, { code, text: error.text });
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
            ...libraryFetch(fetch, {
              bodyFormat: server.bodyFormat,
              parameterNames: server.parameterNames,
              headers,
              read,
            }),
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
