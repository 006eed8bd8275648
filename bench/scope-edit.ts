import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from './support/cleanup.ts';
import { storeConnections } from './support/connections.ts';
import { median, timed } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { type Connector, type Stage, scopes, setStage } from './support/stage.ts';

const sizes = [1, sized(10_000), sized(1_000_000)];
const rounds = 100;
const warmUpRounds = 20;
const goal = 1.5;

interface Subject {
  connector: Connector;
  connections: number;
  takenMs: number[];
}

/** An admin edits a connector's scopes; every connection under it changes its status, and none is written. */
export async function scopeEdit(cleanup: Cleanup): Promise<Figure[]> {
  const stage = await setStage(cleanup, { instances: 1 });
  const subjects: Subject[] = [];
  for (const connections of sizes) {
    const connector = await stage.addConnector();
    await storeConnections(stage, connector, connections - 1); // one is there already: the person who really connected
    subjects.push({ connector, connections, takenMs: [] });
  }
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    const wanted = round % 2 === 0 ? scopes.more : scopes.usual;
    for (const { connector, takenMs } of subjects) {
      takenMs.push(await timed(() => stage.editScopes(connector, wanted)));
    }
  }
  const edits = subjects.map(
    ({ connections, takenMs }): Figure => ({
      name: `edit with ${counted(connections)}, median of ${rounds}`,
      value: median(takenMs.slice(warmUpRounds)),
      unit: 'ms',
    }),
  );
  const figures = edits.map((edit, index) => (edits[0] && index > 0 ? compared(edit, edits[0], goal) : edit));
  for (const { connector, connections } of subjects) {
    figures.push({
      name: `rows written by an edit with ${counted(connections)}`,
      value: await rowsWrittenBy(stage, () => stage.editScopes(connector, scopes.more)),
      unit: '',
      goal: 2, // the connector and its line in the audit
    });
  }
  return figures;
}

function counted(connections: number): string {
  return connections === 1 ? 'one connection' : `${connections.toLocaleString('en')} connections`;
}

/** How many rows, over all tables, an act left new or changed: those whose last writing transaction is younger than one from before it. */
async function rowsWrittenBy(stage: Stage, act: () => Promise<void>): Promise<number> {
  const { pool } = stage.database;
  // in the background the audit's rows of earlier acts are written once more, when they are sealed
  for (;;) {
    const { rows } = await pool.query('SELECT 1 FROM audit_event WHERE sequence IS NULL LIMIT 1');
    if (rows.length === 0) break;
    await sleep(200);
  }
  const { rows: marks } = await pool.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  await act();
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
  );
  let written = 0;
  for (const { name } of tables) {
    const { rows } = await pool.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM "${name}" WHERE age(xmin) < age($1::text::xid)`,
      [marks[0]?.xid],
    );
    written += rows[0]?.count ?? 0;
  }
  return written;
}
