import { fileURLToPath } from 'node:url';
import { idOf } from '../../src/lib/global-id.ts';
import type { Cleanup } from './cleanup.ts';
import { type Served, startServer } from './instance.ts';
import { benchIdentity, type Stage } from './stage.ts';

/** Starts the least that a token read can be, on the stage's database. */
export function startFloor(cleanup: Cleanup, stage: Stage, connectorId: string): Promise<Served> {
  const { issuer, audience } = benchIdentity;
  return startServer(cleanup, ['--import', 'tsx', fileURLToPath(new URL('../peers/floor.ts', import.meta.url))], {
    PATH: process.env.PATH ?? '',
    NODE_ENV: 'production',
    DATABASE_URL: stage.database.url,
    KEY: stage.keyring.active.key.toString('base64'),
    IDENTITY_KEY: Buffer.from(stage.identityKey).toString('base64url'),
    IDENTITY_ISSUER: issuer,
    IDENTITY_AUDIENCE: audience,
    CONNECTOR_ID: idOf('Connector', connectorId) ?? '',
  });
}
