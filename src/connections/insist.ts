import type { Logger } from '../lib/logger.ts';

const longestPauseMs = 500;

/**
 * Repeats a write that the database refuses for the moment: what it is to keep exists nowhere else. The pauses are short, since
 * somebody else may be about to act on what the database last knew.
 */
export async function insist<T>(deps: { log: Logger }, forMs: number, write: () => Promise<T>): Promise<T> {
  const until = performance.now() + forMs;
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await write();
    } catch (error) {
      if (performance.now() >= until) throw error;
      if (attempts === 1) deps.log.warn({ err: error }, 'tokens could not be stored; they are kept and tried again');
      await new Promise((resolve) => setTimeout(resolve, Math.min(50 * 2 ** attempts, longestPauseMs)));
    }
  }
}
