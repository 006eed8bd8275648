import { onTestFinished } from 'vitest';
import { readToken } from '../../support/journey.ts';
import type { Service } from '../../support/harness.ts';
import type { Stage } from '../../support/stage.ts';

/** Callers that read one user's token for as long as they are let, over connections that they keep. */
export interface Load {
  /** How each read ended, in order. */
  outcomes: string[];
  stop(): Promise<void>;
}

/** `at` answers whom the next read is sent to. */
export async function startReads(
  { app, connector }: Stage,
  userId: string,
  at: () => Service,
  callers = 6,
): Promise<Load> {
  const headers = await app.backend(userId);
  const outcomes: string[] = [];
  let isStopped = false;
  onTestFinished(() => {
    isStopped = true;
  });
  const loop = async () => {
    while (!isStopped) {
      const outcome = await readToken(at(), headers, connector.id).then(
        (answer) => {
          const read = answer.data?.['currentAppUserConnection'] as { __typename: string } | undefined;
          return read?.__typename ?? `${answer.status} ${JSON.stringify(answer.errors)}`;
        },
        (error: unknown) => String(error),
      );
      outcomes.push(outcome);
    }
  };
  const loops = Promise.all(Array.from({ length: callers }, loop));
  return {
    outcomes,
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}
