import { parseUrl } from '../lib/parse-url.ts';
import { OAuthError } from './failure.ts';
import type { ProviderFetch } from './fetch.ts';

/** Tells of what this service asks of others. */
export interface FetchTracing {
  begin(
    name: string,
    options: { kind: 'client' },
  ): {
    run<T>(work: () => T): T;
    end(attributes: Record<string, string | number>, failure?: string): void;
  };
}

/**
 * Has each request to a provider be a span, which tells of its address the host alone: the rest may hold what is secret. The
 * provider is not told of the trace.
 */
export function tracedFetch(tracing: FetchTracing, fetch: ProviderFetch): ProviderFetch {
  return async (url, init) => {
    const span = tracing.begin('provider call', { kind: 'client' });
    const hostname = parseUrl(url)?.hostname;
    const host = hostname === undefined ? {} : { 'server.address': hostname };
    const asked = { 'http.request.method': init.method, ...host };
    try {
      const response = await span.run(() => fetch(url, init));
      const { status } = response;
      span.end({ ...asked, 'http.response.status_code': status }, status >= 400 ? String(status) : undefined);
      return response;
    } catch (error) {
      span.end(asked, error instanceof OAuthError ? error.verdict.code : 'Error');
      throw error;
    }
  };
}
