import type { Db } from '../db/client.ts';
import type { Connector } from '../db/generated/prisma/client.ts';
import { ConnectorRefusal } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { OAuthVerdict } from '../oauth/failure.ts';
import * as store from './store.ts';

/**
 * Notes on the connector what the provider's token endpoint refuses of it, whoever the user: its admin must act, and its users
 * stay connected. What the browser says of the provider's refusal is not noted, since anybody could say it.
 */
export async function noteRefusal(
  deps: { db: Db; clock: Clock },
  connector: Parameters<typeof store.recordConnectorRefusal>[1],
  verdict: OAuthVerdict,
): Promise<void> {
  const refusal =
    verdict.kind === 'misconfigured' ? Object.values(ConnectorRefusal).find((code) => code === verdict.code) : null;
  if (refusal) await store.recordConnectorRefusal(deps.db, connector, refusal, deps.clock.now());
}

/** The provider has accepted the connector's client: what it refused before is mended. What that came with is stored, and is not failed by this note: the next acceptance makes it. */
export async function noteAcceptance(
  deps: { db: Db; log: Logger },
  { id, refusal }: Pick<Connector, 'id' | 'refusal'>,
): Promise<void> {
  if (!refusal) return;
  await store.clearConnectorRefusal(deps.db, id).catch((err: unknown) => {
    deps.log.error({ err, connectorId: id }, 'a refusal that is mended could not be taken off its connector');
  });
}
