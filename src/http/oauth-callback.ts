import { type CallbackOutcome, type ConnectDeps, finishConnect, holdConnect } from '../connections/connect.ts';
import { readCookie, setCookieHeader } from './cookies.ts';
import { callbackPage } from './callback-page.ts';

const longestFormBytes = 32_768;

/** What every answer of the callback carries: nothing is kept, and no address with a code in it is told onwards. */
const headers = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** The redirect URI: `/api/external-auth/callback`, and below it one of its own for each custom connector. */
export async function oauthCallback(deps: ConnectDeps, request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (request.method === 'POST') return formPost(deps, request, url.pathname);
  if (request.method !== 'GET') {
    return new Response('Method Not Allowed', { status: 405, headers: { ...headers, Allow: 'GET, POST' } });
  }
  const outcome = await finishConnect(deps, {
    path: url.pathname,
    params: url.searchParams,
    cookie: (name) => readCookie(request, name),
  });
  return answer(outcome);
}

/** response_mode=form_post: the browser comes back by itself with a GET, which brings the cookie along. */
async function formPost(deps: ConnectDeps, request: Request, path: string): Promise<Response> {
  const isForm = request.headers.get('content-type')?.split(';')[0]?.trim() === 'application/x-www-form-urlencoded';
  const params = new URLSearchParams(isForm ? await readBody(request) : '');
  const held = await holdConnect(deps, { path, params });
  if (held.kind === 'page') return answer({ kind: 'page', error: held.error, clearCookie: null });
  return new Response(null, { status: 303, headers: { ...headers, Location: `${path}?${held.query}` } });
}

/** A body as text; nothing where it is longer than an answer can be, which is then not read to its end. */
async function readBody(request: Request): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > longestFormBytes) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(outcome: CallbackOutcome): Response {
  const response =
    outcome.kind === 'return'
      ? new Response(null, { status: 303, headers: { ...headers, Location: outcome.to } })
      : callbackPage(outcome.error, headers);
  if (outcome.clearCookie) response.headers.append('Set-Cookie', setCookieHeader(outcome.clearCookie));
  return response;
}
