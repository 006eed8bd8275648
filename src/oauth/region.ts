import type { AuthorizationServer, KeptValue } from './authorization-server.ts';
import { OAuthError } from './failure.ts';
import { parseUrl } from '../lib/parse-url.ts';

/** An origin of one of the hosts, as a provider names it; null for anything else. */
export function regionOf(hosts: readonly string[], told: string): string | null {
  const url = parseUrl(told);
  const isOrigin = url && /^\/?$/.test(url.pathname + url.search + url.hash) && url.username + url.password === '';
  return isOrigin && url.protocol === 'https:' && hosts.includes(url.host) ? url.origin : null;
}

/**
 * The server as it speaks to a connection: where the provider told of an origin that holds its account, what lies on the
 * token endpoint's own origin is asked there.
 * @throws OAuthError `misconfigured` BLOCKED_HOST where the origin is none of the provider's (any more).
 */
export function atRegion(server: AuthorizationServer, kept: readonly KeptValue[]): AuthorizationServer {
  const { regionalOrigin: regional } = server;
  const told = regional && kept.find(({ name }) => name === regional.parameter)?.value;
  if (!regional || told === undefined || told === null) return server;
  const region = regionOf(regional.hosts, told);
  if (region === null) {
    throw new OAuthError(
      { kind: 'misconfigured', code: 'BLOCKED_HOST' },
      'The region of the account is none of the provider.',
    );
  }
  const home = new URL(server.tokenUrl).origin;
  const move = (url: string) => (url.startsWith(`${home}/`) ? region + url.slice(home.length) : url);
  const moved = <T extends { url: string }>(endpoint: T | null) => endpoint && { ...endpoint, url: move(endpoint.url) };
  return {
    ...server,
    tokenUrl: move(server.tokenUrl),
    refreshUrl: server.refreshUrl && move(server.refreshUrl),
    revocation: moved(server.revocation),
    identity: moved(server.identity),
    upgrade: moved(server.upgrade),
    renewal: moved(server.renewal),
  };
}
