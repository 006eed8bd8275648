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

const patienceMs = 3_000;

/** Ready: every part answers, and the service is to stay. Tells which part does not, or what it lacks, and no more. */
export async function readyz(deps: { pings: Pings; isStopping: () => boolean; log: Logger }): Promise<Response> {
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
  const body = { status: isReady ? 'ok' : 'unavailable', ...Object.fromEntries(parts) };
  return Response.json(body, { status: isReady ? 200 : 503 });
}

function refuseAfter(ms: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error('no answer in time')), ms).unref();
  });
}
