import { expect, onTestFinished, test, vi } from 'vitest';
import { createTurns } from '../../src/lib/turns.ts';

test('so many go on at each turn of the event loop, in the order in which they came; what else waits comes in between', async () => {
  const turn = createTurns(2, 1);
  const order: string[] = [];
  const all = ['a', 'b', 'c', 'd', 'e'].map(async (name) => {
    await turn();
    order.push(name);
  });
  const other = new Promise<void>((resolve) =>
    setImmediate(() =>
      setImmediate(() => {
        order.push('other');
        resolve();
      }),
    ),
  );
  await Promise.all([...all, other]);
  expect(order).toEqual(['a', 'b', 'other', 'c', 'd', 'e']);
  await turn(); // and whoever comes later is not forgotten
});

test('after each turn there is a pause, so many times as long as the turn took', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const turn = createTurns(1, 3);
  let gone = 0;
  for (let waiting = 0; waiting < 2; waiting += 1) {
    void turn().then(() => {
      gone += 1;
      vi.advanceTimersByTime(10);
    });
  }
  await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
  vi.advanceTimersByTime(29);
  await Promise.resolve();
  expect(gone).toBe(1);
  vi.advanceTimersByTime(1);
  await Promise.resolve();
  await Promise.resolve();
  expect(gone).toBe(2);
});
