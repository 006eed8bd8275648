import { clientSecretOwner } from '../connectors/manage.ts';
import { operatorSecretOwner } from '../connectors/operator-client.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { open, SealError, type SealOwner, seal } from '../crypto/seal.ts';
import type { Db } from '../db/client.ts';
import type { Logger } from '../lib/logger.ts';
import { identitySecretOwner } from '../workspaces/apps.ts';
import { checkpointOwner } from '../workspaces/audit-chain.ts';
import { flowOwner } from './establish.ts';
import { tokenOwner } from './grant.ts';
import { outboxOwner } from './outbox.ts';
import * as store from './store.ts';

export interface RotateDeps {
  db: Db;
  keyring: Keyring;
  /** Stops after the batch under way. What is left is found again the next time. */
  signal?: AbortSignal;
  onProgress?: (progress: RotationProgress) => void;
}

/** How far one column has come: values re-encrypted in this pass, and values that other keys have sealed still. */
export interface RotationProgress {
  table: string;
  column: string;
  done: number;
  left: number;
}

export interface Rotation {
  /** How many values were re-encrypted. */
  done: number;
  /** Values whose key is missing, or that do not open with it. */
  unopened: { table: string; column: string; count: number }[];
}

type Column = store.SealedColumn & { owner: (id: string) => SealOwner };

/** Every column that holds secrets. */
const sealedColumns: readonly Column[] = [
  { table: 'connector', key: 'id', column: 'clientSecretSealed', owner: clientSecretOwner },
  { table: 'operator_client', key: 'providerKey', column: 'clientSecretSealed', owner: operatorSecretOwner },
  { table: 'app', key: 'id', column: 'identitySecretSealed', owner: identitySecretOwner },
  {
    table: 'credential',
    key: 'connectionId',
    column: 'accessTokenSealed',
    owner: (id) => tokenOwner(id, 'accessToken'),
  },
  {
    table: 'credential',
    key: 'connectionId',
    column: 'refreshTokenSealed',
    owner: (id) => tokenOwner(id, 'refreshToken'),
  },
  { table: 'pending_flow', key: 'id', column: 'codeVerifierSealed', owner: (id) => flowOwner(id, 'codeVerifier') },
  { table: 'pending_flow', key: 'id', column: 'responseSealed', owner: (id) => flowOwner(id, 'response') },
  { table: 'outbox_item', key: 'id', column: 'tokensSealed', owner: outboxOwner },
  { table: 'audit_chain', key: 'id', column: 'checkpointSealed', owner: checkpointOwner },
];

const batchSize = 100;
/** An instance that still encrypts with another key would keep this going for ever. */
const maxPasses = 10;

/**
 * Re-encrypts every secret under the keyring's active key, while others read and write: whoever writes a value meanwhile wins.
 * A refresh that began before may put an old value back, so it looks again until a pass finds nothing that it could do.
 */
export async function rotateKeys(deps: RotateDeps): Promise<Rotation> {
  let done = 0;
  for (let pass = 1; ; pass += 1) {
    const unopened: Rotation['unopened'] = [];
    let touched = 0;
    for (const column of sealedColumns) {
      const counts = await rotateColumn(deps, column);
      done += counts.done;
      touched += counts.done + counts.overtaken;
      if (counts.unopened > 0) unopened.push({ table: column.table, column: column.column, count: counts.unopened });
    }
    if (touched === 0 || pass === maxPasses || deps.signal?.aborted) return { done, unopened };
  }
}

type Outcome = 'done' | 'overtaken' | 'unopened';

async function rotateColumn(deps: RotateDeps, column: Column): Promise<Record<Outcome, number>> {
  const { db, keyring, signal, onProgress } = deps;
  const { kid } = keyring.active;
  const counts = { done: 0, overtaken: 0, unopened: 0 };
  const total = await store.countSealedUnderOthers(db, column, kid);
  let seen = 0;
  let lastId = '';
  while (seen < total && !signal?.aborted) {
    const rows = await store.findSealedUnderOthers(db, column, kid, lastId, batchSize);
    const last = rows.at(-1);
    if (!last) break;
    for (const outcome of await Promise.all(rows.map((row) => rotateValue(deps, column, row)))) counts[outcome] += 1;
    seen += rows.length;
    lastId = last.id;
    const left = Math.max(0, total - counts.done);
    onProgress?.({ table: column.table, column: column.column, done: counts.done, left });
  }
  return counts;
}

async function rotateValue(
  { db, keyring }: RotateDeps,
  column: Column,
  row: { id: string; sealed: string },
): Promise<Outcome> {
  const owner = column.owner(row.id);
  let resealed: string;
  try {
    resealed = seal(keyring, owner, open(keyring, owner, row.sealed));
  } catch (error) {
    if (error instanceof SealError) return 'unopened';
    throw error;
  }
  return (await store.replaceSealed(db, column, row, resealed)) ? 'done' : 'overtaken';
}

/** How many values stand under each key: those of the keyring, and others that are met (null: no envelope at all). */
export async function countByKey({ db, keyring }: { db: Db; keyring: Keyring }): Promise<Map<string | null, number>> {
  const counts = new Map<string | null, number>(keyring.kids.map((kid) => [kid, 0]));
  for (const column of sealedColumns) {
    for (const { kid, count } of await store.countSealedByKey(db, column)) {
      counts.set(kid, (counts.get(kid) ?? 0) + count);
    }
  }
  return counts;
}

/** The rotation as the service does it by itself: quiet where there is nothing to do, and what does not open stays where it is. */
export async function rotateAtStart(deps: RotateDeps & { log: Logger; missingKeys: MissingKeys }): Promise<void> {
  const { done, unopened } = await rotateKeys(deps);
  const { kid } = deps.keyring.active;
  if (done > 0) deps.log.info({ kid, values: done }, 'secrets were re-encrypted under the first key');
  if (unopened.length === 0) return;
  deps.log.error({ unopened }, 'secrets cannot be opened: their key is missing, or they were changed');
  await deps.missingKeys.look();
}

/** The keys that values stand under and the keyring does not hold. */
export interface MissingKeys {
  /** Counts anew. Answers 0, as a task does that has nothing more to do. */
  look(): Promise<number>;
  /** How many values stood under each when last counted. */
  found(): ReadonlyMap<string, number>;
}

/**
 * Tells which keys are missing: else the first that a read needs would be the first that anybody hears of. The service goes on with
 * what it can open: one row that is left over from long ago must not keep everybody from their tokens.
 */
export function createMissingKeys(deps: { db: Db; keyring: Keyring; log: Logger }): MissingKeys {
  let missing: ReadonlyMap<string, number> = new Map();
  return {
    found: () => missing,
    async look() {
      const counts = [...(await countByKey(deps))].flatMap(([kid, values]) =>
        kid === null || deps.keyring.kids.includes(kid) ? [] : [[kid, values] as const],
      );
      for (const [kid, values] of counts) {
        if (missing.has(kid)) continue;
        const text = `ENCRYPTION_KEYS lacks the key ${JSON.stringify(kid)}: what it has sealed cannot be read until it is put back`;
        deps.log.error({ kid, values }, text);
      }
      missing = new Map(counts);
      return 0;
    },
  };
}
