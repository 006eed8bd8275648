import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry } from 'prom-client';
import type { Families, MetricsText } from './metrics.ts';

/** What workers and the process that minds them say to each other. */
type Message =
  /** A worker is scraped. */
  | { type: 'metrics:ask' }
  /** To every worker: what have you counted? */
  | { type: 'metrics:count' }
  | { type: 'metrics:counted'; families: Families }
  /** To the worker that was scraped. Null: there is none. */
  | { type: 'metrics:sum'; text: MetricsText | null };

/** A worker that does not answer is told by what it said last: a scrape without the others would help nobody. */
const patienceMs = 4_000;
/** What looks at the past grows only, whoever ends; the rest is of the living. */
const lasting = new Set(['counter', 'histogram']);

/**
 * Has a scrape, which reaches one worker, tell of all of them together. Called once, in the process that minds them. What a worker
 * has counted stays in the sums when it ends, as of the last scrape: a counter that fell would be taken for one that began anew.
 */
export function sumMetrics(): void {
  const latest = new Map<number, Families>();
  let past = Promise.resolve<Families>([]);
  const silent = new Set<number>();
  let collecting: Promise<MetricsText | null> | null = null;
  let allHaveAnswered = () => {};

  function heard(worker: Worker): void {
    if (silent.delete(worker.id) && silent.size === 0) allHaveAnswered();
  }

  async function collect(): Promise<MetricsText> {
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true);
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      allHaveAnswered = resolve;
      timer = setTimeout(resolve, patienceMs);
      for (const worker of workers) if (worker) silent.add(worker.id);
      for (const worker of workers) worker?.send({ type: 'metrics:count' } satisfies Message);
    });
    clearTimeout(timer);
    silent.clear();
    const sum = AggregatorRegistry.aggregate([await past, ...latest.values()]);
    return { contentType: sum.contentType, body: await sum.metrics() };
  }

  cluster.on('message', (worker, message: Message) => {
    if (message.type === 'metrics:counted') {
      latest.set(worker.id, message.families);
      heard(worker);
    }
    if (message.type !== 'metrics:ask') return;
    collecting ??= collect()
      .catch(() => null)
      .finally(() => (collecting = null));
    void collecting.then((text) => {
      if (worker.isConnected()) worker.send({ type: 'metrics:sum', text } satisfies Message);
    });
  });
  cluster.on('exit', (worker) => {
    const counted = latest.get(worker.id)?.filter(({ type }) => lasting.has(String(type))) ?? [];
    latest.delete(worker.id);
    heard(worker);
    past = past.then((before) => AggregatorRegistry.aggregate([before, counted]).getMetricsAsJSON());
  });
}

/** In a worker: answers the sums instead of what it has counted itself. */
export function askForSum(families: () => Promise<Families>): () => Promise<MetricsText> {
  const waiting = new Set<(text: MetricsText | null) => void>();
  const send = (message: Message) => process.send?.(message);
  process.on('message', (message: Message) => {
    if (message.type === 'metrics:count') {
      const tell = (counted: Families) => send({ type: 'metrics:counted', families: counted });
      families().then(tell, () => {}); // then it counts by what it said last
    }
    if (message.type !== 'metrics:sum') return;
    for (const tell of waiting) tell(message.text);
    waiting.clear();
  });
  return async () => {
    const text = await new Promise<MetricsText | null>((resolve) => {
      waiting.add(resolve);
      send({ type: 'metrics:ask' });
    });
    if (!text) throw new Error('The metrics of the workers could not be summed.');
    return text;
  };
}
