import type { Logger } from '../lib/logger.ts';

/** Background work that comes back: does a batch of what is due. Any number of instances may: each claims its work in the row. */
export interface Task {
  /** Answers how much there was to do: above 0, there may be more. */
  run: () => Promise<number>;
  /** How often to look. */
  everyMs: number;
  /** Whether it also looks when woken: its work is made by the acts that wake. */
  onWake?: boolean;
}

interface Loop {
  wake: () => void;
  stop: () => Promise<void>;
}

export interface Worker {
  /** Runs the task now, at its own pace, and when woken. One that is slow holds up no other. */
  start: (task: Task) => void;
  /** There is work: look now rather than at the next turn. */
  wake: () => void;
  /** Lets what is under way finish. */
  stop: () => Promise<void>;
}

export function createWorker(log: Logger): Worker {
  const loops: Loop[] = [];
  return {
    start: (task) => void loops.push(startLoop(task, log)),
    wake() {
      for (const loop of loops) loop.wake();
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

function startLoop({ run, everyMs, onWake }: Task, log: Logger): Loop {
  let stopped = false;
  let woken = false;
  let running: Promise<void> | null = null;

  async function turn(): Promise<void> {
    do {
      woken = false;
      try {
        while (!stopped && (await run()) > 0);
      } catch (error) {
        log.error({ err: error }, 'background work failed; it goes on at the next turn');
      }
    } while (woken && !stopped);
    running = null;
  }

  function wake(): void {
    woken = true;
    if (!stopped) running ??= turn();
  }

  const timer = setInterval(wake, everyMs);
  wake();
  return {
    wake: onWake ? wake : () => {},
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
