import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { insist } from '../../src/connections/insist.ts';
import { createLogger } from '../../src/lib/logger.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A write that fails so often, and when it was tried, in milliseconds from the beginning. */
function startInsisting(failures: number, forMs: number) {
  const begun = performance.now();
  const tries: number[] = [];
  const logs: string[] = [];
  const log = createLogger('warn', { write: (line) => logs.push(line) });
  const kept = insist({ log }, forMs, async () => {
    tries.push(performance.now() - begun);
    if (tries.length <= failures) throw new Error(`no room (${tries.length})`);
    return 'kept';
  });
  return { kept, tries, logs };
}

test('34. a write that is refused for the moment is tried again after short pauses, and told of once', async () => {
  const { kept, tries, logs } = startInsisting(6, 10_000);
  await vi.runAllTimersAsync();
  expect(await kept).toBe('kept');
  expect(tries).toEqual([0, 100, 300, 700, 1200, 1700, 2200]);
  expect(logs.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { msg: 'tokens could not be stored; they are kept and tried again', err: { message: 'no room (1)' } },
  ]);
});

test('34. a write that is refused for all of the time is given up with its last error, at its end and not before', async () => {
  const { kept, tries } = startInsisting(Number.POSITIVE_INFINITY, 1_700);
  const ended = kept.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  expect(await ended).toEqual(new Error('no room (6)'));
  expect(tries).toEqual([0, 100, 300, 700, 1200, 1700]);
});
