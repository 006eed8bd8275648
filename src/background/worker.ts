import type { Logger } from '../lib/logger.ts';

/** Background work: does what is due, and answers how much that was. */
export type Task = () => Promise<number>;

export interface Worker {
  /** There is work: look now rather than at the next turn. */
  wake: () => void;
  /** Lets what is under way finish. */
  stop: () => Promise<void>;
}

const turnMs = 5_000;

/** Runs the tasks now, every five seconds, and when woken. Any number of instances may: a task claims its work in the row. */
export function startWorker(deps: { tasks: Task[]; log: Logger }): Worker {
  let stopped = false;
  let woken = false;
  let running: Promise<void> | null = null;

  async function turn(): Promise<void> {
    do {
      woken = false;
      for (const task of deps.tasks) {
        try {
          while (!stopped && (await task()) > 0);
        } catch (error) {
          deps.log.error({ err: error }, 'background work failed; it goes on at the next turn');
        }
      }
    } while (woken && !stopped);
    running = null;
  }

  function wake(): void {
    woken = true;
    if (!stopped) running ??= turn();
  }

  const timer = setInterval(wake, turnMs);
  wake();
  return {
    wake,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
