/** The members of a token answer in plain OAuth 2.0, from which a dialect makes its own. */
export interface PlainTokens {
  access_token: string;
  token_type: string;
  expires_in?: number;
  refresh_token?: string;
  /** Separated as the catalogue says. */
  scope: string;
}

/** An answer as a provider gives it. A text is sent as it is, anything else as JSON. */
export interface RecordedAnswer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** What of a provider's dialect its catalogue entry need not say, since the service understands it without. */
export interface Dialect {
  /** How the answer to a code, and to a refresh, is written. The simulator adds what the entry itself asks for. */
  tokens?: (plain: PlainTokens) => unknown;
  /** The status of an answer with tokens; 200 unless it says otherwise. */
  status?: number;
  /** Whether the answer to a refresh lies at the top although the first one nests it. */
  refreshesAtTop?: boolean;
  /** Whether a refresh gives a new refresh token and ends the old one: so unless it says otherwise. */
  rotates?: boolean;
  /** Answers that end a grant, beside invalid_grant with 400. The first is what this provider says of a dead refresh token. */
  dead?: RecordedAnswer[];
  /** Answers that decide nothing. */
  undecided?: RecordedAnswer[];
  /** How a refused client is told. */
  refusedClient?: RecordedAnswer;
}

const answer = (status: number, body: unknown, headers: Record<string, string> = {}): RecordedAnswer => ({
  status,
  body,
  headers,
});

function without<T extends object>(tokens: T, ...names: string[]): Partial<T> {
  return Object.fromEntries(Object.entries(tokens).filter(([name]) => !names.includes(name))) as Partial<T>;
}

const google: Dialect = { rotates: false };
const slack: Dialect = {
  tokens: (plain) => ({ ok: true, ...plain, token_type: 'user' }),
  refreshesAtTop: true,
  dead: [
    answer(200, { ok: false, error: 'invalid_refresh_token' }),
    answer(200, { ok: false, error: 'token_revoked' }),
  ],
  undecided: [answer(200, { ok: false, error: 'fatal_error' }), answer(200, { ok: false })],
  refusedClient: answer(200, { ok: false, error: 'bad_client_secret' }),
};
const meta: Dialect = {
  dead: [answer(400, { error: { message: 'Session has expired', type: 'OAuthException', code: 190 } })],
  undecided: [answer(400, { error: { message: 'Please retry', type: 'OAuthException', code: 2 } })],
};
const notOAuth: RecordedAnswer[] = [answer(500, { message: 'Internal error' }), answer(400, { message: 'no' })];

/**
 * By the catalogue's key. Who is not here answers in plain OAuth 2.0. The answers are as the providers' documentation, other
 * clients' sources or reports of their users have them, abridged; what the service makes of them is what is tested.
 */
export const dialects: Readonly<Record<string, Dialect>> = {
  gmail: google,
  googleads: google,
  google_analytics: google,
  googlebigquery: google,
  googlecalendar: google,
  google_classroom: google,
  googledocs: google,
  googledrive: google,
  googlemeet: google,
  google_search_console: google,
  googlesheets: google,
  googleslides: google,
  googletasks: google,
  slack,
  slackbot: { ...slack, tokens: (plain) => ({ ok: true, ...plain, token_type: 'bot' }) },
  github: {
    tokens: (plain) =>
      new URLSearchParams({ ...without(plain, 'expires_in'), token_type: 'bearer' } as never).toString(),
    dead: [answer(200, { error: 'bad_refresh_token', error_description: 'It is incorrect or expired.' })],
    undecided: [answer(200, 'error=slow_down')],
    refusedClient: answer(200, { error: 'incorrect_client_credentials' }),
  },
  gitlab: {
    dead: [
      answer(
        400,
        { error: 'invalid_grant' },
        { 'www-authenticate': 'Bearer realm="Doorkeeper", error="invalid_grant"' },
      ),
    ],
    refusedClient: answer(401, { error: 'invalid_client' }, { 'www-authenticate': 'Bearer error="invalid_client"' }),
  },
  atlassian: {
    dead: [answer(403, { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' })],
  },
  hubspot: {
    tokens: (plain) => without(plain, 'scope'),
    rotates: false,
    dead: [answer(400, { status: 'BAD_REFRESH_TOKEN', message: 'missing or unknown refresh token' })],
    undecided: notOAuth,
  },
  linkedin: { tokens: (plain) => without(plain, 'token_type') },
  notion: { tokens: (plain) => without(plain, 'expires_in', 'scope') },
  instagram: { ...meta, tokens: (plain) => without(plain, 'scope', 'token_type') },
  twitch: { tokens: (plain) => ({ ...plain, scope: plain.scope.split(' ') }) },
  tiktok: { tokens: (plain) => ({ ...plain, refresh_expires_in: 15_552_000 }) },
  zoho: {
    rotates: false,
    dead: [answer(200, { error: 'invalid_code' }), answer(400, { error: 'invalid_code' })],
    undecided: [answer(400, { error: 'Access Denied', status: 'failure' })],
  },
  salesforce: { tokens: (plain) => without(plain, 'expires_in'), rotates: false },
  mailchimp: { tokens: (plain) => ({ ...without(plain, 'scope'), expires_in: 0, scope: null }) },
  clickup: {
    tokens: (plain) => without(plain, 'expires_in', 'scope'),
    undecided: [answer(401, { err: 'Team not authorized', ECODE: 'OAUTH_027' })],
  },
  shopify: { tokens: (plain) => without(plain, 'token_type') },
  square: { undecided: [answer(500, { errors: [{ category: 'API_ERROR', code: 'INTERNAL_SERVER_ERROR' }] })] },
  typeform: { undecided: [answer(500, { code: 'INTERNAL_SERVER_ERROR', description: 'x' })] },
  figma: { undecided: [answer(400, { error: true, status: 400, message: 'Bad request' })] },
  intercom: { undecided: [answer(500, { type: 'error.list', errors: [{ code: 'server_error', message: 'x' }] })] },
  reddit: { rotates: false, undecided: [answer(400, { message: 'Bad Request', error: 400 })] },
  snowflake: {
    rotates: false,
    dead: [answer(400, { data: null, error: 'invalid_grant', code: null, message: 'x', success: false })],
  },
  spotify: { rotates: false },
  supabase: { status: 201 },
  splitwise: { tokens: (plain) => without(plain, 'expires_in', 'scope') },
};
