import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { actorOf, auditRow } from './audit.ts';
import type { AuditTasks } from './audit-seal.ts';
import type { NewAuditEvent } from './audit-store.ts';
import { type Caller, callingApp } from './caller.ts';

/** Notes that somebody read a token, or tried to. Answers at once; the row is written with others. */
export type NoteTokenRead = (
  caller: Caller,
  read: { connectorId: string; connectionId: string | null; outcome: string },
) => void;

export interface ReadAudit {
  note: NoteTokenRead;
  /** Writes what is left. */
  stop: () => Promise<void>;
}

const flushMs = 1_000;
const batchSize = 500;
/** What is kept while the database is away: some minutes of reads, some megabytes. */
const maxKept = 20_000;
const lastAttempts = 3;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Keeps the rows of token reads until there is a batch of them, so that no read waits for its row. A crash loses a second's worth. */
export function createReadAudit(deps: { audit: Pick<AuditTasks, 'insert'>; clock: Clock; log: Logger }): ReadAudit {
  const kept: NewAuditEvent[] = [];
  let dropped = 0;
  let writing: Promise<void> | null = null;

  async function write(): Promise<void> {
    let due = kept.length; // what comes meanwhile waits for a batch of its own: a transaction for each handful costs more than the reads
    while (due > 0 || kept.length >= batchSize) {
      const batch = kept.slice(0, batchSize);
      due -= batch.length;
      try {
        await deps.audit.insert(batch);
      } catch (error) {
        deps.log.warn(
          { err: error, kept: kept.length },
          'token reads could not be audited; they are kept and tried again',
        );
        return;
      }
      kept.splice(0, batch.length);
    }
  }

  function flush(): Promise<void> {
    writing ??= write().finally(() => {
      writing = null;
    });
    return writing;
  }

  function tellDropped(): void {
    if (dropped > 0) deps.log.error({ dropped }, 'token reads are missing from the audit: they could not be written');
    dropped = 0;
  }

  const timer = setInterval(() => {
    tellDropped();
    void flush();
  }, flushMs);
  return {
    note(caller, { connectorId, connectionId, outcome }) {
      const app = callingApp(caller);
      if (!app) return; // nobody's app, so nobody's audit
      if (kept.length >= maxKept) {
        dropped += 1;
        return;
      }
      // a caller may send any text as an id, a secret by mistake even
      const ids = uuid.test(connectorId) ? { connectorId, connectionId } : {};
      const act = { act: 'TOKEN_READ', workspaceId: app.workspaceId, outcome, ...ids } as const;
      kept.push(auditRow(deps.clock.now(), actorOf(caller), act));
      if (kept.length >= batchSize && kept.length % batchSize === 0) void flush();
    },
    async stop() {
      clearInterval(timer);
      for (let attempts = 0; attempts < lastAttempts; attempts += 1) {
        await flush(); // the one under way, which may have begun before the last rows came
        await flush();
        if (kept.length === 0) break;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      dropped += kept.length;
      tellDropped();
    },
  };
}
