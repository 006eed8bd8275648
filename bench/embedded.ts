import type { Cleanup } from './support/cleanup.ts';
import { inParallel, median, percentile, timed } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { type Connector, type EmbeddedStage, setEmbeddedStage, setStage } from './support/stage.ts';
import { readToken, tokenReadBody } from './support/token-read.ts';

const rounds = 5;
const reads = sized(2_000, 100);
const readsAtOnce = 16;
const connects = sized(100, 4);
const connectsAtOnce = 4;

interface Place {
  name: string;
  stage: EmbeddedStage;
  connector: Connector;
  readMs: number[];
  readsPerSecond: number[];
  connectMs: number[];
  connectsPerSecond: number[];
}

/** The embedded database beside PostgreSQL, in turns: a backend reads a token, and people connect, consent at the provider included. */
export async function embedded(cleanup: Cleanup): Promise<Figure[]> {
  const places = [
    await setPlace('PostgreSQL', await setStage(cleanup, { instances: 1 })),
    await setPlace('embedded', await setEmbeddedStage(cleanup)),
  ];
  for (let round = 0; round <= rounds; round += 1) {
    for (const place of places) await measure(place, round);
  }
  const figuresOf = ({ name, readMs, readsPerSecond, connectMs, connectsPerSecond }: Place): Figure[] => [
    { name: `${name}: token reads per second, ${readsAtOnce} at a time`, value: median(readsPerSecond), unit: '/s' },
    { name: `${name}: token read, p99`, value: percentile(readMs, 0.99), unit: 'ms' },
    { name: `${name}: connects per second, ${connectsAtOnce} at a time`, value: median(connectsPerSecond), unit: '/s' },
    { name: `${name}: connect, median`, value: median(connectMs), unit: 'ms' },
  ];
  const [onServer = [], inProcess = []] = places.map(figuresOf);
  return [
    ...onServer,
    ...inProcess.map((figure, index) => (onServer[index] ? compared(figure, onServer[index]) : figure)),
  ];
}

async function setPlace(name: string, stage: EmbeddedStage): Promise<Place> {
  const connector = await stage.addConnector();
  return { name, stage, connector, readMs: [], readsPerSecond: [], connectMs: [], connectsPerSecond: [] };
}

/** One round; the first warms and is not kept. */
async function measure(place: Place, round: number): Promise<void> {
  const { stage, connector } = place;
  const headers = await stage.backend(connector.connectedPerson);
  const body = tokenReadBody(connector);
  const readMs: number[] = [];
  const readsTook = await timed(() =>
    inParallel(reads, readsAtOnce, async () => {
      readMs.push(
        await timed(async () => {
          if ((await readToken(stage.first, body, headers)) === null) throw new Error('A read was refused.');
        }),
      );
    }),
  );
  const connectMs: number[] = [];
  const connectsTook = await timed(() =>
    inParallel(connects, connectsAtOnce, async (index) => {
      const person = `round-${round}-person-${index}`;
      connectMs.push(await timed(() => stage.connect(person, connector.id)));
    }),
  );
  if (round === 0) return;
  place.readMs.push(...readMs);
  place.readsPerSecond.push((reads * 1000) / readsTook);
  place.connectMs.push(...connectMs);
  place.connectsPerSecond.push((connects * 1000) / connectsTook);
}
