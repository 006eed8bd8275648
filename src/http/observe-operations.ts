import type { ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { GraphqlContext } from '../graphql/context.ts';
import { outcomeOf, rootFieldsOf } from '../graphql/operation.ts';
import { subscribe } from '../graphql/subscribe.ts';
import type { Logger } from '../lib/logger.ts';
import type { Exchange } from '../observability/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';

interface Observed {
  exchange?: Exchange;
  socket?: object;
}

export interface ObservedOperations {
  /** Has what yoga runs observed; it runs subscriptions by the function below. */
  plugin: Plugin<GraphqlContext>;
  /** Tells of an operation on a socket that came to nothing before it was validated. */
  refused(operation: Observed, error: GraphQLError): void;
  /** Runs a subscription, and tells of it. */
  subscribe: (args: ExecutionArgs) => Promise<ExecutionResult | AsyncIterableIterator<ExecutionResult, void>>;
}

/** Counts every operation once, however it ends, and tells of those on a socket, which are no requests. */
export function observeOperations(deps: {
  metrics: Metrics;
  isUnavailable: (error: unknown) => boolean;
  log: Logger;
}): ObservedOperations {
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

  const observed: ObservedOperations = {
    plugin: {
      // what came to nothing before it was validated: no GraphQL, or nobody could be recognised
      onResultProcess({ result, serverContext }) {
        const operation = serverContext as Observed;
        if (operation.exchange?.outcome !== null || !('errors' in result) || !result.errors) return;
        ended(operation, outcomeOf(result.errors, deps.isUnavailable));
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
      // yoga's own wraps each stream more often, for @defer and @stream, which the schema has not
      onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(observed.subscribe),
    },
    refused: (operation, error) => ended(operation, outcomeOf([error], deps.isUnavailable)),
    async subscribe(args) {
      const context = begin(args);
      const result = await subscribe(args, deps.metrics);
      ended(context, outcomeOfResult(result, context));
      return result;
    },
  };
  return observed;
}
