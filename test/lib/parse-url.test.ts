import { expect, test } from 'vitest';
import { parseUrl } from '../../src/lib/parse-url.ts';

test('4. a URL is the same the ten-thousandth time, whatever alphabet its host is written in', () => {
  const hosts = () =>
    ['https://shop.example.com', 'https://münchen.example.com', 'https://例え.example.com'].map(
      (url) => parseUrl(url)?.host,
    );
  const first = hosts();
  expect(first).toEqual(['shop.example.com', 'xn--mnchen-3ya.example.com', 'xn--r8jz45g.example.com']);
  for (let call = 0; call < 10_000; call += 1) expect(hosts()).toEqual(first);
});

test('4. what is no URL is null, with a base or without', () => {
  expect(['', 'shop.example.com', 'https://', 'https://[::1', 'https://a:99999'].map((text) => parseUrl(text))).toEqual(
    Array(5).fill(null),
  );
  expect(parseUrl('/path', 'https://shop.example.com')?.href).toBe('https://shop.example.com/path');
  expect(parseUrl('https://[', 'https://shop.example.com')).toBeNull();
});
