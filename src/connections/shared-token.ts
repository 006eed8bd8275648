import { globalId } from '../lib/global-id.ts';
import { type Caller, requireBackend } from '../workspaces/caller.ts';
import { AmbiguousProviderError, NotConnectedError } from './errors.ts';
import * as store from './store.ts';
import { readSharedToken, type TokenAnswer, type TokenDeps } from './token.ts';

/**
 * The access token of the account that the calling app shares at a provider, for callers that name no connector. Needs the app's
 * key alone.
 * @throws AmbiguousProviderError where the app shares more than one account there, NotConnectedError where it shares none, and as
 * readSharedToken
 */
export async function readSharedTokenOfProvider(
  deps: TokenDeps,
  caller: Caller,
  providerKey: string,
): Promise<TokenAnswer> {
  const app = requireBackend(caller);
  const [connectorId, ...others] = await store.findSharedConnectorIds(deps.db, app, providerKey);
  if (connectorId === undefined) throw new NotConnectedError();
  if (others.length > 0) {
    throw new AmbiguousProviderError([connectorId, ...others].map((id) => globalId('Connector', id)));
  }
  return readSharedToken(deps, caller, connectorId, { minValiditySeconds: null, rejectedTokenFingerprint: null });
}
