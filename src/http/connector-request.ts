import {
  approveRequest,
  postponeRequest,
  rejectRequest,
  type RequestDeps,
  RequestOverError,
  viewRequest,
} from '../connectors/request.ts';
import { type Language, languages } from '../failures/tell.ts';
import { DomainError } from '../lib/domain-error.ts';
import { ValidationError } from '../workspaces/errors.ts';
import { readBody } from './body.ts';
import { type Entered, formPage, outcomePage, type Refused } from './connector-request-page.ts';
import { preferredLanguage } from './language.ts';

const longestFormBytes = 32_768;

/** Never null, so that a page without the field reads as one that left it blank. */
const fieldsOf = (form: URLSearchParams): Entered => ({
  name: form.get('name') ?? '',
  kind: form.get('kind') ?? '',
  clientId: form.get('clientId') ?? '',
  clientSecret: form.get('clientSecret') ?? '',
});

/**
 * The form that an assistant's request for a connector links to. Whoever has the link decides, as far as the one it was made for
 * still may; looking at it changes nothing, so that a chat that previews links does no harm.
 */
export async function connectorRequest(deps: RequestDeps, request: Request): Promise<Response> {
  const language = preferredLanguage(request.headers.get('accept-language'), languages);
  if (request.method === 'GET') {
    return show(deps, new URL(request.url).searchParams.get('token') ?? '', null, language);
  }
  if (request.method !== 'POST') {
    return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'GET, POST' } });
  }
  // the link itself is what no foreign page knows; that it was sent from here is asked for besides
  const site = request.headers.get('sec-fetch-site') ?? 'same-origin';
  if (request.headers.get('origin') !== deps.publicUrl || site !== 'same-origin') {
    return new Response('This form is sent from its own page only.', { status: 403 });
  }
  const isForm = request.headers.get('content-type')?.split(';')[0]?.trim() === 'application/x-www-form-urlencoded';
  if (!isForm) return new Response('Unsupported Media Type', { status: 415 });
  const body = await readBody(request, longestFormBytes);
  if (body === null) return new Response('Content Too Large', { status: 413, headers: { Connection: 'close' } });
  const form = new URLSearchParams(body);
  const token = form.get('token') ?? '';
  const entered = fieldsOf(form);
  try {
    return outcomePage(await decide(deps, token, form.get('decision') ?? '', entered), language);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    if (error instanceof RequestOverError) return outcomePage(error, language);
    return show(deps, token, { entered, error }, language);
  }
}

async function decide(
  deps: RequestDeps,
  token: string,
  decision: string,
  entered: Entered,
): Promise<'approved' | 'rejected' | 'postponed'> {
  switch (decision) {
    case 'approve':
      await approveRequest(deps, token, entered);
      return 'approved';
    case 'reject':
      await rejectRequest(deps, token);
      return 'rejected';
    case 'later':
      await postponeRequest(deps, token);
      return 'postponed';
    default:
      throw new ValidationError([{ path: 'input.decision', message: 'Choose one: approve, reject or later.' }]);
  }
}

/** The form, with what was entered but the secret and what is wrong with it; or why there is none. */
async function show(deps: RequestDeps, token: string, refused: Refused | null, language: Language): Promise<Response> {
  try {
    return formPage(await viewRequest(deps, token), token, refused, language);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return outcomePage(error, language);
  }
}
