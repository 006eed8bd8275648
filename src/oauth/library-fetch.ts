import { allowInsecureRequests, customFetch } from 'oauth4webapi';
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
    bodyFormat?: 'form' | 'json';
    headers?: Readonly<Record<string, string>>;
    timeoutMs?: number | undefined;
    read?: (answer: ProviderResponse) => Response;
  } = {},
) {
  const { bodyFormat = 'form', timeoutMs, read = toResponse } = options;
  return {
    [allowInsecureRequests]: true,
    [customFetch]: async (url: string, { method, headers, body }: LibraryRequest): Promise<Response> => {
      const isJson = body !== undefined && bodyFormat === 'json';
      const answer = await fetch(url, {
        method,
        headers: { ...headers, ...options.headers, ...(isJson ? { 'content-type': 'application/json' } : {}) },
        ...(body === undefined ? {} : { body: isJson ? JSON.stringify(Object.fromEntries(body)) : body.toString() }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      return read(answer);
    },
  };
}

/** Statuses that a Response cannot have, such as LinkedIn's 999, become 502. */
export function toResponse({ status, headers, body }: ProviderResponse): Response {
  const isBodiless = status === 204 || status === 205;
  return new Response(isBodiless ? null : body, { status: status > 599 ? 502 : status, headers });
}
