/** Who has to act for a failure to go away. */
export type RemedyActor = 'ADMIN' | 'USER' | 'PROVIDER' | 'OPERATOR';

/** What to do about a failure: numbered steps, and the exact values to paste where there are any. */
export interface Remedy {
  actor: RemedyActor;
  steps: string[];
  values: { label: string; value: string }[];
  docsUrl: string | null;
}

/** Which of the documented failures an error is, and what was filled in: for whoever tells it in another language. */
export interface KnownFailure {
  name: string;
  facts: object;
}

/**
 * Something the caller can understand and act on. `message` is a public sentence; the cause, if any, is for the log only.
 * Everything else that is thrown is a bug, and is masked at the edge.
 */
export abstract class DomainError extends Error {
  abstract readonly code: string;
  readonly remedy: Remedy | null;
  readonly failure: KnownFailure | null;

  constructor(message: string, options: { remedy?: Remedy; failure?: KnownFailure; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.remedy = options.remedy ?? null;
    this.failure = options.failure ?? null;
  }
}

/** A remedy without values to paste. */
export function remedy(actor: RemedyActor, ...steps: string[]): Remedy {
  return { actor, steps, values: [], docsUrl: null };
}
