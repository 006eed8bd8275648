import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startService } from '../support/harness.ts';
import { listen } from '../support/streams.ts';

const pages = ['/graphql', '/console', '/api/external-auth/callback?state=x', '/healthz', '/nothing', '/api/apps/x/y'];

test('T26. every answer says that it is no other type, stands in no frame and tells its address to nobody', async () => {
  const service = await startService({ PUBLIC_URL: 'https://connect.example.com' });
  const { http } = await listen(service);
  for (const path of pages) {
    const { headers } = await fetch(new URL(path, http), { headers: { accept: 'text/html' } });
    expect([path, headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
    expect([path, headers.get('referrer-policy')]).toEqual([path, 'no-referrer']);
    expect([path, headers.get('content-security-policy')]).toEqual([
      path,
      expect.stringContaining("frame-ancestors 'none'"),
    ]);
    expect([path, headers.get('strict-transport-security')]).toEqual([path, 'max-age=31536000']);
    if (headers.get('content-type')?.includes('text/html'))
      expect([path, headers.get('content-security-policy')]).toEqual([path, expect.stringContaining('default-src')]);
  }
  const plain = await startService();
  const { headers } = await plain.app.fetch(new Request(`${plain.config.publicUrl}/healthz`));
  expect(headers.has('strict-transport-security')).toBe(false); // over http it would mean nothing
});

test('T13. a head that is too large is refused; one that never ends is ended', async () => {
  const { http } = await listen(await startService());
  const { hostname, port } = new URL(http);
  const answerTo = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.write(text));
      let answer = '';
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.on('error', () => {});
      socket.once('close', () => resolve(answer));
    });
  const [large, endless] = await Promise.all([
    answerTo(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(40_000)}\r\n\r\n`),
    answerTo('GET /healthz HTTP/1.1\r\nHost: x\r\n'),
  ]);
  expect(large).toMatch(/^HTTP\/1\.1 431 /);
  expect(endless).toMatch(/^HTTP\/1\.1 408 /);
});
