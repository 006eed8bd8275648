import { availableParallelism } from 'node:os';
import type { Cleanup } from './support/cleanup.ts';
import { inParallel, median, timed } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { benchRedisUrl, type Connector, type Stage, setStage } from './support/stage.ts';
import { readToken, tokenReadBody } from './support/token-read.ts';

const rounds = 5;
const reads = sized(10_000, 200);
const atOnce = 64;
/** One for each of two workers, and as many for the load and the database. */
const coresNeeded = 4;

/** Token reads by two workers of one instance beside one, in turns. */
export async function workers(cleanup: Cleanup): Promise<Figure[]> {
  const stages = [
    await setStage(cleanup, { instances: 1 }),
    await setStage(cleanup, { instances: 1, workers: 2, redisUrl: benchRedisUrl }),
  ];
  const subjects: { stage: Stage; connector: Connector; perSecond: number[] }[] = [];
  for (const stage of stages) subjects.push({ stage, connector: await stage.addConnector(), perSecond: [] });
  for (let round = 0; round <= rounds; round += 1) {
    for (const { stage, connector, perSecond } of subjects) {
      const headers = await stage.backend(connector.connectedPerson);
      const body = tokenReadBody(connector);
      const took = await timed(() =>
        inParallel(reads, atOnce, async () => {
          if ((await readToken(stage.first, body, headers)) === null) throw new Error('A read was refused.');
        }),
      );
      if (round > 0) perSecond.push((reads * 1000) / took);
    }
  }
  const [one, two] = subjects.map(({ perSecond }, index): Figure => {
    const name = `${index + 1} ${index === 0 ? 'worker' : 'workers'}: reads per second, ${atOnce} at a time`;
    return { name, value: median(perSecond), unit: '/s' };
  });
  if (!one || !two) return [];
  // where load and database share the workers' cores, a second worker has none of its own
  return [one, compared(two, one, availableParallelism() >= coresNeeded ? { atLeast: 1.7 } : {})];
}
