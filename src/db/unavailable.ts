const kinds = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'TooManyConnections', 'SocketTimeout']);
/** Prisma waited too long for a connection, or to begin a transaction. */
const prismaCodes = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028']);
/** PostgreSQL's connection exceptions and operator interventions: it is shutting down, starting up, or took too long. */
const sqlState = /^(08...|57P0[1-3]|57014)$/;
/** What the system says of a server that is not there. */
const unreachable = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH', 'EPIPE']);
/** What pg says of a connection that broke while it was in use: plain errors, without a code. */
const brokenConnection =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/;

/** Whether an error says that the database cannot be reached for the moment, and nothing about what was asked of it. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, meta } = error as {
    code?: unknown;
    meta?: { driverAdapterError?: { cause?: Record<string, unknown> } };
  };
  const cause = meta?.driverAdapterError?.cause ?? {};
  return (
    prismaCodes.has(String(code)) ||
    kinds.has(String(cause['kind'])) ||
    sqlState.test(String(cause['code'] ?? code)) ||
    unreachable.has(String(code)) ||
    brokenConnection.test(error.message)
  );
}
