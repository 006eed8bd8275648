import { type Logger, pino } from 'pino';

export type { Logger };

/** One JSON line a record on stdout. Redaction is the second line of defence: nothing secret is handed to the logger in the first place. */
export function createLogger(level: string, destination?: { write(line: string): void }): Logger {
  const options = {
    level,
    redact: ['req.headers.authorization', 'req.headers.cookie', 'headers.authorization', 'headers.cookie'],
    base: null,
  };
  return destination ? pino(options, destination) : pino(options);
}
