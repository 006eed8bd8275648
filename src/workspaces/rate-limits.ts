import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { RateLimitedError } from './errors.ts';

/** What is limited, and how often a minute it may happen: far more than anybody does who means well. */
export const defaultRateLimits = {
  /** Flows that one person begins. */
  connects: 120,
  /** Flows that browsers at one address begin. */
  'connects-by-address': 3_000,
  /** Callbacks from one address that belong to no flow. */
  callbacks: 300,
  /** Reads of one user's tokens, or of what an app shares, at one instance. */
  'token-reads': 60_000,
  /** All reads of one app, at one instance. */
  'token-reads-by-app': 600_000,
  /** Tokens of one connection that are said to be refused by the provider. */
  'rejected-tokens': 10,
  /** Credentials from one address that are not good. */
  'key-failures': 300,
};

export type RateLimitName = keyof typeof defaultRateLimits;
/** How often a minute; 0: as often as one likes. */
export type RateLimits = Record<RateLimitName, number>;

export interface RateLimiter {
  /** Counts one more. @throws RateLimitedError where that is one too many */
  take(name: RateLimitName, key: string): Promise<void>;
  /** For how many seconds this instance goes on refusing the key; 0: it does not. Asks nobody. */
  refusedFor(name: RateLimitName, key: string): number;
}

const minute = 60;
const maxRefused = 20_000;

/** Every call to a provider stands behind a token read: nothing but this process is asked for it. */
const perInstance: ReadonlySet<RateLimitName> = new Set(['token-reads', 'token-reads-by-app']);

/** Counts in Redis, where one is given, for all instances together; where it does not answer, each by itself. */
export function createRateLimiter(perMinute: RateLimits, redis: { client: Redis; prefix: string } | null): RateLimiter {
  const limiters = new Map<RateLimitName, RateLimiterMemory | RateLimiterRedis>(
    (Object.entries(perMinute) as [RateLimitName, number][])
      .filter(([, points]) => points > 0)
      .map(([name, points]) => {
        const memory = new RateLimiterMemory({ points, duration: minute, keyPrefix: name });
        const counter =
          redis && !perInstance.has(name)
            ? new RateLimiterRedis({
                storeClient: redis.client,
                keyPrefix: `${redis.prefix}:limit:${name}`,
                points,
                duration: minute,
                insuranceLimiter: memory,
                rejectIfRedisNotReady: true,
              })
            : memory;
        return [name, counter];
      }),
  );
  const refused = new LRUCache<string, number>({ max: maxRefused });

  function refusedFor(name: RateLimitName, key: string): number {
    const until = refused.get(`${name} ${key}`);
    return until === undefined ? 0 : Math.max(0, Math.ceil((until - performance.now()) / 1000));
  }

  return {
    refusedFor,
    async take(name, key) {
      const limiter = limiters.get(name);
      if (!limiter) return;
      const waitSeconds = refusedFor(name, key);
      if (waitSeconds > 0) throw new RateLimitedError(waitSeconds);
      try {
        await limiter.consume(key);
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        refused.set(`${name} ${key}`, performance.now() + error.msBeforeNext);
        throw new RateLimitedError(Math.max(1, Math.ceil(error.msBeforeNext / 1000)));
      }
    },
  };
}
