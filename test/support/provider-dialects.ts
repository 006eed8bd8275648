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
  /** Answers that decide nothing. The first is what this provider says when it is in trouble. */
  undecided?: RecordedAnswer[];
  /** How a refused client is told. */
  refusedClient?: RecordedAnswer;
  /** What the identity endpoint says to an access token that is no longer good; 401 unless it says otherwise. */
  refusedToken?: RecordedAnswer;
  /** What the browser brings back from a person who has said no; access_denied unless it says otherwise. */
  denied?: string;
}

const answer = (status: number, body: unknown, headers: Record<string, string> = {}): RecordedAnswer => ({
  status,
  body,
  headers,
});

function without<T extends object>(tokens: T, ...names: string[]): Partial<T> {
  return Object.fromEntries(Object.entries(tokens).filter(([name]) => !names.includes(name))) as Partial<T>;
}

/** RFC 6749 5.2, with the text that the provider gives with it. */
const invalidGrant = (text: string, status = 400) =>
  answer(status, { error: 'invalid_grant', error_description: text });

// workos.com/blog/invalid-grant-oauth-errors-by-provider
const google: Dialect = { rotates: false, dead: [invalidGrant('Token has been expired or revoked.')] };
// github.com/blobfile/blobfile/issues/93
const microsoft: Dialect = {
  dead: [invalidGrant('AADSTS700082: The refresh token has expired due to inactivity.')],
};
// nango.dev/blog/{airtable,linkedin,linear,notion,shopify,zendesk}-oauth-refresh-token-invalid-grant
const gone = invalidGrant('Token has been expired or revoked.');
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
 * By the catalogue's key. The answers are as the providers' documentation, other clients' sources or reports of their users have
 * them, abridged, with where they were found; what the service makes of them is what is tested.
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
  airtable: { dead: [gone] },
  asana: { dead: [answer(400, { error: 'invalid_grant' })] }, // github.com/raycast/extensions/issues/10581
  bitbucket: {
    // github.com/readthedocs/readthedocs.org/issues/2992
    dead: [answer(400, { error: 'invalid_request', error_description: 'Invalid refresh_token' })],
  },
  box: {
    // github.com/iterate-ch/cyberduck/issues/13003, github.com/box/box-python-sdk/issues/587
    dead: [invalidGrant('Refresh token has expired'), invalidGrant('Invalid refresh token')],
  },
  databricks: {
    // github.com/databricks/cli/issues/667
    dead: [answer(400, { error: 'invalid_request', error_description: 'Refresh token is invalid' })],
  },
  discord: {
    // github.com/discord/discord-api-docs/issues/1650, github.com/member-gentei/member-gentei/issues/18
    dead: [
      answer(400, { error: 'invalid_grant' }),
      answer(400, { error: 'invalid_request', error_description: 'Invalid "refresh_token" in request.' }),
    ],
  },
  docusign: {
    // github.com/docusign/docusign-esign-java-client/issues/79, docusign-esign-csharp-client/issues/312, docusign-esign-php-client/issues/171
    dead: [answer(400, { error: 'invalid_grant' })],
    undecided: [
      answer(500, { error: 'internal_server_error', reference_id: 'x' }),
      answer(400, { error: 'invalid_request' }),
    ],
  },
  dropbox: {
    dead: [invalidGrant('refresh token is invalid or revoked')], // github.com/nextcloud/integration_dropbox/issues/34
  },
  klaviyo: {
    // developers.klaviyo.com/en/docs/troubleshoot_oauth_errors
    dead: [answer(400, { error: 'invalid_grant' }), answer(400, { error: 'invalid_grant_type' })],
  },
  linear: { dead: [gone] },
  microsoft_teams: microsoft,
  miro: {
    // developers.miro.com/docs/troubleshooting-oauth20: of a redirect URI; the word alone decides nothing
    undecided: [answer(401, { status: 401, code: 'oauthError', message: 'Redirect URI mismatch.', type: 'error' })],
  },
  one_drive: microsoft,
  outlook: microsoft,
  pinterest: {
    // github.com/pinterest/pinterest-python-sdk/issues/114, volcengine.com/article/2158429
    dead: [answer(401, { code: 283, message: 'The authorization grant is invalid' })],
    refusedClient: answer(401, { code: 2, message: 'Authentication failed.' }),
  },
  pipedrive: {
    // pipedrive.readme.io/docs/marketplace-oauth-and-api-proxy-status-codes has the text, and not the form around it
    dead: [answer(400, { error: 'invalid_grant', message: 'Invalid grant: refresh_token is invalid' })],
  },
  quickbooks: {
    // github.com/routablehq/python-quickbooks/issues/272
    dead: [invalidGrant('Incorrect or invalid refresh token'), answer(400, { error: 'invalid_grant' })],
  },
  share_point: microsoft,
  strava: {
    // github.com/dreeveapp/dreeve/issues/1449 and 372, github.com/node-strava/node-strava-v3/issues/37; the scope: github.com/GoldenCheetah/GoldenCheetah/issues/3199
    dead: [
      answer(400, {
        message: 'Bad Request',
        errors: [{ resource: 'RefreshToken', field: 'refresh_token', code: 'invalid' }],
      }),
    ],
    undecided: [
      answer(400, { message: 'Bad Request', errors: [{ resource: 'Authorize', field: 'scope', code: 'invalid' }] }),
    ],
    refusedClient: answer(400, {
      message: 'Bad Request',
      errors: [{ resource: 'Application', field: 'client_id', code: 'invalid' }],
    }),
  },
  x: {
    // the tests of several open-source connectors
    dead: [answer(400, { error: 'invalid_request', error_description: 'Value passed for the token was invalid.' })],
    undecided: [answer(400, { error: 'invalid_request', error_description: 'Missing required parameter.' })],
  },
  xero: { dead: [answer(400, { error: 'invalid_grant' })] }, // github.com/XeroAPI/Xero-NetStandard/issues/257
  zendesk: {
    // support.zendesk.com/hc/en-us/articles/115012709368
    dead: [gone, invalidGrant('The provided access grant is invalid, expired, or revoked.')],
  },
  zoom: {
    // github.com/raycast/extensions/issues/10896; tl-its-umich-edu/remote-office-hours-queue#363 had it with 401
    dead: [400, 401].map((status) => answer(status, { reason: 'Invalid Token!', error: 'invalid_grant' })),
  },
  hubspot: {
    tokens: (plain) => without(plain, 'scope'),
    rotates: false,
    dead: [answer(400, { status: 'BAD_REFRESH_TOKEN', message: 'missing or unknown refresh token' })],
    undecided: notOAuth,
  },
  linkedin: {
    tokens: (plain) => without(plain, 'token_type'),
    dead: [gone],
    denied: 'user_cancelled_authorize', // learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow
  },
  notion: { tokens: (plain) => without(plain, 'expires_in', 'scope'), dead: [gone] },
  instagram: { ...meta, tokens: (plain) => without(plain, 'scope', 'token_type') },
  twitch: {
    tokens: (plain) => ({ ...plain, scope: plain.scope.split(' ') }),
    // dev.twitch.tv/docs/authentication/refresh-tokens
    dead: [answer(400, { error: 'Bad Request', status: 400, message: 'Invalid refresh token' })],
    undecided: [answer(400, { error: 'Bad Request', status: 400, message: 'missing client id' })],
    refusedClient: answer(403, { status: 403, message: 'invalid client secret' }), // github.com/PhantomBot/PhantomBot/issues/2860
  },
  tiktok: {
    tokens: (plain) => ({ ...plain, refresh_expires_in: 15_552_000 }),
    // developers.tiktok.com/doc/oauth-error-handling has the members and words, and no status
    dead: [200, 400].map((status) =>
      answer(status, {
        error: 'invalid_grant',
        error_description: 'Refresh token is invalid or expired.',
        log_id: 'x',
      }),
    ),
  },
  zoho: {
    rotates: false,
    dead: [answer(200, { error: 'invalid_code' }), answer(400, { error: 'invalid_code' })],
    undecided: [answer(400, { error: 'Access Denied', status: 'failure' })],
  },
  salesforce: {
    tokens: (plain) => without(plain, 'expires_in'),
    rotates: false,
    dead: [invalidGrant('expired access/refresh token')], // workos.com/blog/invalid-grant-oauth-errors-by-provider, open-source connectors
  },
  mailchimp: {
    tokens: (plain) => ({ ...without(plain, 'scope'), expires_in: 0, scope: null }),
    refusedToken: answer(200, { error: 'invalid_token' }), // the source of Airbyte's connector for Mailchimp
  },
  clickup: {
    tokens: (plain) => without(plain, 'expires_in', 'scope'),
    undecided: [answer(401, { err: 'Team not authorized', ECODE: 'OAUTH_027' })],
  },
  shopify: { tokens: (plain) => without(plain, 'token_type'), dead: [gone] },
  square: {
    // developer.squareup.com/forums/t/11056 and 195, without the status
    dead: [answer(401, { message: 'Invalid refresh token', type: 'service.not_authorized' })],
    undecided: [
      answer(500, { errors: [{ category: 'API_ERROR', code: 'INTERNAL_SERVER_ERROR' }] }),
      answer(401, { message: 'Not Authorized', type: 'service.not_authorized' }),
    ],
  },
  typeform: { undecided: [answer(500, { code: 'INTERNAL_SERVER_ERROR', description: 'x' })] },
  figma: { undecided: [answer(400, { error: true, status: 400, message: 'Bad request' })] },
  intercom: { undecided: [answer(500, { type: 'error.list', errors: [{ code: 'server_error', message: 'x' }] })] },
  // github.com/praw-dev/praw/issues/677: said of dead refresh tokens, and of other mistakes
  reddit: { rotates: false, undecided: [answer(400, { message: 'Bad Request', error: 400 })] },
  snowflake: {
    rotates: false,
    dead: [answer(400, { data: null, error: 'invalid_grant', code: null, message: 'x', success: false })],
  },
  spotify: { rotates: false, dead: [invalidGrant('Refresh token revoked')] }, // github.com/novatorem/novatorem/issues/81
  supabase: { status: 201 },
  splitwise: { tokens: (plain) => without(plain, 'expires_in', 'scope') },
};

/**
 * Of these no report was found of how they tell a dead refresh token: they are taken to answer as RFC 6749 5.2 says. The others not
 * in `dead` above either have words of their own in their catalogue entry, or no refresh tokens.
 */
export const unrecorded: readonly string[] = [
  'bamboohr',
  'calendly',
  'contentful',
  'figma',
  'hugging_face',
  'miro',
  'reddit',
  'supabase',
  'typeform',
  'wix',
  'wrike',
];
