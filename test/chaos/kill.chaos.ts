import { describe, expect, test } from 'vitest';
import { connectUser } from '../support/scene.ts';
import { gate, type Stage, setStage } from '../support/stage.ts';
import { type Hold, holdDiscovery, interceptFirst } from './support/holds.ts';
import { type Fleet, type ServiceProcess, startFleet } from './support/processes.ts';
import { eachOf, report, rounds, useServices, within } from './support/rounds.ts';
import { assertLeased, holdRow } from './support/row-lock.ts';
import { expireToken, readAt, worksAt } from './support/tokens.ts';

useServices();

const fullRounds = 20;
const atOnce = 3;
const leaseMs = 10_000;
const littleMs = 6_000;

/** One user's expired token at a provider of its own, a process that will die, and one that goes on. */
interface Trial {
  stage: Stage;
  userId: string;
  headers: Record<string, string>;
  victim: ServiceProcess;
  survivor: ServiceProcess;
  fleet: Fleet;
}

/** Makes a refresh stop at a point. What is held is released once the process is dead. */
type Arrange = (trial: Trial) => Promise<{ reached: Promise<unknown>; release(): unknown }>;

interface Point {
  /** Whether nothing was used up yet when the process died, so that the person must notice nothing. */
  nothingIsLost: boolean;
  arrange: Arrange;
}

const points: Record<string, Point> = {
  'before it takes the lease': {
    nothingIsLost: true,
    async arrange({ fleet, userId }) {
      const row = await holdRow(fleet.sql, 'credential', userId);
      return { reached: row.waitedFor(), release: () => row.release() };
    },
  },
  'after it has taken the lease': {
    nothingIsLost: true,
    async arrange({ stage, fleet, userId }) {
      const { reached, release } = holdDiscovery(stage.provider);
      return { reached: reached.then(() => assertLeased(fleet.sql, userId)), release };
    },
  },
  'when its request is sent': {
    nothingIsLost: true,
    arrange: async ({ stage }) => holdRequestAndDropIt(stage),
  },
  'when the answer has begun': {
    nothingIsLost: false,
    arrange: async ({ stage }) => holdHalfAnAnswer(stage),
  },
  'when it has read the answer': {
    nothingIsLost: false,
    async arrange({ fleet, userId }) {
      const row = await holdRow(fleet.sql, 'connection', userId);
      return { reached: row.waitedFor(), release: () => row.release() };
    },
  },
  'before it commits': {
    nothingIsLost: false,
    arrange: async (trial) => holdCommit(trial),
  },
};

/** The provider keeps the request and never looks at it. */
function holdRequestAndDropIt({ provider }: Stage): Hold {
  const { reached, wait, open } = gate();
  interceptFirst(provider, '/token', async (ctx) => {
    await wait();
    ctx.respond = false;
    ctx.res.destroy();
  });
  return { reached, release: open };
}

/** The provider rotates the tokens, and sends the headers and half of the new ones. */
function holdHalfAnAnswer({ provider }: Stage): Hold {
  const { reached, wait, open } = gate();
  interceptFirst(provider, '/token', async (ctx, next) => {
    await next();
    const text = JSON.stringify(ctx.body);
    ctx.respond = false;
    ctx.res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    ctx.res.write(text.slice(0, text.length / 2));
    await wait();
    ctx.res.destroy();
  });
  return { reached, release: open };
}

/** The row of the tokens is locked once the request has arrived, so that only the write of its answer waits. */
function holdCommit({ fleet, stage, userId }: Trial): Awaited<ReturnType<Arrange>> {
  let release = async () => {};
  const reached = new Promise((resolve, reject) => {
    interceptFirst(stage.provider, '/token', async (_ctx, next) => {
      const row = await holdRow(fleet.sql, 'credential', userId);
      release = () => row.release();
      row.waitedFor().then(resolve, reject);
      await next();
    });
  });
  return { reached, release: () => release() };
}

async function setTrial(fleet: Fleet, userId: string): Promise<Trial> {
  const survivor = fleet.processes[0]!;
  const [stage, victim] = await Promise.all([setStage({ service: survivor }), fleet.start()]);
  await connectUser(stage, userId);
  await expireToken(fleet.sql, userId);
  return { stage, userId, headers: await stage.app.backend(userId), victim, survivor, fleet };
}

async function killAt(trial: Trial, { arrange }: Point): Promise<void> {
  const { reached, release } = await arrange(trial);
  const read = readAt(trial.victim, trial.headers, trial.stage.connector.id).then(
    (answer) => {
      throw new Error(`answered before it was killed: ${JSON.stringify(answer)}`);
    },
    () => {}, // nobody answers from a dead process
  );
  await within(30_000, 'the way to the point', Promise.race([reached, read]));
  await trial.victim.kill();
  await release();
  await read;
}

/** Reads until something is decided. A token counts only where the provider takes it. */
async function decisionOf({ stage, headers, survivor }: Trial): Promise<'token' | 'reconnect'> {
  const until = performance.now() + leaseMs + littleMs;
  for (;;) {
    const leftMs = Math.max(1, until - performance.now());
    const read = await within(leftMs, 'the decision', readAt(survivor, headers, stage.connector.id));
    if (read.__typename === 'ReconnectRequiredError') return 'reconnect';
    if (read.__typename === 'CurrentAppUserConnection') {
      expect(await worksAt(stage.provider, read.accessToken)).toBe(true);
      return 'token';
    }
    expect(read).toMatchObject({ __typename: 'ProviderUnavailableError' });
    await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, read.retryAfterSeconds * 1000)));
  }
}

/** What was decided stands: a connection that lives can be refreshed again, one that does not says so again. */
async function assertStands(trial: Trial, decided: 'token' | 'reconnect'): Promise<void> {
  await expireToken(trial.fleet.sql, trial.userId);
  expect(await decisionOf(trial)).toBe(decided);
}

describe('a process that is killed in the middle of a refresh leaves a connection that works, or that asks to reconnect', () => {
  test.each(Object.entries(points))('killed %s', async (_name, point) => {
    const fleet = await startFleet(1);
    const counts = { token: 0, reconnect: 0 };
    let slowestMs = 0;
    const trials = Array.from({ length: rounds(fullRounds) }, (_value, index) => `user-${index}`);
    await eachOf(trials, atOnce, async (userId) => {
      const trial = await setTrial(fleet, userId);
      await killAt(trial, point);
      const began = performance.now();
      const decided = await decisionOf(trial);
      slowestMs = Math.max(slowestMs, performance.now() - began);
      counts[decided] += 1;
      await assertStands(trial, decided);
    });
    report(
      `${counts.token} answered a token that works, ${counts.reconnect} asked to reconnect; decided within ${Math.round(slowestMs)} ms`,
    );
    if (point.nothingIsLost) expect(counts.reconnect).toBe(0);
    expect(counts.token + counts.reconnect).toBe(trials.length);
  });
});
