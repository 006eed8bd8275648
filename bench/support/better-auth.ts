import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';
import { createEmptyDatabase } from './database.ts';
import type { Grant } from './grant.ts';
import { ask, type Served, startServer } from './instance.ts';
import type { Asked } from './load.ts';

export interface BetterAuth {
  server: Served;
  databaseUrl: string;
  /** What asks for a reader's access token; the reader after the last is the one who gave the grant. */
  requestOf(reader: number): Omit<Asked, 'expected'>;
  read(reader: number): Promise<{ accessToken?: string }>;
}

/** better-auth with as many readers, who have the same tokens; asked as it would be through the app's own backend. */
export async function startBetterAuth(
  cleanup: Cleanup,
  { connections, readers, grant }: { connections: number; readers: number; grant?: Grant },
): Promise<BetterAuth> {
  const databaseUrl = await createEmptyDatabase(cleanup);
  const program = fileURLToPath(new URL('../peers/better-auth.ts', import.meta.url));
  const server = await startServer(cleanup, ['--import', 'tsx', program], {
    PATH: process.env.PATH ?? '',
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    SECRET: randomBytes(24).toString('base64url'),
    CONNECTIONS: String(connections),
    READERS: String(readers),
    ...(grant && { GRANT: JSON.stringify(grant) }),
  });
  const ways = await ask<{ accountId: string; cookie: string }[]>(server, { path: '/readers', method: 'GET' });
  const requestOf = (reader: number) => {
    const { accountId, cookie = '' } = ways[reader - 1] ?? {};
    return {
      path: '/api/auth/get-access-token',
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://127.0.0.1', cookie },
      body: JSON.stringify({ accountId }),
    } as const;
  };
  return { server, databaseUrl, requestOf, read: (reader) => ask(server, requestOf(reader)) };
}
