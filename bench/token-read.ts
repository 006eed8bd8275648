import type { Cleanup } from './support/cleanup.ts';
import { personAt, storeConnections, tokenOf } from './support/connections.ts';
import { inParallel, median, percentile } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { setStage } from './support/stage.ts';
import { readToken, tokenReadBody } from './support/token-read.ts';

const sizes = [sized(10_000), sized(1_000_000)];
const readersPerSize = sized(2_000, 50);
const rounds = 15;
const readsPerRound = sized(2_000, 200);
const concurrency = 16;
const goal = 1.2;

interface Subject {
  connections: number;
  /** Makes so many reads at random. */
  load: (reads: number) => Promise<Round>;
  rounds: Round[];
}

interface Round {
  takenMs: number[];
  perSecond: number;
}

/** An app's backend reads the token of one of its users, with few and with many connections stored. */
export async function tokenRead(cleanup: Cleanup): Promise<Figure[]> {
  const subjects: Subject[] = [];
  for (const connections of sizes) subjects.push(await prepare(cleanup, connections));
  for (const { load } of subjects) await load(readsPerRound);
  for (let round = 0; round < rounds; round += 1) {
    // in turns, and not always the same one first: what else the machine does hits both alike
    for (const subject of round % 2 === 0 ? subjects : [...subjects].reverse()) {
      subject.rounds.push(await subject.load(readsPerRound));
    }
  }
  const [few = [], many = []] = subjects.map(figuresOf);
  const shared = many.map((figure, index) => {
    const base = few[index];
    return base ? compared(figure, base, figure.unit === 'ms' ? goal : undefined) : figure;
  });
  return [...few, ...shared];
}

async function prepare(cleanup: Cleanup, connections: number): Promise<Subject> {
  const stage = await setStage(cleanup, { instances: 1 });
  const connector = await stage.addConnector();
  // spread evenly over the table; more readers than the app has users would be the same ones again
  const step = Math.max(1, Math.floor(connections / readersPerSize));
  const people = Array.from({ length: Math.min(readersPerSize, connections) }, (_, index) =>
    personAt(1 + index * step),
  );
  await storeConnections(stage, connector, connections, people);
  const body = tokenReadBody(connector);
  const readers = await Promise.all(
    people.map(async (person) => ({ token: tokenOf(person), headers: await stage.backend(person) })),
  );
  const load = async (reads: number): Promise<Round> => {
    const takenMs: number[] = [];
    const start = performance.now();
    await inParallel(reads, concurrency, async () => {
      const reader = readers[Math.floor(Math.random() * readers.length)];
      if (!reader) throw new Error('There is nobody to read for.');
      const began = performance.now();
      const token = await readToken(stage.first, body, reader.headers);
      takenMs.push(performance.now() - began);
      if (token !== reader.token) throw new Error(`A read answered ${token === null ? 'no' : 'the wrong'} token.`);
    });
    return { takenMs, perSecond: (reads * 1000) / (performance.now() - start) };
  };
  return { connections, load, rounds: [] };
}

function figuresOf(subject: Subject): Figure[] {
  const among = `${subject.connections.toLocaleString('en')} connections`;
  const takenMs = subject.rounds.flatMap((round) => round.takenMs);
  return [
    { name: `read among ${among}, median`, value: median(takenMs), unit: 'ms' },
    { name: `read among ${among}, p99`, value: percentile(takenMs, 0.99), unit: 'ms' },
    {
      name: `reads per second among ${among}, ${concurrency} at a time`,
      value: Math.round(median(subject.rounds.map(({ perSecond }) => perSecond))),
      unit: '/s',
    },
  ];
}
