import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

// These speak about one hop only (RFC 9110, 7.6.1). Everything else passes as it is, Host and Origin included.
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function endToEnd(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, index) => !HOP_BY_HOP.has((rawHeaders[index - (index % 2)] ?? '').toLowerCase()));
}

/** Passes a request on to the service and its answer back, both as streams, as an ingress does. */
export function forwardRequest(serviceUrl: URL, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { hostname, port } = serviceUrl;
  const upstream = request({
    hostname,
    port,
    method: incoming.method,
    path: incoming.url,
    // A list of names and values, so that repeated headers and their letter case survive.
    headers: withBodyFraming(incoming),
    setHost: false,
  });

  upstream.on('response', (response) => {
    outgoing.writeHead(response.statusCode ?? 502, response.statusMessage, endToEnd(response.rawHeaders));
    // Server-sent events have to leave before the first byte of the body.
    outgoing.flushHeaders();
    response.pipe(outgoing);
    response.on('error', () => outgoing.destroy());
  });
  upstream.on('error', () => {
    if (outgoing.headersSent) {
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(502, { 'content-type': 'application/json' });
    outgoing.end(JSON.stringify({ errors: [{ message: 'The connector service does not answer.' }] }));
  });
  outgoing.on('close', () => upstream.destroy());
  incoming.pipe(upstream);
}

function withBodyFraming(incoming: IncomingMessage): string[] {
  const headers = endToEnd(incoming.rawHeaders);
  return incoming.headers['transfer-encoding'] ? [...headers, 'Transfer-Encoding', 'chunked'] : headers;
}

/** Passes a WebSocket handshake and then every byte of both sides. */
export function forwardUpgrade(serviceUrl: URL, incoming: IncomingMessage, client: Duplex, head: Buffer): Duplex {
  const upstream = connect(Number(serviceUrl.port || 80), serviceUrl.hostname, () => {
    const { rawHeaders } = incoming;
    const lines = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? `${name}: ${rawHeaders[index + 1]}` : []));
    upstream.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  });
  for (const [side, other] of [
    [upstream, client],
    [client, upstream],
  ] as const) {
    side.on('error', () => other.destroy());
    side.on('close', () => other.destroy());
  }
  return upstream;
}
