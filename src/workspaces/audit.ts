import { uuidv7 } from 'uuidv7';
import type { Tx } from '../db/client.ts';
import type { AuditAct, AuditActorKind } from '../db/generated/prisma/enums.ts';
import type { Clock } from '../lib/clock.ts';
import * as store from './audit-store.ts';
import type { Caller } from './caller.ts';

/** Who acts, and through which app. */
export interface AuditActor {
  kind: AuditActorKind;
  id: string | null;
  appId: string | null;
  /** What the assistant calls itself that acts for them. */
  assistant?: string;
}

/** What was done, and on what. */
export interface Act {
  act: AuditAct;
  workspaceId: string;
  /** An error code, where it did not end well. */
  outcome?: string;
  appId?: string | null;
  connectorId?: string | null;
  connectionId?: string | null;
  targetId?: string;
  details?: store.AuditDetails;
}

/** Stands for a workspace where an act is on the service as a whole: it has an audit of its own, for the operator. */
export const serviceAuditId = 'service';

/** The service, acting by itself. */
export const byService: AuditActor = { kind: 'SERVICE', id: null, appId: null };

/** An app user who comes back from a provider, and shows no credential there. */
export function byUser(appId: string, userId: string | null): AuditActor {
  return { kind: 'APP_USER', id: userId, appId };
}

/** @throws Error for nobody: what nobody may do is not done. */
export function actorOf(caller: Caller): AuditActor {
  switch (caller.kind) {
    case 'operator':
      return { kind: 'OPERATOR', id: null, appId: null };
    case 'member':
      return {
        kind: 'MEMBER',
        id: caller.subject,
        appId: null,
        ...(caller.assistant !== undefined && { assistant: caller.assistant }),
      };
    case 'app-user':
      return { kind: 'APP_USER', id: caller.userId, appId: caller.app.id };
    case 'backend-function':
      return { kind: 'BACKEND_FUNCTION', id: caller.user?.userId ?? null, appId: caller.app.id };
    case 'anonymous':
      throw new Error('nobody acts');
  }
}

/** Texts as the database keeps them, which knows no half characters: the chain's hash is over that. */
export function auditRow(at: Date, actor: AuditActor, act: Act): store.NewAuditEvent {
  const details = { ...act.details, ...(actor.assistant !== undefined && { assistant: actor.assistant }) };
  return {
    id: uuidv7(), // beside the rows before it in each index: a random place costs the database a page of its log
    workspaceId: act.workspaceId,
    at,
    act: act.act,
    outcome: act.outcome ?? 'OK',
    actorKind: actor.kind,
    actor: actor.id?.toWellFormed() ?? null,
    appId: act.appId ?? actor.appId,
    connectorId: act.connectorId ?? null,
    connectionId: act.connectionId ?? null,
    targetId: act.targetId?.toWellFormed() ?? null,
    details: Object.fromEntries(Object.entries(details).map(([name, told]) => [name, wellFormed(told)])),
  };
}

const wellFormed = (told: string | string[]) =>
  typeof told === 'string' ? told.toWellFormed() : told.map((text) => text.toWellFormed());

/** Writes the row of an act into the act's own transaction: there is no act without its row, and no row without its act. */
export async function recordAct(deps: { clock: Clock }, tx: Tx, actor: AuditActor, act: Act): Promise<void> {
  await recordActs(deps, tx, actor, [act]);
}

/** The same for an act on many things: a row for each. */
export async function recordActs(deps: { clock: Clock }, tx: Tx, actor: AuditActor, acts: Act[]): Promise<void> {
  const at = deps.clock.now();
  await store.insertAuditEvents(
    tx,
    acts.map((act) => auditRow(at, actor, act)),
  );
}

/** Which scopes an edit or a new consent brought, and which it took. */
export function scopeChanges(before: readonly string[], after: readonly string[]): store.AuditDetails {
  const added = after.filter((scope) => !before.includes(scope));
  const removed = before.filter((scope) => !after.includes(scope));
  return { ...(added.length > 0 && { scopesAdded: added }), ...(removed.length > 0 && { scopesRemoved: removed }) };
}
