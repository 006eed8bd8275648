import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { AuthorizationServer, TokenExchange } from '../../src/oauth/authorization-server.ts';
import { checkProviderUrl, type ProviderFetch } from '../../src/oauth/fetch.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { type Dialect, dialects, type PlainTokens, type RecordedAnswer } from './provider-dialects.ts';

/** A request as the provider saw it, at the address that it was meant for. */
export interface SeenRequest {
  kind: 'authorization' | 'token' | 'upgrade' | 'refresh' | 'identity' | 'revocation' | 'keys' | 'unknown';
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Whose provider the simulator plays, and to which client. */
export interface Role {
  provider: Provider;
  /** The entry's server with the connector's settings filled in. */
  server: AuthorizationServer;
  clientId: string;
  clientSecret: string;
  redirectUris: readonly string[];
  scopes: readonly string[];
}

/** What a provider can be made to answer otherwise. */
type Answerable = 'token' | 'upgrade' | 'refresh' | 'identity' | 'revocation';

export interface ProviderSimulator {
  /** Plays this provider from now on, with nothing granted yet. */
  play(role: Role): void;
  /** Sends what the service asks of the provider here. */
  around(fetch: ProviderFetch): ProviderFetch;
  /** Opens an authorization URL as a browser does; answers where it is sent back to. The account says yes. */
  consent(authorizationUrl: string, account: string): Promise<string>;
  /** Answers requests of a kind so, until told otherwise. */
  answer(kind: Answerable, answer: RecordedAnswer | null): void;
  /** Takes the word of an account back: its access tokens are refused. */
  forget(account: string): void;
  seen: SeenRequest[];
  /** What the service has done that this provider would not take. */
  faults: string[];
  stop(): Promise<void>;
}

interface Grant {
  account: string;
  nonce: string | null;
  alive: boolean;
  /** The refresh token that works now. */
  refreshToken: string | null;
}

interface Code {
  grant: Grant;
  redirectUri: string;
  challenge: string | null;
}

const strict = { allowedHosts: [], allowLoopback: false, timeoutMs: 1, maxBytes: 1 };

/** A provider of the catalogue over real HTTP, whichever it plays: it checks what it is sent by the entry, and answers in its dialect. */
export async function startProviderSimulator(now: () => Date): Promise<ProviderSimulator> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), alg: 'RS256', use: 'sig' };
  const seen: SeenRequest[] = [];
  const faults: string[] = [];
  let role: Role | null = null;
  const fixed = new Map<SeenRequest['kind'], RecordedAnswer | null>();
  let count = 0;
  const codes = new Map<string, Code>();
  const accessTokens = new Map<string, Grant>();
  const shortTokens = new Map<string, Grant>();

  const fault = (text: string) => faults.push(`${role?.provider.key}: ${text}`);
  const check = (isFine: boolean, text: string) => isFine || fault(text);
  const next = (kind: string) => `${role?.provider.key}-${kind}-${(count += 1)}`;

  /** Where the provider holds the account: its last region, if it has some. */
  function there(url: string, { server }: Role): string {
    const host = server.regionalOrigin?.hosts.at(-1);
    const home = new URL(server.tokenUrl).origin;
    return host !== undefined && new URL(url).origin === home ? `https://${host}${url.slice(home.length)}` : url;
  }

  function kindOf(url: string, params: Record<string, string>, playing: Role): SeenRequest['kind'] {
    const { server } = playing;
    const is = (template: string | undefined | null) => {
      if (!template) return false;
      const text = there(template, playing).split(/\{token\}|\{client_id\}/);
      const escaped = text.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      return new RegExp(`^${escaped.join('[^/?&]+')}$`).test(url);
    };
    const isExchange = (exchange: TokenExchange | null) =>
      exchange !== null &&
      (is(exchange.url) || (exchange.method === 'GET' && url.startsWith(there(exchange.url, playing)))) &&
      params.grant_type === exchange.grantType;
    if (url.startsWith(server.authorizationUrl.split('?')[0] ?? '') && params.redirect_uri && params.state)
      return 'authorization';
    if (isExchange(server.upgrade)) return 'upgrade';
    if (isExchange(server.renewal)) return 'refresh';
    if (is(server.refreshUrl ?? server.tokenUrl) && params.grant_type === 'refresh_token') return 'refresh';
    if (is(server.tokenUrl) && params.grant_type === 'authorization_code') return 'token';
    if (is(server.identity?.url)) return 'identity';
    if (is(server.revocation?.url)) return 'revocation';
    return is(server.jwksUrl) ? 'keys' : 'unknown';
  }

  /** The parameters of a request by OAuth's names, however the provider names and writes them. */
  function readParams(
    { server }: Role,
    request: Pick<SeenRequest, 'url' | 'body' | 'headers'>,
  ): Record<string, string> {
    const isJson = request.headers['content-type']?.startsWith('application/json');
    const own = isJson
      ? (JSON.parse(request.body) as Record<string, string>)
      : Object.fromEntries([...new URL(request.url).searchParams, ...new URLSearchParams(request.body)]);
    // only the authorization request carries a state
    const renamed = { ...server.parameterNames, ...('state' in own ? server.authorizationNames : {}) };
    const names = new Map(Object.entries(renamed).map(([ours, theirs]) => [theirs, ours]));
    for (const ours of Object.keys(renamed)) check(!(ours in own), `${ours} is sent, which goes by another name`);
    return Object.fromEntries(Object.entries(own).map(([name, value]) => [names.get(name) ?? name, value]));
  }

  function checkClient({ server, clientId, clientSecret }: Role, request: SeenRequest, params: Record<string, string>) {
    const header = request.headers.authorization;
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
    switch (server.clientAuthentication) {
      case 'CLIENT_SECRET_POST':
        check(params.client_id === clientId && params.client_secret === clientSecret, 'the client is not in the body');
        return check(header === undefined, 'the client is in a header, too');
      case 'CLIENT_SECRET_BASIC': {
        const [id, secret] = Buffer.from(header?.slice(6) ?? '', 'base64')
          .toString()
          .split(':');
        const [ownId, ownSecret] = [id, secret].map((part) => new URLSearchParams(`=${part}`).get(''));
        check(ownId === clientId && ownSecret === clientSecret, 'Basic does not hold the client, form-encoded');
        return check(!params.client_secret, 'the secret is in the body, too');
      }
      case 'CLIENT_SECRET_BASIC_RAW':
        check(header === basic(`${clientId}:${clientSecret}`), 'Basic does not hold the client as it is');
        return check(!params.client_secret, 'the secret is in the body, too');
      case 'NONE':
        return check(params.client_id === clientId && !params.client_secret, 'the client id is not alone in the body');
    }
  }

  function checkMembers(expected: Readonly<Record<string, string>>, found: Record<string, string>, what: string) {
    for (const [name, value] of Object.entries(expected))
      check(found[name] === value, `${what} ${name} is ${found[name]}, not ${value}`);
  }

  function authorize(playing: Role, params: Record<string, string>, account: string): string {
    const { server, scopes } = playing;
    check(params.response_type === 'code', 'response_type is not code');
    check(params.client_id === playing.clientId, 'the client id is not there');
    check(playing.redirectUris.includes(params.redirect_uri ?? ''), 'the redirect URI is not registered');
    const asked = scopes.length === 0 ? undefined : scopes.join(server.scopeSeparator);
    check(params[server.scopeParameter] === asked, 'the scopes are not as asked');
    check((params.code_challenge !== undefined) === server.pkce, 'PKCE is not as the provider takes it');
    check(params.code_challenge_method === (server.pkce ? 'S256' : undefined), 'the challenge is not S256');
    checkMembers(server.authorizationParams, params, 'the parameter');
    const code = next('code');
    const grant = { account, nonce: params.nonce ?? null, alive: true, refreshToken: null };
    codes.set(code, { grant, redirectUri: params.redirect_uri ?? '', challenge: params.code_challenge ?? null });
    const back = new URL(params.redirect_uri ?? '');
    back.searchParams.set('code', code);
    back.searchParams.set('state', params.state ?? '');
    if (server.issParameterSupported) back.searchParams.set('iss', server.issuer ?? '');
    for (const name of server.keepFromCallback) back.searchParams.set(name, `${name} of ${account}`);
    const regional = server.regionalOrigin;
    if (regional) back.searchParams.set(regional.parameter, `https://${regional.hosts.at(-1)}`);
    return back.href;
  }

  function checkTokenRequest(playing: Role, request: SeenRequest, params: Record<string, string>): void {
    const { server } = playing;
    const type = server.bodyFormat === 'json' ? 'application/json' : 'application/x-www-form-urlencoded';
    check(request.method === 'POST', 'the token endpoint is not asked by POST');
    check(request.headers['content-type']?.startsWith(type) ?? false, `the body is not ${type}`);
    checkClient(playing, request, params);
    checkMembers(server.tokenHeaders, request.headers, 'the header');
  }

  function redeem(
    playing: Role,
    request: SeenRequest,
    params: Record<string, string>,
  ): RecordedAnswer | Promise<RecordedAnswer> {
    const { server } = playing;
    checkTokenRequest(playing, request, params);
    checkMembers(server.tokenParams, params, 'the parameter');
    const own = fixed.get('token');
    if (own) return own;
    const code = codes.get(params.code ?? '');
    codes.delete(params.code ?? '');
    if (!code) return { status: 400, body: { error: 'invalid_grant' } };
    check(params.redirect_uri === code.redirectUri, 'the redirect URI is another one');
    const challenge = params.code_verifier && createHash('sha256').update(params.code_verifier).digest('base64url');
    check((challenge ?? null) === code.challenge, 'the code verifier is not the one of the challenge');
    if (!server.upgrade) return tokensFor(playing, code.grant, false);
    const short = next('short');
    shortTokens.set(short, code.grant);
    return tokensFor(playing, code.grant, false, short);
  }

  function exchange(playing: Role, own: TokenExchange, request: SeenRequest, params: Record<string, string>) {
    check(request.method === own.method, `the exchange is not asked by ${own.method}`);
    if (own.method === 'GET') check(request.body === '', 'a GET has a body');
    const sends = params.client_secret === playing.clientSecret && params.client_id === playing.clientId;
    check(sends === own.sendsClient, 'the client goes along as the provider does not want it');
    return params[own.tokenParameter] ?? '';
  }

  function refresh(
    playing: Role,
    request: SeenRequest,
    params: Record<string, string>,
  ): RecordedAnswer | Promise<RecordedAnswer> {
    const { server } = playing;
    let token: string;
    if (server.renewal) token = exchange(playing, server.renewal, request, params);
    else {
      checkTokenRequest(playing, request, params);
      checkMembers(server.refreshParams, params, 'the parameter');
      token = params.refresh_token ?? '';
    }
    const own = fixed.get('refresh');
    if (own) return own;
    const grant = [...accessTokens.values()].find(({ refreshToken }) => refreshToken === token);
    check(grant !== undefined, 'the refresh token is none that works');
    return grant ? tokensFor(playing, grant, true) : deadAnswer(playing.provider);
  }

  /** Writes tokens as the entry says that this provider writes them. */
  async function tokensFor(
    { server, provider, scopes, clientId }: Role,
    grant: Grant,
    isRefresh: boolean,
    shortToken?: string,
  ): Promise<RecordedAnswer> {
    const dialect: Dialect = dialects[provider.key] ?? {};
    const accessToken = shortToken ?? next('access');
    accessTokens.set(accessToken, grant);
    const gives = server.refreshes && !server.renewal && (!isRefresh || dialect.rotates !== false);
    if (gives) grant.refreshToken = next('refresh');
    else if (server.renewal) grant.refreshToken = accessToken;
    const granted = scopes.map((scope) => server.scopeAliases[scope] ?? scope).filter((scope) => scope !== '');
    const plain: PlainTokens = {
      access_token: accessToken,
      token_type: 'Bearer',
      ...(server.assumedLifetimeSeconds === null && { expires_in: 3600 }),
      ...(gives && grant.refreshToken !== null && { refresh_token: grant.refreshToken }),
      scope: granted.join(server.scopeSeparator),
    };
    const written = dialect.tokens?.(plain) ?? plain;
    const { status = 200 } = dialect;
    if (typeof written === 'string') return { status, body: written };
    const isNested = server.tokenPath !== null && !(isRefresh && dialect.refreshesAtTop);
    const body: Record<string, unknown> = {};
    if (isNested) put(body, server.tokenPath ?? '', written);
    else Object.assign(body, written);
    for (const path of server.keepFromToken) put(body, path, keptValue(path, grant.account, isRefresh));
    if (!isRefresh) {
      const { id: [id] = [], email: [email] = [], name: [name] = [] } = server.accountPaths ?? {};
      if (id !== undefined) put(body, id, grant.account);
      if (email !== undefined) put(body, email, `${grant.account}@example.com`);
      if (name !== undefined) put(body, name, `Name of ${grant.account}`);
    }
    if (server.issuer !== null && grant.nonce !== null && !isRefresh) {
      const seconds = Math.floor(now().getTime() / 1000);
      const claims = { nonce: grant.nonce, email: `${grant.account}@example.com`, name: `Name of ${grant.account}` };
      body.id_token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuer(server.issuer)
        .setAudience(clientId)
        .setSubject(grant.account)
        .setIssuedAt(seconds)
        .setExpirationTime(seconds + 600)
        .sign(privateKey);
    }
    return { status, body };
  }

  function identify({ server, provider }: Role, request: SeenRequest): RecordedAnswer {
    const { identity } = server;
    if (!identity) return { status: 404, body: '' };
    check(request.method === identity.method, `identity is not asked by ${identity.method}`);
    checkMembers(identity.headers ?? {}, request.headers, 'the header');
    check(request.body === (identity.body ? JSON.stringify(identity.body) : ''), 'the body is not the one wanted');
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const grant = accessTokens.get(token);
    check(grant !== undefined, 'the access token is none of this provider');
    const own = fixed.get('identity');
    if (own) return own;
    if (!grant?.alive) return dialects[provider.key]?.refusedToken ?? { status: 401, body: '' };
    const body: Record<string, unknown> = {};
    const {
      idPaths: [id],
      emailPaths: [email],
      namePaths: [name],
    } = identity;
    if (name !== undefined) put(body, name, `Name of ${grant.account}`);
    if (email !== undefined) put(body, email, `${grant.account}@example.com`);
    if (id !== undefined) put(body, id, grant.account);
    return { status: 200, body };
  }

  function revoke(playing: Role, request: SeenRequest, params: Record<string, string>): RecordedAnswer {
    const { server } = playing;
    const { revocation } = server;
    if (!revocation) return { status: 404, body: '' };
    checkMembers(revocation.headers ?? {}, request.headers, 'the header');
    const own = fixed.get('revocation');
    if (own) return own;
    const tokens = [...accessTokens].flatMap(([token, { refreshToken }]) => [token, refreshToken ?? token]);
    const text = [decodeURIComponent(request.url), request.headers.authorization, params.token, params.access_token];
    const isThere = tokens.some((token) => text.some((part) => part?.includes(token)));
    check(isThere, 'no token of this provider is to be revoked');
    if (revocation.style === 'rfc7009') checkClient(playing, request, params);
    return revocation.style === 'bearer' ? { status: 200, body: { ok: true } } : { status: 200, body: '' };
  }

  async function answer(request: SeenRequest, account: string): Promise<RecordedAnswer> {
    const playing = role;
    if (!playing) return { status: 404, body: '' };
    const params = readParams(playing, request);
    request.kind = kindOf(request.url, params, playing);
    seen.push(request);
    switch (request.kind) {
      case 'authorization':
        return { status: 302, body: '', headers: { location: authorize(playing, params, account) } };
      case 'token':
        return redeem(playing, request, params);
      case 'upgrade': {
        const grant =
          playing.server.upgrade && shortTokens.get(exchange(playing, playing.server.upgrade, request, params));
        check(Boolean(grant), 'the short-lived token is none of this provider');
        return fixed.get('upgrade') ?? (grant ? tokensFor(playing, grant, true) : { status: 400, body: '' });
      }
      case 'refresh':
        return refresh(playing, request, params);
      case 'identity':
        return identify(playing, request);
      case 'revocation':
        return revoke(playing, request, params);
      case 'keys':
        return { status: 200, body: { keys: [jwk] } };
      case 'unknown':
        fault(`nothing is at ${request.method} ${request.url}`);
        return { status: 404, body: '' };
    }
  }

  const server = createServer((request, response) => {
    void read(request).then(async (one) => send(response, await answer(one, one.headers['x-account'] ?? '')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const simulated = (address: string) => {
    const url = new URL(address);
    return `${here}/${encodeURIComponent(url.origin)}${url.pathname}${url.search}`;
  };

  return {
    seen,
    faults,
    play(next) {
      role = next;
      fixed.clear();
      count = 0;
      seen.length = 0;
      faults.length = 0;
    },
    around: (fetch) => (url, init) => {
      check(checkProviderUrl(url, strict) === null, `${url} is no address that may be asked`);
      return fetch(simulated(url), init);
    },
    async consent(authorizationUrl, account) {
      const sent = await fetch(simulated(authorizationUrl), { redirect: 'manual', headers: { 'x-account': account } });
      const location = sent.headers.get('location');
      if (location === null)
        throw new Error(`no way back from ${authorizationUrl}: ${sent.status} ${faults.join(', ')}`);
      return location;
    },
    answer(kind, next) {
      fixed.set(kind, next);
    },
    forget(account) {
      for (const grant of accessTokens.values()) if (grant.account === account) grant.alive = false;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What a provider tells of an account that API calls need: a refresh tells it anew. */
export function keptValue(path: string, account: string, isRefresh: boolean): string {
  return `${path} of ${account}${isRefresh ? ', moved' : ''}`;
}

/** What this provider says of a refresh token that has died. */
export function deadAnswer({ key, server }: Provider): RecordedAnswer {
  const [first] = dialects[key]?.dead ?? [];
  return first ?? { status: 400, body: { error: server.deadGrantErrors[0] ?? 'invalid_grant' } };
}

async function read(request: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [, origin = '', rest = ''] = /^\/([^/?]+)(.*)$/.exec(request.url ?? '') ?? [];
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]);
  return {
    kind: 'unknown',
    method: request.method ?? '',
    url: decodeURIComponent(origin) + rest,
    headers: Object.fromEntries(headers),
    body: Buffer.concat(chunks).toString(),
  };
}

function send(response: ServerResponse, { status, body, headers }: RecordedAnswer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
}

/** Puts a value at a dotted path. A number in the path is a place in a list. */
function put(into: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let at = into;
  names.forEach((name, index) => {
    const following = names[index + 1] ?? last;
    at[name] ??= /^\d+$/.test(following) ? [] : {};
    at = at[name] as Record<string, unknown>;
  });
  const before = at[last];
  const isMerged = typeof before === 'object' && typeof value === 'object';
  at[last] = isMerged ? { ...before, ...(value as object) } : value;
}
