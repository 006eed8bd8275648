import type { Clock } from '../lib/clock.ts';
import type { AuthorizationServer, KeptValue } from '../oauth/authorization-server.ts';
import { type DiscoveredServer, discover } from '../oauth/discovery.ts';
import type { ProviderFetch } from '../oauth/fetch.ts';
import { atRegion } from '../oauth/region.ts';
import { customServer, findProvider, serverOf } from '../providers/catalogue.ts';
import type { CustomProvider, NamedValue } from './connector.ts';

/** The columns that say how a connector's provider is spoken to. */
export interface ServerFacts {
  providerKey: string;
  connectionConfig: unknown;
  custom: unknown;
}

/**
 * Tells how to speak to a connector's provider, about a connection where it is given what the provider told of that one.
 * May ask the issuer; answers are kept for ten minutes.
 */
export type ResolveServer = (connector: ServerFacts, kept?: readonly KeptValue[]) => Promise<AuthorizationServer>;

const keptMs = 10 * 60_000;

export function createResolveServer(deps: { fetch: ProviderFetch; clock: Clock }): ResolveServer {
  const discovered = new Map<string, { server: DiscoveredServer; until: number }>();

  async function askIssuer(issuer: string): Promise<DiscoveredServer> {
    const now = deps.clock.now().getTime();
    const kept = discovered.get(issuer);
    if (kept && kept.until > now) return kept.server;
    const server = await discover(deps.fetch, issuer);
    discovered.set(issuer, { server, until: now + keptMs });
    return server;
  }

  return async ({ providerKey, connectionConfig, custom }, kept = []) => {
    const provider = findProvider(providerKey);
    if (provider) {
      const values = (connectionConfig as NamedValue[]).map(({ name, value }) => [name, value]);
      return atRegion(serverOf(provider, Object.fromEntries(values) as Record<string, string>), kept);
    }
    const own = custom as CustomProvider;
    const common = {
      clientAuthentication: own.clientAuthentication,
      authorizationParams: Object.fromEntries(own.extraAuthorizationParams.map(({ name, value }) => [name, value])),
    };
    return own.type === 'discovery'
      ? customServer({ ...(await askIssuer(own.issuer)), ...common, scopeSeparator: ' ' })
      : customServer({
          ...own,
          ...common,
          issuer: null,
          jwksUrl: null,
          issParameterSupported: false,
          pkce: true,
        });
  };
}
