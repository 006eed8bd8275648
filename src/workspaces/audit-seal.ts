import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { type Checkpoint, emptyChain, linkHash, openCheckpoint, sealCheckpoint } from './audit-chain.ts';
import * as store from './audit-store.ts';

interface ChainDeps {
  db: Db;
  clock: Clock;
  keyring: Keyring;
  log: Logger;
}

/** The work on the chains of the audit. Any number of instances may, one at a time does. */
export interface AuditTasks {
  /** Puts the next rows into their workspaces' chains. Answers how many. */
  seal: () => Promise<number>;
  /**
   * Writes rows that belong to no transaction, and puts them into their chains at once where this instance gets the turn. That costs the
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

  const write = (tx: Tx, workspaceId: string, checkpoint: Checkpoint) =>
    store.writeCheckpoint(tx, workspaceId, sealCheckpoint(deps.keyring, workspaceId, checkpoint), deps.clock.now());

  /** Lengthens each workspace's chain by its rows, and answers them and, in the same order, their places; those of a broken chain are left out. */
  async function chained<T extends store.UnsealedAuditEvent>(tx: Tx, events: T[]) {
    const rows: T[] = [];
    const links: store.ChainLink[] = [];
    for (const [workspaceId, own] of byWorkspace(events)) {
      const checkpoint = await checkpointOf(tx, workspaceId);
      if (!checkpoint) continue;
      let { head } = checkpoint;
      for (const event of own) {
        head = { sequence: head.sequence + 1n, hash: linkHash(head, event) };
        rows.push(event);
        links.push(head);
      }
      await write(tx, workspaceId, { ...checkpoint, head });
    }
    return { rows, links };
  }

  async function sealBatch(tx: Tx): Promise<number> {
    if (!(await store.takeChainTurn(tx))) return 0;
    const before = new Date(deps.clock.now().getTime() - settleMs);
    const events = await store.findUnsealed(tx, before, [...broken], batchSize);
    if (events.length === 0) return 0;
    const { rows, links } = await chained(tx, events);
    const ids = rows.map(({ id }) => id);
    await store.sealRows(tx, ids, links);
    return events.length;
  }

  /** Writes all of the rows, each in its chain, or none. */
  async function insertSealed(tx: Tx, events: store.NewAuditEvent[]): Promise<boolean> {
    if (!(await store.takeChainTurn(tx))) return false;
    const { rows, links } = await chained(tx, events);
    const written = await store.insertAuditEvents(tx, rows, links);
    if (written < events.length) throw new Error('a chain is broken, or some of the rows are there already');
    return true;
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
      const isBroken = events.some(({ workspaceId }) => broken.has(workspaceId));
      // whatever keeps them from their chains now, they are sealed later; where the database is away, this throws as well
      const isDone = !isBroken && (await deps.db.$transaction((tx) => insertSealed(tx, events)).catch(() => false));
      if (!isDone) await store.insertAuditEvents(deps.db, events);
    },
    cut: () => deps.db.$transaction(cutBatch),
  };
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
