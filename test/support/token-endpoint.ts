import type { AroundRequest, CalendarProvider } from '../../examples/scheduling-app/calendar-provider.ts';

type Context = Parameters<AroundRequest>[0];

/** A promise that a test settles by hand. */
export interface Deferred {
  promise: Promise<void>;
  resolve: () => void;
}

export function deferred(): Deferred {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** The tokens and other one-time values that have passed at the provider's token endpoint. */
export interface PassedTokens {
  accessTokens: string[];
  refreshTokens: string[];
  idTokens: string[];
  codes: string[];
  codeVerifiers: string[];
  /** The client of each request, in order. */
  clientIds: string[];
}

/** Notes what passes at the token endpoint from now on. */
export function watchTokens(provider: CalendarProvider): PassedTokens {
  const passed: PassedTokens = {
    accessTokens: [],
    refreshTokens: [],
    idTokens: [],
    codes: [],
    codeVerifiers: [],
    clientIds: [],
  };
  const keep = (list: string[], value: unknown) => {
    if (typeof value === 'string' && value !== '') list.push(value);
  };
  provider.around(async (ctx, next) => {
    await next();
    if (ctx.path !== '/token') return;
    const asked = ctx.oidc?.body ?? {};
    keep(passed.codes, asked['code']);
    keep(passed.codeVerifiers, asked['code_verifier']);
    keep(passed.refreshTokens, asked['refresh_token']);
    keep(passed.clientIds, asked['client_id']);
    const told = tokensOf(ctx);
    keep(passed.accessTokens, told['access_token']);
    keep(passed.refreshTokens, told['refresh_token']);
    keep(passed.idTokens, told['id_token']);
  });
  return passed;
}

/** What the provider is about to answer, where it is JSON. */
function tokensOf(ctx: Context): Record<string, unknown> {
  return typeof ctx.body === 'object' && ctx.body !== null ? (ctx.body as Record<string, unknown>) : {};
}

/** Answers every token request in the provider's place. */
export function answerTokenRequests(
  provider: CalendarProvider,
  answer: (ctx: Context) => void,
): { count: () => number; stop: () => void } {
  let count = 0;
  const stop = provider.around(async (ctx, next) => {
    if (ctx.path !== '/token') return next();
    count += 1;
    answer(ctx);
  });
  return { count: () => count, stop };
}

/** Takes members out of what the provider answers at the token endpoint. */
export function dropFromTokenAnswers(provider: CalendarProvider, ...names: string[]): () => void {
  return provider.around(async (ctx, next) => {
    await next();
    if (ctx.path !== '/token') return;
    ctx.body = Object.fromEntries(Object.entries(tokensOf(ctx)).filter(([name]) => !names.includes(name)));
  });
}

/**
 * Holds the next token request: `request` before the provider sees it, `answer` when the provider has done its work and
 * rotated the tokens. Only that one is held.
 */
export function holdTokenRequest(
  provider: CalendarProvider,
  held: 'request' | 'answer',
): { reached: Promise<void>; release: () => void } {
  const reached = deferred();
  const released = deferred();
  let isFirst = true;
  const stop = provider.around(async (ctx, next) => {
    const holds = ctx.path === '/token' && isFirst;
    if (holds) isFirst = false;
    if (holds && held === 'request') {
      reached.resolve();
      await released.promise;
    }
    await next();
    if (holds && held === 'answer') {
      reached.resolve();
      await released.promise;
    }
    if (holds) stop();
  });
  return { reached: reached.promise, release: released.resolve };
}
