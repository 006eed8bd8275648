import cluster from 'node:cluster';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';
import type { Redis } from 'ioredis';
import { createWorker } from './background/worker.ts';
import type { Config } from './config.ts';
import { checkSaved } from './connections/check.ts';
import { keepAlive } from './connections/keep-alive.ts';
import { createRefresh } from './connections/refresh.ts';
import { drainOutbox } from './connections/revoke.ts';
import { createMissingKeys, rotateAtStart } from './connections/rotate-keys.ts';
import { createFindForRead, createFindForStatus, deleteExpiredFlows, outboxBacklog } from './connections/store.ts';
import { createWatchStatus } from './connections/status.ts';
import { deleteOldRequests } from './connectors/request.ts';
import { createResolveServer, type ResolveServer } from './connectors/server.ts';
import { developmentKeys } from './crypto/development-keys.ts';
import { type Keyring, parseKeyring } from './crypto/keyring.ts';
import { openDatabase } from './db/client.ts';
import { isDatabaseUnavailable } from './db/unavailable.ts';
import { createDatabaseClock } from './db/clock.ts';
import type { SharedStatusEvents } from './events/redis.ts';
import type { Features } from './graphql/context.ts';
import { rootFieldNames } from './graphql/operation.ts';
import { schema } from './graphql/schema.ts';
import type { GraphiqlTab } from './http/graphiql.ts';
import { createGraphqlYoga } from './http/graphql.ts';
import { createMaskError } from './http/mask-error.ts';
import type { McpRoute } from './http/mcp.ts';
import { observeOperations } from './http/observe-operations.ts';
import { clientAddress, createHttpServer, createRouter, securityHeaders } from './http/server.ts';
import { createTokenReadRoute } from './http/token-read.ts';
import { trustDocuments } from './http/trusted-documents.ts';
import { createWebsocket } from './http/websocket.ts';
import { createIdentify } from './identity/caller.ts';
import { limitFailures } from './identity/limit-failures.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import { createInFlight } from './lib/in-flight.ts';
import { createLogger, type Logger } from './lib/logger.ts';
import { Secret } from './lib/secret.ts';
import { createMetrics } from './observability/metrics.ts';
import { askForSum } from './observability/worker-metrics.ts';
import { startTracing, untraced } from './observability/tracing.ts';
import { StartupError } from './lib/startup-error.ts';
import { UnavailableError } from './lib/unavailable-error.ts';
import { createStatusEvents } from './events/status-events.ts';
import { checkProviderUrl, createProviderFetch, type ProviderFetch, type ProviderFetchPolicy } from './oauth/fetch.ts';
import { tracedFetch } from './oauth/traced-fetch.ts';
import { type ExportAudit, exportAudit } from './workspaces/audit-list.ts';
import { createReadAudit } from './workspaces/audit-reads.ts';
import { createAuditTasks } from './workspaces/audit-seal.ts';
import { createRateLimiter } from './workspaces/rate-limits.ts';
import { originIsKnown } from './workspaces/store.ts';

/** Parts that a test or the demo puts in place of the usual ones. */
export interface Overrides {
  clock?: Clock;
  log?: Logger;
  /** Data directory that the in-memory database starts from. */
  snapshot?: Blob;
  /** An embedded database that is open, and stays so after the stop. */
  pglite?: PGlite;
  /** The tabs that GraphiQL opens with. */
  graphiqlTabs?: () => GraphiqlTab[];
  /** How often idle grants and old audit rows are looked for. */
  sweepMs?: number;
  lookup?: NonNullable<ProviderFetchPolicy['lookup']>;
  /** Stands around what asks providers, and may send a request to another place. */
  aroundProviderFetch?: (fetch: ProviderFetch) => ProviderFetch;
  /** Whether saving a connector has its provider try the settings; so it does unless told otherwise. */
  asksProviderOnSave?: boolean;
  /** How long a refresh waits for its provider now. */
  refreshTimeoutMs?: () => number;
  /** How many sockets of all callers there may be. */
  maxSockets?: number;
  /** Answers for some connectors how to speak to their provider: a catalogue entry's addresses lead out of a test. */
  resolveServer?: (usual: ResolveServer) => ResolveServer;
}

export interface App {
  /** Answers a request without a socket in between. */
  fetch(request: Request): Promise<Response>;
  listen(): Promise<{ url: string }>;
  /**
   * Takes no more connections, lets requests under way finish, and closes everything in reverse. `graceful`: says first for a while
   * that it is not ready, and lets connections that rest be ended from the other side, so that no caller meets a closed one.
   */
  stop(options?: { graceful?: boolean }): Promise<void>;
}

/** After how long a connection that nobody uses is closed. Whoever keeps connections, such as a proxy, must close them earlier. */
const keepAliveMs = 5_000;
/** How long balancers have to see that an instance is about to end. */
const graceMs = 5_000;
const providerTimeoutMs = 10_000;
/** A read that waits for a refresh, which waits for its provider. */
const longestRequestMs = 35_000;
const providerMaxBytes = 256 * 1024;

/**
 * Waits until no connection has come for a turn of the event loop, though not for ever. One is accepted a turn; those that still
 * queue when the listener closes are reset by the kernel, and a proxy does not send a mutation again that it has already written.
 */
async function nobodyWaits(server: NetServer): Promise<void> {
  const until = performance.now() + 1_000;
  let came = true;
  const note = () => {
    came = true;
  };
  server.on('connection', note);
  await turn();
  while (came && performance.now() < until) {
    came = false;
    await turn();
  }
  server.off('connection', note);
}

/** Builds each part once, in order. What production needs is checked by parseConfig. */
export async function createApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const log = overrides.log ?? createLogger(config.logLevel);
  let stopping = false;
  const isStopping = () => stopping;
  let isGraceful = false;
  const closers: (() => unknown)[] = [];

  const tracing = config.tracesEndpoint
    ? await startTracing(config.tracesEndpoint, (err) => log.warn({ err }, 'the collector has not taken traces'))
    : untraced;
  closers.push(() => tracing.stop());
  const database = await openDatabase({
    databaseUrl: config.databaseUrl,
    dataDir: config.dataDir,
    snapshot: overrides.snapshot,
    pglite: overrides.pglite,
  });
  closers.push(database.close);
  const keyring: Keyring = config.keyring ?? parseKeyring(developmentKeys(config.dataDir));
  const { db, runPrepared, pool } = database;
  const sharedClock = config.databaseUrl && !overrides.clock ? await createDatabaseClock(db) : null;
  const clock = overrides.clock ?? sharedClock ?? systemClock;
  const missingKeys = createMissingKeys({ db, keyring, log });
  const metrics = createMetrics({
    operations: rootFieldNames(schema),
    outbox: () => outboxBacklog(db),
    unreadable: () => [...missingKeys.found().values()].reduce((sum, values) => sum + values, 0),
    now: () => clock.now(),
    pool: pool && (() => pool),
  });
  const audit = createAuditTasks({ db, runPrepared, clock, keyring, log }, config.auditRetentionDays);
  const readAudit = createReadAudit({ audit, clock, log });
  closers.push(readAudit.stop);

  const policy: ProviderFetchPolicy = {
    allowedHosts: config.allowedProviderHosts,
    allowLoopback: !config.production,
    timeoutMs: providerTimeoutMs,
    maxBytes: providerMaxBytes,
    ...(overrides.lookup && { lookup: overrides.lookup }),
  };
  const provider = createProviderFetch(policy);
  closers.push(() => provider.close());
  const sent = overrides.aroundProviderFetch?.(provider.fetch) ?? provider.fetch;
  const fetch = tracing === untraced ? sent : tracedFetch(tracing, sent);
  const usualServer = createResolveServer({ fetch, clock });
  const resolveServer = overrides.resolveServer?.(usualServer) ?? usualServer;
  const localEvents = createStatusEvents();
  let redis: SharedStatusEvents | null = null;
  let counting: Redis | null = null;
  if (config.redisUrl) {
    const { publicUrl, redisUrl: url } = config;
    const { openCounting, shareStatusEvents } = await import('./events/redis.ts');
    redis = shareStatusEvents(localEvents, { url, publicUrl, log });
    counting = openCounting(url);
    closers.push(redis.disconnect, () => counting?.disconnect());
  }
  const events = redis ?? localEvents;

  const prefix = `app-user-connectors:${config.publicUrl}`;
  const limits = createRateLimiter(config.rateLimits, counting && { client: counting, prefix });

  const worker = createWorker(log);
  closers.push(worker.stop);
  const { track, drain } = createInFlight();
  closers.push(drain);
  const parts = {
    db,
    clock,
    keyring,
    fetch,
    resolveServer,
    events,
    log,
    metrics,
    tracing,
    wakeWorker: worker.wake,
    track,
  };
  const { refreshTimeoutMs, maxSockets } = overrides;
  const refresh = createRefresh({ ...parts, ...(refreshTimeoutMs && { refreshTimeoutMs }) });
  worker.start({ run: () => drainOutbox(parts), everyMs: 5_000, onWake: true });
  worker.start({ run: () => deleteExpiredFlows(db, clock.now()), everyMs: 60_000 });
  worker.start({ run: () => deleteOldRequests(parts), everyMs: overrides.sweepMs ?? 600_000 });
  worker.start({ run: () => keepAlive({ db, clock, log, refresh }), everyMs: overrides.sweepMs ?? 600_000 });
  worker.start({ run: audit.seal, everyMs: 2_000 });
  worker.start({ run: audit.cut, everyMs: overrides.sweepMs ?? 600_000 });
  if (sharedClock) worker.start({ run: () => sharedClock.sync(), everyMs: 5_000 });

  const background = (work: Promise<unknown>) =>
    void track(work.catch((error: unknown) => log.error({ err: error }, 'background work failed')));
  // the embedded database belongs to this process, so nobody else could do it; what is left when it stops waits for the next start
  if (config.databaseUrl) worker.start({ run: () => missingKeys.look(), everyMs: 3_600_000 });
  else {
    const rotation = new AbortController();
    closers.push(() => rotation.abort());
    background(rotateAtStart({ db, keyring, log, missingKeys, signal: rotation.signal }));
  }

  const { publicUrl, admin, graphiql } = config;
  const features: Features = {
    ...parts,
    limits,
    findForRead: createFindForRead(runPrepared),
    background,
    noteTokenRead(caller, read) {
      metrics.tokenRead(read.outcome);
      readAudit.note(caller, read);
    },
    refresh,
    watchStatus: createWatchStatus({ ...parts, findForStatus: createFindForStatus(runPrepared) }),
    publicUrl,
    defaultPlan: config.defaultPlan,
    checkUrl: (url) => checkProviderUrl(url, policy),
    checkSaved: (connector, asksProvider) =>
      checkSaved({ ...parts, publicUrl }, connector, asksProvider && (overrides.asksProviderOnSave ?? true)),
  };
  const isUnavailable = (error: unknown) => error instanceof UnavailableError || isDatabaseUnavailable(error);
  const operatorKey = config.operatorKey ?? new Secret(crypto.randomUUID());
  const identity = createIdentify({ db, clock, keyring, fetch, operatorKey, admin, publicUrl });
  const { recall } = identity;
  const identify = limitFailures(identity.identify, limits);
  const addressOf = (request: IncomingMessage) => clientAddress(request, config.trustProxy);
  const headers = securityHeaders(publicUrl);
  const trusted = config.trustedDocuments && trustDocuments(config.trustedDocuments);
  const observed = observeOperations({ metrics, isUnavailable, log });
  const maskError = createMaskError({ isUnavailable, log });
  const yoga = createGraphqlYoga({
    trusted,
    features,
    identify,
    observed,
    maskError,
    graphiql,
    graphiqlTabs: overrides.graphiqlTabs ?? (() => []),
  });
  const pings = {
    database: async () => ((await database.pendingMigrations()).length > 0 ? 'migrations pending' : null),
    ...(redis && { redis: () => redis.ping() }),
  };
  const lacks = {
    keys: () => (missingKeys.found().size > 0 ? `missing: ${[...missingKeys.found().keys()].join(', ')}` : null),
  };
  const audited = { identify, exportAudit: (...args: Parameters<ExportAudit>) => exportAudit(parts, ...args) };
  const adminIssuer = admin?.issuer ?? null;
  const mcpDeps = { yoga, features, identify, log, adminIssuer, isOnlyInstance: config.redisUrl === null };
  let mcpRoute: Promise<McpRoute> | undefined;
  const mcp = () => (mcpRoute ??= import('./http/mcp.ts').then(({ createMcpRoute }) => createMcpRoute(mcpDeps)));
  const router = createRouter({
    yoga,
    graphiql,
    connect: features,
    audit: audited,
    base44: { features, identify, isUnavailable },
    mcp,
    connectorRequests: features,
    pings,
    lacks,
    isUnavailable,
    isStopping,
    log,
    headers,
    metricsText: cluster.isWorker ? askForSum(() => metrics.families()) : () => metrics.text(),
  });
  const websocket = createWebsocket({
    yoga,
    observed,
    maskError,
    trusted,
    identify,
    log,
    addressOf,
    metrics,
    tracing,
    originIsKnown: async (origin) => origin === publicUrl || originIsKnown(db, origin),
    ...(maxSockets && { maxSockets }),
  });

  return {
    fetch: (request) => router(request),
    async listen() {
      const tokenReads = createTokenReadRoute({
        yoga,
        trusted,
        identify,
        recall,
        features,
        metrics,
        addressOf,
        headers,
      });
      let isClosing = false;
      const server = createHttpServer({
        router,
        tokenReads,
        websocket,
        log,
        metrics,
        tracing,
        endsConnections: () => isClosing,
        addressOf,
      });
      server.keepAliveTimeout = keepAliveMs;
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => {
          reject(
            new StartupError(
              error.code === 'EADDRINUSE'
                ? `PORT ${config.port} is taken by another process.`
                : `HOST ${config.host} and PORT ${config.port} cannot be listened on (${error.code}).`,
            ),
          );
        });
        server.listen(config.port, config.host, resolve);
      });
      closers.push(async () => {
        if (isGraceful) await nobodyWaits(server);
        isClosing = true;
        // not node:http's own close(), which also ends connections that rest, into which a proxy may just be writing
        const closed = new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
        const impatient = setTimeout(() => server.closeAllConnections(), longestRequestMs);
        events.close();
        await websocket.stop();
        (await mcpRoute)?.stop();
        if (isGraceful) await Promise.race([closed, wait(keepAliveMs, undefined, { ref: false })]);
        server.close();
        // a connection that was busy when closing began is kept alive after its answer
        const idle = setInterval(() => server.closeIdleConnections(), 100);
        await closed;
        clearTimeout(impatient);
        clearInterval(idle);
      });
      return { url: `http://localhost:${(server.address() as AddressInfo).port}` };
    },
    async stop({ graceful = false } = {}) {
      stopping = true;
      isGraceful = graceful;
      if (graceful) await wait(graceMs);
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}
