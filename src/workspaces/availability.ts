import type { Db } from '../db/client.ts';
import type { StatusEvents } from '../events/status-events.ts';
import type { Clock } from '../lib/clock.ts';
import { CUSTOM_PROVIDER_KEY, findProvider } from '../providers/catalogue.ts';
import { actorOf, recordAct } from './audit.ts';
import type { Caller } from './caller.ts';
import { ConfirmationRequiredError, NotFoundError, ValidationError } from './errors.ts';
import { assertCan } from './membership.ts';
import { assertPlanIncludesAvailability } from './plan.ts';
import * as store from './store.ts';

/** Whether a provider can be used in a workspace, for one kind of connector. `switchedOffAt` null: it can. */
export interface Availability {
  providerKey: string;
  kind: store.ProviderUse['kind'];
  switchedOffAt: Date | null;
}

/**
 * Switches a provider off in a workspace, once confirmed, or on again. Off stops every connector of that provider and kind
 * from being added, connected and read; nothing is deleted, and on restores it all. What is off outlives a downgrade: a
 * restriction must not fall because somebody pays less. It can be lifted on every plan.
 * @throws UnauthenticatedError, NotFoundError, ForbiddenError, PlanRequiredError, ValidationError, ConfirmationRequiredError
 */
export async function setProviderAvailability(
  deps: { db: Db; clock: Clock; events: StatusEvents },
  caller: Caller,
  input: store.ProviderUse & { available: boolean; confirm: boolean },
): Promise<Availability> {
  assertCan(caller, 'availability.manage', input.workspaceId, 'workspace');
  const workspace = await store.findPlan(deps.db, input.workspaceId);
  if (!workspace) throw new NotFoundError('workspace');
  const use = { ...input, providerKey: readProviderKey(input.providerKey) };
  const wasOff = (await store.findSwitchedOff(deps.db, use)) !== null;
  if (!(input.available && wasOff)) assertPlanIncludesAvailability(workspace.plan);
  if (!input.available && !wasOff && !input.confirm) throw await confirmationOf(deps, use);
  await deps.db.$transaction(async (tx) => {
    await store.lockWorkspace(tx, use.workspaceId); // a flow that is storing its grant now finishes first, or finds it off
    if (input.available) await store.switchOn(tx, use);
    else await store.switchOff(tx, use, deps.clock.now());
    const details = { provider: use.providerKey, kind: use.kind, available: String(input.available) };
    await recordAct(deps, tx, actorOf(caller), {
      act: 'PROVIDER_AVAILABILITY_SET',
      workspaceId: use.workspaceId,
      details,
    });
  });
  deps.events.publish({ workspaceId: use.workspaceId });
  const row = await store.findSwitchedOff(deps.db, use);
  return { providerKey: use.providerKey, kind: use.kind, switchedOffAt: row?.createdAt ?? null };
}

async function confirmationOf(deps: { db: Db }, use: store.ProviderUse): Promise<ConfirmationRequiredError> {
  return new ConfirmationRequiredError('switch-off', await store.countUse(deps.db, use));
}

/** @throws ValidationError for a provider that is not in the catalogue */
export function readProviderKey(text: string): string {
  const providerKey = text.trim().toLowerCase();
  if (findProvider(providerKey) || providerKey === CUSTOM_PROVIDER_KEY) return providerKey;
  const message = 'There is no such provider: choose a key from `providers`, or "custom".';
  throw new ValidationError([{ path: 'input.providerKey', message }]);
}
