import { expect, onTestFinished, test, vi } from 'vitest';
import { connectionId } from '../../src/connections/connection.ts';
import { createWatchStatus, type StatusChange } from '../../src/connections/status.ts';
import { createFindForStatus } from '../../src/connections/store.ts';
import { createStatusEvents } from '../../src/events/status-events.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { Caller } from '../../src/workspaces/caller.ts';
import { IdentityTokenExpiredError, UnauthenticatedError } from '../../src/workspaces/errors.ts';
import { anonymous, backendOf, memberOf, userOf } from '../support/callers.ts';
import { ago, openRows } from '../support/rows.ts';
import { recordSql } from '../support/sql-log.ts';

const own = connectionId('k', 'a', 'one');
const shared = connectionId('shared', 'a', null);

/** Statuses that can be watched, in a time that passes only when it is told to. */
async function startWatching() {
  const rows = await openRows();
  await rows.write.connector('shared', { kind: 'SHARED' });
  // from now on: the database has timers of its own, which an earlier date would upset
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  const begun = Date.now();
  const at = (ms: number) => new Date(begun + ms);
  onTestFinished(() => void vi.useRealTimers());
  const events = createStatusEvents();
  const lines: string[] = [];
  let open = 0;
  let waiting = 0;
  const watch = createWatchStatus({
    db: rows.db,
    findForStatus: createFindForStatus(rows.runPrepared),
    clock: systemClock,
    log: createLogger('info', { write: (line) => lines.push(line) }),
    events: {
      ...events,
      subscribe(topics) {
        const subscription = events.subscribe(topics);
        open += 1;
        let isOpen = true;
        return {
          async next(withinMs) {
            waiting += 1;
            return subscription.next(withinMs).finally(() => {
              waiting -= 1;
            });
          },
          close() {
            if (isOpen) open -= 1;
            isOpen = false;
            subscription.close();
          },
        };
      },
    },
  });
  /** Until every open stream has told what there is to tell, and waits. It takes some milliseconds of their time. */
  async function settle(): Promise<void> {
    for (let turns = 0; turns < 2_000; turns += 1) {
      await vi.advanceTimersByTimeAsync(1);
      await new Promise((resolve) => setImmediate(resolve));
      if (waiting === open) return;
    }
    throw new Error('A stream does not come to rest.');
  }
  /** A stream, and what it has told so far: a status, null for no connection, why it ended or failed, and that it did. */
  function read(caller: Caller, connectorId = 'k', appId?: string, identify = async () => caller) {
    const stream = watch(caller, identify, connectorId, appId);
    const told: unknown[] = [];
    const changes: StatusChange[] = [];
    void (async () => {
      try {
        for await (const change of stream) {
          if (typeof change !== 'string') changes.push(change);
          told.push(typeof change === 'string' ? change : (change.view?.status ?? null));
        }
        told.push('end');
      } catch (error) {
        told.push(error);
      }
    })();
    return { stream, changes, told: () => told.splice(0) };
  }
  const passUntil = (instant: Date) => vi.advanceTimersByTimeAsync(instant.getTime() - Date.now());
  return { ...rows, at, watch, read, events, settle, passUntil, open: () => open, lines };
}

test('38. a stream tells what is so now, then what has changed: at its connection, its connector or its workspace, and nothing twice', async () => {
  const { db, write, read, events, settle, open, at } = await startWatching();
  const { told, changes } = read(userOf('one'));
  const after = async (...[topic]: Parameters<typeof events.publish>) => {
    events.publish(topic);
    await settle();
    return told();
  };
  await settle();
  expect(told()).toEqual(['NOT_CONNECTED']);
  expect(changes).toMatchObject([{ connectorId: 'k', view: { id: own }, at: expect.any(Date) }]);
  expect(changes[0]!.at.getTime() - at(0).getTime()).toBeLessThan(1_000);
  expect(await after({ connectionId: own })).toEqual([]);
  await write.connection(own, { userId: 'one' });
  expect(await after({ connectionId: shared })).toEqual([]);
  expect(await after({ connectorId: 'shared' })).toEqual([]);
  expect(await after({ workspaceId: 'v' })).toEqual([]);
  expect(await after({ connectionId: own })).toEqual(['CONNECTED']);
  await db.connector.update({ where: { id: 'k' }, data: { scopesFingerprint: 'other' } });
  expect(await after({ connectorId: 'k' })).toEqual(['RECONNECT_REQUIRED']);
  await db.connection.update({ where: { id: own }, data: { refusedAt: ago } });
  expect(await after({ connectionId: own })).toEqual(['RECONNECT_REQUIRED']); // for another reason
  await db.workspace.update({ where: { id: 'w' }, data: { plan: 'FREE' } });
  expect(await after({ workspaceId: 'w' })).toEqual(['UNAVAILABLE']);
  events.recover();
  await settle();
  expect(told()).toEqual(['UNAVAILABLE']); // it may have been another meanwhile
  expect(await after({ workspaceId: 'w' })).toEqual([]);
  await db.connector.delete({ where: { id: 'k' } });
  expect(await after({ connectorId: 'k' })).toEqual([null]);
  expect(await after({ connectorId: 'k' })).toEqual([]);
  events.close();
  await settle();
  expect([told(), open()]).toEqual([['end'], 0]);
});

test('38. a grant that ends by itself is told at that instant; what nobody told of, within minutes', async () => {
  const { db, write, read, settle, passUntil, at } = await startWatching();
  const ending = at(3_600_000);
  await write.connection(own, { userId: 'one' });
  const { told } = read(userOf('one'));
  await settle();
  expect(told()).toEqual(['CONNECTED']);
  const since = Date.now();
  await db.connection.update({ where: { id: own }, data: { grantExpiresAt: ending } });
  await passUntil(new Date(since + 290_000));
  await settle();
  expect(told()).toEqual([]);
  await passUntil(new Date(since + 450_000));
  await settle();
  expect(told()).toEqual(['CONNECTED']); // it has an end now
  const soon = new Date(Date.now() + 60_000);
  await db.connection.update({ where: { id: own }, data: { grantExpiresAt: soon } });
  await passUntil(new Date(Date.now() + 450_000));
  await settle();
  expect(told()).toEqual(['RECONNECT_REQUIRED']);

  const again = new Date(Date.now() + 60_000);
  await db.connection.update({ where: { id: own }, data: { grantExpiresAt: again } });
  const other = read(userOf('one'));
  await settle();
  expect(other.told()).toEqual(['CONNECTED']);
  await passUntil(new Date(again.getTime() - 2));
  await settle();
  expect(other.told()).toEqual([]);
  await passUntil(again);
  await settle();
  expect(other.told()).toEqual(['RECONNECT_REQUIRED']);
});

test('40. a stream ends at the instant that its identity token does, whatever else is to come, and tells why', async () => {
  const { write, read, settle, passUntil, open, at } = await startWatching();
  const expiresAt = at(60_000);
  await write.connection(own, { userId: 'one', grantExpiresAt: at(90_000) });
  await write.connection(connectionId('k', 'a', 'two'), { userId: 'two', grantExpiresAt: at(30_000) });
  const streams = [
    read(userOf('one', 'a', 'w', expiresAt)),
    read(userOf('two', 'a', 'w', expiresAt)),
    read(memberOf(['w'], expiresAt), 'shared', 'a'),
  ];
  const lasting = read(memberOf(['w']), 'shared', 'a');
  await settle();
  expect(streams.map(({ told }) => told())).toEqual([['CONNECTED'], ['CONNECTED'], ['NOT_CONNECTED']]);
  await passUntil(at(59_990));
  await settle();
  expect(streams.map(({ told }) => told())).toEqual([[], ['RECONNECT_REQUIRED'], []]);
  await passUntil(expiresAt);
  await settle();
  const ended = ['identity-token-expired', 'end'];
  expect(streams.map(({ told }) => told())).toEqual([ended, ended, ended]);
  expect([lasting.told(), open()]).toEqual([['NOT_CONNECTED'], 1]);

  const late = read(userOf('one', 'a', 'w', new Date()));
  await settle();
  expect([late.told(), open()]).toEqual([ended, 1]);
});

test('41. whoever may no longer ask hears nothing more: their stream says whether the token has expired or the access has ended', async () => {
  const { write, read, events, settle, open } = await startWatching();
  await write.connection(own, { userId: 'one' });
  await write.connection(shared, { connectorId: 'shared', userId: null });
  const expired = anonymous(new IdentityTokenExpiredError());
  const unknown = anonymous(new UnauthenticatedError('Who are you?'));
  const cases: [Caller, then: Caller, reason: string][] = [
    [userOf('one'), expired, 'identity-token-expired'],
    [userOf('one'), unknown, 'access-ended'],
    [backendOf('one'), backendOf(null), 'access-ended'],
    [backendOf(null), unknown, 'access-ended'],
    [memberOf(['w']), expired, 'identity-token-expired'],
    [memberOf(['w']), unknown, 'access-ended'],
    [memberOf(['w']), memberOf(['v']), 'access-ended'],
    [memberOf(['w']), memberOf([]), 'access-ended'],
  ];
  let hasChanged = false;
  const streams = cases.map(([caller, then]) => {
    const isShared = caller.kind === 'member' || (caller.kind === 'backend-function' && !caller.user);
    return read(caller, isShared ? 'shared' : 'k', 'a', async () => (hasChanged ? then : caller));
  });
  await settle();
  expect(streams.map(({ told }) => told())).toEqual(cases.map(() => ['CONNECTED']));
  hasChanged = true;
  events.publish({ workspaceId: 'w' });
  await settle();
  expect(streams.map(({ told }) => told())).toEqual(cases.map(([, , reason]) => [reason, 'end']));
  const late = read(backendOf(null), 'shared', 'a', async () => unknown);
  await settle();
  expect(late.told()).toEqual(['access-ended', 'end']);
  expect(open()).toBe(0);
});

test('44, 45. a shared account is watched by its app’s backend and by members, also before there is an app; nobody watches users’ own through it', async () => {
  const { write, read, events, settle, open } = await startWatching();
  await write.workspace('v');
  await write.connector('foreign', { workspaceId: 'v' });
  const [byApp, byMember] = [read(backendOf(null), 'shared'), read(memberOf(['w']), 'shared', 'a')];
  const [early, foreign, unknown] = [
    read(memberOf(['w']), 'shared', 'later'),
    read(memberOf(['w']), 'foreign', 'a'),
    read(backendOf(null), 'unknown'),
  ];
  const all = [byApp, byMember, early, foreign, unknown];
  const told = () => all.map((stream) => stream.told());
  await settle();
  expect(told()).toEqual([['NOT_CONNECTED'], ['NOT_CONNECTED'], [null], [null], [null]]);
  await write.connection(shared, { connectorId: 'shared', userId: null, ownedBy: 'member-9' });
  await write.app('later');
  events.publish({ workspaceId: 'w' });
  await settle();
  expect(told()).toEqual([['CONNECTED'], ['CONNECTED'], ['NOT_CONNECTED'], [], []]);
  expect([byApp, byMember].map(({ changes }) => changes.at(-1)?.view?.ownedBy)).toEqual([null, 'member-9']);

  const refused = [read(memberOf(['w']), 'k', 'a'), read(backendOf(null), 'k')];
  await settle();
  expect(refused.map((stream) => stream.told())).toMatchObject([
    [{ code: 'VALIDATION', fields: [{ path: 'connectorId', message: expect.stringContaining('of their own') }] }],
    [{ code: 'UNAUTHENTICATED', message: expect.stringContaining('On-Behalf-Of') }],
  ]);
  expect(open()).toBe(5);
});

test('41. who may not ask at all is refused at once, and leaves no listener', async () => {
  const { watch, open } = await startWatching();
  const ask = (caller: Caller, appId?: string | null) => {
    try {
      return watch(caller, async () => caller, 'k', appId);
    } catch (error) {
      return error;
    }
  };
  expect(ask({ kind: 'operator' }, 'a')).toMatchObject({ code: 'FORBIDDEN' });
  const fields = [{ path: 'appId', message: expect.stringContaining('Say of which app') }];
  expect(ask(memberOf(['w']))).toMatchObject({ code: 'VALIDATION', fields });
  expect(ask(memberOf(['w']), null)).toMatchObject({ code: 'VALIDATION', fields });
  expect(ask(userOf('one'), 'b')).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('app') });
  expect(ask(backendOf(null), 'b')).toMatchObject({ code: 'NOT_FOUND' });
  const error = new UnauthenticatedError('Who are you?');
  expect(ask(anonymous(error))).toBe(error);
  expect(open()).toBe(0);
  for (const stream of [ask(userOf('one'), 'a'), ask(userOf('one'), null), ask(backendOf(null), 'a')]) {
    expect(stream).toHaveProperty('next', expect.any(Function));
  }
});

test('38. a caller has 500 streams, each of which makes room when it is let go; others have their own', async () => {
  const { watch, open } = await startWatching();
  const ask = (caller: Caller, appId?: string) => watch(caller, async () => caller, 'shared', appId);
  const streams = Array.from({ length: 500 }, () => ask(userOf('one')));
  const refused = { code: 'RATE_LIMITED', retryAfterSeconds: 60, message: expect.stringContaining('500') };
  expect(() => ask(userOf('one'))).toThrow(expect.objectContaining(refused));
  for (const other of [userOf('two'), backendOf(null), userOf('one', 'b')]) ask(other);
  ask(memberOf(['w']), 'a');
  expect(open()).toBe(504);
  await streams[0]!.return?.();
  await streams[0]!.return?.();
  ask(userOf('one'));
  expect(() => ask(userOf('one'))).toThrow(expect.objectContaining(refused));
  expect(open()).toBe(504);
});

test('35. where statuses cannot be read, streams stay open and try again, less and less often, and the log tells once in ten seconds', async () => {
  const { read, events, settle, lines, open } = await startWatching();
  const failure = new Error('no database');
  let fails = true;
  const tries: number[] = [];
  const identify = async () => {
    tries.push(Date.now());
    if (fails) throw failure;
    return userOf('one');
  };
  const early = read(userOf('one'), 'k', 'a', identify);
  await settle();
  expect([early.told(), open(), lines]).toEqual([[failure], 0, []]);

  fails = false;
  const { told } = read(userOf('one'), 'k', 'a', identify);
  await settle();
  expect(told()).toEqual(['NOT_CONNECTED']);
  fails = true;
  /** How long it waits between so many tries after a change. */
  const waitsOf = async (count: number) => {
    tries.length = 0;
    events.publish({ connectionId: own });
    await settle();
    for (let timers = 0; tries.length < count && timers < 100; timers += 1) {
      await vi.advanceTimersToNextTimerAsync();
      await settle();
    }
    return tries.slice(1).map((instant, index) => instant - tries[index]!);
  };
  const waits = await waitsOf(8);
  expect(waits).toHaveLength(7);
  for (const [index, wait] of waits.entries()) {
    const least = Math.min(1_000 * 2 ** index, 30_000);
    expect(wait).toBeGreaterThanOrEqual(least);
    expect(wait).toBeLessThanOrEqual(least * 1.5 + 20);
  }
  expect(told()).toEqual([]);
  const logged = lines.splice(0).map((line) => JSON.parse(line) as { failures: number });
  expect(logged[0]).toMatchObject({
    level: 40,
    msg: 'statuses cannot be read; the streams stay open and try again',
    err: { message: 'no database' },
    failures: 1,
  });
  // the ones that came within ten seconds are counted in the next line
  let since = tries[0]!;
  const expected = [1];
  let failures = 0;
  for (const instant of tries.slice(1)) {
    failures += 1;
    if (instant < since + 10_000) continue;
    expected.push(failures);
    [since, failures] = [instant, 0];
  }
  expect(logged.map((line) => line.failures)).toEqual(expected);
  expect(expected.length).toBeLessThan(8);

  fails = false;
  await vi.advanceTimersByTimeAsync(45_000);
  await settle();
  expect(told()).toEqual(['NOT_CONNECTED']); // it may have been another meanwhile
  fails = true;
  const [first] = await waitsOf(2);
  expect(first).toBeLessThanOrEqual(1_520);
});

test('40. a stream that cannot read ends with its identity token all the same', async () => {
  const { read, events, settle, passUntil, open, at } = await startWatching();
  const caller = userOf('one', 'a', 'w', at(500));
  let fails = false;
  const { told } = read(caller, 'k', 'a', async () => {
    if (fails) throw new Error('no database');
    return caller;
  });
  await settle();
  fails = true;
  events.publish({ connectionId: own });
  await settle();
  await passUntil(at(500));
  await settle();
  expect([told(), open()]).toEqual([['NOT_CONNECTED', 'identity-token-expired', 'end'], 0]);
});

test('39, 41. what wakes many streams at once is read for many at once, and each is told its own, of its own workspace', async () => {
  const { write, read, events, settle } = await startWatching();
  await write.workspace('v');
  await write.app('foreign app', { workspaceId: 'v' });
  const users = Array.from({ length: 150 }, (_, index) => `user ${index}`);
  await write.connection(connectionId('k', 'a', 'user 7'), { userId: 'user 7' });
  const streams: ReturnType<typeof read>[] = [];
  const foreign = read(userOf('user 7', 'foreign app', 'v'), 'k'); // of the other workspace
  const readsOf = async (...acts: (() => void)[]) => {
    const { statements } = await recordSql(async () => {
      for (const act of acts) {
        act();
        await settle();
      }
    });
    return statements.filter((statement) => /FROM ("public".")?connect(ion|or)\b/.test(statement)).length;
  };
  const opening = await readsOf(() => streams.push(...users.map((user) => read(userOf(user)))));
  expect([opening > 0, opening < 20]).toEqual([true, true]);
  const statuses = users.map((user) => [user === 'user 7' ? 'CONNECTED' : 'NOT_CONNECTED']);
  expect(streams.map(({ told }) => told())).toEqual(statuses);
  expect(foreign.told()).toEqual([null]);
  await write.connection(connectionId('k', 'a', 'user 8'), { userId: 'user 8' });
  events.publish({ connectorId: 'k' });
  await settle();
  expect(streams.flatMap(({ told }) => told())).toEqual(['CONNECTED']);

  const members: ReturnType<typeof read>[] = [];
  const reads = await readsOf(
    () => members.push(...users.slice(0, 40).map(() => read(memberOf(['w']), 'shared', 'a'))),
    () => events.publish({ connectorId: 'shared' }),
  );
  // whether the account is a shared one is looked at once a stream
  expect([reads > 0, reads < 60]).toEqual([true, true]);
  expect(members.map(({ told }) => told())).toEqual(Array(40).fill(['NOT_CONNECTED']));
});

test('38. who lets a stream go while it waits is let go at once, and no timer is left', async () => {
  const { read, settle, open } = await startWatching();
  const streams = Array.from({ length: 20 }, () => read(userOf('one')));
  await settle();
  for (const { stream } of streams) await stream.return?.();
  await settle();
  expect(streams.map(({ told }) => told())).toEqual(Array(20).fill(['NOT_CONNECTED', 'end']));
  expect(open()).toBe(0);
  expect(vi.getTimerCount()).toBeLessThan(10); // the database has its own
});
