import { expect, test } from 'vitest';
import { connectUser } from '../support/scene.ts';
import { setStage } from '../support/stage.ts';
import { type Hold, holdDiscovery } from './support/holds.ts';
import { type Fleet, startFleet } from './support/processes.ts';
import { report, useServices, within } from './support/rounds.ts';
import { assertLeased, type HeldRow, holdRow } from './support/row-lock.ts';
import { countTokenRequests, expireToken, readAt, worksAt } from './support/tokens.ts';

useServices();

const userId = 'one';

/** Where a holder of the lease is paused. */
interface Pause {
  /** Brings it to the point. */
  reach(fleet: Fleet, discovery: Hold): Promise<void>;
  /** What happens while it stands still. */
  meanwhile?(fleet: Fleet): Promise<void>;
}

/** Makes the write of the attempt wait, and lets the database do it while its process is paused. */
function pauseAtAttempt(): Pause {
  let row: HeldRow | undefined;
  return {
    async reach({ sql }, discovery) {
      await discovery.reached;
      row = await holdRow(sql, 'credential', userId);
      discovery.release();
      await row.waitedFor();
    },
    meanwhile: async () => row?.release(),
  };
}

const pauses: [name: string, pause: Pause][] = [
  ['while it asks for the metadata, for longer than the lease', { reach: (_fleet, discovery) => discovery.reached }],
  [
    // after as long a pause as the lease its own time-out would end the attempt; here nothing but the fence does
    'while it asks for the metadata, its lease being taken at once',
    {
      reach: (_fleet, discovery) => discovery.reached,
      async meanwhile({ sql }) {
        await sql.query(
          `UPDATE credential SET "leaseUntil" = now() - interval '1 second' WHERE "leaseUntil" IS NOT NULL`,
        );
      },
    },
  ],
  // the database tells it that the lease is its own; by the time it reads that, this is no longer so
  ['while it writes down its attempt, for longer than the lease', pauseAtAttempt()],
];

test.each(pauses)(
  'a holder of the lease that is paused does not replay the old refresh token when it goes on: paused %s',
  async (_name, pause) => {
    const fleet = await startFleet(2);
    const [holder, other] = fleet.processes as [Fleet['processes'][0], Fleet['processes'][0]];
    const stage = await setStage({ service: other });
    await connectUser(stage, userId);
    await expireToken(fleet.sql, userId);
    const headers = await stage.app.backend(userId);
    const requests = countTokenRequests(stage.provider);
    const discovery = holdDiscovery(stage.provider);

    const held = readAt(holder, headers, stage.connector.id);
    await within(30_000, 'the way to the pause', pause.reach(fleet, discovery));
    await assertLeased(fleet.sql, userId);
    holder.signal('SIGSTOP');
    await pause.meanwhile?.(fleet);
    const began = performance.now();
    const read = await readAt(other, headers, stage.connector.id);
    const tookMs = Math.round(performance.now() - began);
    expect(read).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(requests()).toBe(1);
    discovery.release();
    holder.signal('SIGCONT');
    const late = await within(60_000, 'the answer of the holder', held);
    report(
      `the other process answered after ${tookMs} ms; the holder was told ${late.__typename}; ${requests()} token requests`,
    );

    expect(requests()).toBe(1);
    expect(await worksAt(stage.provider, read.accessToken)).toBe(true);
    if (late.__typename === 'CurrentAppUserConnection') expect(late.accessToken).toBe(read.accessToken);
    await expireToken(fleet.sql, userId);
    const next = await readAt(holder, headers, stage.connector.id);
    expect(next).toMatchObject({ __typename: 'CurrentAppUserConnection' });
    expect(await worksAt(stage.provider, next.accessToken)).toBe(true);
  },
);
