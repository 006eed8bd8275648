import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Cleanup, createCleanup } from './support/cleanup.ts';
import { startFloor } from './support/floor.ts';
import { personAt, storeConnections } from './support/connections.ts';
import { collecting, type Served, startServer } from './support/instance.ts';
import { inParallel, median, percentile, residentMiB } from './support/measure.ts';
import type { Target } from './support/reader.ts';
import { compared, type Figure } from './support/report.ts';
import { sized } from './support/scale.ts';
import { benchRedisUrl, type Connector, type Stage, scopes, setStage } from './support/stage.ts';

const instances = 2;
const subscribers = sized(10_000, instances);
/** Of each server, before its memory is looked at: with them comes what is there once, for whatever number. */
const firstFew = Math.ceil(subscribers / instances / 10);
const rounds = 6;
const openingAtOnce = 50;
/** Whoever has heard nothing this long after the last one who did will not hear. */
const quietMs = 10_000;

const query = `subscription ($connectorId: ID!) { connectionStatus(connectorId: $connectorId) { status missingScopes } }`;

/** How long after the edit each subscriber of an instance heard, in milliseconds; Infinity for those who never did. */
type Heard = number[][];

/** An admin edits scopes on the first instance; every open page on every instance hears of it. Each subscriber is a person with a WebSocket. */
export async function fanOut(cleanup: Cleanup): Promise<Figure[]> {
  const floor = await memoryOfFloor();
  const stage = await setStage(cleanup, { instances, redisUrl: benchRedisUrl, collects: true });
  const connector = await stage.addConnector();
  await storeConnections(stage, connector, subscribers);
  const audience = createAudience(stage, connector);
  cleanup.add(() => audience.close());
  const edit = createEditor(stage, connector, audience);

  await audience.grow(instances);
  const alone = await edit();
  await audience.grow(firstFew * instances);
  const held = await heldBy(stage.instances, subscribers - firstFew * instances, () => audience.grow(subscribers));
  const reader = await createReader(cleanup, stage, connector);
  const quiet = await reader.during(() => new Promise((resolve) => setTimeout(resolve, readsForMs)));
  const together: Heard[] = [];
  const busy = await reader.during(async () => void together.push(...(await edit())));

  const last = (heard: Heard[], instance: number) => median(heard.map((round) => Math.max(...(round[instance] ?? []))));
  const crowd = `of ${(subscribers / instances).toLocaleString('en')} subscribers`;
  const few = Array.from({ length: instances }, (_, index): Figure => {
    return { name: `one subscriber, instance ${index + 1}`, value: last(alone, index), unit: 'ms' };
  });
  const many = Array.from({ length: instances }, (_, index): Figure => {
    return { name: `last ${crowd}, instance ${index + 1}`, value: last(together, index), unit: 'ms' };
  });
  const unheard = [...alone, ...together].flat(2).filter((ms) => !Number.isFinite(ms)).length;
  return [
    ...few.map((figure, index) => (index > 0 && few[0] ? compared(figure, few[0]) : figure)),
    ...many.map((figure, index) => {
      const base = index > 0 ? many[0] : few[0];
      return base ? compared(figure, base) : figure;
    }),
    floor,
    { name: 'memory of a subscriber who waits, by V8', value: held.byV8, unit: 'kB', goal: 15 },
    compared({ name: 'the same, beside graphql-ws', value: held.byV8, unit: 'kB' }, floor),
    { name: 'the same, resident', value: held.resident, unit: 'kB', goal: 15 },
    { name: 'the same, with garbage not collected yet', value: held.uncollected, unit: 'kB' },
    quiet.read,
    compared(busy.read, quiet.read, 2),
    quiet.floor,
    compared(busy.floor, quiet.floor),
    {
      name: `subscribers who never heard, in ${alone.length + together.length} edits`,
      value: unheard,
      unit: '',
      goal: 0,
    },
  ];
}

const settleMs = 15_000;
/** V8 gives back what it holds for the young generation, and pages that are free, over several collections. */
const collections = 3;
const collectMs = 2_000;

/**
 * What servers hold for each of so many more subscribers once garbage is collected, in kB: by V8, and as the system sees it, which is too
 * little where a process had empty pages before; and what it sees before garbage is collected.
 */
async function heldBy(servers: readonly Served[], more: number, open: () => Promise<void>) {
  const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const residentNow = () => sum(servers.map(({ pid }) => residentMiB(pid) * 1024));
  const collected = async () => {
    let byV8 = 0;
    for (let count = 0; count < collections; count += 1) {
      byV8 = sum(await Promise.all(servers.map((server) => server.collect())));
      await after(collectMs);
    }
    return { byV8, resident: residentNow() };
  };
  const before = await collected();
  await open();
  await after(settleMs);
  const uncollected = residentNow();
  const now = await collected();
  return {
    byV8: (now.byV8 - before.byV8) / more,
    resident: (now.resident - before.resident) / more,
    uncollected: (uncollected - before.resident) / more,
  };
}

/** The memory of a subscriber of graphql-ws alone, as many of them as an instance has. */
async function memoryOfFloor(): Promise<Figure> {
  const cleanup = createCleanup();
  try {
    const program = fileURLToPath(new URL('peers/stream-floor.ts', import.meta.url));
    const floor = await startServer(cleanup, [...collecting, '--import', 'tsx', program], {
      PATH: process.env.PATH ?? '',
    });
    const count = subscribers / instances;
    const clients: Client[] = [];
    cleanup.add(async () => {
      for (const client of clients) await client.dispose();
    });
    const open = async () => void clients.push(await subscribe(floor.url, {}, 'any', () => {}));
    await inParallel(firstFew, openingAtOnce, open);
    const more = count - firstFew;
    const { byV8 } = await heldBy([floor], more, () => inParallel(more, openingAtOnce, open));
    return { name: 'memory of a subscriber of graphql-ws alone, by V8', value: byV8, unit: 'kB' };
  } finally {
    await cleanup.run();
  }
}

/** Opens a WebSocket, subscribes on it, and waits for the first event. */
async function subscribe(
  url: string,
  connectionParams: Record<string, string>,
  connectorId: string,
  onEvent: () => void,
): Promise<Client> {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams,
    retryAttempts: 0,
  });
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      { query, variables: { connectorId } },
      {
        next() {
          resolve();
          onEvent();
        },
        error: (error) => reject(error instanceof Error ? error : new Error(JSON.stringify(error))),
        complete: () => {},
      },
    );
  });
  return client;
}

const readsForMs = 10_000;

/** A backend that reads one token after the other, of the service and of the floor in turns, beside whatever else is done. */
async function createReader(cleanup: Cleanup, stage: Stage, connector: Connector) {
  const headers = { 'content-type': 'application/json', ...(await stage.backend(connector.connectedPerson)) };
  const { url } = await startFloor(cleanup, stage, connector.id);
  const body = JSON.stringify({ query: outdatedToo, variables: { connectorId: connector.id } });
  const targets: Target[] = [
    { url: stage.first.url, path: '/graphql', headers, body },
    { url, path: '/', headers, body: '{}' },
  ];
  const program = fileURLToPath(new URL('support/reader.ts', import.meta.url));
  const reader = fork(program, [JSON.stringify(targets)], { execArgv: ['--import', 'tsx'] });
  cleanup.add(async () => void reader.kill());
  const died = once(reader, 'exit').then(() => Promise.reject(new Error('The reader ended before its time.')));
  died.catch(() => {}); // at the end it is killed
  return {
    async during(act: () => Promise<void>): Promise<{ read: Figure; floor: Figure }> {
      reader.send('begin');
      await act();
      reader.send('end');
      const [taken] = (await Promise.race([once(reader, 'message'), died])) as [[number[], number[]]];
      const p99 = (what: string, takenMs: number[]): Figure => {
        const meanwhile = takenMs.length.toLocaleString('en');
        return { name: `${what} beside, p99 of ${meanwhile}`, value: percentile(takenMs, 0.99), unit: 'ms' };
      };
      return { read: p99('token read', taken[0]), floor: p99('floor', taken[1]) };
    },
  };
}

/** Whatever the scopes are at that instant, a token is answered. */
const outdatedToo = `query ($connectorId: ID!) { currentAppUserConnection(connectorId: $connectorId, acceptOutdatedScopes: true) { __typename } }`;

/** Makes the function that edits a number of times, to and fro: an edit that changes nothing is heard by nobody. */
function createEditor(stage: Stage, connector: Connector, audience: Audience): () => Promise<Heard[]> {
  let wanted: string[] = scopes.usual;
  return async () => {
    const heard: Heard[] = [];
    while (heard.length < rounds) {
      wanted = wanted === scopes.usual ? scopes.more : scopes.usual;
      const round = await audience.hears(() => stage.editScopes(connector, wanted));
      heard.push(round);
      if (round.flat().includes(Number.POSITIVE_INFINITY)) break; // silence is the finding: more of it only takes time
    }
    return heard;
  };
}

interface Audience {
  /** Opens sockets until there are so many subscribers, spread evenly over the instances; each has heard its present status. */
  grow(size: number): Promise<void>;
  /** Answers when everybody heard of an act, or nobody has for long. */
  hears(act: () => Promise<void>): Promise<Heard>;
  close(): Promise<void>;
}

function createAudience(stage: Stage, connector: Connector): Audience {
  const clients: Client[] = [];
  const heardAt: number[] = [];
  let onEvent = (_subscriber: number) => {};

  async function open(subscriber: number): Promise<void> {
    const instance = stage.instances[subscriber % instances] ?? stage.first;
    const params = await stage.browser(personAt(1 + subscriber));
    clients.push(await subscribe(instance.url, params, connector.id, () => onEvent(subscriber)));
  }

  return {
    async grow(size) {
      const from = clients.length;
      await inParallel(size - from, openingAtOnce, (index) => open(from + index));
    },
    async hears(act) {
      heardAt.length = 0;
      let missing = clients.length;
      let start = 0;
      await new Promise<void>((resolve, reject) => {
        let quiet = setTimeout(resolve, quietMs);
        onEvent = (subscriber) => {
          if (heardAt[subscriber] !== undefined) return;
          heardAt[subscriber] = performance.now() - start;
          missing -= 1;
          clearTimeout(quiet);
          quiet = setTimeout(resolve, missing === 0 ? 0 : quietMs);
        };
        start = performance.now();
        act().catch(reject);
      });
      const heard: Heard = Array.from({ length: instances }, () => []);
      for (const subscriber of clients.keys()) {
        heard[subscriber % instances]?.push(heardAt[subscriber] ?? Number.POSITIVE_INFINITY);
      }
      return heard;
    },
    async close() {
      for (const client of clients) await client.dispose();
    },
  };
}
