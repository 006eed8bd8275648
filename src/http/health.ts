import type { Logger } from '../lib/logger.ts';

/** Alive: the process answers. */
export function healthz(): Response {
  return Response.json({ status: 'ok' });
}

/** Ready: the database answers too. Tells which part is missing, and no more. */
export async function readyz(deps: { ping: () => Promise<unknown>; log: Logger }): Promise<Response> {
  try {
    await deps.ping();
    return Response.json({ status: 'ok', database: 'ok' });
  } catch (error) {
    deps.log.error({ err: error }, 'the database does not answer');
    return Response.json({ status: 'unavailable', database: 'unavailable' }, { status: 503 });
  }
}
