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
const rounds = 7;
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

/** Reads of one token by each way in turns, in one run: what the machine does meanwhile concerns all of them. */
export async function peers(cleanup: Cleanup): Promise<Figure[]> {
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
  const subjects: Subject[] = [
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

  const figures: Figure[] = [];
  for (const subject of subjects) await round(subject, 16); // warm
  for (const concurrency of concurrencies) {
    const measured = new Map(subjects.map((subject) => [subject, [] as Round[]]));
    for (let turn = 0; turn < rounds; turn += 1) {
      for (const [subject, results] of measured) results.push(await round(subject, concurrency));
    }
    const measures = [...measured].map(([{ name }, results]) =>
      measuresOf(`${name}, ${concurrency} at a time`, results),
    );
    const [base] = measures;
    const isBusiest = concurrency === concurrencies.at(-1);
    for (const [index, own] of measures.entries()) {
      const goals = isBusiest ? goalsOf[subjects[index]?.name ?? ''] : undefined;
      for (const measure of Object.keys(own) as Measure[]) {
        const figure = own[measure];
        figures.push(index === 0 || !base ? figure : compared(figure, base[measure], goals?.[measure]));
      }
    }
    const [, graphql, , , betterAuthOwn] = measures;
    if (isBusiest && graphql && betterAuthOwn) {
      const named = { ...graphql.perSecond, name: `${graphql.perSecond.name}, beside better-auth` };
      figures.push(compared(named, betterAuthOwn.perSecond, { atLeast: 10 }));
    }
  }
  for (const { name, server } of subjects) {
    figures.push({ name: `${name}: memory`, value: Math.round(residentMiB(server.pid)), unit: 'MiB' });
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
