import { allowInsecureRequests, customFetch } from 'oauth4webapi';
import type { AuthorizationServer } from './authorization-server.ts';
import type { ProviderFetch, ProviderResponse } from './fetch.ts';

interface LibraryRequest {
  method: string;
  headers: Record<string, string>;
  body?: URLSearchParams | undefined;
}

/**
 * Makes oauth4webapi send its requests by a {@link ProviderFetch}. That one decides what may be asked over http, so the
 * library need not. `read` turns the answer into what the library sees.
 */
export function libraryFetch(
  fetch: ProviderFetch,
  options: {
    bodyFormat?: BodyFormat;
    parameterNames?: AuthorizationServer['parameterNames'];
    headers?: Readonly<Record<string, string>>;
    timeoutMs?: number | undefined;
    read?: (answer: ProviderResponse) => Response;
  } = {},
) {
  const { bodyFormat = 'form', parameterNames = {}, timeoutMs, read = toResponse } = options;
  return {
    [allowInsecureRequests]: true,
    [customFetch]: async (url: string, { method, headers, body }: LibraryRequest): Promise<Response> => {
      const parameters = body && new URLSearchParams(renamed(parameterNames, Object.fromEntries(body)));
      const answer = await fetch(url, {
        method,
        headers: { ...withoutUserAgent(headers), ...options.headers, ...(body && contentType(bodyFormat)) },
        ...(parameters && { body: bodyText(bodyFormat, parameters) }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      return read(answer);
    },
  };
}

/** The library would speak in its own name. */
function withoutUserAgent(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'user-agent'));
}

type BodyFormat = AuthorizationServer['bodyFormat'];

/** Parameters under the names that the provider has for them. */
export function renamed(
  names: AuthorizationServer['parameterNames'],
  parameters: Readonly<Record<string, string>>,
): [string, string][] {
  const own = new Map<string, string>(Object.entries(names));
  return Object.entries(parameters).map(([name, value]) => [own.get(name) ?? name, value]);
}

export function bodyText(format: BodyFormat, parameters: URLSearchParams): string {
  return format === 'json' ? JSON.stringify(Object.fromEntries(parameters)) : parameters.toString();
}

export function contentType(format: BodyFormat): { 'content-type': string } {
  const form = 'application/x-www-form-urlencoded;charset=UTF-8'; // as oauth4webapi writes it
  return { 'content-type': format === 'json' ? 'application/json' : form };
}

/** Statuses that a Response cannot have, such as LinkedIn's 999, become 502. */
export function toResponse({ status, headers, body }: ProviderResponse): Response {
  const isBodiless = status === 204 || status === 205;
  return new Response(isBodiless ? null : body, { status: status > 599 ? 502 : status, headers });
}
