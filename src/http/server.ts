import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServerAdapter } from '@whatwg-node/server';
import type { ConnectDeps } from '../connections/connect.ts';
import { type RequestDeps, requestPath } from '../connectors/request.ts';
import type { Logger } from '../lib/logger.ts';
import { parseUrl } from '../lib/parse-url.ts';
import { attributesOf, beginExchange, type Exchange } from '../observability/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Tracing } from '../observability/tracing.ts';
import { type AuditExportDeps, auditExport } from './audit-export.ts';
import { base44Compat, type Base44Deps, base44Path } from './base44-compat.ts';
import { connectorRequest } from './connector-request.ts';
import type { McpRoute } from './mcp.ts';
import { noting } from './note-caller.ts';
import { limitBody, refuseGraphqlRequest, type Yoga } from './graphql.ts';
import { healthz, type Lacks, type Pings, readyz, unavailableSentence } from './health.ts';
import { metricsRoute } from './metrics.ts';
import { oauthCallback } from './oauth-callback.ts';
import type { TokenReadRoute } from './token-read.ts';
import type { Websocket } from './websocket.ts';

export interface RouterDeps {
  yoga: Yoga;
  graphiql: boolean;
  connect: ConnectDeps;
  audit: AuditExportDeps;
  base44: Base44Deps;
  /** Opened when it is first called: many services never are, and its SDK takes long to load. */
  mcp: () => Promise<McpRoute>;
  connectorRequests: RequestDeps;
  /** Asks each part that the service needs whether it is there. */
  pings: Pings;
  lacks: Lacks;
  /** Whether an error only says that something the service needs does not answer for the moment. */
  isUnavailable: (error: unknown) => boolean;
  /** Whether the service is about to end. */
  isStopping: () => boolean;
  log: Logger;
  /** What a scrape is answered. */
  metricsText: Metrics['text'];
  /** What every answer carries that does not say otherwise. */
  headers: Readonly<Record<string, string>>;
}

const callback = /^\/api\/external-auth\/callback(\/[A-Za-z0-9_.-]{1,200})?$/;

const consolePath = /^\/console(?:\/([0-9a-f]{16})\/([A-Za-z-]+\.(?:js|css|json)))?$/;

const mcpPath = '/mcp';
/** RFC 9728. */
const resourceMetadataPath = /^\/\.well-known\/oauth-protected-resource(?:\/mcp)?$/;

const auditPath = /^\/api\/workspaces\/([A-Za-z0-9_.-]{1,200})\/audit\.ndjson$/;

/** Answers a request that came from an address, and of which an exchange is told, where they are known. */
export type Router = (request: Request, address?: string | null, exchange?: Exchange) => Promise<Response>;

/** Every route, as one function of a request. A bug is logged here, once, and answered with 500. */
export function createRouter(deps: RouterDeps): Router {
  async function graphql(request: Request, address: string | null, exchange?: Exchange): Promise<Response> {
    const refusal = refuseGraphqlRequest(request, deps.graphiql);
    if (refusal) return refusal;
    const limited = await limitBody(request);
    return limited instanceof Response ? limited : deps.yoga.fetch(limited, { address, ...(exchange && { exchange }) });
  }

  async function route(request: Request, address: string | null, exchange?: Exchange): Promise<Response> {
    const pathname = parseUrl(request.url)?.pathname;
    if (pathname === undefined) return new Response('Bad Request', { status: 400 }); // a malformed Host header
    if (pathname === '/graphql') return graphql(request, address, exchange);
    if (callback.test(pathname)) return oauthCallback(deps.connect, request, address);
    if (pathname === mcpPath) return (await deps.mcp()).handle(request, address, exchange);
    if (pathname === requestPath) return connectorRequest(deps.connectorRequests, request);
    if (resourceMetadataPath.test(pathname)) return (await deps.mcp()).metadata();
    const audited = auditPath.exec(pathname)?.[1];
    if (audited !== undefined)
      return auditExport({ ...deps.audit, ...noting(deps.audit, exchange) }, request, audited, address);
    const [, appId, call] = base44Path.exec(pathname) ?? [];
    if (appId !== undefined && call !== undefined)
      return base44Compat({ ...deps.base44, ...noting(deps.base44, exchange) }, request, {
        appId,
        path: call,
        address,
      });
    const console = consolePath.exec(pathname);
    if (console) {
      const { adminConsole } = await import('./console.ts'); // megabytes, which few services serve
      return adminConsole(request, console[1], console[2]);
    }
    if (pathname === '/healthz') return healthz();
    if (pathname === '/readyz') return readyz(deps);
    if (pathname === '/metrics') return metricsRoute(deps.metricsText, request);
    if (pathname === '/' && deps.graphiql)
      return new Response(null, { status: 302, headers: { Location: '/graphql' } });
    return new Response('Not Found', { status: 404 });
  }
  async function answer(request: Request, address: string | null, exchange?: Exchange): Promise<Response> {
    try {
      return await route(request, address, exchange);
    } catch (error) {
      // the caller went away: nobody is there to answer, and nothing is wrong here
      if (request.signal.aborted && (error as Error).name === 'AbortError') return new Response(null, { status: 499 });
      deps.log.error({ err: error, requestId: exchange?.requestId }, 'a request failed');
      if (deps.isUnavailable(error)) {
        return new Response(unavailableSentence(error), { status: 503, headers: { 'Retry-After': '5' } });
      }
      return new Response('Internal Server Error', { status: 500 });
    }
  }
  return async (request, address = null, exchange) => {
    const response = await answer(request, address, exchange);
    for (const [name, value] of Object.entries(deps.headers))
      if (!response.headers.has(name)) response.headers.set(name, value);
    return response;
  };
}

/** What every answer carries: it is what it says it is, stands in no frame, and its address is told to nobody. */
export function securityHeaders(publicUrl: string): Record<string, string> {
  return {
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "frame-ancestors 'none'",
    ...(publicUrl.startsWith('https:') && { 'Strict-Transport-Security': 'max-age=31536000' }),
  };
}

/** How long a client may take to send a request's head, and all of it; and how long the head may be. */
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const maxHeaderBytes = 32 * 1024;

/** Serves the routes and the WebSocket over node:http, with one log line a request. */
export function createHttpServer(deps: {
  router: Router;
  tokenReads: TokenReadRoute;
  websocket: Websocket;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  addressOf: (request: IncomingMessage) => string | null;
  /** Whether each connection is to end with its next answer. */
  endsConnections: () => boolean;
}): Server {
  const { websocket } = deps;
  const adapter = createServerAdapter<{ req?: IncomingMessage; exchange?: Exchange }>((request, { req, exchange }) =>
    deps.router(request, req ? deps.addressOf(req) : null, exchange),
  );
  const answer = async (request: IncomingMessage, response: ServerResponse, exchange: Exchange) => {
    const passed = await deps.tokenReads(request, response, exchange);
    if (!passed) return;
    response.setHeader('X-Request-Id', exchange.requestId);
    await adapter.handle(passed, response, { exchange });
  };
  const timeouts = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: maxHeaderBytes,
  };
  const server = createServer(timeouts, (request, response) => {
    const exchange = beginExchange(request.headers['x-request-id']);
    const { traceparent } = request.headers;
    const from = typeof traceparent === 'string' ? { traceparent } : {};
    const span = deps.tracing.begin('request', { kind: 'server', ...from });
    response.on('close', () => {
      const path = pathOf(request); // without the query, which may hold a code
      const route = routeOf(path);
      const { statusCode: status } = response;
      const { requestId, startedAt, operation, caller, outcome } = exchange;
      deps.metrics.httpRequest(route, status, exchange);
      const { method } = request;
      if (span.traceId !== null) {
        const told = { 'http.request.method': method, 'http.route': route, 'http.response.status_code': status };
        span.end({ ...told, ...attributesOf(exchange) }, status >= 500 ? String(status) : undefined);
      }
      if (!deps.log.isLevelEnabled('info')) return;
      const ms = Math.round(performance.now() - startedAt);
      const ip = deps.addressOf(request);
      const traced = span.traceId !== null && { traceId: span.traceId };
      deps.log.info({ method, path, operation, caller, outcome, status, ms, ip, requestId, ...traced }, 'request');
    });
    if (deps.endsConnections()) response.setHeader('Connection', 'close');
    void span.run(() => answer(request, response, exchange));
  });
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request) === '/graphql') websocket.upgrade(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  return server;
}

/** The name that a path's requests are counted under: paths themselves hold ids, and anything that callers make up. */
function routeOf(path: string): string {
  if (path === '/graphql') return 'graphql';
  if (base44Path.test(path)) return 'base44';
  if (callback.test(path)) return 'callback';
  if (auditPath.test(path)) return 'audit';
  if (consolePath.test(path)) return 'console';
  if (path === mcpPath) return 'mcp';
  return path === '/healthz' || path === '/readyz' || path === '/metrics' ? path.slice(1) : 'other';
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?')[0] ?? '';
}

/** Who is behind the given number of our own proxies: each appends the address it was called from to X-Forwarded-For. */
export function clientAddress(request: IncomingMessage, trustProxy: number): string | null {
  const forwarded = trustProxy > 0 && request.headers['x-forwarded-for'];
  return (forwarded && String(forwarded).split(',').at(-trustProxy)?.trim()) || (request.socket.remoteAddress ?? null);
}
