import { Pool } from 'undici';
import { timed } from './measure.ts';

/**
 * A backend that asks for the same thing one time after the other, in a process of its own: beside a crowd it waits for the
 * service, not for the crowd. Started by `fork` with an address, and headers and a body as JSON; it begins and ends at a message
 * each, and answers the second with what each request took, in milliseconds.
 */
const [url = '', headers = '{}', body = ''] = process.argv.slice(2);
const pool = new Pool(url, { connections: 1 });
const request = {
  path: '/graphql',
  method: 'POST',
  headers: { 'content-type': 'application/json', ...(JSON.parse(headers) as Record<string, string>) },
  body,
} as const;

async function ask(): Promise<void> {
  const answer = await pool.request(request);
  const text = await answer.body.text();
  if (answer.statusCode !== 200 || text.includes('"errors"')) throw new Error(`${answer.statusCode}: ${text}`);
}

let takenMs: number[] | null = null;
process.on('message', () => {
  if (takenMs) {
    process.send?.(takenMs);
    takenMs = null;
    return;
  }
  const taken: number[] = [];
  takenMs = taken;
  void (async () => {
    while (takenMs === taken) taken.push(await timed(ask));
  })();
});
