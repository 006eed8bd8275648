import { expect, test } from 'vitest';
import { createStatusEvents } from '../../src/events/status-events.ts';

test('39. a change that concerns thousands wakes each of them once, some hundred at a time, and nobody who has left or came later', async () => {
  const events = createStatusEvents();
  const topic = { connectorId: 'k' };
  let woken = 0;
  const listen = () => {
    const subscription = events.subscribe([topic, { connectionId: 'c' }]);
    void subscription.next().then((wake) => {
      if (wake === 'changed') woken += 1;
    });
    return subscription;
  };
  const subscriptions = Array.from({ length: 1_000 }, listen);
  events.publish(topic);
  await Promise.resolve();
  subscriptions.at(-1)?.close();
  listen();
  const settle = async () => {
    const seen = [woken];
    for (let turn = 0; turn < 8; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (woken !== seen.at(-1)) seen.push(woken);
    }
    return seen;
  };
  const seen = await settle();
  expect(seen.length).toBeGreaterThan(3);
  expect(seen.at(-1)).toBe(999);
  events.publish(topic);
  expect((await settle()).at(-1)).toBe(1_000); // the others do not wait
});
