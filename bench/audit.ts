import type { Cleanup } from './support/cleanup.ts';
import { median } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { type Stage, setStage } from './support/stage.ts';

const rows = sized(1_000_000);
const pageSize = 50;
const rounds = 60;
const warmUpRounds = 5;
const goal = 1.5;

const query = `query ($id: ID!, $first: Int, $after: String, $last: Int) { workspace(id: $id) {
  audit(first: $first, after: $after, last: $last) {
    edges { node { id at act outcome actor } } pageInfo { startCursor hasNextPage } } } }`;

interface Page {
  edges: unknown[];
  pageInfo: { startCursor: string; hasNextPage: boolean };
}

/** An admin pages through a day's audit: its first page, the newest, and its last. */
export async function audit(cleanup: Cleanup): Promise<Figure[]> {
  const stage = await setStage(cleanup, { instances: 1 });
  await storeRows(stage);
  const { startCursor } = (await read(stage, { last: pageSize + 1 })).pageInfo;
  const places = [
    { name: 'first page', args: { first: pageSize }, hasNextPage: true, takenMs: [] as number[] },
    { name: 'last page', args: { first: pageSize, after: startCursor }, hasNextPage: false, takenMs: [] as number[] },
  ];
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    for (const { name, args, hasNextPage, takenMs } of places) {
      const began = performance.now();
      const { edges, pageInfo } = await read(stage, args);
      if (round >= warmUpRounds) takenMs.push(performance.now() - began);
      if (edges.length !== pageSize || pageInfo.hasNextPage !== hasNextPage)
        throw new Error(`This is not the ${name}.`);
    }
  }
  const [first, last] = places.map(
    ({ name, takenMs }): Figure => ({
      name: `${name} of an audit of ${rows.toLocaleString('en')} rows`,
      value: median(takenMs),
      unit: 'ms',
    }),
  );
  return first && last ? [first, compared(last, first, goal)] : [];
}

/** Token reads spread over the last day. They count as sealed: sealing so many is not what is measured. */
async function storeRows({ database, workspaceId }: Stage): Promise<void> {
  await database.pool.query(
    `INSERT INTO audit_event (id, "workspaceId", at, act, outcome, "actorKind", actor, details, sequence, hash)
     SELECT gen_random_uuid(), $1, now() - interval '1 day' * n / $2, 'TOKEN_READ', 'OK', 'BACKEND_FUNCTION', 'person-' || n, '{}',
       1000000000 + n, md5(n::text)
     FROM generate_series(1, $2) n`,
    [workspaceId.replace('Workspace_', ''), rows],
  );
  await database.pool.query('ANALYZE audit_event');
}

async function read({ first: instance, workspaceId, owner }: Stage, args: Record<string, unknown>): Promise<Page> {
  const body = JSON.stringify({ query, variables: { id: workspaceId, ...args } });
  const { data, errors } = await instance.send<{ data?: { workspace?: { audit?: Page } }; errors?: unknown }>(
    body,
    owner,
  );
  if (!data?.workspace?.audit) throw new Error(JSON.stringify(errors));
  return data.workspace.audit;
}
