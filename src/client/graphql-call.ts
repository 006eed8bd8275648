import {
  type AnyConnectorError,
  errorOf,
  ServiceUnavailableError,
  UnauthenticatedError,
  UnexpectedAnswerError,
} from './connector-error.ts';
import type { UserErrorFieldsFragment } from './generated/operations.ts';
import type { Operation } from './operations.ts';

/** A function with the signature of `fetch`. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Where and how operations are sent. */
export interface Endpoint {
  /** The service's GraphQL endpoint. */
  graphqlUrl: string;
  fetch: Fetch;
}

interface GraphqlFailure {
  readonly message: string;
  readonly extensions?: { readonly code?: unknown };
}

/**
 * The GraphQL endpoint below the address of a service, or of an app whose origin forwards to one.
 *
 * @throws TypeError where the address is none.
 */
export function graphqlUrlOf(url: string | URL): string {
  const base = new URL(url);
  base.pathname = `${base.pathname.replace(/\/$/, '')}/graphql`;
  return base.href;
}

/**
 * Sends one operation, and answers its data.
 *
 * @throws ServiceUnavailableError, UnauthenticatedError, UnexpectedAnswerError
 */
export async function send<Result, Variables>(
  endpoint: Endpoint,
  headers: Readonly<Record<string, string>>,
  operation: Operation<Result, Variables>,
  variables: Variables,
): Promise<Result> {
  let response: Response;
  let answer: { data?: Result | null; errors?: readonly GraphqlFailure[] };
  try {
    response = await endpoint.fetch(endpoint.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query: operation, variables }),
    });
  } catch (cause) {
    throw new ServiceUnavailableError({ cause });
  }
  try {
    answer = (await response.json()) as typeof answer;
  } catch (cause) {
    if (response.status >= 500) throw new ServiceUnavailableError({ cause });
    throw new UnexpectedAnswerError({ cause, message: `Something else than the service answered ${response.status}.` });
  }
  if (answer.errors?.[0]) throw errorOfFailure(answer.errors[0]);
  if (!answer.data) throw new UnexpectedAnswerError();
  return answer.data;
}

/** A GraphQL error as an error of this library. */
export function errorOfFailure({ message, extensions }: GraphqlFailure): AnyConnectorError {
  const code = extensions?.code;
  if (code === 'UNAUTHENTICATED') return new UnauthenticatedError({ message });
  if (code === 'INTERNAL_SERVER_ERROR' || code === 'SERVICE_UNAVAILABLE') return new ServiceUnavailableError();
  return typeof code === 'string' ? errorOf(code, { message }) : new UnexpectedAnswerError({ message });
}

/** A result that is no error, or the error thrown as its class. */
export function unwrap<Result extends object>(result: Result): Exclude<Result, UserErrorFieldsFragment> {
  if ('code' in result) throw errorOf(String(result.code), result);
  return result as Exclude<Result, UserErrorFieldsFragment>;
}
