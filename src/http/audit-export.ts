import type { Credentials } from '../identity/caller.ts';
import { DomainError } from '../lib/domain-error.ts';
import { globalId, idOf } from '../lib/global-id.ts';
import type { AuditRow, ExportAudit } from '../workspaces/audit-list.ts';
import type { Caller } from '../workspaces/caller.ts';
import { ValidationError } from '../workspaces/errors.ts';
import { restError } from './rest-error.ts';

export interface AuditExportDeps {
  identify: (credentials: Credentials) => Promise<Caller>;
  exportAudit: ExportAudit;
}

type Batches = ReturnType<ExportAudit>;

/** `GET /api/workspaces/:workspaceId/audit.ndjson`: one JSON object a line, the oldest first, a batch at a time. */
export async function auditExport(
  deps: AuditExportDeps,
  request: Request,
  workspaceId: string,
  address: string | null,
): Promise<Response> {
  if (request.method !== 'GET') return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'GET' } });
  const { searchParams } = new URL(request.url);
  const header = (name: string) => request.headers.get(name);
  const credentials = {
    authorization: header('authorization'),
    appId: header('x-app-id'),
    onBehalfOf: header('on-behalf-of'),
  };
  const caller = await deps.identify({ ...credentials, origin: header('origin'), address });
  try {
    const [since, until] = [readInstant(searchParams, 'since'), readInstant(searchParams, 'until')];
    const range = { ...(since && { since }), ...(until && { until }) };
    const batches = deps.exportAudit(caller, idOf('Workspace', workspaceId) ?? '', range);
    return new Response(streamOf(batches), {
      headers: { 'Content-Type': 'application/x-ndjson; charset=utf-8', 'Cache-Control': 'no-store' },
    });
  } catch (error) {
    if (error instanceof DomainError) return restError(error);
    throw error;
  }
}

function readInstant(params: URLSearchParams, name: string): Date | null {
  const text = params.get(name);
  if (text === null) return null;
  const isInstant = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const instant = new Date(text);
  if (isInstant && !Number.isNaN(instant.getTime())) return instant;
  throw new ValidationError([{ path: name, message: `${name} is an instant such as 2026-01-31T00:00:00Z.` }]);
}

/** Reads the next batch when the one before has been taken, so that a slow reader holds up nothing and fills nothing. */
function streamOf(batches: Batches): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await batches.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value.map((row) => `${JSON.stringify(lineOf(row))}\n`).join('')));
    },
    async cancel() {
      await batches.return(undefined);
    },
  });
}

const idOrNull = (type: string, id: string | null) => id && globalId(type, id);

function lineOf(row: AuditRow) {
  return {
    id: globalId('AuditEvent', row.id),
    at: row.at,
    act: row.act,
    outcome: row.outcome,
    actorKind: row.actorKind,
    actor: row.actor,
    workspaceId: globalId('Workspace', row.workspaceId),
    appId: idOrNull('App', row.appId),
    connectorId: idOrNull('Connector', row.connectorId),
    connectionId: idOrNull('AppUserConnection', row.connectionId),
    targetId: row.targetId,
    details: row.details,
    sequence: row.sequence === null ? null : Number(row.sequence),
    hash: row.hash,
  };
}
