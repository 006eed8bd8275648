import { readFileSync } from 'node:fs';
import { createClientFromRequest } from '../src/client/server.ts';
import { startBetterAuth } from './support/better-auth.ts';
import type { Cleanup } from './support/cleanup.ts';
import { personAt, storeConnections, tokenOf } from './support/connections.ts';
import { startFloor } from './support/floor.ts';
import type { Served } from './support/instance.ts';
import { type Answered, type Asked, load } from './support/load.ts';
import { inParallel, median, percentile, residentMiB, timed } from './support/measure.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { setStage } from './support/stage.ts';
import { tokenReadBody } from './support/token-read.ts';

const connections = sized(10_000, 1_000);
const readers = sized(1_000, 100);
const concurrencies = [1, 16, 64];
/** Processes of one build differ by a sixth, whatever they do: each way is served by several, one after the other. */
const starts = 3;
const rounds = 3;
const readsPerRound = (concurrency: number) => sized(concurrency === 1 ? 1_000 : 5_000, 100);

/** One way to read a token. */
interface Subject {
  name: string;
  server: Served;
  /** What it reads in the time that others read one. */
  pace: number;
  /** Reads so many tokens, so many at a time. */
  load: (count: number, concurrency: number) => Promise<Answered>;
}

interface Round extends Answered {
  cpuMs: number;
}

const ticksPerSecond = 100;

/** The processor time that a process has used so far, in milliseconds (proc(5): fields 14 and 15 of stat). */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

async function round({ server, pace, load: read }: Subject, concurrency: number): Promise<Round> {
  const count = Math.max(concurrency, Math.round(readsPerRound(concurrency) * pace));
  const before = cpuMsOf(server.pid);
  const answered = await read(count, concurrency);
  return { ...answered, cpuMs: (cpuMsOf(server.pid) - before) / count };
}

type Measure = 'perSecond' | 'p50' | 'p99' | 'cpu';

function measuresOf(name: string, results: readonly Round[]): Record<Measure, Figure> {
  const taken = results.flatMap(({ takenMs }) => takenMs);
  const perSecond = Math.round(median(results.map((round) => round.perSecond)));
  return {
    perSecond: { name: `${name}: reads per second`, value: perSecond, unit: '/s' },
    p50: { name: `${name}: p50`, value: median(taken), unit: 'ms' },
    p99: { name: `${name}: p99`, value: percentile(taken, 0.99), unit: 'ms' },
    cpu: { name: `${name}: processor time`, value: median(results.map(({ cpuMs }) => cpuMs)), unit: 'ms' },
  };
}

/** What each way should reach where most ask at a time, beside the floor. */
const goalsOf: Record<string, Partial<Record<Measure, Pick<Figure, 'goal' | 'atLeast'>>>> = {
  GraphQL: { perSecond: { atLeast: 1 }, p99: { goal: 1.5 }, cpu: { goal: 1 } },
  REST: { perSecond: { atLeast: 1.3 }, p99: { goal: 1.5 }, cpu: { goal: 1 } },
};

/** Starts what serves each way. */
async function subjectsOf(cleanup: Cleanup): Promise<Subject[]> {
  const stage = await setStage(cleanup, { instances: 1 });
  const connector = await stage.addConnector();
  const people = Array.from({ length: readers }, (_, index) => personAt(index + 1));
  await storeConnections(stage, connector, connections, people);
  const headers = await Promise.all([stage.backend('nobody'), ...people.map((person) => stage.backend(person))]);
  const headersOf = (person: number) => headers[person] ?? {};
  const body = tokenReadBody(connector);
  const restPath = `/api/apps/${stage.appId}/app-user-auth/connectors/${connector.id}/token`;
  const floor = await startFloor(cleanup, stage, connector.id);
  const betterAuth = await startBetterAuth(cleanup, { connections, readers });

  const asking = (server: Served, requestOf: (person: number) => Omit<Asked, 'expected'>): Subject['load'] => {
    const asked = people.map((person, index) => ({ ...requestOf(index + 1), expected: `"${tokenOf(person)}"` }));
    return (count, concurrency) => load(server.url, asked, count, concurrency);
  };
  const json = { 'content-type': 'application/json' };
  return [
    {
      name: 'floor',
      server: floor,
      pace: 1,
      load: asking(floor, (person) => ({ method: 'POST', path: '/', headers: headersOf(person), body: '{}' })),
    },
    {
      name: 'GraphQL',
      server: stage.first,
      pace: 1,
      load: asking(stage.first, (person) => {
        return { method: 'POST', path: '/graphql', headers: { ...json, ...headersOf(person) }, body };
      }),
    },
    {
      name: 'REST',
      server: stage.first,
      pace: 1,
      load: asking(stage.first, (person) => ({ method: 'GET', path: restPath, headers: headersOf(person) })),
    },
    {
      name: 'client library',
      server: stage.first,
      pace: 0.5,
      load: byLibrary((person) => {
        const { authorization = '', 'on-behalf-of': onBehalfOf = '' } = headersOf(person);
        const request = new Request('http://backend.example.com', { headers: { authorization: onBehalfOf } });
        const client = createClientFromRequest(request, {
          url: stage.first.url,
          appKey: authorization.slice('Bearer '.length),
        });
        return client.connectors.getCurrentAppUserConnection(connector.id);
      }),
    },
    {
      name: 'better-auth',
      server: betterAuth.server,
      pace: 0.1,
      load: asking(betterAuth.server, (person) => betterAuth.requestOf(person)),
    },
  ];
}

/** What was measured of one way, over all starts. */
interface Measured {
  /** By how many asked at a time, in the order of `concurrencies`. */
  rounds: Round[][];
  memoryMiB: number[];
}

/** Reads of one token by each way in turns, in one run: what the machine does meanwhile concerns all of them. */
export async function peers(cleanup: Cleanup): Promise<Figure[]> {
  const measured = new Map<string, Measured>();
  for (let start = 0; start < starts; start += 1) {
    const subjects = await subjectsOf(cleanup);
    for (const subject of subjects) await round(subject, 16); // warm
    const taking = subjects.map((subject) => {
      const taken = measured.get(subject.name) ?? { rounds: concurrencies.map(() => []), memoryMiB: [] };
      measured.set(subject.name, taken);
      return { subject, taken };
    });
    for (const [step, concurrency] of concurrencies.entries()) {
      for (let turn = 0; turn < rounds; turn += 1) {
        for (const { subject, taken } of taking) taken.rounds[step]?.push(await round(subject, concurrency));
      }
    }
    for (const { subject, taken } of taking) taken.memoryMiB.push(residentMiB(subject.server.pid));
    await cleanup.run();
  }

  const figures: Figure[] = [];
  for (const [step, concurrency] of concurrencies.entries()) {
    const named = new Map(
      [...measured].map(([name, taken]) => [
        name,
        measuresOf(`${name}, ${concurrency} at a time`, taken.rounds[step] ?? []),
      ]),
    );
    const base = named.get('floor');
    const isBusiest = concurrency === concurrencies.at(-1);
    for (const [name, own] of named) {
      const goals = isBusiest ? goalsOf[name] : undefined;
      for (const measure of Object.keys(own) as Measure[]) {
        const figure = own[measure];
        figures.push(own === base || !base ? figure : compared(figure, base[measure], goals?.[measure]));
      }
    }
    const [graphql, betterAuth] = [named.get('GraphQL')?.perSecond, named.get('better-auth')?.perSecond];
    if (isBusiest && graphql && betterAuth) {
      const beside = { ...graphql, name: `${graphql.name}, beside better-auth` };
      figures.push(compared(beside, betterAuth, { atLeast: 10 }));
    }
  }
  for (const [name, { memoryMiB }] of measured) {
    figures.push({ name: `${name}: memory`, value: Math.round(median(memoryMiB)), unit: 'MiB' });
  }
  return figures;
}

/** The library is asked by calls of its own. */
function byLibrary(read: (person: number) => Promise<{ accessToken: string }>): Subject['load'] {
  return async (count, concurrency) => {
    const takenMs: number[] = [];
    const tookMs = await timed(() =>
      inParallel(count, concurrency, async () => {
        const person = 1 + Math.floor(Math.random() * readers);
        const began = performance.now();
        const { accessToken } = await read(person);
        takenMs.push(performance.now() - began);
        if (accessToken !== tokenOf(personAt(person))) throw new Error('the library answered another token');
      }),
    );
    return { takenMs, perSecond: (count * 1000) / tookMs };
  };
}
