import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import type { Logger } from './lib/logger.ts';
import { sumMetrics } from './observability/worker-metrics.ts';
import { StartupError } from './lib/startup-error.ts';

/** Processes that share one port, and otherwise nothing but the database and Redis. */
export interface Workers {
  port: number;
  /** Puts a new worker in the place of each, one after the other. The old one stops when the new one serves. */
  restart(): Promise<void>;
  /** Lets all finish what they have under way. Answers whether all did. */
  stop(): Promise<boolean>;
}

/** Deaths longer ago than this say nothing of the next one. */
const memoryMs = 60_000;
const longestDelayMs = 30_000;

/**
 * Starts `count` processes of `entry`, and puts another in the place of one that dies. This process accepts connections and hands
 * them round; one that a worker which is stopping does not take goes to the next.
 * @throws StartupError where they do not start. The worker itself has said why.
 */
export async function startWorkers(options: {
  count: number;
  entry: string;
  /** What they find in their environment besides this process's own. */
  env: Record<string, string>;
  log: Logger;
}): Promise<Workers> {
  const { count, entry, env, log } = options;
  cluster.setupPrimary({ exec: entry, serialization: 'advanced' }); // JSON knows no NaN, which a metric may be
  sumMetrics();
  const serving = new Set<Worker>();
  let deaths: number[] = [];
  let isStopping = false;

  async function start(): Promise<number> {
    const worker = cluster.fork(env);
    const listening = once(worker, 'listening') as Promise<[{ port: number }]>;
    const ended = once(worker, 'exit').then(([code, signal]: (number | string | null)[]) => {
      if (serving.delete(worker) && !isStopping) {
        log.error({ pid: worker.process.pid, code, signal }, 'a worker died: another takes its place');
        replace();
      }
      throw new StartupError(`A worker ended with ${signal ?? code} before it served.`);
    });
    ended.catch(() => {}); // once it serves, nobody waits for its end here
    const [{ port }] = await Promise.race([listening, ended]);
    serving.add(worker);
    return port;
  }

  /** At once for the first death in a while, later and later for those that follow. */
  function replace(): void {
    const now = performance.now();
    deaths = [...deaths.filter((at) => now - at < memoryMs), now];
    const delayMs = deaths.length === 1 ? 0 : Math.min(500 * 2 ** deaths.length, longestDelayMs);
    setTimeout(() => {
      if (isStopping || serving.size >= count) return;
      start().catch((err: unknown) => {
        if (isStopping) return;
        log.error({ err, deaths: deaths.length }, 'a worker does not start: it is tried again');
        replace();
      });
    }, delayMs);
  }

  async function stopWorker(worker: Worker): Promise<boolean> {
    if (worker.isDead()) return true;
    const exited = once(worker, 'exit');
    worker.process.kill('SIGTERM');
    const [code, signal] = (await exited) as [number | null, string | null];
    return code === 0 || signal === 'SIGTERM'; // one that has not begun to serve has nothing to finish
  }

  async function restartAll(): Promise<void> {
    const old = [...serving];
    for (const worker of old) {
      if (isStopping) return;
      try {
        await start();
      } catch (err) {
        log.error({ err }, 'the restart ends here: a new worker does not start, and the old ones go on');
        return;
      }
      if (serving.delete(worker)) await stopWorker(worker);
    }
    log.info({ workers: serving.size }, 'every worker was restarted');
  }

  const port = await start(); // alone, so that what keeps it from starting is said once
  await Promise.all(Array.from({ length: count - 1 }, start));
  let restarting = Promise.resolve();
  return {
    port,
    restart: () => (restarting = restarting.then(restartAll)),
    async stop() {
      isStopping = true;
      const living = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
      const stopped = await Promise.all(living.map(stopWorker));
      return stopped.every(Boolean);
    },
  };
}
