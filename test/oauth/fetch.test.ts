import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { checkProviderUrl, createProviderFetch, type ProviderFetchPolicy } from '../../src/oauth/fetch.ts';
import { privateHosts } from './support/private-hosts.ts';
import { verdictOf } from './support/server-fixture.ts';

const strict: ProviderFetchPolicy = { allowedHosts: [], allowLoopback: false, timeoutMs: 5_000, maxBytes: 65_536 };

function fetchWith(changes: Partial<ProviderFetchPolicy> = {}) {
  const { fetch, close } = createProviderFetch({ ...strict, ...changes });
  onTestFinished(close);
  return fetch;
}

/** A server on the loopback interface that counts what reaches it. */
async function serve(listener: RequestListener) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, port, requests };
}

const blocked = { kind: 'misconfigured', code: 'BLOCKED_HOST' };
const undecided = (code: string, lost: boolean) => ({ kind: 'retry', code, retryAfterSeconds: null, lost });
const post = { method: 'POST', body: 'grant_type=refresh_token' };

test.each(privateHosts)('T7. https://%s/ is refused when entered and when asked', async (host) => {
  const resolved: string[] = [];
  const fetch = fetchWith({
    lookup: async (name) => {
      resolved.push(name);
      return ['8.8.8.8'];
    },
  });
  expect(checkProviderUrl(`https://${host}/token`, strict)).toBe('This address is not on the public internet.');
  expect(await verdictOf(fetch(`https://${host}/token`, post))).toEqual(blocked);
  expect(resolved).toEqual([]);
});

test.each([
  ['http://provider.example/', 'A provider URL begins with https://.'],
  ['http://127.0.0.1/', 'A provider URL begins with https://.'],
  ['ftp://provider.example/', 'A provider URL begins with https://.'],
  ['file:///etc/passwd', 'A provider URL begins with https://.'],
  ['data:text/plain,x', 'A provider URL begins with https://.'],
  ['javascript:alert(1)', 'A provider URL begins with https://.'],
  ['https://user@provider.example/', 'A provider URL holds no user name and no password.'],
  ['https://provider.example:443@127.0.0.1/', 'A provider URL holds no user name and no password.'],
  ['https://:secret@provider.example/', 'A provider URL holds no user name and no password.'],
  ['//provider.example/', 'This is not an absolute URL.'],
  ['/token', 'This is not an absolute URL.'],
  ['', 'This is not an absolute URL.'],
  ['https://1.2.3.4.5/', 'This is not an absolute URL.'],
])('T7. %j is refused when entered and when asked', async (url, sentence) => {
  expect(checkProviderUrl(url, strict)).toBe(sentence);
  expect(await verdictOf(fetchWith()(url, post))).toEqual(blocked);
});

test.each(['https://provider.example/#x', 'https://provider.example/#'])('%j is refused when entered', (url) => {
  expect(checkProviderUrl(url, strict)).toBe('A provider URL has no #fragment.');
});

test.each([
  'https://provider.example/token?a=b',
  'https://8.8.8.8/',
  'https://[2606:4700::1111]/',
  'https://provider.example:8443/',
  'https://localhost.provider.example/',
])('%j is fine', (url) => {
  expect(checkProviderUrl(url, strict)).toBeNull();
});

test('T7. what the operator allows is fine over http, and nothing like it', () => {
  const policy = { ...strict, allowedHosts: ['idp.internal', '10.0.0.5'], allowLoopback: true };
  for (const url of [
    'http://idp.internal/',
    'https://idp.internal./',
    'http://10.0.0.5:8080/',
    'http://localhost:9/',
    'http://127.9.9.9/',
    'http://[::1]/',
  ]) {
    expect(checkProviderUrl(url, policy)).toBeNull();
  }
  for (const url of [
    'http://a.idp.internal/',
    'http://idp.internal.evil.example/',
    'https://10.0.0.6/',
    'https://[::ffff:127.0.0.1]/',
    'https://api.localhost/',
    'ftp://localhost/',
  ]) {
    expect(checkProviderUrl(url, policy)).not.toBeNull();
  }
  expect(checkProviderUrl('http://user@localhost/', policy)).not.toBeNull();
});

test.each([
  ['127.0.0.1'],
  ['10.0.0.1'],
  ['169.254.169.254'],
  ['100.64.0.1'],
  ['::1'],
  ['fd00::1'],
  ['fe80::1%eth0'],
  ['::ffff:10.0.0.1'],
  ['64:ff9b::a00:1'],
  ['2002:a00:1::'],
  ['not an address'],
  ['8.8.8.8', '127.0.0.1'],
  ['2606:4700::1111', '10.0.0.1'],
])('T7. a name that resolves to %j, %j is refused, and nothing is connected to', async (...addresses) => {
  const server = await serve((_request, response) => response.end('{}'));
  const fetch = fetchWith({ lookup: async () => addresses.filter(Boolean) });
  expect(await verdictOf(fetch(`https://provider.example:${server.port}/`, post))).toEqual(blocked);
  expect(server.requests).toEqual([]);
});

test('T7. the address that was checked is the one connected to: a name is resolved once a request', async () => {
  const server = await serve((request, response) => response.end(JSON.stringify({ host: request.headers.host })));
  const answers = [['127.0.0.1'], ['192.0.2.1'], ['127.0.0.1']];
  let calls = 0;
  const fetch = fetchWith({ allowedHosts: ['pinned.example'], lookup: async () => answers[calls++] ?? [] });
  const answer = await fetch(`http://pinned.example:${server.port}/`, post);
  expect(JSON.parse(answer.body)).toEqual({ host: `pinned.example:${server.port}` });
  expect(calls).toBe(1);
});

test('T7. a name that changes to a private address between requests is refused at the second', async () => {
  const answers: (string[] | Error)[] = [new Error('not yet'), ['127.0.0.1']];
  const fetch = fetchWith({
    lookup: async () => {
      const next = answers.shift();
      if (next instanceof Error) throw next;
      return next ?? [];
    },
  });
  expect(await verdictOf(fetch('https://rebinding.example/', post))).toEqual(undecided('NETWORK_ERROR', false));
  expect(await verdictOf(fetch('https://rebinding.example/', post))).toEqual(blocked);
});

test('T7. localhost by name must resolve to loopback', async () => {
  const fetch = fetchWith({ allowLoopback: true, lookup: async () => ['10.0.0.1'] });
  expect(await verdictOf(fetch('http://localhost/', post))).toEqual(blocked);
  const server = await serve((_request, response) => response.end('{}'));
  expect((await fetchWith({ allowLoopback: true })(`http://localhost:${server.port}/`, post)).status).toBe(200);
});

test('T7. where localhost may be asked, no other name leads there', async () => {
  const server = await serve((_request, response) => response.end('{}'));
  const fetch = fetchWith({ allowLoopback: true, lookup: async () => ['127.0.0.1'] });
  expect(await verdictOf(fetch(`https://rebinding.example:${server.port}/`, post))).toEqual(blocked);
  expect(server.requests).toEqual([]);
});

const local = { allowLoopback: true };

test('a request carries what it was given, and speaks in its own name unless it is given another', async () => {
  const server = await serve((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      response.setHeader('x-twice', ['a', 'b']);
      response.writeHead(201).end(JSON.stringify({ url: request.url, headers: request.headers, body, umlaut: 'ü' }));
    });
  });
  const answer = await fetchWith(local)(`${server.url}token?x=1`, {
    method: 'POST',
    headers: { Accept: 'text/html', 'Content-Type': 'text/plain', 'x-own': '1' },
    body: 'é=1',
  });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('x-twice')).toBe('a, b');
  const { url, headers, body, umlaut } = JSON.parse(answer.body);
  expect([url, body, umlaut]).toEqual(['/token?x=1', 'é=1', 'ü']);
  expect(headers).toMatchObject({
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'app-user-connectors',
    'content-type': 'text/plain',
    'x-own': '1',
    connection: 'close',
  });
  const other = await fetchWith(local)(server.url, { method: 'GET', headers: { 'User-Agent': 'own name' } });
  expect(JSON.parse(other.body)).toMatchObject({ headers: { 'user-agent': 'own name' } });
});

test.each([300, 301, 302, 303, 307, 308, 399])('T7. a %i is not followed', async (status) => {
  const target = await serve((_request, response) => response.end('{"access_token":"a"}'));
  const server = await serve((_request, response) => response.writeHead(status, { location: target.url }).end());
  expect(await verdictOf(fetchWith(local)(server.url, post))).toEqual(undecided('REDIRECTED', false));
  expect(target.requests).toEqual([]);
});

test.each([400, 401, 503])('an answer of %i is answered as it is', async (status) => {
  const server = await serve((_request, response) => response.writeHead(status).end('{"error":"x"}'));
  expect(await fetchWith(local)(server.url, post)).toMatchObject({ status, body: '{"error":"x"}' });
});

test('T7. an endless body is cut off', async () => {
  const server = await serve((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(16_384)));
    };
    response.on('drain', more);
    more();
  });
  expect(await verdictOf(fetchWith(local)(server.url, post))).toEqual(undecided('RESPONSE_TOO_LARGE', true));
});

test('T7. a body of just the size allowed is taken, one byte more is not', async () => {
  const server = await serve((request, response) => response.end('x'.repeat(request.url === '/more' ? 101 : 100)));
  const fetch = fetchWith({ ...local, maxBytes: 100 });
  expect((await fetch(server.url, post)).body).toHaveLength(100);
  expect(await verdictOf(fetch(`${server.url}more`, post))).toEqual(undecided('RESPONSE_TOO_LARGE', true));
});

test('T7. compression that nobody asked for is understood, but not beyond the limit', async () => {
  const bomb = gzipSync('0'.repeat(10_000_000));
  expect(bomb.length).toBeLessThan(strict.maxBytes);
  const answers: Record<string, [string, Buffer]> = {
    '/gzip': ['gzip', gzipSync('{"access_token":"a"}')],
    '/x-gzip': [' X-GZIP', gzipSync('{"access_token":"a"}')],
    '/deflate': ['deflate', deflateSync('{"access_token":"a"}')],
    '/br': ['br', brotliCompressSync('{"access_token":"a"}')],
    '/identity': ['identity', Buffer.from('{"access_token":"a"}')],
    '/empty': ['gzip', Buffer.alloc(0)],
    '/bomb': ['gzip', bomb],
    '/broken': ['gzip', Buffer.from('no gzip')],
    '/unknown': ['zstd', Buffer.from('x')],
  };
  const server = await serve((request, response) => {
    const [encoding, body] = answers[request.url ?? '']!;
    response.writeHead(200, { 'content-encoding': encoding }).end(body);
  });
  const fetch = fetchWith(local);
  for (const known of ['gzip', 'x-gzip', 'deflate', 'br', 'identity'])
    expect([known, (await fetch(server.url + known, post)).body]).toEqual([known, '{"access_token":"a"}']);
  expect((await fetch(`${server.url}empty`, post)).body).toBe('');
  expect(await verdictOf(fetch(`${server.url}bomb`, post))).toEqual(undecided('RESPONSE_TOO_LARGE', true));
  expect(await verdictOf(fetch(`${server.url}broken`, post))).toEqual(undecided('UNUSABLE_ANSWER', true));
  expect(await verdictOf(fetch(`${server.url}unknown`, post))).toEqual(undecided('UNUSABLE_ANSWER', true));
});

test('T7. no answer, and a body that trickles, end at the timeout of the policy or of the request', async () => {
  const server = await serve((request, response) => {
    if (request.url !== '/slow') return;
    const timer = setInterval(() => response.write(' '), 10);
    response.on('close', () => clearInterval(timer));
  });
  const short = fetchWith({ ...local, timeoutMs: 100 });
  expect(await verdictOf(short(server.url, post))).toEqual(undecided('TIMEOUT', true));
  expect(await verdictOf(short(`${server.url}slow`, post))).toEqual(undecided('TIMEOUT', true));
  expect(await verdictOf(fetchWith(local)(`${server.url}slow`, { ...post, timeoutMs: 100 }))).toEqual(
    undecided('TIMEOUT', true),
  );
});

test('a request given up before it could leave never leaves', async () => {
  const server = await serve((_request, response) => response.end('{}'));
  let answer: (addresses: string[]) => void = () => {};
  const fetch = fetchWith({
    allowedHosts: ['slow-dns.example'],
    timeoutMs: 50,
    lookup: () => new Promise((resolve) => (answer = resolve)),
  });
  expect(await verdictOf(fetch(`http://slow-dns.example:${server.port}/late`, post))).toEqual(
    undecided('TIMEOUT', false),
  );
  answer(['127.0.0.1']);
  // A later request to the same place tells that the first has had its chance.
  const second = fetch(`http://slow-dns.example:${server.port}/next`, { ...post, timeoutMs: 5_000 });
  await new Promise(setImmediate);
  answer(['127.0.0.1']);
  expect((await second).status).toBe(200);
  expect(server.requests).toEqual(['POST /next']);
});

test('a request that may leave no more when it could is given up, and has not left', async () => {
  const server = await serve((_request, response) => response.end('{}'));
  const fetch = fetchWith(local);
  expect(await verdictOf(fetch(server.url, { ...post, mayLeave: () => false }))).toEqual(undecided('ABORTED', false));
  expect(server.requests).toEqual([]);
  expect((await fetch(server.url, { ...post, mayLeave: () => true })).status).toBe(200);
});

test('who is not there has received nothing; who hangs up may have', async () => {
  const gone = await serve(() => {});
  const server = await serve((request, response) => {
    if (request.url === '/half') response.writeHead(200, { 'content-length': '100' }).write('{');
    setImmediate(() => request.socket.destroy());
  });
  const fetch = fetchWith(local);
  expect(await verdictOf(fetch('http://127.0.0.1:1/', post))).toEqual(undecided('NETWORK_ERROR', false));
  expect(await verdictOf(fetch(gone.url.replace('http:', 'https:'), post))).toEqual(undecided('NETWORK_ERROR', false));
  expect(await verdictOf(fetch(server.url, post))).toEqual(undecided('NETWORK_ERROR', true));
  expect(await verdictOf(fetch(`${server.url}half`, post))).toEqual(undecided('NETWORK_ERROR', true));
  const nowhere = fetchWith({ lookup: async () => [] });
  expect(await verdictOf(nowhere('https://provider.example/', post))).toEqual(undecided('NETWORK_ERROR', false));
});

test('a caller can give up', async () => {
  const server = await serve(() => {});
  const fetch = fetchWith(local);
  expect(await verdictOf(fetch(server.url, { ...post, signal: AbortSignal.abort() }))).toEqual(
    undecided('ABORTED', false),
  );
  const controller = new AbortController();
  const waiting = verdictOf(fetch(server.url, { ...post, signal: controller.signal }));
  await expect.poll(() => server.requests.length).toBe(1);
  controller.abort();
  expect(await waiting).toEqual(undecided('ABORTED', true));
});

test('a header that cannot be sent is an error of the usual kind, and is not shown', async () => {
  const server = await serve((_request, response) => response.end('{}'));
  const call = fetchWith(local)(server.url, { method: 'GET', headers: { authorization: 'Bearer ctk\r\nx: y' } });
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  expect(error).toHaveProperty('verdict', undecided('NETWORK_ERROR', false));
  expect(String((error as Error).stack)).not.toContain('ctk');
  expect(server.requests).toEqual([]);
});

test('many requests at once do not disturb each other', async () => {
  const server = await serve((request, response) => setImmediate(() => response.end(request.url)));
  const fetch = fetchWith(local);
  const bodies = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => (await fetch(`${server.url}${n}`, post)).body),
  );
  expect(bodies).toEqual(Array.from({ length: 50 }, (_, n) => `/${n}`));
});
