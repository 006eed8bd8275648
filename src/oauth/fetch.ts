import { lookup as resolveName } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import ipaddr from 'ipaddr.js';
import { Agent, type Dispatcher } from 'undici';
import { parseUrl } from '../lib/parse-url.ts';
import { OAuthError, type RetryCode, sentenceFor } from './failure.ts';

/** Where requests to providers may go, and how much they may cost. */
export interface ProviderFetchPolicy {
  /** Host names that the operator trusts: http is fine there, and so is a private address. */
  allowedHosts: readonly string[];
  /** Whether localhost, 127.0.0.0/8 and [::1] may be asked, over http too. For development. */
  allowLoopback: boolean;
  /** For the whole request, from resolving the name to the last byte of the body. */
  timeoutMs: number;
  /** The most that a response body may hold, also once decompressed. */
  maxBytes: number;
  /** Resolves a name to its addresses; the system's resolver unless given. */
  lookup?: (hostname: string) => Promise<string[]>;
}

export type ProviderResponse = { status: number; headers: Headers; body: string };

/** One request to a provider. `timeoutMs` replaces the policy's. @throws OAuthError and nothing else. */
export type ProviderFetch = (
  url: string,
  init: {
    method: string;
    headers?: Record<string, string>;
    body?: string;
    timeoutMs?: number;
    signal?: AbortSignal;
    /** Asked when the connection stands, just before the request is written: false gives it up as `retry` ABORTED, not lost. */
    mayLeave?: () => boolean;
  },
) => Promise<ProviderResponse>;

/**
 * Builds the one way by which this service talks to providers. URLs may come from admins and from discovered metadata,
 * so only public addresses are connected to: each address is checked when the name has been resolved, and the socket
 * goes to just those addresses. Redirects are not followed: they would carry secrets to a place nobody has checked.
 *
 * Failures: `misconfigured` BLOCKED_HOST; `retry` NETWORK_ERROR, TIMEOUT or ABORTED, whose `lost` tells whether the
 * request had left; `retry` REDIRECTED, RESPONSE_TOO_LARGE or UNUSABLE_ANSWER (an encoding that cannot be read).
 */
export function createProviderFetch(policy: ProviderFetchPolicy): { fetch: ProviderFetch; close(): Promise<void> } {
  const agent = new Agent({
    connect: { lookup: checkedLookup(policy), timeout: policy.timeoutMs },
    // A connection for each request: one that is kept may be closed by the provider just when the next request
    // leaves, which cannot be told from a lost answer.
    pipelining: 0,
    // One timer covers the whole request.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    close: () => agent.close(),
    fetch: async (address, init) => {
      const url = parseUrl(address);
      if (!url || urlFault(url, policy)) throw blocked(url && plainHost(url));
      return request(agent, url, init, policy);
    },
  };
}

/**
 * Checks a provider's URL as far as can be told without resolving its name: what an admin is told when entering it.
 * Answers null, or a sentence that says what is wrong.
 */
export function checkProviderUrl(url: string, policy: ProviderFetchPolicy): string | null {
  const parsed = parseUrl(url);
  if (!parsed) return 'This is not an absolute URL.';
  if (url.includes('#')) return 'A provider URL has no #fragment.';
  return urlFault(parsed, policy);
}

function urlFault(url: URL, policy: ProviderFetchPolicy): string | null {
  const host = plainHost(url);
  const trusted = policy.allowedHosts.includes(host) || (policy.allowLoopback && isLoopback(host));
  if (url.protocol !== 'https:' && !(trusted && url.protocol === 'http:'))
    return 'A provider URL begins with https://.';
  if (url.username !== '' || url.password !== '') return 'A provider URL holds no user name and no password.';
  if (trusted) return null;
  // The URL parser has already turned decimal, octal and hexadecimal spellings into the usual one.
  const isOutside = ipaddr.isValid(host) ? isPublic(host) : !/(^|\.)localhost$/.test(host);
  return isOutside ? null : 'This address is not on the public internet.';
}

/** The host without the brackets of an IPv6 address and without the dot that may end a name: as an operator allows it. */
export function plainHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.parse(host).range() === 'loopback');
}

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
// Azure's platform endpoint, which hands out credentials, has an address that looks public.
const platformAddress = '168.63.129.16';

function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address) || address === platformAddress) return false;
  const ip = ipaddr.parse(address);
  // `unicast` is what no registry of special ranges names. For IPv6 that includes space nobody has assigned, among it
  // the forms that wrap an IPv4 address.
  return ip.range() === 'unicast' && (ip instanceof ipaddr.IPv4 || ip.match(globalUnicast));
}

/** Resolves a name for a socket. A name with even one address that is not allowed is refused. */
function checkedLookup(policy: ProviderFetchPolicy): LookupFunction {
  const resolve =
    policy.lookup ?? (async (name) => (await resolveName(name, { all: true })).map(({ address }) => address));

  async function addressesOf(hostname: string) {
    const host = hostname.replace(/\.$/, '');
    const addresses = await resolve(hostname);
    const isAllowed = (address: string) =>
      policy.allowedHosts.includes(host) ||
      isPublic(address) ||
      (policy.allowLoopback && host === 'localhost' && isLoopback(address));
    if (!addresses.every(isAllowed)) throw blocked(host);
    if (addresses.length === 0) throw new Error('The name has no address.');
    return addresses.map((address) => ({ address, family: ipaddr.IPv6.isValid(address) ? 6 : 4 }));
  }

  const find = callbackify(addressesOf);
  return (hostname, options, callback) => {
    find(hostname, (error, addresses) => {
      if (error) callback(error, []);
      else if (options.all) callback(null, addresses);
      else callback(null, addresses[0]?.address ?? '', addresses[0]?.family);
    });
  };
}

function request(
  agent: Agent,
  url: URL,
  init: Parameters<ProviderFetch>[1],
  policy: ProviderFetchPolicy,
): Promise<ProviderResponse> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null;
    let settled = false;
    let status = 0;
    let headers = new Headers();
    let size = 0;
    const chunks: Buffer[] = [];

    function settle(act: () => void): void {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      init.signal?.removeEventListener('abort', onAbort);
      act();
    }
    function fail(code: RetryCode, lost = controller !== null): void {
      settle(() => reject(undecided(code, lost)));
      controller?.abort(new Error(code));
    }
    const onAbort = () => fail('ABORTED');
    const timer = setTimeout(() => fail('TIMEOUT'), init.timeoutMs ?? policy.timeoutMs);
    init.signal?.addEventListener('abort', onAbort);
    if (init.signal?.aborted) return onAbort();

    agent.dispatch(
      {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: init.method as Dispatcher.HttpMethod,
        headers: requestHeaders(init.headers),
        body: init.body ?? null,
      },
      {
        // Called when there is a connection, just before the request is written: until then nothing has left.
        onRequestStart(started) {
          if (!settled && init.mayLeave?.() === false) fail('ABORTED');
          if (settled) started.abort(new Error('The request was given up before it left.'));
          else controller = started;
        },
        onResponseStart(_controller, responseStatus, responseHeaders) {
          if (responseStatus < 200) return;
          if (responseStatus >= 300 && responseStatus < 400) return fail('REDIRECTED', false);
          status = responseStatus;
          headers = toHeaders(responseHeaders);
        },
        onResponseData(_controller, chunk) {
          size += chunk.length;
          if (size > policy.maxBytes) fail('RESPONSE_TOO_LARGE');
          else if (!settled) chunks.push(chunk);
        },
        onResponseEnd() {
          const body = decode(Buffer.concat(chunks), headers.get('content-encoding'), policy.maxBytes);
          if (typeof body === 'string') settle(() => resolve({ status, headers, body }));
          else fail(body.fault);
        },
        onResponseError(_controller, error) {
          if (error instanceof OAuthError) settle(() => reject(error));
          else fail('NETWORK_ERROR');
        },
      },
    );
  });
}

function requestHeaders(headers: Record<string, string> = {}): Record<string, string> {
  const lowerCase = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    'user-agent': 'app-user-connectors', // a provider may want another one, such as Reddit
    ...Object.fromEntries(lowerCase),
    accept: 'application/json',
    'accept-encoding': 'identity',
  };
}

function toHeaders(entries: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(entries)) {
    for (const item of [value ?? []].flat()) headers.append(name, item);
  }
  return headers;
}

const decompress = new Map([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync],
]);

/** Servers that compress although they were asked not to are understood: a token answer is too dear to be thrown away. */
function decode(bytes: Buffer, encoding: string | null, maxBytes: number): string | { fault: RetryCode } {
  const name = encoding?.trim().toLowerCase() || 'identity';
  if (name === 'identity' || bytes.length === 0) return new TextDecoder().decode(bytes);
  try {
    const plain = decompress.get(name)?.(bytes, { maxOutputLength: maxBytes });
    return plain ? new TextDecoder().decode(plain) : { fault: 'UNUSABLE_ANSWER' };
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return { fault: isTooLarge ? 'RESPONSE_TOO_LARGE' : 'UNUSABLE_ANSWER' };
  }
}

function blocked(host: string | null): OAuthError {
  return new OAuthError(
    { kind: 'misconfigured', code: 'BLOCKED_HOST' },
    'The address is not allowed: a provider is asked over https, on the public internet, without credentials in its URL.',
    host,
  );
}

function undecided(code: RetryCode, lost: boolean): OAuthError {
  const verdict = { kind: 'retry', code, retryAfterSeconds: null, lost } as const;
  return new OAuthError(verdict, sentenceFor(verdict));
}
