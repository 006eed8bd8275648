import { expect, test } from 'vitest';
import { createTurns } from '../../src/lib/turns.ts';

test('so many go on at each turn of the event loop, in the order in which they came; what else waits comes in between', async () => {
  const turn = createTurns(2);
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
