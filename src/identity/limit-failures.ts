import { LRUCache } from 'lru-cache';
import { sha256Hex } from '../lib/secret.ts';
import { IdentityTokenExpiredError, RateLimitedError, UnauthenticatedError } from '../workspaces/errors.ts';
import type { RateLimiter } from '../workspaces/rate-limits.ts';
import type { Identity } from './caller.ts';

const maxKnown = 20_000;

/**
 * Looks up no more credentials from an address that has shown too many wrong ones. Those that were good before go on working:
 * others behind the same address are not to suffer for a script that keeps trying a revoked key.
 */
export function limitFailures(identify: Identity['identify'], limits: RateLimiter): Identity['identify'] {
  const known = new LRUCache<string, true>({ max: maxKnown });
  return async (credentials) => {
    const { address, authorization } = credentials;
    if (!address || authorization === null) return identify(credentials);
    const id = sha256Hex(authorization);
    const waitSeconds = known.has(id) ? 0 : limits.refusedFor('key-failures', address);
    if (waitSeconds > 0) return { kind: 'anonymous', error: new RateLimitedError(waitSeconds) };
    const caller = await identify(credentials);
    if (caller.kind !== 'anonymous') known.set(id, true);
    else if (caller.error instanceof UnauthenticatedError && !(caller.error instanceof IdentityTokenExpiredError)) {
      known.delete(id);
      await limits.take('key-failures', address).catch(() => {}); // this one was looked up: it gets its own answer
    }
    return caller;
  };
}
