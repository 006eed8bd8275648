import type { CalendarProvider } from '../../support/local-provider.ts';
import { gate } from '../../support/stage.ts';

/** Something that the provider keeps waiting. */
export interface Hold {
  reached: Promise<void>;
  release(): void;
}

type Handler = Parameters<CalendarProvider['around']>[0];

/** Hands the first request for a path to `handle`; all others pass. */
export function interceptFirst(provider: CalendarProvider, path: string, handle: Handler): void {
  const stop = provider.around((ctx, next) => {
    if (ctx.path !== path) return next();
    stop();
    return handle(ctx, next);
  });
}

/** Keeps the next one who asks for the issuer's metadata waiting. */
export function holdDiscovery(provider: CalendarProvider): Hold {
  const { reached, wait, open } = gate();
  interceptFirst(provider, '/.well-known/openid-configuration', async (_ctx, next) => {
    await wait();
    await next();
  });
  return { reached, release: open };
}
