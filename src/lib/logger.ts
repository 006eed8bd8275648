import { destination as openDestination, type Logger, pino } from 'pino';

export type { Logger };

/** A write of a pipe is whole up to this size (PIPE_BUF), whoever else writes to it: workers share one. */
const wholeBytes = 4_096;
/** What is kept for a reader that stands still. Lines that would make it more are dropped: the service is worth more than its log. */
const longestBacklogBytes = 16 * 1024 * 1024;
const longestFlushMs = 2_000;

/**
 * One JSON line a record on stdout, written in the background: a slow reader holds up no request. Redaction is the second line of
 * defence: nothing secret is handed to the logger in the first place.
 */
export function createLogger(level: string, destination?: { write(line: string): void }): Logger {
  const options = {
    level,
    redact: ['req.headers.authorization', 'req.headers.cookie', 'headers.authorization', 'headers.cookie'],
    base: null,
  };
  if (destination) return pino(options, destination);
  // at once, but never two writes at a time; with a least length of 0 a flush would not wait for the one under way
  const stdout = { dest: 1, sync: false, minLength: 1, maxWrite: wholeBytes, maxLength: longestBacklogBytes };
  return pino(options, openDestination(stdout));
}

/** Settles when every line has been written; a reader that takes none is not waited for. */
export function flushLog(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, longestFlushMs).unref();
    log.flush(() => resolve());
  });
}
