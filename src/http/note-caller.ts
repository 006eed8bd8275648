import type { Credentials } from '../identity/caller.ts';
import type { Exchange } from '../observability/exchange.ts';
import { type Caller, callerKind } from '../workspaces/caller.ts';

/** Has the exchange tell what kind of caller was recognised, each time that one is. */
export function noting(
  { identify }: { identify: (credentials: Credentials) => Promise<Caller> },
  exchange: Exchange | undefined,
): { identify: (credentials: Credentials) => Promise<Caller> } {
  return {
    async identify(credentials) {
      const caller = await identify(credentials);
      if (exchange) exchange.caller = callerKind(caller);
      return caller;
    },
  };
}
