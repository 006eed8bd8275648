/**
 * Lets those who wait go on, so many at each turn of the event loop, and pauses after each for `rest` times as long as it took, a
 * millisecond at least: what thousands do at once would keep everybody else waiting until the last of them is done.
 */
export function createTurns(perTurn: number, rest: number): () => Promise<void> {
  const waiting: (() => void)[] = [];
  let isGoing = false;
  function go(): void {
    const begunAt = performance.now();
    for (const resume of waiting.splice(0, perTurn)) resume();
    // when all that they do at once is done
    setImmediate(() => {
      isGoing = waiting.length > 0;
      if (isGoing) setTimeout(go, rest * (performance.now() - begunAt));
    });
  }
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (!isGoing) setImmediate(go);
      isGoing = true;
    });
}
