import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import {
  type ChainLink,
  type Checkpoint,
  emptyChain,
  linkHash,
  openCheckpoint,
  sealCheckpoint,
} from './audit-chain.ts';
import * as store from './audit-store.ts';

interface ChainDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  log: Logger;
}

/** The background work on the audit. Each answers how much it did; any number of instances may, one at a time does. */
export interface AuditTasks {
  /** Puts the next rows into their workspaces' chains. */
  seal: () => Promise<number>;
  /** Deletes rows that are older than the retention, from the beginning of each chain. */
  cut: () => Promise<number>;
}

/** Most rows that are about to commit with an older `at` have by then. One that comes later still is sealed later. */
const settleMs = 2_000;
const batchSize = 500;
const chainsAtOnce = 20;
const dayMs = 86_400_000;

export function createAuditTasks(deps: ChainDeps, retentionDays: number): AuditTasks {
  /** Chains that do not continue: their rows stay as they are, for `npm run audit:verify` to tell. */
  const broken = new Set<string>();

  async function checkpointOf(tx: Tx, workspaceId: string): Promise<Checkpoint | null> {
    const chain = await store.findChain(tx, workspaceId);
    if (!chain && !(await store.hasSealedRows(tx, workspaceId))) return emptyChain;
    const checkpoint = chain && openCheckpoint(deps.keyring, workspaceId, chain.checkpointSealed);
    if (checkpoint) return checkpoint;
    broken.add(workspaceId);
    deps.log.error({ workspaceId }, 'the checkpoint of an audit chain is missing or does not open: it goes no further');
    return null;
  }

  const write = (tx: Tx, workspaceId: string, checkpoint: Checkpoint) =>
    store.writeCheckpoint(tx, workspaceId, sealCheckpoint(deps.keyring, workspaceId, checkpoint), deps.clock.now());

  async function sealBatch(tx: Tx): Promise<number> {
    if (!(await store.takeChainTurn(tx))) return 0;
    const before = new Date(deps.clock.now().getTime() - settleMs);
    const events = await store.findUnsealed(tx, before, [...broken], batchSize);
    for (const [workspaceId, own] of byWorkspace(events)) {
      const checkpoint = await checkpointOf(tx, workspaceId);
      if (!checkpoint) continue;
      const rows = linked(checkpoint.head, own);
      const head = rows.at(-1);
      if (!head) continue;
      await store.sealRows(tx, rows);
      await write(tx, workspaceId, { ...checkpoint, head: { sequence: head.sequence, hash: head.hash } });
    }
    return events.length;
  }

  async function cutBatch(tx: Tx): Promise<number> {
    if (!(await store.takeChainTurn(tx))) return 0;
    const before = new Date(deps.clock.now().getTime() - retentionDays * dayMs);
    let deleted = 0;
    for (const workspaceId of await store.findChainsToCut(tx, before, [...broken], chainsAtOnce)) {
      const checkpoint = await checkpointOf(tx, workspaceId);
      if (!checkpoint) continue;
      const oldest = await store.findSealed(tx, workspaceId, checkpoint.cut.sequence, batchSize);
      const firstKept = oldest.findIndex(({ at }) => at >= before);
      const last = oldest.at(firstKept === -1 ? -1 : firstKept - 1);
      if (firstKept === 0 || !last?.hash || last.sequence === null) continue;
      await write(tx, workspaceId, { ...checkpoint, cut: { sequence: last.sequence, hash: last.hash } });
      deleted += await store.deleteSealed(tx, workspaceId, last.sequence);
    }
    return deleted;
  }

  return {
    seal: () => deps.db.$transaction(sealBatch),
    cut: () => deps.db.$transaction(cutBatch),
  };
}

function byWorkspace(events: store.UnsealedAuditEvent[]): Map<string, store.UnsealedAuditEvent[]> {
  const groups = new Map<string, store.UnsealedAuditEvent[]>();
  for (const event of events) {
    const own = groups.get(event.workspaceId);
    if (own) own.push(event);
    else groups.set(event.workspaceId, [event]);
  }
  return groups;
}

function linked(head: ChainLink, events: store.UnsealedAuditEvent[]): (ChainLink & { id: string })[] {
  let last = head;
  return events.map((event) => {
    last = { sequence: last.sequence + 1n, hash: linkHash(last, event) };
    return { ...last, id: event.id };
  });
}
