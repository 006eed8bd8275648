import {
  type CallbackOutcome,
  type ConnectDeps,
  finishConnect,
  holdConnect,
  pageWithoutFlow,
} from '../connections/connect.ts';
import { flowError } from '../connections/errors.ts';
import { RateLimitedError } from '../workspaces/errors.ts';
import { readBody } from './body.ts';
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
export async function oauthCallback(deps: ConnectDeps, request: Request, address: string | null): Promise<Response> {
  const response = await answerCallback(deps, request);
  const belongsToNoFlow = response.status === 400 && !response.headers.has('Set-Cookie');
  if (address === null || !belongsToNoFlow) return response; // whoever comes back from a provider is never held up
  try {
    await deps.limits.take('callbacks', address);
    return response;
  } catch (error) {
    if (!(error instanceof RateLimitedError)) throw error;
    return answer(pageWithoutFlow(error), request);
  }
}

async function answerCallback(deps: ConnectDeps, request: Request): Promise<Response> {
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
  return answer(outcome, request);
}

/** response_mode=form_post: the browser comes back by itself with a GET, which brings the cookie along. */
async function formPost(deps: ConnectDeps, request: Request, path: string): Promise<Response> {
  const isForm = request.headers.get('content-type')?.split(';')[0]?.trim() === 'application/x-www-form-urlencoded';
  const form = isForm ? await readBody(request, longestFormBytes) : '';
  if (form === null) {
    const page = answer(pageWithoutFlow(flowError('ANSWER_TOO_LARGE')), request);
    page.headers.set('Connection', 'close'); // there may be more to come, which nobody is going to read
    return page;
  }
  const held = await holdConnect(deps, { path, params: new URLSearchParams(form) });
  if (held.kind === 'page') return answer(pageWithoutFlow(held.error), request);
  return new Response(null, { status: 303, headers: { ...headers, Location: `${path}?${held.query}` } });
}

function answer(outcome: CallbackOutcome, request: Request): Response {
  const response =
    outcome.kind === 'return'
      ? new Response(null, { status: 303, headers: { ...headers, Location: outcome.to } })
      : callbackPage(outcome, request.headers.get('accept-language'), headers);
  if (outcome.clearCookie) response.headers.append('Set-Cookie', setCookieHeader(outcome.clearCookie));
  return response;
}
