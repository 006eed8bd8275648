import { expect } from 'vitest';
import { field, type Service, type TestWorkspace } from './harness.ts';
import { eventually } from './scene.ts';

/** A row of the audit as the API shows it. */
export interface AuditRow {
  id: string;
  at: string;
  act: string;
  outcome: string;
  actorKind: string;
  actor: string | null;
  appId: string | null;
  connectorId: string | null;
  connectionId: string | null;
  targetId: string | null;
  details: { name: string; values: string[] }[];
  hash: string | null;
}

export interface AuditPage {
  rows: AuditRow[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
}

const query = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilterInput) {
  workspace(id: $id) { name audit(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { node { id at act outcome actorKind actor appId connectorId connectionId targetId details { name values } hash } } } } }`;

export function askAudit(
  service: Service,
  workspace: Pick<TestWorkspace, 'id' | 'owner'>,
  args: Record<string, unknown> = {},
  headers = workspace.owner,
) {
  return service.graphql(query, { id: workspace.id, ...args }, headers);
}

/** A page of a workspace's audit, the latest first, as its owner sees it. */
export async function auditOf(
  service: Service,
  workspace: Pick<TestWorkspace, 'id' | 'owner'>,
  args: Record<string, unknown> = { first: 100 },
): Promise<AuditPage> {
  const answer = await askAudit(service, workspace, args);
  const { audit } = field<{ audit: { edges: { node: AuditRow }[]; pageInfo: AuditPage['pageInfo'] } }>(
    answer,
    'workspace',
  );
  return { rows: audit.edges.map(({ node }) => node), pageInfo: audit.pageInfo };
}

/** What a row says, on one line: act, outcome, who, and the names and values of its details. */
export function lineOf({ act, outcome, actorKind, actor, details }: AuditRow): string {
  const more = details.map(({ name, values }) => `${name}=${values.join(',')}`).sort();
  return [act, outcome, actorKind, actor, ...more].filter((part) => part !== null).join(' ');
}

/** Waits until every row of the workspace is in its chain, the last ones included. */
export async function sealed(service: Service, workspace: TestWorkspace): Promise<void> {
  service.clock.advance(10_000);
  await expect
    .poll(async () => (await auditOf(service, workspace)).rows.every(({ hash }) => hash !== null), eventually)
    .toBe(true);
}
