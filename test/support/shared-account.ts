import { expect } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { createWorkspaceKey, field, operatorKey, startService } from './harness.ts';
import { startIssuer } from './issuer.ts';
import { type Browser, completeConnection, createBrowser, returnOf } from './journey.ts';
import { type ConsentChoice, consentAt } from './local-provider.ts';
import { setStage, type Stage } from './stage.ts';

type Headers = Record<string, string>;

/** A stage whose connector is SHARED, with people who sign in as members. Access tokens live 300 s. */
export interface SharedStage extends Stage {
  /** Signed in, but on no page. */
  member(subject: string): Promise<Headers>;
  /** Signed in, on a page of the app's live origin, or of another one. */
  page(subject: string, origin?: string): Promise<Headers>;
}

/** An app and its connector. */
type SharedPlace = Pick<Stage, 'service' | 'app'> & { connector: { id: string } };

/** Members `anna` and `ben` are EDITORs, `vera` is a VIEWER. */
export async function setSharedStage(env: Record<string, string> = {}, overrides: Overrides = {}) {
  const issuer = await startIssuer();
  const admin = { ADMIN_ISSUER: issuer.issuer, ADMIN_AUDIENCE: issuer.audience, ADMIN_JWKS_URL: issuer.jwksUrl };
  const service = await startService({ ...admin, ...env }, overrides);
  const stage = await setStage({ service, kind: 'SHARED', accessTokenSeconds: 300 });
  const member = async (sub: string, exp = 86_400) => ({ authorization: `Bearer ${await issuer.sign({ sub, exp })}` });
  const shared: SharedStage & { issuer: typeof issuer } = {
    ...stage,
    issuer,
    member,
    page: async (subject, origin = stage.app.origin) => ({
      ...(await member(subject)),
      origin,
      'sec-fetch-site': 'same-origin',
    }),
  };
  for (const [subject, role] of Object.entries({ anna: 'EDITOR', ben: 'EDITOR', vera: 'VIEWER' })) {
    await setRole(shared, subject, role);
  }
  return shared;
}

/** Gives a member a role, or (null) none. */
export async function setRole({ service, workspace }: Stage, subject: string, role: string | null): Promise<void> {
  const name = role === null ? 'removeWorkspaceMember' : 'setWorkspaceMember';
  const answer = await service.graphql(
    `mutation ($input: ${role === null ? 'RemoveWorkspaceMemberInput' : 'SetWorkspaceMemberInput'}!) { ${name}(input: $input) { __typename } }`,
    { input: { workspaceId: workspace.id, subject, ...(role !== null && { role }) } },
    { authorization: `Bearer ${operatorKey}` },
  );
  expect(field(answer, name).__typename).toMatch(/Payload$/);
}

/** A caller with a workspace key, and the key's subject. */
export async function keyOf({ service, workspace }: Stage, role: string) {
  const headers = { authorization: `Bearer ${await createWorkspaceKey(service, workspace.id, role)}` };
  const answer = await service.graphql('{ viewer { ... on MemberViewer { subject } } }', {}, headers);
  return { headers, subject: field<{ subject: string }>(answer, 'viewer').subject };
}

const userError = '... on UserError { code message remedy { actor steps } }';

export interface ConnectAnswer {
  __typename: string;
  alreadyAuthorized?: boolean;
  redirectUrl?: string | null;
  binding?: string | null;
  expiresAt?: string | null;
  connection?: { id: string; status: string };
  code?: string;
  owner?: string;
}

/** Asks to connect the app's account. `browser` keeps the cookie. */
export async function connectShared(
  { service, app, connector }: SharedPlace,
  headers: Headers,
  input: Record<string, unknown> = {},
  browser?: Browser,
): Promise<ConnectAnswer> {
  const answer = await service.graphql(
    `mutation ($input: ConnectSharedAccountInput!) { connectSharedAccount(input: $input) { __typename
      ... on ConnectSharedAccountPayload { alreadyAuthorized redirectUrl expiresAt binding connection { id status } }
      ... on AccountOwnedError { owner } ... on ValidationError { fields { path } } ${userError} } }`,
    { input: { connectorId: connector.id, appId: app.id, ...input } },
    headers,
  );
  browser?.keep(answer.headers);
  return field<ConnectAnswer>(answer, 'connectSharedAccount');
}

/** Goes as far as the callback, which is not opened yet. */
export async function startShared(
  stage: SharedPlace,
  headers: Headers,
  input: Record<string, unknown> = {},
  consent: ConsentChoice = {},
): Promise<{ back: string; browser: Browser; binding: string }> {
  const browser = createBrowser();
  const started = await connectShared(stage, headers, input, browser);
  if (!started.redirectUrl) throw new Error(JSON.stringify(started));
  return { back: await consentAt(started.redirectUrl, consent), browser, binding: started.binding ?? '' };
}

/** The parameters with which the callback sends the browser on. */
export async function openBack({ service }: SharedPlace, flow: { back: string; browser: Browser }) {
  return returnOf(await flow.browser.open(service, flow.back)).params;
}

/** Connects the app's account from a page of the app, and fails where that does not work. */
export async function connectSharedAs(
  stage: SharedStage,
  subject: string,
  consent: ConsentChoice = {},
  input: Record<string, unknown> = {},
): Promise<void> {
  const flow = await startShared(stage, await stage.page(subject), input, consent);
  expect(await openBack(stage, flow)).toMatchObject({ connection_status: 'connected' });
}

export async function complete({ service }: Stage, headers: Headers, connectCode = '') {
  return field<{ code: string; owner?: string; connection?: Record<string, unknown> }>(
    await completeConnection(service, headers, connectCode),
    'completeConnection',
  );
}

export interface SharedRead {
  __typename: string;
  accessToken: string;
  accessTokenFingerprint: string;
  reconnectReason?: string;
  missingScopes: string[];
  connection: { id: string; status: string; ownedBy: string | null; account: { email: string } };
}

/** What a backend function with the app's key is answered, or whoever the headers say. */
export async function readShared(
  { service, app, connector }: SharedPlace,
  headers: Headers = { authorization: `Bearer ${app.key}` },
  options: Record<string, unknown> = {},
): Promise<SharedRead> {
  const answer = await service.graphql(
    `query ($connectorId: ID!, $minValiditySeconds: Int, $rejectedTokenFingerprint: String) {
      sharedConnection(connectorId: $connectorId, minValiditySeconds: $minValiditySeconds, rejectedTokenFingerprint: $rejectedTokenFingerprint) { __typename
        ... on SharedConnection { accessToken tokenType accessTokenExpiresAt accessTokenFingerprint grantedScopes missingScopes connectionConfig { name value } connection { id status ownedBy account { email } } }
        ... on ReconnectRequiredError { reconnectReason missingScopes } ${userError} } }`,
    { connectorId: connector.id, ...options },
    headers,
  );
  return field<SharedRead>(answer, 'sharedConnection');
}

interface SharedView {
  id: string;
  status: string;
  reconnectReason: string | null;
  ownedBy: string | null;
  account: { id: string; email: string | null; name: string | null } | null;
  requestedScopes: string[];
  grantedScopes: string[];
  missingScopes: string[];
}

/** The connection as a member sees it in an app; null where they see none. */
export async function sharedOf({ service, app, connector }: SharedPlace, headers: Headers, appId = app.id) {
  const answer = await service.graphql(
    `query ($id: ID!, $appId: ID!) { connector(id: $id) { id sharedConnection(appId: $appId) { id status reconnectReason ownedBy
      account { id email name } requestedScopes grantedScopes missingScopes } } }`,
    { id: connector.id, appId },
    headers,
  );
  return field<{ sharedConnection: SharedView | null }>(answer, 'connector').sharedConnection;
}

export async function disconnectShared({ service, app, connector }: SharedPlace, headers: Headers) {
  const answer = await service.graphql(
    `mutation ($input: DisconnectSharedAccountInput!) { disconnectSharedAccount(input: $input) { __typename
      ... on DisconnectSharedAccountPayload { connection { id status ownedBy } } ${userError} } }`,
    { input: { connectorId: connector.id, appId: app.id } },
    headers,
  );
  return field<Record<string, unknown>>(answer, 'disconnectSharedAccount');
}
