import type { CalendarProvider } from '../../support/local-provider.ts';

/** Where an access token stands: the consent that its grant began with, and its place among the grant's tokens. */
export interface TokenOrigin {
  code: string;
  place: number;
}

/** What passed at a provider's token endpoint. */
export interface Tape {
  /** Where a token comes from; undefined where this provider has not issued it. */
  originOf(accessToken: string): TokenOrigin | undefined;
  /** Every refresh, as the provider saw it arrive and leave. */
  refreshes: { code: string; arrivedAt: number; leftAt: number; status: number }[];
}

/** Follows every grant of a provider from its authorization code through all of its refreshes. */
export function recordTape(provider: CalendarProvider): Tape {
  const origins = new Map<string, TokenOrigin>();
  const grants = new Map<string, string>(); // refresh token → the code its grant began with
  const places = new Map<string, number>();
  const refreshes: Tape['refreshes'] = [];
  provider.around(async (ctx, next) => {
    const arrivedAt = performance.now();
    await next();
    if (ctx.path !== '/token') return;
    const asked = (ctx.oidc?.body ?? {}) as Record<string, string | undefined>;
    const used = asked['refresh_token'] ?? '';
    const code = asked['code'] ?? grants.get(used) ?? 'unknown';
    const told = (ctx.body ?? {}) as Record<string, string | undefined>;
    if (told['access_token'] !== undefined) {
      const place = (places.get(code) ?? 0) + 1;
      places.set(code, place);
      origins.set(told['access_token'], { code, place });
      grants.set(told['refresh_token'] ?? used, code);
    }
    if (used) refreshes.push({ code, arrivedAt, leftAt: performance.now(), status: ctx.status });
  });
  return { originOf: (accessToken) => origins.get(accessToken), refreshes };
}
