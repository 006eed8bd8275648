import type { Keyring } from '../crypto/keyring.ts';
import { open, SealError, seal } from '../crypto/seal.ts';
import type { ChainLink, UnsealedAuditEvent } from './audit-store.ts';
import { Secret, sha256Hex } from '../lib/secret.ts';

/** Both ends of a chain: the last row that retention has cut, and the last one sealed. */
export interface Checkpoint {
  cut: ChainLink;
  head: ChainLink;
}

const beginning: ChainLink = { sequence: 0n, hash: '0'.repeat(64) };

/** The checkpoint of a chain without a row. */
export const emptyChain: Checkpoint = { cut: beginning, head: beginning };

/** Whose the checkpoint of a workspace is when sealed. */
export const checkpointOwner = (workspaceId: string) => ({
  table: 'audit_chain',
  id: workspaceId,
  field: 'checkpoint',
});

/** The hash of a row that stands behind another: over that one's hash, its own number, and everything it tells. */
export function linkHash(previous: ChainLink, event: UnsealedAuditEvent): string {
  const { id, workspaceId, at, act, outcome, actorKind, actor, appId, connectorId, connectionId, targetId } = event;
  const place = [previous.hash, String(previous.sequence + 1n)];
  const row = [id, workspaceId, at.toISOString(), act, outcome, actorKind, actor, appId, connectorId, connectionId];
  return sha256Hex(JSON.stringify([...place, ...row, targetId, sorted(event.details)]));
}

/** The same value with its members in order: the database keeps none. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return members.map(([name, member]) => [name, sorted(member)]);
}

/**
 * Seals a checkpoint with the service's own key. Anybody can compute the hashes of altered rows; nobody who has only the database can
 * make the checkpoint that goes with them.
 */
export function sealCheckpoint(keyring: Keyring, workspaceId: string, { cut, head }: Checkpoint): string {
  const text = JSON.stringify([String(cut.sequence), cut.hash, String(head.sequence), head.hash]);
  return seal(keyring, checkpointOwner(workspaceId), new Secret(text));
}

/** Null where it was altered, or its key is missing. */
export function openCheckpoint(keyring: Keyring, workspaceId: string, sealed: string): Checkpoint | null {
  try {
    const text = open(keyring, checkpointOwner(workspaceId), sealed).reveal();
    const [cutSequence, cutHash, sequence, hash] = JSON.parse(text) as [string, string, string, string];
    return {
      cut: { sequence: BigInt(cutSequence), hash: cutHash },
      head: { sequence: BigInt(sequence), hash },
    };
  } catch (error) {
    if (error instanceof SealError) return null;
    throw error;
  }
}
