import { connect, createServer, type Socket } from 'node:net';
import { inject, onTestFinished } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { newKey } from './at-rest.ts';
import { createTestClock, ownPostgres, type Service, startService } from './harness.ts';
import { freePort } from './ports.ts';

/** Whether PostgreSQL and Redis are there. Where they must be, the suite has failed before. */
export const servicesAreThere = inject('databaseTemplate') !== null && inject('redisUrl') !== null;

/** Services on one database, one clock and, unless another is given, one Redis, as behind one load balancer. */
export async function startInstances(
  count: number,
  env: Record<string, string> = {},
  overrides: Overrides[] = [],
): Promise<Service[]> {
  const shared = {
    DATABASE_URL: await ownPostgres(),
    REDIS_URL: inject('redisUrl') ?? '',
    ENCRYPTION_KEYS: newKey('a'),
    PUBLIC_URL: `http://localhost:${await freePort()}`,
    ...env,
  };
  const clock = createTestClock();
  const instances: Service[] = [];
  while (instances.length < count) {
    const own = overrides[instances.length] ?? {};
    instances.push({ ...(await startService(shared, { clock, ...own })), clock });
  }
  return instances;
}

/** A way to Redis that the test can cut, as when Redis is stopped, and open again. */
export async function startRedisProxy(): Promise<{ url: string; cut(): Promise<void>; open(): Promise<void> }> {
  const target = new URL(inject('redisUrl') ?? '');
  const port = await freePort();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(Number(target.port || 6379), target.hostname);
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  const open = () => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const cut = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  await open();
  onTestFinished(cut);
  return { url: `redis://127.0.0.1:${port}`, cut, open };
}
