import type { Cleanup } from './support/cleanup.ts';
import { inParallel, percentile } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { setStage } from './support/stage.ts';
import { readToken, tokenReadBody } from './support/token-read.ts';

const rounds = 5;
const readsPerRound = sized(3_000, 100);
const concurrency = 16;
const providerTakesMs = 5_000;

/** Reads of a token that is due for its refresh, while the provider takes its time over it, beside reads of one that is not. */
export async function slowProvider(cleanup: Cleanup): Promise<Figure[]> {
  const stage = await setStage(cleanup, { instances: 1 });
  const connector = await stage.addConnector();
  const headers = await stage.backend(connector.connectedPerson);
  const body = tokenReadBody(connector);
  const read = async () => {
    const began = performance.now();
    if ((await readToken(stage.first, body, headers)) === null) throw new Error('A read answered no token.');
    return performance.now() - began;
  };
  const load = async () => {
    const takenMs: number[] = [];
    await inParallel(readsPerRound, concurrency, async () => takenMs.push(await read()));
    return takenMs;
  };
  const endsIn = (minutes: number) =>
    stage.database.pool.query(
      `UPDATE credential SET "issuedAt" = now() - interval '1 hour' + $1 * interval '1 minute', "accessTokenExpiresAt" = now() + $1 * interval '1 minute'`,
      [minutes],
    );

  await load(); // warm
  const outside: number[] = [];
  const within: number[] = [];
  let held = 0;
  for (let round = 0; round < rounds; round += 1) {
    await endsIn(50);
    outside.push(...(await load()));
    let letGo = () => {};
    const refreshed = new Promise<void>((resolve) => {
      letGo = stage.provider.around(async (ctx, next) => {
        if (ctx.path !== '/token') return next();
        held += 1;
        await new Promise((waited) => setTimeout(waited, providerTakesMs));
        await next();
        resolve();
      });
    });
    await endsIn(5);
    within.push(...(await load()));
    await refreshed;
    letGo();
  }
  const base: Figure = { name: 'read outside the refresh margin, p99', value: percentile(outside, 0.99), unit: 'ms' };
  const inside: Figure = {
    name: 'read within it, provider taking 5 s, p99',
    value: percentile(within, 0.99),
    unit: 'ms',
  };
  return [
    base,
    compared(inside, base, 1.2),
    { name: `refreshes in ${rounds} rounds`, value: held, unit: '', goal: rounds },
  ];
}
