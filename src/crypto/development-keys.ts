import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** ENCRYPTION_KEYS for development: read from `encryption-keys` in the folder, made there on first use with mode 0600; null keeps them in memory. */
export function developmentKeys(dataDir: string | null): string {
  const generated = `dev:${randomBytes(32).toString('base64')}`;
  if (dataDir === null) return generated;
  const file = join(dataDir, 'encryption-keys');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, generated, { flag: 'wx', mode: 0o600 });
    return generated;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readFileSync(file, 'utf8').trim();
  }
}
