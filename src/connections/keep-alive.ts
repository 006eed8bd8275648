import type { Db } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { refreshTokenIdleDays } from '../providers/catalogue.ts';
import type { Refresh } from './refresh.ts';
import * as store from './store.ts';

const dayMs = 86_400_000;
const batchSize = 20;

/**
 * Refreshes grants that nobody has used for half the time after which their provider lets them lapse: all that are due, in batches.
 * A connector whose provider does not take a refresh now is left for the next turn, so that it holds up no other. Any number of
 * instances may: each refresh is fenced in its row, and one that another instance makes is waited for. Answers 0: nothing is left.
 */
export async function keepAlive(deps: { db: Db; clock: Clock; log: Logger; refresh: Refresh }): Promise<0> {
  const now = deps.clock.now();
  for (const [idleDays, providerKeys] of refreshTokenIdleDays()) {
    const unusedSince = new Date(now.getTime() - (idleDays * dayMs) / 2);
    const failing = new Set<string>();
    let after: store.IdleGrant | null = null;
    do {
      const due = { providerKeys, unusedSince, after, withoutConnectors: [...failing] };
      const grants: store.IdleGrant[] = await store.findIdleGrants(deps.db, due, now, batchSize);
      await Promise.all(
        grants.map(async ({ connectionId, connectorId, version }) => {
          const outcome = await deps.refresh(connectionId, version).catch((error: unknown) => {
            deps.log.error({ err: error, connectionId }, 'an idle grant could not be kept alive');
            return null;
          });
          if (outcome?.kind === 'unavailable') failing.add(connectorId);
        }),
      );
      after = grants.length === batchSize ? (grants.at(-1) ?? null) : null;
    } while (after);
  }
  return 0;
}
