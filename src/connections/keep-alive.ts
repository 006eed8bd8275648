import type { Db } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import { refreshTokenIdleDays } from '../providers/catalogue.ts';
import type { Refresh } from './refresh.ts';
import * as store from './store.ts';

const dayMs = 86_400_000;
const batchSize = 20;

/**
 * Refreshes grants that nobody has used for half the time after which their provider lets them lapse. Answers how many could be.
 * Any number of instances may: each refresh is fenced in its row, and one that another instance makes is waited for.
 */
export async function keepAlive(deps: { db: Db; clock: Clock; refresh: Refresh }): Promise<number> {
  const now = deps.clock.now();
  let kept = 0;
  for (const [idleDays, providerKeys] of refreshTokenIdleDays()) {
    const unusedSince = new Date(now.getTime() - (idleDays * dayMs) / 2);
    const grants = await store.findIdleGrants(deps.db, { providerKeys, unusedSince }, now, batchSize);
    const outcomes = await Promise.all(grants.map(({ connectionId, version }) => deps.refresh(connectionId, version)));
    kept += outcomes.filter(({ kind }) => kind === 'moved').length;
  }
  return kept;
}
