import pg from 'pg';
import { startBetterAuth } from './support/better-auth.ts';
import type { Cleanup } from './support/cleanup.ts';
import { obtainGrant } from './support/grant.ts';
import { median } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { type Connector, type Stage, setStage } from './support/stage.ts';
import { readToken, tokenReadBody } from './support/token-read.ts';

const processes = 3;
const callers = sized(1_000);
const rounds = 7;
const peerCallers = sized(200, 20);

interface Round {
  lastMs: number;
  /** The token that the callers got. */
  token: string | null;
  failed: number;
  refreshes: number;
}

/** Many callers on one expired token, over several processes, beside as many on a token that is good. */
export async function stampede(cleanup: Cleanup): Promise<Figure[]> {
  const stage = await setStage(cleanup, { instances: processes });
  const connector = await stage.addConnector();
  const callTogether = await createCrowd(stage, connector);
  await callTogether(); // opens the sockets and warms the processes
  const fresh: Round[] = [];
  const expired: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = await callTogether();
    fresh.push(before);
    await expireTokens(stage);
    expired.push(await callTogether(before.token));
  }
  const crowd = `${callers.toLocaleString('en')} callers, ${processes} processes`;
  const last = (of: Round[]) => median(of.map(({ lastMs }) => lastMs));
  const good: Figure = { name: `fresh token, last of ${crowd}`, value: last(fresh), unit: 'ms' };
  return [
    good,
    compared({ name: `expired token, last of ${crowd}`, value: last(expired), unit: 'ms' }, good),
    {
      name: `refreshes that reached the provider, most in one of ${rounds} stampedes`,
      value: Math.max(...expired.map(({ refreshes }) => refreshes)),
      unit: '',
      goal: 1,
    },
    {
      name: `callers without the one new token, in ${rounds} stampedes`,
      value: expired.reduce((sum, { failed }) => sum + failed, 0),
      unit: '',
      goal: 0,
    },
    ...(await besideBetterAuth(cleanup, stage)),
  ];
}

/** One stampede of the same kind on one process of better-auth, and whether what it keeps afterwards can be refreshed again. */
async function besideBetterAuth(cleanup: Cleanup, { provider }: Stage): Promise<Figure[]> {
  const grant = await obtainGrant(provider);
  const betterAuth = await startBetterAuth(cleanup, { connections: 1, readers: 1, grant });
  const read = async () => (await betterAuth.read(2).catch(() => null))?.accessToken ?? null;
  const before = provider.counts.refresh_token;
  const tokens = await Promise.all(Array.from({ length: peerCallers }, read));
  const refreshes = provider.counts.refresh_token - before;
  const database = new pg.Client({ connectionString: betterAuth.databaseUrl });
  await database.connect();
  await database.query(
    `UPDATE account SET "accessTokenExpiresAt" = now() - interval '1 hour' WHERE "providerId" = 'calendar'`,
  );
  await database.end();
  const isLost = (await read()) === null;
  const crowd = `better-auth, ${peerCallers} callers, one process`;
  return [
    { name: `${crowd}: refreshes that reached the provider`, value: refreshes, unit: '' },
    { name: `${crowd}: callers without a token`, value: tokens.filter((token) => token === null).length, unit: '' },
    { name: `${crowd}: grants that cannot be refreshed afterwards`, value: isLost ? 1 : 0, unit: '' },
  ];
}

/** Everybody asks at once, spread evenly over the processes. Whoever gets the stale token, or another than the rest, has failed. */
async function createCrowd(stage: Stage, connector: Connector): Promise<(stale?: string | null) => Promise<Round>> {
  const headers = await stage.backend(connector.connectedPerson);
  const body = tokenReadBody(connector);
  const crowd = Array.from({ length: callers }, (_, index) => stage.instances[index % processes] ?? stage.first);
  return async (stale = null) => {
    const before = stage.provider.counts.refresh_token;
    const start = performance.now();
    const tokens = await Promise.all(crowd.map((instance) => readToken(instance, body, headers)));
    const lastMs = performance.now() - start;
    const [token = null] = tokens.filter((one) => one !== null && one !== stale);
    const failed = tokens.filter((one) => one === null || one !== token).length;
    return { lastMs, token, failed, refreshes: stage.provider.counts.refresh_token - before };
  };
}

async function expireTokens(stage: Stage): Promise<void> {
  await stage.database.pool.query(
    `UPDATE credential SET "issuedAt" = now() - interval '2 hours', "accessTokenExpiresAt" = now() - interval '1 hour'`,
  );
}
