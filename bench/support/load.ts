import autocannon from 'autocannon';

/** A request, and the text that a right answer to it holds. */
export interface Asked {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
  expected: string;
}

export interface Answered {
  takenMs: number[];
  perSecond: number;
}

/**
 * Sends `count` requests over as many connections as are asked at a time, each with its own share of the requests in turns.
 * autocannon costs half of what an HTTP client does, and on the cores that it shares with the servers its cost is theirs.
 * @throws Error where an answer is wrong, or missing
 */
export async function load(
  url: string,
  asked: readonly Asked[],
  count: number,
  concurrency: number,
): Promise<Answered> {
  const takenMs: number[] = [];
  const wrong: string[] = [];
  let begun = 0;
  let ended = 0;
  let connections = 0;
  await autocannon({
    url,
    connections: concurrency,
    amount: count,
    timeout: 120,
    sampleInt: 100,
    setupClient(client) {
      const first = connections++;
      const own = asked.filter((_, index) => index % concurrency === first);
      client.setRequests(
        own.map(({ expected, ...request }) => ({
          ...request,
          onResponse(status, body) {
            if (status !== 200 || !body.includes(expected)) wrong.push(`${status} ${body.slice(0, 200)}`);
          },
        })),
      );
      client.once('request', () => {
        begun ||= performance.now();
      });
      client.on('response', (_status, _bytes, responseTime) => {
        ended = performance.now();
        takenMs.push(responseTime);
      });
    },
  });
  if (wrong.length > 0) throw new Error(`${wrong.length} answers hold another token, or none: ${wrong[0]}`);
  if (takenMs.length < count) throw new Error(`${count - takenMs.length} of ${count} requests were not answered`);
  return { takenMs, perSecond: (count * 1000) / (ended - begun) };
}
