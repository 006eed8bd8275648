import { randomUUID } from 'node:crypto';

/** What is told of a request, or of an operation on a socket, once it is answered: its log line and its metrics are made of this. */
export interface Exchange {
  /** Tells it apart from others, here and at whoever sent it. */
  readonly requestId: string;
  /** In milliseconds, on the clock of `performance.now()`. */
  readonly startedAt: number;
  /** The GraphQL operation's root fields, comma-separated. Null where there was none, or none that is valid. */
  operation: string | null;
  /** What kind of caller asked, in a word. Null where nobody looked. */
  caller: string | null;
  /** How the operation ended: OK, or the code of its error. Null where there was none. */
  outcome: string | null;
}

const usableId = /^[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}$/;

/** Begins with the id that came along, where that is one: what else came could forge a log. */
export function beginExchange(givenId: string | string[] | undefined): Exchange {
  const requestId = typeof givenId === 'string' && usableId.test(givenId) ? givenId : newId();
  return { requestId, startedAt: performance.now(), operation: null, caller: null, outcome: null };
}

/** In one piece: as node makes it, it is twenty strings for as long as it is kept, half a kilobyte of them. */
function newId(): string {
  return Buffer.from(randomUUID()).toString('latin1');
}

/** What a span tells of it. */
export function attributesOf({ operation, caller, outcome }: Exchange): Record<string, string> {
  return {
    ...(operation !== null && { 'connectors.operation': operation }),
    ...(caller !== null && { 'connectors.caller': caller }),
    ...(outcome !== null && { 'connectors.outcome': outcome }),
  };
}
