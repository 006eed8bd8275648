import { execSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Keys could not be fetched. The message goes behind the variable's name, and shows neither what it holds nor what came of it. */
export class KeySourceError extends Error {
  override readonly name = 'KeySourceError';
}

/** @throws KeySourceError */
export function readKeysFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new KeySourceError(`names a file that cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/**
 * What a shell command writes to its standard output. It inherits the environment, and gets no input. Its standard error is
 * dropped, because tools that fail like to show what they were given.
 * @throws KeySourceError
 */
export function runKeysCommand(command: string, timeoutMs = 30_000): string {
  try {
    return execSync(command, {
      encoding: 'utf8',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 65_536,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    // the error itself holds the command and what it wrote
    throw new KeySourceError(failureOf(error as { code?: string; status?: number | null }, timeoutMs));
  }
}

function failureOf({ code, status }: { code?: string; status?: number | null }, timeoutMs: number): string {
  if (code === 'ETIMEDOUT') return `holds a command that did not end within ${timeoutMs / 1000} seconds`;
  if (code === 'ENOBUFS') return 'holds a command that writes more than 64 KiB';
  return typeof status === 'number'
    ? `holds a command that ended with the exit code ${status}; run it by hand to see what it says`
    : 'holds a command that could not be run to its end';
}
