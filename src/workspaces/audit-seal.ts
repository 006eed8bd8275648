import type { Keyring } from '../crypto/keyring.ts';
import type { Db, RunPrepared, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { type Checkpoint, emptyChain, linkHash, openCheckpoint, sealCheckpoint } from './audit-chain.ts';
import * as store from './audit-store.ts';

interface ChainDeps {
  db: Db;
  runPrepared: RunPrepared;
  clock: Clock;
  keyring: Keyring;
  log: Logger;
}

/** The work on the chains of the audit. Any number of instances may, one at a time does. */
export interface AuditTasks {
  /** Puts the next rows into their workspaces' chains. Answers how many. */
  seal: () => Promise<number>;
  /**
   * Writes rows that belong to no transaction, and puts them into their chains at once where nobody else is at it. That costs the
   * database half of what sealing them afterwards does. Rows that are there already are left alone.
   */
  insert: (events: store.NewAuditEvent[]) => Promise<void>;
  /** Deletes rows that are older than the retention, from the beginning of each chain. Answers how many. */
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

  const sealed = (workspaceId: string, checkpoint: Checkpoint) => sealCheckpoint(deps.keyring, workspaceId, checkpoint);
  const write = (tx: Tx, workspaceId: string, checkpoint: Checkpoint) =>
    store.writeCheckpoint(tx, workspaceId, sealed(workspaceId, checkpoint), deps.clock.now());

  async function sealBatch(tx: Tx): Promise<number> {
    if (!(await store.takeChainTurn(tx))) return 0;
    const before = new Date(deps.clock.now().getTime() - settleMs);
    const events = await store.findUnsealed(tx, before, [...broken], batchSize);
    const ids: string[] = [];
    const links: store.ChainLink[] = [];
    for (const [workspaceId, own] of byWorkspace(events)) {
      const checkpoint = await checkpointOf(tx, workspaceId);
      if (!checkpoint) continue;
      const longer = lengthened(checkpoint, own);
      ids.push(...own.map(({ id }) => id));
      links.push(...longer.links);
      await write(tx, workspaceId, longer.checkpoint);
    }
    if (ids.length > 0) await store.sealRows(tx, ids, links);
    return events.length;
  }

  /** Writes all rows of a workspace, each in its chain, or none. */
  async function insertSealed(workspaceId: string, events: store.NewAuditEvent[]): Promise<boolean> {
    const chain = await store.findChain(deps.db, workspaceId);
    const before = chain ? openCheckpoint(deps.keyring, workspaceId, chain.checkpointSealed) : emptyChain;
    if (!before) return false; // sealing tells of it
    const { links, checkpoint } = lengthened(before, events);
    return store.lengthenChain(deps.runPrepared, {
      workspaceId,
      events,
      links,
      at: deps.clock.now(),
      from: chain?.checkpointSealed ?? null,
      to: sealed(workspaceId, checkpoint),
    });
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
    async insert(events) {
      const left: store.NewAuditEvent[] = [];
      for (const [workspaceId, own] of byWorkspace(events)) {
        // whatever keeps them from their chain now, they are sealed later; where the database is away, writing them throws as well
        if (!(await insertSealed(workspaceId, own).catch(() => false))) left.push(...own);
      }
      if (left.length > 0) await store.insertAuditEvents(deps.db, left);
    },
    cut: () => deps.db.$transaction(cutBatch),
  };
}

/** The places of rows that come next in a chain, and the checkpoint behind them. */
function lengthened(checkpoint: Checkpoint, events: readonly store.UnsealedAuditEvent[]) {
  let { head } = checkpoint;
  const links = events.map((event) => {
    head = { sequence: head.sequence + 1n, hash: linkHash(head, event) };
    return head;
  });
  return { links, checkpoint: { ...checkpoint, head } };
}

function byWorkspace<T extends { workspaceId: string }>(events: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const event of events) {
    const own = groups.get(event.workspaceId);
    if (own) own.push(event);
    else groups.set(event.workspaceId, [event]);
  }
  return groups;
}
