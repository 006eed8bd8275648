import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { type ElicitResult, InitializeRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import { LRUCache } from 'lru-cache';
import type { RequestDeps } from '../connectors/request.ts';
import type { Credentials } from '../identity/caller.ts';
import type { DomainError } from '../lib/domain-error.ts';
import type { Logger } from '../lib/logger.ts';
import { createMcpServer } from '../mcp/server.ts';
import type { AskPerson, GraphqlAnswer, ToolContext } from '../mcp/tool.ts';
import type { Caller } from '../workspaces/caller.ts';
import { ForbiddenError, RateLimitedError } from '../workspaces/errors.ts';
import type { Exchange } from '../observability/exchange.ts';
import { readBody } from './body.ts';
import { noting } from './note-caller.ts';
import type { Yoga } from './graphql.ts';

export interface McpDeps {
  yoga: Yoga;
  features: RequestDeps;
  identify: (credentials: Credentials) => Promise<Caller>;
  log: Logger;
  /** Who issues people's tokens; null where only workspace keys are known. */
  adminIssuer: string | null;
  /** Whether a person's answer comes back to this very process: only then can one be waited for. */
  isOnlyInstance: boolean;
}

export interface McpRoute {
  handle: (request: Request, address: string | null, exchange?: Exchange) => Promise<Response>;
  /** RFC 9728: where a client finds out how to sign in. */
  metadata: () => Response;
  /** Ends what waits for a person's answer. */
  stop: () => void;
}

const longestBodyBytes = 256 * 1024;
const maxSessions = 1000;
const sessionIdleMs = 30 * 60_000;
/** For how long a person may think about a question in the chat. */
const answerMs = 5 * 60_000;

/** Somebody to whom tools answer, as one request showed them. */
interface Visitor {
  caller: Caller;
  authorization: string;
  /** Where the request came from, where that is known. */
  address: string | null;
  userAgent: string | null;
}

/** A client whose person can be asked: the answer comes with a request of its own, and has to find the call that waits for it. */
interface Session {
  transport: WebStandardStreamableHTTPServerTransport;
  /** Whose it is: a person's token may be renewed meanwhile. */
  owner: string;
}

/**
 * `/mcp`, Streamable HTTP. Each request stands alone and is answered as JSON, but for clients that can ask their person something:
 * those have a session in this process. There is no stream to listen to, since nothing is told unasked.
 */
export function createMcpRoute(deps: McpDeps): McpRoute {
  const { publicUrl } = deps.features;
  const sessions = new LRUCache<string, Session>({
    max: maxSessions,
    ttl: sessionIdleMs,
    updateAgeOnGet: true,
    dispose: ({ transport }) => void transport.close(),
  });
  const metadataUrl = `${publicUrl}/.well-known/oauth-protected-resource/mcp`;

  async function handle(request: Request, address: string | null, exchange?: Exchange): Promise<Response> {
    // a page of another site has no business here, nor has one whose name was pointed at this machine (DNS rebinding)
    const origin = request.headers.get('origin');
    if (origin !== null && origin !== publicUrl) {
      return refusal(403, new ForbiddenError('Pages of other origins cannot call this.'));
    }
    const visitor = await welcome(request, address, noting(deps, exchange));
    if (visitor instanceof Response) return visitor;
    if (request.method !== 'POST' && request.method !== 'DELETE') {
      return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'POST, DELETE' } });
    }
    const body = await readBody(request, longestBodyBytes);
    if (body === null) return new Response('Content Too Large', { status: 413, headers: { Connection: 'close' } });
    const again = new Request(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.method === 'POST' && { body }),
    });
    return dispatch(again, parsed(body), visitor);
  }

  /** Whoever calls, where they may at all; else the answer that says how. */
  async function welcome(
    request: Request,
    address: string | null,
    { identify }: Pick<McpDeps, 'identify'>,
  ): Promise<Visitor | Response> {
    const authorization = request.headers.get('authorization');
    const caller = await identify({ authorization, appId: null, onBehalfOf: null, origin: null, address });
    if (caller.kind === 'anonymous' && caller.error instanceof RateLimitedError) {
      return refusal(429, caller.error, { 'Retry-After': String(caller.error.retryAfterSeconds) });
    }
    if (caller.kind === 'anonymous') {
      const isInvalid = authorization !== null ? ['error="invalid_token"'] : [];
      const parameters = [...isInvalid, ...(deps.adminIssuer ? [`resource_metadata="${metadataUrl}"`] : [])];
      const challenge = `Bearer ${['realm="mcp"', ...parameters].join(', ')}`;
      return refusal(401, caller.error, { 'WWW-Authenticate': challenge });
    }
    if (caller.kind !== 'member' && caller.kind !== 'operator') {
      return refusal(403, new ForbiddenError('This is for members of a workspace: call with a workspace key.'));
    }
    return { caller, authorization: authorization ?? '', address, userAgent: request.headers.get('user-agent') };
  }

  async function dispatch(request: Request, body: unknown, visitor: Visitor): Promise<Response> {
    const authInfo = { token: '', clientId: '', scopes: [], extra: { visitor } };
    const options = { authInfo, ...(body !== undefined && { parsedBody: body }) };
    const owner = ownerOf(visitor.caller);
    const sessionId = request.headers.get('mcp-session-id');
    if (sessionId !== null) {
      const session = sessions.get(sessionId);
      // a session of somebody else's is none
      if (session?.owner !== owner) return protocolError(404, -32001, 'Session not found');
      return session.transport.handleRequest(request, options);
    }
    if (request.method === 'DELETE')
      return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'POST' } });
    const initialize = InitializeRequestSchema.safeParse(body);
    const canAsk = initialize.success && initialize.data.params.capabilities.elicitation !== undefined;
    if (canAsk && deps.isOnlyInstance) {
      const { transport, server } = serve({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, { transport, owner }),
        onsessionclosed: (id) => void sessions.delete(id),
      });
      await server.connect(transport);
      return transport.handleRequest(request, options);
    }
    const { transport, server } = serve({ enableJsonResponse: true });
    await server.connect(transport);
    return transport.handleRequest(request, options);
  }

  function serve(options: ConstructorParameters<typeof WebStandardStreamableHTTPServerTransport>[0]) {
    const transport = new WebStandardStreamableHTTPServerTransport(options);
    const server: McpServer = createMcpServer(({ requestId, authInfo }) => {
      const { visitor } = (authInfo as { extra: { visitor: Visitor } }).extra;
      return toolContext(server, visitor, requestId);
    });
    return { transport, server };
  }

  function toolContext(
    server: McpServer,
    { caller, authorization, address, userAgent }: Visitor,
    requestId: string | number,
  ): ToolContext {
    // only a session has heard the client introduce itself
    const name = server.server.getClientVersion()?.name ?? userAgent ?? 'an assistant';
    const named = name.slice(0, 100).replaceAll(/[\p{Cc}\p{Cs}]/gu, '');
    return {
      assistant: named,
      caller: caller.kind === 'member' ? { ...caller, assistant: named } : caller,
      features: deps.features,
      ask: askThrough(server, requestId),
      onBug: (error) => deps.log.error({ err: error }, 'a tool failed'),
      async graphql(query, variables) {
        const request = new Request(`${publicUrl}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization },
          body: JSON.stringify({ query, variables }),
        });
        const response = await deps.yoga.fetch(request, { assistant: named, address });
        return (await response.json()) as GraphqlAnswer;
      },
    };
  }

  return {
    handle,
    metadata() {
      if (!deps.adminIssuer) return new Response('Not Found', { status: 404 });
      return Response.json({
        resource: `${publicUrl}/mcp`,
        authorization_servers: [deps.adminIssuer],
        bearer_methods_supported: ['header'],
        resource_name: 'App User Connectors',
      });
    },
    stop() {
      sessions.clear();
    },
  };
}

const ownerOf = (caller: Caller) => (caller.kind === 'member' ? `member ${caller.subject}` : caller.kind);

function askThrough({ server }: McpServer, relatedRequestId: string | number): AskPerson {
  const { elicitation } = server.getClientCapabilities() ?? {};
  const options = { relatedRequestId, timeout: answerMs };
  return {
    choose:
      elicitation?.form === undefined
        ? null
        : async (message, { title, options: oneOf }) => {
            const requestedSchema = {
              type: 'object' as const,
              properties: { answer: { type: 'string' as const, title, oneOf } },
              required: ['answer'],
            };
            const { action, content } =
              (await asked(server.elicitInput({ mode: 'form', message, requestedSchema }, options))) ?? {};
            return action === 'accept' && typeof content?.answer === 'string' ? content.answer : null;
          },
    open:
      elicitation?.url === undefined
        ? null
        : async (message, url, elicitationId) => {
            const answered = await asked(server.elicitInput({ mode: 'url', message, url, elicitationId }, options));
            return answered && answered.action === 'accept';
          },
  };
}

/** Null where the client failed to ask, or nobody answered in time. */
async function asked(answer: Promise<ElicitResult>): Promise<ElicitResult | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof McpError) return null;
    throw error;
  }
}

/** Undefined where it is no JSON: the transport says so in the protocol's own words. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

function protocolError(
  status: number,
  code: number,
  message: string,
  data?: object,
  headers: HeadersInit = {},
): Response {
  const error = { code, message, ...(data && { data }) };
  return Response.json({ jsonrpc: '2.0', id: null, error }, { status, headers });
}

/** Not let in: an error of the protocol, with our own code and remedy in it. */
function refusal(status: number, error: DomainError, headers: HeadersInit = {}): Response {
  const { code, message, remedy } = error;
  return protocolError(status, -32001, message, { code, message, remedy }, headers);
}
