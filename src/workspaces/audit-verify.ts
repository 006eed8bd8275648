import type { Keyring } from '../crypto/keyring.ts';
import type { Db, Tx } from '../db/client.ts';
import type { AuditEvent } from '../db/generated/prisma/client.ts';
import { linkHash, openCheckpoint } from './audit-chain.ts';
import * as store from './audit-store.ts';

/** What became of one workspace's chain. */
export interface ChainReport {
  workspaceId: string;
  /** How many rows hold, from the first that retention has left. */
  rows: number;
  /** The last row that holds; null where there is none. */
  last: { sequence: bigint; hash: string; at: Date } | null;
  /** The first row that does not hold, in a sentence; null where all do. */
  fault: string | null;
}

export interface AuditReport {
  chains: ChainReport[];
  /** Rows that are not in a chain yet: about the last seconds' worth. */
  unsealed: number;
}

const batchSize = 1_000;
const longestMs = 24 * 3_600_000;

/** Walks every chain from its cut to its head, on one snapshot of the database, while the service goes on. */
export function verifyAudit({ db, keyring }: { db: Db; keyring: Keyring }): Promise<AuditReport> {
  return db.$transaction(
    async (tx) => {
      const chains: ChainReport[] = [];
      for (const workspaceId of await store.findChainedWorkspaces(tx)) {
        chains.push(await verifyChain(tx, keyring, workspaceId));
      }
      return { chains, unsealed: await store.countUnsealed(tx) };
    },
    { isolationLevel: 'RepeatableRead', timeout: longestMs },
  );
}

async function verifyChain(tx: Tx, keyring: Keyring, workspaceId: string): Promise<ChainReport> {
  const report: ChainReport = { workspaceId, rows: 0, last: null, fault: null };
  const chain = await store.findChain(tx, workspaceId);
  const checkpoint = chain && openCheckpoint(keyring, workspaceId, chain.checkpointSealed);
  if (!checkpoint) return { ...report, fault: chain ? 'its checkpoint was altered' : 'its checkpoint is missing' };
  const { cut, head } = checkpoint;
  let link = cut;
  let place = -1n; // a row that claims a place before the cut was put there
  for (;;) {
    const rows = await store.findSealed(tx, workspaceId, place, batchSize);
    for (const row of rows) {
      const fault = faultOf(row, link, head);
      if (fault) return { ...report, fault };
      link = { sequence: link.sequence + 1n, hash: row.hash ?? '' };
      report.rows += 1;
      report.last = { ...link, at: row.at };
    }
    if (rows.length < batchSize) break;
    place = link.sequence;
  }
  if (link.sequence < head.sequence) report.fault = `row ${link.sequence + 1n} is missing`;
  else if (link.hash !== head.hash) report.fault = `row ${link.sequence} is not the one that was sealed`;
  return report;
}

/** What is wrong with a row that should stand behind a link; null where nothing is. */
function faultOf(row: AuditEvent, link: store.ChainLink, head: store.ChainLink): string | null {
  const { id, sequence, hash } = row;
  if (sequence === null || sequence <= link.sequence || sequence > head.sequence) {
    return `row ${sequence} (${id}) was never sealed`;
  }
  if (sequence > link.sequence + 1n) return `row ${link.sequence + 1n} is missing`;
  return linkHash(link, row) === hash ? null : `row ${sequence} (${id}) was altered`;
}
