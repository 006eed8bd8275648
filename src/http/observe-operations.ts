import type { ExecutionArgs } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { GraphqlContext } from '../graphql/context.ts';
import { outcomeOf, rootFieldsOf } from '../graphql/operation.ts';
import type { Logger } from '../lib/logger.ts';
import type { Exchange } from '../observability/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';

interface Observed {
  exchange?: Exchange;
  socket?: object;
}

/** Counts every operation once, however it ends, and tells of those on a socket, which are no requests. */
export function observeOperations(deps: {
  metrics: Metrics;
  isUnavailable: (error: unknown) => boolean;
  log: Logger;
}): Plugin<GraphqlContext> {
  function ended({ exchange, socket }: Observed, outcome: string): void {
    if (!exchange) return;
    exchange.outcome = outcome;
    deps.metrics.graphqlOperation(exchange);
    if (!socket || !deps.log.isLevelEnabled('info')) return;
    const { operation, caller, requestId, startedAt } = exchange;
    deps.log.info(
      { operation, caller, outcome, ms: Math.round(performance.now() - startedAt), requestId },
      'operation',
    );
  }

  function begin({ document, operationName, contextValue }: ExecutionArgs): GraphqlContext {
    const context = contextValue as GraphqlContext;
    context.exchange.operation = rootFieldsOf(document, operationName);
    context.exchange.outcome = null;
    return context;
  }

  /** Of a result, or of a stream of them, of which none is there yet. */
  function outcomeOfResult(result: unknown, { exchange }: GraphqlContext): string {
    const { errors } = result as { errors?: Parameters<typeof outcomeOf>[0] };
    return errors ? outcomeOf(errors, deps.isUnavailable) : (exchange.outcome ?? 'OK');
  }

  return {
    // what came to nothing before it was validated: no GraphQL, or nobody could be recognised
    onResultProcess({ result, serverContext }) {
      const observed = serverContext as Observed;
      if (observed.exchange?.outcome !== null || !('errors' in result) || !result.errors) return;
      ended(observed, outcomeOf(result.errors, deps.isUnavailable));
    },
    onValidate:
      ({ context }) =>
      ({ valid }) => {
        if (!valid) ended(context as Observed, 'GRAPHQL_VALIDATION_FAILED');
      },
    onExecute({ args }) {
      const context = begin(args);
      return { onExecuteDone: ({ result }) => ended(context, outcomeOfResult(result, context)) };
    },
    onSubscribe({ args }) {
      const context = begin(args);
      return {
        onSubscribeResult({ result }) {
          ended(context, outcomeOfResult(result, context));
          if (!(Symbol.asyncIterator in result)) return undefined;
          return { onEnd: deps.metrics.subscriptionOpened() };
        },
      };
    },
  };
}
