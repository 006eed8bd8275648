import { createSourceEventStream, execute, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { checkPaging } from './paging.ts';

/**
 * Runs a subscription as the specification's Subscribe does: a response stream, or an answer where none could begin. There may be tens of
 * thousands at a time, so that a stream keeps as little as it can: each event is executed with a context of its own, and what has
 * been remembered for a context goes with it. `begin` is called where a stream begins, and what it answers when it has ended.
 */
export async function subscribe(
  args: ExecutionArgs,
  begin: () => () => void,
): Promise<ExecutionResult | AsyncIterableIterator<ExecutionResult, void>> {
  const errors = checkPaging(args);
  if (errors.length > 0) return { errors };
  const source = await createSourceEventStream({ ...args, contextValue: contextOf(args) });
  return Symbol.asyncIterator in source ? new ResponseStream(source[Symbol.asyncIterator](), args, begin()) : source;
}

function contextOf({ contextValue }: ExecutionArgs): unknown {
  return { ...(contextValue as object) };
}

class ResponseStream implements AsyncIterableIterator<ExecutionResult, void> {
  readonly #source: AsyncIterator<unknown>;
  readonly #args: ExecutionArgs;
  readonly #ended: () => void;

  constructor(source: AsyncIterator<unknown>, args: ExecutionArgs, ended: () => void) {
    this.#source = source;
    this.#args = args;
    this.#ended = ended;
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    try {
      const { done, value: rootValue } = await this.#source.next();
      if (!done) {
        return { done: false, value: await execute({ ...this.#args, contextValue: contextOf(this.#args), rootValue }) };
      }
    } catch (error) {
      this.#ended();
      throw error;
    }
    this.#ended();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    this.#ended();
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
