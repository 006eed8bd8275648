import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// a range of its own for each worker, so that none takes what another has found free
const lowest = 11_000 + 4_000 * (Number(process.env.VITEST_POOL_ID ?? 0) % 4);
const ports = 4_000;
let next = randomInt(ports);

/**
 * A port that nobody listens on, another one each time. It lies below the range that systems take the ports of outgoing
 * connections from: one of those could be taken again before the test listens.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + (next++ % ports);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
