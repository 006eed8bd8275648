import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import fc from 'fast-check';
import { Agent, fetch } from 'undici';
import * as clientOperations from '../../src/client/operations.ts';
import { consoleTasks } from '../../src/http/console-tasks.ts';

/**
 * Sends what no client of ours would, in a process of its own, so that making it up costs the service nothing. Started by
 * `fork` with a kind, the service's origin and a user's headers as JSON; sends as many as each message says, and answers with
 * null, or with what was wrong.
 */
const [kind = '', origin = '', headersOfUser = '{}'] = process.argv.slice(2);
const user = JSON.parse(headersOfUser) as Record<string, string>;
const atOnce = 8;
/** A connection a request: one that is kept may be closed from the other side just when it is used again. */
const dispatcher = new Agent({ pipelining: 0 });

/** Makes up so many values and sends them. */
function fuzzer<T>(values: fc.Arbitrary<T>, attempt: (value: T) => Promise<void>): (times: number) => Promise<void> {
  return async (times) => {
    const stream = fc.sample(values, times)[Symbol.iterator]();
    const worker = async () => {
      for (let next = stream.next(); !next.done; next = stream.next()) await attempt(next.value);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  };
}

const kinds = {
  callbacks() {
    const name = fc.constantFrom(
      'state',
      'code',
      'error',
      'error_description',
      'iss',
      'held',
      'connect_code',
      '__proto__',
    );
    const callbacks = fc.record({
      params: fc.array(fc.tuple(name, fc.string({ unit: 'binary', maxLength: 80 })), { maxLength: 6 }),
      path: fc.oneof(
        fc.constant(''),
        fc.constantFrom('/', '/x', '/%00', '/..%2f..', '//'),
        fc.stringMatching(/^\/[!-~]{0,40}$/),
      ),
      raw: fc.stringMatching(/^[!-"$-~]{0,60}$/),
      method: fc.constantFrom('GET', 'POST'),
      cookie: fc.stringMatching(/^[!-~ ]{0,40}$/),
    });
    return fuzzer(callbacks, async ({ params, path, raw, method, cookie }) => {
      const query = `${new URLSearchParams(params.map(([key, value]) => [key, value.toWellFormed()]))}&${raw}`;
      const url = `${origin}/api/external-auth/callback${path}${method === 'GET' ? `?${query}` : ''}`;
      const response = await fetch(url, {
        method,
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
        redirect: 'manual',
        dispatcher,
        ...(method === 'POST' && { body: query }),
      });
      await response.arrayBuffer();
      assert([400, 404, 405].includes(response.status), `${method} ${url}: ${response.status}`);
    });
  },

  documents() {
    const documents = [
      ...Object.values(clientOperations as Record<string, unknown>).filter((value) => typeof value === 'string'),
      ...consoleTasks.map(({ query }) => query),
    ].filter((query) => !query.includes('subscription'));
    const piece = fc.oneof(
      fc.constantFrom(
        '{',
        '}',
        '(',
        ')',
        '...',
        '@',
        '$x',
        '"',
        '"""',
        '#',
        ':',
        '!',
        '[',
        '__typename',
        'fragment f on Query { ...f }',
        '{ a ',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    const cut = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      drop: fc.nat(20),
      put: piece,
      again: fc.nat(3),
    });
    const mutated = fc.record({
      document: fc.constantFrom(...documents),
      cuts: fc.array(cut, { minLength: 1, maxLength: 4 }),
      variables: fc.jsonValue(),
    });
    return fuzzer(mutated, async ({ document, cuts, variables }) => {
      let query = document;
      for (const { at, drop, put, again } of cuts) {
        const start = Math.floor(at * query.length);
        query = query.slice(0, start) + put.repeat(again) + query.slice(start + drop);
      }
      const response = await fetch(`${origin}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...user },
        body: JSON.stringify({ query, variables }),
        dispatcher,
      });
      const body = await response.text();
      const isRefused = response.status < 500 && !body.includes('INTERNAL_SERVER_ERROR');
      assert(isRefused, `${JSON.stringify(query)}: ${response.status} ${body}`);
    });
  },

  frames() {
    const { port, hostname } = new URL(origin);
    const frames = fc.array(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        // a frame in form: any opcode and flags, masked or not, with a length that may not be true
        fc
          .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 130 }))
          .map(([first, second, rest]) => Uint8Array.from([first, second, ...rest])),
      ),
      { minLength: 1, maxLength: 4 },
    );
    return fuzzer(
      frames,
      (parts) =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), hostname);
          const key = randomBytes(16).toString('base64');
          socket.write(
            `GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
          );
          socket.on('error', () => {});
          socket.once('close', () => resolve());
          socket.once('data', () => {
            for (const part of parts) socket.write(part);
            socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0])); // a frame that closes, where they were whole
            socket.end();
          });
        }),
    );
  },
};

const run = kinds[kind as keyof typeof kinds]();
process.on('message', (times: number) => {
  run(times).then(
    () => process.send?.(null),
    (error: unknown) => process.send?.(String(error)),
  );
});
