import { type GraphqlAnswer, field, type Service } from './harness.ts';
import { consentAt } from './local-provider.ts';

type Headers = Record<string, string>;

const userError = '... on UserError { code message remedy { actor steps values { label value } } }';

export function connectAppUser(
  service: Service,
  headers: Headers,
  input: Record<string, unknown>,
): Promise<GraphqlAnswer> {
  return service.graphql(
    `mutation ($input: ConnectAppUserInput!) { connectAppUser(input: $input) { __typename
      ... on ConnectAppUserPayload { redirectUrl expiresAt binding connection { id status } }
      ... on ValidationError { fields { path message } }
      ${userError} } }`,
    { input },
    headers,
  );
}

export function completeConnection(service: Service, headers: Headers, connectCode: string): Promise<GraphqlAnswer> {
  return service.graphql(
    `mutation ($input: CompleteConnectionInput!) { completeConnection(input: $input) { __typename
      ... on CompleteConnectionPayload { connection { id status account { id email name } } }
      ... on AccountOwnedError { owner } ${userError} } }`,
    { input: { connectCode } },
    headers,
  );
}

export function disconnectAppUser(service: Service, headers: Headers, connectorId: string): Promise<GraphqlAnswer> {
  return service.graphql(
    `mutation ($input: DisconnectAppUserInput!) { disconnectAppUser(input: $input) { __typename
      ... on DisconnectAppUserPayload { connection { id status } } ${userError} } }`,
    { input: { connectorId } },
    headers,
  );
}

export function readToken(
  service: Service,
  headers: Headers,
  connectorId: string,
  options: Record<string, unknown> = {},
): Promise<GraphqlAnswer> {
  return service.graphql(
    `query ($connectorId: ID!, $minValiditySeconds: Int, $acceptOutdatedScopes: Boolean, $rejectedTokenFingerprint: String) {
      currentAppUserConnection(connectorId: $connectorId, minValiditySeconds: $minValiditySeconds, acceptOutdatedScopes: $acceptOutdatedScopes, rejectedTokenFingerprint: $rejectedTokenFingerprint) { __typename
        ... on CurrentAppUserConnection { accessToken tokenType accessTokenExpiresAt accessTokenFingerprint grantedScopes missingScopes connectionConfig { name value } connection { id status account { id email name } lastRefreshedAt } }
        ... on ReconnectRequiredError { reconnectReason missingScopes }
        ... on ProviderUnavailableError { retryAfterSeconds }
        ... on PlanRequiredError { requiredPlan currentPlan }
        ${userError} } }`,
    { connectorId, ...options },
    headers,
  );
}

/** The calling user's connection as the page shows it. */
export async function connectionOf(service: Service, headers: Headers, connectorId: string) {
  const answer = await service.graphql(
    `query ($id: ID!) { connector(id: $id) { currentUserConnection { id status reconnectReason problem { code message } account { id email name }
      requestedScopes grantedScopes missingScopes connectedAt lastRefreshedAt lastVerifiedAt } } }`,
    { id: connectorId },
    headers,
  );
  return field<{ currentUserConnection: Record<string, unknown> }>(answer, 'connector').currentUserConnection;
}

/** A browser with a cookie jar, as far as a callback needs one. */
export interface Browser {
  cookies: Map<string, string>;
  /** Keeps the cookies that an answer sets, and forgets those that it clears. */
  keep(headers: globalThis.Headers): void;
  /** Opens a URL of the service with the cookies; answers without following redirects. */
  open(service: Service, url: string): Promise<Response>;
}

export function createBrowser(): Browser {
  const cookies = new Map<string, string>();
  return {
    cookies,
    keep(headers) {
      for (const line of headers.getSetCookie()) {
        const [pair = ''] = line.split(';');
        const at = pair.indexOf('=');
        if (/Max-Age=0/i.test(line)) cookies.delete(pair.slice(0, at));
        else cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
    },
    async open(service, url) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await service.app.fetch(new Request(url, { headers: cookie ? { cookie } : {} }));
      this.keep(response.headers);
      return response;
    },
  };
}

export interface Consent {
  account?: 'blue' | 'green';
  decision?: 'allow' | 'deny';
  scopes?: string[];
}

/** Where a callback sends the browser, with what it tells there. */
export function returnOf(response: Response): { url: string; params: Record<string, string> } {
  const location = response.headers.get('location');
  if (location === null) throw new Error(`no redirect: ${response.status}`);
  return { url: location, params: Object.fromEntries(new URL(location).searchParams) };
}

/** The whole flow of one person in one browser: start, consent at the real provider, callback. `headers` say which binding it gets. */
export async function connect(
  service: Service,
  headers: Headers,
  connectorId: string,
  options: Consent & { returnTo?: string; browser?: Browser } = {},
): Promise<{ started: { redirectUrl: string; binding: string }; response: Response; browser: Browser }> {
  const browser = options.browser ?? createBrowser();
  const answer = await connectAppUser(service, headers, {
    connectorId,
    ...(options.returnTo !== undefined && { returnTo: options.returnTo }),
  });
  browser.keep(answer.headers);
  const started = field<{ redirectUrl: string; binding: string; message?: string }>(answer, 'connectAppUser');
  if (!started.redirectUrl) throw new Error(JSON.stringify(answer.data));
  const { account, decision, scopes } = options;
  const back = await consentAt(started.redirectUrl, {
    ...(account && { account }),
    ...(decision && { decision }),
    ...(scopes && { scopes }),
  });
  return { started, response: await browser.open(service, back), browser };
}

/** Connects a person by cookie, and fails where that does not work. */
export async function connectByCookie(service: Service, headers: Headers, connectorId: string, consent: Consent = {}) {
  const { response } = await connect(service, headers, connectorId, consent);
  const { params } = returnOf(response);
  if (params.connection_status !== 'connected') throw new Error(JSON.stringify(params));
}
