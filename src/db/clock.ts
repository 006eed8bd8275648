import type { Clock } from '../lib/clock.ts';
import type { Db } from './client.ts';

/** A clock that many processes share. */
export interface DatabaseClock extends Clock {
  /** Sets it again: a task that leaves nothing to do. Without this it goes as exactly as this machine's own does. */
  sync(): Promise<0>;
}

/** An answer that took longer says too little of when it was true. */
const longestRoundTripMs = 1_000;

/**
 * The database's clock, for all instances that share it: a lease that one of them takes must not have lapsed for another whose own
 * clock is ahead. Between two syncs it goes on by the time since start, which no change of the machine's clock moves.
 */
export async function createDatabaseClock(db: Db): Promise<DatabaseClock> {
  let offsetMs = Date.now() - performance.now();
  const clock: DatabaseClock = {
    now: () => new Date(performance.now() + offsetMs),
    async sync() {
      const askedAt = performance.now();
      const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
      const answeredAt = performance.now();
      const isExact = answeredAt - askedAt <= longestRoundTripMs;
      if (row && isExact) offsetMs = row.now.getTime() - (askedAt + answeredAt) / 2;
      return 0;
    },
  };
  await clock.sync();
  return clock;
}
