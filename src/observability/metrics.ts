import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Exchange } from './exchange.ts';

/** What happens, counted for Prometheus. No label holds anything that a caller or a provider makes up. */
export interface Metrics {
  httpRequest(route: string, status: number, exchange: Exchange): void;
  graphqlOperation(exchange: Exchange): void;
  tokenRead(outcome: string): void;
  refresh(providerKey: string, verdict: string): void;
  leaseWait(): void;
  socketOpened(): void;
  socketClosed(): void;
  subscriptionOpened(): void;
  subscriptionClosed(): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<MetricsText>;
  /** The same as data, to be summed with that of others. */
  families(): Promise<Families>;
}

export interface MetricsText {
  contentType: string;
  body: string;
}

export type Families = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What is only looked at when Prometheus asks. */
export interface MetricSources {
  /** The names that an operation may be counted under. */
  operations: ReadonlySet<string>;
  outbox: () => Promise<{ items: number; oldestDueAt: Date | null }>;
  /** Secrets that cannot be read, for want of their keys. */
  unreadable: () => number;
  now: () => Date;
  /** Null on the embedded database, which has no pool. */
  pool: (() => { totalCount: number; idleCount: number; waitingCount: number }) | null;
}

/** A scrape that waits for a database that is away would lose what this process knows by itself. */
const patienceMs = 2_000;
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts in a registry of its own, so that any number of services can live in a process. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter({ name: `connectors_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, aggregator: 'sum' | 'max' = 'sum') =>
    new Gauge({ name: `connectors_${name}`, help, registers, aggregator });
  const histogram = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Histogram({ name: `connectors_${name}`, help, labelNames, buckets, registers });

  const httpRequests = counter('http_requests_total', 'HTTP requests answered, by route and status.', [
    'route',
    'status',
  ]);
  const httpSeconds = histogram('http_request_duration_seconds', 'How long HTTP requests took, streams included.', [
    'route',
  ]);
  const operations = counter(
    'graphql_operations_total',
    'GraphQL operations over HTTP and WebSocket, by root field (other: several, or none that is valid) and outcome (OK, or the code of the error).',
    ['operation', 'outcome'],
  );
  const operationSeconds = histogram(
    'graphql_operation_duration_seconds',
    'How long GraphQL operations took; a subscription until its stream began.',
    ['operation'],
  );
  const tokenReads = counter('token_reads_total', 'Reads of an access token by GraphQL and REST, by outcome.', [
    'outcome',
  ]);
  const refreshes = counter(
    'refreshes_total',
    'Refreshes that a provider was asked for, by verdict: refreshed, reauthorize, retry, misconfigured or rejected.',
    ['provider', 'verdict'],
  );
  const leaseWaits = counter('lease_waits_total', 'Refreshes that found another process at it, and waited.', []);
  const sockets = gauge('open_sockets', 'WebSockets that are open.');
  const subscriptions = gauge('open_subscriptions', 'Subscriptions that are open, over WebSocket and SSE.');
  const outboxItems = gauge(
    'outbox_items',
    'Revocations in the outbox that are not done; the same on every instance.',
    'max',
  );
  const outboxAge = gauge(
    'outbox_oldest_age_seconds',
    'For how long the oldest item of the outbox has been due; the same on every instance.',
    'max',
  );
  const unreadable = gauge(
    'unreadable_secrets',
    'Secrets that cannot be read, because ENCRYPTION_KEYS lacks their keys; the same on every instance.',
    'max',
  );
  const pool = {
    totalCount: gauge('database_pool_connections', 'Connections to PostgreSQL that this process has.'),
    idleCount: gauge('database_pool_idle_connections', 'Those of them that nobody uses.'),
    waitingCount: gauge('database_pool_waiting_requests', 'Requests that wait for a connection.'),
  };

  async function look(): Promise<void> {
    const now = sources.pool?.();
    for (const [name, value] of Object.entries(pool)) {
      if (now) value.set(now[name as keyof typeof pool]);
      else value.remove();
    }
    unreadable.set(sources.unreadable());
    const outbox = await inTime(sources.outbox());
    if (outbox) {
      const { items, oldestDueAt } = outbox;
      outboxItems.set(items);
      outboxAge.set(oldestDueAt ? Math.max(0, (sources.now().getTime() - oldestDueAt.getTime()) / 1000) : 0);
    } else {
      for (const unknown of [outboxItems, outboxAge]) unknown.remove();
    }
  }

  let hasDefaults = false;
  async function prepare(): Promise<void> {
    // what watches the process cannot be stopped again: it begins where somebody looks
    if (!hasDefaults) collectDefaultMetrics({ register: registry });
    hasDefaults = true;
    await look();
  }

  return {
    httpRequest(route, status, { startedAt }) {
      httpRequests.inc({ route, status });
      httpSeconds.observe({ route }, (performance.now() - startedAt) / 1000);
    },
    graphqlOperation({ operation: named, outcome, startedAt }) {
      const operation = named !== null && sources.operations.has(named) ? named : 'other';
      operations.inc({ operation, outcome: outcome ?? 'OK' });
      operationSeconds.observe({ operation }, (performance.now() - startedAt) / 1000);
    },
    tokenRead: (outcome) => tokenReads.inc({ outcome }),
    refresh: (provider, verdict) => refreshes.inc({ provider, verdict }),
    leaseWait: () => leaseWaits.inc(),
    socketOpened: () => sockets.inc(),
    socketClosed: () => sockets.dec(),
    subscriptionOpened: () => subscriptions.inc(),
    subscriptionClosed: () => subscriptions.dec(),
    async text() {
      await prepare();
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
    async families() {
      await prepare();
      return registry.getMetricsAsJSON();
    },
  };
}

/** Null where there is no answer in time, or a failure. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
