import { AsyncLocalStorage } from 'node:async_hooks';
import type { Attributes, Context } from '@opentelemetry/api';

/** What is under way, from its beginning to its end. */
export interface Span {
  /** Names the trace in the log as well; null where nothing is traced. */
  readonly traceId: string | null;
  /** What the work begins is part of it. */
  run<T>(work: () => T): T;
  /** Ends it, once. `failure` is a code, and makes it one that failed. */
  end(attributes: Attributes, failure?: string): void;
}

export interface SpanOptions {
  /** `server`: somebody asks this service. `client`: this service asks somebody. */
  kind?: 'server' | 'client';
  /** Of whoever asks (W3C Trace Context): the span is then part of their trace. */
  traceparent?: string | undefined;
}

/**
 * What happens, and within what, told to a collector of OpenTelemetry. As in the metrics, nothing that a caller or a provider makes
 * up is told: no secret, no id of a person, no URL.
 */
export interface Tracing {
  begin(name: string, options?: SpanOptions): Span;
  /** Does the work within a span, which fails where the work throws. */
  span<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Tells more of the span that this is called within. */
  note(attributes: Attributes): void;
  /** Sends what has not been sent. */
  stop(): Promise<void>;
}

const noSpan: Span = { traceId: null, run: (work) => work(), end: () => {} };

/** Where nobody has asked for traces: nothing is loaded, kept or measured. */
export const untraced: Tracing = {
  begin: () => noSpan,
  span: (_name, work) => work(),
  note: () => {},
  stop: () => Promise.resolve(),
};

/** A collector that is away must not keep the service from stopping. */
const longestFlushMs = 5_000;

/**
 * Traces to the collector at `endpoint`, over OTLP/HTTP. Sampling, batching, the service's name and headers for the collector are
 * those of the OTEL_* variables that the SDK reads by itself. Nothing is registered globally, so that any number of services can
 * live in a process. `onLost` is told when the collector has not taken spans.
 */
export async function startTracing(endpoint: string, onLost: (error: unknown) => void): Promise<Tracing> {
  const [api, core, resources, sdk, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  const exporter = new otlp.OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const send = exporter.export.bind(exporter);
  exporter.export = (spans, done) =>
    send(spans, (result) => {
      if (result.code !== core.ExportResultCode.SUCCESS) onLost(result.error);
      done(result);
    });
  const provider = new sdk.NodeTracerProvider({
    resource: resources
      .resourceFromAttributes({ 'service.name': 'app-user-connectors' })
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('app-user-connectors');
  const w3c = new core.W3CTraceContextPropagator();
  const getter = {
    get: (carrier: Record<string, string>, key: string) => carrier[key],
    keys: (carrier: Record<string, string>) => Object.keys(carrier),
  };
  const current = new AsyncLocalStorage<Context>();
  const here = () => current.getStore() ?? api.ROOT_CONTEXT;
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT } as const;

  function begin(name: string, { kind, traceparent }: SpanOptions = {}): Span {
    const parent = traceparent === undefined ? here() : w3c.extract(api.ROOT_CONTEXT, { traceparent }, getter);
    const span = tracer.startSpan(name, { kind: kind ? kinds[kind] : api.SpanKind.INTERNAL }, parent);
    const within = api.trace.setSpan(parent, span);
    return {
      traceId: span.spanContext().traceId,
      run: (work) => current.run(within, work),
      end(attributes, failure) {
        span.setAttributes(attributes);
        if (failure !== undefined) {
          span.setAttribute('error.type', failure);
          span.setStatus({ code: api.SpanStatusCode.ERROR });
        }
        span.end();
      },
    };
  }

  return {
    begin,
    async span(name, work) {
      const span = begin(name);
      try {
        const answer = await span.run(work);
        span.end({});
        return answer;
      } catch (error) {
        // a message may hold what somebody sent
        span.end({}, codeOf(error));
        throw error;
      }
    },
    note: (attributes) => void api.trace.getSpan(here())?.setAttributes(attributes),
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, longestFlushMs);
      });
      await Promise.race([provider.shutdown().catch(onLost), late]);
      clearTimeout(timer);
    },
  };
}

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'Error';
}
