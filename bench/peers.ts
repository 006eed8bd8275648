import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { idOf } from '../src/lib/global-id.ts';
import type { Cleanup } from './support/cleanup.ts';
import { personAt, storeConnections, tokenOf } from './support/connections.ts';
import { type Served, startServer } from './support/instance.ts';
import { inParallel, median, percentile } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { benchIdentity, setStage, type Stage } from './support/stage.ts';
import { tokenReadBody } from './support/token-read.ts';

const connections = sized(10_000, 1_000);
const readers = sized(1_000, 100);
const concurrencies = [1, 16, 64];
const rounds = 3;
const readsPerRound = (concurrency: number) => sized(concurrency === 1 ? 2_000 : 12_000, 100);

/** One way to read a token: how to ask, and how to find the token in the answer. */
interface Subject {
  name: string;
  server: Served;
  request: (person: number) => { path: string; method: 'GET' | 'POST'; headers: Record<string, string>; body?: string };
  accessToken: (answer: unknown) => unknown;
}

interface Round {
  takenMs: number[];
  perSecond: number;
  cpuMs: number;
}

const ticksPerSecond = 100;

/** The processor time that a process has used so far, in milliseconds (proc(5): fields 14 and 15 of stat). */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

function residentMiB(pid: number): number {
  const kB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kB) / 1024;
}

async function load(subject: Subject, concurrency: number): Promise<Round> {
  const takenMs: number[] = [];
  const count = readsPerRound(concurrency);
  const cpuBefore = cpuMsOf(subject.server.pid);
  const start = performance.now();
  await inParallel(count, concurrency, async () => {
    const person = 1 + Math.floor(Math.random() * readers);
    const began = performance.now();
    const { body } = await subject.server.pool.request(subject.request(person));
    const answer: unknown = await body.json();
    takenMs.push(performance.now() - began);
    if (subject.accessToken(answer) !== tokenOf(personAt(person))) {
      throw new Error(`${subject.name} answered ${JSON.stringify(answer).slice(0, 300)}`);
    }
  });
  const tookMs = performance.now() - start;
  return { takenMs, perSecond: (count * 1000) / tookMs, cpuMs: (cpuMsOf(subject.server.pid) - cpuBefore) / count };
}

/** Reads of one token by each way in turns, in one run: what the machine does meanwhile concerns all of them. */
export async function peers(cleanup: Cleanup): Promise<Figure[]> {
  const stage = await setStage(cleanup, { instances: 1 });
  const connector = await stage.addConnector();
  const people = Array.from({ length: readers }, (_, index) => personAt(index + 1));
  await storeConnections(stage, connector, connections, people);
  const headers = await Promise.all([stage.backend('nobody'), ...people.map((person) => stage.backend(person))]);
  const headersOf = (person: number) => headers[person] ?? {};

  const floor = await startFloor(cleanup, stage, connector.id);
  const subjects: Subject[] = [
    {
      name: 'floor',
      server: floor,
      request: (person) => ({ path: '/', method: 'POST', headers: headersOf(person), body: '{}' }),
      accessToken: (answer) => (answer as { accessToken?: string }).accessToken,
    },
    {
      name: 'GraphQL',
      server: stage.first,
      request: (person) => ({
        path: '/graphql',
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headersOf(person) },
        body: tokenReadBody(connector),
      }),
      accessToken: (answer) =>
        (answer as { data?: { currentAppUserConnection?: { accessToken?: string } } }).data?.currentAppUserConnection
          ?.accessToken,
    },
  ];

  const figures: Figure[] = [];
  for (const subject of subjects) await load(subject, 16); // warm
  for (const concurrency of concurrencies) {
    const measured = new Map(subjects.map((subject) => [subject, [] as Round[]]));
    for (let round = 0; round < rounds; round += 1) {
      for (const [subject, results] of measured) results.push(await load(subject, concurrency));
    }
    const bases = new Map<string, Figure>();
    for (const [{ name }, results] of measured) {
      const taken = results.flatMap(({ takenMs }) => takenMs);
      const own: Figure[] = [
        { name: 'reads per second', value: Math.round(median(results.map(({ perSecond }) => perSecond))), unit: '/s' },
        { name: 'p50', value: median(taken), unit: 'ms' },
        { name: 'p99', value: percentile(taken, 0.99), unit: 'ms' },
        { name: 'processor time per read', value: median(results.map(({ cpuMs }) => cpuMs)), unit: 'ms' },
      ];
      for (const figure of own) {
        const named = { ...figure, name: `${name}, ${concurrency} at a time: ${figure.name}` };
        const base = bases.get(figure.name);
        if (base) figures.push(compared(named, base));
        else {
          bases.set(figure.name, named);
          figures.push(named);
        }
      }
    }
  }
  for (const { name, server } of subjects) {
    figures.push({ name: `${name}: memory`, value: Math.round(residentMiB(server.pid)), unit: 'MiB' });
  }
  return figures;
}

function startFloor(cleanup: Cleanup, stage: Stage, connectorId: string): Promise<Served> {
  const { issuer, audience } = benchIdentity;
  return startServer(cleanup, ['--import', 'tsx', fileURLToPath(new URL('peers/floor.ts', import.meta.url))], {
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
