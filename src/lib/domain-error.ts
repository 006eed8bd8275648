/** Who has to act for a failure to go away. */
export type RemedyActor = 'ADMIN' | 'USER' | 'PROVIDER' | 'OPERATOR';

/** What to do about a failure: numbered steps, and the exact values to paste where there are any. */
export interface Remedy {
  actor: RemedyActor;
  steps: string[];
  values: { label: string; value: string }[];
  docsUrl: string | null;
}

/**
 * Something the caller can understand and act on. `message` is a public sentence; the cause, if any, is for the log only.
 * Everything else that is thrown is a bug, and is masked at the edge.
 */
export abstract class DomainError extends Error {
  abstract readonly code: string;
  readonly remedy: Remedy | null;

  constructor(message: string, options: { remedy?: Remedy; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.remedy = options.remedy ?? null;
  }
}

/** A remedy without values to paste. */
export function remedy(actor: RemedyActor, ...steps: string[]): Remedy {
  return { actor, steps, values: [], docsUrl: null };
}
