/** Re-encrypts every secret in DATABASE_URL under the first of ENCRYPTION_KEYS, while the service runs. May be stopped and run again. */
import { parseConfig } from '../src/config.ts';
import { countByKey, rotateKeys } from '../src/connections/rotate-keys.ts';
import type { Keyring } from '../src/crypto/keyring.ts';
import { openDatabase } from '../src/db/client.ts';
import type { Secret } from '../src/lib/secret.ts';
import { StartupError } from '../src/lib/startup-error.ts';

/** What stands under a key, and what that means, in a sentence. */
function sentence(keyring: Keyring, kid: string | null, count: number): string {
  if (kid === null) return `Values under no key at all: ${count}.`;
  const under = `Values under the key ${kid}: ${count}.`;
  if (kid === keyring.active.kid) return `${under} It is the first of ENCRYPTION_KEYS.`;
  if (!keyring.kids.includes(kid)) return `${under} ENCRYPTION_KEYS does not hold it.`;
  return `${under} ${count === 0 ? 'It can be removed from ENCRYPTION_KEYS.' : 'It must stay in ENCRYPTION_KEYS.'}`;
}

/** Answers whether all values stand under the first key. */
async function rotate(databaseUrl: Secret, keyring: Keyring): Promise<boolean> {
  const { db, close } = await openDatabase({ databaseUrl });
  try {
    const { unopened } = await rotateKeys({
      db,
      keyring,
      onProgress: ({ table, column, done, left }) => console.log(`${table}.${column}: ${done} done, ${left} left`),
    });
    for (const { table, column, count } of unopened) {
      console.log(`${table}.${column}: ${count} cannot be opened: the key is missing, or the value was changed.`);
    }
    const counts = [...(await countByKey({ db, keyring }))];
    for (const [kid, count] of counts) console.log(sentence(keyring, kid, count));
    return counts.every(([kid, count]) => kid === keyring.active.kid || count === 0);
  } finally {
    await close();
  }
}

try {
  const { databaseUrl, keyring } = parseConfig(process.env);
  if (!databaseUrl) {
    console.log('DATABASE_URL is not set: on the embedded database the service re-encrypts by itself when it starts.');
  } else if (!keyring) {
    throw new StartupError('ENCRYPTION_KEYS is not set: its first key is the one to re-encrypt under.');
  } else if (!(await rotate(databaseUrl, keyring))) {
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof StartupError ? error.message : error);
  process.exitCode = 1;
}
