import type { ExecutionResult } from 'graphql';
import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { FlowCookie } from '../connections/connect.ts';
import type { Features, GraphqlContext } from '../graphql/context.ts';
import { parseWithinLimits } from '../graphql/limits.ts';
import { checkPaging } from '../graphql/paging.ts';
import { schema } from '../graphql/schema.ts';
import type { Credentials } from '../identity/caller.ts';
import { beginExchange, type Exchange } from '../observability/exchange.ts';
import { type Caller, callerKind } from '../workspaces/caller.ts';
import { readBody } from './body.ts';
import { setCookieHeader } from './cookies.ts';
import { graphiqlOptions, graphiqlPage, graphiqlPolicy, type GraphiqlTab } from './graphiql.ts';
import type { MaskError } from './mask-error.ts';
import type { ObservedOperations } from './observe-operations.ts';
import { trustOnly, type TrustedDocuments } from './trusted-documents.ts';

export interface GraphqlRouteDeps {
  features: Features;
  identify: (credentials: Credentials) => Promise<Caller>;
  observed: ObservedOperations;
  maskError: MaskError;
  /** Null: every document is answered. */
  trusted: TrustedDocuments | null;
  graphiql: boolean;
  /** Asked at every load of the page. */
  graphiqlTabs: () => GraphiqlTab[];
}

/** What a WebSocket operation brings along, since it has no request of its own: what the socket's peer showed. */
export interface SocketContext {
  socket: Credentials;
}

/** What a request over HTTP brings along besides itself. */
export interface RequestContext {
  address: string | null;
  /** What is told of it, where somebody does. */
  exchange?: Exchange;
}

/** What an operation brings along that an assistant asks for. */
export interface AssistantContext {
  /** What it calls itself. */
  assistant: string;
}

type ServerContext = Partial<SocketContext & RequestContext & AssistantContext>;

export type Yoga = YogaServerInstance<ServerContext, GraphqlContext>;

/** Yoga with this schema: POST application/json, SSE, and GraphiQL for a browser. */
export function createGraphqlYoga(deps: GraphqlRouteDeps): Yoga {
  const cookies = new WeakMap<Request, FlowCookie[]>();
  const streams = new WeakMap<Request, () => void>();
  return createYoga<ServerContext, GraphqlContext>({
    schema,
    graphqlEndpoint: '/graphql',
    ...(deps.trusted && { extraParamNames: ['documentId'] }),
    landingPage: false,
    logging: false,
    cors: {
      origin: '*',
      credentials: false,
      methods: ['POST', 'OPTIONS'],
      allowedHeaders: ['Content-Type', 'Authorization', 'X-App-Id', 'On-Behalf-Of'],
      maxAge: 7200,
    },
    graphiql: deps.graphiql && (() => graphiqlOptions(deps.graphiqlTabs())),
    renderGraphiQL: graphiqlPage,
    maskedErrors: { maskError: deps.maskError },
    async context({
      request,
      socket,
      assistant,
      address = null,
      exchange = beginExchange(undefined),
    }): Promise<GraphqlContext> {
      const header = (name: string) => request.headers.get(name);
      const credentials = socket ?? {
        authorization: header('authorization'),
        appId: header('x-app-id'),
        onBehalfOf: header('on-behalf-of'),
        origin: header('origin'),
        address,
      };
      const identify = async (): Promise<Caller> => {
        const caller = await deps.identify(credentials);
        exchange.caller = callerKind(caller);
        return caller.kind === 'member' && assistant !== undefined ? { ...caller, assistant } : caller;
      };
      return {
        caller: await identify(),
        identify,
        features: deps.features,
        exchange,
        request: {
          origin: credentials.origin,
          secFetchSite: socket ? null : header('sec-fetch-site'),
          address: credentials.address ?? null,
        },
        setCookie: socket ? ignore : (cookie) => cookies.set(request, [...(cookies.get(request) ?? []), cookie]),
      };
    },
    plugins: [
      deps.observed.plugin,
      ...(deps.trusted ? [trustOnly(deps.trusted)] : []),
      {
        onParse({ setParseFn }: { setParseFn: (parse: typeof parseWithinLimits) => void }) {
          setParseFn(parseWithinLimits);
        },
        onExecute: refusePaging,
        onResultProcess({ request, result }: { request: Request; result: object }) {
          if (!(Symbol.asyncIterator in result)) return;
          const stream = result as AsyncIterableIterator<unknown>;
          const end = () => void stream.return?.();
          streams.set(request, end);
          // one that goes away while the answer is made is not told of otherwise: nobody has begun to read
          if (request.signal.aborted) end();
          else request.signal.addEventListener('abort', end, { once: true });
        },
        onResponse({ request, response }) {
          if (!response.ok) streams.get(request)?.(); // its type is none that was asked for
          response.headers.set('Cache-Control', 'no-store');
          if (response.headers.get('content-type')?.startsWith('text/html'))
            response.headers.set('Content-Security-Policy', graphiqlPolicy);
          for (const cookie of cookies.get(request) ?? [])
            response.headers.append('Set-Cookie', setCookieHeader(cookie));
        },
      },
    ],
  });
}

const ignore = () => {};

/** An operation that is about to be executed. */
interface Execution {
  args: Parameters<typeof checkPaging>[0];
  setResultAndStopExecution: (result: ExecutionResult) => void;
}

/** Answers an operation with page arguments that name no page in the execution's place. */
function refusePaging(event: Execution): void {
  const errors = checkPaging(event.args);
  if (errors.length > 0) event.setResultAndStopExecution({ errors });
}

/** As much as a WebSocket message may hold. */
const maxBodyBytes = 256 * 1024;

/** The request, where its body is small enough; one that does not say how long it is is read up to there. Else the refusal. */
export async function limitBody(request: Request): Promise<Request | Response> {
  if (request.method !== 'POST' || !request.body) return request;
  const told = request.headers.get('content-length');
  if (told !== null) return Number(told) <= maxBodyBytes ? request : bodyTooLarge();
  const body = await readBody(request, maxBodyBytes);
  if (body === null) return bodyTooLarge();
  return new Request(request.url, { method: 'POST', headers: request.headers, body, signal: request.signal });
}

/** What is still being sent nobody is going to read: the connection ends with the answer. */
function bodyTooLarge(): Response {
  const message = `The request is too large: it may have at most ${maxBodyBytes.toLocaleString('en')} bytes.`;
  return Response.json(
    { errors: [{ message, extensions: { code: 'VALIDATION' } }] },
    { status: 413, headers: { Connection: 'close' } },
  );
}

/**
 * What of a request to /graphql may reach yoga: an allow-list, since a deny-list of the content types that a foreign page can
 * send without a preflight has been bypassed before (THREATS T14). Null where it may pass.
 */
export function refuseGraphqlRequest(request: Request, graphiql: boolean): Response | null {
  if (request.method === 'OPTIONS') return null;
  if (request.method === 'GET') {
    if (graphiql && request.headers.get('accept')?.includes('text/html')) return null;
    return refusal(405, 'Send GraphQL as POST with Content-Type: application/json.', { Allow: 'POST, OPTIONS' });
  }
  if (request.method !== 'POST') return refusal(405, 'Send GraphQL as POST.', { Allow: 'POST, OPTIONS' });
  const mediaType = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  return mediaType === 'application/json'
    ? null
    : refusal(415, 'Send GraphQL with Content-Type: application/json.', {});
}

function refusal(status: number, message: string, headers: Record<string, string>): Response {
  return Response.json({ errors: [{ message }] }, { status, headers });
}
