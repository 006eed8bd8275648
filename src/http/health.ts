import type { Logger } from '../lib/logger.ts';
import { UnavailableError } from '../lib/unavailable-error.ts';

/** What a caller is told while something that the service needs does not answer. */
export function unavailableSentence(error: unknown): string {
  if (error instanceof UnavailableError) return error.message;
  return 'The service cannot reach its database right now. Try again in a moment.';
}

/** Alive: the process answers. */
export function healthz(): Response {
  return Response.json({ status: 'ok' });
}

/** The parts that the service needs, by name: each settles when the part answers, with null or what else it lacks. */
export type Pings = Readonly<Record<string, () => Promise<string | null>>>;

/** What the service can do without, by name: null, or what is missing of it. */
export type Lacks = Readonly<Record<string, () => string | null>>;

const patienceMs = 3_000;

/**
 * Ready: every part answers, and the service is to stay. Tells which part does not, or what it lacks, and no more. One that is
 * degraded is ready all the same: no other instance could do better.
 */
export async function readyz(deps: {
  pings: Pings;
  lacks: Lacks;
  isStopping: () => boolean;
  log: Logger;
}): Promise<Response> {
  if (deps.isStopping()) return Response.json({ status: 'stopping' }, { status: 503 });
  const parts = await Promise.all(
    Object.entries(deps.pings).map(async ([part, ping]) => {
      try {
        const lacks = await Promise.race([ping(), refuseAfter(patienceMs)]);
        if (lacks !== null) deps.log.error({ part, lacks }, 'a part is not ready');
        return [part, lacks ?? 'ok'] as const;
      } catch (error) {
        deps.log.error({ err: error, part }, 'a part does not answer');
        return [part, 'unavailable'] as const;
      }
    }),
  );
  const isReady = parts.every(([, state]) => state === 'ok');
  const lacking = Object.entries(deps.lacks).flatMap(([part, lacks]) => {
    const what = lacks();
    return what === null ? [] : [[part, what] as const];
  });
  const status = !isReady ? 'unavailable' : lacking.length > 0 ? 'degraded' : 'ok';
  const body = { status, ...Object.fromEntries([...parts, ...lacking]) };
  return Response.json(body, { status: isReady ? 200 : 503 });
}

function refuseAfter(ms: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error('no answer in time')), ms).unref();
  });
}
