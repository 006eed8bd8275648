import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { inject, onTestFinished } from 'vitest';
import { type App, createApp, type Overrides } from '../../src/app.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { type CalendarProvider, startCalendarProvider } from './local-provider.ts';
import { freePort } from './ports.ts';
import { takeDatabase, takePostgres } from './database.ts';
import { createDatabase } from './postgres.ts';

export const operatorKey = 'operator-key-of-the-tests';

/** A clock that stands where real time is, plus what a test adds. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export function createTestClock(): TestClock {
  let offsetMs = 0;
  return {
    now: () => new Date(Date.now() + offsetMs),
    advance: (ms) => {
      offsetMs += ms;
    },
  };
}

/** The answer of one GraphQL operation. */
export interface GraphqlAnswer {
  status: number;
  headers: Headers;
  // biome-ignore lint: a test says what it expects of the answer
  data: Record<string, unknown> | null;
  errors: { message: string; path?: unknown[]; extensions?: Record<string, unknown> }[];
}

export interface Service {
  app: App;
  config: Config;
  clock: TestClock;
  /** Every line logged, as JSON text. */
  logs: string[];
  /** Sends one operation, as the given headers' caller. */
  graphql(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<GraphqlAnswer>;
}

/** Closes what a test has opened: when the test has finished, unless a whole file shares it. */
export type OnFinished = (close: () => Promise<void>) => void;

/** A database of the test's own on the PostgreSQL server. */
export async function ownPostgres(onFinished: OnFinished = onTestFinished): Promise<string> {
  const template = inject('databaseTemplate');
  if (!template) throw new Error('PostgreSQL is not there.');
  const database = await createDatabase(template.serverUrl, template.name);
  onFinished(() => database.drop());
  return database.url;
}

/** A service of the test's own, on a database of its own; stopped when the test has finished. `env` overrides the environment. */
export async function startService(
  env: Record<string, string> = {},
  overrides: Overrides = {},
  onFinished: OnFinished = onTestFinished,
): Promise<Service> {
  const port = await freePort();
  const ownData = env.DATABASE_URL ?? env.DATA_DIR ?? overrides.snapshot ?? overrides.pglite;
  const isEmbedded = !inject('onPostgres') || ownData !== undefined;
  const stores = isEmbedded
    ? {}
    : { DATABASE_URL: await takePostgres(onFinished), REDIS_URL: inject('redisUrl') ?? '' };
  const config = parseConfig({
    PORT: String(port),
    DATA_DIR: 'memory://',
    OPERATOR_KEY: operatorKey,
    LOG_LEVEL: 'debug',
    RATE_LIMITS: 'off', // tests do in a second what people do in an hour
    ...stores,
    ...env,
  });
  const clock = createTestClock();
  const logs: string[] = [];
  const pglite = isEmbedded && ownData === undefined ? await takeDatabase(onFinished) : overrides.pglite;
  const isAgain = env.DATA_DIR !== undefined && existsSync(join(env.DATA_DIR, 'pglite'));
  const app = await createApp(config, {
    clock,
    log: createLogger(config.logLevel, { write: (line) => logs.push(line) }),
    ...(pglite ? { pglite } : !isAgain && { snapshot: new Blob([readFileSync(inject('databaseSnapshot'))]) }),
    asksProviderOnSave: false, // tests count what a provider is asked, and most of their providers are not there
    ...overrides,
  });
  onFinished(() => app.stop());
  return {
    app,
    config,
    clock,
    logs,
    async graphql(query, variables = {}, headers = {}) {
      const response = await app.fetch(
        new Request(`${config.publicUrl}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ query, variables }),
        }),
      );
      const body = (await response.json()) as Partial<GraphqlAnswer>;
      return { status: response.status, headers: response.headers, data: body.data ?? null, errors: body.errors ?? [] };
    },
  };
}

/** The one field of an answer; fails with the answer's errors where it is not there. */
export function field<T = Record<string, never>>(answer: GraphqlAnswer, name: string): T & { __typename: string } {
  const value = answer.data?.[name];
  if (value === undefined || value === null) throw new Error(`no ${name}: ${JSON.stringify(answer.errors)}`);
  return value as T & { __typename: string };
}

/** A workspace with an owner's key. */
export interface TestWorkspace {
  id: string;
  ownerKey: string;
  /** Headers of a member with OWNER. */
  owner: Record<string, string>;
}

export async function createWorkspace(service: Service, plan = 'BUILDER'): Promise<TestWorkspace> {
  const operator = { authorization: `Bearer ${operatorKey}` };
  const created = await service.graphql(
    `mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { __typename ... on CreateWorkspacePayload { workspace { id } } } }`,
    { input: { name: 'Workspace', plan } },
    operator,
  );
  const { id } = field<{ workspace: { id: string } }>(created, 'createWorkspace').workspace;
  const ownerKey = await createWorkspaceKey(service, id, 'OWNER');
  return { id, ownerKey, owner: { authorization: `Bearer ${ownerKey}` } };
}

export async function createWorkspaceKey(service: Service, workspaceId: string, role: string): Promise<string> {
  const created = await service.graphql(
    `mutation ($input: CreateWorkspaceKeyInput!) { createWorkspaceKey(input: $input) { __typename ... on CreateWorkspaceKeyPayload { workspaceKeySecret } ... on UserError { message } } }`,
    { input: { workspaceId, name: role, role } },
    { authorization: `Bearer ${operatorKey}` },
  );
  return field<{ workspaceKeySecret: string }>(created, 'createWorkspaceKey').workspaceKeySecret;
}

/** An app, and the headers of everybody who calls for it. */
export interface TestApp {
  id: string;
  key: string;
  /** The app's live origin. */
  origin: string;
  identity: { issuer: string; audience: string; secret: string };
  identityToken(userId: string, claims?: { expiresIn?: number; audience?: string; issuer?: string }): Promise<string>;
  /** A browser of the app, signed in, on the live origin or on none. */
  user(userId: string): Promise<Record<string, string>>;
  /** A browser on a page of that origin, calling same-origin. */
  browser(userId: string, origin?: string): Promise<Record<string, string>>;
  /** The app's backend on behalf of a user. */
  backend(userId: string): Promise<Record<string, string>>;
}

export async function createTestApp(
  service: Service,
  workspace: TestWorkspace,
  origins: { kind: string; origin: string }[] = [{ kind: 'LIVE', origin: 'https://app.example.com' }],
): Promise<TestApp> {
  const issuer = 'https://identity.example.com';
  const audience = `app-${Math.random().toString(36).slice(2)}`;
  const created = await service.graphql(
    `mutation ($input: CreateAppInput!) { createApp(input: $input) { __typename ... on CreateAppPayload { app { id } appKeySecret identitySecret } ... on UserError { message } } }`,
    { input: { workspaceId: workspace.id, name: 'App', origins, identity: { secret: { issuer, audience } } } },
    workspace.owner,
  );
  const { app, appKeySecret, identitySecret } = field<{
    app: { id: string };
    appKeySecret: string;
    identitySecret: string;
  }>(created, 'createApp');
  const origin = origins.find(({ kind }) => kind === 'LIVE')?.origin ?? '';
  const result: TestApp = {
    id: app.id,
    key: appKeySecret,
    origin,
    identity: { issuer, audience, secret: identitySecret },
    async identityToken(userId, claims = {}) {
      return new SignJWT()
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(userId)
        .setIssuer(claims.issuer ?? issuer)
        .setAudience(claims.audience ?? audience)
        .setExpirationTime(Math.floor(service.clock.now().getTime() / 1000) + (claims.expiresIn ?? 3600))
        .sign(new TextEncoder().encode(identitySecret));
    },
    async user(userId) {
      return { authorization: `Bearer ${await result.identityToken(userId)}`, 'x-app-id': app.id };
    },
    async browser(userId, at = origin) {
      return { ...(await result.user(userId)), origin: at, 'sec-fetch-site': 'same-origin' };
    },
    async backend(userId) {
      return {
        authorization: `Bearer ${appKeySecret}`,
        'on-behalf-of': `Bearer ${await result.identityToken(userId)}`,
      };
    },
  };
  return result;
}

/** A real provider, stopped when the test has finished. */
export async function startProvider(
  options: { accessTokenSeconds?: number; now?: () => Date } = {},
): Promise<CalendarProvider> {
  const provider = await startCalendarProvider({ port: 0, ...options });
  onTestFinished(() => provider.stop());
  return provider;
}

export interface TestConnector {
  id: string;
  clientId: string;
  clientSecret: string;
  redirectUris: { kind: string; uri: string }[];
}

/** A custom connector at the real provider: added as a draft, its redirect URIs registered there, then completed. */
export async function addTestConnector(
  service: Service,
  workspace: TestWorkspace,
  provider: CalendarProvider,
  scopes: string[] = ['openid', 'email', 'calendar.read'],
  kind = 'APP_USER',
): Promise<TestConnector> {
  const added = await service.graphql(
    `mutation ($input: AddConnectorInput!) { addConnector(input: $input) { __typename ... on AddConnectorPayload { connector { id redirectUris { kind uri } } } ... on UserError { message } } }`,
    {
      input: {
        workspaceId: workspace.id,
        providerKey: 'custom',
        kind,
        name: 'Calendar',
        scopes,
        custom: { discovery: { issuer: provider.issuer } },
      },
    },
    workspace.owner,
  );
  const { connector } = field<{ connector: { id: string; redirectUris: { kind: string; uri: string }[] } }>(
    added,
    'addConnector',
  );
  const { clientId, clientSecret } = provider.registerClient({
    name: 'Client',
    redirectUris: connector.redirectUris.map(({ uri }) => uri),
  });
  const edited = await service.graphql(
    `mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename ... on UserError { message } } }`,
    { input: { connectorId: connector.id, clientId, clientSecret } },
    workspace.owner,
  );
  if (field(edited, 'editConnector').__typename !== 'EditConnectorPayload')
    throw new Error(JSON.stringify(edited.data));
  return { ...connector, clientId, clientSecret };
}
