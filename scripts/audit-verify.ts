/** Walks the audit's hash chains in DATABASE_URL, while the service runs. Exits 1 where a row was removed, altered or put there. */
import { parseConfig } from '../src/config.ts';
import type { Keyring } from '../src/crypto/keyring.ts';
import { openDatabase } from '../src/db/client.ts';
import type { Secret } from '../src/lib/secret.ts';
import { StartupError } from '../src/lib/startup-error.ts';
import { type ChainReport, verifyAudit } from '../src/workspaces/audit-verify.ts';

/** How far a chain holds, in a sentence. */
function sentence({ workspaceId, rows, last, fault }: ChainReport): string {
  const upTo = last ? `, up to row ${last.sequence} of ${last.at.toISOString()} with the hash ${last.hash}` : '';
  const holds = `workspace ${workspaceId}: ${rows} rows hold${upTo}.`;
  return fault === null ? holds : `${holds} Then it breaks: ${fault}.`;
}

/** Answers whether every chain holds. */
async function verify(databaseUrl: Secret, keyring: Keyring): Promise<boolean> {
  const { db, close } = await openDatabase({ databaseUrl });
  try {
    const { chains, unsealed } = await verifyAudit({ db, keyring });
    for (const chain of chains) console.log(sentence(chain));
    console.log(`Rows that are not sealed yet: ${unsealed}.`);
    return chains.every(({ fault }) => fault === null);
  } finally {
    await close();
  }
}

try {
  const { databaseUrl, keyring } = parseConfig(process.env);
  if (!databaseUrl) {
    throw new StartupError('DATABASE_URL is not set: it names the PostgreSQL database whose audit is to be verified.');
  }
  if (!keyring)
    throw new StartupError('ENCRYPTION_KEYS is not set: the checkpoints of the audit are sealed with them.');
  if (!(await verify(databaseUrl, keyring))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof StartupError ? error.message : error);
  process.exitCode = 1;
}
