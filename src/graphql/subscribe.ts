import { createSourceEventStream, execute, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { checkPaging } from './paging.ts';

/** Who counts the streams that are open. */
interface Count {
  subscriptionOpened(): void;
  subscriptionClosed(): void;
}

/**
 * Runs a subscription as the specification's Subscribe does: a response stream, or an answer where none could begin. There may be tens of
 * thousands at a time, so that a stream keeps as little as it can: each event is executed with a context of its own, and what has
 * been remembered for a context goes with it.
 */
export async function subscribe(
  args: ExecutionArgs,
  count: Count,
): Promise<ExecutionResult | AsyncIterableIterator<ExecutionResult, void>> {
  const errors = checkPaging(args);
  if (errors.length > 0) return { errors };
  const source = await createSourceEventStream({ ...args, contextValue: contextOf(args) });
  return Symbol.asyncIterator in source ? new ResponseStream(source[Symbol.asyncIterator](), args, count) : source;
}

function contextOf({ contextValue }: ExecutionArgs): unknown {
  return { ...(contextValue as object) };
}

class ResponseStream implements AsyncIterableIterator<ExecutionResult, void> {
  readonly #source: AsyncIterator<unknown>;
  readonly #args: ExecutionArgs;
  readonly #count: Count;
  #isOpen = true;

  constructor(source: AsyncIterator<unknown>, args: ExecutionArgs, count: Count) {
    this.#source = source;
    this.#args = args;
    this.#count = count;
    count.subscriptionOpened();
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    try {
      const { done, value: rootValue } = await this.#source.next();
      if (!done) {
        return { done: false, value: await execute({ ...this.#args, contextValue: contextOf(this.#args), rootValue }) };
      }
    } catch (error) {
      await this.return();
      throw error;
    }
    this.#close();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    this.#close();
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(): void {
    if (this.#isOpen) this.#count.subscriptionClosed();
    this.#isOpen = false;
  }
}
