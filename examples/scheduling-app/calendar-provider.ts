import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type * as OidcProviderModule from 'oidc-provider';
import type { ClientAuthMethod, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { parseUrl } from '../../src/lib/parse-url.ts';
import { CALENDAR } from './calendar-data.ts';
import {
  accessPage,
  chooseAccountPage,
  consentPage,
  type GrantSummary,
  providerErrorPage,
  registerPage,
} from './calendar-pages.ts';
import { createMemoryStore, type MemoryStore } from './memory-adapter.ts';
import type { ProviderService } from './provider-service.ts';

export interface CalendarClient {
  clientId: string;
  clientSecret: string;
}

export interface CalendarClientRegistration {
  name: string;
  redirectUris: readonly string[];
  clientId?: string;
  clientSecret?: string;
  authentication?: Extract<ClientAuthMethod, 'client_secret_post' | 'client_secret_basic' | 'none'>;
  /** What the client may ask for; everything unless given. */
  scopes?: readonly string[];
}

export interface CalendarProviderOptions {
  /** A calendar unless given. */
  service?: ProviderService;
  /** 0 takes any free port. */
  port: number;
  /** Clients known from the start. Without any, one is registered that has no redirect URI yet. */
  clients?: readonly CalendarClientRegistration[];
  /** How long an access token lives. Short, so that refreshing is seen. */
  accessTokenSeconds?: number;
  /** How its API tells "today". */
  now?: () => Date;
}

/** How often each thing was handled since the start, whatever the answer. What a wrapper answers by itself is not here. */
export interface CalendarProviderCounts {
  authorization_code: number;
  refresh_token: number;
  revocation: number;
  userinfo: number;
  /** What was asked of its API. */
  events: number;
}

/** Runs around every request: answer by yourself, wait before or after `next()`, or break `ctx.res`. */
export type AroundRequest = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>;

/** What the browser is sent back with. */
export interface RefusedAccount {
  error: string;
  error_description: string;
}

export interface CalendarProvider extends CalendarClient {
  issuer: string;
  url: string;
  /** Its API: the events of a calendar. */
  eventsUrl: string;
  counts: CalendarProviderCounts;
  /** Registers an OAuth client, as a developer does in a provider's console. */
  registerClient: (registration: CalendarClientRegistration) => CalendarClient;
  /** Adds redirect URIs to a registered client (the first one, unless named). */
  allowRedirectUris: (redirectUris: readonly string[], clientId?: string) => void;
  /** Gives a client another secret; the old one is refused from then on. */
  changeClientSecret: (clientSecret: string, clientId?: string) => void;
  /** The grants that live now, oldest first: one per consent. */
  grants: () => GrantSummary[];
  /** Withdraws one grant with all its tokens, as the account's owner does in the provider's settings. */
  revokeGrant: (grantId: string) => boolean;
  /** Lets an account use no OAuth app, as in testing mode or by an administrator's policy: its consent ends with this answer. */
  refuseAccount: (accountId: string, answer: RefusedAccount) => void;
  setAccessTokenSeconds: (seconds: number) => void;
  /** Puts one function around every request until the answer is called. */
  around: (handler: AroundRequest) => () => void;
  stop: () => Promise<void>;
}

/**
 * A local OAuth 2 and OpenID provider with a small API, a calendar's or another `service`'s, for the demo and for tests. Everything is in memory.
 * PKCE (S256) is required, refresh tokens rotate, and a used one that comes back ends its grant.
 */
export async function startCalendarProvider(options: CalendarProviderOptions): Promise<CalendarProvider> {
  const now = options.now ?? (() => new Date());
  const service = options.service ?? CALENDAR;
  const store = createMemoryStore();
  const counts: CalendarProviderCounts = {
    authorization_code: 0,
    refresh_token: 0,
    revocation: 0,
    userinfo: 0,
    events: 0,
  };
  let accessTokenSeconds = options.accessTokenSeconds ?? 30;
  const wrappers = new Set<AroundRequest>();
  const refusedAccounts = new Map<string, RefusedAccount>();

  // The issuer's name contains the port, so the port has to be taken first.
  const server = createServer();
  await listen(server, options.port);
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;

  const registerClient = (registration: CalendarClientRegistration): CalendarClient => {
    const clientId = registration.clientId ?? `${service.key}-${randomBytes(6).toString('hex')}`;
    const clientSecret = registration.clientSecret ?? randomBytes(24).toString('base64url');
    const authentication = registration.authentication ?? 'client_secret_post';
    store.put('Client', clientId, {
      client_id: clientId,
      ...(authentication === 'none' ? {} : { client_secret: clientSecret }),
      client_name: registration.name,
      // A client has at least one; this one leads nowhere.
      redirect_uris: registration.redirectUris.length > 0 ? [...registration.redirectUris] : [`${issuer}/unregistered`],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: authentication,
      ...(registration.scopes ? { scope: registration.scopes.join(' ') } : {}),
      id_token_signed_response_alg: 'ES256',
    });
    return { clientId, clientSecret };
  };

  const clients = options.clients?.length ? options.clients : [{ name: 'Calendar client', redirectUris: [] }];
  const [firstClient] = clients.map(registerClient);
  if (!firstClient) throw new Error('The calendar provider has no client.');

  const changeClient = (clientId: string, change: (client: Record<string, unknown>) => object): void => {
    const client = store.get('Client', clientId);
    if (!client) throw new Error(`No client ${clientId} is registered.`);
    store.put('Client', clientId, { ...client, ...change({ ...client }) });
  };

  const provider = await createProvider(service, issuer, store, () => accessTokenSeconds);
  const listGrants = (): GrantSummary[] =>
    store.list('Grant').flatMap(({ id }) => summarizeGrant(service, store, id) ?? []);

  provider.use(async (ctx, next) => {
    let run = next;
    for (const wrapper of wrappers) {
      const inner = run;
      run = () => wrapper(ctx as KoaContextWithOIDC, inner);
    }
    await run();
  });
  provider.use(async (ctx, next) => {
    forgetSession(service, ctx as KoaContextWithOIDC);
    await next();
    count(service, ctx as KoaContextWithOIDC, counts);
  });
  provider.use(async (ctx, next) => {
    const context = ctx as KoaContextWithOIDC;
    if (ctx.path === service.api.path && ctx.method === 'GET') return answerApi(service, provider, context, now());
    if (ctx.path === '/' && ctx.method === 'GET') return html(context, accessPage(service, listGrants()));
    if (ctx.path === '/revoke' && ctx.method === 'POST') {
      store.revokeGrant((await readForm(context)).get('grant') ?? '');
      return seeOther(context, '/');
    }
    if (ctx.path === '/apps' && ctx.method === 'GET') return html(context, registerPage(service, null));
    if (ctx.path === '/apps' && ctx.method === 'POST') {
      const form = await readForm(context);
      const redirectUris = (form.get('redirect_uris') ?? '').split(/\s+/).filter((uri) => uri !== '');
      if (redirectUris.length === 0 || !redirectUris.every((uri) => parseUrl(uri))) {
        ctx.status = 400;
        const description = 'Enter at least one redirect URI, each whole and on a line of its own.';
        return html(context, providerErrorPage(service, 'invalid_redirect_uri', description));
      }
      return html(context, registerPage(service, registerClient({ name: form.get('name') || 'An app', redirectUris })));
    }
    if (ctx.path.startsWith('/interaction/')) return interact(service, provider, context, refusedAccounts);
    await next();
  });
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));

  return {
    ...firstClient,
    issuer,
    url: issuer,
    eventsUrl: `${issuer}${service.api.path}`,
    counts,
    registerClient,
    allowRedirectUris: (redirectUris, clientId = firstClient.clientId) =>
      changeClient(clientId, ({ redirect_uris: known }) => ({
        redirect_uris: [...new Set([...(known as string[]), ...redirectUris])],
      })),
    changeClientSecret: (clientSecret, clientId = firstClient.clientId) =>
      changeClient(clientId, () => ({ client_secret: clientSecret })),
    grants: listGrants,
    revokeGrant: store.revokeGrant,
    refuseAccount: (accountId, answer) => void refusedAccounts.set(accountId, answer),
    setAccessTokenSeconds(seconds) {
      accessTokenSeconds = seconds;
    },
    around(handler) {
      wrappers.add(handler);
      return () => wrappers.delete(handler);
    },
    stop: () => close(server),
  };
}

async function createProvider(
  service: ProviderService,
  issuer: string,
  store: MemoryStore,
  accessTokenSeconds: () => number,
): Promise<Provider> {
  const { Provider: OidcProvider } = await importOidcProvider();
  const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

  const provider = new OidcProvider(issuer, {
    adapter: store.adapter,
    jwks: { keys: [{ ...signingKey, kty: 'EC', alg: 'ES256', use: 'sig', kid: service.key }] },
    cookies: {
      // Cookies do not know ports: beside another server on localhost the usual names would be taken.
      names: {
        session: sessionCookie(service),
        interaction: `${service.key}_interaction`,
        resume: `${service.key}_resume`,
      },
      keys: [randomBytes(32).toString('base64url')],
    },
    scopes: Object.keys(service.scopes),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: true },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    // A grant is never used twice, so that every connection stands on one of its own.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId ? ctx.oidc.provider.Grant.find(grantId) : undefined;
    },
    ttl: {
      AccessToken: () => accessTokenSeconds(),
      AuthorizationCode: 60,
      Grant: 30 * 24 * 3600,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 30 * 24 * 3600,
      Session: 600,
    },
    clientBasedCORS: () => false,
    findAccount: (_ctx, id) => {
      const account = service.accounts.find((candidate) => candidate.id === id);
      if (!account) return undefined;
      const { email, name } = account;
      return { accountId: id, claims: () => ({ sub: id, email, email_verified: true, name }) };
    },
    renderError: (ctx, { error, error_description }) =>
      html(ctx, providerErrorPage(service, error, error_description ?? 'The provider refused the request.')),
  });
  provider.on('server_error', (_ctx, error) => console.error(`${service.title}:`, error));
  return provider;
}

/**
 * oidc-provider supports Node 22 and says so when it is imported on Node 20. What is used of it here runs on 20.19 too,
 * given `URL.parse`, which came to Node 20 late.
 */
async function importOidcProvider(): Promise<typeof OidcProviderModule> {
  const urls = URL as unknown as { parse?: typeof parseUrl };
  urls.parse ??= parseUrl;

  const { warn } = console;
  console.warn = (...values: unknown[]) => {
    if (!String(values[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...values);
  };
  try {
    return await import('oidc-provider');
  } finally {
    console.warn = warn;
  }
}

function sessionCookie({ key }: ProviderService): string {
  return `${key}_session`;
}

/**
 * Every authorization asks for the account again and starts from nothing: two flows side by side in one browser do not
 * disturb each other, and whoever shares a browser can choose another account.
 */
function forgetSession(service: ProviderService, ctx: KoaContextWithOIDC): void {
  const cookies = ctx.req.headers.cookie?.split('; ').filter((cookie) => !cookie.startsWith(sessionCookie(service)));
  if (cookies) ctx.req.headers.cookie = cookies.join('; ');

  // The specification lets a provider drop offline_access unless consent is asked for. Here it always is.
  if (ctx.path === '/auth' && String(ctx.query['scope']).includes('offline_access')) {
    ctx.query = { ...ctx.query, prompt: 'consent' };
  }
}

function count(service: ProviderService, ctx: KoaContextWithOIDC, counts: CalendarProviderCounts): void {
  if (ctx.path === service.api.path) counts.events += 1;
  else if (ctx.path === '/token/revocation') counts.revocation += 1;
  else if (ctx.path === '/me') counts.userinfo += 1;
  else if (ctx.path === '/token') {
    const grantType = ctx.oidc?.body?.['grant_type'];
    if (grantType === 'authorization_code' || grantType === 'refresh_token') counts[grantType] += 1;
  }
}

/** Choose the account, then allow or deny. Two plain forms; a client that posts both answers at once is served too. */
async function interact(
  service: ProviderService,
  provider: Provider,
  ctx: KoaContextWithOIDC,
  refusedAccounts: ReadonlyMap<string, RefusedAccount>,
): Promise<void> {
  const interaction = await provider.interactionDetails(ctx.req, ctx.res).catch(() => undefined);
  if (!interaction) {
    html(
      ctx,
      providerErrorPage(service, 'invalid_request', 'This sign-in has expired. Go back to the app and begin again.'),
    );
    ctx.status = 400;
    return;
  }
  const { params } = interaction;
  const { client_id: clientId, scope = 'openid' } = params as { client_id: string; scope?: string };
  const clientName = (await provider.Client.find(clientId))?.clientName ?? clientId;
  const known = scope.split(' ').filter((name) => name in service.scopes);

  const form = ctx.method === 'POST' ? await readForm(ctx) : new URLSearchParams();
  const account = service.accounts.find(({ id }) => id === form.get('account'));
  const decision = form.get('decision');

  if (decision === 'deny') {
    const result = { error: 'access_denied', error_description: 'The account holder denied access.' };
    return seeOther(ctx, await provider.interactionResult(ctx.req, ctx.res, result));
  }
  if (!account) return html(ctx, chooseAccountPage(service, clientName));
  const refusal = refusedAccounts.get(account.id);
  if (refusal) return seeOther(ctx, await provider.interactionResult(ctx.req, ctx.res, { ...refusal }));
  if (decision !== 'allow') return html(ctx, consentPage(service, clientName, account, known));

  const ticked = form.get('scope_choice') === 'listed' ? new Set(['openid', ...form.getAll('scope')]) : new Set(known);
  const grant = new provider.Grant({ accountId: account.id, clientId });
  grant.addOIDCScope(known.filter((name) => ticked.has(name)).join(' '));
  grant.rejectOIDCScope(known.filter((name) => !ticked.has(name)).join(' '));
  const result = { login: { accountId: account.id, remember: false }, consent: { grantId: await grant.save() } };
  return seeOther(ctx, await provider.interactionResult(ctx.req, ctx.res, result));
}

/** The API: `Authorization: Bearer <access token>` with its scope (RFC 6750). */
async function answerApi(
  { accounts, api }: ProviderService,
  provider: Provider,
  ctx: KoaContextWithOIDC,
  now: Date,
): Promise<void> {
  const refuse = (status: 401 | 403, error: string, sentence: string): void => {
    ctx.status = status;
    ctx.set('WWW-Authenticate', `Bearer error="${error}", error_description="${sentence}"`);
    ctx.body = { error, error_description: sentence };
  };
  ctx.set('Cache-Control', 'no-store');

  const value = /^Bearer (.+)$/i.exec(ctx.get('Authorization'))?.[1];
  const token = value ? await provider.AccessToken.find(value) : undefined;
  if (!token?.isValid) return refuse(401, 'invalid_token', 'The access token is missing, expired or revoked.');
  if (!token.scopes.has(api.scope)) return refuse(403, 'insufficient_scope', `The scope ${api.scope} is missing.`);

  const account = accounts.find(({ id }) => id === token.accountId);
  ctx.body = { account: account?.email ?? null, [api.resource]: api.itemsOf(token.accountId, now) };
}

function summarizeGrant(service: ProviderService, store: MemoryStore, id: string): GrantSummary | undefined {
  const grant = store.get('Grant', id) as
    | { accountId: string; clientId: string; iat: number; openid?: { scope?: string } }
    | undefined;
  const account = service.accounts.find((candidate) => candidate.id === grant?.accountId);
  if (!grant || !account) return undefined;
  return {
    id,
    clientName: store.get('Client', grant.clientId)?.client_name ?? grant.clientId,
    account,
    scopes: (grant.openid?.scope ?? '').split(' ').filter(Boolean),
    since: new Date(grant.iat * 1000),
  };
}

async function readForm(ctx: KoaContextWithOIDC): Promise<URLSearchParams> {
  let body = '';
  for await (const chunk of ctx.req.setEncoding('utf8')) {
    body += chunk;
    if (body.length > 10_000) ctx.throw(413);
  }
  return new URLSearchParams(body);
}

function html(ctx: Pick<KoaContextWithOIDC, 'type' | 'body' | 'set'>, body: string): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.type = 'html';
  ctx.body = body;
}

function seeOther(ctx: KoaContextWithOIDC, location: string): void {
  ctx.status = 303;
  ctx.redirect(location);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
