import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, Kind, type OperationDefinitionNode, OperationTypeNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import { AmbiguousProviderError } from '../connections/errors.ts';
import { type BoundQuery, type CompiledQuery, compileQuery } from '../graphql/compiled-query.ts';
import { asCurrentCaller, type Features, type GraphqlContext } from '../graphql/context.ts';
import { parseWithinLimits } from '../graphql/limits.ts';
import { rootFieldsOf } from '../graphql/operation.ts';
import type { Credentials, Identity } from '../identity/caller.ts';
import { DomainError } from '../lib/domain-error.ts';
import type { Exchange } from '../observability/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';
import { callerKind } from '../workspaces/caller.ts';
import { base44Cors, base44TokenBody, base44TokenRead, type ReadByPath } from './base44-compat.ts';
import type { Yoga } from './graphql.ts';
import { noting } from './note-caller.ts';
import { restErrorParts } from './rest-error.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

export interface TokenReadDeps extends Identity {
  yoga: Yoga;
  /** Null: every document is answered. */
  trusted: TrustedDocuments | null;
  features: Features;
  metrics: Metrics;
  addressOf: (request: IncomingMessage) => string | null;
  /** What every answer carries. */
  headers: Readonly<Record<string, string>>;
}

/** A request whose body has been read: what comes after finds it here. */
export type ReadRequest = IncomingMessage & { body?: string };

/** Answers a request that only reads tokens; answers the request itself where it is anything else, for others to answer. */
export type TokenReadRoute = (
  request: IncomingMessage,
  response: ServerResponse,
  exchange: Exchange,
) => Promise<ReadRequest | null>;

/** A valid operation that reads tokens only. */
interface Plan {
  query: CompiledQuery;
  name: string | null;
  /** Its root fields. */
  operation: string | null;
}

/** What a body asks for. */
interface Read extends Pick<Plan, 'operation'> {
  answer: BoundQuery;
}

interface Operation {
  query: string;
  operationName: string | null;
  variables: Record<string, unknown>;
}

const maxBodyBytes = 16 * 1024;
/** Of documents, and of bodies: what is remembered for one takes up to a hundred times its text. */
const remembered = { max: 1_000, maxSize: 512 * 1024, sizeCalculation: (_: object, text: string) => text.length + 1 };
const tokenReads = new Set(['currentAppUserConnection', 'sharedConnection', '__typename']);
const json = 'application/json; charset=utf-8';
const graphqlJson = 'application/graphql-response+json; charset=utf-8';

/**
 * The straight way for what stands in front of every call to a provider: a backend function's operation that does nothing but
 * read tokens, and the REST routes that do the same. Schema, validation, resolvers and rules are those of every other operation;
 * left out are the fetch API in between, looking up again who is calling, which the read's one statement does, and what is the same
 * at each execution of a query (compileQuery; graphql-jit 0.8.9 makes code of a document's strings, and a caller's string ran as
 * such). Whatever is not plain success goes the usual way, and is answered there.
 */
export function createTokenReadRoute(deps: TokenReadDeps): TokenReadRoute {
  const plans = new LRUCache<string, { plan: Plan | null }>(remembered);
  /** By their bodies, of which a backend function mostly sends the same one. */
  const reads = new LRUCache<string, Read>(remembered);
  const { schema, validate } = deps.yoga.getEnveloped({} as never);
  const headersOf = (own: Record<string, string>) =>
    Object.entries({ ...deps.headers, ...own, 'Cache-Control': 'no-store' }).flat();
  const jsonHeaders = headersOf({ 'content-type': json });
  const graphqlJsonHeaders = headersOf({ 'content-type': graphqlJson });
  const base44 = { 'content-type': 'application/json', ...base44Cors };
  const base44Headers = headersOf(base44);

  /** Null where the document is not valid, or does more than to read tokens. */
  function planOf(query: string): Plan | null {
    const kept = plans.get(query);
    if (kept) return kept.plan;
    let plan: Plan | null = null;
    if (deps.trusted?.has(query) === false) return null;
    try {
      const document = parseWithinLimits(query, { noLocation: true }); // places are told by the usual way
      const operation = onlyTokenRead(document);
      const compiled = operation && validate(schema, document).length === 0 ? compileQuery(schema, document) : null;
      if (operation && compiled)
        plan = { query: compiled, name: operation.name?.value ?? null, operation: rootFieldsOf(document) };
    } catch {
      // the usual way says what is wrong with it
    }
    plans.set(query, { plan });
    return plan;
  }

  /** Null where the body asks for anything else. */
  function readOf(body: string): Read | null {
    const asked = readOperation(body);
    const plan = asked && planOf(asked.query);
    if (!plan || (asked.operationName !== null && asked.operationName !== plan.name)) return null;
    const answer = plan.query(asked.variables);
    return answer && { answer, operation: plan.operation };
  }

  /** Who calls, remembered where that can be; whoever reads confirms it. */
  async function callerOf(request: IncomingMessage, exchange: Exchange) {
    const credentials = credentialsOf(request, deps.addressOf(request));
    const identify = () => noting(deps, exchange).identify(credentials);
    const recalled = deps.recall(credentials);
    if (recalled) exchange.caller = callerKind(recalled);
    return { caller: recalled ?? (await identify()), identify };
  }

  async function runOperation(
    request: IncomingMessage,
    type: string,
    body: string,
    exchange: Exchange,
  ): Promise<Answer | null> {
    const known = reads.get(body);
    const read = known ?? readOf(body);
    if (!read) return null;
    const { caller, identify } = await callerOf(request, exchange);
    const contextValue: GraphqlContext = {
      caller,
      identify,
      features: deps.features,
      exchange,
      request: { origin: null, secFetchSite: null, address: null },
      setCookie: () => {},
    };
    const data = await read.answer(contextValue);
    if (!known && contextValue.caller.kind === 'backend-function') reads.set(body, read);
    exchange.operation = read.operation;
    exchange.outcome ??= 'OK';
    deps.metrics.graphqlOperation(exchange);
    return { status: 200, headers: type === json ? jsonHeaders : graphqlJsonHeaders, body: `{"data":${data}}` };
  }

  async function readByPath(request: IncomingMessage, read: ReadByPath, exchange: Exchange): Promise<Answer> {
    try {
      const token = await asCurrentCaller(await callerOf(request, exchange), (caller) => read(deps.features, caller));
      return { status: 200, headers: base44Headers, body: JSON.stringify(base44TokenBody(token)) };
    } catch (error) {
      if (!(error instanceof DomainError) || error instanceof AmbiguousProviderError) throw error;
      const told = restErrorParts(error);
      return { ...told, body: JSON.stringify(told.body), headers: headersOf({ ...base44, ...told.headers }) };
    }
  }

  return async (request, response, exchange) => {
    const { headers } = request;
    if (headers.origin !== undefined || !headers.authorization?.startsWith('Bearer apk_')) return request;
    const read = request.method === 'GET' && base44TokenRead(request.url ?? '');
    if (read) {
      const answer = await readByPath(request, read, exchange).catch(() => null);
      return send(response, answer, exchange) ? null : request;
    }
    const type = answerType(request);
    if (type === null) return request;
    const body = await readBody(request);
    if (body === null) return null; // the caller went away
    const answer = await runOperation(request, type, body, exchange).catch(() => null);
    if (!answer) exchange.outcome = null;
    return send(response, answer, exchange) ? null : Object.assign(request, { body });
  };
}

interface Answer {
  status: number;
  /** Names and values in turns, as node takes them: made once for all answers of a kind, and copied in less time than an object. */
  headers: readonly string[];
  /** JSON. */
  body: string;
}

function send(response: ServerResponse, answer: Answer | null, { requestId }: Exchange): boolean {
  if (!answer) return false;
  const { status, headers, body } = answer;
  const own = ['Content-Length', String(Buffer.byteLength(body)), 'X-Request-Id', requestId];
  response.writeHead(status, [...headers, ...own]);
  response.end(body);
  return true;
}

/** The document's one operation, where that reads tokens and does nothing else. */
function onlyTokenRead({ definitions }: DocumentNode): OperationDefinitionNode | null {
  const operations = definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const [operation] = operations;
  if (operations.length !== 1 || operation?.operation !== OperationTypeNode.QUERY) return null;
  const { selections } = operation.selectionSet;
  return selections.every((field) => field.kind === Kind.FIELD && tokenReads.has(field.name.value)) ? operation : null;
}

/** The type of the answer, where the request may be one of a backend function; null where it cannot. */
function answerType({ method, url, headers }: IncomingMessage): string | null {
  if (method !== 'POST' || url !== '/graphql') return null;
  if (headers['content-type'] !== 'application/json' && headers['content-type'] !== json) return null;
  if (headers['content-encoding'] !== undefined || !(Number(headers['content-length']) <= maxBodyBytes)) return null;
  const { accept = '*/*' } = headers;
  if (accept === '*/*' || accept === 'application/json') return json;
  return accept.startsWith('application/graphql-response+json') ? graphqlJson : null;
}

function readBody(request: IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    let first: Buffer | null = null;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => {
      if (first) chunks.push(chunk);
      else first = chunk;
    });
    request.on('end', () => {
      const whole = chunks.length === 0 ? first : Buffer.concat([first ?? Buffer.alloc(0), ...chunks]);
      resolve(whole?.toString('utf8') ?? '');
    });
    request.on('close', () => resolve(null));
  });
}

/** Null where the body holds anything else. */
function readOperation(body: string): Operation | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { query, variables = null, operationName = null, extensions } = value as Record<string, unknown>;
  if (typeof query !== 'string' || extensions !== undefined) return null;
  if (operationName !== null && typeof operationName !== 'string') return null;
  if (typeof variables !== 'object' || Array.isArray(variables)) return null;
  return { query, operationName, variables: (variables ?? {}) as Record<string, unknown> };
}

function credentialsOf({ headers }: IncomingMessage, address: string | null): Credentials {
  const onBehalfOf = headers['on-behalf-of'];
  return {
    authorization: headers.authorization ?? null,
    appId: null,
    onBehalfOf: typeof onBehalfOf === 'string' ? onBehalfOf : null,
    origin: null,
    address,
  };
}
