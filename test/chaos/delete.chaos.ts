import type pg from 'pg';
import { expect, test, vi } from 'vitest';
import { addTestConnector, field } from '../support/harness.ts';
import { connectByCookie } from '../support/journey.ts';
import type { CalendarProvider } from '../support/local-provider.ts';
import { deleteConnector } from '../support/scene.ts';
import { type Stage, setStage } from '../support/stage.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { eachOf, report, rounds, useServices } from './support/rounds.ts';
import { readAt, worksAt } from './support/tokens.ts';

useServices();

const processCount = 2;
const connectionCount = rounds(1_000, 60);
// a killed worker's claims lapse after a minute, and what failed is tried again after up to as long
const patience = { timeout: 5 * 60_000, interval: 200 };

/** Notes every row that is written from now on, with its transaction. */
async function noteWrites(sql: pg.Pool): Promise<void> {
  const { rows } = await sql.query<{ name: string }>(`SELECT relname AS name FROM pg_stat_user_tables`);
  await sql.query(`
    CREATE TABLE written (transaction bigint, "table" text, operation text);
    CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO written VALUES (txid_current(), TG_TABLE_NAME, TG_OP); RETURN NULL; END $$;`);
  for (const { name } of rows) {
    await sql.query(
      `CREATE TRIGGER note_write AFTER INSERT OR UPDATE OR DELETE ON "${name}" FOR EACH ROW EXECUTE FUNCTION note_write()`,
    );
  }
}

/** Revokes all connections of the stage's connector, which stays. */
async function revokeAll({ service, workspace, connector }: Stage): Promise<void> {
  const answer = await service.graphql(
    `mutation ($input: RevokeAllConnectionsInput!) { revokeAllConnections(input: $input) { __typename } }`,
    { input: { workspaceId: workspace.id, connectorId: connector.id, confirm: true } },
    workspace.owner,
  );
  expect(field(answer, 'revokeAllConnections').__typename).toBe('RevokeAllConnectionsPayload');
}

/** Ends the connections of the stage's connector. Answers which rows the transaction wrote, and how long the call took. */
async function endAndCount(
  end: (stage: Stage) => Promise<void>,
  stage: Stage,
  sql: pg.Pool,
): Promise<{ rows: unknown[]; tookMs: number }> {
  await sql.query('TRUNCATE written');
  const began = performance.now();
  await end(stage);
  const tookMs = performance.now() - began;
  const { rows } = await sql.query(
    `SELECT "table", operation, count(*)::int AS count FROM written
     WHERE transaction = (SELECT min(transaction) FROM written WHERE "table" = 'connector')
     GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return { rows, tookMs };
}

/** The provider's revocation endpoint answers nothing but 503 until it is mended; then it tells what it was sent. */
function breakRevocation(provider: CalendarProvider): {
  mend: () => void;
  refused: () => number;
  revoked: Set<string>;
} {
  let isBroken = true;
  let refused = 0;
  const revoked = new Set<string>();
  provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation') return next();
    if (isBroken) {
      refused += 1;
      ctx.status = 503;
      ctx.body = '<h1>Maintenance</h1>';
      return;
    }
    await next();
    if (ctx.status === 200) revoked.add(String(ctx.oidc?.body?.['token']));
  });
  return { mend: () => (isBroken = false), refused: () => refused, revoked };
}

/** The tokens of every consent at the provider. */
function noteGrants(provider: CalendarProvider): { accessToken: string; refreshToken: string }[] {
  const grants: { accessToken: string; refreshToken: string }[] = [];
  provider.around(async (ctx, next) => {
    await next();
    const told = (ctx.body ?? {}) as Record<string, string | undefined>;
    const { access_token: accessToken, refresh_token: refreshToken } = told;
    if (ctx.path === '/token' && accessToken && refreshToken) grants.push({ accessToken, refreshToken });
  });
  return grants;
}

/** Reads at random for as long as it is let. Answers what each read was told, and when it began. */
function startReaders({ app, connector }: Stage, fleet: Fleet, userIds: string[]) {
  const reads: { startedAt: number; answer: string }[] = [];
  let isStopped = false;
  const loop = async () => {
    for (let turn = 0; !isStopped; turn += 1) {
      const service = fleet.processes[turn % fleet.processes.length]!;
      const headers = await app.backend(userIds[turn % userIds.length]!);
      const startedAt = performance.now();
      await readAt(service, headers, connector.id).then(
        ({ __typename }) => reads.push({ startedAt, answer: __typename }),
        () => new Promise((resolve) => setTimeout(resolve, 20)), // a process that was killed answers nothing
      );
    }
  };
  const loops = Promise.all([loop(), loop()]);
  return {
    reads,
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}

async function killAndRestart(fleet: Fleet): Promise<void> {
  await Promise.all(fleet.processes.map((service) => service.kill()));
  const started = await Promise.all(fleet.processes.map(() => fleet.start()));
  fleet.processes.splice(0, fleet.processes.length, ...started);
}

async function countRevocations(sql: pg.Pool, condition: string): Promise<number> {
  const { rows } = await sql.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM outbox_item WHERE kind = 'REVOKE_GRANT' AND ${condition}`,
  );
  return rows[0]?.count ?? 0;
}

async function untilQueued(sql: pg.Pool, least: number): Promise<void> {
  await vi.waitFor(
    async () => {
      if ((await countRevocations(sql, 'true')) < least) throw new Error(`fewer than ${least} revocations are queued`);
    },
    { ...patience, interval: 10 },
  );
}

test('deleting a connector of many connections ends access at once, and revokes each grant although the provider is down and the workers are killed twice', () =>
  endMany(deleteConnector, 'NotFoundError'));

test('T8. revoking all of many connections refuses their tokens at once, and revokes each grant although the provider is down and the workers are killed twice', () =>
  endMany(revokeAll, 'ReconnectRequiredError'));

async function endMany(end: (stage: Stage) => Promise<void>, answerAfter: string): Promise<void> {
  const fleet = await startFleet(processCount);
  const stage = await setStage({ service: fleet.processes[0]! });
  const lonely = { ...stage, connector: await addTestConnector(stage.service, stage.workspace, stage.provider) };
  await connectByCookie(stage.service, await stage.app.browser('lonely'), lonely.connector.id);
  const grants = noteGrants(stage.provider);
  const userIds = Array.from({ length: connectionCount }, (_value, index) => `user-${index}`);
  const began = performance.now();
  await eachOf(userIds, 6, async (userId) => {
    await connectByCookie(stage.service, await stage.app.browser(userId), stage.connector.id);
  });
  report(`${grants.length} connections made in ${Math.round(performance.now() - began)} ms`);
  const revocation = breakRevocation(stage.provider);
  await noteWrites(fleet.sql);
  const one = await endAndCount(end, lonely, fleet.sql);
  const readers = startReaders(stage, fleet, userIds);
  await vi.waitUntil(() => readers.reads.length > 10, patience);

  const readBefore = readers.reads.length;
  const many = await endAndCount(end, stage, fleet.sql);
  const endedAt = performance.now();
  report(
    `ended with ${connectionCount} connections in ${Math.round(many.tookMs)} ms, with one in ${Math.round(one.tookMs)} ms`,
  );
  await untilQueued(fleet.sql, 2); // the lonely one's, and the first of these
  await killAndRestart(fleet);
  await untilQueued(fleet.sql, connectionCount / 2);
  await killAndRestart(fleet);
  await untilQueued(fleet.sql, connectionCount + 1);
  await vi.waitUntil(() => revocation.refused() > 0, patience);
  await readers.stop();
  const downMs = performance.now() - endedAt;
  revocation.mend();
  await vi.waitFor(async () => expect(await countRevocations(fleet.sql, '"doneAt" IS NULL')).toBe(0), patience);
  report(
    `the provider was down for ${Math.round(downMs)} ms, and all were revoked ${Math.round(performance.now() - endedAt - downMs)} ms later; ${revocation.refused()} revocations were refused before`,
  );

  expect(many.rows).toEqual(one.rows);
  const before = readers.reads.slice(0, readBefore);
  expect(new Set(before.map(({ answer }) => answer))).toEqual(new Set(['CurrentAppUserConnection']));
  const after = readers.reads.filter(({ startedAt }) => startedAt >= endedAt);
  expect(new Set(after.map(({ answer }) => answer))).toEqual(new Set([answerAfter]));
  const receipts = await fleet.sql.query(
    `SELECT "userId", array_agg(receipt::text) AS receipts FROM outbox_item JOIN connection ON connection.id = "connectionId"
     WHERE outbox_item.kind = 'REVOKE_GRANT' AND "userId" <> 'lonely' GROUP BY 1`,
  );
  expect(receipts.rows).toHaveLength(connectionCount);
  expect(receipts.rows.filter(({ receipts: own }) => own.length !== 1 || own[0] !== 'REVOKED')).toEqual([]);
  expect(grants.filter(({ refreshToken }) => !revocation.revoked.has(refreshToken))).toEqual([]);
  for (const { accessToken } of grants) expect(await worksAt(stage.provider, accessToken)).toBe(false);
}
