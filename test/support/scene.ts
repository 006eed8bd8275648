import { expect } from 'vitest';
import { field, operatorKey, type Service } from './harness.ts';
import { connectByCookie, readToken } from './journey.ts';
import { type Stage, setStage } from './stage.ts';

/** A stage whose access tokens live 300 s, so that they are refreshed within the last 45 s of it. */
export type Scene = Stage;

export function setScene(service: Service): Promise<Scene> {
  return setStage({ service, accessTokenSeconds: 300 });
}

/** Still good, and close enough to its end to be refreshed. */
export const withinMarginMs = 270_000;
export const expiredMs = 301_000;

export async function connectUser(scene: Scene, userId: string, account: 'blue' | 'green' = 'blue'): Promise<void> {
  await connectByCookie(scene.service, await scene.app.browser(userId), scene.connector.id, { account });
}

/** What a backend function is answered that asks for a user's token. */
export interface TokenRead {
  accessToken: string;
  accessTokenFingerprint: string;
  accessTokenExpiresAt: string;
  connection: { id: string; status: string; account: { email: string } };
  reconnectReason: string;
  retryAfterSeconds: number;
  message: string;
  code: string;
  remedy: { actor: string; steps: string[] } | null;
  grantedScopes: string[];
  missingScopes: string[];
  connectionConfig: { name: string; value: string }[];
}

export async function readAs(
  { service, app, connector }: Pick<Scene, 'service' | 'app'> & { connector: { id: string } },
  userId: string,
  options: Record<string, unknown> = {},
): Promise<TokenRead & { __typename: string }> {
  return field<TokenRead>(
    await readToken(service, await app.backend(userId), connector.id, options),
    'currentAppUserConnection',
  );
}

/** The token itself; fails with the answer where there is none. */
export async function tokenOf(scene: Scene, userId: string, options: Record<string, unknown> = {}): Promise<string> {
  const answer = await readAs(scene, userId, options);
  if (answer.__typename !== 'CurrentAppUserConnection') throw new Error(JSON.stringify(answer));
  return answer.accessToken;
}

export async function editConnector(scene: Scene, edit: Record<string, unknown>): Promise<void> {
  const edited = await scene.service.graphql(
    `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename ... on UserError { message } } }`,
    { input: { connectorId: scene.connector.id, ...edit } },
    scene.workspace.owner,
  );
  expect(field(edited, 'editConnector')).toEqual({ __typename: 'EditConnectorPayload' });
}

export async function deleteConnector(scene: Scene): Promise<void> {
  const deleted = await scene.service.graphql(
    `mutation ($input: DeleteConnectorInput!) { deleteConnector(input: $input) { __typename } }`,
    { input: { connectorId: scene.connector.id, confirm: true } },
    scene.workspace.owner,
  );
  expect(field(deleted, 'deleteConnector').__typename).toBe('DeleteConnectorPayload');
}

export async function setPlan(scene: Scene, plan: string): Promise<void> {
  const set = await scene.service.graphql(
    `mutation ($input: SetWorkspacePlanInput!) { setWorkspacePlan(input: $input) { __typename } }`,
    { input: { workspaceId: scene.workspace.id, plan } },
    { authorization: `Bearer ${operatorKey}` },
  );
  expect(field(set, 'setWorkspacePlan').__typename).toBe('SetWorkspacePlanPayload');
}

/** Waits until something is so, without saying how long that may take. */
export const eventually = { timeout: Number(process.env.EVENTUALLY_MS ?? 45_000), interval: 50 };

/** Keeps the provider from answering revocations. Answers how many it was asked for, and how to end it. */
export function failRevocations({ provider }: Scene) {
  let count = 0;
  const stop = provider.around(async (ctx, next) => {
    if (ctx.path !== '/token/revocation') return next();
    count += 1;
    ctx.status = 503;
    ctx.body = '';
  });
  return { count: () => count, stop };
}
