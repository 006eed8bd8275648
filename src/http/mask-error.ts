import { GraphQLError } from 'graphql';
import { toGraphqlError } from '../graphql/errors.ts';
import { DomainError } from '../lib/domain-error.ts';
import type { Logger } from '../lib/logger.ts';
import { unavailableSentence } from './health.ts';

/** What a caller is told of an error: what they can do something about, and of all else that it happened. */
export type MaskError = (error: unknown) => GraphQLError;

/** An error that has been masked stays as it is. */
export function createMaskError(deps: {
  /** Whether an error only says that something the service needs does not answer for the moment. */
  isUnavailable: (error: unknown) => boolean;
  log: Logger;
}): MaskError {
  return (error) => {
    const located = error instanceof GraphQLError ? error : null;
    const original = located?.originalError ?? error;
    if (original instanceof GraphQLError) return located ?? original; // the caller's own mistake: syntax, a wrong type
    const known = toGraphqlError(original) ?? (deps.isUnavailable(original) ? unavailable(original) : null);
    if (!(original instanceof DomainError)) deps.log.error({ err: original }, 'an operation failed');
    return new GraphQLError(known?.message ?? 'Unexpected error.', {
      nodes: located?.nodes ?? null,
      path: located?.path ?? null,
      extensions: known?.extensions ?? { code: 'INTERNAL_SERVER_ERROR' },
    });
  };
}

/** For a while nothing can be done: the caller's request says so to programs as well, by its status. */
function unavailable(error: unknown): GraphQLError {
  return new GraphQLError(unavailableSentence(error), {
    extensions: { code: 'SERVICE_UNAVAILABLE', http: { status: 503, headers: { 'Retry-After': '5' } } },
  });
}
