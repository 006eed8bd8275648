import { allowInsecureRequests, customFetch } from 'oauth4webapi';
import { expect, test } from 'vitest';
import type { ProviderFetch } from '../../src/oauth/fetch.ts';
import { libraryFetch, toResponse } from '../../src/oauth/library-fetch.ts';

type Options = Parameters<typeof libraryFetch>[1];

/** What the library's request becomes. */
async function sent(options: Options, body?: URLSearchParams) {
  let asked: unknown;
  const fetch: ProviderFetch = async (url, init) => {
    asked = { url, ...init };
    return { status: 200, headers: new Headers(), body: 'answer' };
  };
  const { [customFetch]: send } = libraryFetch(fetch, options);
  const headers = { 'User-Agent': 'oauth4webapi', accept: 'application/json' };
  const response = await send('https://provider.example/token', { method: 'POST', headers, body });
  expect(await response.text()).toBe('answer');
  return asked;
}

const request = { url: 'https://provider.example/token', method: 'POST' };
const accept = 'application/json';

test('a request goes out as the library makes it, but in its own name and with its own time', async () => {
  expect(await sent({})).toEqual({ ...request, headers: { accept } });
  expect(await sent({ timeoutMs: 30_000, headers: { 'notion-version': '1' } })).toEqual({
    ...request,
    headers: { accept, 'notion-version': '1' },
    timeoutMs: 30_000,
  });
  expect(libraryFetch(() => Promise.reject(new Error()))[allowInsecureRequests]).toBe(true); // ProviderFetch decides
});

test('a body is a form, unless the provider takes JSON', async () => {
  const body = new URLSearchParams({ client_id: 'c', code: 'a b' });
  expect(await sent({}, body)).toMatchObject({
    headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' },
    body: 'client_id=c&code=a+b',
  });
  expect(await sent({ bodyFormat: 'json', parameterNames: { client_id: 'client_key' } }, body)).toMatchObject({
    headers: { 'content-type': 'application/json' },
    body: '{"client_key":"c","code":"a b"}',
  });
});

test.each([
  [200, 'text', 200, 'text'],
  [204, 'text', 204, ''],
  [205, 'text', 205, ''],
  [503, '', 503, ''],
  [599, 'text', 599, 'text'],
  [600, 'text', 502, 'text'],
  [999, 'text', 502, 'text'],
])('T25. an answer of %i with the body %j is one of %i with %j to the library', async (status, body, seen, text) => {
  const response = toResponse({ status, headers: new Headers({ 'retry-after': '7' }), body });
  expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([seen, '7', text]);
});
