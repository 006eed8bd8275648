import { Pool } from 'undici';
import { timed } from './measure.ts';

/** What a reader asks, and of whom. */
export interface Target {
  url: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

/**
 * Asks each of some targets in turns, one request after the other, in a process of its own: beside a crowd it waits for the servers,
 * not for the crowd. Started by `fork` with the targets as JSON; it begins and ends at a message each, and answers the second with
 * what each request took, in milliseconds, by target.
 */
const targets = (JSON.parse(process.argv[2] ?? '[]') as Target[]).map(({ url, ...request }) => {
  const pool = new Pool(url, { connections: 1 });
  return async () => {
    const answer = await pool.request({ method: 'POST', ...request });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || text.includes('"errors"')) throw new Error(`${answer.statusCode}: ${text}`);
  };
});

let isOver = true;
process.on('message', () => {
  isOver = !isOver;
  if (!isOver) void readUntilOver();
});

async function readUntilOver(): Promise<void> {
  const takenMs = targets.map((): number[] => []);
  while (!isOver) for (const [index, ask] of targets.entries()) takenMs[index]?.push(await timed(ask));
  process.send?.(takenMs);
}
