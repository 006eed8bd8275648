/**
 * Lets those who wait go on, so many at each turn of the event loop. What thousands do at once would keep everybody else waiting
 * until the last of them is done.
 */
export function createTurns(perTurn: number): () => Promise<void> {
  const waiting: (() => void)[] = [];
  function go(): void {
    for (const resume of waiting.splice(0, perTurn)) resume();
    if (waiting.length > 0) setImmediate(go);
  }
  return () =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(go);
    });
}
